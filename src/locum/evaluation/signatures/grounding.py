"""Made-up details: those that nothing the model was shown supports.

Three tiers of support: a detail stands in the prompt or in the inventory of tools (1), in what the model was trained
on (2, `Known`), or nowhere (3). A made-up detail is no failure by itself, since the agent knows things that its log
does not show: read the rate as an excess over the agent's own, under the same extractor.
"""

import re
from collections.abc import Collection, Hashable, Iterable
from decimal import Decimal

from locum.evaluation.signatures.details import ANY_NUMBER, UNIT, UNITS, Detail, details

_SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "bn": 10**9}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBER_PARTS = re.compile(rf"(-?)([$€£]?)([0-9.,]*[0-9])[ \t]?(?:(bn|[kKM])(?!\w)|({UNIT}))?")


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
    support = Support("\n".join((prompt, *sorted(inventory))))
    return [detail for detail in found if not support.holds(detail)]


class Support:
    """What a text holds, indexed for the comparison that `made_up` describes.

    Args:
        text: all that the model was shown, and the inventory.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = _folded(text)
        found = details(text)
        self.details = {(detail.kind, detail.text) for detail in found}
        self.versions = {detail.text.lstrip("vV") for detail in found if detail.kind == "version"}
        self.dates = [_date(detail.text) for detail in found if detail.kind == "date"]
        self.literals: set[str] = set()
        self.numbers: set[tuple[Decimal, str]] = set()
        for match in ANY_NUMBER.finditer(text):
            # "[100,200]" may hold one number or two.
            for literal in (match[0], *(match[0].split(",") if "," in match[0] else ())):
                self.literals.add(literal)
                self.numbers.add(_number(literal))

    def holds(self, detail: Detail) -> bool:
        """Whether the text supports a detail."""
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


class Known:
    """Tier 2: the details of many texts, such as all training rows, each of which supports only what it holds whole.

    Against so much text a short number agrees by chance, so numbers below 1,000 and clock times are never known.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Args: texts: in any order; equal ones are read once."""
        self._held: set[tuple[str, Hashable]] = set()
        for text in dict.fromkeys(texts):
            for detail in details(text):
                self._held.add(_canonical(detail))
                if detail.kind == "name":
                    self._held.update(("name", word) for word in _folded(detail.text).split())

    def holds(self, detail: Detail) -> bool:
        """Whether one of the texts holds a detail."""
        if detail.kind == "number" and abs(_number(detail.text)[0]) < 1000:
            return False
        if detail.kind == "date" and ":" in detail.text:
            return False
        return _canonical(detail) in self._held


def _canonical(detail: Detail) -> tuple[str, Hashable]:
    """Equal for details that say the same."""
    text = detail.text
    match detail.kind:
        case "number":
            return "number", _number(text)
        case "date":
            return "date", _date(text)
        case "version":
            return "version", text.lstrip("vV")
        case "path" | "url":
            return detail.kind, text.removeprefix("./").rstrip("/")
        case "identifier" | "placeholder":
            return detail.kind, text
        case _:
            return detail.kind, _folded(text)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _number(literal: str) -> tuple[Decimal, str]:
    """Value and unit ("" for none)."""
    parts = _NUMBER_PARTS.match(literal)
    if parts is None:  # a piece around a comma that holds no digit
        return Decimal("NaN"), ""
    sign, currency, digits, scale, unit = parts.groups()
    value = Decimal(digits.replace(",", "")) * _SCALES[scale or ""]
    return -value if sign else value, UNITS.get(unit or currency, "")


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
