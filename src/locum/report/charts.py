"""The pictures: inline SVG made here, as pure functions of numbers.

No plotting library: a script of megabytes for a line and some dots would work neither printed nor without
JavaScript. Positions along an axis are percentages, so a picture takes the width it is given while its text
keeps the reader's own size: nothing shrinks on a phone. Colours come from the style sheet (`report.css`) by
class, which gives light, dark and print at once; every distinction is also one of shape, dash or word.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
from markupsafe import Markup

from locum.report import figures
from locum.types import Estimate

Point = tuple[float, float]

_SHAPES = {
    "agent": "M0-6 6 0 0 6-6 0Z",  # diamond
    "base": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z",  # ring
    "tuned": "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0Z",  # disc
    "majority": "M-4.5-4.5h9v9h-9Z",  # square
    "knn": "M0-5.5 5.5 4.5h-11Z",  # triangle
}
_OTHER_SHAPE = "M-5 0h10M0-5v10"  # plus

_SIGNS = {
    "LIVE": '<circle cx="8" cy="8" r="7.5" class="solid"/><path d="m4.5 8.2 2.5 2.6 4.6-5.4" class="cut"/>',
    "CANARY": '<circle cx="8" cy="8" r="6.6"/><path d="M8 1.4a6.6 6.6 0 0 1 0 13.2Z" class="solid"/>',
    "SHADOW": '<circle cx="6" cy="8" r="5"/><circle cx="10" cy="8" r="5"/>',
    "INSUFFICIENT": '<circle cx="8" cy="8" r="6.4" stroke-dasharray="2.9 2.1"/>',
    "REJECT": '<path d="M2 2h12v12H2ZM5 5l6 6M11 5l-6 6"/>',
    "right": '<path d="m2.5 8.5 3.6 3.8 7.4-8.8"/>',
    "wrong": '<path d="m3.5 3.5 9 9m0-9-9 9"/>',
    "undecided": '<path d="M3 8h10"/>',
}
_UNKNOWN_SIGN = '<circle cx="8" cy="8" r="6.4"/><path d="M8 4.5v4.5m0 2v1"/>'


class Scale(msgspec.Struct, frozen=True):
    """A horizontal or vertical axis: its ends and where its ticks stand."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False
    """Whether it is logarithmic; nought, which has no logarithm, then stands where one half would."""

    def at(self, value: float) -> float:
        """Position of `value` in percent of the axis, held to its ends."""
        low, high, here = (math.log10(max(v, 0.5)) if self.log else v for v in (self.low, self.high, value))
        if not math.isfinite(here):
            return 0.0 if here < 0 else 100.0
        return round(min(max((here - low) / (high - low or 1.0), 0.0), 1.0) * 100, 2)


SHARES = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
SHARE_DIFFERENCES = Scale(-1.0, 1.0, (-1.0, -0.5, 0.0, 0.5, 1.0))


def linear(values: Sequence[float], *, zero: bool = False, about: int = 4) -> Scale:
    """A linear scale over `values` with round ticks (steps of 1, 2 or 5); `zero` makes it include nought."""
    finite = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(n * step, 9) for n in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def logarithmic(low: float, high: float) -> Scale:
    """A base-10 logarithmic scale of counts from `low` to `high`; ticks at 0, 1, 3, 10, 30, ..."""
    marks = (m * 10**p for p in range(13) for m in (1, 3))
    ticks = [float(m) for m in marks if low <= m <= high]
    return Scale(low, high, (0.0, *ticks) if low == 0 else tuple(ticks), log=True)


