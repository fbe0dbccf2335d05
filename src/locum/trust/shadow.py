"""Evidence that grows with every session in which a model answered beside the incumbent, and may be looked at any time.

A gate judges a fixed number of sessions once. Sessions in the shadow keep coming, and whoever looks after each of them
and stops when it looks good errs far more often than the level says. A betting martingale does not: its wealth exceeds
1 / alpha at any time with probability at most alpha while the claim is false (Ville). Bets are aGRAPA's, made from the
sessions before (Waudby-Smith & Ramdas, arXiv:2010.09686). The unit is the session: rows within one are alike.
"""

from collections.abc import Sequence

import msgspec

ALPHA = 0.05
HARM = 0.01
BOLDEST = 0.5
"""Share of the wealth that one session may cost at most."""


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """What the sessions so far show."""

    sessions: int
    safe: float
    """Wealth of the bet that the model is at most `margin` worse; 1 at first."""
    worse: float
    """Wealth of the bet that it is worse than that."""
    promoted: int | None
    """The session, counted from 1, at which `safe` first reached 1 / alpha; None where it never did."""
    withdrawn: int | None
    """The session at which `worse` first reached 1 / harm."""


def watch(differences: Sequence[float], margin: float = 0.10, alpha: float = ALPHA, harm: float = HARM) -> Shadow:
    """Follow the sessions in their order.

    Args:
        differences: of each session, the mean over its rows of (model right) - (incumbent right), -1 to 1.
        margin: how much worse than the incumbent is still safe, 0 < margin < 1.
        alpha: chance of ever promoting a model that is worse than the margin allows.
        harm: chance of ever withdrawing one that is not.

    Raises:
        ValueError: a difference outside -1 to 1, or a parameter out of range.
    """
    if not (0 < margin < 1 and 0 < alpha < 1 and 0 < harm < 1):
        raise ValueError(f"margin {margin}, alpha {alpha}, harm {harm}; each must lie between 0 and 1")
    if strange := [value for value in differences if not -1 <= value <= 1]:
        raise ValueError(f"a session's difference is {strange[0]}; it must lie between -1 and 1")
    scaled = [(1 + value) / 2 for value in differences]
    least = (1 - margin) / 2
    safe, promoted = _bet(scaled, least, 1 / alpha)
    # That it is worse is the same claim of the mirrored numbers.
    worse, withdrawn = _bet([1 - value for value in scaled], 1 - least, 1 / harm)
    return Shadow(sessions=len(scaled), safe=safe, worse=worse, promoted=promoted, withdrawn=withdrawn)


def _bet(values: Sequence[float], least: float, goal: float) -> tuple[float, int | None]:
    """Wealth after betting on a mean above `least` of values from 0 to 1, and when it first reached the goal."""
    wealth, reached = 1.0, None
    total, squares = 0.5, 0.25  # one half seen once, with the variance of a coin: before there is anything to go by
    for seen, value in enumerate(values, start=1):
        mean, variance = total / seen, squares / seen
        ahead = mean - least
        stake = min(max(ahead / (variance + ahead**2), 0.0), BOLDEST / least)
        wealth *= 1 + stake * (value - least)
        if reached is None and wealth >= goal:
            reached = seen
        total += value
        squares += (value - total / (seen + 1)) ** 2
    return wealth, reached
