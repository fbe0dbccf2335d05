"""Template collapse: answers to different prompts that are alike.

Distinct n-grams, compression, and similarity between answers are the trio that Shaib et al. 2024 (arXiv 2403.00553)
find sufficient. All depend on length, so both voices are compared at the same one: every answer is cut to the shorter
of its pair, and the texts that are compressed to the same bytes.
"""

import gzip
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from locum.evaluation.signatures.pooled import jackknife
from locum.types import Estimate

BLEU_ANSWERS = 60
"""Answers between which BLEU is taken, at most: it grows with their square."""
MEASURES = ("distinct_2", "distinct_3", "gzip_ratio", "self_repetition", "self_bleu")
_SHARE = (0.0, 1.0)
_RATIO = (0.0, 1100.0)  # deflate cannot do better than 1 : 1032

Cut = list[list[str]]


def collapse(
    voice: Sequence[str], agent: Sequence[str], lineages: Sequence[str], names: tuple[str, str] = ("tuned", "agent")
) -> dict[str, dict[str, Estimate]]:
    """How alike a voice's answers are to one another, beside the agent's to the same prompts.

    `distinct_2`, `distinct_3`: distinct n-grams among all (Li et al. 2016, arXiv 1510.03055): less is worse.
    `gzip_ratio`: bytes before compression over bytes after; more is worse.
    `self_repetition`: the mean answer's share of 4-grams that stand in an answer of another lineage; more is worse.
    `self_bleu`: mean BLEU between answers of different lineages, 0 to 1 (Zhu et al. 2018, arXiv 1802.01886); more is
    worse.

    Args:
        voice: its answers.
        agent: the agent's responses to the same prompts, equally many.
        lineages: the session lineage of each prompt.
        names: of the two arms.

    Returns:
        Measure -> arm -> estimate, the arms being the two names and their difference (`tuned-agent`). Empty where no
        answer has two words in both voices.
    """
    cut = [_cut(a, b) for a, b in zip(voice, agent, strict=True)]
    kept = [index for index, (a, _) in enumerate(cut) if len(a) > 1]
    if not kept:
        return {}
    where = [lineages[index] for index in kept]
    sides = [_Bag([cut[index][side] for index in kept], where) for side in (0, 1)]

    def figures(indices: Sequence[int]) -> npt.NDArray[np.float64]:
        budget = min(bag.size(indices) for bag in sides)
        first, second = (bag.figures(indices, budget) for bag in sides)
        return np.concatenate([first, second, first - second])

    ranges = [_RATIO if name == "gzip_ratio" else _SHARE for name in MEASURES]
    spans = [*ranges, *ranges, *((-high, high) for _, high in ranges)]
    estimates = jackknife(figures, where, spans)
    arms = (*names, f"{names[0]}-{names[1]}")
    return {
        measure: {arm: estimates[len(MEASURES) * side + at] for side, arm in enumerate(arms)}
        for at, measure in enumerate(MEASURES)
    }


def _cut(a: str, b: str) -> tuple[list[str], list[str]]:
    first, second = a.split(), b.split()
    length = min(len(first), len(second))
    return first[:length], second[:length]


class _Bag:
    """Answers of one voice, with what every statistic of them needs, computed once."""

    def __init__(self, answers: Cut, lineages: Sequence[str]) -> None:
        self._texts = [" ".join(words).encode() for words in answers]
        self._grams = {n: [Counter(_grams(words, n)) for words in answers] for n in (2, 3, 4)}
        self._lineages = lineages
        self._bleu_of, self._bleu = _pairwise_bleu([" ".join(words) for words in answers], lineages)

    def size(self, indices: Sequence[int]) -> int:
        return sum(len(self._texts[index]) + 1 for index in indices)

    def figures(self, indices: Sequence[int], budget: int) -> npt.NDArray[np.float64]:
        text = b"\n".join(self._texts[index] for index in indices)[:budget]
        return np.array(
            [
                self._distinct(indices, 2),
                self._distinct(indices, 3),
                len(text) / len(gzip.compress(text)),
                self._self_repetition(indices),
                self._self_bleu(indices),
            ]
        )

    def _distinct(self, indices: Sequence[int], n: int) -> float:
        counts = [self._grams[n][index] for index in indices]
        total = sum(count.total() for count in counts)
        return len(set().union(*counts)) / total if total else 1.0

    def _self_repetition(self, indices: Sequence[int]) -> float:
        holders: dict[object, set[str]] = {}
        for index in indices:
            for gram in self._grams[4][index]:
                holders.setdefault(gram, set()).add(self._lineages[index])
        shares = []
        for index in indices:
            counts = self._grams[4][index]
            if counts:
                shares.append(sum(k for gram, k in counts.items() if len(holders[gram]) > 1) / counts.total())
        return float(np.mean(shares)) if shares else 0.0

    def _self_bleu(self, indices: Sequence[int]) -> float:
        inside = np.isin(self._bleu_of, indices)
        values = self._bleu[np.ix_(inside, inside)]
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def _pairwise_bleu(texts: Sequence[str], lineages: Sequence[str]) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Which answers were taken, and BLEU between each two of different lineages; NaN between others."""
    from sacrebleu.metrics.bleu import BLEU

    step = -(-len(texts) // BLEU_ANSWERS)
    chosen = list(range(0, len(texts), step))
    bleu = BLEU(effective_order=True)
    table = np.full((len(chosen), len(chosen)), np.nan)
    for i, a in enumerate(chosen):
        for j, b in enumerate(chosen):
            if lineages[a] != lineages[b]:
                table[i, j] = bleu.sentence_score(texts[a], [texts[b]]).score / 100
    return chosen, table
