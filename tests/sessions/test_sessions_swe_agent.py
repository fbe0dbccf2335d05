"""SWE-agent's trajectories: with and without tool calls, demonstrations, terminal bytes, how a run ended."""

import json
from pathlib import Path
from typing import Any

from claude_log import adds_up

from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.sessions.swe_agent import SweAgent

ISSUE = "We're solving an issue.\nISSUE:\nIt  crashes\r\non start.\n\nINSTRUCTIONS:\nUse {}."


def message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "agent": "main", **more}


def called(id_: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


NEW = [
    message("system", "SETTING: ...", message_type="system_prompt"),
    message("user", ISSUE.format("tools"), message_type="observation"),
    message("assistant", "Look.", tool_calls=[called("c1", "open", path="a.py")], message_type="action"),
    message("tool", "1:\x1b[31mred\x1b[0m\r\n2:\x07x\r\r\n", tool_call_ids=["c1"], message_type="observation"),
    message("assistant", "Done.", tool_calls=[called("c2", "submit")], message_type="action"),
    message("tool", "diff", tool_call_ids=["c2"]),
]
OLD = [
    message("system", "SETTING: ..."),
    message("user", "--- DEMONSTRATION ---", is_demo=True),
    message("user", ISSUE.format("blocks")),
    message("assistant", "Look.\n\n```\nopen a.py\n```", thought="Look.", action="open a.py\n"),
    message("user", "Your proposed edit has introduced new syntax error(s).\r\nbash-$"),
    message("assistant", "Again.\n\n```\nsubmit\n```"),
]


def run(history: list[Any], **more: Any) -> dict[str, Any]:
    return {"environment": "main", "trajectory": [], "history": history, "info": {"exit_status": "submitted"}, **more}


def read(folder: Path, content: bytes | dict[str, Any], name: str = "task-1.traj") -> FileReading:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    reader = reader_of(path)
    assert isinstance(reader, SweAgent)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def test_a_history_with_tool_calls(tmp_path: Path) -> None:
    config = {"agent": {"model": {"name": "anthropic/claude-x"}}}
    reading = read(tmp_path, run(NEW, replay_config=json.dumps(config)))
    (session,) = reading.sessions
    assert [(m.role, m.origin) for m in session.messages] == [
        ("system", "system"),
        ("user", "human"),
        ("assistant", "agent"),
        ("tool", "tool"),
        ("assistant", "agent"),
        ("tool", "tool"),
    ]
    assert session.messages[2].tool_calls[0].arguments == {"path": "a.py"}
    assert session.messages[3].content == "1:red\n2:x\n"
    assert (session.id, session.model, session.provider) == ("task-1", "anthropic/claude-x", "anthropic")
    assert (reading.lines.total, reading.lines.used) == (6, 6)


def test_a_history_without_tool_calls_keeps_the_agents_own_notation(tmp_path: Path) -> None:
    reading = read(tmp_path, run(OLD))
    (session,) = reading.sessions
    assert [(m.role, m.origin) for m in session.messages] == [
        ("system", "system"),
        ("user", "human"),
        ("assistant", "agent"),
        ("user", "tool"),
        ("assistant", "agent"),
    ]
    assert session.messages[2].content == "Look.\n\n```\nopen a.py\n```"
    assert session.messages[2].signals == ("tool_error",)
    assert session.messages[3].content == "Your proposed edit has introduced new syntax error(s).\nbash-$"
    assert reading.lines.noise == {"demonstration": 1}


def test_submitted_is_no_success(tmp_path: Path) -> None:
    assert read(tmp_path, run(NEW)).sessions[0].reward is None


def test_runs_of_one_task_share_a_lineage_whatever_the_prompt_around_it(tmp_path: Path) -> None:
    other = [*OLD[:2], message("user", OLD[2]["content"].replace("crashes", "hangs")), *OLD[3:]]
    new, old, third = (read(tmp_path, run(history)).sessions[0].lineage for history in (NEW, OLD, other))
    assert new == old != third


def test_one_agent_is_kept(tmp_path: Path) -> None:
    reviewed = [*NEW, {"role": "assistant", "content": "I choose the first.", "agent": "chooser"}]
    reading = read(tmp_path, run(reviewed))
    assert len(reading.sessions[0].messages) == 6
    assert reading.lines.noise == {"another agent": 1}


def test_one_observation_may_answer_two_calls(tmp_path: Path) -> None:
    both = message("assistant", "", tool_calls=[called("a", "open"), called("b", "open")])
    (session,) = read(tmp_path, run([*NEW[:2], both, message("tool", "ok", tool_call_ids=["a", "b"])])).sessions
    assert [m.tool_call_id for m in session.messages[-2:]] == ["a", "b"]


def test_of_a_cut_file_the_messages_before_the_cut_are_read(tmp_path: Path) -> None:
    whole = json.dumps({"history": NEW, "info": {}}, indent=1).encode()
    reading = read(tmp_path, whole[: whole.index(b"Done.")])
    assert [m.role for m in reading.sessions[0].messages] == ["system", "user", "assistant", "tool"]
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(5, "cut in the middle")]


def test_a_bad_message_ends_the_session(tmp_path: Path) -> None:
    reading = read(tmp_path, run([*NEW[:4], message("tool", "?", tool_call_ids=["c9"]), *NEW[4:]]))
    assert len(reading.sessions[0].messages) == 4
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(5, "a tool result without its call")]
    assert reading.lines.noise == {"after a bad message": 2}
