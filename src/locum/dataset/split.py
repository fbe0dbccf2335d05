"""Which rows train, which choose the checkpoint, which test: by lineage, and forward in time.

A lineage (a conversation with all its copies and parts, or a task with all its trials) is never divided, and
the test begins after everything that was trained on had begun, as it will when the model is used. Rows are built in the
order of `in_order`, and of two equal rows the first is kept, so no row of one split has its like in a later
one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from locum.types import Session, Split

SHARES: dict[Split, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}
"""Roughly the share of rows in each split, as far as whole lineages allow."""
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


def in_order(
    sessions: Sequence[tuple[str, float | None]],
) -> tuple[list[int], Literal["time", "appearance"], int]:
    """Sessions by the start of their lineage and then by their own.

    Args:
        sessions: the lineage and the start (seconds since 1970, where known) of each, as they were found.

    Returns:
        the sessions by their places in the argument; `time`, or `appearance` where none has a time; and how many
        lineages have no time: they come first, so that nothing of them is tested on as if it were new.
    """
    starts: dict[str, float] = {}
    appearance: dict[str, int] = {}
    for lineage, start in sessions:
        appearance.setdefault(lineage, len(appearance))
        if start is not None:
            starts[lineage] = min(start, starts.get(lineage, start))
    unknown = float("-inf")

    def key(at: int) -> tuple[float, int, float, int]:
        lineage, start = sessions[at]
        return starts.get(lineage, unknown), appearance[lineage], unknown if start is None else start, at

    ordered = sorted(range(len(sessions)), key=key)
    return ordered, "time" if starts else "appearance", len(appearance) - len(starts)


def assign(rows: Mapping[str, int]) -> dict[str, Split]:
    """The split of every lineage.

    Args:
        rows: lineage -> its number of rows (at least 1), in order of time.

    Returns:
        lineage -> split. One lineage trains, and there is nothing to test on; of two the later one tests;
        from three on each split has at least one. The borders are where the rows come closest to `SHARES`.
    """
    lineages = list(rows)
    count = len(lineages)
    if count < 2:
        return dict.fromkeys(lineages, "train")
    total = sum(rows.values())
    after = [0]  # rows in the last k lineages
    for lineage in reversed(lineages):
        after.append(after[-1] + rows[lineage])
    valid = 1 if count > 2 else 0
    test = _closest(after, total * SHARES["test"], 1, count - 1 - valid)
    held_out = test
    if valid:
        held_out = _closest(after, total * (SHARES["test"] + SHARES["valid"]), test + 1, count - 1)
    return {
        lineage: "train" if at < count - held_out else "valid" if at < count - test else "test"
        for at, lineage in enumerate(lineages)
    }


def _closest(after: Sequence[int], wanted: float, least: int, most: int) -> int:
    """How many of the last lineages hold nearly `wanted` rows, between `least` and `most`; the fewer of two
    equals."""
    return min(range(least, most + 1), key=lambda k: (abs(after[k] - wanted), k))


def start_of(session: Session) -> float | None:
    """Seconds since 1970 of a session's start, or else of its first message that has a time."""
    for time in (session.started, *(message.time for message in session.messages)):
        seconds = seconds_of(time)
        if seconds is not None:
            return seconds
    return None


def seconds_of(time: str | None) -> float | None:
    """Seconds since 1970 of a time as logs write it; None where it is none."""
    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
