"""R1: can a classifier tell the arm's answers from the agent's to the same prompts? (Lopez-Paz & Oquab 2017,
arXiv 1610.06545.)

What is talked about is masked, or it would tell them apart: function words and punctuation stay, digits become `#`,
every other word `x` and its length in steps. Both answers are cut to the words of the shorter, and a session is never
in training and test at once.
"""

import re
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from locum.evaluation.resemblance.replicates import Replicates, Talk, halves, too_few
from locum.evaluation.style import FEATURES
from locum.types import Undefined

MIN_PAIRS = 20
FOLDS = 5
PERMUTATIONS = 999
SPLITS = 4
"""Ways to cut the agent's sessions in two, for the agent against itself."""
LENGTH_TELLS = 0.6
"""AUC of the length alone from which the length is the tell."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d")
_FUNCTION_WORDS = frozenset(FEATURES)


class TwoSample(msgspec.Struct, frozen=True):
    """How well the arms are told from the agent."""

    indistinguishable: Replicates
    """2 (1 - AUC): 1 (and by chance more) where they cannot be told apart, 0 where always."""
    p_value: dict[str, float]
    """Arm -> probability of scores as far apart, were it the agent; by turning the pairs of a session round."""
    length_only: dict[str, float]
    """Arm -> AUC of the answer's length alone, at least 1/2."""


def masked(text: str) -> str:
    """A text without what it is about."""

    def mask(match: re.Match[str]) -> str:
        word = match[0].lower()
        if word.isdigit():
            return "#"
        return word if word in _FUNCTION_WORDS else f"x{min(4, (len(word) + 1) // 3)}"

    return _WORD.sub(mask, text.replace("’", "'"))


def two_sample(spoken: Talk, seed: int = 0) -> TwoSample | Undefined:
    """Tell base and tuned from the agent, and the agent from itself by halves of its sessions."""
    short = too_few(spoken.rows, MIN_PAIRS, "pairs of answers", len(spoken.lineages))
    if short is not None:
        return short
    count = len(spoken.lineages)
    agent = spoken.texts["agent"]
    whole: dict[str, float] = {}
    without: dict[str, NDArray[np.float64]] = {}
    p_value, length_only = {}, {}
    for arm in ("base", "tuned"):
        ours, theirs = zip(*(_as_long(a, b) for a, b in zip(agent, spoken.texts[arm], strict=True)), strict=True)
        groups = np.concatenate([spoken.groups, spoken.groups])
        labels = np.repeat([0, 1], spoken.rows)
        scores = _scores([*ours, *theirs], labels, groups)
        whole[arm], without[arm] = _indistinguishable(scores, labels, groups, count)
        p_value[arm] = _p_value(scores[spoken.rows :] - scores[: spoken.rows], spoken.groups, seed)
        lengths = np.array([len(text.split()) for text in (*agent, *spoken.texts[arm])], dtype=np.float64)
        length_only[arm] = max(_auc(lengths, labels), 1 - _auc(lengths, labels))
    sizes = np.bincount(spoken.groups, weights=[len(text.split()) for text in agent], minlength=count)
    own = []
    for half in halves(sizes, SPLITS, seed):
        labels = half[spoken.groups].astype(np.int64)
        own.append(_indistinguishable(_scores(agent, labels, spoken.groups), labels, spoken.groups, count))
    whole["agent"] = float(np.mean([value for value, _ in own]))
    without["agent"] = np.mean([left for _, left in own], axis=0)
    return TwoSample(Replicates(whole, without, spoken.lineages, spoken.rows), p_value, length_only)


def _as_long(a: str, b: str) -> tuple[str, str]:
    words_a, words_b = re.findall(r"\S+\s*", a), re.findall(r"\S+\s*", b)
    least = min(len(words_a), len(words_b))
    return "".join(words_a[:least]), "".join(words_b[:least])


def _scores(texts: Sequence[str], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Out-of-fold scores, sessions kept whole: float [texts]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline, make_union

    plain = np.array([masked(text) or "\N{BULLET}" for text in texts], dtype=object)
    found = np.zeros(len(texts))
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(plain, labels, groups):
        if len(set(labels[train].tolist())) < 2:
            continue
        model = make_pipeline(
            make_union(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
                TfidfVectorizer(token_pattern=r"[^\s]+", ngram_range=(1, 2), sublinear_tf=True),
            ),
            LogisticRegression(C=10.0, max_iter=500),
        )
        model.fit(plain[train], labels[train])
        found[test] = model.decision_function(plain[test])
    return found


def _auc(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Chance that one of label 1 scores above one of label 0, ties by half; 1/2 where there is only one label."""
    ones = int(labels.sum())
    zeros = len(labels) - ones
    if not ones or not zeros:
        return 0.5
    return float((rankdata(scores)[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _indistinguishable(
    scores: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64], count: int
) -> tuple[float, NDArray[np.float64]]:
    def value(kept: NDArray[np.bool_]) -> float:
        # Not cut at AUC 1/2 here, where it would seem to have no spread.
        return 2 * (1 - _auc(scores[kept], labels[kept]))

    every = np.ones(len(scores), dtype=bool)
    return value(every), np.array([value(groups != session) for session in range(count)])


def _p_value(gaps: NDArray[np.float64], groups: NDArray[np.int64], seed: int) -> float:
    """One-sided, by signs drawn per session: rows of one session are alike."""
    sums = np.bincount(groups, weights=gaps)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (PERMUTATIONS, len(sums)))
    return float((1 + (signs @ sums >= sums.sum() - 1e-12).sum()) / (1 + PERMUTATIONS))
