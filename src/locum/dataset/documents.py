"""Standing documents: what an agent is told before anybody speaks to it, the same in session after session.

System prompts, policies, and the instruction files that clients put before the conversation (CLAUDE.md, AGENTS.md,
memory files). A dataset holds each once, by digest, in `documents.jsonl`; rows name those in force. They stay in the
prompts (`keep`), or are left out on purpose (`absorb`), so that training takes them in and every later call is
shorter. What differs from session to session (the working directory, the date, open files) is no standing document
and always stays.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from locum.files import digest
from locum.types import Message, Session

Kind = Literal["system", "policy", "claude_md", "agents_md", "memory"]
Handling = Literal["keep", "absorb"]

_POLICY = re.compile(r"#+ .{0,60}\bpolicy\b", re.IGNORECASE)
_BLOCKS = (
    ("<user_instructions>", "</user_instructions>"),
    ("# AGENTS.md instructions for ", "</INSTRUCTIONS>"),
    ("<INSTRUCTIONS>", "</INSTRUCTIONS>"),
    ("<system-reminder>", "</system-reminder>"),
)
"""How what clients put before the conversation begins and ends."""
_REMINDER = "<system-reminder>"
_BROUGHT = re.compile(r"# claudeMd\b|Contents of [^\n]{1,300}?\b(?P<file>CLAUDE(?:\.local)?|AGENTS|MEMORY|SOUL)\.md\b")
"""How the document begins that a reminder brings."""
_HEAD = 500
"""Characters at the beginning of a reminder in which it does."""
_OTHERS = re.compile(r"^# (?:currentDate|gitStatus|userEmail)\b|^[ \t]*IMPORTANT: this context", re.MULTILINE)
"""What else stands in such a reminder, and differs from session to session."""
_KINDS: dict[str, Kind] = {"AGENTS": "agents_md", "MEMORY": "memory", "SOUL": "memory"}


class Document(msgspec.Struct, frozen=True):
    """A standing document: one line of `documents.jsonl`."""

    digest: str
    """Hex SHA-256 of its text as JSON."""
    kind: Kind
    chars: int
    sessions: int
    """How many sessions it stands in."""
    text: str
    """Whole and redacted, however much of it a prompt has room for."""


class Standing(msgspec.Struct, frozen=True):
    """A standing document where a session has it."""

    digest: str
    kind: Kind
    text: str
    turn: int
    """The first of the agent's turns that comes after it."""


def find_standing(session: Session, handling: Handling) -> tuple[Session, tuple[Standing, ...]]:
    """The standing documents of a session, and the session as rows are to be made of it.

    Args:
        session: redacted: the documents are kept as they stand here.
        handling: `keep` returns the session as it is, `absorb` without them.

    System messages count as far as they come before the agent speaks; one that comes later is about what has just
    happened, and stays.
    """
    found: list[Standing] = []
    messages: list[Message] = []
    turn = 0
    spoken = False
    for message in session.messages:
        spoken = spoken or message.role == "assistant"
        rest = message.content
        if message.role == "system" and not spoken and rest.strip():
            found.append(_standing("policy" if _POLICY.match(rest.lstrip()) else "system", rest, turn))
            rest = ""
        elif message.role == "user" and message.origin in ("harness", "system"):
            pieces = list(_cut(rest))
            found += (_standing(kind, piece, turn) for piece, kind in pieces if kind is not None)
            if any(kind is not None for _, kind in pieces):
                rest = "".join(piece for piece, kind in pieces if kind is None)
        turn += message.role == "assistant" and message.origin == "agent"
        if rest is message.content:
            messages.append(message)
        elif rest.strip():
            messages.append(msgspec.structs.replace(message, content=rest.strip()))
    if handling == "absorb" and found:
        session = msgspec.structs.replace(session, messages=tuple(messages))
    return session, tuple(found)


def in_force(standing: Sequence[Standing], turn: int) -> tuple[str, ...]:
    """The digests of the documents that a turn of the session has before it, in their order, each once.

    Args:
        standing: of the session.
        turn: the turn's index.
    """
    return tuple(dict.fromkeys(document.digest for document in standing if document.turn <= turn))


class Documents:
    """The standing documents of all sessions of a dataset, each once."""

    def __init__(self) -> None:
        self._found: dict[str, Document] = {}

    def add(self, standing: Sequence[Standing]) -> None:
        """Take in those of one session."""
        for one in {document.digest: document for document in standing}.values():
            known = self._found.get(one.digest)
            self._found[one.digest] = (
                msgspec.structs.replace(known, sessions=known.sessions + 1)
                if known is not None
                else Document(one.digest, one.kind, len(one.text), 1, one.text)
            )

    def all(self) -> tuple[Document, ...]:
        """What `documents.jsonl` holds: the commonest first, of equals by digest."""
        return tuple(sorted(self._found.values(), key=lambda document: (-document.sessions, document.digest)))


def _standing(kind: Kind, text: str, turn: int) -> Standing:
    text = text.strip()
    return Standing(digest(text), kind, text, turn)


def _cut(text: str) -> Iterator[tuple[str, Kind | None]]:
    """The text in pieces, those that are documents with their kind; linear in its length."""
    ends: dict[str, int] = {}
    done = 0
    for start in sorted(start for opening, _ in _BLOCKS for start in _positions(text, opening)):
        if start < done:
            continue
        opening, closing = next(block for block in _BLOCKS if text.startswith(block[0], start))
        end = ends.get(closing, 0)
        if 0 <= end <= start:
            end = ends[closing] = text.find(closing, start)
        if end < 0:
            continue
        after = end + len(closing)
        brought = _document(text, start, end) if opening == _REMINDER else (start, after, "agents_md")
        if brought is None:
            continue
        first, last, kind = brought
        if not text[start + len(opening) : first].strip() and not text[last:end].strip():
            first, last = start, after  # nothing else is in the block
        if first > done:
            yield text[done:first], None
        yield text[first:last], kind
        done = last
    if done < len(text):
        yield text[done:], None


def _document(text: str, start: int, end: int) -> tuple[int, int, Kind] | None:
    """Where in a reminder the document stands that it brings, and its kind."""
    brought = _BROUGHT.search(text, start, min(start + _HEAD, end))
    if brought is None:
        return None
    others = _OTHERS.search(text, brought.start(), end)
    return brought.start(), others.start() if others else end, _KINDS.get(brought["file"] or "", "claude_md")


def _positions(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))
