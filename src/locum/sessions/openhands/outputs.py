"""V0: a line of `output.jsonl` is one attempt at one task, its history a list of actions and observations.

An action of the agent carries the model's whole answer, the same one on every action that came of it. Old ones
carry none: then the call is the action itself.
"""

from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.chat_messages import tool_schemas
from locum.sessions.json_records import read_records
from locum.sessions.jsonl import BadRecord, arguments, utc
from locum.sessions.ledger import Ledger
from locum.sessions.providers import provider_of
from locum.sessions.transcript import Result, Transcript, Turn
from locum.types import Lines, Session, Signal, ToolCall

_NOISE = frozenset(
    {
        "agent_condensation",
        "agent_state_changed",
        "change_agent_state",
        "condensation",
        "condensation_request",
        "null",
        "pause",
        "recall",
        "resume",
    }
)
"""Actions and observations that the model neither made nor saw as such."""
_ACTIONS = frozenset(
    {
        "browse",
        "browse_interactive",
        "call_tool_mcp",
        "delegate",
        "edit",
        "finish",
        "read",
        "reject",
        "run",
        "run_ipython",
        "task_tracking",
        "think",
        "write",
    }
)
_BOOKKEEPING = frozenset({"thought", "blocking", "confirmation_state", "hidden", "is_static", "cwd", "impl_source"})
"""Arguments of actions that no model wrote."""
_FAKE_USER = "Please continue working on the task on whatever approach you think is suitable."
"""How the evaluation answers in a human's place."""


def read_outputs(path: Path) -> tuple[tuple[Session, ...], Lines]:
    """One session a line that holds a history.

    Raises:
        OSError: the file cannot be read.
    """
    ledger = Ledger(path)
    sessions = []
    record = 0
    whole = Ledger(path)  # of what is read before there are events to count
    for number, output in read_records(path, whole):
        try:
            events = _events(output.get("history") if isinstance(output, dict) else None)
        except BadRecord as reason:
            whole.bad(number, str(reason))
            continue
        history = _History(ledger)
        for event in events:
            record += 1
            history.add(record, event)
        session = history.session(output, path)
        if session is not None:
            sessions.append(session)
    for bad in whole.bad_lines():
        record += 1
        ledger.bad(record, f"line {bad.line}: {bad.reason}")
    return tuple(sessions), ledger.lines()


def _events(history: Any) -> list[Any]:
    """The events of a history; older ones have them in pairs.

    Raises:
        BadRecord: it holds none.
    """
    if not isinstance(history, list) or not history:
        raise BadRecord("no history")
    return [event for part in history for event in (part if isinstance(part, list) else [part])]


class _History:
    """The events of one attempt, one after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._transcript = Transcript(ledger)
        self._turns: dict[str, Turn] = {}
        self._calls: dict[Any, str] = {}
        """Action id -> call id, for observations that only name their cause."""
        self._tools: tuple[dict[str, Any], ...] = ()
        self._asked = False
        self._broken = False

    def add(self, record: int, event: Any) -> None:
        """Take down one event."""
        if self._broken:
            # What follows an event that is missing would answer to something that is not in its prompt.
            self._ledger.noise(record, "after a bad event")
            return
        try:
            self._take(record, event)
        except BadRecord as reason:
            self._ledger.bad(record, str(reason))
            self._broken = True

    def session(self, output: dict[str, Any], path: Path) -> Session | None:
        """The session, or None where the agent says nothing."""
        window = self._transcript.write()
        if not window.turns:
            return None
        task = output.get("instance_id")
        task = task if isinstance(task, str | int) else "?"
        model = window.model or _model(output)
        return Session(
            id=f"{path.stem}:{task}",
            lineage=f"openhands:{task}",
            format="openhands",
            source=str(path),
            messages=tuple(window.messages),
            tools=self._tools,
            started=window.started,
            provider=provider_of(model),
            model=model,
            reward=_reward(output),
        )

    def _take(self, record: int, event: Any) -> None:
        if event is None or event == {}:
            self._ledger.noise(record, "null")  # the missing half of a pair
            return
        if not isinstance(event, dict):
            raise BadRecord("an event that is no object")
        action = event.get("action")
        kind = action if isinstance(action, str) else event.get("observation")
        if not isinstance(kind, str):
            self._ledger.unknown(record, "event: (no action or observation)")
        elif kind in _NOISE:
            self._ledger.noise(record, kind)
        elif not isinstance(action, str):
            self._observe(record, event, kind)
        elif kind == "system":
            self._transcript.note(record, _text(_args(event).get("content")), "system", role="system")
            self._tools = tool_schemas(_args(event).get("tools"))
        elif event.get("source") != "agent" and kind == "message":
            content = _text(_args(event).get("content"))
            human = event.get("source") == "user" and not content.startswith(_FAKE_USER)
            self._transcript.note(record, content, "human" if human else "harness", time=utc(event.get("timestamp")))
            if _args(event).get("image_urls"):
                self._transcript.gap()
        elif event.get("source") == "agent" and (kind in _ACTIONS or kind == "message" or _metadata(event)):
            self._act(record, event, kind)
        elif kind in _ACTIONS:
            self._ledger.noise(record, "the user's own action")
        else:
            self._ledger.unknown(record, f"action: {kind[:40]}")

    def _act(self, record: int, event: dict[str, Any], kind: str) -> None:
        metadata = _metadata(event)
        answer = metadata.get("model_response")
        answer = answer if isinstance(answer, dict) else {}
        id_ = answer.get("id")
        turn = self._turns.get(id_) if isinstance(id_, str) else None
        if turn is None:
            model = answer.get("model")
            turn = Turn(
                id=id_ if isinstance(id_, str) and id_ else None,
                time=utc(event.get("timestamp")),
                model=model if isinstance(model, str) and model else None,
            )
            said = _said(answer)
            if said is None:
                _act_itself(turn, event, kind, metadata)
            else:
                turn.texts.append(said.texts)
                turn.calls += said.calls
                turn.signals += said.signals
            self._transcript.say(turn)
            if turn.id is not None:
                self._turns[turn.id] = turn
        turn.lines.append(record)
        call = metadata.get("tool_call_id")
        called = [made.id for made in turn.calls]
        if isinstance(call, str) and call in called:
            self._calls[_key(event.get("id"))] = call
        elif called:
            self._calls[_key(event.get("id"))] = called[-1]

    def _observe(self, record: int, event: dict[str, Any], kind: str) -> None:
        call = _metadata(event).get("tool_call_id")
        if not isinstance(call, str):
            call = self._calls.get(_key(event.get("cause")))
        content = _content(event)
        if call is None:
            # What the model wrote could not be made an action; the harness says so.
            self._transcript.note(record, content, "harness", time=utc(event.get("timestamp")))
            return
        signals = _signals(event, kind, content)
        self._transcript.hear(record, Result(call, content, signals), utc(event.get("timestamp")))


class _Said(msgspec.Struct, frozen=True):
    texts: str
    calls: list[ToolCall]
    signals: list[Signal]


def _said(answer: dict[str, Any]) -> _Said | None:
    """What the model wrote, or None where the log holds no answer of it."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    calls: list[ToolCall] = []
    made = message.get("tool_calls")
    for raw in made if isinstance(made, list) else []:
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadRecord("a tool call without a function name")
        id_ = raw.get("id")
        id_ = id_ if isinstance(id_, str) and id_ else f"call_{len(calls)}"
        calls.append(ToolCall(id_, function["name"], arguments(function.get("arguments"))))
    signals: list[Signal] = ["truncated"] if choice.get("finish_reason") == "length" else []
    return _Said(_text(message.get("content")), calls, signals)


