"""Aider's chat history: `.aider.chat.history.md`, one Markdown file a repository, appended to by every chat.

Format, as Aider's `io.py` writes it: a header begins a chat; what a human typed stands behind `#### `, the console's
lines behind `> `, both end in two spaces; the rest is the model's text, or the further lines of a console message
of several lines, which alone have no mark. So text counts as an answer only where one is due: after a human's
message or an edit that failed, before the tokens were counted. Aider's own prompts to fix what a linter or test
found look like a human's.

The log holds neither system prompts nor the files in the chat. An answer that quotes lines of a file for replacement
which nobody has shown in the chat cannot be told from one that made them up: it is marked as unreadable.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from locum.files import digest
from locum.sessions.jsonl import BOM, HEAD, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.reader import FileReading
from locum.sessions.transcript import Transcript, Turn
from locum.types import Session, Signal

_HEADER = re.compile(r"# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s*\Z")
_HEADER_IN_HEAD = re.compile(rb"^# aider chat started at \d{4}-\d\d-\d\d ", re.MULTILINE)
_MARKED = re.compile(rb"^(?:>|####).*  \r?$", re.MULTILINE)
_MODEL = re.compile(r"(?:Main model|Models?): (\S+)")
_COUNTED = re.compile(r"Tokens: |[\d.,]+k? (?:prompt )?tokens")
_COMMIT = re.compile(r"Commit ([0-9a-f]{7,40})\b")
_HUMANS_EDITS = re.compile(r"Committing .* before applying edits")
_UNDONE = re.compile(r"(?:Removed|Undid): ([0-9a-f]{7,40})\b")
_TALKING = re.compile(r"/(?:ask|code|architect|help|chat-mode)\s+(.*)\Z", re.DOTALL)
"""Commands whose text goes to the model."""
_FORGETTING = ("/clear", "/reset")
_FAILED_EDIT = "did not conform to the edit format"
_LOOPS = ("# Fix any errors below", "## Running:", "## See relevant line", "I ran this command:", "[Output of")
"""How prompts begin that Aider writes when a linter, a test or a command has failed."""
_SEARCH = re.compile(r"<{5,9} SEARCH\s*\Z")
_REPLACE = re.compile(r"={5,9}\s*\Z")


class Aider:
    """Reader of Aider's chat histories."""

    name = "aider"

    def detects(self, head: bytes, path: Path) -> bool:
        """A chat's header at the beginning of a line; what stands before it is the end of an earlier chat."""
        return _HEADER_IN_HEAD.search(head) is not None and head.lstrip()[:1] not in (b"{", b"[")

    def read(self, path: Path) -> FileReading:
        """One session a chat, and one more every time that its history is cleared."""
        ledger = Ledger(path)
        with path.open("rb") as file:
            marked = _MARKED.search(file.read(HEAD)) is not None
        chats = [_Chat(ledger, 1, None)]
        for number, line in _lines(path):
            if line is None:
                chats[-1].lose(number)
                continue
            header = _HEADER.match(line)
            if header is not None:
                ledger.noise(number, "header")
                chats.append(_Chat(ledger, number, header[1]))
            elif line.startswith("#### ") and (line.endswith("  ") or not marked):
                if not chats[-1].type(number, line[5:].rstrip()):
                    chats.append(chats[-1].cleared(number))
            elif line.startswith(">") and (line.endswith("  ") or not marked):
                chats[-1].show(number, line[1:].strip())
            else:
                chats[-1].write(number, line)
        sessions = [session for chat in chats if (session := chat.session(path)) is not None]
        return FileReading(str(path), self.name, tuple(sessions), ledger.lines())


