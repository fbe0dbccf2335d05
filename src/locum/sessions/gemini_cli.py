"""Gemini CLI's chats: `~/.gemini/tmp/<project>/chats/session-<time>-<id>.json`, since 2026 `.jsonl`.

Formats: one JSON object with all messages, rewritten whole at every change (verified on real files); since 2026 a
record a line (from the vendor's source, `chatRecordingService.ts`): metadata, messages that are appended again under
their id when they change, `{"$set": {...}}` and `{"$rewindTo": id}`. What is assumed: `$set` with messages replaces
the history where it stands (so a new context window begins, as after a compression); a sub-agent's file lies in a
folder named after the session that started it. Of the old form records are counted instead of lines: one a message.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.gemini_messages import Heard, Said, hear, say
from locum.sessions.json_records import line_records
from locum.sessions.jsonl import (
    BOM,
    HEAD,
    BadRecord,
    as_text,
    cut_line,
    decode,
    head_records,
    kind_of,
    utc,
    value_or_reason,
    values,
)
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.reader import FileReading
from locum.sessions.transcript import Transcript, Turn
from locum.types import Origin, Session

_SHOWN = frozenset({"info", "warning", "error"})
"""What the client told the human, not the agent."""
_CANCELLED = "Request cancelled."
_BEGINNING = re.compile(rb"\s*\{\s*\"")
_HEADER = re.compile(rb'"(?:projectHash|startTime|lastUpdated)"\s*:')
_SESSION = re.compile(rb'"sessionId"\s*:')
_MESSAGES = re.compile(rb'"messages"\s*:\s*\[')
_STRING = rb'"(?:[^"\\]|\\.)*+"'
_WHOLE = re.compile(
    rb"\s*+\{\s*+(?:%b\s*+:\s*+(?:%b|[\w.+-]++|\[(?:\s*+%b\s*+,?+)*+\s*+\])\s*+,\s*+)*?" % (_STRING, _STRING, _STRING)
    + rb'"messages"\s*+:\s*+\['
)
"""A file in the old form: nothing but plain values stands before its messages."""
_HUMAN: Origin = "human"
_HARNESS: Origin = "harness"
_DECODER = msgspec.json.Decoder(dict[str, Any])


class _Entry(msgspec.Struct):
    """A message as the last record under its id has it."""

    id: str | None
    line: int
    time: str | None
    content: Said | Heard | str
    """Of what the client shows, its kind."""
    model: str | None = None
    own: bool = True
    """Said in this window; else repeated from the one before."""
    rewound: bool = False


class GeminiCLI:
    """Reader of Gemini CLI's chats, both forms."""

    name = "gemini_cli"

    def detects(self, head: bytes, path: Path) -> bool:
        """Metadata with the session's id and the project's, at the beginning of the object or on a line."""
        if any(_is_metadata(record) for record in head_records(head)):
            return True
        begins = _BEGINNING.match(head) is not None and (_WHOLE.match(head) or cut_line(head).startswith(b"{"))
        return bool(begins) and _SESSION.search(head) is not None and _HEADER.search(head) is not None

    def read(self, path: Path) -> FileReading:
        """A session for every context window in which the agent says something."""
        ledger = Ledger(path)
        with path.open("rb") as file:
            head = file.read(len(BOM) + HEAD).removeprefix(BOM)
        whole = _WHOLE.match(head) is not None and _SESSION.search(head) is not None
        chat = _Chat(path, ledger)
        records = _messages(path, ledger) if whole else line_records(path, _DECODER, ledger)
        for number, record in records:
            try:
                chat.add(number, record)
            except BadRecord as reason:
                ledger.bad(number, str(reason))
        return FileReading(str(path), self.name, chat.sessions(), ledger.lines())


def _is_metadata(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("sessionId"), str)
        and "type" not in record
        and ("projectHash" in record or ("startTime" in record and isinstance(record.get("messages"), list)))
    )


def _messages(path: Path, ledger: Ledger) -> Iterator[tuple[int, dict[str, Any]]]:
    """The metadata (as record 0) and the messages of the old form; of a file that is cut, those before the cut."""
    raw = path.read_bytes().removeprefix(BOM)
    broken: str | None = None
    messages: list[Any] = []
    try:
        whole = decode(_DECODER, raw)
        given = whole.pop("messages", None)
        messages = given if isinstance(given, list) else []
        yield 0, {"$set": whole}
    except BadRecord as error:
        if _is_record(raw.split(b"\n", 1)[0]):
            yield from line_records(path, _DECODER, ledger)
            return
        broken = str(error)
        begins = _MESSAGES.search(raw)
        if begins is not None:
            try:
                metadata = decode(_DECODER, raw[: begins.end()] + b"]}")
                metadata.pop("messages")
                yield 0, {"$set": metadata}
            except BadRecord:
                pass  # the messages stand without it; that the file is broken is reported below
            messages = list(map(value_or_reason, values(as_text(raw[begins.end() :]))))
    for number, message in enumerate(messages, 1):
        if isinstance(message, dict):
            yield number, message
        elif isinstance(message, BadRecord):
            ledger.bad(number, str(message))
            broken = None  # it is what is wrong with the file
        else:
            ledger.bad(number, "a message that is no object")
    if broken is not None:
        ledger.bad(len(messages) + 1, broken)


def _is_record(line: bytes) -> bool:
    """Whether a chat in the old form stands on one line, with lines of the new form below it."""
    return isinstance(value_or_reason(line.strip()), dict)


