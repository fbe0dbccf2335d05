"""How answers go wrong: repetition, loops, and details that nothing in the prompt supports.

None of these is a failure by itself, since the agent repeats itself too and knows things that its log does
not show: read them as an excess over the agent's own rate, under the same extractor.
"""

import re
from collections.abc import Collection
from decimal import Decimal
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


def seq_rep_4(text: str) -> float:
    """Share of word 4-grams that repeat an earlier one, from 0 to 1; 0 for fewer than four words.

    Source: Welleck et al. 2020, arXiv 1908.04319 (over words, so that models with other tokens compare).
    """
    words = text.split()
    grams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def loops(text: str) -> bool:
    """Whether the text ends in three or more repeats of one block of words.

    A block of lines is a block of words, so one check finds both. The repeats may break off anywhere, also
    within a word, as they do where the cap on new tokens ends them. Blocks without a letter or digit (closing
    braces, rulers) do not count.
    """
    words = text.split()
    for period in range(1, len(words) // 3 + 1):
        if _repeated(words, period) >= 2 * period:
            return any(character.isalnum() for word in words[-2 * period :] for character in word)
    return False


def _repeated(words: list[str], period: int) -> int:
    """How many words at the end equal the word one period before; a last word cut short is passed over."""
    run = 0
    for i in range(len(words) - 1, period - 1, -1):
        if words[i] == words[i - period]:
            run += 1
        elif i < len(words) - 1 or not words[i - period].startswith(words[i]):
            break
    return run


_UNITS = {
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
_SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "bn": 10**9}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_NUMBER = (
    r"(?<![\w.])(?:(?<![\w)\]])-)?[$€£]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
    rf"(?:bn|[kKM](?!\w)|[ \t]?(?:{_UNIT})(?!\w))?(?!\w|\.[0-9])"
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
_ANY_NUMBER = re.compile(_NUMBER)
_NUMBER_PARTS = re.compile(rf"(-?)([$€£]?)([0-9.,]*[0-9])[ \t]?(?:(bn|[kKM])(?!\w)|({_UNIT}))?")
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


def made_up(text: str, prompt: str, inventory: Collection[str] = ()) -> list[Detail]:
    """The details of `text` that neither the prompt nor the inventory supports.

    Args:
        text: an answer; for a tool call, its arguments as JSON.
        prompt: all that the model was shown.
        inventory: names of the tools and of their parameters.

    Numbers compare as numbers ("1,200" is 1200, "1.5" is not 15), and a unit must not contradict; dates
    compare field by field, and may leave fields out; versions, paths, URLs and identifiers compare exactly,
    but a part of a longer path or dotted name counts, and so does the beginning of a hash; names, handles and
    quotations ignore case and line breaks. Nothing matches within a word: "a/b" is not "ab", nor is "foo"
    supported by "foobar".
    """
    found = details(text)
    if not found:
        return []
    support = _Support("\n".join((prompt, *sorted(inventory))))
    return [detail for detail in found if not support.holds(detail)]


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


class _Support:
    """What the prompt and the inventory hold, indexed for comparison."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = _folded(text)
        found = details(text)
        self.details = {(detail.kind, detail.text) for detail in found}
        self.versions = {detail.text.lstrip("vV") for detail in found if detail.kind == "version"}
        self.dates = [_date(detail.text) for detail in found if detail.kind == "date"]
        self.literals: set[str] = set()
        self.numbers: set[tuple[Decimal, str]] = set()
        for match in _ANY_NUMBER.finditer(text):
            # "[100,200]" may hold one number or two.
            for literal in (match[0], *(match[0].split(",") if "," in match[0] else ())):
                self.literals.add(literal)
                self.numbers.add(_number(literal))

    def holds(self, detail: Detail) -> bool:
        if (detail.kind, detail.text) in self.details:
            return True
        text = detail.text
        match detail.kind:
            case "number":
                value, unit = _number(text)
                units = {known for number, known in self.numbers if number == value}
                return text in self.versions or (bool(units) and (not unit or bool(units & {unit, ""})))
            case "version":
                return text.lstrip("vV") in self.versions | self.literals
            case "date":
                date = _date(text)
                return any(_agrees(date, known) for known in self.dates)
            case "hash":
                return re.search(rf"(?<!\w){re.escape(text.lower())}", self.folded) is not None
            case "path" | "url":
                whole = re.escape(text.removeprefix("./").rstrip("/"))
                return re.search(rf"(?<![\w.-]){whole}(?![\w-]|\.\w)", self.text) is not None
            case "identifier" | "placeholder":
                return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", self.text) is not None
            case _:
                return re.search(rf"(?<!\w){re.escape(_folded(text))}(?!\w)", self.folded) is not None


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _number(literal: str) -> tuple[Decimal, str]:
    """Value and unit ("" for none)."""
    parts = _NUMBER_PARTS.match(literal)
    if parts is None:  # a piece around a comma that holds no digit
        return Decimal("NaN"), ""
    sign, currency, digits, scale, unit = parts.groups()
    value = Decimal(digits.replace(",", "")) * _SCALES[scale or ""]
    return -value if sign else value, _UNITS.get(unit or currency, "")


_Date = frozenset[tuple[int | None, int | None, int | None]] | str


def _date(text: str) -> _Date:
    """All readings as (year, month, day), None for what is left out; a clock time is itself, less zeros
    ahead."""
    if ":" in text:
        return text.lstrip("0")
    numbers = [int(digits) for digits in re.findall(r"[0-9]+", text)]
    word = re.search(r"[A-Z][a-z]{2}", text)
    if word:
        month = _MONTHS.index(word[0].lower()) + 1
        if numbers[0] > 31:
            return frozenset({(numbers[0], month, None)})
        return frozenset({(numbers[1] if len(numbers) > 1 else None, month, numbers[0])})
    a, b, c = numbers
    return frozenset({(a, b, c)}) if a > 31 else frozenset({(c, a, b), (c, b, a)})


def _agrees(date: _Date, known: _Date) -> bool:
    if isinstance(date, str) or isinstance(known, str):
        return isinstance(date, str) and isinstance(known, str) and known.startswith(date)
    return any(
        all(field is None or field == other for field, other in zip(a, b, strict=True)) for a in date for b in known
    )
