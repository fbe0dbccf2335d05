"""Whatever a file holds: it is not recognised, or it is read, every line accounted for, without an
exception."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from claude_log import Log, adds_up, call, result, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.registry import READERS, Reader, reader_of
from locum.types import Session

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KIND = st.sampled_from(
    ["user", "assistant", "system", "attachment", "queue-operation", "progress", "summary", "new", 7, None]
)
ID = st.sampled_from(["a", "b", "c", "d", None, 3])
BLOCK = (
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "tool_use", "tool_result", "image", "thinking", "x", 1, [2]])},
        optional={
            "text": st.sampled_from(["hi", "no, wrong", "<command-name>x", "<system-reminder>"]) | JSON,
            "id": ID,
            "name": st.just("Bash") | JSON,
            "input": st.just({}) | JSON,
            "tool_use_id": ID,
            "content": JSON,
            "is_error": JSON,
        },
    )
    | JSON
)
CLAUDE = st.fixed_dictionaries(
    {"type": KIND},
    optional={
        "uuid": ID,
        "parentUuid": ID,
        "sessionId": ID,
        "session_id": ID,
        "parent_tool_use_id": ID,
        "agentId": ID,
        "isSidechain": st.booleans() | JSON,
        "isMeta": JSON,
        "isCompactSummary": st.booleans(),
        "subtype": st.sampled_from(["compact_boundary", "init", "odd"]) | JSON,
        "operation": st.just("remove") | JSON,
        "content": st.just("typed") | JSON,
        "attachment": st.fixed_dictionaries({"type": st.just("queued_command"), "prompt": JSON}) | JSON,
        "timestamp": st.just("2026-03-01T10:00:00Z") | JSON,
        "origin": JSON,
        "toolUseResult": st.just({"interrupted": True}) | JSON,
        "message": st.fixed_dictionaries(
            {"content": st.lists(BLOCK, max_size=3) | JSON}, optional={"id": ID, "model": JSON}
        )
        | JSON,
    },
)
CHAT_MESSAGE = (
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "function", "x", 1])},
        optional={
            "content": JSON,
            "tool_calls": st.lists(
                st.fixed_dictionaries(
                    {"id": ID, "function": st.fixed_dictionaries({"name": JSON, "arguments": JSON}) | JSON}
                )
                | JSON,
                max_size=2,
            )
            | JSON,
            "function_call": JSON,
            "tool_call_id": ID,
            "name": JSON,
            "weight": JSON,
        },
    )
    | JSON
)
CHAT = st.fixed_dictionaries(
    {"messages": st.lists(CHAT_MESSAGE, max_size=4) | JSON}, optional={"tools": JSON, "functions": JSON}
)
TAU = st.fixed_dictionaries(
    {"traj": st.lists(CHAT_MESSAGE, max_size=4) | JSON},
    optional={"task_id": JSON, "reward": JSON, "trial": JSON, "info": JSON},
)


def lines(records: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.lists(records | JSON, max_size=8).map(
        lambda values: b"\n".join(json.dumps(value).encode() for value in values)
    )


WHOLE = lines(CLAUDE) | lines(CHAT) | st.lists(TAU | JSON, max_size=4).map(lambda v: json.dumps(v).encode())
DAMAGED = st.tuples(WHOLE, st.integers(0, 400), st.binary(max_size=6), st.integers(0, 40)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + parts[3] :]
)
CONTENT = st.binary(max_size=200) | WHOLE | DAMAGED

LINES = {"claude_code", "codex", "aider"}
"""Formats that are lines whatever they hold; others may be one JSON value, or count what is within a line."""
GENEROUS = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@GENEROUS
@given(content=CONTENT)
def test_any_file_is_unrecognised_or_read_with_every_line_accounted_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    reader = reader_of(path)
    if reader is not None:
        reads(reader, path, content)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader.name))
@GENEROUS
@given(content=CONTENT)
def test_any_reader_copes_with_any_file(tmp_path: Path, reader: Reader, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    reads(reader, path, content)


def reads(reader: Reader, path: Path, content: bytes) -> None:
    reading = reader.read(path)
    adds_up(reading)
    if reader.name in LINES:
        assert reading.lines.total == len(content.split(b"\n")) - (content == b"" or content.endswith(b"\n"))
    for session in reading.sessions:
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        assert any(message.origin == "agent" for message in session.messages)
        called = [call.id for message in session.messages for call in message.tool_calls]
        assert all(message.tool_call_id in called for message in session.messages if message.role == "tool")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_of_interleaved_lines_changes_no_message(tmp_path: Path, data: st.DataObject) -> None:
    """A message's lines, their results and other lines between them, in any order that keeps call before
    result."""
    log = Log()
    log.human("Go.")
    start = log.last
    ids = data.draw(st.permutations(["t1", "t2", "t3"]))
    waiting = [("call", id_) for id_ in ids] + [("progress", "")]
    while waiting:
        kind, id_ = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
        if kind == "call":
            log.agent("m1", call(id_), parentUuid=start)
            waiting.append(("result", id_))
        elif kind == "result":
            log.human([result(id_, f"of {id_}")], parentUuid=start)
        else:
            log.add("progress", parentUuid=start)
    log.agent("m2", text("Done."))
    (session,) = log.read(tmp_path).sessions
    assert [m.role for m in session.messages] == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    made = [c.id for c in session.messages[1].tool_calls]
    assert sorted(made) == ["t1", "t2", "t3"]
    assert [(m.tool_call_id, m.content) for m in session.messages[2:5]] == [(id_, f"of {id_}") for id_ in made]
