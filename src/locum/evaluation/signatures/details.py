"""Details: the checkable particulars of a text, such as numbers, dates, paths, URLs, identifiers, names.

One extractor for every voice, so that what it misses or takes wrongly it does so for all of them.
"""

import re
from typing import Literal

import msgspec

DetailKind = Literal[
    "placeholder",  # <EMAIL_1>: what redaction put in the place of a secret or a person
    "url",
    "email",
    "path",
    "hash",  # commits, UUIDs, 0x and IP addresses
    "date",  # calendar dates and clock times
    "version",
    "number",  # with its unit, if it has one
    "handle",
    "identifier",  # dotted.name, snake_case, camelCase, codes such as W2378
    "quoted",
    "name",  # capitalised words inside a sentence
]


class Detail(msgspec.Struct, frozen=True):
    """A checkable particular in a text; `text` is exactly what stands from `start` to `end`."""

    kind: DetailKind
    text: str
    start: int
    end: int


UNITS = {
    spelling: unit
    for unit, spellings in {
        "%": "% percent",
        "ms": "ms milliseconds millisecond",
        "s": "s secs sec seconds second",
        "min": "mins min minutes minute",
        "h": "h hrs hr hours hour",
        "d": "d days day",
        "week": "weeks week",
        "month": "months month",
        "year": "years year",
        "byte": "bytes byte",
        "kB": "kB KB KiB",
        "MB": "MB MiB",
        "GB": "GB GiB",
        "TB": "TB TiB",
        "token": "tokens token",
        "$": "$ USD dollars dollar",
        "€": "€ EUR euros euro",
        "£": "£ GBP pounds pound",
        "px": "px",
        "x": "x",
        "Hz": "Hz",
        "km": "km",
        "m": "m",
        "kg": "kg",
    }.items()
    for spelling in spellings.split()
}
"""Spelling of a unit -> the unit."""

UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_NUMBER = (
    r"(?<![\w.])(?:(?<![\w)\]])-)?[$€£]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
    rf"(?:bn|[kKM](?!\w)|[ \t]?(?:{UNIT})(?!\w))?(?!\w|\.[0-9])"
)
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DATE = (
    r"(?<![\w/.-])(?:[0-9]{4}-[0-9]{2}-[0-9]{2}(?=T[0-9]|(?!\w))|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}(?![\w/])"
    r"|[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{4}(?![\w/]))"
    rf"|(?<!\w){_MONTH}[ ](?:[0-9]{{1,2}}(?:st|nd|rd|th)?(?!\w)(?:,?[ ][0-9]{{4}}(?!\w))?|[0-9]{{4}}(?!\w))"
    rf"|(?<![\w.])[0-9]{{1,2}}(?:st|nd|rd|th)?[ ]{_MONTH}(?!\w)(?:[ ][0-9]{{4}}(?!\w))?"
    r"|(?:(?<![\w:.])|(?<=[0-9]T))(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?(?![0-9:])"
)
_CAPITALISED = r"[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ][^\W\d_]*(?:['’-][^\W\d_]+)*"
_PART = r"[\w.+@-]"
_PATTERNS: dict[DetailKind, str] = {
    "placeholder": r"<[A-Z][A-Z_]*_[0-9]+>",
    "url": r"(?<!\w)https?://[^\s<>\"'`)\]}]*[\w/]",
    "email": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "date": _DATE,
    "path": (
        rf"(?<![\w/.<:\\~+-])(?:(?:~|\.{{1,2}})?/(?:{_PART}+/)*|[\w+-][\w.+-]*(?:/{_PART}+)*/){_PART}*\w"
        r"|(?<!\w)[A-Za-z]:\\[\w.\\-]*\w"
    ),
    "hash": (
        r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)"
        r"|(?<!\w)0x[0-9a-fA-F]{4,}(?!\w)"
        r"|(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])"
        r"|(?<!\w)(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{7,64}(?!\w)"
    ),
    "version": (
        r"(?<![\w.])(?:[vV][0-9]+(?:\.[0-9]+)*|[0-9]+(?:\.[0-9]+){2,})"
        r"(?:[-+][0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?(?!\w|\.[0-9])"
    ),
    "number": _NUMBER,
    "handle": r"(?<![\w.@/])@\w[\w-]*(?:/[\w.-]*\w)?",
    "identifier": (
        r"(?<![\w.])[A-Za-z_]\w+(?:\.[A-Za-z_]\w*)+"
        r"|(?<![\w\\])_*[A-Za-z][A-Za-z0-9]*(?:_+[A-Za-z0-9]+)+_*(?!\w)"
        r"|(?<![\w\\])(?:[a-z]+|[A-Z][a-z]+)[A-Z][A-Za-z0-9]*(?!\w)"
        r"|(?<!\w)(?![0-9]+(?:st|nd|rd|th)(?!\w))(?=[0-9]*[A-Za-z])(?=(?:\w*[0-9]){2})[A-Za-z0-9]{4,}(?!\w)"
        r"|(?<!\w)[A-Z]{2,}-[0-9]+(?!\w)"
    ),
    "quoted": (
        r"(?<!\w)\"(?=[^\"\n]{0,300}\w)[^\"\s](?:[^\"\n]{0,300}[^\"\s])?\""
        r"|“(?=[^”\n]{0,300}\w)[^“”\n]{1,300}”"
    ),
    "name": rf"(?<!\w){_CAPITALISED}(?:[ ]{_CAPITALISED})*(?!\w)",
}
_DETAIL = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
ANY_NUMBER = re.compile(_NUMBER)
_LIST_NUMERAL = re.compile(r"^[ \t>*-]*([0-9]+)[.)](?!\S)", re.MULTILINE)

