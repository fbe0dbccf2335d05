"""Time that grows with the size of what is worked on, whatever machine this is."""

import time
from collections.abc import Callable

_SLACK = 3
_NOTHING = 0.05
"""Seconds below which a clock says little."""


def assert_grows_with_size(work: Callable[[int], object], size: int, times: int = 8) -> None:
    """That `times` the size takes about `times` the processor time; the square of it would be `times` squared.

    Args:
        work: does something of a size.
        size: the larger one.
        times: how much smaller the one is that it is held against.
    """
    small = min(_seconds(work, size // times) for _ in range(3))
    allowed = _SLACK * times * small + _NOTHING
    spent: list[float] = []
    while len(spent) < 3 and min(spent, default=allowed + 1) > allowed:
        spent.append(_seconds(work, size))
    assert min(spent) <= allowed, f"{times} times the size took {min(spent) / small:.0f} times as long"


def _seconds(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
