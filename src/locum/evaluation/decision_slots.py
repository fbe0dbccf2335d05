"""Where a response decides, and what else could stand there: the options open at that place, as tokens.

- A tool decision: the name in the first call; the options are the tools in force (where the log holds no schemas: the
  tools that the agent called in its training rows of the family).
- A review or a reply: the beginning of the sentence that states the verdict or stance, up to the phrase that does; the
  options of a label are the ways in which the agent itself most often begins such a sentence in its training rows.

An option is scored whole, a tool with the quotation mark that closes it, so that no option is the beginning of
another. Options of one place begin at the first token in which they differ.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from locum.evaluation.call_text import call_parts
from locum.evaluation.decisions import LEXICONS, decision_label
from locum.evaluation.phrases import decisive
from locum.evaluation.tokens import Response, tokenize
from locum.training.chat_template import Renderer
from locum.types import Row

_SENTENCE = re.compile(r"[.!?:]\s+|\n\W*")
_PHRASES = 3
"""Phrases a label that are offered."""


class Option(msgspec.Struct, frozen=True):
    """Something that could stand at a decision."""

    label: str
    text: str
    tokens: tuple[int, ...]
    """From the slot's first token on."""


class Slot(msgspec.Struct, frozen=True):
    """A decision within a response."""

    label: str
    """What the agent decided."""
    start: int
    """Position of the first token in which the options differ, among the response's tokens."""
    end: int
    """Position after the last token of the agent's own option."""
    options: tuple[Option, ...]
    """No option's tokens begin with another's; the agent's own label is among them."""

    @property
    def labels(self) -> list[str]:
        """The labels that are open here."""
        return sorted({option.label for option in self.options})


class Choices(msgspec.Struct, frozen=True):
    """What the agent chose in its training rows."""

    labels: dict[str, Counter[str]]
    """Family -> how often it decided what: for tools, by the name in the first call."""
    phrases: dict[str, dict[str, tuple[str, ...]]]
    """Family -> label -> the phrases by which it most often says so."""


def learn_choices(train: Sequence[Row]) -> Choices:
    """Count the decisions of the training rows."""
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    phrases: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for row in train:
        decided = decision_of(row)
        if decided is None:
            continue
        labels[row.family][decided] += 1
        if row.structure in LEXICONS:
            span = _stating(row.response.content, decided, row.structure)
            if span:
                phrases[row.family][decided][row.response.content[slice(*span)]] += 1
    listed = {
        family: {
            label: tuple(sorted(counts, key=lambda phrase: (-counts[phrase], phrase))[:_PHRASES])
            for label, counts in of.items()
        }
        for family, of in phrases.items()
    }
    return Choices(dict(labels), listed)


def decision_of(row: Row) -> str | None:
    """What a row decides at its slot: the first tool, the verdict, the stance; None where it decides nothing."""
    if row.structure == "tool_decision":
        return row.response.tool_calls[0].name if row.response.tool_calls else None
    return decision_label(row.structure, row.response)


def slot_of(row: Row, response: Response, choices: Choices, renderer: Renderer) -> Slot | None:
    """The decision of a row with its options; None where it has none, or nothing else could stand there."""
    label = decision_of(row)
    if label is None:
        return None
    if row.structure == "tool_decision":
        span = next(((part.start, part.end) for part in call_parts(response.text) if part.kind == "tool_name"), None)
        names = [str(tool.get("function", tool).get("name", "")) for tool in row.tools]
        known = names or list(choices.labels.get(row.family, {}))
        offered: dict[str, tuple[str, ...]] = {name: (name,) for name in known if name}
        reach = 1  # the closing quotation mark
    else:
        span = _stating(response.text, label, row.structure)
        offered = dict(choices.phrases.get(row.family, {}))
        reach = 0
    if span is None:
        return None
    own = response.text[slice(*span)]
    texts = [(label, own), *((other, text) for other, of in offered.items() for text in of if text != own)]
    return slot(response, span, texts, reach, renderer) if len({of for of, _ in texts}) > 1 else None


def slot(
    response: Response, span: tuple[int, int], texts: Sequence[tuple[str, str]], reach: int, renderer: Renderer
) -> Slot | None:
    """The slot in which texts take one another's place.

    Args:
        response: the response with the agent's own text at `span`.
        span: characters of the agent's own text.
        texts: (label, text); the agent's own first.
        reach: characters after the text that belong to it.
        renderer: the base's.

    Returns:
        None where fewer than two labels are left.
    """
    start, end = span
    found: list[list[int]] = []
    for _, text in texts:
        written = response.text[:start] + text + response.text[end:]
        tokens, spans = tokenize(written, renderer)
        last = start + len(text) + reach
        found.append(tokens[: sum(first < last for first, _ in spans)])
    common = min(_common(found[0], tokens) for tokens in found)
    # Where an option is the beginning of another, its first token still has to differ.
    common = min(common, *(len(tokens) - 1 for tokens in found))
    options = [Option(label, text, tuple(tokens[common:])) for (label, text), tokens in zip(texts, found, strict=True)]
    kept = _prefix_free(options)
    if len({option.label for option in kept}) < 2 or options[0].label not in {option.label for option in kept}:
        return None
    return Slot(label=texts[0][0], start=common, end=len(found[0]), options=tuple(kept))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    for at, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return at
    return min(len(a), len(b))


def _prefix_free(options: Sequence[Option]) -> list[Option]:
    """Leave out options that are counted in another: of one label the shorter stays, of two labels the longer, which
    says more."""
    kept: list[Option] = []
    for option in options:
        clash = [
            other
            for other in options
            if other is not option
            and (
                (other.label == option.label and _begins(option.tokens, other.tokens) and other.tokens != option.tokens)
                or (other.label != option.label and _begins(other.tokens, option.tokens))
            )
        ]
        same = any(other.tokens == option.tokens for other in kept)
        if not clash and not same:
            kept.append(option)
    return kept


def _begins(whole: Sequence[int], start: Sequence[int]) -> bool:
    return tuple(whole[: len(start)]) == tuple(start)


def _stating(text: str, label: str, structure: str) -> tuple[int, int] | None:
    """Where a text first says that it decides `label`, from the beginning of that sentence on: "I have to push back"
    is decided with its first word."""
    spans = [(start, end) for found, start, end in decisive(text, LEXICONS[structure]) if found == label]
    if not spans:
        return None
    start, end = spans[0]
    return max((match.end() for match in _SENTENCE.finditer(text, 0, start)), default=0), end


def base_rate(counts: Mapping[str, int], labels: Sequence[str], label: str) -> float:
    """How often the family's training rows decide `label`, of those that decide one of `labels`; each counts half more.

    0 < rate < 1 where there are two labels or more.
    """
    return (counts.get(label, 0) + 0.5) / (sum(counts.get(open_, 0) for open_ in labels) + 0.5 * len(labels))
