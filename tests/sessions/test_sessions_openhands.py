"""OpenHands: V0 outputs with and without the model's answers, pairs, rewards; V1 events."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.sessions.openhands import OpenHands
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

TIME = "2026-01-02T10:00:00"


def read(folder: Path, content: bytes) -> FileReading:
    path = folder / "output.jsonl"
    path.write_bytes(content)
    reader = reader_of(path)
    assert isinstance(reader, OpenHands)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def lines(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def answer(id_: str, text: str, *calls: tuple[str, dict[str, Any]], reason: str = "tool_calls") -> dict[str, Any]:
    made = [
        {"id": call, "type": "function", "function": {"name": "execute_bash", "arguments": json.dumps(given)}}
        for call, given in calls
    ]
    message = {"role": "assistant", "content": text, "tool_calls": made}
    return {"id": id_, "model": "vendor/claude-x", "choices": [{"message": message, "finish_reason": reason}]}


def did(id_: int, call: str, given: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    metadata = {"function_name": "execute_bash", "tool_call_id": call, "model_response": response}
    return {
        "id": id_,
        "timestamp": TIME,
        "source": "agent",
        "action": "run",
        "args": {**given, "thought": "hidden"},
        "tool_call_metadata": metadata,
    }


def saw(cause: int, content: str, kind: str = "run", **more: Any) -> dict[str, Any]:
    return {"id": 90, "source": "agent", "observation": kind, "cause": cause, "content": content, **more}


def asked(text: str, id_: int = 1) -> dict[str, Any]:
    return {"id": id_, "timestamp": TIME, "source": "user", "action": "message", "args": {"content": text}}


SYSTEM = {
    "id": 0,
    "source": "agent",
    "action": "system",
    "args": {"content": "You are an agent.", "tools": [{"type": "function", "function": {"name": "execute_bash"}}]},
}
RECALL = {"id": 2, "source": "user", "action": "recall", "args": {"query": "x"}}
STATE = {"id": 3, "source": "environment", "observation": "agent_state_changed", "content": ""}
ONE = answer("r1", "I look.", ("t1", {"command": "ls"}))
HISTORY = [SYSTEM, asked("Fix it."), RECALL, STATE, did(5, "t1", {"command": "ls"}, ONE), saw(5, "a.py")]


def output(*history: Any, **more: Any) -> dict[str, Any]:
    return {
        "instance_id": "repo-1",
        "instruction": "Fix it.",
        "history": list(history),
        "metadata": {"llm_config": {"model": "openai/gpt-x"}},
        "test_result": {"git_patch": "diff"},
        "error": None,
        **more,
    }


def test_a_history_is_a_session_told_by_the_models_own_answers(tmp_path: Path) -> None:
    reading = read(tmp_path, lines(output(*HISTORY)))
    (session,) = reading.sessions
    assert [(m.role, m.origin, m.content) for m in session.messages] == [
        ("system", "system", "You are an agent."),
        ("user", "human", "Fix it."),
        ("assistant", "agent", "I look."),
        ("tool", "tool", "a.py"),
    ]
    (made,) = session.messages[2].tool_calls
    assert (made.id, made.name, made.arguments) == ("t1", "execute_bash", {"command": "ls"})
    assert (session.lineage, session.model, session.provider) == ("openhands:repo-1", "vendor/claude-x", "anthropic")
    assert session.started == "2026-01-02T10:00:00.000Z"
    assert len(session.tools) == 1
    assert reading.lines.noise == {"recall": 1, "agent_state_changed": 1}
    assert (reading.lines.total, reading.lines.used) == (6, 4)


def test_actions_of_one_answer_are_one_message(tmp_path: Path) -> None:
    two = answer("r1", "Both.", ("t1", {"command": "ls"}), ("t2", {"command": "pwd"}))
    history = [asked("Go."), did(2, "t1", {}, two), saw(2, "one"), did(4, "t2", {}, two), saw(4, "two")]
    (session,) = read(tmp_path, lines(output(*history))).sessions
    assert [m.role for m in session.messages] == ["user", "assistant", "tool", "tool"]
    assert [(m.tool_call_id, m.content) for m in session.messages[2:]] == [("t1", "one"), ("t2", "two")]


@pytest.mark.parametrize(
    ("observation", "signals"),
    [
        (saw(5, "x", extras={"metadata": {"exit_code": 127}}, success=False), ("tool_error",)),
        (saw(5, "x", extras={"exit_code": 1}), ("tool_error",)),
        (saw(5, "x", extras={"metadata": {"exit_code": -1}}, success=False), ()),
        (saw(5, "x", success=False), ("tool_error",)),
        (saw(5, "ERROR:\nNo replacement", "edit"), ("tool_error",)),
        (saw(5, "ERROR: in a log"), ()),
        (saw(5, "bad parameter", "error"), ("tool_error",)),
        (saw(5, "No.", "user_rejected"), ("rejected",)),
    ],
)
def test_what_an_observation_says_of_its_action(tmp_path: Path, observation: Any, signals: Any) -> None:
    (session,) = read(tmp_path, lines(output(*HISTORY[:5], observation))).sessions
    assert session.messages[2].signals == signals


def test_the_shells_remarks_are_part_of_what_the_model_saw(tmp_path: Path) -> None:
    told = saw(5, "a.py", extras={"metadata": {"exit_code": 0, "prefix": "", "suffix": "\n[exit code 0.]"}})
    (session,) = read(tmp_path, lines(output(*HISTORY[:5], told))).sessions
    assert session.messages[3].content == "a.py\n[exit code 0.]"


def test_an_answer_that_became_no_action_is_answered_by_the_harness(tmp_path: Path) -> None:
    error = {"id": 7, "source": "agent", "observation": "error", "content": "Unknown parameter."}
    (session,) = read(tmp_path, lines(output(*HISTORY, error))).sessions
    assert (session.messages[-1].role, session.messages[-1].origin) == ("user", "harness")


def test_who_speaks_in_a_humans_place(tmp_path: Path) -> None:
    fake = asked("Please continue working on the task on whatever approach you think is suitable.\nGo on.", 8)
    (session,) = read(tmp_path, lines(output(*HISTORY, fake))).sessions
    assert [m.origin for m in session.messages if m.role == "user"] == ["human", "harness"]


def test_old_histories_are_pairs_and_hold_no_answers(tmp_path: Path) -> None:
    run = {"id": 1, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "Look.", "hidden": False}}
    said = {"id": 3, "source": "agent", "action": "message", "args": {"content": "Done."}}
    pairs = [[asked("Fix.", 0), {}], [run, saw(1, "a.py")], [said, None]]
    reading = read(tmp_path, lines(output(*pairs)))
    (session,) = reading.sessions
    assert [(m.role, m.content) for m in session.messages] == [
        ("user", "Fix."),
        ("assistant", "Look."),
        ("tool", "a.py"),
        ("assistant", "Done."),
    ]
    (made,) = session.messages[1].tool_calls
    assert (made.name, made.arguments) == ("run", {"command": "ls"})
    assert (session.model, reading.lines.noise) == ("openai/gpt-x", {"null": 2})


@pytest.mark.parametrize(
    ("more", "reward"),
    [
        ({}, None),
        ({"test_result": {"git_patch": "diff", "report": {"resolved": True}}}, 1.0),
        ({"test_result": {"report": {"resolved": False}}}, 0.0),
        ({"report": {"resolved": True}, "test_result": None}, 1.0),
        ({"test_result": {"result": {"resolved": 1}}}, 1.0),
        ({"test_result": {"report": {"resolved": "yes"}}}, None),
    ],
)
def test_a_report_is_a_reward_and_a_patch_is_none(tmp_path: Path, more: Any, reward: float | None) -> None:
    assert read(tmp_path, lines(output(*HISTORY, **more))).sessions[0].reward == reward


def test_a_truncated_answer_is_marked(tmp_path: Path) -> None:
    cut = answer("r1", "I lo", reason="length")
    said = {"id": 5, "source": "agent", "action": "message", "args": {}, "tool_call_metadata": {"model_response": cut}}
    (session,) = read(tmp_path, lines(output(asked("Go."), said))).sessions
    assert session.messages[-1].signals == ("truncated",)


def test_a_line_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    odd = {"id": 9, "source": "agent", "action": "dance", "args": {}}
    content = lines(output(*HISTORY, odd), output(), output(*HISTORY[:2], 7, HISTORY[4]))
    reading = read(tmp_path, content + b'\n{"instance_id": "x", "history": [')
    assert len(reading.sessions) == 1
    assert [bad.reason for bad in reading.lines.bad] == [
        "an event that is no object",
        "line 2: no history",
        "line 4: cut in the middle",
    ]
    assert reading.lines.unknown == {"action: dance": 1}


def event(kind: str, id_: str = "e", source: str = "agent", **more: Any) -> dict[str, Any]:
    return {"id": id_, "timestamp": TIME, "source": source, "kind": kind, **more}


def block(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def acted(call: str, response: str, text: str = "I look.") -> dict[str, Any]:
    return event(
        "ActionEvent",
        thought=block(f"<think>Hm.</think>\n\n{text}"),
        tool_name="terminal",
        tool_call_id=call,
        tool_call={"id": call, "name": "terminal", "arguments": '{"command": "ls"}'},
        action={"command": "ls", "kind": "TerminalAction"},
        llm_response_id=response,
    )


def observed(call: str, text: str, **more: Any) -> dict[str, Any]:
    return event(
        "ObservationEvent", source="environment", tool_call_id=call, observation={"content": block(text), **more}
    )


STATS = {"usage_to_metrics": {"default": {"model_name": "proxy/minimax-m2"}}}
EVENTS = [
    event("SystemPromptEvent", "e0", system_prompt={"text": "You are an agent."}, tools=[{"name": "x", "kind": "T"}]),
    event("MessageEvent", source="user", llm_message={"role": "user", "content": block("Fix it.")}),
    event("ConversationStateUpdateEvent", source="environment", key="stats", value=STATS),
    acted("t1", "r1"),
    acted("t2", "r1"),
    observed("t1", "a.py"),
    observed("t2", "boom", exit_code=2),
    event("MessageEvent", llm_message={"role": "assistant", "content": block("Done.")}, llm_response_id="r2"),
]


def test_events_are_one_session(tmp_path: Path) -> None:
    reading = read(tmp_path, lines(*EVENTS))
    (session,) = reading.sessions
    assert [(m.role, m.origin, m.content) for m in session.messages] == [
        ("system", "system", "You are an agent."),
        ("user", "human", "Fix it."),
        ("assistant", "agent", "I look."),
        ("tool", "tool", "a.py"),
        ("tool", "tool", "boom"),
        ("assistant", "agent", "Done."),
    ]
    assert [c.id for c in session.messages[2].tool_calls] == ["t1", "t2"]
    assert session.messages[2].signals == ("tool_error",)
    assert (session.lineage, session.model, session.provider) == ("openhands:e0", "proxy/minimax-m2", "minimax")
    assert reading.lines.noise == {"ConversationStateUpdateEvent": 1}
    assert (reading.lines.total, reading.lines.used) == (8, 7)


@pytest.mark.parametrize(
    ("heard", "signal"),
    [
        (event("UserRejectObservation", tool_call_id="t1", rejection_reason="No."), "rejected"),
        (event("AgentErrorEvent", tool_call_id="t1", error="No such tool."), "tool_error"),
        (observed("t1", "x", is_error=True), "tool_error"),
        (observed("t1", "x", metadata={"exit_code": 1}), "tool_error"),
        (event("PauseEvent", source="user"), "interrupted"),
    ],
)
def test_what_events_say_of_an_action(tmp_path: Path, heard: Any, signal: str) -> None:
    (session,) = read(tmp_path, lines(EVENTS[1], EVENTS[3], heard)).sessions
    assert session.messages[1].signals == (signal,)


def test_events_that_are_unknown_bad_or_answer_nothing(tmp_path: Path) -> None:
    bad = [event("ActionEvent", tool_name="x"), event("ObservationEvent", tool_call_id="t1"), event("MessageEvent")]
    reading = read(tmp_path, lines(*EVENTS, observed("t9", "?"), event("DanceEvent"), {"x": 1}, *bad))
    assert reading.lines.unknown == {"event: DanceEvent": 1, "event: (no kind)": 1}
    assert reading.lines.noise["result without its call"] == 1
    assert [b.line for b in reading.lines.bad] == [12, 13, 14]


def keep(folder: Path, *events: Any, model: str | None = None) -> Path:
    """Write a conversation as OpenHands' programs do; returns the folder of its events."""
    inside = folder / "c1" / "events"
    inside.mkdir(parents=True)
    for number, one in enumerate(events):
        content = one if isinstance(one, bytes) else json.dumps(one).encode()
        (inside / f"event-{number:05}-0aa{number:05x}.json").write_bytes(content)
    if model is not None:
        state = {"id": "c1", "agent": {"llm": {"model": model, "api_key": "***"}}}
        (folder / "c1" / "base_state.json").write_text(json.dumps(state))
    return inside