# Pairs of words with a stroke between them that are no path, and strokes that say "per".
_NO_PATH = re.compile(
    r"and/or|either/or|s?he/s?he|his/her|yes/no|true/false|on/off|input/output|read/write"
    r"|pass/fail|before/after|client/server|\w/[\wo]|[\w.]+/(?:s|sec|second|min|minute|h|hour|day|week|month|year|token|row)s?",
    re.IGNORECASE,
)
_SHORT_PATH = re.compile(r"[a-z]/[a-z]")


def details(text: str) -> list[Detail]:
    """The details of a text in order, none overlapping another.

    Not details: numerals of a list ("1."), single digits without a unit (counts), and capitalised words where
    anything would be capitalised (at the start of a sentence, in headings, bold labels and table rows).
    Something in quotes that is a detail of another kind as a whole is one of that kind. Names follow English
    use of capitals.
    """
    numerals = {match.start(1) for match in _LIST_NUMERAL.finditer(text)}
    found = []
    for match in _DETAIL.finditer(text):
        kind: DetailKind = match.lastgroup  # type: ignore[assignment]
        start, end = match.span()
        if kind == "quoted":
            start, end = start + 1, end - 1
            inner = _DETAIL.match(text, start, end)
            if inner and inner.end() == end and inner.lastgroup not in ("name", "quoted"):
                kind = inner.lastgroup  # type: ignore[assignment]
        elif kind == "name":
            start = _name_start(text, start, end)
        if start < end and not _trivial(kind, text[start:end], start in numerals):
            found.append(Detail(kind, text[start:end], start, end))
    return found


def _name_start(text: str, start: int, end: int) -> int:
    """Where the name in a run of capitalised words begins; `end` where none of them need be one."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if line.lstrip().startswith(("#", "|")) or line.count("**") % 2:
        return end
    before = line.rstrip()
    inside = before and (before[-1].isalnum() or before[-1] in ",)]") and not _LIST_NUMERAL.fullmatch(before)
    if inside:
        return start
    space = text.find(" ", start, end)
    return end if space < 0 else space + 1


def _trivial(kind: DetailKind, text: str, is_numeral: bool) -> bool:
    if kind == "number":
        return is_numeral or (len(text) == 1)
    if kind == "path":
        if not any(character.isalpha() for character in text):
            return True
        return _NO_PATH.fullmatch(text) is not None and _SHORT_PATH.fullmatch(text) is None
    return False
