"""Details that a response can only have from somewhere: file names, ids, long numbers, lines that it quotes.

A response may make up much of its own: code, file contents, a search, a plan. It cannot make up `ticket_4417`.
Where such a detail stands in what the session held before, and not in the prompt that the row shows (the shortening
took it, or it was never shown), nobody who reads the row could have written the response, and a model trained on it
learns to invent details.

The rule is for precision. A detail is missing only if neither the prompt nor a tool schema holds it, in whatever
case, and if somebody other than the agent said it before: what the agent alone has said (a name it chose, a phrase
that it always writes) it may say again. Names that everybody knows (`README.md`, `node.js`) are no details.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

import msgspec
from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from locum.dataset.once import OncePerMessage
from locum.dataset.turns import Turn, spoken
from locum.types import Message, Session

_LONGEST = 200_000
"""Characters looked at of one message of the session; of a longer one as many at its beginning and at its end."""
_ONE_LINE = 400
"""A longer argument, or one of several lines, is content (code, a patch, a letter), and mostly the agent's own."""
_LINE = 24
"""Shorter lines than this are found in many files."""
_STEM = 4
"""Shorter names of files than this may be variables with an attribute."""

_WORDS = re.compile(rb"[a-z0-9_][a-z0-9_.@-]{3,}[a-z0-9_]")
_IN_WORD = re.compile(rb"[a-z0-9_]")
# Only words with a digit or a dot can be details; most have neither.
_WORD = re.compile(r"(?<![\w.@-])(?=[a-z_@-]*[0-9.])[a-z0-9_][a-z0-9_.@-]{3,}[a-z0-9_](?![\w@(-])", re.ASCII)
_NUMBER = re.compile(r"(?![1-9]\d?0+$)\d{5,}")  # a round one may be the agent's choice: a timeout, a limit
_ID = re.compile(r"(?!\d+[a-z]{1,3}$)(?=.*[a-z])(?=(?:\D*\d){3})[\w-]{6,}", re.ASCII)
_FILE = re.compile(
    r"c|cc|cfg|conf|cpp|cs|css|csv|ex|exs|go|h|hpp|html|ini|ipynb|java|jpg|js|json|jsonl|jsx|kt|lock|log|lua|md|mdx|"
    r"mjs|pdf|php|pl|png|proto|py|rb|rs|scala|scss|sh|sql|svelte|svg|swift|tex|tf|toml|ts|tsv|tsx|txt|vue|xml|yaml|yml"
)
"""What comes after the last dot of a file's name."""
_KNOWN = re.compile(
    r"__init__|__main__|agents|angular|application|backbone|build|cargo|changelog|chart|claude|client|component|"
    r"compose|config|conftest|console|constants|contributing|data|docker-compose|docs|error|errors|eslint|express|"
    r"file|global|globals|handler|handlers|helper|helpers|home|index|input|install|layout|license|loading|main|manage|"
    r"manifest|math|memory|middleware|model|models|module|next|node|notes|nuxt|output|package|package-lock|page|"
    r"params|pnpm-lock|prettier|process|prompt|pyproject|react|readme|release|request|requirements|response|result|"
    r"results|route|router|routes|schema|script|search|server|service|settings|setup|style|styles|task|tasks|test|"
    r"tests|three|todo|tsconfig|types|user|users|util|utils|values|version|views|vite|vitest|webpack|yarn"
)
"""Names without ending of files that are in every project, and of libraries that end like files."""
_STANDARDS = re.compile(r"x86_64|(?:utf|iso|rfc|ecma|es|sha|ieee|http|windows|cp)[-_]?\d{3,5}(?:-\d+)?")
_MARGIN = " \t0123456789→|:+-"
"""What stands before a line in listings and diffs."""


