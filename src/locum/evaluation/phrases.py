"""Where a text states its decision: the phrases of `decisions.LEXICONS`, with their places."""

import re

from locum.evaluation.decisions import Phrases

_QUOTED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|^[ \t]*>[^\n]*", re.DOTALL | re.MULTILINE)


def decisive(text: str, phrases: Phrases) -> list[tuple[str, int, int]]:
    """(label, start, end) of every phrase that decides, in order of place; what one has matched the others do not see.

    As `decisions.stated`, quoted lines and code do not count.
    """
    plain = text.replace("’", "'").lower()
    if len(plain) != len(text):  # a few letters become two in lower case: their places would be lost
        plain = text.replace("’", "'")
    plain = _QUOTED.sub(_blank, plain)
    spans: list[tuple[str, int, int]] = []
    for label, patterns in phrases:
        pattern = re.compile("|".join(patterns))
        for match in pattern.finditer(plain):
            start, end = match.span()
            # Patterns anchored to a line begin with what comes before the words.
            start += len(match[0]) - len(match[0].lstrip("\n\t *#>_-"))
            if start < end:
                spans.append((label, start, end))
        plain = pattern.sub(_blank, plain)
    return sorted(spans, key=lambda span: span[1:])


def _blank(match: re.Match[str]) -> str:
    # No word and no space, so that nothing is found across it.
    return "\N{BULLET}" * len(match[0])
