"""The ladder of types (`--quant ladder`): which were tried, what each would have cost, and which was taken."""

import msgspec

from locum.evaluation.quant_results import Ladder, Rung
from locum.report import figures
from locum.report.voices import visible


class Line(msgspec.Struct, frozen=True):
    """One type's row of the table."""

    type: str
    size: str
    loss: str
    decisions: str
    verdict: str


HEADS = ("type", "size", "held-out loss, less full precision's", "decisions lost", "verdict")


class Quantization(msgspec.Struct, frozen=True):
    """The ladder as the page shows it."""

    sentence: str
    """What was asked of a type, what came of it, and on what evidence."""
    lines: tuple[Line, ...]
    """Smallest file first."""


def quantization(ladder: Ladder | None) -> Quantization | None:
    """The ladder of a run; None where nobody asked for one, or nothing was tried."""
    if ladder is None or not ladder.rungs:
        return None
    return Quantization(sentence=_sentence(ladder), lines=tuple(map(_line, ladder.rungs)))


def _sentence(ladder: Ladder) -> str:
    loss, first = ladder.rungs[-1].loss, ladder.rungs[0]
    asked = (
        f"Wanted was the smallest type whose held-out loss rises, at the upper end of its 95 % interval, by at most "
        f"{figures.number(ladder.loss_margin)} nats per token, and that loses, net, at most "
        f"{figures.percent(ladder.decision_margin)} of {figures.count(first.decisions, 'decision')}."
    )
    chosen = visible(ladder.chosen)
    if any(rung.holds for rung in ladder.rungs):
        found = f"{chosen} is the first that holds; larger ones were not tried."
    else:
        found = f"None of {figures.count(len(ladder.rungs), 'type')} holds, so the file is {chosen}."
    seen = f"{figures.count(loss.rows, 'row')} of {figures.count(loss.sessions, 'session')} (split valid)"
    return f"{asked} {found} Measured on {seen}."


def _line(rung: Rung) -> Line:
    return Line(
        type=visible(rung.quantization),
        size=figures.size(rung.bytes),
        loss=figures.interval(rung.loss, 3, signed=True),
        decisions=f"{figures.number(rung.decisions_lost, 0)} of {rung.decisions:,}",
        verdict="holds" if rung.holds else "worse",
    )