def sign(kind: str) -> Markup:
    """A verdict's or a judgement's sign: each has a shape of its own. The word always stands beside it."""
    drawing = Markup(_SIGNS.get(kind, _UNKNOWN_SIGN))
    return Markup('<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(drawing)


def arm_mark(arm: str) -> Markup:
    """The mark that stands for an arm in every interval plot, for legends and row heads."""
    return Markup('<svg class="mark {}" viewBox="-8 -8 16 16" aria-hidden="true"><path d="{}"/></svg>').format(
        _arm_class(arm), _SHAPES.get(arm, _OTHER_SHAPE)
    )


def dot(arm: str, estimate: Estimate, scale: Scale) -> Markup:
    """An estimate and its interval on `scale`; the estimate alone where one session has none. Hidden from screen
    readers: the next cell says it."""
    ends = (estimate.estimate,) * 2 if estimate.sessions == 1 else (estimate.low, estimate.high)
    x, low, high = (f"{scale.at(v)}%" for v in (estimate.estimate, *ends))
    grid = Markup("").join(
        Markup('<line class="grid{}" x1="{x}" x2="{x}" y1="0" y2="100%"/>').format(
            Markup(" nought") if tick == 0 and scale.low < 0 else "", x=f"{scale.at(tick)}%"
        )
        for tick in scale.ticks
    )
    return Markup(
        '<svg class="dot {arm}" aria-hidden="true">{grid}'
        '<line class="reach" x1="{low}" x2="{high}" y1="50%" y2="50%"/>'
        '<svg class="at" x="{x}" y="50%"><path d="{shape}"/></svg></svg>'
    ).format(arm=_arm_class(arm), grid=grid, low=low, high=high, x=x, shape=_SHAPES.get(arm, _OTHER_SHAPE))


def axis(scale: Scale, *, signed: bool = False) -> Markup:
    """The tick labels of `scale`, to stand under a column of `dot`s."""
    labels = Markup("").join(
        Markup('<text x="{}%" y="11" text-anchor="middle">{}</text>').format(scale.at(tick), _tick(tick, signed=signed))
        for tick in scale.ticks
    )
    return Markup('<svg class="axis" aria-hidden="true">{}</svg>').format(labels)


def bar(start: float, stop: float, total: float, kind: str) -> Markup:
    """A bar from `start` to `stop` on an axis from nought to `total`; never thinner than can be seen."""
    left, width = (100 * v / total if total else 0.0 for v in (start, stop - start))
    return Markup(
        '<svg class="bar" aria-hidden="true"><rect class="{}" x="{}%" width="{}%" height="100%"/></svg>'
    ).format(kind, round(min(left, 99.6), 2), round(max(width, 0.4), 2))


class Line(NamedTuple):
    """One line of a chart: points in the axes' units, and what is written at its ends."""

    kind: Literal["train", "valid"]
    points: Sequence[Point]
    first: str
    last: str


class Best(NamedTuple):
    """The point to be ringed, and its label."""

    point: Point
    label: str


def curve(lines: Sequence[Line], best: Best | None, x: Scale, y: Scale, alternative: str) -> Markup:
    """The loss over steps. `alternative` says in words what is seen."""
    parts = [_grid(x, y), _paths(lines, x, y)]
    for line in lines:
        if line.kind == "valid":
            parts += [_place(p, x, y, Markup('<circle class="valid" r="3.2"/>')) for p in line.points]
    if best:
        parts.append(_place(best.point, x, y, Markup('<circle class="best" r="7.5"/>')))
        across = x.at(best.point[0])
        # The label hangs below the line, towards the side that has room.
        anchor = "start" if across < 25 else "end" if across > 60 else "middle"
        parts.append(_label(across, 100 - y.at(best.point[1]), 24, 0, anchor, best.label, "valid"))
    for side in ("first", "last"):
        ends = [(line, line.points[0 if side == "first" else -1]) for line in lines if line.points]
        heights = spread([100 - y.at(point[1]) for _, point in ends], gap=8.0)
        for (line, point), height in zip(ends, heights, strict=True):
            text, shift, anchor = (line.first, 9, "start") if side == "first" else (line.last, 11, "start")
            parts.append(_label(x.at(point[0]), height, 4, shift, anchor, text, line.kind))
    return Markup('<svg class="curve" role="img" aria-label="{}">{}</svg>').format(alternative, Markup("").join(parts))


def valley(drops: Sequence[float], deepest: float, highest: float, alternative: str) -> Markup:
    """How far below (and above) its first loss a class stood, checkpoint by checkpoint, as ground seen from the side.

    Args:
        drops: nats per token below the first loss, the first is 0; negative above it.
        deepest: the largest drop on the page, `highest`: the largest rise: all valleys share one scale.
        alternative: the same in words.
    """
    level = 100 * highest / (highest + deepest)
    points = [
        (100 * i / max(1, len(drops) - 1), level + 100 * drop / (highest + deepest)) for i, drop in enumerate(drops)
    ]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Markup(
        '<svg class="valley" role="img" aria-label="{alternative}" viewBox="0 0 100 100" preserveAspectRatio="none">'
        '<path class="ground" d="M0 {level:.1f}L{line}L100 {level:.1f}Z"/>'
        '<path class="level" d="M0 {level:.1f}H100"/><path class="line" d="M{line}"/></svg>'
    ).format(alternative=alternative, level=level, line=line)


class Rung(NamedTuple):
    """A loss at a number of training rows, with the ends of its band."""

    rows: float
    loss: float
    low: float
    high: float


def ladder(rungs: Sequence[Rung], law: Sequence[Point], ahead: Rung | None, x: Scale, y: Scale, words: str) -> Markup:
    """Losses over rows: what was measured as discs with their bands, the law as a line, what is foretold as a ring.

    `words` says the same.
    """
    parts = [_grid(x, y)]
    if law:
        path = "L".join(f"{x.at(a)} {round(100 - y.at(b), 2)}" for a, b in law)
        parts.append(
            Markup(
                '<svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">'
                '<path class="law" d="M{}"/></svg>'
            ).format(path)
        )
    for rung, kind, size in (*((rung, "seen", 3.4) for rung in rungs), *([(ahead, "ahead", 5.0)] if ahead else [])):
        parts.append(
            Markup('<line class="band {kind}" x1="{x}%" x2="{x}%" y1="{high}%" y2="{low}%"/>').format(
                kind=kind, x=x.at(rung.rows), high=round(100 - y.at(rung.high), 2), low=round(100 - y.at(rung.low), 2)
            )
        )
        drawing = Markup('<circle class="{}" r="{}"/>').format(kind, size)
        parts.append(_place((rung.rows, rung.loss), x, y, drawing))
    return Markup('<svg class="ladder" role="img" aria-label="{}">{}</svg>').format(words, Markup("").join(parts))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move labels (positions in percent, any order) apart so that any two are at least `gap` from each other,
    each as little as need be, keeping their order and their common centre."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + gap)
    push = sum(moved) / len(moved) - sum(heights) / len(heights) if heights else 0.0
    return [height - push for height in moved]


def _grid(x: Scale, y: Scale) -> Markup:
    rows = Markup("").join(
        Markup(
            '<line class="grid" x1="0" x2="100%" y1="{at}%" y2="{at}%"/>'
            '<text class="tick" x="0" y="{at}%" dx="-8" dy="4" text-anchor="end">{text}</text>'
        ).format(at=round(100 - y.at(tick), 2), text=_tick(tick))
        for tick in y.ticks
    )
    columns = Markup("").join(
        Markup('<text class="tick" x="{at}%" y="100%" dy="18" text-anchor="middle">{text}</text>').format(
            at=x.at(tick), text=_tick(tick)
        )
        for tick in x.ticks
    )
    return rows + columns


def _paths(lines: Sequence[Line], x: Scale, y: Scale) -> Markup:
    """The lines in a stretched box of 100 by 100; their strokes keep their width."""
    paths = Markup("").join(
        Markup('<path class="{}" d="M{}"/>').format(
            line.kind, "L".join(f"{x.at(a)} {round(100 - y.at(b), 2)}" for a, b in line.points)
        )
        for line in lines
        if len(line.points) > 1
    )
    return Markup('<svg width="100%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">{}</svg>').format(
        paths
    )


def _place(point: Point, x: Scale, y: Scale, drawing: Markup) -> Markup:
    return Markup('<svg class="at" x="{}%" y="{}%">{}</svg>').format(
        x.at(point[0]), round(100 - y.at(point[1]), 2), drawing
    )


def _label(x: float, y: float, dy: int, dx: int, anchor: str, text: str, kind: str) -> Markup:
    return Markup('<text class="label {}" x="{}%" y="{}%" dx="{}" dy="{}" text-anchor="{}">{}</text>').format(
        kind, x, round(y, 2), dx, dy, anchor, text
    )


def _arm_class(arm: str) -> str:
    return arm if arm in _SHAPES else "other"


def _tick(value: float, *, signed: bool = False) -> str:
    """A tick with as few decimals (0 to 3) as write it exactly."""
    digits = next((d for d in range(3) if abs(round(value, d) - value) < 1e-9), 3)
    return figures.number(value, digits, signed=signed)
