"""The loss over the steps of training: what is drawn, and the same in words and in a table."""

import math
from collections.abc import Sequence

import msgspec

from locum.report import figures
from locum.report.charts import Best, Line, Point, Scale, linear, logarithmic
from locum.report.inputs import Step

DRAWN = 400
"""Points of the training loss that are drawn; of a longer run, means over equal stretches of steps."""
TABLED = 40


class Curve(msgspec.Struct, frozen=True):
    """Section 3 of the page."""

    lines: tuple[Line, ...]
    best: Best | None
    x: Scale
    y: Scale
    sentence: str
    """What the picture shows, in words: also its text alternative."""
    notes: tuple[str, ...]
    table: tuple[tuple[str, str, str], ...]
    """(step, training loss, held-out loss) at the steps where the held-out loss was taken."""


def curve(steps: Sequence[Step]) -> Curve | None:
    """The curve of a run; None where no step has a loss."""
    train = [(s.step, s.train_loss) for s in steps if s.train_loss is not None]
    valid = [(s.step, s.valid_loss) for s in steps if s.valid_loss is not None]
    if not train and not valid:
        return None
    best = min(valid, key=lambda point: point[1]) if valid else None
    drawn = _thinned(train, DRAWN)
    x = _steps_scale(train or valid, [point[0] for point in (*train, *valid)])
    lines = [Line("train", drawn, *_ends("training", train))] if train else []
    if valid:
        lines.append(Line("valid", valid, *_ends("held-out", valid)))
    return Curve(
        lines=tuple(lines),
        best=_best_label(best, valid),
        x=x,
        y=linear([point[1] for point in (*drawn, *valid)]),
        sentence=_sentence(train, valid, best),
        notes=_notes(steps, train, x),
        table=_table(steps),
    )


def _steps_scale(main: Sequence[Point], steps: Sequence[float]) -> Scale:
    """Logarithmic where half of the fall lies in the first tenth of the steps: linear would hide it."""
    low, high = min(steps), max(steps)
    first, last = main[0][1], min(value for _, value in main)
    half = next(step for step, value in main if value <= (first + last) / 2)
    if high >= 50 and half - low <= (high - low) / 10:
        return logarithmic(low, high)
    scale = linear([low, high], about=5)
    return Scale(low, max(high, low + 1), tuple(t for t in scale.ticks if low <= t <= high))


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Means over equal stretches; the first and the last point stay as they are."""
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    size = math.ceil(len(inner) / (most - 2))
    stretches = [inner[i : i + size] for i in range(0, len(inner), size)]
    means = [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in stretches]
    return [points[0], *means, points[-1]]


def _ends(kind: str, points: Sequence[Point]) -> tuple[str, str]:
    return figures.number(points[0][1], 3), f"{kind} {figures.number(points[-1][1], 3)}"


def _best_label(best: Point | None, valid: Sequence[Point]) -> Best | None:
    if best is None:
        return None
    at_end = best[0] == valid[-1][0]
    # At the end of the line its value stands there already.
    label = "best" if at_end else f"best {figures.number(best[1], 3)} at step {best[0]:,.0f}"
    return Best(best, label)


def _sentence(train: Sequence[Point], valid: Sequence[Point], best: Point | None) -> str:
    parts = []
    for kind, points in (("the training loss of single steps", train), ("held-out loss", valid)):
        if points:
            first, last = (figures.number(points[i][1], 3) for i in (0, -1))
            parts.append(f"{kind} went from {first} to {last}")
    steps = max(points[-1][0] for points in (train, valid) if points)
    sentence = f"In {figures.count(int(steps), 'step')} {figures.listing(parts)} nats per token"
    if best:
        sentence += f"; the best held-out loss was {figures.number(best[1], 3)} at step {best[0]:,.0f}"
        sentence += ", after which it rose" if best[0] < valid[-1][0] else ", the last"
    return f"{sentence}."


def _notes(steps: Sequence[Step], train: Sequence[Point], x: Scale) -> tuple[str, ...]:
    notes = []
    seconds, tokens = steps[-1].seconds, steps[-1].tokens
    if seconds > 0 and tokens:
        speed = figures.number(tokens / seconds, 0)
        notes.append(f"{tokens:,} tokens in {figures.duration(seconds)}, {speed} tokens per second.")
    if x.log:
        notes.append("Steps on a logarithmic axis: most of the fall is at the beginning.")
    if len(train) > DRAWN:
        notes.append(f"The training loss of {len(train):,} steps is drawn as means over equal stretches.")
    return tuple(notes)


def _table(steps: Sequence[Step]) -> tuple[tuple[str, str, str], ...]:
    held_out = [s for s in steps if s.valid_loss is not None]
    every = math.ceil(len(held_out) / TABLED) or 1
    chosen = held_out[:-1:every] + held_out[-1:]

    def written(loss: float | None) -> str:
        return "" if loss is None else figures.number(loss, 3)

    return tuple((f"{s.step:,}", written(s.train_loss), written(s.valid_loss)) for s in chosen)
