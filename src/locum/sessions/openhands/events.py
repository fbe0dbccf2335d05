"""V1: the SDK's events, each with its `kind`, one a line or one a file."""

import re
from pathlib import Path
from typing import Any

from locum.sessions.chat_messages import tool_schemas
from locum.sessions.json_records import read_records
from locum.sessions.jsonl import BadRecord, arguments, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.transcript import Result, Transcript, Turn
from locum.types import Lines, Session, Signal, ToolCall

_NOISE = frozenset(
    {
        "Condensation",
        "CondensationRequest",
        "CondensationSummaryEvent",
        "ConversationErrorEvent",
        "ConversationStateUpdateEvent",
        "HookExecutionEvent",
        "LLMCompletionLogEvent",
        "TokenEvent",
    }
)
_THINKING = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
"""Thinking that a model writes into its text; the event has it apart as well."""


def is_event(record: Any) -> bool:
    """Whether a record is an event of the SDK's."""
    if not isinstance(record, dict) or not {"id", "source", "kind"} <= record.keys():
        return False
    kind = record["kind"]
    return isinstance(kind, str) and kind.endswith(("Event", "Observation", "Condensation"))


def read_events(path: Path) -> tuple[tuple[Session, ...], Lines]:
    """The one session of an event log.

    Raises:
        OSError: the file cannot be read.
    """
    ledger = Ledger(path)
    log = EventLog(ledger)
    for number, event in read_records(path, ledger):
        try:
            log.add(number, event)
        except BadRecord as reason:
            ledger.bad(number, str(reason))
    session = log.session(path, name=path.stem)
    return () if session is None else (session,), ledger.lines()


