"""How far one drawing of a decision can be relied on: the same decision drawn several times."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import msgspec

from locum.evaluation.competence import decided
from locum.evaluation.decisions import same_calls
from locum.evaluation.results import Answer, Arms, Measures, Sample
from locum.evaluation.statistics import clustered_mean

TEMPERATURE = 0.7
"""At which decisions are drawn. The deployed file answers greedily, which drawn again is the same again: what this
shows is how near the model is to deciding otherwise."""


def pass_k(right: int, draws: int, k: int) -> float:
    """The probability that k draws of one decision are all right, without bias from `right` of `draws` that were.

    Yao et al. 2024 (tau-bench), arXiv 2406.12045: C(right, k) / C(draws, k).

    Args:
        right: how many were right, 0 to `draws`.
        draws: how many there are.
        k: 1 to `draws`.
    """
    return comb(right, k) / comb(draws, k)


def reliability(samples: Sequence[Sample]) -> Measures:
    """`pass^1` to `pass^K` and `agreement` of the tuned model, per family, over rows in which the agent decided."""
    found: Measures = {}
    drawn = [sample for sample in decided(samples) if len(sample.draws) > 1]
    for family in dict.fromkeys(sample.family for sample in drawn):
        mine = [sample for sample in drawn if sample.family == family]
        most = min(len(sample.draws) for sample in mine)
        measures = {
            f"pass^{k}": [
                pass_k(sum(bool(answer.right) for answer in sample.draws), len(sample.draws), k) for sample in mine
            ]
            for k in range(1, most + 1)
        }
        measures["agreement"] = [_agreement(sample) for sample in mine]
        found[family] = {name: _estimate(mine, values) for name, values in measures.items()}
    return found


def _estimate(samples: Sequence[Sample], values: Sequence[float]) -> Arms:
    estimate = clustered_mean(values, [sample.lineage for sample in samples], bounds=(0.0, 1.0))
    verified = sum(sample.tier == "verified" for sample in samples)
    return {"tuned": msgspec.structs.replace(estimate, verified=verified)}


def _agreement(sample: Sample) -> float:
    """Share of the pairs of draws that decide the same, right or wrong."""
    pairs = list(combinations(sample.draws, 2))
    return sum(_same(sample, a, b) for a, b in pairs) / len(pairs)


def _same(sample: Sample, a: Answer, b: Answer) -> bool:
    if sample.structure == "tool_decision":
        return bool(a.tool_calls) and same_calls(a.tool_calls, b.tool_calls, sample.tools)
    return a.decision is not None and a.decision == b.decision
