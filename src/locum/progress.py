"""How long-running work says how far it is, without knowing who listens.

A stage takes a `Progress` and calls it; the command line draws bars from it, tests pass `silent`.
"""

from typing import Protocol


class Progress(Protocol):
    """Called with the name of the work, how much is done, how much there is, and a short note to show beside it."""

    def __call__(self, work: str, done: int, total: int, note: str = "") -> None: ...


def silent(work: str, done: int, total: int, note: str = "") -> None:
    """A `Progress` that nobody watches."""
