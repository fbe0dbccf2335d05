"""Codex, pi, OpenClaw and Gemini CLI: any bytes are not recognised, or read with every line accounted for."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.codex import Codex
from locum.sessions.gemini_cli import GeminiCLI
from locum.sessions.pi import Pi
from locum.sessions.reader import Reader
from locum.sessions.registry import reader_of
from locum.types import Session

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ID = st.sampled_from(["a", "b", "c", None, 3])
TEXT = st.sampled_from(["hi", "no, wrong", "<turn_aborted>", "HEARTBEAT_OK", "[Slack x] y", "[cron:1] z"]) | JSON
TIME = st.sampled_from(["2026-03-01T10:00:00Z", "never", 1772359200123, -1e300]) | JSON
ROLE = st.sampled_from(["user", "assistant", "developer", "toolResult", "bashExecution", "custom", "x", 1])
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "input_image", "toolCall", "thinking", "image", 1, [2]])},
    optional={"text": TEXT, "id": ID, "name": st.just("bash") | JSON, "arguments": st.just({}) | JSON},
)
CONTENT = st.lists(BLOCK | JSON, max_size=3) | TEXT


def some(names: str) -> dict[str, st.SearchStrategy[Any]]:
    return dict.fromkeys(names.split(), JSON)


ITEM = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "message",
                "function_call",
                "function_call_output",
                "custom_tool_call",
                "local_shell_call",
                "tool_search_output",
            ]
        )
        | st.sampled_from(["web_search_call", "agent_message", "reasoning", "new", 7])
    },
    optional={
        "id": ID,
        "call_id": ID,
        "name": st.just("shell") | JSON,
        "arguments": st.sampled_from(["{}", "{", {}]) | JSON,
        "role": ROLE,
        "content": CONTENT,
        "output": CONTENT | st.sampled_from(['{"output":"x","metadata":{"exit_code":1}}', "Exit code: 1\n"]),
        **some("input action tools namespace"),
    },
)
EVENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["user_message", "turn_aborted", "task_started", "exec_command_end", "thread_rolled_back", "item_completed"]
        )
        | JSON
    },
    optional={"message": TEXT, "call_id": ID, "num_turns": st.integers(-1, 3) | JSON, **some("exit_code item success")},
)
META = st.fixed_dictionaries({"id": ID}, optional=some("source instructions base_instructions dynamic_tools timestamp"))
CODEX = (
    st.fixed_dictionaries({"type": st.just("response_item"), "payload": ITEM}, optional={"timestamp": TIME})
    | st.fixed_dictionaries({"type": st.just("event_msg"), "payload": EVENT})
    | st.fixed_dictionaries({"type": st.just("session_meta"), "payload": META})
    | st.fixed_dictionaries(
        {
            "type": st.just("compacted"),
            "payload": st.fixed_dictionaries(
                {"message": TEXT}, optional={"replacement_history": st.lists(ITEM, max_size=2) | JSON}
            ),
        }
    )
    | st.fixed_dictionaries({"type": JSON, "payload": JSON | META})
    | ITEM
)
PI = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["message", "message", "session", "compaction", "reset", "branch_summary", "custom"])
        | JSON
    },
    optional={
        "id": ID,
        "parentId": ID,
        "timestamp": TIME,
        "message": st.fixed_dictionaries(
            {"role": ROLE, "content": CONTENT},
            optional={
                "toolCallId": ID,
                "stopReason": st.just("aborted") | JSON,
                **some("model provider details provenance"),
            },
        )
        | JSON,
        "firstKeptEntryId": ID,
        "firstKeptEntryIndex": st.integers(-3, 9),
        "summary": TEXT,
        **some("version cwd parentSession customType data"),
    },
)
MESSAGE = st.fixed_dictionaries(
    {"type": st.sampled_from(["user", "gemini", "info", "new", 1, [2]])},
    optional={
        "id": ID,
        "content": CONTENT,
        "timestamp": TIME,
        "toolCalls": st.lists(
            st.fixed_dictionaries(
                {"id": ID, "name": st.just("ls") | JSON},
                optional={
                    "args": st.just({}) | JSON,
                    "status": st.sampled_from(["success", "error", "cancelled"]) | JSON,
                    "result": st.just([{"functionResponse": {"response": {"output": "x"}}}]) | JSON,
                },
            )
            | JSON,
            max_size=2,
        )
        | JSON,
        **some("model thoughts displayContent"),
    },
)
GEMINI = (
    MESSAGE
    | st.fixed_dictionaries({"$rewindTo": ID})
    | st.fixed_dictionaries(
        {"$set": st.fixed_dictionaries({}, optional={"messages": st.lists(MESSAGE, max_size=2)}) | JSON}
    )
    | st.fixed_dictionaries({"sessionId": ID, "projectHash": JSON}, optional=some("kind startTime messages"))
)
CHAT = st.fixed_dictionaries(
    {"sessionId": st.just("s"), "projectHash": JSON, "messages": st.lists(MESSAGE | JSON, max_size=3) | JSON}
).map(lambda chat: json.dumps(chat, indent=1).encode())


def lines(records: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.lists(records | JSON, max_size=8).map(
        lambda values: b"\n".join(json.dumps(value).encode() for value in values)
    )


def damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """What is whole, or the same with bytes put in or cut out."""
    return whole | st.tuples(whole, st.integers(0, 400), st.binary(max_size=6), st.integers(0, 40)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + parts[3] :]
    )


GENEROUS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        (Codex(), damaged(lines(CODEX))),
        (Pi(), damaged(lines(PI))),
        (GeminiCLI(), damaged(lines(GEMINI))),
        (GeminiCLI(), damaged(CHAT)),
    ],
    ids=["codex", "pi", "gemini lines", "gemini whole"],
)
@GENEROUS
@given(data=st.data())
def test_any_file_is_read_with_every_line_accounted_for(
    tmp_path: Path, reader: Reader, content: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    raw = data.draw(content | st.binary(max_size=100))
    path = tmp_path / "any"
    path.write_bytes(raw)
    reader_of(path)
    reading = reader.read(path)
    adds_up(reading)
    if not (isinstance(reader, GeminiCLI) and b'"messages"' in raw):  # the old form counts messages
        assert reading.lines.total == len(raw.split(b"\n")) - (raw == b"" or raw.endswith(b"\n"))
    for session in reading.sessions:
        assert any(message.origin == "agent" for message in session.messages)
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        called = {call.id for message in session.messages for call in message.tool_calls}
        assert all(message.tool_call_id in called for message in session.messages if message.role == "tool")
