"""Where every line of a file went, so that nothing is dropped silently."""

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Literal

from locum.types import BadLine, Lines

_Fate = tuple[Literal["", "used", "noise", "unknown", "bad"], str]
_NONE: _Fate = ("", "")
_USED: _Fate = ("used", "")
_USED_CODE = 1
_MANY = 10_000
"""Kinds that are told apart: names of kinds come out of logs, and may be as many as lines."""
_FURTHER = "(further kinds)"
_LISTED = 100
"""Bad lines of a file that are listed; the others are counted: a file of another kind may hold millions."""


class Ledger:
    """Takes down one fate a line (for whole-file JSON: a record), numbered from 1.

    A line that went into a session is used, unless part of it is unknown: that has to be seen. Of the other
    fates the first one counts. So total = used + noise + unknown + bad by construction.
    """

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        # Two bytes a line: a file may hold nothing but line breaks, hundreds of millions of them.
        self._fates = array("H")
        self._codes: dict[_Fate, int] = {_NONE: 0, _USED: _USED_CODE}
        self._kinds: list[_Fate] = [_NONE, _USED]

    def used(self, *lines: int) -> None:
        """The lines went into a session."""
        fates, kinds = self._fates, self._kinds
        for line in lines:
            if line < len(fates) and (not fates[line] or kinds[fates[line]][0] != "unknown"):
                fates[line] = _USED_CODE
            elif line >= len(fates):
                self._set(line, _USED)

    def noise(self, line: int, kind: str) -> None:
        """The line is of a known kind that holds nothing to learn from."""
        self._set_first(line, ("noise", kind))

    def unknown(self, line: int, kind: str) -> None:
        """The line is a valid record of a kind that the reader has no rule for."""
        self._set_first(line, ("unknown", kind))

    def bad(self, line: int, reason: str) -> None:
        """The line is no valid record of its format."""
        self._set_first(line, ("bad", reason))

    def follow(self, line: int, *others: int) -> None:
        """The other lines are parts of what the line holds, and share its fate."""
        for other in others:
            self._set(other, self._fate(line))

    def lines(self) -> Lines:
        """The account of the file."""
        counts = Counter(self._fates)
        kinds = sorted((self._kinds[code], count) for code, count in counts.items() if code)
        bad = tuple(islice(self.bad_lines(), _LISTED))
        return Lines(
            total=sum(count for _, count in kinds),
            used=counts[self._codes[_USED]],
            noise={kind: count for (fate, kind), count in kinds if fate == "noise"},
            unknown={kind: count for (fate, kind), count in kinds if fate == "unknown"},
            bad=bad,
            bad_unlisted=sum(count for (fate, _), count in kinds if fate == "bad") - len(bad),
        )

    def bad_lines(self) -> Iterator[BadLine]:
        """All bad lines, in their order."""
        damaged = {code for code, (fate, _) in enumerate(self._kinds) if fate == "bad"}
        for line, code in enumerate(self._fates if damaged else ()):
            if code in damaged:
                yield BadLine(self._file, line, self._kinds[code][1])

    def _fate(self, line: int) -> _Fate:
        return self._kinds[self._fates[line]] if line < len(self._fates) else _NONE

    def _set_first(self, line: int, fate: _Fate) -> None:
        if line >= len(self._fates) or not self._fates[line]:
            self._set(line, fate)

    def _set(self, line: int, fate: _Fate) -> None:
        code = self._codes.get(fate)
        if code is None:
            if len(self._kinds) > _MANY:
                fate = (fate[0], _FURTHER)
            code = self._codes.setdefault(fate, len(self._kinds))
            if code == len(self._kinds):
                self._kinds.append(fate)
        if line == len(self._fates):  # as most come
            self._fates.append(code)
            return
        if line > len(self._fates):
            self._fates.extend(repeat(0, line + 1 - len(self._fates)))
        self._fates[line] = code
