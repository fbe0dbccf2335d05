"""Which requests a model may answer, and which go to the agent: the threshold of a score, with a guarantee.

A request that is much like a training row is routine, one that is not is novel. The threshold on that likeness is
chosen on held-out rows so that of the answers given above it at most a share `risk` is wrong, with confidence
1 - delta: fixed-sequence testing from the strictest threshold to the loosest, stopping at the first that is not shown
(Learn then Test, arXiv:2110.01052). The guarantee holds for requests like the held-out ones, and for no others.
"""

import math
from collections.abc import Sequence

import msgspec

from locum.evaluation.statistics import clopper_pearson, effective_rows, zero_loss_rows

RISK = 0.10
"""Share of the model's own answers that may be wrong."""
DELTA = 0.10
"""Chance of a threshold that does not keep it."""
STEP = 20
"""Rows by which one threshold lets through more than the one before. Every threshold is a chance to stop at."""
MANY = 300
"""Rows above which the sequence starts later, where a few wrong answers do not end it at once; of sessions it takes
twice as many as it starts with then."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What the model may answer itself."""

    threshold: float | None
    """Least likeness to a training row, 0 to 1; None where nothing was shown: all goes to the agent."""
    rows: int
    """Held-out rows above the threshold; without one, those of the strictest threshold that was tried."""
    wrong: int
    """Of them, those that the model decided wrongly."""
    coverage: float
    """Share of the held-out rows that lies above the threshold, 0 to 1."""
    risk: float
    delta: float
    reason: str
    """One plain sentence."""


def route(
    likeness: Sequence[float],
    right: Sequence[bool],
    sessions: Sequence[str],
    risk: float = RISK,
    delta: float = DELTA,
) -> Route:
    """The loosest threshold that keeps the risk.

    A threshold is shown where the share of wrong answers above it is at most `risk` by Clopper-Pearson's one-sided
    bound at level `delta`, at what the rows are worth: no more than there are sessions, whose rows may all be wrong
    together.

    Args:
        likeness: of each held-out row to the training row nearest to it, 0 to 1.
        right: whether the model decided it right.
        sessions: its session lineage.
        risk: share of wrong answers that may not be exceeded, 0 < risk < 1.
        delta: chance of exceeding it, 0 < delta < 1.

    Raises:
        ValueError: lists of different lengths, or a number out of its range.
    """
    if not len(likeness) == len(right) == len(sessions):
        raise ValueError(f"{len(likeness)} likenesses, {len(right)} decisions and {len(sessions)} sessions")
    if not (0 < risk < 1 and 0 < delta < 1):
        raise ValueError(f"risk {risk}, delta {delta}; both must lie between 0 and 1")
    if strange := [value for value in likeness if not 0 <= value <= 1]:
        raise ValueError(f"a row's likeness is {strange[0]}; it must lie between 0 and 1")
    rows = len(likeness)
    order = sorted(range(rows), key=lambda row: -likeness[row])
    floor = zero_loss_rows(risk, delta)
    kept: tuple[int, int] | None = None
    tried: tuple[int, int] | None = None
    for count in _counts([likeness[row] for row in order], [sessions[row] for row in order], floor):
        above = order[:count]
        wrong = sum(not right[row] for row in above)
        tried = tried or (count, wrong)
        worth = _worth([right[row] for row in above], [sessions[row] for row in above])
        if clopper_pearson(wrong / count * worth, worth, confidence=1 - 2 * delta)[1] > risk:
            break
        kept = count, wrong
    sure = f"{1 - delta:.1%} sure".replace(".0%", "%")
    threshold = None
    if kept is not None:
        count, wrong = kept
        threshold = likeness[order[count - 1]]
        said = (
            f"Measured, and no permission: what is like a training row by {_above(threshold)} or more would be "
            f"answered with at most {risk:.0%} wrong ({sure}; {wrong} of {count} were): {count / rows:.0%} of the rows."
        )
    elif tried is not None:
        count, wrong = tried
        said = (
            f"All requests belong to the agent: of the {count} rows most like training, {wrong} were decided wrongly."
        )
    else:
        count, wrong = rows, sum(not one for one in right)
        said = (
            f"All requests belong to the agent: {rows} rows of {len(set(sessions))} sessions are too few to show that "
            f"at most {risk:.0%} are wrong ({floor} unrelated ones would, without a wrong one; {sure})."
        )
    return Route(
        threshold=threshold,
        rows=count,
        wrong=wrong,
        coverage=count / rows if threshold is not None else 0.0,
        risk=risk,
        delta=delta,
        reason=said,
    )


def _counts(likeness: Sequence[float], sessions: Sequence[str], floor: int) -> list[int]:
    """How many rows each threshold lets through, strictest first: fixed by the rows alone, not by what was right.

    The first lets through as many as could show anything. Rows that are equally alike go together.
    """
    rows, later = len(likeness), math.ceil(2.5 * floor)
    first = later if rows > MANY and len(set(sessions)) >= 2 * later else floor
    found: list[int] = []
    seen: set[str] = set()
    for count in range(1, rows + 1):
        last = count == rows
        seen.add(sessions[count - 1])
        if not last and likeness[count] == likeness[count - 1]:
            continue
        if not found:
            if len(seen) >= first and _worth([True] * count, sessions[:count]) >= first:
                found.append(count)
        elif last or count - found[-1] >= STEP:
            found.append(count)
    return found


def _above(threshold: float) -> str:
    """The threshold as it is said: not below itself, where nothing was shown."""
    return f"{min(1.0, math.ceil(100 * threshold - 1e-9) / 100):.2f}"


def _worth(right: Sequence[bool], sessions: Sequence[str]) -> float:
    """As how many unrelated rows they count: as effective ones, and as no more than there are sessions.

    How alike the rows of a session are is an estimate that few wrong answers hardly give, and none do not at all: nine
    rows in ten right by whole sessions passed up to four times as often as `DELTA` says.
    """
    return min(effective_rows([float(one) for one in right], sessions), float(len(set(sessions))))
