"""What `codex exec --json` prints, and rollouts that were compressed."""

import json
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.codex import Codex
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Message, Session


def item(id_: str, kind: str, event: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": f"item.{event}", "item": {"id": id_, "type": kind, **fields}}


def command(id_: str, event: str = "completed", code: int | None = 0, status: str = "completed") -> dict[str, Any]:
    fields = {"command": "bash -lc ls", "aggregated_output": "a.py\n", "exit_code": code, "status": status}
    return item(id_, "command_execution", event, **fields)


START = {"type": "thread.started", "thread_id": "0199-a"}
TURN = {"type": "turn.started"}
DONE = {"type": "turn.completed", "usage": {"input_tokens": 1, "cached_input_tokens": 0, "output_tokens": 1}}


def read(folder: Path, *events: Any) -> FileReading:
    path = folder / "out.jsonl"
    path.write_text("\n".join(map(json.dumps, events)))
    reader = reader_of(path)
    assert isinstance(reader, Codex)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def test_items_become_messages_calls_and_results(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        START,
        TURN,
        item("item_0", "reasoning", text="**Listing**"),
        item("item_1", "agent_message", text="I look."),
        command("item_2", "started", None, "in_progress"),
        command("item_2"),
        item("item_3", "agent_message", text="There is a.py."),
        DONE,
    )
    session = only(reading)
    assert (session.id, session.lineage, session.provider) == ("0199-a", "0199-a", "openai")
    assert [(m.role, m.content, m.signals) for m in session.messages] == [
        ("assistant", "I look.", ("unreadable",)),  # the prompt is not in the stream
        ("tool", "a.py\n", ()),
        ("assistant", "There is a.py.", ()),
    ]
    (call,) = session.messages[0].tool_calls
    assert (call.name, call.arguments) == ("command_execution", {"command": "bash -lc ls"})
    assert reading.lines.noise == {
        "item: reasoning": 1,
        "thread.started": 1,
        "turn.completed": 1,
        "turn.started": 1,
    }


def test_calls_in_parallel_are_one_message(tmp_path: Path) -> None:
    events = [command("1", "started", None), command("2", "started", None), command("2"), command("1"), command("3")]
    session = only(read(tmp_path, START, TURN, *events))
    assert [len(message.tool_calls) for message in turns(session)] == [2, 1]
    assert [message.role for message in session.messages] == ["assistant", "tool", "tool", "assistant", "tool"]


def test_how_calls_end(tmp_path: Path) -> None:
    session = only(
        read(
            tmp_path,
            START,
            TURN,
            item("0", "agent_message", text="Go."),
            command("1", code=2, status="failed"),
            command("2", code=None, status="declined"),
            item("3", "file_change", changes=[{"path": "a.py", "kind": "update"}], status="completed"),
            item("4", "mcp_tool_call", server="docs", tool="find", arguments={"q": "x"}, error={"message": "no"}),
            item("5", "mcp_tool_call", server="docs", tool="find", arguments={"q": "x"}, error=None)
            | {"item": {"id": "5", "type": "mcp_tool_call", "server": "docs", "tool": "find"}},
            item("6", "web_search", query="x"),
            item("7", "agent_message", text="Done."),
            {"type": "turn.failed", "error": {"message": "stream closed"}},
        )
    )
    assert [message.signals for message in turns(session)] == [
        ("tool_error", "unreadable"),
        ("rejected",),
        ("unreadable",),
        ("tool_error",),
        (),
        ("unreadable",),
        ("interrupted",),
    ]
    assert session.messages[1].content == "Exit code: 2\na.py\n"
    assert [message.tool_name for message in session.messages if message.role == "tool"][-1] == "mcp__docs__find"


def test_items_are_counted_anew_in_every_turn_and_threads_are_told_apart(tmp_path: Path) -> None:
    other = {"type": "thread.started", "thread_id": "0199-b"}
    reading = read(
        tmp_path, START, TURN, command("item_0"), DONE, TURN, command("item_0"), DONE, other, TURN, command("1")
    )
    assert [(session.id, len(turns(session))) for session in reading.sessions] == [("0199-a", 2), ("0199-b", 1)]


def test_what_is_new_or_broken_is_named(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        START,
        TURN,
        item("1", "hologram"),
        {"type": "thread.teleported"},
        {"type": "item.completed", "item": 3},
        item("2", "mcp_tool_call", server=None),
        item("3", "agent_message", text="Hi."),
    )
    assert reading.lines.unknown == {"event: thread.teleported": 1, "item: hologram": 1}
    assert [bad.reason for bad in reading.lines.bad] == ["an item event without its item", "a tool call without a name"]
    assert len(turns(only(reading))) == 1


def test_a_compressed_rollout_is_read_as_it_is(tmp_path: Path) -> None:
    lines = [
        {"type": "session_meta", "payload": {"id": "t", "timestamp": "2026-03-01T10:00:00Z", "cwd": "/"}},
        {"type": "event_msg", "payload": {"type": "user_message", "message": "Hello there, you."}},
        {"type": "response_item", "payload": {"type": "message", "role": "user", "content": "Hello there, you."}},
        {"type": "response_item", "payload": {"type": "message", "role": "assistant", "content": "Hi."}},
    ]
    raw = "\n".join(map(json.dumps, lines)).encode()
    path = tmp_path / "rollout-t.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(raw))
    reader = reader_of(path)
    assert isinstance(reader, Codex)
    reading = reader.read(path)
    adds_up(reading)
    assert [(m.origin, m.content) for m in only(reading).messages] == [("human", "Hello there, you."), ("agent", "Hi.")]
    assert reading.lines.total == 4


ODD: Any = st.none() | st.integers() | st.text(max_size=4) | st.just([]) | st.just({"a": 1})
EVENT: Any = st.builds(
    lambda base, key, odd, luck: {**base, "item": {**base.get("item", {}), key: odd}} if luck == 0 else base,
    st.sampled_from(
        [
            START,
            TURN,
            DONE,
            command("1", "started"),
            command("1"),
            command("2", code=1),
            item("3", "agent_message", text="x"),
            item("4", "file_change"),
            item("5", "mcp_tool_call", server="a", tool="b", result={"content": [{"text": "x"}]}),
        ]
    ),
    st.sampled_from(["id", "type", "text", "command", "exit_code", "result", "arguments", "changes", "status"]),
    ODD,
    st.integers(0, 2),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, max_size=8), st.integers(0, 400), st.binary(max_size=3), st.booleans(), st.booleans())
def test_whatever_is_printed_every_line_has_one_fate(
    tmp_path: Path, events: list[Any], at: int, junk: bytes, spoil: bool, packed: bool
) -> None:
    raw = "\n".join(map(json.dumps, [START, *events])).encode()
    raw = zstandard.ZstdCompressor().compress(raw) if packed else raw
    if spoil:
        raw = raw[: at % (len(raw) + 1)] + junk + raw[at % (len(raw) + 1) + 3 :]
    path = tmp_path / "any.jsonl"
    path.write_bytes(raw)
    Codex().detects(raw[: 1 << 16], path)
    reading = Codex().read(path)
    adds_up(reading)
    for session in reading.sessions:
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        called = [call.id for message in session.messages for call in message.tool_calls]
        assert len(set(called)) == len(called)
        assert all(message.tool_call_id in called for message in session.messages if message.role == "tool")
