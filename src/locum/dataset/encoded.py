r"""Text that is written in escapes, as it reads: `\u002d`, `\x2d`, `&#45;`, `&amp;`, `%2d`.

A key whose dashes are escaped has no shape, and a password in a URL that was put into HTML ends at its `&amp;`. Only
the lines in which an escape of printable ASCII stands are read again, so that text without any costs nothing.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LITERALS = (
    b"\\u00",
    b"\\x",
    b"&#",
    b"&amp;",
    b"&quot;",
    b"&apos;",
    b"&lt;",
    b"&gt;",
    *(b"%%%d" % n for n in range(2, 8)),
)
"""One of them stands, in lower case, in every text that has an escape."""

_NAMED = {"amp": "&", "quot": '"', "apos": "'", "lt": "<", "gt": ">"}
# Printable ASCII (0x20 to 0x7e) and, where nothing else could be meant, line ends. One or more backslashes: JSON in
# JSON doubles them.
_ESCAPE = re.compile(
    r"\\+(?:u00|x)([2-7][0-9A-Fa-f])|%([2-7][0-9A-Fa-f]|0[AaDd])"
    r"|&(?:#0{0,4}([0-9]{2,3})|#[xX]0{0,4}([2-7][0-9A-Fa-f])|(amp|quot|apos|lt|gt));"
)
_LONGEST = 16_384
"""Characters that are read again at once: bounds the memory that a text of one line takes."""
_LINE = re.compile(rf"[^\n]{{1,{_LONGEST}}}")


class Decoded(NamedTuple):
    """A piece of a text as it reads, and where its characters stand in the text."""

    text: str
    start: int
    """Where the piece begins in the text."""
    ats: Sequence[int]
    """Where in `text` the characters stand that were escaped."""
    longer: Sequence[int]
    """How much longer all escapes up to that one are than what they say; begins with none, so one more than `ats`."""

    def place(self, at: int) -> int:
        """The place in the whole text of a place in `text`: of an escape, its beginning."""
        return self.start + at + self.longer[bisect_left(self.ats, at)]


def decoded(text: str, ats: Sequence[int]) -> Iterator[Decoded]:
    """The lines of `text` in which escapes stand, as they read.

    Args:
        text: any text.
        ats: where in it one of `LITERALS` stands, ascending.
    """
    done = 0
    for at in ats:
        if at < done:
            continue
        start = max(done, text.rfind("\n", max(done, at - _LONGEST), at) + 1, at - _LONGEST)
        line = _LINE.match(text, start)
        if line is None:
            continue
        done = max(line.end(), at + 1)
        piece = _decoded(line[0], start)
        if piece is not None:
            yield piece


def _decoded(line: str, start: int) -> Decoded | None:
    parts: list[str] = []
    ats: list[int] = []
    longer = [0]
    length = done = 0
    for match in _ESCAPE.finditer(line):
        character = _character(match)
        if character is None:
            continue
        parts += (line[done : match.start()], character)
        length += match.start() - done
        ats.append(length)
        length += 1
        done = match.end()
        longer.append(longer[-1] + len(match[0]) - 1)
    return Decoded("".join((*parts, line[done:])), start, ats, longer) if ats else None


def _character(match: re.Match[str]) -> str | None:
    if match[5]:
        return _NAMED[match[5]]
    code = int(match[3]) if match[3] else int(match[1] or match[2] or match[4], 16)
    return chr(code) if 0x20 <= code < 0x7F or code in (0x0A, 0x0D) else None
