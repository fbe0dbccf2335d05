"""What `codex exec --json` prints: a thread's items as they begin, change and end, one event a line.

Source: codex's `exec_events.rs`; no real file was at hand. The prompt is not in it, nor are patches: the message that
answers the prompt, and those that change files, are `unreadable`. Calls are named after their items
(`command_execution`, `mcp__server__tool`). A stream's thread has the id of its rollout.
"""

from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.codex.items import texts_of
from locum.sessions.jsonl import BadRecord, arguments, decode_line, kind_of
from locum.sessions.ledger import Ledger
from locum.sessions.transcript import Result, Transcript, Turn
from locum.sessions.zstd import lines_of
from locum.types import Session, Signal, ToolCall

_DECODER = msgspec.json.Decoder(dict[str, Any])
_OPENINGS = {"thread.started": "thread_id", "thread.resumed": "thread_id", "session.created": "session_id"}
_TEXTS = frozenset({"agent_message", "assistant_message", "plan"})
_NOISE = frozenset({"collab_tool_call", "error", "reasoning", "todo_list"})
_STATES = frozenset({"item.plan.delta", "request_user_input", "token_count"})
_OWNER = "openai"
"""Whose models Codex runs unless it is told otherwise; the stream names neither model nor provider."""


def is_event(record: Any) -> bool:
    """Whether a record is an event that only this stream has."""
    if not isinstance(record, dict):
        return False
    kind = record.get("type")
    if isinstance(kind, str) and kind in _OPENINGS:
        return isinstance(record.get(_OPENINGS[kind]), str)
    item = record.get("item")
    return isinstance(kind, str) and kind.startswith("item.") and isinstance(item, dict) and "id" in item


def read_stream(path: Path, ledger: Ledger) -> tuple[Session, ...]:
    """Read a stream: one session for each thread in which the agent says something.

    Raises:
        OSError: the file cannot be read.
    """
    threads: list[_Thread] = []
    for number, raw in lines_of(path, ledger):
        if not raw:
            ledger.noise(number, "blank")
            continue
        try:
            for event in decode_line(_DECODER, raw):
                name = event.get(_OPENINGS.get(kind_of(event), ""))
                if not threads or (isinstance(name, str) and name and name != threads[-1].name):
                    threads.append(_Thread(name if isinstance(name, str) and name else path.stem, ledger))
                threads[-1].add(number, event)
        except BadRecord as reason:
            ledger.bad(number, str(reason))
    found = (thread.session(path) for thread in threads)
    return tuple(session for session in found if session is not None)


class _Thread:
    """One thread as it is read."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        self._ledger = ledger
        self._transcript = Transcript(ledger)
        self._turn: Turn | None = None  # the agent's message that is still open: no result has come yet
        self._round = 0
        self._called: set[str] = set()

    def add(self, number: int, event: dict[str, Any]) -> None:
        """Take an event.

        Raises:
            BadRecord: it is not valid in its kind.
        """
        kind = kind_of(event)
        item = event.get("item")
        if kind == "turn.started":
            self._turn = None
            self._round += 1  # items are counted anew
            self._transcript.gap()  # the prompt
            self._ledger.noise(number, kind)
        elif kind in ("turn.failed", "error"):
            self._turn = None
            self._transcript.stop(number)
        elif kind == "turn.completed":
            self._turn = None
            self._ledger.noise(number, kind)
        elif kind in ("item.started", "item.updated", "item.completed"):
            if not isinstance(item, dict):
                raise BadRecord("an item event without its item")
            self._item(number, item, done=kind == "item.completed")
        elif kind in _OPENINGS or kind in _STATES:
            self._ledger.noise(number, kind)
        else:
            self._ledger.unknown(number, f"event: {kind}")

    def session(self, path: Path) -> Session | None:
        """The session, or None where the agent says nothing."""
        window = self._transcript.write()
        if not window.turns:
            return None
        return Session(
            id=self.name,
            lineage=self.name,
            format="codex",
            source=str(path),
            messages=tuple(window.messages),
            provider=_OWNER,
        )

    def _item(self, number: int, item: dict[str, Any], *, done: bool) -> None:
        kind = kind_of(item) if "type" in item else kind_of({"type": item.get("item_type")})
        text = item.get("text")
        if kind in _TEXTS:
            if not done or not isinstance(text, str) or not text.strip():
                self._ledger.noise(number, f"item: {kind}" if done else "item in progress")
                return
            self._turn = None
            self._open(number).texts.append(text.strip())
        elif kind == "web_search":
            self._open(number).signals.append("unreadable")
        elif kind in _NOISE:
            self._ledger.noise(number, f"item: {kind}")
        elif kind in ("command_execution", "file_change", "mcp_tool_call"):
            self._call(number, item, kind, done=done)
        else:
            self._ledger.unknown(number, f"item: {kind}")

    def _call(self, number: int, item: dict[str, Any], kind: str, *, done: bool) -> None:
        given = item.get("id")
        if not isinstance(given, str) or not given:
            raise BadRecord("a tool call without an id")
        id_ = f"{given}.{self._round}"
        result = _result(id_, item, kind) if done else None
        if id_ not in self._called:
            call = ToolCall(id_, *_made(item, kind))
            self._called.add(id_)
            turn = self._open(number)
            turn.calls.append(call)
            if kind == "file_change":
                turn.signals.append("unreadable")
        elif not done:
            self._ledger.noise(number, "item in progress")
        if result is not None:
            self._turn = None
            self._transcript.hear(number, result)

    def _open(self, number: int) -> Turn:
        if self._turn is None:
            self._turn = Turn()
            self._transcript.say(self._turn)
        self._turn.lines.append(number)
        return self._turn


def _made(item: dict[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a call."""
    if kind == "command_execution":
        return kind, arguments({"command": item.get("command")})
    if kind == "file_change":
        return kind, arguments({"changes": item.get("changes")})
    server, tool = item.get("server"), item.get("tool")
    if not isinstance(server, str) or not isinstance(tool, str):
        raise BadRecord("a tool call without a name")
    return f"mcp__{server}__{tool}", arguments(item.get("arguments") or {})


def _result(call: str, item: dict[str, Any], kind: str) -> Result:
    status, code = item.get("status"), item.get("exit_code")
    failed = status == "failed" or (isinstance(code, int) and code != 0)
    signals: tuple[Signal, ...] = ("rejected",) if status == "declined" else ("tool_error",) if failed else ()
    unreadable = False
    if kind == "command_execution":
        output = item.get("aggregated_output")
        text = output if isinstance(output, str) else ""
        if isinstance(code, int) and code != 0:
            text = f"Exit code: {code}\n{text}"
    elif kind == "file_change":
        text = status if isinstance(status, str) else ""
    else:
        error, result = item.get("error"), item.get("result")
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            return Result(call, error["message"], signals or ("tool_error",))
        texts, unreadable = texts_of(result.get("content") if isinstance(result, dict) else None)
        text = "\n".join(texts)
    return Result(call, text, signals, unreadable)
