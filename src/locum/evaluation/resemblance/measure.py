"""All measures of sounding right, and what they come to: how far training carried the base towards the agent."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from locum.evaluation.competence import decided, replayed
from locum.evaluation.resemblance.delta import delta
from locum.evaluation.resemblance.replicates import VOICES, Replicates, combined, talk
from locum.evaluation.resemblance.rhythm import rhythm
from locum.evaluation.resemblance.two_sample import LENGTH_TELLS, TwoSample, two_sample
from locum.evaluation.resemblance.vocabulary import vocabulary
from locum.evaluation.results import Arms, Sample
from locum.types import Estimate, Undefined

SHARE = (0.0, 1.0)


class Resemblance(msgspec.Struct, frozen=True):
    """What was measured, and what could not be."""

    measures: dict[str, Arms]
    """`two_sample`, `style`, `rhythm`, `vocabulary` -> voices, each 0 to 1; `agent` is the agent against itself."""
    recovery: Arms
    """(tuned - base) / (agent - base) of each measure, of `resemblance` (their mean) and of `competence`; `gap` is
    resemblance less competence. 0: as the base; 1: as the agent."""
    undefined: dict[str, Undefined]
    """Path of a figure that there is not -> why."""
    two_sample: dict[str, dict[str, float]]
    """`p_value` and `length_only` (AUC of the length alone) -> arm."""
    rhythm: dict[str, dict[str, float]]
    """Feature -> voice -> distance from the agent; the agent's is its distance from itself."""
    notes: tuple[str, ...]


def resemblance(samples: Sequence[Sample], own_words: frozenset[str]) -> Resemblance:
    """Measure what agent, base and tuned said.

    Args:
        samples: with the three voices.
        own_words: the agent's, from its training responses (`vocabulary.own_words`).
    """
    spoken = talk(samples)
    told, run = two_sample(spoken), rhythm(spoken)
    tried: dict[str, Replicates | Undefined] = {
        "two_sample": told.indistinguishable if isinstance(told, TwoSample) else told,
        "style": delta(spoken),
        "rhythm": run if isinstance(run, Undefined) else run.closeness,
        "vocabulary": vocabulary(samples, own_words),
    }
    measures: dict[str, Arms] = {}
    undefined: dict[str, Undefined] = {}
    for name, found in tried.items():
        if isinstance(found, Undefined):
            undefined[f"resemblance/{name}"] = found
            continue
        figures = found.estimates(SHARE)
        measures[name] = {arm: figure for arm, figure in figures.items() if isinstance(figure, Estimate)}
        undefined |= {
            f"resemblance/{name}/{arm}": figure for arm, figure in figures.items() if isinstance(figure, Undefined)
        }
    recovery, open_ = _recoveries(tried, _right(samples))
    return Resemblance(
        measures=measures,
        recovery=recovery,
        undefined=undefined | open_,
        two_sample={"p_value": told.p_value, "length_only": told.length_only} if isinstance(told, TwoSample) else {},
        rhythm={} if isinstance(run, Undefined) else run.distances,
        notes=_notes(told),
    )


def _notes(told: TwoSample | Undefined) -> tuple[str, ...]:
    if isinstance(told, Undefined) or told.length_only["tuned"] <= LENGTH_TELLS:
        return ()
    auc = told.length_only["tuned"]
    return (f"The length of an answer alone tells tuned from the agent (AUC {auc:.2f}): length is the tell.",)


def _right(samples: Sequence[Sample]) -> Replicates | Undefined:
    """Share of decisions that are the agent's, over all families; the agent's own is 1, or where it was asked again
    what it then agreed with, over the rows that it answered."""
    chosen = replayed(decided(samples)) or decided(samples)
    if not chosen:
        return Undefined("undefined", "no held-out response holds a decision")
    lineages = tuple(sorted({sample.lineage for sample in chosen}))
    place = {name: at for at, name in enumerate(lineages)}
    groups = np.array([place[sample.lineage] for sample in chosen])
    rows = np.bincount(groups)
    whole, without = {}, {}
    for voice in VOICES:
        right = np.array([_is_right(s, voice) for s in chosen])
        sums = np.bincount(groups, weights=right)
        left = len(chosen) - rows
        whole[voice] = float(right.mean())
        without[voice] = np.divide(right.sum() - sums, left, out=np.full(len(rows), np.nan), where=left > 0)
    return Replicates(whole, without, lineages, len(chosen))


def _is_right(sample: Sample, voice: str) -> float:
    if voice == "agent":
        return 1.0 if sample.replay is None else float(bool(sample.replay.right))
    return float(bool(sample.answer(voice).right))


def _recoveries(
    tried: dict[str, Replicates | Undefined], right: Replicates | Undefined
) -> tuple[Arms, dict[str, Undefined]]:
    figures: dict[str, Estimate | Undefined] = {}
    parts: dict[str, Replicates] = {}
    for name, found in {**tried, "competence": right}.items():
        if isinstance(found, Undefined):
            figures[name] = found
            continue
        room = combined({name: found}, lambda values, of=name: values[of]["agent"] - values[of]["base"])  # type: ignore[misc]
        if isinstance(room, Undefined):
            figures[name] = room
        elif room.low <= 0:
            figures[name] = Undefined(
                "undefined",
                f"the base is not shown to be farther from the agent than the agent from itself "
                f"({room.estimate:+.2f} [{room.low:+.2f}, {room.high:+.2f}])",
            )
        else:
            parts[name] = found
            figures[name] = combined({name: found}, _mean_recovery)
    alike = {name: part for name, part in parts.items() if name != "competence"}
    nothing = Undefined("too_few", "no measure of resemblance is defined")
    figures["resemblance"] = combined(alike, _mean_recovery) if alike else nothing
    if not alike or "competence" not in parts:
        figures["gap"] = nothing if not alike else Undefined("undefined", "competence has no recovery")
    else:
        figures["gap"] = combined(parts, _gap)
    return (
        {name: figure for name, figure in figures.items() if isinstance(figure, Estimate)},
        {f"recovery/{name}": figure for name, figure in figures.items() if isinstance(figure, Undefined)},
    )


def _recovery(voices: dict[str, float]) -> float:
    room = voices["agent"] - voices["base"]
    return (voices["tuned"] - voices["base"]) / room if room > 0 else float("nan")


def _mean_recovery(values: dict[str, dict[str, float]]) -> float:
    return float(np.mean([_recovery(voices) for voices in values.values()]))


def _gap(values: dict[str, dict[str, float]]) -> float:
    alike: dict[str, Any] = {name: voices for name, voices in values.items() if name != "competence"}
    return _mean_recovery(alike) - _recovery(values["competence"])
