"""Values that were redacted before training, looked for in what the models write.

The originals are gone; their salted hashes stand beside the dataset (`DIR.redactions.json`). Whatever looks like a
secret or stands alone as a word is hashed with the same salt and compared. A hit is named by its placeholder and cut
out of the text before the text is kept: the value itself is in no file, message or report.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from locum.dataset.detectors import find
from locum.dataset.redaction import Redactions, canonical_form, salted_hash
from locum.dataset.store import read_redactions, redactions_file

_WORD = re.compile(r"[^\s\"'`“”‘’<>()\[\]{},;|]+")
_EDGES = ".:!?=*_-"
_SHORTEST = 6
"""Characters of a bare word that is looked up; what the detectors find is looked up at any length."""
_SPELLINGS = ("EMAIL", "PHONE", "")
"""A kind for each way in which values are written before they are hashed."""


class Leak(NamedTuple):
    """Where a redacted value stands in a text."""

    start: int
    end: int
    placeholder: str


class SecretProbe:
    """Finds the redacted values of one dataset.

    Args:
        redactions: their salted hashes; None where they are missing: then nothing is looked for.
    """

    def __init__(self, redactions: Redactions | None) -> None:
        self._salt = redactions.salt if redactions else ""
        self._placeholders = {value.sha256: value.placeholder for value in redactions.values} if redactions else {}
        self.values = None if redactions is None else len(self._placeholders)
        """How many values are looked for; None where their hashes are missing."""

    @classmethod
    def of_dataset(cls, folder: Path) -> Self:
        """For the values that were redacted in a dataset folder.

        Raises:
            DatasetError: the file beside it is damaged.
        """
        return cls(read_redactions(folder) if redactions_file(folder).is_file() else None)

    def leaks(self, text: str) -> list[Leak]:
        """The redacted values in a text, in order, none overlapping."""
        if not self._placeholders:
            return []
        found = []
        for start, end in _spans(text):
            value = text[start:end]
            for kind in _SPELLINGS:
                placeholder = self._placeholders.get(salted_hash(self._salt, canonical_form(kind, value)))
                if placeholder is not None:
                    found.append(Leak(start, end, placeholder))
                    break
        found.sort(key=lambda leak: (leak.start, -leak.end))
        return [leak for at, leak in enumerate(found) if all(leak.start >= other.end for other in found[:at])]

    def sealed(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text with every redacted value as its placeholder, and the placeholders of those it held."""
        leaks = self.leaks(text)
        for leak in reversed(leaks):
            text = text[: leak.start] + leak.placeholder + text[leak.end :]
        return text, tuple(leak.placeholder for leak in leaks)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for finding in find(text):
        yield finding.start, finding.end
    for match in _WORD.finditer(text):
        word = match[0]
        start = match.start() + len(word) - len(word.lstrip(_EDGES))
        end = match.start() + len(word.rstrip(_EDGES))
        if end - start >= _SHORTEST:
            yield start, end
        for mark in ("=", ":", "/"):  # NAME=value, name:value, the account in a path
            at = start
            for part in text[start:end].split(mark):
                if len(part) >= _SHORTEST and len(part) < end - start:
                    yield at, at + len(part)
                at += len(part) + 1