def _entry(number: int, record: dict[str, Any]) -> _Entry | None:
    """A message, or None where its kind is not known.

    Raises:
        BadRecord: it is no valid message of its kind.
    """
    kind = kind_of(record)
    content: Said | Heard | str
    if kind == "gemini":
        content = say(record)
    elif kind == "user":
        content = hear(record)
    elif kind in _SHOWN:
        content = _CANCELLED if record.get("content") == _CANCELLED else kind
    else:
        return None
    id_, model = record.get("id"), record.get("model")
    return _Entry(
        id_ if isinstance(id_, str) and id_ else None,
        number,
        utc(record.get("timestamp")),
        content,
        model if isinstance(model, str) else None,
    )


class _Chat:
    """One chat as it is read."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._path = path
        self._ledger = ledger
        self._metadata: dict[str, Any] = {}
        self._first_id: str | None = None
        self._windows: list[list[_Entry]] = [[]]
        self._current: dict[str, _Entry] = {}  # the messages that are not rewound, by id, in their order

    def add(self, number: int, record: dict[str, Any]) -> None:
        """Take a record.

        Raises:
            BadRecord: it is no valid record of a chat.
        """
        if isinstance(record.get("$rewindTo"), str):
            self._rewind(record["$rewindTo"])
            self._ledger.noise(number, "$rewindTo")
        elif isinstance(record.get("id"), str) and "type" in record:
            self._message(number, record)
        elif isinstance(record.get("$set"), dict):
            self._set(number, record["$set"])
            if number:
                self._ledger.noise(number, "$set")
        elif isinstance(record.get("sessionId"), str):
            messages = record.pop("messages", None)
            self._set(number, {**record, "messages": messages} if messages else record)
            self._ledger.noise(number, "metadata")
        elif "type" in record and "content" in record:
            self._message(number, record)
        else:
            self._ledger.unknown(number, kind_of(record))

    def _message(self, number: int, record: dict[str, Any]) -> None:
        entry = _entry(number, record)
        if entry is None:
            self._ledger.unknown(number, kind_of(record))
            return
        known = self._current.get(entry.id) if entry.id is not None else None
        if known is None:
            self._append(entry)
        else:
            self._ledger.noise(known.line, "updated")
            known.line, known.content, known.model, known.own = number, entry.content, entry.model, True

    def _append(self, entry: _Entry) -> None:
        self._windows[-1].append(entry)
        self._current[entry.id or f"record {len(self._current)}"] = entry

    def _set(self, number: int, patch: dict[str, Any]) -> None:
        self._metadata |= {key: value for key, value in patch.items() if key != "messages"}
        if self._first_id is None and isinstance(patch.get("sessionId"), str):
            self._first_id = patch["sessionId"]
        messages = patch.get("messages")
        if not isinstance(messages, list) or not messages:
            return
        entries = [_entry(number, message) for message in messages if isinstance(message, dict)]
        # What was said before is repeated here, shortened or masked; where nothing was, this is the first record of it.
        own = not any(self._windows)
        if not own:
            self._windows.append([])
        self._current = {}
        for entry in entries:
            if entry is not None:
                entry.own = own
                self._append(entry)

    def _rewind(self, id_: str) -> None:
        """The message of that id and all after it are gone; all of them, where there is none of that id."""
        last = id_ if id_ in self._current else next(iter(self._current), None)
        while self._current:
            id_, gone = self._current.popitem()
            gone.rewound = True
            if id_ == last:
                break

    def _write(self, entries: list[_Entry]) -> Transcript:
        transcript = Transcript(self._ledger)
        for entry in entries:
            if isinstance(entry.content, Heard):
                self._write_heard(transcript, entry, entry.content)
            elif isinstance(entry.content, Said):
                self._write_said(transcript, entry, entry.content)
            else:
                self._ledger.noise(entry.line, entry.content)
                if entry.content == _CANCELLED:
                    transcript.stop(entry.line)
        return transcript

    def _write_heard(self, transcript: Transcript, entry: _Entry, heard: Heard) -> None:
        prompted = self._metadata.get("kind") == "subagent"
        for text, origin in ((heard.harness, _HARNESS), (heard.human, _HARNESS if prompted else _HUMAN)):
            if text:
                transcript.note(entry.line, text, origin, id=entry.id, time=entry.time, rewound=entry.rewound)
        for result in heard.results:
            transcript.hear(entry.line, result, entry.time)
        if heard.unreadable:
            transcript.gap()
        if not (heard.harness or heard.human or heard.results):
            self._ledger.noise(entry.line, "empty")

    def _write_said(self, transcript: Transcript, entry: _Entry, said: Said) -> None:
        if not (said.texts or said.calls or said.unreadable):
            self._ledger.noise(entry.line, "empty")
            return
        transcript.say(
            Turn(
                id=entry.id,
                time=entry.time,
                model=entry.model,
                origin="agent" if entry.own else "harness",
                texts=said.texts,
                calls=said.calls,
                signals=["unreadable"] if said.unreadable else [],
                lines=[entry.line],
                rewound=entry.rewound,
            )
        )
        for result in said.results:
            transcript.hear(entry.line, result, entry.time)

    def sessions(self) -> tuple[Session, ...]:
        """The sessions of the file, once all of it is read."""
        name = self._metadata.get("sessionId")
        name = name if isinstance(name, str) and name else self._path.stem
        lineage = self._first_id or name
        if self._metadata.get("kind") == "subagent" and self._path.parent.name not in ("", "chats"):
            lineage = self._path.parent.name
        sessions = []
        for number, entries in enumerate(self._windows, 1):
            window = self._write(entries).write()
            if window.turns:
                sessions.append(
                    Session(
                        id=name if number == 1 else f"{name}#{number}",
                        lineage=lineage,
                        format="gemini_cli",
                        source=str(self._path),
                        messages=tuple(window.messages),
                        started=window.started or utc(self._metadata.get("startTime")),
                        provider=provider_of(window.model),
                        model=window.model,
                    )
                )
        return tuple(sessions)
