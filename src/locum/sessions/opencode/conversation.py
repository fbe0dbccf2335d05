"""What OpenCode's messages and their parts say: one session for every context window in which the agent speaks.

A message `{role, time, modelID | model, error?, finish?, summary?}` holds no text; its parts do. Of the model's, a
part `tool` holds a call together with its result, and a part `step-start` begins another answer of the model within
one message. Of the user's, texts that OpenCode wrote are marked `synthetic`.

Assumed: a user's message with a part `compaction`, once it was answered by a message with `summary` (in older versions
that message alone), begins a new context window, since OpenCode sends nothing older from there on (the few messages
that newer versions carry over are not repeated). What was asked of a session with a parent was asked by the agent.
Messages from `revert.messageID` on were taken back. Refusals and interrupts of tools are known by OpenCode's own words.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from locum.sessions.jsonl import BadRecord, arguments, kind_of, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.transcript import Result, Transcript, Turn
from locum.types import Session, Signal, ToolCall

NAME = "opencode"
_SILENT = frozenset({"step-finish", "reasoning", "snapshot", "patch", "agent", "retry"})
"""Kinds of parts that hold nothing of what was said."""
_GIVEN_AS_TEXT = frozenset({"text/plain", "application/x-directory"})
"""Kinds of files whose content follows as a synthetic text."""
_COMPACTION = "What did we do so far?"
"""What OpenCode sends in the place of a part `compaction`."""
_SUBTASK = "The following tool was executed by the user"
_REFUSED = ("The user rejected permission", "The user has specified a rule which prevents you")
_STOPPED = "Tool execution aborted"


class Part(msgspec.Struct, frozen=True):
    """A part of a message and the number of its record."""

    number: int
    id: str
    data: dict[str, Any]


class Entry(msgspec.Struct, frozen=True):
    """A message with its parts in order."""

    number: int
    id: str
    data: dict[str, Any]
    parts: Sequence[Part] = ()

    @property
    def order(self) -> tuple[float, str]:
        """Where it stands in its session: by time, then by id."""
        created = _dict(self.data.get("time")).get("created")
        return (created if isinstance(created, int | float) else 0, self.id)


class Heading(msgspec.Struct, frozen=True):
    """What is known of a session beside its messages."""

    id: str
    parent: str | None = None
    reverted: str | None = None
    """The message from which on everything was taken back."""
    started: str | None = None


def heading(id_: str, info: dict[str, Any]) -> Heading:
    """The heading in a session's own record, as files and exports hold it."""
    parent, revert = info.get("parentID"), _dict(info.get("revert")).get("messageID")
    return Heading(
        id=id_,
        parent=parent if isinstance(parent, str) and parent else None,
        reverted=revert if isinstance(revert, str) and revert else None,
        started=moment(_dict(info.get("time")).get("created")),
    )


def moment(value: Any) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return utc(datetime.fromtimestamp(value / 1000, UTC).isoformat())
    except (ValueError, OverflowError, OSError):
        return None


def sessions_of(head: Heading, entries: Sequence[Entry], source: str, ledger: Ledger) -> list[Session]:
    """The sessions of one conversation; every record of its messages and parts gets its fate.

    Args:
        head: the session.
        entries: its messages in the order in which they were sent.
        source: the file's path, to be shown.
        ledger: takes down the records.
    """
    sessions: list[Session] = []
    for number, entries_seen in enumerate(_windows(entries), 1):
        window = _Window(head, ledger)
        for entry in entries_seen:
            window.add(entry)
        session = window.session(head.id if number == 1 else f"{head.id}:{number}", source)
        if session is not None:
            sessions.append(session)
    return sessions