def read_all(folder: Path) -> list[FileReading]:
    readings = []
    for path in sorted(folder.iterdir()):
        reader = reader_of(path)
        if isinstance(reader, OpenHands):
            readings.append(reader.read(path))
            adds_up(readings[-1])
    return readings


def test_a_folder_of_events_is_one_session_and_one_account(tmp_path: Path) -> None:
    inside = keep(tmp_path, *(one for one in EVENTS if one["kind"] != "ConversationStateUpdateEvent"), model="gpt-x")
    first, *others = read_all(inside)
    (session,) = first.sessions
    assert (session.id, session.lineage, session.model, session.provider) == ("c1", "openhands:e0", "gpt-x", "openai")
    assert [m.content for m in session.messages][-1] == "Done."
    assert not any("unreadable" in message.signals for message in session.messages)
    assert (first.lines.total, first.lines.used) == (7, 7)
    assert len(others) == 6
    assert all(not one.sessions and one.lines.total == 0 and one.beside == (first.path,) for one in others)
    assert {str(inside), str(tmp_path / "c1" / "base_state.json")} < set(first.beside)


def test_more_events_make_a_new_reading(tmp_path: Path) -> None:
    inside = keep(tmp_path, *EVENTS[:4])
    assert len(read_all(inside)[0].sessions[0].messages) == 3
    later = inside / "event-00004-0aaa00004.json"
    later.write_text(json.dumps(EVENTS[7]))
    os.utime(inside, (2_000_000_000, 2_000_000_000))
    assert len(read_all(inside)[0].sessions[0].messages) == 4


