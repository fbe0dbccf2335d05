"""Entire's checkpoints beside Claude Code's logs, streams without their prompts, and errors that are not flagged."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import Log, adds_up, call, result, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.claude_code import ClaudeCode
from locum.types import Message

LINES = {"agent_lines": 5, "human_added": 3, "human_modified": 0, "human_removed": 0, "total_committed": 8}


def record(**more: Any) -> dict[str, Any]:
    return {
        "checkpoint_id": "1a2b",
        "session_id": "2026-03-01-s-1",
        "files_touched": ["src/a.py", "b.py"],
        "initial_attribution": LINES,
        **more,
    }


def edited(log: Log, n: int, file: str, old: str, new: str, *, error: bool = False) -> None:
    name, arguments = ("Edit", {"old_string": old, "new_string": new}) if old else ("Write", {"content": new})
    log.agent(f"m{n}", call(f"t{n}", name, file_path=file, **arguments))
    log.human([result(f"t{n}", error=error)])


def session() -> Log:
    log = Log()
    log.human("Change it.")
    edited(log, 1, "/repo/src/a.py", "x = 1", "x = 2")  # line 2
    edited(log, 2, "/repo/src/a.py", "y = 1", "y = 2")  # line 4
    edited(log, 3, "/repo/src/a.py", "y = 2", "y = 3")  # line 6, over the one before
    edited(log, 4, "/repo/c.py", "z = 1", "z = 2")  # line 8, not in the commit
    edited(log, 5, "b.py", "q = 1", "q = 2", error=True)  # line 10
    log.agent("m6", text("Done."))
    return log


def kept(
    folder: Path, log: Log, meta: Any, name: str = "full.jsonl", beside: str = "metadata.json"
) -> list[str | None]:
    (folder / beside).write_text(meta if isinstance(meta, str) else json.dumps(meta))
    reading = ClaudeCode().read(log.write(folder / name))
    adds_up(reading)
    assert reading.beside == (
        str(folder / ("metadata.json" if name == "full.jsonl" else f"{Path(name).stem}.metadata.json")),
    )
    messages = [message for session in reading.sessions for message in session.messages]
    assert all(message.origin == "agent" for message in messages if "kept" in message.signals)
    return [message.id for message in messages if "kept" in message.signals]


def test_edits_that_were_committed_as_they_were_are_kept(tmp_path: Path) -> None:
    assert kept(tmp_path, session(), record()) == ["m1", "m3"]


def test_a_file_that_is_written_anew_keeps_nothing_of_before(tmp_path: Path) -> None:
    log = session()
    edited(log, 7, "/repo/src/a.py", "", "all new")
    assert kept(tmp_path, log, record()) == ["m7"]


def test_exported_logs_have_their_record_under_their_own_name(tmp_path: Path) -> None:
    assert kept(tmp_path, session(), record(), "s-1.jsonl", "s-1.metadata.json") == ["m1", "m3"]
    assert kept(tmp_path / ".", session(), record(), "other.jsonl", "s-1.metadata.json") == []


@pytest.mark.parametrize("change", [{"agent_lines": 0}, {"human_modified": 1}, {"human_removed": 2}])
def test_nothing_is_said_where_a_human_changed_what_the_agent_wrote(tmp_path: Path, change: dict[str, int]) -> None:
    assert kept(tmp_path, session(), record(initial_attribution=LINES | change)) == []


@pytest.mark.parametrize(
    "start",
    [
        {"checkpoint_transcript_start": 5},
        {"transcript_lines_at_start": 5},
        {"transcript_identifier_at_start": "s-1-u5"},
        {"transcript_uuid_at_start": "s-1-u5"},
    ],
)
def test_edits_of_an_earlier_checkpoint_are_not_this_ones(tmp_path: Path, start: dict[str, Any]) -> None:
    assert kept(tmp_path, session(), record(**start)) == ["m3"]


@pytest.mark.parametrize("meta", ["", "{", "[]", "null", "{}", '{"checkpoint_id": 3}', "[" * 5000, "x" * (1 << 21)])
def test_a_record_that_is_none_says_nothing(tmp_path: Path, meta: str) -> None:
    assert kept(tmp_path, session(), meta) == []


def test_a_record_is_not_read_through_a_link_nor_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(json.dumps(record()))
    inside = tmp_path / "checkpoint"
    inside.mkdir()
    (inside / "metadata.json").symlink_to(tmp_path / "real.json")
    path = session().write(inside / "full.jsonl")
    (inside / "s.metadata.json").mkdir()
    other = session().write(inside / "s.jsonl")
    for log in (path, other):
        reading = ClaudeCode().read(log)
        assert not any("kept" in message.signals for found in reading.sessions for message in found.messages)


ODD: Any = st.none() | st.integers() | st.text(max_size=4) | st.just([]) | st.just([{"old_string": 1}]) | st.just({})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["src/a.py", "/x/b.py", "\\b.py"]), st.sampled_from(["content", "edits"]), ODD)),
    st.dictionaries(st.sampled_from(list(record())), ODD),
)
def test_whatever_edits_and_records_hold_nothing_fails(tmp_path: Path, edits: list[Any], meta: dict[str, Any]) -> None:
    log = Log()
    log.human("Go.")
    for n, (file, key, odd) in enumerate(edits):
        log.agent(f"m{n}", call(f"t{n}", "Write", file_path=file, **{key: odd}))
        log.human([result(f"t{n}")])
    kept(tmp_path, log, record() | meta)


def stream(*lines: dict[str, Any]) -> list[str]:
    return [json.dumps({"session_id": "s", **line}) for line in lines]


INIT = {"type": "system", "subtype": "init", "uuid": "u0", "tools": [], "model": "claude-x"}
ANSWER = {
    "type": "assistant",
    "uuid": "u1",
    "message": {"id": "m1", "role": "assistant", "content": [text("It is fine.")]},
}
ASKED = {"type": "user", "uuid": "u2", "message": {"role": "user", "content": "Is it fine?"}}
END = {"type": "result", "subtype": "success", "is_error": False, "result": "It is fine.", "uuid": "u3"}


def answers(folder: Path, *lines: dict[str, Any]) -> list[Message]:
    path = folder / "stream.jsonl"
    path.write_text("\n".join(stream(*lines)))
    reading = ClaudeCode().read(path)
    adds_up(reading)
    return [message for session in reading.sessions for message in session.messages if message.origin == "agent"]


def test_a_stream_need_not_hold_the_prompt_that_is_answered(tmp_path: Path) -> None:
    assert [message.signals for message in answers(tmp_path, INIT, ANSWER, END)] == [("unreadable",)]
    assert [message.signals for message in answers(tmp_path, INIT, ASKED, ANSWER, END)] == [()]
    assert [message.signals for message in answers(tmp_path, ASKED, INIT, ANSWER, END)] == [()]


@pytest.mark.parametrize(
    ("content", "signals"),
    [
        ("Exit code 1\nboom", ("tool_error",)),
        ("Exit code 127", ("tool_error",)),
        ("Exit code 0\nfine", ()),
        ("<tool_use_error>File has not been read yet.</tool_use_error>", ("tool_error",)),
        ("     1\tExit code 1", ()),
    ],
)
def test_errors_are_told_by_their_words_where_no_flag_says_so(tmp_path: Path, content: str, signals: Any) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"))
    log.human([{"type": "tool_result", "tool_use_id": "t1", "content": content}])
    (session,) = log.read(tmp_path).sessions
    assert session.messages[1].signals == signals
