"""Statistics of a whole bag of answers, and their intervals by leaving session lineages out."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from locum.types import Estimate

GROUPS = 40
"""More lineages than this are left out in groups, so that the cost does not grow with their square."""

Statistic = Callable[[Sequence[int]], npt.NDArray[np.float64]]
"""Indices of answers -> the figures of those answers."""


def jackknife(
    statistic: Statistic, lineages: Sequence[str], bounds: Sequence[tuple[float, float]], confidence: float = 0.95
) -> list[Estimate]:
    """Estimates of several statistics of the same answers, by leaving out one lineage after the other.

    The delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17(4)) with a t quantile: unlike an interval
    of a mean it holds for ratios, vocabularies and compression too. With one lineage the interval is the whole range.

    Args:
        statistic: called with the indices of the answers that are in.
        lineages: the session lineage of each answer, at least one.
        bounds: the range of each figure; intervals are cut to it.
        confidence: two-sided level.
    """
    names = list(dict.fromkeys(lineages))
    group = {name: at % GROUPS for at, name in enumerate(names)}
    groups = min(GROUPS, len(names))
    whole = statistic(range(len(lineages)))
    if groups == 1:
        return [
            Estimate(float(value), *bound, rows=len(lineages), sessions=1)
            for value, bound in zip(whole, bounds, strict=True)
        ]
    parts = np.array([statistic([i for i, name in enumerate(lineages) if group[name] != out]) for out in range(groups)])
    errors = np.sqrt((groups - 1) / groups * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0))
    reach = float(stdtrit(groups - 1, 0.5 + confidence / 2)) * errors
    return [
        Estimate(
            float(value),
            max(low, float(value - half)) if math.isfinite(half) else low,
            min(high, float(value + half)) if math.isfinite(half) else high,
            rows=len(lineages),
            sessions=len(names),
        )
        for value, half, (low, high) in zip(whole, reach, bounds, strict=True)
    ]
