"""A measure of all voices at once, over all sessions and with each session left out: what ratios and means of measures
need for an honest interval."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from locum.evaluation.results import Answer, Sample
from locum.evaluation.statistics import UNBOUNDED, Bounds, jackknife
from locum.types import Estimate, Undefined

VOICES = ("agent", "base", "tuned")
MIN_SESSIONS = 6
"""Below this many sessions no half of them says how much the agent differs from itself."""


class Replicates(msgspec.Struct, frozen=True):
    """One measure."""

    whole: dict[str, float]
    """Voice -> its value over all sessions."""
    without: dict[str, NDArray[np.float64]]
    """Voice -> its value without each session in turn, as in `lineages`."""
    lineages: tuple[str, ...]
    rows: int

    def estimates(self, bounds: Bounds) -> dict[str, Estimate | Undefined]:
        """Each voice with its interval over sessions, cut to the measure's range."""
        found = {voice: jackknife(value, self.without[voice], self.rows, bounds) for voice, value in self.whole.items()}
        return {
            voice: figure
            if isinstance(figure, Undefined)
            else msgspec.structs.replace(figure, estimate=min(bounds[1], max(bounds[0], figure.estimate)))
            for voice, figure in found.items()
        }


class Talk(msgspec.Struct, frozen=True):
    """What the voices said in words to the same prompts."""

    texts: dict[str, tuple[str, ...]]
    """Voice -> one text a row."""
    groups: NDArray[np.int64]
    """The session of each row, as an index into `lineages`."""
    lineages: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.groups)


def talk(samples: Sequence[Sample]) -> Talk:
    """The samples in which the agent spoke and called nothing; an arm's calls are left out of its text."""
    spoken = [sample for sample in samples if not sample.agent.tool_calls]
    lineages = tuple(sorted({sample.lineage for sample in spoken}))
    place = {name: at for at, name in enumerate(lineages)}

    def said(pick: Callable[[Sample], Answer]) -> tuple[str, ...]:
        return tuple(pick(sample).text for sample in spoken)

    return Talk(
        texts={"agent": said(lambda s: s.agent), "base": said(lambda s: s.base), "tuned": said(lambda s: s.tuned)},
        groups=np.array([place[sample.lineage] for sample in spoken], dtype=np.int64),
        lineages=lineages,
    )


def too_few(seen: int, least: int, things: str, sessions: int) -> Undefined | None:
    """Why there is too little to measure by; None where there is enough."""
    if seen < least:
        return Undefined("too_few", f"{seen:,} of at least {least:,} {things}")
    if sessions < MIN_SESSIONS:
        return Undefined("too_few", f"{sessions} of at least {MIN_SESSIONS} sessions")
    return None


def halves(sizes: ArrayLike, splits: int, seed: int = 0) -> NDArray[np.bool_]:
    """Ways to cut the sessions in two: bool [splits, sessions], each about half of all words.

    Sessions go in random order to the half that holds less, so that one long session does not make a half alone.
    """
    draw = np.random.default_rng(seed)
    words = np.asarray(sizes, dtype=np.float64)
    found = np.zeros((splits, len(words)), dtype=bool)
    for split in range(splits):
        held = [0.0, 0.0]
        for session in draw.permutation(len(words)):
            side = int(held[1] < held[0])
            found[split, session] = bool(side)
            held[side] += float(words[session]) + 1
    return found


def combined(
    parts: Mapping[str, Replicates],
    figure: Callable[[dict[str, dict[str, float]]], float],
    bounds: Bounds = UNBOUNDED,
) -> Estimate | Undefined:
    """A function of several measures, with an interval over the sessions of them all.

    Args:
        parts: measures by name; a session that a measure does not hold leaves it as it is.
        figure: measure -> voice -> value, to one number.
        bounds: of the figure.
    """
    lineages = sorted({name for part in parts.values() for name in part.lineages})
    places = {name: {lineage: at for at, lineage in enumerate(part.lineages)} for name, part in parts.items()}

    def values(left_out: str | None) -> dict[str, dict[str, float]]:
        found = {}
        for name, part in parts.items():
            at = None if left_out is None else places[name].get(left_out)
            found[name] = {
                voice: v if at is None else float(part.without[voice][at]) for voice, v in part.whole.items()
            }
        return found

    rows = max(part.rows for part in parts.values())
    return jackknife(figure(values(None)), [figure(values(lineage)) for lineage in lineages], rows, bounds)
