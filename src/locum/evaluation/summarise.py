"""Samples and losses to estimates: every figure of `results.json`, with its interval. Runs no model."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from locum.evaluation.answers import spoken
from locum.evaluation.results import Answer, Arms, Sample
from locum.evaluation.statistics import clustered_mean, paired_difference
from locum.types import Row

Losses = Sequence[npt.NDArray[np.float32]]
SHARE = (0.0, 1.0)


def loss_arms(rows: Sequence[Row], base: Losses, tuned: Losses) -> Arms:
    """Held-out loss in nats per token of both arms and the drop, over all tokens, with the session as the cluster."""
    if not rows:
        return {}
    clusters = [row.lineage for row, losses in zip(rows, base, strict=True) for _ in range(len(losses))]
    first, second = np.concatenate(list(base)).astype(float), np.concatenate(list(tuned)).astype(float)
    # A token's loss has no upper end; what was seen bounds the interval of a single session.
    top = float(max(first.max(), second.max()))
    arms = {
        "base": clustered_mean(first, clusters, bounds=(0.0, top)),
        "tuned": clustered_mean(second, clusters, bounds=(0.0, top)),
        "base-tuned": paired_difference(first, second, clusters, bounds=(-top, top)),
    }
    return {arm: msgspec.structs.replace(estimate, rows=len(rows)) for arm, estimate in arms.items()}


def by_family(rows: Sequence[Row], base: Losses, tuned: Losses) -> dict[str, Arms]:
    """`loss_arms` of each family."""
    found: dict[str, Arms] = {}
    for family in sorted({row.family for row in rows}):
        mine = [index for index, row in enumerate(rows) if row.family == family]
        found[family] = loss_arms([rows[i] for i in mine], [base[i] for i in mine], [tuned[i] for i in mine])
    return found


def _voices(samples: Sequence[Sample], measure: Callable[[Answer], float], bounds: tuple[float, float]) -> Arms:
    clusters = [s.lineage for s in samples]
    values = {
        "agent": [measure(s.agent) for s in samples],
        "base": [measure(s.base) for s in samples],
        "tuned": [measure(s.tuned) for s in samples],
    }
    arms = {arm: clustered_mean(v, clusters, bounds=bounds) for arm, v in values.items()}
    width = bounds[1] - bounds[0]
    arms["tuned-agent"] = paired_difference(values["tuned"], values["agent"], clusters, bounds=(-width, width))
    return arms


def lengths(samples: Sequence[Sample]) -> Arms:
    """Words per answer; of calls, those of their arguments."""
    if not samples:
        return {}
    longest = max(_words(answer) for s in samples for answer in (s.agent, s.base, s.tuned))
    return _voices(samples, _words, (0.0, max(1.0, longest)))


def _words(answer: Answer) -> float:
    return float(len(spoken(answer.text, answer.tool_calls).split()))
