"""What to call a curve: valley, slope, plateau, hill, or undetermined.

Every rule is a contrast, linear in the checkpoints, of each session's mean loss, so one t interval over sessions serves
them all (G - 1 degrees of freedom). A plateau is an equivalence and not a failure to find a difference: the whole
interval of the drop lies within the margin (two one-sided tests: Schuirmann 1987, doi 10.1007/BF01068419).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from locum.evaluation.anatomy.curves import Curve
from locum.evaluation.anatomy.results import Label, Response
from locum.types import Estimate

MARGIN = 0.10
"""Nats per token: less than this is no difference."""
LEAST_SHARE = 0.2
"""Of its first loss a valley loses at least this much."""
STILL_FALLING = 0.10
"""Share of the whole drop in the last half of the steps from which a curve has not come to rest."""
LEAST_SESSIONS = 8
LEAST_TOKENS = 200
CONFIDENCE = 0.90


def respond(curve: Curve, unit: str = "tokens", least: int = LEAST_TOKENS) -> Response:
    """Label a curve.

    Args:
        curve: held-out losses; its last checkpoint is the end of training.
        unit: what `curve.tokens` counts, in words.
        least: fewer of them leave the class undetermined.
    """
    means, steps = curve.means, curve.steps
    drop = float(means[0] - means[-1])
    half = next((step for step, loss in zip(steps, means, strict=True) if means[0] - loss >= drop / 2), steps[-1])
    middle = _at(curve, steps[-1] / 2)
    terminal = float(means[middle] - means[-1]) / drop if drop > 0 else None
    label, why = _label(curve, half, terminal, unit, least)
    return Response(
        name=curve.name,
        label=label,
        why=why,
        tokens=curve.tokens,
        sessions=curve.sessions,
        first=float(means[0]),
        last=float(means[-1]),
        losses=tuple(map(float, means)),
        drop=interval(curve.losses[0] - curve.losses[-1], curve.tokens),
        half_step=half if drop > 0 else None,
        terminal=terminal,
        rise=float(means[-1] - means.min()),
    )


def _label(curve: Curve, half: int, terminal: float | None, unit: str, least: int) -> tuple[Label, str]:
    if curve.sessions < LEAST_SESSIONS or curve.tokens < least:
        return "undetermined", (
            f"{curve.tokens} {unit} of {curve.sessions} sessions; at least {least} of {LEAST_SESSIONS} are needed"
        )
    first, last = curve.losses[0], curve.losses[-1]
    low, high = _ends(first - last)
    if (rise := _certain_rise(curve)) > MARGIN:
        return "hill", f"rose again by at least {rise:.2f} nats from its lowest"
    if low > -MARGIN and high < MARGIN:
        return "plateau", f"fell by {low:+.2f} to {high:+.2f} nats, within {MARGIN:.2f} of nothing"
    if high < 0:
        return "hill", f"rose by {-high:.2f} to {-low:.2f} nats"
    if low <= MARGIN or terminal is None:
        return "undetermined", f"fell by {low:.2f} to {high:.2f} nats: neither a fall nor its absence is certain"
    if terminal > STILL_FALLING:
        return "slope", f"fell by {low:.2f} to {high:.2f} nats, {terminal:.0%} of it in the last half of the steps"
    if half > curve.steps[-1] / 4:
        return "undetermined", f"fell by {low:.2f} to {high:.2f} nats, half of it only by step {half}"
    if _ends(first - last - LEAST_SHARE * first)[0] <= 0:
        return "undetermined", f"fell by {low:.2f} to {high:.2f} nats, not certainly a {LEAST_SHARE:.0%} of its loss"
    return "valley", f"fell by {low:.2f} to {high:.2f} nats, half of it by step {half}, and came to rest"


def memory(held_out: Curve, trained: Curve) -> Estimate | None:
    """How much further the training rows fell than the held-out ones: other sessions, so Welch's interval.

    None where either side has fewer than two sessions.
    """
    a = trained.losses[0] - trained.losses[-1]
    b = held_out.losses[0] - held_out.losses[-1]
    if min(len(a), len(b)) < 2:
        return None
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    mean = float(a.mean() - b.mean())
    if va + vb == 0:
        return Estimate(mean, mean, mean, rows=held_out.tokens, sessions=len(b))
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2) * np.sqrt(va + vb))
    return Estimate(mean, mean - reach, mean + reach, rows=held_out.tokens, sessions=len(b))


def _certain_rise(curve: Curve) -> float:
    """The least rise from any earlier checkpoint to the last that is certain.

    The lowest of several noisy means lies too low, so every checkpoint gets its share of the error (Bonferroni).
    """
    earlier = range(1, len(curve.steps) - 1)
    if not earlier:
        return -np.inf
    confidence = 1 - (1 - CONFIDENCE) / len(earlier)
    return max(_ends(curve.losses[-1] - curve.losses[i], confidence)[0] for i in earlier)


def _at(curve: Curve, step: float) -> int:
    """Index of the checkpoint that lies nearest to `step`, the last one left out."""
    return min(range(len(curve.steps) - 1), key=lambda i: abs(curve.steps[i] - step), default=0)


def _ends(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The t interval of a mean over sessions."""
    sessions = len(values)
    reach = float(stdtrit(sessions - 1, 0.5 + confidence / 2) * values.std(ddof=1) / np.sqrt(sessions))
    mean = float(values.mean())
    return mean - reach, mean + reach


def interval(values: NDArray[np.float64], tokens: int) -> Estimate | None:
    """The mean of one value a session, with its interval; None with one session.

    Args:
        values: (sessions,).
        tokens: what they rest on.
    """
    if len(values) < 2:
        return None
    low, high = _ends(values)
    return Estimate(float(values.mean()), low, high, rows=tokens, sessions=len(values))
