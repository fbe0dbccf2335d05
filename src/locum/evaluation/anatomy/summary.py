"""From tables of losses to an anatomy; runs no model."""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import polars as pl

from locum.evaluation.anatomy.curves import Curve, choice_curves, class_curves, family_curves, from_base_rate
from locum.evaluation.anatomy.labels import MARGIN, interval, memory, respond
from locum.evaluation.anatomy.results import Label, Part, Reading
from locum.evaluation.results import Gain
from locum.evaluation.scaling.forecast import Forecast
from locum.types import Estimate

LEAST_DECISIONS = 20


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the parts of one kind (classes, families, choices) beside their curves."""

    gains: Mapping[str, Gain] = {}
    forecasts: Mapping[str, Forecast] = {}
    strengths: tuple[float, ...] = ()


class Measured(msgspec.Struct, frozen=True):
    """Tables of losses, of `nll.SCHEMA`."""

    held_out: pl.DataFrame
    """At every checkpoint."""
    trained: pl.DataFrame
    """Training rows, at every checkpoint."""
    ray: pl.DataFrame
    """At every strength; `step` numbers them."""
    deployed: pl.DataFrame
    """The adapter in full precision (step 0) and the model file (step 1); empty where nothing is exported."""


def class_parts(measured: Measured, known: Evidence) -> tuple[Part, ...]:
    """One part a token class, `all` first, then by how many nats fell there."""
    return _parts(class_curves, measured, known)


def family_parts(measured: Measured, known: Evidence) -> tuple[Part, ...]:
    """One part a family."""
    return _parts(family_curves, measured, known)


def choice_parts(measured: Measured, known: Evidence) -> tuple[Part, ...]:
    """One part a family with decisions, by the loss of the choice alone, from the base or its base rate on."""
    along = {name: from_base_rate(getattr(measured, name)) for name in ("held_out", "trained")}
    return _parts(choice_curves, msgspec.structs.replace(measured, **along), known, "decisions", LEAST_DECISIONS)


def reading(label: Label, rows: Forecast | None) -> Reading:
    """Both axes together. A plateau in steps may be one in rows or not; only the ladder tells.

    Args:
        label: how the loss moved with steps.
        rows: how it moves with rows; None where no ladder was run.
    """
    if rows is None or label == "undetermined":
        return "unknown"
    if rows.falls:
        return "needs rows"
    still = rows.fall_band[0] > -MARGIN and rows.fall_band[1] < MARGIN
    if not still:
        return "unknown"
    return {"valley": "learned", "plateau": "resists"}.get(label, "unknown")  # type: ignore[return-value]


def _parts(
    curves: Callable[[pl.DataFrame], list[Curve]],
    measured: Measured,
    known: Evidence,
    unit: str = "tokens",
    least: int | None = None,
) -> tuple[Part, ...]:
    held_out = curves(measured.held_out)
    train, rays, files = (
        {} if table.is_empty() else {curve.name: curve for curve in curves(table)}
        for table in (measured.trained, measured.ray, measured.deployed)
    )
    falls = {curve.name: float(curve.means[0] - curve.means[-1]) * curve.tokens for curve in held_out}
    # `all` is every class together; of families and choices there is no such curve, and they add up.
    whole = falls.get("all", sum(falls.values()))
    parts = []
    for curve in sorted(held_out, key=lambda one: (one.name != "all", -falls[one.name], one.name)):
        response = respond(curve, unit) if least is None else respond(curve, unit, least)
        if curve.name in train:
            response = msgspec.structs.replace(response, memory=memory(curve, train[curve.name]))
        gain = known.gains.get(curve.name)
        strengths = rays[curve.name].means if curve.name in rays else np.array([])
        parts.append(
            Part(
                response=response,
                share=falls[curve.name] / whole if whole > 0 else None,
                type=gain.type if gain else None,
                instance=gain.instance if gain else None,
                strengths=tuple(map(float, strengths)),
                best_strength=known.strengths[int(strengths.argmin())] if len(strengths) else None,
                quantized=_cost_of_quantization(files.get(curve.name)),
                reading=reading(response.label, known.forecasts.get(curve.name)),
            )
        )
    return tuple(parts)


def _cost_of_quantization(file: Curve | None) -> Estimate | None:
    return None if file is None else interval(file.losses[1] - file.losses[0], file.tokens)