def _windows(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """What the model saw at a time: cut before every compaction that was carried out."""
    compactions = {entry.id for entry in entries if any(kind_of(part.data) == "compaction" for part in entry.parts)}
    cuts = set()
    for entry in entries:
        data = entry.data
        said = any(kind_of(part.data) == "text" for part in entry.parts)
        if data.get("summary") is True and data.get("error") is None and said:
            asked = data.get("parentID")
            cuts.add(asked if isinstance(asked, str) and asked in compactions else entry.id)
    begin = 0
    for at, entry in enumerate(entries):
        if at > begin and entry.id in cuts:
            yield entries[begin:at]
            begin = at
    yield entries[begin:]


class _Window:
    """One context window in the making."""

    def __init__(self, head: Heading, ledger: Ledger) -> None:
        self._head = head
        self._ledger = ledger
        self._transcript = Transcript(ledger)
        self._more: list[int] = []  # records that go the way of the window: into a session, or not
        self._calls: set[str] = set()
        self._system = ""
        self._reverted = False

    def add(self, entry: Entry) -> None:
        """Append a message."""
        self._reverted = self._reverted or entry.id == self._head.reverted
        match entry.data.get("role"):
            case "user":
                self._ask(entry)
            case "assistant":
                self._answer(entry)
            case _ if "metadata" in entry.data:
                self._leave(entry, "message of before July 2025")
            case role:
                self._leave(entry, f"message of role {role[:40] if isinstance(role, str) else '(none)'}")

    def session(self, id_: str, source: str) -> Session | None:
        """The window as a session; None where the agent says nothing in it."""
        window = self._transcript.write()
        if not window.turns:
            for number in self._more:
                self._ledger.noise(number, "unanswered")
            return None
        self._ledger.used(*self._more)
        return Session(
            id=id_,
            lineage=self._head.parent or self._head.id,
            format=NAME,
            source=source,
            messages=tuple(window.messages),
            started=window.started or self._head.started,
            provider=window.provider,
            model=window.model,
        )

    def _leave(self, entry: Entry, kind: str) -> None:
        for number in (entry.number, *(part.number for part in entry.parts)):
            self._ledger.unknown(number, kind)

    def _ask(self, entry: Entry) -> None:
        """What stands under the user role."""
        time = moment(_dict(entry.data.get("time")).get("created"))
        self._more.append(entry.number)
        system = entry.data.get("system")
        if isinstance(system, str) and system.strip() and system != self._system:
            self._system = system
            self._transcript.note(entry.number, system, "system", role="system", time=time)
        for part in entry.parts:
            asked = self._asked(part)
            if asked is not None:
                text, typed = asked
                human = typed and self._head.parent is None
                self._transcript.note(
                    part.number,
                    text,
                    "human" if human else "harness",
                    id=entry.id,
                    time=time,
                    rewound=self._reverted,
                )

    def _asked(self, part: Part) -> tuple[str, bool] | None:
        """The text that the model saw for a part, and whether it was typed."""
        data = part.data
        match kind_of(data):
            case "text":
                text = data.get("text")
                if not isinstance(text, str):
                    self._ledger.bad(part.number, "a text part without text")
                    self._transcript.gap()
                elif data.get("ignored") is True or not text.strip():
                    self._ledger.noise(part.number, "not sent")
                else:
                    return text, data.get("synthetic") is not True
            case "file":
                mime = data.get("mime")
                if isinstance(mime, str) and mime in _GIVEN_AS_TEXT:
                    self._ledger.noise(part.number, "file")
                else:
                    self._transcript.gap()
                    image = isinstance(mime, str) and mime.startswith("image/")
                    return "[image]" if image else "[file]", False
            case "compaction":
                return _COMPACTION, False
            case "subtask":
                return _SUBTASK, False
            case kind if kind in _SILENT:
                self._ledger.noise(part.number, kind)
            case kind:
                self._ledger.unknown(part.number, kind)
                self._transcript.gap()
        return None

    def _answer(self, entry: Entry) -> None:
        """A message of the model: one turn for every answer that it holds."""
        turns = [self._turn(entry, "")]
        turns[0].lines.append(entry.number)
        for part in entry.parts:
            if kind_of(part.data) == "step-start":
                self._ledger.noise(part.number, "step-start")
                if turns[-1].texts or turns[-1].calls:
                    turns.append(self._turn(entry, f":{len(turns) + 1}"))
            else:
                self._say(part, turns[-1])
        turns[-1].signals += _ending(entry.data)
        for turn in turns:
            self._transcript.say(turn)

    def _turn(self, entry: Entry, suffix: str) -> Turn:
        data = entry.data
        model = _dict(data.get("model"))
        name = data.get("modelID", model.get("modelID"))
        name = name if isinstance(name, str) and name else None
        router = data.get("providerID", model.get("providerID"))
        return Turn(
            id=f"{entry.id}{suffix}",
            time=moment(_dict(data.get("time")).get("created")),
            model=name,
            provider=provider_of(name) or (router if isinstance(router, str) and router else None),
            origin="harness" if data.get("summary") is True else "agent",
            rewound=self._reverted,
        )

    def _say(self, part: Part, turn: Turn) -> None:
        data = part.data
        match kind_of(data):
            case "text":
                text = data.get("text")
                if not isinstance(text, str):
                    self._ledger.bad(part.number, "a text part without text")
                    turn.signals.append("unreadable")
                elif not text.strip():
                    self._ledger.noise(part.number, "empty text")
                else:
                    turn.texts.append(text)
                    turn.lines.append(part.number)
            case "tool":
                try:
                    self._call(part, turn)
                except BadRecord as reason:
                    # The answer without one of its calls is not what the model said.
                    self._ledger.bad(part.number, str(reason))
                    turn.signals.append("unreadable")
            case kind if kind in _SILENT or kind in ("compaction", "subtask", "file"):
                self._ledger.noise(part.number, kind)
            case kind:
                self._ledger.unknown(part.number, kind)
                turn.signals.append("unreadable")

    def _call(self, part: Part, turn: Turn) -> None:
        """A call, and its result where it has one.

        Raises:
            BadRecord: it is no call.
        """
        name, state = part.data.get("tool"), _dict(part.data.get("state"))
        if not isinstance(name, str) or not name:
            raise BadRecord("a tool part without a tool")
        given = part.data.get("callID")
        id_ = given if isinstance(given, str) and given and given not in self._calls else f"call_{part.number}"
        call = ToolCall(id_, name, arguments(state.get("input", {})))
        result = _result(id_, state)
        self._calls.add(id_)
        turn.calls.append(call)
        turn.lines.append(part.number)
        if result is not None:
            self._transcript.hear(part.number, result, moment(_dict(state.get("time")).get("end")))


def _result(call: str, state: dict[str, Any]) -> Result | None:
    """The result in a call's state; None where it was never completed."""
    metadata = _dict(state.get("metadata"))
    match state.get("status"):
        case "completed":
            output = state.get("output")
            if not isinstance(output, str):
                raise BadRecord("a completed call without its output")
            code = metadata.get("exit")
            failed = isinstance(code, int) and not isinstance(code, bool) and code != 0
            return Result(call, output, ("tool_error",) if failed else (), unreadable=bool(state.get("attachments")))
        case "error":
            error = state.get("error")
            text = error if isinstance(error, str) else ""
            if metadata.get("interrupted") is True or text.startswith(_STOPPED):
                return Result(call, text, ("interrupted",))
            return Result(call, text, ("rejected" if text.startswith(_REFUSED) else "tool_error",))
        case "pending" | "running":
            return None
        case _:
            raise BadRecord("a call of no known state")


def _ending(data: dict[str, Any]) -> list[Signal]:
    """How a message of the model ended, where it did not simply end."""
    error = _dict(data.get("error"))
    if error:
        match error.get("name"):
            case "MessageAbortedError":
                return ["interrupted"]
            case "MessageOutputLengthError":
                return ["truncated"]
            case _:
                return ["api_error"]
    return ["truncated"] if data.get("finish") == "length" else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
