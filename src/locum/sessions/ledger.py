"""Where every line of a file went, so that nothing is dropped silently."""

from collections import Counter
from pathlib import Path
from typing import Literal

from locum.types import BadLine, Lines

_Fate = tuple[Literal["used", "noise", "unknown", "bad"], str]
_USED: _Fate = ("used", "")


class Ledger:
    """Takes down one fate a line (for whole-file JSON: a record), numbered from 1.

    A line that went into a session is used, unless part of it is unknown: that has to be seen. Of the other
    fates the first one counts. So total = used + noise + unknown + bad by construction.
    """

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        self._fates: dict[int, _Fate] = {}

    def used(self, *lines: int) -> None:
        """The lines went into a session."""
        for line in lines:
            if self._fates.get(line, _USED)[0] != "unknown":
                self._fates[line] = _USED

    def noise(self, line: int, kind: str) -> None:
        """The line is of a known kind that holds nothing to learn from."""
        self._fates.setdefault(line, ("noise", kind))

    def unknown(self, line: int, kind: str) -> None:
        """The line is a valid record of a kind that the reader has no rule for."""
        self._fates.setdefault(line, ("unknown", kind))

    def bad(self, line: int, reason: str) -> None:
        """The line is no valid record of its format."""
        self._fates.setdefault(line, ("bad", reason))

    def follow(self, line: int, *others: int) -> None:
        """The other lines are parts of what the line holds, and share its fate."""
        for other in others:
            self._fates[other] = self._fates[line]

    def lines(self) -> Lines:
        """The account of the file."""
        kinds = Counter(self._fates.values())
        bad = sorted((line, reason) for line, (fate, reason) in self._fates.items() if fate == "bad")
        return Lines(
            total=len(self._fates),
            used=kinds[_USED],
            noise={kind: n for (fate, kind), n in sorted(kinds.items()) if fate == "noise"},
            unknown={kind: n for (fate, kind), n in sorted(kinds.items()) if fate == "unknown"},
            bad=tuple(BadLine(self._file, line, reason) for line, reason in bad),
        )