def test_events_beyond_five_digits_come_last(tmp_path: Path) -> None:
    inside = keep(tmp_path, EVENTS[1])
    for name, one in (("event-99999-0aaa00001", EVENTS[3]), ("event-100000-0aaa00002", EVENTS[7])):
        (inside / f"{name}.json").write_text(json.dumps(one))
    (session,) = read_all(inside)[0].sessions
    assert [m.content for m in session.messages] == ["Fix it.", "I look.", "Done."]
    assert session.messages[1].signals == ("unreadable",)  # what came between is missing


def test_events_that_are_bad_missing_or_links_are_named_or_left_aside(tmp_path: Path) -> None:
    inside = keep(tmp_path, b"{", EVENTS[1], b'{"id": 1', EVENTS[7])
    (inside / "event-00009-0aaa00009.json").symlink_to(inside / "event-00003-0aa00003.json")
    readings = read_all(inside)
    owner = next(one for one in readings if one.sessions)
    assert owner.path.endswith("event-00001-0aa00001.json")
    assert [bad.line for bad in owner.lines.bad] == [1, 3]
    assert owner.lines.total == 4
    assert owner.sessions[0].messages[-1].signals == ("unreadable",)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(EVENTS) | st.binary(max_size=20), min_size=1, max_size=6),
    st.none() | st.binary(max_size=20) | st.just(b'{"agent": {"llm": []}}'),
)
def test_whatever_a_folder_holds_every_event_has_one_fate(events: list[Any], state: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        inside = keep(Path(name), *events)
        if state is not None:
            (inside.parent / "base_state.json").write_bytes(state)
        readings = read_all(inside)
        assert sum(one.lines.total for one in readings) in (0, len(events))
        assert sum(one.lines.total for one in readings) == len(events) or not readings
