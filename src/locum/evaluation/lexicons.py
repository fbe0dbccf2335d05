"""The words by which tokens are told apart: those that Locum brings, and those that a user adds in `locum.toml`."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec

from locum.settings import Lexicons

Span = tuple[int, int]


@cache
def shipped() -> Lexicons:
    """The lists of `lexicons.toml`."""
    text = resources.files("locum.evaluation").joinpath("lexicons.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Lexicons)


def with_added(added: Lexicons) -> Lexicons:
    """Locum's lists and those of the user's settings."""
    own = msgspec.structs.asdict(shipped())
    return Lexicons(**{name: (*words, *getattr(added, name)) for name, words in own.items()})


def matcher(phrases: Iterable[str]) -> re.Pattern[str] | None:
    """An expression that finds any of the phrases as whole words, the longest first; None for no phrase."""
    listed = sorted({phrase.strip().lower() for phrase in phrases} - {""}, key=len, reverse=True)
    if not listed:
        return None
    either = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in listed)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)


def found(pattern: re.Pattern[str] | None, text: str) -> list[Span]:
    """Where a matcher's phrases stand; typographic apostrophes count as plain ones."""
    return [match.span() for match in pattern.finditer(text.replace("’", "'"))] if pattern else []


def words(text: str) -> list[str]:
    """The words and numbers of a text in lower case, parts of identifiers one by one."""
    return [word.lower() for word in _WORD.findall(text)]


_WORD = re.compile(r"[^\W_]+")