def _lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """The lines with their numbers from 1, None where one is not UTF-8; the white space at their end says what they
    are."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            line = raw.removeprefix(BOM) if number == 1 else raw
            yield number, _text(line.rstrip(b"\r\n"))


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        # What the console shows is whatever commands print, and nobody's message.
        return line.decode(errors="replace") if line.startswith(b">") and line.endswith(b"  ") else None


class _Chat:
    """One chat, line by line."""

    def __init__(
        self, ledger: Ledger, line: int, started: str | None, model: str | None = None, first: str | None = None
    ) -> None:
        self._ledger = ledger
        self._line = line
        self._raw_start = started
        self._started = utc(started)
        self._model = model
        self._transcript = Transcript(ledger)
        self._asked: list[tuple[int, str]] = []
        """Lines that a human, or Aider in their place, is typing."""
        self._reported: list[tuple[int, str]] | None = None
        """Lines in which the console tells the model that its edit failed."""
        self._answer: list[tuple[int, str]] = []
        self._due = False
        """The model's answer is due, or being written."""
        self._fresh = True
        """The line before was blank: text here is not the further line of a console message."""
        self._stopped: Signal | None = None
        """Why the answer that is due is not whole."""
        self._lost = False
        """A line of what the next answer says or answers could not be read."""
        self._turn: Turn | None = None
        self._commits: dict[str, Turn] = {}
        self._humans_edits = False
        """The next commit is of what a human had changed."""
        self._more: list[int] = []
        """Lines of messages after their first, whose fate is the session's."""
        self._seen: set[str] = set()
        self._first = first
        """What was said first since the header."""

    def type(self, number: int, text: str) -> bool:
        """A line of a human's message; False where it begins a new context, of which it is no part."""
        self._finish()
        if not self._asked and text.split(maxsplit=1)[:1] and text.split(maxsplit=1)[0] in _FORGETTING:
            return False
        self._asked.append((number, text))
        self._fresh = False
        return True

    def cleared(self, number: int) -> "_Chat":
        """The chat that goes on from here with nothing of what was said."""
        self._ledger.noise(number, "command")
        return _Chat(self._ledger, number, self._raw_start, self._model, self._first)

    def show(self, number: int, text: str) -> None:
        """A line of the console."""
        self._ask()
        self._fresh = False
        if self._due and (stop := _stop(text)) is not None:
            # Aider reports it before it writes down what the model had said until then.
            self._stopped = stop
        if self._answer and _COUNTED.match(text):
            self._stopped = None if self._stopped == "interrupted" else self._stopped
            self._answered()
        elif self._answer and text:
            # Something is reported in the middle of an answer: it may still go on.
            self._answered(go_on=True)
        self._told(number, text)

    def write(self, number: int, line: str) -> None:
        """A line without a mark."""
        self._ask()
        if not line.strip() and not self._answer:
            self._fresh = True
            self._ledger.noise(number, "blank")
        elif self._answer or (self._due and self._fresh):
            self._report()
            self._answer.append((number, line))
        else:
            self._ledger.noise(number, "console")

    def lose(self, number: int) -> None:
        """A line that is not UTF-8."""
        self._ledger.bad(number, "not UTF-8")
        self._lost = self._lost or self._due or bool(self._asked or self._answer)

    def session(self, path: Path) -> Session | None:
        """The session, or None where the model says nothing."""
        self._ask()
        self._finish()
        window = self._transcript.write()
        for line in self._more:
            if window.turns:
                self._ledger.used(line)
            else:
                self._ledger.noise(line, "unanswered")
        if not window.turns:
            return None
        model = window.model
        return Session(
            id=f"{path.stem}:{self._line}",
            lineage=f"{Aider.name}:{digest([self._raw_start, self._first])[:16]}",
            format=Aider.name,
            source=str(path),
            messages=tuple(window.messages),
            started=self._started,
            provider=provider_of(model),
            model=model,
        )

    def _told(self, number: int, text: str) -> None:
        """What the console says about the answer before, the model and the files."""
        if model := _MODEL.match(text):
            self._model = model[1]
        if (commit := _COMMIT.match(text)) and self._turn is not None and not self._humans_edits:
            self._commits[commit[1]] = self._turn
        self._humans_edits = _HUMANS_EDITS.match(text) is not None
        if (undone := _UNDONE.match(text)) and (turn := self._commits.get(undone[1])) is not None:
            turn.rewound = True
        if _FAILED_EDIT in text and self._turn is not None and not self._due:
            self._turn.signals.append("tool_error")
            self._reported = []
            self._due = True
        if self._reported is not None and not text.startswith("^C"):
            self._reported.append((number, text))
        else:
            self._ledger.noise(number, "console")

    def _ask(self) -> None:
        """What was typed is complete."""
        if not self._asked:
            return
        asked, self._asked = self._asked, []
        text = "\n".join(line for _, line in asked).strip()
        talking = _TALKING.match(text)
        if (text.startswith(("/", "!")) and talking is None) or not text or text == "<blank>":
            for number, _ in asked:
                self._ledger.noise(number, "command" if text.startswith(("/", "!")) else "blank")
            self._due = False
            return
        self._say(asked, talking[1] if talking else text, human=not text.startswith(_LOOPS))

    def _report(self) -> None:
        """What the console said of the edit that failed is what the model answers now."""
        if self._reported:
            reported, self._reported = self._reported, None
            self._say(reported, "\n".join(line for _, line in reported).strip(), human=False)

    def _say(self, lines: list[tuple[int, str]], text: str, *, human: bool) -> None:
        self._first = text if self._first is None else self._first
        self._transcript.note(lines[0][0], text, "human" if human else "harness", time=self._started)
        self._more += [number for number, _ in lines[1:]]
        self._seen.update(line.strip() for _, line in lines)
        self._due = True
        self._stopped = None

    def _answered(self, *, go_on: bool = False) -> None:
        """The model's text is complete, or stopped."""
        answer, self._answer = self._answer, []
        while answer and not answer[-1][1].strip():
            self._ledger.noise(answer.pop()[0], "blank")
        self._due = go_on
        text = "\n".join(line for _, line in answer)
        turn = Turn(time=self._started, model=self._model, texts=[text], lines=[number for number, _ in answer])
        if self._stopped is not None:
            turn.signals.append(self._stopped)
            self._stopped = None
        if self._lost or self._quotes_unseen(text):
            self._lost = False
            turn.signals.append("unreadable")
        self._seen.update(line.strip() for _, line in answer)
        self._turn = turn
        self._transcript.say(turn)

    def _finish(self) -> None:
        """What follows is no part of what went before."""
        if self._answer:
            self._answered()
        for number, _ in self._reported or ():
            self._ledger.noise(number, "console")
        self._reported = None
        self._due = self._due and bool(self._asked)

    def _quotes_unseen(self, text: str) -> bool:
        quoting = False
        for line in text.splitlines():
            if _SEARCH.match(line):
                quoting = True
            elif _REPLACE.match(line):
                quoting = False
            elif quoting and line.strip() and line.strip() not in self._seen:
                return True
        return False


def _stop(text: str) -> Signal | None:
    """What a line of the console says about an answer that was not completed."""
    if text.startswith("^C"):
        return "interrupted"
    return "truncated" if "has hit a token limit" in text else None