class EventLog:
    """The events of a conversation, one after the other.

    Args:
        ledger: takes down which lines were used; the others get the reason why not.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._transcript = Transcript(ledger)
        self._turns: dict[str, Turn] = {}
        self._tools: tuple[dict[str, Any], ...] = ()
        self._first: str | None = None
        self._model: str | None = None

    def add(self, line: int, event: Any) -> None:
        """Take down one event.

        Raises:
            BadRecord: it is not valid in its kind.
        """
        kind = event.get("kind") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            self._ledger.unknown(line, "event: (no kind)")
            return
        if self._first is None and isinstance(event.get("id"), str):
            self._first = event["id"]
        time = utc(event.get("timestamp"))
        if kind in _NOISE:
            self._model = _model(event) or self._model
            self._ledger.noise(line, kind)
        elif kind == "SystemPromptEvent":
            self._transcript.note(line, _text(event.get("system_prompt")), "system", role="system", time=time)
            self._tools = _tools(event.get("tools"))
        elif kind == "MessageEvent":
            self._message(line, event, time)
        elif kind == "ActionEvent":
            self._act(line, event, time)
        elif kind in ("ObservationEvent", "UserRejectObservation", "AgentErrorEvent"):
            self._observe(line, event, kind, time)
        elif kind in ("PauseEvent", "InterruptEvent"):
            self._transcript.stop(line)
        else:
            self._ledger.unknown(line, f"event: {kind[:40]}")

    def gap(self) -> None:
        """Events are missing here: the agent's next message leans on them."""
        self._transcript.gap()

    def session(self, path: Path, *, name: str, model: str | None = None) -> Session | None:
        """The session, or None where the agent says nothing.

        Args:
            path: the log's path, for `Session.source`.
            name: the session's id.
            model: the agent's, where the events do not name it.
        """
        window = self._transcript.write()
        if not window.turns:
            return None
        model = self._model or model
        return Session(
            id=name,
            lineage=f"openhands:{self._first or path}",
            format="openhands",
            source=str(path),
            messages=tuple(window.messages),
            tools=self._tools,
            started=window.started,
            provider=provider_of(model),
            model=model,
        )

    def _message(self, line: int, event: dict[str, Any], time: str | None) -> None:
        message = event.get("llm_message")
        if not isinstance(message, dict):
            raise BadRecord("a message event without its message")
        text = _text(message.get("content"))
        if event.get("source") == "agent" or message.get("role") == "assistant":
            turn = self._turn(line, event, time)
            turn.texts.append(_spoken(text))
            return
        human = event.get("source") == "user"
        self._transcript.note(line, text, "human" if human else "harness", time=time)
        extended = _text(event.get("extended_content"))
        if extended:
            self._transcript.note(line, extended, "harness", time=time)
        if _has_images(message.get("content")):
            self._transcript.gap()

    def _act(self, line: int, event: dict[str, Any], time: str | None) -> None:
        call, name = event.get("tool_call_id"), event.get("tool_name")
        if not isinstance(call, str) or not isinstance(name, str):
            raise BadRecord("an action without its tool call")
        made = event.get("tool_call")
        given = made.get("arguments") if isinstance(made, dict) else None
        action = event.get("action")
        if given is None and isinstance(action, dict):
            given = {key: value for key, value in action.items() if key != "kind"}
        read = arguments(given)
        turn = self._turn(line, event, time)
        thought = _spoken(_text(event.get("thought")))
        if thought and thought not in turn.texts:
            turn.texts.append(thought)
        turn.calls.append(ToolCall(call, name, read))

    def _turn(self, line: int, event: dict[str, Any], time: str | None) -> Turn:
        """The message that an event is part of: several calls may have come with one answer."""
        id_ = event.get("llm_response_id")
        turn = self._turns.get(id_) if isinstance(id_, str) else None
        if turn is None:
            turn = Turn(id=id_ if isinstance(id_, str) and id_ else None, time=time)
            self._transcript.say(turn)
            if turn.id is not None:
                self._turns[turn.id] = turn
        turn.lines.append(line)
        return turn

    def _observe(self, line: int, event: dict[str, Any], kind: str, time: str | None) -> None:
        call = event.get("tool_call_id")
        if not isinstance(call, str):
            raise BadRecord("a result without its call's id")
        if kind == "UserRejectObservation":
            result = Result(call, _text(event.get("rejection_reason")), ("rejected",))
        elif kind == "AgentErrorEvent":
            result = Result(call, _text(event.get("error")), ("tool_error",))
        else:
            result = _result(call, event.get("observation"))
        self._transcript.hear(line, result, time)


def _result(call: str, observation: Any) -> Result:
    if not isinstance(observation, dict):
        raise BadRecord("an observation event without its observation")
    content = observation.get("content", observation.get("output"))
    metadata = observation.get("metadata")
    around = metadata if isinstance(metadata, dict) else {}
    code = observation.get("exit_code", around.get("exit_code"))
    failed = observation.get("is_error") is True or (isinstance(code, int) and code > 0)
    signals: tuple[Signal, ...] = ("tool_error",) if failed else ()
    text = _text(around.get("prefix")) + _text(content) + _text(around.get("suffix"))
    return Result(call, text, signals, unreadable=_has_images(content))


def _text(value: Any) -> str:
    """A text, one text block, or a list of blocks, as one text."""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _has_images(content: Any) -> bool:
    return isinstance(content, list) and any(isinstance(part, dict) and part.get("type") == "image" for part in content)


def _spoken(text: str) -> str:
    thought = _THINKING.match(text)
    return text[thought.end() :] if thought else text


def _tools(raw: Any) -> tuple[dict[str, Any], ...]:
    """Tool schemas; the SDK's own definitions of tools are classes written out, not schemas."""
    listed = raw if isinstance(raw, list) else []
    try:
        return tool_schemas(
            [tool for tool in listed if isinstance(tool, dict) and ("function" in tool or "parameters" in tool)]
        )
    except BadRecord:
        return ()


def _model(event: dict[str, Any]) -> str | None:
    """The agent's model, as the bookkeeping of the conversation's state names it."""
    value = event.get("value")
    for key in ("usage_to_metrics", "default", "model_name"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None
