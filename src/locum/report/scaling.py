"""How the held-out loss fell with rows: the points, the fit and its band, or why nothing is foretold."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from locum.evaluation.scaling.forecast import Forecast
from locum.evaluation.scaling.results import Scaling
from locum.report import figures
from locum.report.charts import Rung, Scale, linear, logarithmic
from locum.report.valleys import MEANINGS
from locum.report.voices import visible

_DRAWN = 40
"""Points of the fitted line."""


class Climb(msgspec.Struct, frozen=True, kw_only=True):
    """One picture: all tokens, a family, or a family's choices."""

    name: str
    rungs: tuple[Rung, ...]
    law: tuple[tuple[float, float], ...]
    """The fitted line; empty where nothing is foretold."""
    ahead: Rung | None
    """What is expected at the number of rows that was asked for."""
    x: Scale
    y: Scale
    answer: str
    refused: tuple[str, ...]
    """Why nothing is foretold, each reason in words."""
    alternative: str
    """The picture in words."""


class Line(msgspec.Struct, frozen=True):
    """One class in the table."""

    name: str
    meaning: str
    first: str
    last: str
    fall: str
    answer: str


class Climbs(msgspec.Struct, frozen=True, kw_only=True):
    """The whole section."""

    next: str
    what: str
    """What was trained and scored."""
    climbs: tuple[Climb, ...]
    classes: tuple[Line, ...]
    lever: str
    """What a larger base gained on the same rows; empty where none was tried."""


def climbs(scaling: Scaling | None) -> Climbs | None:
    """The section of a ladder; None where none was run."""
    if scaling is None:
        return None
    families = _named(scaling.families, "{}")
    choices = _named(scaling.choices, "choice, {}")
    pictures = (_climb("all tokens", scaling.all), *(_climb(name, one) for name, one in (*families, *choices)))
    return Climbs(
        next=next_batch(scaling),
        what=(
            f"{figures.count(len(scaling.rungs), 'training')} from {visible(scaling.base)}, each scored on the same "
            f"{figures.count(scaling.held_out_rows, 'held-out row')} of "
            f"{figures.count(scaling.held_out_sessions, 'session')}, in {figures.duration(scaling.seconds)}."
        ),
        climbs=pictures,
        classes=tuple(_line(name, one) for name, one in scaling.classes.items()),
        lever=lever(scaling),
    )


def next_batch(scaling: Scaling) -> str:
    """What to collect next, and what it would bring; or why nobody can say."""
    whole = scaling.all
    if whole.refused or whole.expected is None or whole.expected_band is None:
        return f"Nothing is foretold: {whole.refused[0] if whole.refused else 'no law was fitted'}."
    sessions = max((rung.sessions for rung in scaling.rungs), default=0)
    more = whole.asked - whole.rows[-1]
    batch = math.ceil(more * sessions / whole.rows[-1])
    said = (
        f"Next batch: {more:,} more rows, about {figures.count(batch, 'session')} of the same mix, would bring the "
        f"held-out loss from {whole.losses[-1]:.3f} to {whole.expected:.3f} {_interval(whole.expected_band)}"
    )
    falls = {name: _foretold_fall(one) for name, one in scaling.families.items()}
    best = max(
        (name for name, fall in falls.items() if fall is not None), key=lambda name: falls[name] or 0, default=""
    )
    return f"{said}; {visible(best)} gains most by it." if best and len(falls) > 1 else f"{said}."


def lever(scaling: Scaling) -> str:
    """The other lever, a larger base on the same rows, beside more rows; empty where none was tried."""
    larger = scaling.larger
    if larger is None:
        return ""
    said = (
        f"The other lever: {visible(larger.base)} on the same rows has a held-out loss of {larger.all.loss:.3f} "
        f"{_interval(larger.all.loss_band)}, {figures.number(larger.all.gain, 3, signed=True)} "
        f"{_interval(larger.all.gain_band)} less than {visible(scaling.base)}"
    )
    if scaling.all.expected is not None:
        said += f"; {scaling.all.asked:,} rows would have {scaling.all.expected:.3f}"
    return f"{said} (nats for each token of {visible(scaling.base)})."


def _foretold_fall(forecast: Forecast) -> float | None:
    return None if forecast.expected is None else forecast.losses[-1] - forecast.expected


def _named(forecasts: Mapping[str, Forecast], form: str) -> list[tuple[str, Forecast]]:
    return [(form.format(visible(name)), forecast) for name, forecast in forecasts.items()]


def _climb(name: str, forecast: Forecast) -> Climb:
    rungs = tuple(map(Rung, forecast.rows, forecast.losses, *zip(*forecast.bands, strict=True)))
    ahead: Rung | None = None
    law: tuple[tuple[float, float], ...] = ()
    if forecast.expected is not None and forecast.expected_band and forecast.law:
        ahead = Rung(forecast.asked, forecast.expected, *forecast.expected_band)
        law = _drawn(forecast)
    marks = (*rungs, *([ahead] if ahead else []))
    answer = _answer(forecast)
    points = "; ".join(f"{one.loss:.3f} with {figures.count(int(one.rows), 'row')}" for one in rungs)
    return Climb(
        name=name,
        rungs=rungs,
        law=law,
        ahead=ahead,
        x=logarithmic(min(one.rows for one in marks), max(one.rows for one in marks)),
        y=linear([value for one in marks for value in (one.loss, one.low, one.high)], about=3),
        answer=answer,
        refused=forecast.refused,
        alternative=f"{name}: held-out loss in nats per token {points}. {answer}",
    )


def _drawn(forecast: Forecast) -> tuple[tuple[float, float], ...]:
    if forecast.law is None:
        return ()
    low, high = forecast.rows[0], max(forecast.asked, forecast.rows[-1])
    rows = [low * (high / low) ** (step / (_DRAWN - 1)) for step in range(_DRAWN)]
    return tuple((n, forecast.law.at(n)) for n in rows)


def _answer(forecast: Forecast) -> str:
    rate = "" if forecast.base_rate is None else f" The base rate alone has {forecast.base_rate:.3f}."
    return f"{_ahead(forecast)}{rate}"


def _ahead(forecast: Forecast) -> str:
    if forecast.refused or forecast.expected is None or forecast.expected_band is None:
        return "No forecast."
    said = f"{forecast.asked:,} rows would give {forecast.expected:.3f} {_interval(forecast.expected_band)}"
    if forecast.target_rows and forecast.target is not None:
        least, most = forecast.target_rows
        upper = "any number of" if most is None else f"{most:,.0f}"
        said += f"; a loss of {forecast.target:.3f} needs {least:,.0f} to {upper} rows"
    return f"{said}."


def _line(name: str, forecast: Forecast) -> Line:
    refused = "; ".join(forecast.refused)
    return Line(
        name=visible(name.replace("_", " ")),
        meaning=MEANINGS.get(name, ""),
        first=f"{forecast.losses[0]:.3f}",
        last=f"{forecast.losses[-1]:.3f}",
        fall=f"{figures.number(forecast.fall, 3, signed=True)} {_interval(forecast.fall_band)}",
        answer=f"No forecast: {refused}." if refused else _answer(forecast),
    )


def _interval(band: Sequence[float]) -> str:
    return f"[{figures.number(band[0], 3)}, {figures.number(band[1], 3)}]"
