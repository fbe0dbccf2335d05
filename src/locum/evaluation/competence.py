"""Being right: every arm's decisions against the agent's, per family and measure, and what a lookup does as well."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import msgspec
import numpy as np

from locum.evaluation.arms import ROUTINE
from locum.evaluation.decisions import decision_label, same_tools
from locum.evaluation.partial import Partial, partial
from locum.evaluation.results import Answer, Arms, Measures, Sample, Stratum
from locum.evaluation.statistics import clustered_mean, jackknife, paired_difference
from locum.types import Estimate, Row, Tier, Undefined

SHARE = (0.0, 1.0)
PRIMARY = {"tool_decision": "exact_call", "code_review": "verdict", "reply": "stance"}
"""Structural family -> the measure that says whether it is right."""


class Competence(msgspec.Struct, frozen=True):
    """What was measured, and what could not be."""

    measures: Measures
    undefined: dict[str, Undefined]
    """`family/measure/arm` -> why there is no such figure."""


def majority_labels(train: Sequence[Row]) -> dict[str, str]:
    """Family -> the commonest decision among its training rows (of equals the first by name)."""
    counts: dict[str, Counter[str]] = {}
    for row in train:
        label = decision_label(row.structure, row.response)
        if label is not None:
            counts.setdefault(row.family, Counter())[label] += 1
    return {family: min(c, key=lambda label: (-c[label], label)) for family, c in counts.items()}


def decided(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in which the agent's response holds a decision."""
    return [sample for sample in samples if sample.agent.decision is not None]


def competence(samples: Sequence[Sample]) -> Competence:
    """Being right, per family and measure; families without decisions do not occur."""
    found: Measures = {}
    undefined: dict[str, Undefined] = {}
    order = list(PRIMARY)
    for at, family in sorted({(order.index(sample.structure), sample.family) for sample in decided(samples)}):
        mine = [sample for sample in decided(samples) if sample.family == family]
        measures = _measures(order[at], mine)
        for name, figures in measures.items():
            undefined |= {
                f"{family}/{name}/{arm}": figure for arm, figure in figures.items() if isinstance(figure, Undefined)
            }
        found[family] = {
            name: {arm: figure for arm, figure in figures.items() if isinstance(figure, Estimate)}
            for name, figures in measures.items()
        }
    return Competence(found, undefined)


def tiers(samples: Sequence[Sample]) -> dict[str, dict[Tier, int]]:
    """Family -> tier -> rows that hold a decision."""
    counts: dict[str, dict[Tier, int]] = {}
    for sample in decided(samples):
        mine = counts.setdefault(sample.family, dict.fromkeys(get_args(Tier), 0))
        mine[sample.tier] += 1
    return counts


def stratum(sample: Sample) -> Stratum:
    """`routine` where a training row's prompt is much like this one, else `novel`."""
    return "routine" if sample.similarity >= ROUTINE else "novel"


def lookups(measures: Measures) -> dict[str, Estimate]:
    """Families in which the tuned model is not shown to be right more often than a copy of the nearest training row's
    decision, with the difference: until it is, the lookup is the thing to ship."""
    found = {}
    for family, named in measures.items():
        for name in PRIMARY.values():
            difference = named.get(name, {}).get("tuned-knn")
            if difference is not None and difference.low <= 0:
                found[family] = difference
    return found


def majority_right(sample: Sample) -> bool:
    """Whether the family's commonest decision is the agent's here; never where the agent's response holds none."""
    return sample.majority is not None and sample.majority == sample.agent.decision


def replayed(samples: Sequence[Sample]) -> list[Sample]:
    """The samples on which the agent was asked again, and answered."""
    return [sample for sample in samples if sample.replay is not None]


def _replays(samples: Sequence[Sample]) -> list[tuple[Sample, Answer]]:
    return [(sample, sample.replay) for sample in samples if sample.replay is not None]


Score = Callable[[Sample, Answer], float]


