"""What more rows would bring, or why nobody can say.

A curve through few points fits almost anything, so the question is when not to answer. Eight rules refuse, each with
its reason (evaluation by extrapolation rather than by fit: arXiv:2209.06640; why a forecast is good for the next batch
and not for the end of the road: arXiv:2207.01725).
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from locum.evaluation.scaling.ladder import DRAWS, Bounds, Floats, Ladder, band, errors, resampled, spread
from locum.evaluation.scaling.power_law import EXPONENTS, PowerLaw, fit, fit_all

LEAST_RUNGS = 5
LEAST_SEEDS = 3
LEAST_RANGE = 8.0
"""The largest rung over the smallest."""
WIDEST_EXPONENT = 3.0
"""Upper over lower end of the exponent's 80 % band."""
NOISY = 0.03
"""Nats per token of one training's spread, above which only a doubling may be asked for."""


class Forecast(msgspec.Struct, frozen=True):
    """What the ladder says of one class or family."""

    rows: tuple[int, ...]
    losses: tuple[float, ...]
    """Held-out loss on each rung, in nats per token."""
    bands: tuple[Bounds, ...]
    """80 % band of each: held-out sessions and seeds resampled."""
    fall: float
    """Loss on the smallest rung less loss on the largest."""
    fall_band: Bounds
    """80 % band of the fall."""
    refused: tuple[str, ...]
    """Why nothing is foretold; empty where something is."""
    asked: int
    """The number of rows that the forecast is for."""
    law: PowerLaw | None = None
    expected: float | None = None
    """Loss at `asked` rows; None where refused."""
    expected_band: Bounds | None = None
    """80 % band of it."""
    exponent_band: Bounds | None = None
    target: float | None = None
    target_rows: tuple[float, float | None] | None = None
    """80 % band of the rows at which `target` is reached; no upper end where no number of rows may reach it."""
    base_rate: float | None = None
    """Of choices: the loss of always going by the family's base rate."""
    gained_band: Bounds | None = None
    """Of choices: 80 % band of `base_rate` less the loss on the largest rung."""

    @property
    def falls(self) -> bool:
        """Whether more rows made it better, beyond the 80 % band.

        A choice is better only once it is better than the base rate: with few rows a model is sure of what it cannot
        know, and with more it is less so, which makes the loss of decisions fall that are pure chance.
        """
        return self.fall_band[0] > 0 and (self.gained_band is None or self.gained_band[0] > 0)


def forecast(ladder: Ladder, asked: int | None = None, target: float | None = None, seed: int = 0) -> Forecast:
    """Fit the ladder and look ahead, or refuse.

    Args:
        ladder: what was measured.
        asked: rows to look ahead to; twice the largest rung where None.
        target: a loss, in nats per token, whose rows are asked for.
        seed: of the resampling.
    """
    rows, losses = ladder.rows, ladder.means()
    asked = asked or 2 * rows[-1]
    draws = resampled(ladder, DRAWS, seed)
    measured = Forecast(
        rows=rows,
        losses=tuple(map(float, losses)),
        bands=tuple(band(draws[:, rung]) for rung in range(len(rows))),
        fall=float(losses[0] - losses[-1]),
        fall_band=band(draws[:, 0] - draws[:, -1]),
        refused=_too_few(ladder),
        asked=asked,
        target=target,
        base_rate=None if ladder.base_rate is None else sum(ladder.base_rate) / sum(ladder.tokens),
        gained_band=None if ladder.base_rate is None else _gained(ladder, ladder.base_rate, seed),
    )
    if measured.refused:
        return measured
    error = errors(ladder)
    law = fit(rows, losses, error)
    laws = fit_all(rows, draws, error)
    exponents = band([one.exponent for one in laws])
    refused = (
        _no_fall(measured),
        _back_test(rows, losses, draws, error),
        _edge(law),
        _wide(exponents),
        _too_far(asked, rows[-1], spread(ladder)),
        _unreachable(target, [one.floor for one in laws]),
    )
    fitted = msgspec.structs.replace(
        measured, law=law, exponent_band=exponents, refused=tuple(reason for reason in refused if reason)
    )
    if fitted.refused:
        return fitted
    return msgspec.structs.replace(
        fitted,
        expected=law.at(asked),
        expected_band=band([one.at(asked) for one in laws]),
        target_rows=None if target is None else _reach(laws, target),
    )