class Held:
    """What a session has held up to one of its turns; made for one walk along it, from turn to turn."""

    def __init__(self, session: Session) -> None:
        """Args: session: the one that is walked, with its messages as `turns.steps` gets them."""
        self._session = session
        self._at = 0
        self._tools: str | None = None
        self._raw = OncePerMessage(lambda message: _lowered(_text(message)))
        self._text = OncePerMessage(lambda message: _text(message).lower())
        self._asked = OncePerMessage(_asked)
        self._scan: BytesAhoCorasick | None = None
        self._words = _Index(session.messages)
        self._lines = _Index(session.messages)

    def missing(self, turn: Turn, prompt: Sequence[Message]) -> tuple[str, ...]:
        """The details of the turn's response that the session held before it and the prompt does not.

        Args:
            turn: the session's next turn that is asked about; turns come in their order.
            prompt: what the turn's row shows before it, shortened.

        Returns:
            details and quoted lines in lower case, in alphabetical order; empty where the response is legible. Over
            a whole session the cost is linear in its length and in that of all prompts together.
        """
        words, quotes = self._asked(turn.message)
        if not words and not quotes:
            return ()
        if words:
            raw = b"\n".join((_lowered(self._schemas()), *self._raw.of(prompt)))
            words = {word for word in words if word.encode() not in raw}
        if quotes:
            shown = "\n".join((self._schemas().lower(), *self._text.of(prompt)))
            quotes = [quote for quote in quotes if not any(line in shown for line in quote)]
        if not words and not quotes:
            return ()
        before = self._before(turn)
        missing = set()
        if words:
            self._words.hear(before, self._words_of)
            missing = {word for word in words if self._words.holds(word.encode())}
        if quotes:
            self._lines.hear(before, _lines_of)
        for quote in quotes:
            if all(self._lines.holds(line) for line in quote):
                missing.update(quote)
        return tuple(sorted(missing))

    def _before(self, turn: Turn) -> int:
        """How many messages stand before the turn; `_at` makes finding it cost one walk for all turns."""
        messages = self._session.messages
        while self._at < len(messages) and messages[self._at] is not turn.message:
            self._at += 1
        return self._at

    def _words_of(self, text: str) -> Iterator[bytes]:
        """The words of a text that a response of the session asks for, found in one pass (Aho and Corasick,
        Communications of the ACM 18, 1975): a tenth of what taking it apart would cost."""
        if self._scan is None:
            asked = self._asked.of(message for message in self._session.messages if message.role == "assistant")
            patterns = {word.encode() for words, _ in asked for word in words}
            self._scan = BytesAhoCorasick(patterns, MatchKind.LeftmostLongest, Implementation.ContiguousNFA)
        raw = _lowered(text)
        for _, start, end in self._scan.find_matches_as_indexes(raw):
            # The longest of those that begin here: if a word begins here, it can only be this one.
            word = _WORDS.match(raw, start)
            if word is not None and word.end() == end and _begins_word(raw, start):
                yield word[0]

    def _schemas(self) -> str:
        if self._tools is None:
            self._tools = msgspec.json.encode(self._session.tools).decode()
        return self._tools


def _lowered(text: str) -> bytes:
    """A text in UTF-8, ASCII in lower case, which is all that words are made of; several times as fast as the rest too.

    Of other characters two become ASCII in lower case: the Kelvin sign, and the I with a dot.
    """
    return (text.lower() if "\u212a" in text or "\u0130" in text else text).encode().lower()


def _begins_word(raw: bytes, at: int) -> bool:
    """Whether no character before `at` belongs to the same word as the one that stands there."""
    while at and raw[at - 1] in b".@-":
        at -= 1
    return not at or _IN_WORD.match(raw, at - 1) is None


def _text(message: Message) -> str:
    texts = [message.content]
    texts += (text for call in message.tool_calls for _, text in _named(call.arguments))
    return "\n".join(texts)


class _Index:
    """Which pieces the messages hold that others than the agent wrote, as far as anyone has asked."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._held: set[Any] = set()
        self._done = 0

    def hear(self, before: int, pieces: Callable[[str], Iterable[Any]]) -> None:
        """Take in the messages up to this position that have not been taken in yet.

        Args:
            before: the position.
            pieces: the pieces of a text, always the same function. It is not kept: what knows this index and is known
                by it would keep a whole session in memory until cycles are looked for.
        """
        for at in range(self._done, before):
            message = self._messages[at]
            if message.role != "assistant":
                text = message.content
                self._held.update(pieces(text[:_LONGEST]))
                if len(text) > _LONGEST:
                    self._held.update(pieces(text[max(_LONGEST, len(text) - _LONGEST) :]))
        self._done = max(self._done, before)

    def holds(self, piece: Any) -> bool:
        """Whether one of them holds it."""
        return piece in self._held


def _asked(message: Message) -> tuple[Set[str], list[tuple[str, ...]]]:
    """What a message of the agent may have from somewhere, in lower case: the words of its response that are details,
    and the long lines of every argument that is a quote if all of them stood somewhere before."""
    texts = [spoken(message).content]
    quotes: list[tuple[str, ...]] = []
    for call in message.tool_calls:
        for name, text in _named(call.arguments):
            several = "\n" in text
            if not several and len(text) <= _ONE_LINE:
                texts.append(text)
            if several or name.startswith("old"):
                lines = tuple(_long_lines(text.lower()))
                if lines:
                    quotes.append(lines)
    return {word for text in texts for word in _WORD.findall(text.lower()) if _is_detail(word)}, quotes


def _is_detail(word: str) -> bool:
    if _NUMBER.fullmatch(word):
        return True
    if _ID.fullmatch(word):
        return _STANDARDS.fullmatch(word) is None
    stem, _, ending = word.rpartition(".")
    return len(stem) >= _STEM and _FILE.fullmatch(ending) is not None and _KNOWN.fullmatch(stem) is None


def _lines_of(text: str) -> list[str]:
    return _long_lines(text.lower())


def _long_lines(text: str) -> list[str]:
    return [
        bare for line in text.splitlines() if len(line) >= _LINE and len(bare := line.lstrip(_MARGIN).rstrip()) >= _LINE
    ]


def _named(value: dict[str, Any]) -> list[tuple[str, str]]:
    """Every text and whole number in a call's arguments, with the key that it stands under."""
    found: list[tuple[str, str]] = []
    _gather(value, "", found)
    return found


def _gather(value: Any, name: str, found: list[tuple[str, str]]) -> None:
    if isinstance(value, str):
        found.append((name, value))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):  # as most are
                found.append((key, item))
            else:
                _gather(item, key, found)
    elif isinstance(value, list):
        for item in value:
            _gather(item, name, found)
    elif isinstance(value, int) and not isinstance(value, bool):
        found.append((name, str(value)))
