"""Values that a line's end cuts in two, as terminals, e-mails and base64 encoders wrap them.

Nothing marks such a break, and the word that begins the next line is nearly always another word. So what follows
belongs to the value only if it makes a shape whole that was not, or if it looks like nothing but a key (capitals,
small letters and digits in at least eight characters) on the line after a long one.
"""

import re

# Line ends written as `\n` are two of them by now (`detectors`); `=` is quoted-printable's, a backslash a shell's or
# what is left of `\\n`; `>` quotes in e-mails.
_BREAK = re.compile(r"[=\\]{0,4}[ \t]{0,2}[\r\n]{1,8}[ \t>\r\n]{0,60}")
_NEXT = re.compile(r"[A-Za-z0-9+/=_.~-]{4,512}(?![^\s\"'`<>\\,;)\]}&.])")
_MIXED = re.compile(r"(?=[^0-9]*[0-9])(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9+/_.~-]{8,512}={0,2}")
# Names of code have all that too, but are made of words: `getUserName2`.
_WORDS = re.compile(r"(?:[A-Z]{0,6}+[a-z]{2,}+|[0-9]{1,4}+(?![0-9])|[A-Z]{2,6}+|[-_./])++")
_PARTS = 24
"""Lines over which a value is followed: a token of 1,500 characters at 64 a line."""
_WRAPPED_AT = 40
"""Characters that a line has at least before something that is longer still is wrapped."""


def pieces(text: str, end: int) -> list[tuple[int, int]]:
    """Where the words stand that begin the lines after a value which ends with its line at `end`; none where it does
    not, and none after a line on which more than the word stands."""
    found: list[tuple[int, int]] = []
    while len(found) < _PARTS:
        gap = _BREAK.match(text, end)
        word = gap and _NEXT.match(text, gap.end())
        if not word:
            break
        end = word.end() - (word[0][-1] == "." and text[word.end() : word.end() + 1].isspace())  # a sentence's
        found.append((word.start(), end))
    return found


def goes_on(text: str, start: int, end: int) -> int:
    """The end of an opaque value that was found at `start` to `end` of `text`, with the lines on which it goes on."""
    before = text[max(0, end - _WRAPPED_AT) : start]
    if text[end : end + 1] not in _ENDS or end < _WRAPPED_AT or "\n" in before or "\r" in before:
        return end
    for piece in pieces(text, end):
        if not is_mixed(text, *piece):
            break
        end = piece[1]
    return end


_ENDS = frozenset("\n\r \t=\\")


def is_mixed(text: str, start: int, end: int) -> bool:
    """Whether this part of the text has what a random word of letters and digits has, and is no name."""
    return _MIXED.fullmatch(text, start, end) is not None and _WORDS.fullmatch(text, start, end) is None


def is_jumbled(value: str) -> bool:
    """Whether a word of any characters has capitals, small letters and digits, and is no name: `k7#Tq_w9`."""
    cases = any(map(str.islower, value)) and any(map(str.isupper, value)) and any(map(str.isdigit, value))
    return len(value) >= 8 and cases and _WORDS.fullmatch(value) is None


def joined(value: str) -> str:
    """A value without the line ends in it."""
    return _BREAK.sub("", value)
