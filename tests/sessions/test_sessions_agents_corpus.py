"""Real logs of Codex, pi, OpenClaw and Gemini CLI: nothing unexplained, nothing unpaired, nothing lost (cases 9 to 12
of session-formats.md §14)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from locum.progress import silent
from locum.sessions import SourceReading, read_sources
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Message, Session

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout"),
]
FOLDERS = ("codex", "gemini_cli", "pi_openclaw")


@pytest.fixture(scope="module")
def found() -> dict[str, SourceReading]:
    return {folder: read_sources([DATA / folder], silent) for folder in FOLDERS}


def read(pattern: str) -> tuple[FileReading, list[Any]]:
    """The one file of a pattern, as it is read and as its lines' JSON."""
    (path,) = DATA.glob(pattern)
    reader = reader_of(path)
    assert reader is not None
    lines = path.read_text(encoding="utf-8")
    return reader.read(path), [json.loads(lines)] if path.suffix == ".json" else list(
        map(json.loads, lines.splitlines())
    )


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def signals(session: Session) -> Counter[str]:
    return Counter(signal for message in session.messages for signal in message.signals)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_log_is_recognised_as_what_it_is_and_adds_up(found: dict[str, SourceReading], folder: str) -> None:
    reading = found[folder]
    lines = reading.lines
    assert reading.formats.keys() == {folder}
    assert lines.total == lines.used + sum(lines.noise.values()) + sum(lines.unknown.values())
    assert lines.bad == ()
    # What is left aside is single messages that were cut out of logs.
    assert all(Path(left.path).suffix == ".json" for left in reading.skipped)
    assert not any("session" in Path(left.path).name for left in reading.skipped)
    if folder != "gemini_cli":
        assert lines.total == sum(len(Path(path).read_bytes().splitlines()) for path in reading.files)


def test_what_is_unknown_is_so_on_purpose(found: dict[str, SourceReading]) -> None:
    """A made-up file of another tool's tests holds a token count where items stand; real logs hold nothing unknown."""
    unknown = {folder: reading.lines.unknown for folder, reading in found.items()}
    assert unknown == {"codex": {"item: token_count": 1}, "gemini_cli": {}, "pi_openclaw": {}}


@pytest.mark.parametrize("folder", FOLDERS)
def test_calls_are_objects_and_every_result_stands_after_its_call(found: dict[str, SourceReading], folder: str) -> None:
    for session in found[folder].sessions:
        waiting: set[str] = set()
        for message in session.messages:
            if message.role == "assistant":
                waiting = {call.id for call in message.tool_calls}
                assert all(isinstance(call.arguments, dict) for call in message.tool_calls)
            elif message.role == "tool":
                assert message.tool_call_id in waiting
                waiting.discard(message.tool_call_id or "")
        assert len({m.id for m in session.messages if m.id}) == len([m for m in session.messages if m.id])


@pytest.mark.parametrize("name", ["01997e76", "01998190", "019982b8"])
def test_a_rollout_is_read_once_though_it_is_written_twice(name: str) -> None:
    reading, records = read(f"codex/agentcmd/rollout-*-{name}-*.jsonl")
    session = only(reading)
    payloads = [record["payload"] for record in records]
    kinds = Counter(payload.get("type") for payload in payloads)
    assert sum(m.origin == "human" for m in session.messages) == kinds["user_message"]
    assert sum(len(m.tool_calls) for m in session.messages) == kinds["function_call"]
    assert sum(m.role == "tool" for m in session.messages) == kinds["function_call_output"]
    assert sum(bool(m.content) for m in turns(session)) == kinds["agent_message"]
    assert (session.model, session.provider) == ("gpt-5-codex", "openai")
    assert session.id == session.lineage == payloads[0]["id"]
    assert not any(m.content.startswith('{"output"') for m in session.messages if m.role == "tool")
    assert not any("## My request for Codex" in m.content for m in session.messages)