def _too_few(ladder: Ladder) -> tuple[str, ...]:
    """Rules 1 and 2: a ladder that is too short."""
    rows, rungs, reasons = ladder.rows, len(set(ladder.rows)), []
    if rungs < LEAST_RUNGS or ladder.seeds < LEAST_SEEDS:
        reasons.append(
            f"{rungs} rungs of {ladder.seeds} trainings each; at least {LEAST_RUNGS} of {LEAST_SEEDS} needed"
        )
    if rows[-1] / rows[0] < LEAST_RANGE:
        reasons.append(
            f"the largest rung is {rows[-1] / rows[0]:.1f} times the smallest; at least {LEAST_RANGE:.0f} times needed"
        )
    return tuple(reasons)


def _gained(ladder: Ladder, base_rate: tuple[float, ...], seed: int) -> Bounds:
    """Base rate less the largest rung, over the same resampled sessions."""
    both = Ladder((1, 2), ((base_rate,) * ladder.seeds, ladder.nats[-1]), ladder.tokens)
    draws = resampled(both, DRAWS, seed)
    return band(draws[:, 0] - draws[:, 1])


def _no_fall(measured: Forecast) -> str | None:
    """Rule 3."""
    if measured.falls:
        return None
    low, high = measured.fall_band
    if low > 0:
        return (
            f"at the largest rung the choice is not certainly better than the base rate ({measured.losses[-1]:.3f} "
            f"against {measured.base_rate:.3f}): more rows made it less sure of itself, and that is all"
        )
    return f"the loss does not fall for certain: from the smallest to the largest rung by {low:.3f} to {high:.3f}"


def _back_test(rows: Sequence[int], losses: Floats, draws: Floats, error: Floats) -> str | None:
    """Rule 4: what the rungs up to half foretell of the largest one must be what happened there."""
    half = [i for i, n in enumerate(rows) if n <= rows[-1] / 2]
    if len(half) < 3:
        return f"only {len(half)} rungs lie at or below half of the largest, too few to test the forecast on it"
    small = [rows[i] for i in half]
    miss = float(losses[-1]) - fit(small, losses[half], error[half]).at(rows[-1])
    foretold = [one.at(rows[-1]) for one in fit_all(small, draws[:, half], error[half])]
    sd = float(np.std(draws[:, -1] - foretold))
    if abs(miss) <= 2 * max(sd, float(error[-1])):
        return None
    return (
        f"the smaller rungs foretell the largest wrongly, by {miss:+.3f} nats a token (at most 2 x {sd:.3f} is allowed)"
    )


def _edge(law: PowerLaw) -> str | None:
    """Rule 5."""
    if EXPONENTS[0] < law.exponent < EXPONENTS[-1]:
        return None
    return f"the exponent lies at the edge of what was searched ({law.exponent:.2f}): the points do not fix a curve"


def _wide(exponents: Bounds) -> str | None:
    """Rule 6."""
    if exponents[1] <= WIDEST_EXPONENT * exponents[0]:
        return None
    return f"the exponent may be anything from {exponents[0]:.2f} to {exponents[1]:.2f}"


def _too_far(asked: int, largest: int, noise: float) -> str | None:
    """Rule 7."""
    most = 2 if noise > NOISY else 4
    if asked <= most * largest:
        return None
    return (
        f"{asked:,} rows were asked for, more than {most} times the {largest:,} of the largest rung "
        f"(trainings of one rung differ by {noise:.3f} nats a token)"
    )


def _unreachable(target: float | None, floors: Sequence[float]) -> str | None:
    """Rule 8."""
    if target is None or target >= band(floors)[1]:
        return None
    return f"a loss of {target:.3f} may lie below what rows alone can reach with this base ({band(floors)[1]:.3f})"


def _reach(laws: Sequence[PowerLaw], target: float) -> tuple[float, float | None]:
    low, high = band([law.rows_for(target) for law in laws])
    return low, high if math.isfinite(high) else None
