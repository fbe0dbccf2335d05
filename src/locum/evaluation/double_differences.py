"""Decisions under each other's prompts: what is left when every liking for an answer is taken out.

    DD = s(y_i|x_i) + s(y_j|x_j) - s(y_i|x_j) - s(y_j|x_i),    s = log-probability of the decision

Whatever a model thinks of an answer y by itself (style, length, base rate) and of a prompt x by itself cancels, so a
model of style alone has DD = 0. Matching as in Winoground (Thrush et al. 2022, arXiv:2204.03162).
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from locum.evaluation.decision_slots import decision_of
from locum.evaluation.lexicons import words
from locum.evaluation.statistics import clopper_pearson
from locum.types import Estimate, Row

_PAIRS = 2
"""Pairs that a row may be in."""


def match_pairs(rows: Sequence[tuple[Row, str]]) -> list[tuple[int, int]]:
    """Hard partners: same family, different decision, other lineage, prompts as alike as can be.

    Args:
        rows: rows that decide something, each with its prompt as text.

    Returns:
        Pairs of indices, the most alike first; no row is in more than two.
    """
    vectors = _tf_idf([text for _, text in rows])
    alike = vectors @ vectors.T
    decided = [decision_of(row) for row, _ in rows]
    candidates = [
        (float(alike[i, j]), i, j)
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
        if rows[i][0].family == rows[j][0].family
        and rows[i][0].lineage != rows[j][0].lineage
        and decided[i] != decided[j]
    ]
    used: Counter[int] = Counter()
    pairs = []
    for _, i, j in sorted(candidates, key=lambda found: (-found[0], found[1:])):
        if used[i] < _PAIRS and used[j] < _PAIRS:
            used.update((i, j))
            pairs.append((i, j))
    return pairs


def double_difference(own: float, crossed: float) -> float:
    """DD out of losses in nats: of both decisions under their own prompts, and of both under each other's."""
    return crossed - own


def share_right(margins: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """1 where a margin is above nought, 0 below, a half where there is none (up to rounding)."""
    values = np.asarray(margins, dtype=np.float64)
    shares: npt.NDArray[np.float64] = np.where(np.abs(values) < 1e-6, 0.5, (values > 0).astype(np.float64))
    return shares


def mean_of_pairs(
    values: npt.ArrayLike,
    nodes: Sequence[tuple[str, str]],
    confidence: float = 0.95,
    bounds: tuple[float, float] = (0, 1),
) -> Estimate:
    """Mean over pairs, with an interval in which every lineage is a node that ties its pairs together.

    The variance is that of Aronow, Samii and Assenova 2015 (doi 10.1093/pan/mpv018): pairs that share a lineage may be
    alike, all others are not; times g / (g - 2), and with Student's t at g / 2 degrees of freedom for g lineages, since
    each pair takes two. In simulation nominal 95 % then cover 91 to 99 % at 6 to 25 lineages, most where lineages do
    not matter; g - 1 degrees cover 87 % at 10. For a share the interval also covers Clopper-Pearson's with half as many
    trials as there are lineages, or as many as there are pairs if fewer.

    Args:
        values: one a pair, shape (n,), n >= 1.
        nodes: the two lineages of each pair (equal where a question is about one row).
        confidence: two-sided level.
        bounds: the range of the values.

    Raises:
        ValueError: no pair, or lengths that differ.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0 or len(x) != len(nodes):
        raise ValueError(f"{len(nodes)} pairs for values of shape {x.shape}; pass one of each a pair")
    names = sorted({name for pair in nodes for name in pair})
    member = np.zeros((len(x), len(names)), dtype=bool)
    for at, pair in enumerate(nodes):
        member[at, [names.index(name) for name in pair]] = True
    mean = float(x.mean())
    low, high = bounds
    if len(names) < 3:
        return Estimate(mean, low, high, rows=len(x), sessions=len(names))
    errors = x - mean
    tied = (member.astype(int) @ member.T.astype(int)) > 0
    g = len(names)
    variance = max(0.0, float(errors @ tied @ errors)) * g / (g - 2) / len(x) ** 2
    # A sum over ties can come out below that of independent pairs by chance.
    variance = max(variance, float(errors @ errors) / len(x) ** 2)
    reach = float(stdtrit(g / 2, 0.5 + confidence / 2)) * math.sqrt(variance)
    ends = (mean - reach, mean + reach)
    if bounds == (0, 1):
        trials = min(len(x), g / 2)
        exact = clopper_pearson(mean * trials, trials, confidence)
        ends = (min(ends[0], exact[0]), max(ends[1], exact[1]))
    return Estimate(mean, max(low, ends[0]), min(high, ends[1]), rows=len(x), sessions=g)


def _tf_idf(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Unit vectors [texts, words]; logarithmic counts times smoothed inverse document frequency."""
    counts = [Counter(words(text)) for text in texts]
    index = {word: at for at, word in enumerate(sorted(set().union(*counts)))} if counts else {}
    vectors = np.zeros((len(texts), len(index)))
    for at, found in enumerate(counts):
        for word, times in found.items():
            vectors[at, index[word]] = 1 + math.log(times)
    documents = (vectors > 0).sum(0)
    vectors *= np.log((1 + len(texts)) / (1 + documents)) + 1
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = vectors / np.maximum(norms, 1e-12)
    return unit