def test_aborts_rejections_and_exit_codes_of_a_rollout() -> None:
    reading, records = read("codex/agentcmd/rollout-*-01997e76-*.jsonl")
    session = only(reading)
    outputs = [record["payload"].get("output") for record in records if "output" in record["payload"]]
    codes = [json.loads(output)["metadata"]["exit_code"] for output in outputs if output.startswith("{")]
    plain = [output for output in outputs if output.startswith(("failed in sandbox", "execution error"))]
    assert signals(session) == {
        "interrupted": sum(record["payload"].get("type") == "turn_aborted" for record in records),
        "rejected": outputs.count("patch rejected by user"),
        "tool_error": sum(code != 0 for code in codes) + len(plain),
    }
    for at, message in enumerate(session.messages):
        if "interrupted" in message.signals:  # nothing but its results stands between it and the human
            after = next(m for m in session.messages[at + 1 :] if m.role != "tool")
            assert after.origin in ("human", "harness")
    assert "event: turn_aborted" not in reading.lines.noise


def test_code_mode_outputs_and_what_only_looks_like_an_exit_code() -> None:
    reading, _ = read("codex/polylogue/functions_exec_multiple.jsonl")
    (turn,) = turns(only(reading))
    assert turn.signals == ("tool_error",)
    assert turn.tool_calls[0].name == "functions.exec"


def test_a_session_without_ids_and_with_aborted_calls() -> None:
    reading, records = read("pi_openclaw/pi-mono/large-session.jsonl")
    session = only(reading)
    messages = [record["message"] for record in records if record["type"] == "message"]
    stops = Counter((m.get("stopReason"), bool(m["content"])) for m in messages if m["role"] == "assistant")
    assert signals(session)["interrupted"] == stops["aborted", True] == 7
    assert reading.lines.noise["aborted"] == stops["aborted", False] == 14
    assert signals(session)["api_error"] == stops["error", True] == 1
    assert signals(session)["tool_error"] == sum(m.get("isError") is True for m in messages) == 19
    assert sum(m.role == "tool" for m in session.messages) == sum(m["role"] == "toolResult" for m in messages)
    assert sum(m.origin == "human" for m in session.messages) == sum(m["role"] == "user" for m in messages)
    assert signals(session)["corrected"] > 0
    for at, message in enumerate(session.messages):
        if "interrupted" in message.signals or "api_error" in message.signals:
            assert session.messages[at + 1].role != "tool"


def test_custom_entries_of_openclaw_are_no_messages() -> None:
    reading, _ = read("pi_openclaw/teich/example_openclaw_session.jsonl")
    session = only(reading)
    assert [(m.role, m.origin) for m in session.messages] == [
        ("user", "human"),
        ("assistant", "agent"),
        ("user", "human"),
    ]
    assert session.messages[1].content.startswith("Hey! I just came online")
    assert reading.lines.noise == {
        "custom: model-snapshot": 1,
        "custom: openclaw.cache-ttl": 1,
        "model_change": 1,
        "session": 1,
        "thinking_level_change": 1,
    }


def test_calls_and_results_of_one_gemini_message_are_told_apart(found: dict[str, SourceReading]) -> None:
    sessions = {session.id: session for session in found["gemini_cli"].sessions}
    assert len(sessions) == 4
    for path in map(Path, found["gemini_cli"].files):
        chat = json.loads(path.read_bytes())
        session = sessions[chat["sessionId"]]
        calls = [call for message in chat["messages"] for call in message.get("toolCalls", [])]
        assert [call.id for m in session.messages for call in m.tool_calls] == [call["id"] for call in calls]
        assert sum(m.role == "tool" for m in session.messages) == len(calls)
        assert signals(session)["interrupted"] == sum(call["status"] == "cancelled" for call in calls)
        assert signals(session)["tool_error"] >= sum(call["status"] == "error" for call in calls)
        assert [m.content for m in turns(session)] == [
            m["content"].strip() for m in chat["messages"] if m["type"] == "gemini"
        ]
    assert {session.provider for session in sessions.values()} == {"google"}
