"""The measured legibility of rows: how much each row's own prompt helps its response, family by family."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from locum.dataset.scores import RowScore, Spread, by_family, spread_of
from locum.report import figures
from locum.report.charts import Scale, linear
from locum.report.voices import visible
from locum.types import Estimate

_BINS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Where the bars of the distribution part, in nats per token."""


class Lies(msgspec.Struct, frozen=True):
    """How the scores of one group lie: its median, with the middle half as the reach of the mark."""

    label: str
    estimate: Estimate
    text: str
    """`+0.68 [+0.12, +1.40]`."""
    helped: str
    """`84 %`: the share of rows whose own prompt helps."""


class Bar(msgspec.Struct, frozen=True):
    """How many rows score within one stretch."""

    label: str
    rows: int


class Legible(msgspec.Struct, frozen=True):
    """What the page says of `dataset/scores.jsonl`."""

    sentence: str
    bars: tuple[Bar, ...]
    most: int
    """Rows of the longest bar."""
    scale: Scale
    groups: tuple[Lies, ...]


def legible(scores: Sequence[RowScore]) -> Legible | None:
    """The distribution over all rows, and median and middle half by family; None where nothing was scored."""
    spread = spread_of(scores)
    if spread is None:
        return None
    families = [(visible(family), spread_of(members)) for family, members in by_family(scores).items()]
    groups = [(label, found) for label, found in (("all rows", spread), *families) if found is not None]
    bars = _bars([score.gain_per_token for score in scores])
    return Legible(
        sentence=_sentence(spread),
        bars=bars,
        most=max(bar.rows for bar in bars),
        scale=linear([value for _, found in groups for value in (found["low"], found["high"])], zero=True),
        groups=tuple(_lies(label, found) for label, found in groups),
    )


def _sentence(spread: Spread) -> str:
    rows, helped = figures.count(spread["rows"], "row"), figures.percent(spread["helped"] / spread["rows"])
    return (
        f"Of {rows} scored, {helped} are easier to predict after their own prompt than after another row's of the same "
        f"family: the median gain is {figures.number(spread['median'], 2, signed=True)} nats per token under the base. "
        "About nought means that the prompt does not show why the response follows, or that it would follow anything."
    )


def _bars(gains: Sequence[float]) -> tuple[Bar, ...]:
    edges = [figures.number(edge, 1) for edge in _BINS]
    between = (f"{low} to {high}" for low, high in pairwise(edges))
    labels = (f"below {edges[0]}", *between, f"{edges[-1]} and more")
    places = [sum(gain >= edge for edge in _BINS) for gain in gains]
    return tuple(Bar(label, places.count(place)) for place, label in enumerate(labels))


def _lies(label: str, spread: Spread) -> Lies:
    estimate = Estimate(spread["median"], spread["low"], spread["high"], spread["rows"], 0)
    middle, low, high = (figures.number(spread[key], 2, signed=True) for key in ("median", "low", "high"))
    return Lies(label, estimate, f"{middle} [{low}, {high}]", figures.percent(spread["helped"] / spread["rows"]))