def _act_itself(turn: Turn, event: dict[str, Any], kind: str, metadata: dict[str, Any]) -> None:
    """Read a turn off its action, where the log does not hold what the model wrote."""
    given = _args(event)
    if kind == "message":
        turn.texts.append(_text(given.get("content")))
        return
    turn.texts.append(_text(given.get("thought")) if kind != "think" else "")
    name = metadata.get("function_name")
    made = {key: value for key, value in given.items() if key not in _BOOKKEEPING or kind == "think"}
    call = metadata.get("tool_call_id")
    turn.calls.append(
        ToolCall(
            call if isinstance(call, str) else f"action {_key(event.get('id'))}",
            name if isinstance(name, str) else kind,
            arguments(made),
        )
    )


def _signals(event: dict[str, Any], kind: str, content: str) -> tuple[Signal, ...]:
    if kind == "user_rejected":
        return ("rejected",)
    extras = event.get("extras")
    extras = extras if isinstance(extras, dict) else {}
    metadata = extras.get("metadata")
    code = metadata.get("exit_code") if isinstance(metadata, dict) else extras.get("exit_code")
    failed = code > 0 if isinstance(code, int) else event.get("success") is False  # -1: it still runs
    failed = failed or kind == "error" or (kind in ("edit", "read") and content.startswith("ERROR:"))
    return ("tool_error",) if failed else ()


def _content(event: dict[str, Any]) -> str:
    """An observation as the model saw it."""
    extras = event.get("extras")
    metadata = extras.get("metadata") if isinstance(extras, dict) else None
    around = metadata if isinstance(metadata, dict) else {}
    return _text(around.get("prefix")) + _text(event.get("content")) + _text(around.get("suffix"))


def _metadata(event: dict[str, Any]) -> dict[str, Any]:
    metadata = event.get("tool_call_metadata")
    return metadata if isinstance(metadata, dict) else {}


def _args(event: dict[str, Any]) -> dict[str, Any]:
    args = event.get("args")
    return args if isinstance(args, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _model(output: dict[str, Any]) -> str | None:
    metadata = output.get("metadata")
    config = metadata.get("llm_config") if isinstance(metadata, dict) else None
    model = config.get("model") if isinstance(config, dict) else None
    return model if isinstance(model, str) and model else None


def _reward(output: dict[str, Any]) -> float | None:
    """1 or 0 where an evaluation's report says whether the task was resolved; a patch alone is no success."""
    result = output.get("test_result")
    holders = [
        output.get("report"),
        *((result.get("report"), result.get("result"), result) if isinstance(result, dict) else ()),
    ]
    for holder in holders:
        resolved = holder.get("resolved") if isinstance(holder, dict) else None
        if isinstance(resolved, bool | int) and resolved in (0, 1):
            return float(resolved)
    return None