def _measures(structure: str, samples: Sequence[Sample]) -> dict[str, dict[str, Estimate | Undefined]]:
    majority = [float(majority_right(sample)) for sample in samples]
    if structure == "tool_decision":
        # The majority arm names a tool and no arguments, so it never writes a whole call.
        none = [0.0] * len(samples)
        return {
            "right_tool": {**_arms(samples, _right_tool, majority)},
            "argument_keys": {**_arms(samples, lambda s, a: 1.0 if a.right else _partial(s, a).keys, none)},
            "argument_values": {**_arms(samples, lambda s, a: 1.0 if a.right else _partial(s, a).values, none)},
            "exact_call": {**_arms(samples, _right, none)},
        }
    name = PRIMARY[structure]
    found: dict[str, dict[str, Estimate | Undefined]] = {name: {**_arms(samples, _right, majority)}}
    if structure == "code_review":
        found[f"{name}_balanced"] = {
            arm: _balanced(samples, scores)
            for arm, scores in {**_scores(samples, _right), "majority": majority}.items()
        }
        if again := replayed(samples):
            found[f"{name}_balanced"]["agent"] = _balanced(again, [_right(s, a) for s, a in _replays(again)])
    return found


def _right(sample: Sample, answer: Answer) -> float:
    return float(bool(answer.right))


def _right_tool(sample: Sample, answer: Answer) -> float:
    return float(same_tools(answer.tool_calls, sample.agent.tool_calls))


def _partial(sample: Sample, answer: Answer) -> Partial:
    return partial(answer.tool_calls, sample.agent.tool_calls)


def _scores(samples: Sequence[Sample], score: Score) -> dict[str, list[float]]:
    """Arm -> one number a row; an arm that did not answer all of them takes no part."""
    further = [arm for arm in samples[0].others if all(arm in sample.others for sample in samples)]
    return {arm: [score(s, s.answer(arm)) for s in samples] for arm in ("tuned", "base", *further)}


def _arms(samples: Sequence[Sample], score: Score, majority: Sequence[float]) -> Arms:
    scores = _scores(samples, score) | {"majority": list(majority)}
    arms = _compared(samples, scores)
    if again := replayed(samples):
        # A prompt may be refused: the agent is judged, and compared, on those that it answered.
        agent, tuned = [score(s, a) for s, a in _replays(again)], [score(s, s.tuned) for s in again]
        found = _compared(again, {"tuned": tuned, "agent": agent})
        arms |= {arm: found[arm] for arm in ("agent", "tuned-agent")}
    return arms


def _compared(samples: Sequence[Sample], scores: Mapping[str, Sequence[float]]) -> Arms:
    """Every arm's share, and what `tuned` is ahead of each of the others."""
    clusters = [s.lineage for s in samples]
    verified = sum(s.tier == "verified" for s in samples)
    arms = {arm: clustered_mean(values, clusters, bounds=SHARE) for arm, values in scores.items()}
    for other in scores:
        if other != "tuned":
            arms[f"tuned-{other}"] = paired_difference(scores["tuned"], scores[other], clusters, bounds=(-1.0, 1.0))
    return {arm: msgspec.structs.replace(estimate, verified=verified) for arm, estimate in arms.items()}


def _balanced(samples: Sequence[Sample], scores: Sequence[float]) -> Estimate | Undefined:
    """Mean over the agent's decisions of the share right where it decided so: always saying the commonest earns no more
    than chance."""
    labels = sorted({str(s.agent.decision) for s in samples})
    if len(labels) < 2:
        return Undefined("undefined", f"the agent always decided {labels[0]!r}")
    lineages = sorted({s.lineage for s in samples})
    place, index = ({name: at for at, name in enumerate(names)} for names in (lineages, labels))
    right, rows = np.zeros((len(lineages), len(labels))), np.zeros((len(lineages), len(labels)))
    for sample, score in zip(samples, scores, strict=True):
        at = place[sample.lineage], index[str(sample.agent.decision)]
        right[at] += score
        rows[at] += 1
    left = rows.sum(0) - rows
    without = np.where(left > 0, (right.sum(0) - right) / np.maximum(left, 1), np.nan).mean(axis=1)
    found = jackknife(float((right.sum(0) / rows.sum(0)).mean()), without, len(samples), SHARE)
    if isinstance(found, Undefined):
        return found
    return msgspec.structs.replace(found, verified=sum(s.tier == "verified" for s in samples))
