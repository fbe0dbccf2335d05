"""What a reader of one log format is, and what it hands over."""

from pathlib import Path
from typing import Protocol

import msgspec

from locum.types import Lines, Session


class FileReading(msgspec.Struct, frozen=True):
    """What one log file holds."""

    path: str
    format: str
    sessions: tuple[Session, ...]
    lines: Lines
    beside: tuple[str, ...] = ()
    """Files of fixed names next to it that were looked at, whether they were there or not: when one of them changes,
    this file has to be read again."""


class Reader(Protocol):
    """One log format. Adding one is a module with such a class and a line in `locum.sessions.registry`."""

    @property
    def name(self) -> str:
        """The format's name, as sessions and reports show it."""
        ...

    def detects(self, head: bytes, path: Path) -> bool:
        """Whether a file is of this format, by its content.

        Args:
            head: the first `jsonl.HEAD` bytes of the file (all of it where it is shorter), without a byte
                order mark; its last line may be cut.
            path: for readers of formats that need more than the head; names prove nothing.
        """
        ...

    def read(self, path: Path) -> FileReading:
        """Read a whole file; every line or record is accounted for, and no content makes it fail.

        Raises:
            OSError: the file cannot be read.
        """
        ...
