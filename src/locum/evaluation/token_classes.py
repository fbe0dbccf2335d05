"""What each token of a response is: one class a token, so that the losses of the classes add up to the total.

The classes stand in order, and the first that claims a character has it; a token is of the class that has most of its
characters, white space aside. What is *copied* or *grounded* stands in the rendered prompt.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import msgspec

from locum.evaluation.call_text import Part, call_parts
from locum.evaluation.decisions import LEXICONS
from locum.evaluation.lexicons import Span, found, matcher
from locum.evaluation.phrases import decisive
from locum.evaluation.signatures.details import details
from locum.evaluation.signatures.grounding import made_up
from locum.evaluation.tokens import Response
from locum.settings import Lexicons

CLASSES = (
    "template",  # end of turn, tags around calls
    "json_syntax",
    "tool_name",
    "argument_key",
    "argument_copied",  # stands in the prompt as a whole
    "argument_other",
    "verdict",  # what decides a review or a reply
    "entity_ungrounded",  # a number, path, name and so on that the prompt does not hold
    "entity_grounded",
    "copied_ngram",  # four words in a row that stand so in the prompt
    "code",
    "domain_vocabulary",
    "qualifier",
    "function_word",
    "other",
)
COPIED = frozenset({"argument_copied", "entity_grounded", "copied_ngram"})
"""Any model that can copy gains on these from the row's own context, whatever it understands."""
_NGRAM = 4
_WORD = re.compile(r"\w+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


class Tagger:
    """Tells the tokens of responses apart.

    Args:
        lexicons: qualifiers, function words and so on (`lexicons.with_added`).
        domain: words of the agent's field, in lower case.
        inventory: names of tools and parameters that need no support in the prompt.
    """

    def __init__(self, lexicons: Lexicons, domain: Collection[str] = (), inventory: Collection[str] = ()) -> None:
        self._verdict = matcher(lexicons.verdict)
        self._domain = matcher([*domain, *lexicons.domain_vocabulary])
        self._qualifier = matcher(lexicons.qualifier)
        self._function_word = matcher(lexicons.function_word)
        self._inventory = frozenset(inventory)

    def classes(self, response: Response, structure: str) -> list[str]:
        """The class of each token.

        Args:
            response: a rendered response.
            structure: the row's structural family, which decides what a verdict is.
        """
        owner: list[str | None] = [None] * len(response.text)
        for class_, start, end in self._spans(response, structure):
            for at in range(start, end):
                owner[at] = owner[at] or class_
        return [
            "template" if special else _commonest(response.text, owner, *span)
            for span, special in zip(response.spans, response.special, strict=True)
        ]

    def _spans(self, response: Response, structure: str) -> Iterator[tuple[str, int, int]]:
        """(class, start, end), those that come first in the order of the classes first."""
        text, prompt = response.text, response.prompt
        calls = call_parts(text)
        for part in calls:
            yield (_argument(part, prompt) if part.kind == "argument" else part.kind), part.start, part.end
        # The end of the turn is no prose; calls are settled above, and blanked so that nothing reaches into them.
        ends = [start for (start, _), special in zip(response.spans, response.special, strict=True) if special]
        prose = _without(text[: min(ends, default=len(text))], [(part.start, part.end) for part in calls])
        if structure in LEXICONS:
            yield from (("verdict", start, end) for _, start, end in decisive(prose, LEXICONS[structure]))
        yield from _each("verdict", found(self._verdict, prose))
        loose = {(detail.start, detail.end) for detail in made_up(prose, prompt, self._inventory)}
        stand = [(detail.start, detail.end) for detail in details(prose)]
        yield from _each("entity_ungrounded", [span for span in stand if span in loose])
        yield from _each("entity_grounded", [span for span in stand if span not in loose])
        yield from _each("copied_ngram", _copied(prose, prompt))
        yield from _each("code", [match.span() for match in _CODE.finditer(prose)])
        yield from _each("domain_vocabulary", found(self._domain, prose))
        yield from _each("qualifier", found(self._qualifier, prose))
        yield from _each("function_word", found(self._function_word, prose))


class Facets(msgspec.Struct, frozen=True):
    """What else is known of a token, beside its class."""

    word_initial: bool
    """Whether a word begins in it: losses a word compare across tokenizers, losses a token do not."""
    bucket: str
    """Its place in the response: `1-5`, `6-20` or `21-`."""


def facets(response: Response) -> list[Facets]:
    """The facets of each token of a response."""
    initial = {match.start() for match in _WORD.finditer(response.text)}
    seen: set[int] = set()
    found_: list[Facets] = []
    for at, (start, end) in enumerate(response.spans):
        begins = initial.intersection(range(start, end)) - seen
        seen |= begins  # of several tokens of one character the first begins the word
        bucket = "1-5" if at < 5 else "6-20" if at < 20 else "21-"
        found_.append(Facets(word_initial=bool(begins) and not response.special[at], bucket=bucket))
    return found_


def _each(class_: str, spans: Iterable[Span]) -> Iterator[tuple[str, int, int]]:
    return ((class_, start, end) for start, end in spans)


def _argument(part: Part, prompt: str) -> str:
    value = part.value
    if isinstance(value, str):
        literal = value.strip()
    elif isinstance(value, bool) or value is None:
        return "argument_other"
    else:
        literal = str(value)
    # Nothing stands within a word, nor 15 within 1.15.
    held = literal and re.search(rf"(?<!\w)(?<![0-9][.,]){re.escape(literal)}(?!\w|[.,][0-9])", prompt)
    return "argument_copied" if held else "argument_other"


def _copied(text: str, prompt: str) -> list[Span]:
    """Every run of four words that the prompt holds in the same order."""
    held = [match[0].lower() for match in _WORD.finditer(prompt)]
    grams = set(zip(*(held[at:] for at in range(_NGRAM)), strict=False))
    words = [(match[0].lower(), match.start(), match.end()) for match in _WORD.finditer(text)]
    return [
        (words[at][1], words[at + _NGRAM - 1][2])
        for at in range(len(words) - _NGRAM + 1)
        if tuple(word for word, _, _ in words[at : at + _NGRAM]) in grams
    ]


def _without(text: str, spans: Iterable[Span]) -> str:
    """The text with spans overwritten by line breaks, so that places stay."""
    for start, end in spans:
        text = f"{text[:start]}{chr(10) * (min(end, len(text)) - start)}{text[end:]}" if start < len(text) else text
    return text


def _commonest(text: str, owner: list[str | None], start: int, end: int) -> str:
    """The class that has most of a token's characters; of equals the first."""
    places = [at for at in range(start, end) if not text[at].isspace()] or range(start, end)
    counts = Counter(owner[at] or "other" for at in places)
    return max(counts, key=lambda class_: (counts[class_], -CLASSES.index(class_)), default="other")
