"""What makes a Markdown file an essay; any could be one, and most are not, so it is narrow on purpose.

There is a title, in the front matter or as the first line; then at least three paragraphs of prose that make up most
of the text. What speaks to a reader who is to do something is none: instructions and characters of agents (their
front matter has keys of their own, they are titled by a file's name, or begin with "You are"), and manuals (headings
such as "Installation"). Without a date in the front matter it has to speak in the first person as well, in English:
what else has a title and prose is documentation.
"""

import re

from locum.sessions.essay.page import Page, heading_text

_PARAGRAPHS = 3
_WORDS = 120
_PROSE = 0.8
"""Share of the text that has to be prose."""
_CODE = 0.1
"""Share of the text that may be code."""
_FIRST_PERSON = 0.01
"""Words of the first person per word, where no date says that this was published."""
_SYMBOLS = 0.05
"""Share of a paragraph from which on its symbols make it code or data."""

_SYMBOL = re.compile(r"[{}()\[\]=;<>_|\\$#@%^&~+/]")
_LINK = re.compile(r"\]\([^)\s]{0,300}\)|https?://\S+")
_INSTRUCTING_KEYS = frozenset(
    {
        *("name", "tools", "allowed-tools", "model", "agent", "trigger", "globs", "alwaysapply"),
        *("scope", "refuses", "max_retries", "version", "license"),
    }
)
"""Keys in the front matter of skills, rules, agents and characters."""
_FILE_NAME = re.compile(
    r"\b[\w-]+\.(?:md|mdc|txt|json|ya?ml)\b|\A(?:readme|changelog|agents|claude|soul)\b", re.IGNORECASE
)
_MANUAL = re.compile(
    r"(?:\d+[.)]\s*)?(?:install(?:ation|ing)?|usage|quick ?start|getting started|configuration|requirements"
    r"|prerequisites|contributing|licen[cs]e|api(?: reference)?|commands|tests?|testing|development|deployment"
    r"|troubleshooting|table of contents|changelog|dependencies|build|setup|rules|guidelines|constraints|tools|identity"
    r"|when to use)\Z",
    re.IGNORECASE,
)
_ADDRESSING = re.compile(
    r"(?:\A|[.!?:]\s)[\s*_\"“]*"
    r"(?:you(?: are|['’]re| must| should| will be| have access)\b|your (?:role|task|job|goal)\b)"
    r"|\bthis file (?:provides|contains|defines|describes|is)\b",
    re.IGNORECASE,
)
"""How texts begin that tell an agent what it is."""
_I = re.compile(r"\b(?:I|I['’]\w+|my|mine|myself)\b|\b[Mm]e\b")


def is_essay(page: Page) -> bool:
    """Whether what a file holds, or begins with, is an essay."""
    blocks = page.blocks
    if not page.title or _FILE_NAME.search(page.title) or _INSTRUCTING_KEYS & page.matter.keys():
        return False
    if any(block.kind == "heading" and _MANUAL.match(heading_text(block)) for block in blocks):
        return False
    # In code and configuration, which begin with a comment as with a title, comments are titles all along.
    if page.heading is not None and any(block.kind == "heading" and block.text.startswith("# ") for block in blocks):
        return False
    prose = [block.text for block in blocks if block.kind == "prose" and _is_prose(block.text)]
    if len(prose) < _PARAGRAPHS or any(_ADDRESSING.search(text) for text in prose[:2]):
        return False
    written = sum(len(block.text) for block in blocks if block.kind != "break")
    code = sum(len(block.text) for block in blocks if block.kind == "code")
    if sum(map(len, prose)) < _PROSE * written or code > _CODE * written:
        return False
    words = sum(len(text.split()) for text in prose)
    spoken = sum(len(_I.findall(text)) for text in prose)
    published = "title" in page.matter and page.date is not None
    return words >= _WORDS and (published or spoken >= _FIRST_PERSON * words)


def _is_prose(text: str) -> bool:
    plain = _LINK.sub("", text)
    return len(_SYMBOL.findall(plain)) <= _SYMBOLS * len(plain)
