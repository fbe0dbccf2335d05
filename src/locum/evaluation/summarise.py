"""Samples and losses to estimates: every figure of `results.json`, with its interval. Runs no model."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from locum.evaluation.answers import spoken
from locum.evaluation.decisions import decision_label, same_tools
from locum.evaluation.results import Answer, Arms, Sample
from locum.evaluation.statistics import clustered_mean, paired_difference
from locum.evaluation.style import similarity
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


def majority_labels(train: Sequence[Row]) -> dict[str, str]:
    """Family -> the commonest decision among its training rows (of equals the first by name)."""
    counts: dict[str, Counter[str]] = {}
    for row in train:
        label = decision_label(row.structure, row.response)
        if label is not None:
            counts.setdefault(row.family, Counter())[label] += 1
    return {family: min(c, key=lambda label: (-c[label], label)) for family, c in counts.items()}


_MEASURES = {"tool_decision": "exact_call", "code_review": "verdict", "reply": "stance"}


def competence(samples: Sequence[Sample]) -> dict[str, dict[str, Arms]]:
    """Being right, per family and measure; families without decisions do not occur."""
    found: dict[str, dict[str, Arms]] = {}
    decided = [sample for sample in samples if sample.agent.decision is not None]
    order = list(_MEASURES)
    families = {(order.index(sample.structure), sample.family) for sample in decided}
    for at, family in sorted(families):
        structure = order[at]
        measure = _MEASURES[structure]
        mine = [sample for sample in decided if sample.family == family]
        found[family] = {}
        if structure == "tool_decision":
            found[family]["right_tool"] = _right_arms(mine, _right_tool, majority_right)
            # The majority arm names a tool and no arguments, so it never writes a whole call.
            found[family][measure] = _right_arms(mine, lambda s, a: bool(a.right), lambda s: False)
        else:
            found[family][measure] = _right_arms(mine, lambda s, a: bool(a.right), majority_right)
    return found


def _right_tool(sample: Sample, answer: Answer) -> bool:
    return same_tools(answer.tool_calls, sample.agent.tool_calls)


def majority_right(sample: Sample) -> bool:
    """Whether the family's commonest decision is the agent's here; never where the agent's response holds none."""
    return sample.majority is not None and sample.majority == sample.agent.decision


def _right_arms(
    samples: Sequence[Sample], right: Callable[[Sample, Answer], bool], majority: Callable[[Sample], bool]
) -> Arms:
    clusters = [s.lineage for s in samples]
    scores = {
        "tuned": [float(right(s, s.tuned)) for s in samples],
        "base": [float(right(s, s.base)) for s in samples],
        "majority": [float(majority(s)) for s in samples],
    }
    arms = {arm: clustered_mean(values, clusters, bounds=SHARE) for arm, values in scores.items()}
    for other in ("base", "majority"):
        arms[f"tuned-{other}"] = paired_difference(scores["tuned"], scores[other], clusters, bounds=(-1.0, 1.0))
    return arms


def signatures(samples: Sequence[Sample]) -> dict[str, Arms]:
    """Ways of going wrong, as shares: of repeated 4-grams, of answers that loop, of answers with a made-up detail."""
    measures: dict[str, Callable[[Answer], float]] = {
        "repetition": lambda answer: answer.repetition,
        "loops": lambda answer: float(answer.loop),
        "made_up": lambda answer: float(bool(answer.made_up)),
    }
    return {name: _voices(samples, measure, SHARE) for name, measure in measures.items()} if samples else {}


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


def resemblance(samples: Sequence[Sample]) -> dict[str, Arms]:
    """Sounding right: style of what is said in words (tool calls have none), and the length of all answers."""
    if not samples:
        return {}
    found: dict[str, Arms] = {}
    talk = [s for s in samples if not s.agent.tool_calls]
    if talk:
        clusters = [s.lineage for s in talk]
        agent = [s.agent.text for s in talk]
        style = {
            "base": similarity(agent, [s.base.text for s in talk], clusters),
            "tuned": similarity(agent, [s.tuned.text for s in talk], clusters),
        }
        found["style"] = {arm: estimate for arm, estimate in style.items() if estimate is not None}
    longest = max(_words(answer) for s in samples for answer in (s.agent, s.base, s.tuned))
    found["length"] = _voices(samples, _words, (0.0, max(1.0, longest)))
    return found


def _words(answer: Answer) -> float:
    return float(len(spoken(answer.text, answer.tool_calls).split()))
