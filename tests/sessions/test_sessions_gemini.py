"""Gemini CLI chats: whole-file JSON, and records a line with updates, checkpoints and rewinds."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up

from locum.sessions.gemini_cli import GeminiCLI
from locum.sessions.gemini_messages import HARNESS_PREFIXES
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Message, Session

Record = dict[str, Any]
METADATA: Record = {"sessionId": "s-1", "projectHash": "ab12", "startTime": "2026-03-01T10:00:00.000Z"}


def user(id_: str, content: Any, **fields: Any) -> Record:
    return {"id": id_, "timestamp": "2026-03-01T10:00:01.000Z", "type": "user", "content": content, **fields}


def gemini(id_: str, content: Any, *calls: Record, **fields: Any) -> Record:
    record = {"id": id_, "timestamp": "2026-03-01T10:00:02.000Z", "type": "gemini", "content": content}
    record |= {"model": "gemini-2.5-pro", "thoughts": [{"subject": "Hm", "description": "hm"}], **fields}
    return {**record, "toolCalls": list(calls)} if calls else record


def call(id_: str, response: Any = None, status: str = "success", **fields: Any) -> Record:
    made: Record = {"id": id_, "name": "run_shell_command", "args": {"command": "ls"}, "status": status}
    if response is not None:
        made["result"] = [{"functionResponse": {"id": id_, "name": "run_shell_command", "response": response}}]
    return {**made, **fields}


def shown(kind: str, text: str) -> Record:
    return {"id": f"{kind}-{text}", "timestamp": "2026-03-01T10:00:03.000Z", "type": kind, "content": text}


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert isinstance(reader, GeminiCLI)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def whole(folder: Path, *messages: Any, indent: int | None = 2, **metadata: Any) -> FileReading:
    path = folder / "session.json"
    path.write_text(json.dumps({**METADATA, **metadata, "messages": list(messages)}, indent=indent))
    reading = read(path)
    assert reading.lines.total == len(messages)
    return reading


def lines(folder: Path, *records: Record | str, **metadata: Any) -> FileReading:
    path = folder / "session.jsonl"
    texts = [
        record if isinstance(record, str) else json.dumps(record) for record in ({**METADATA, **metadata}, *records)
    ]
    path.write_text("\n".join(texts) + "\n")
    reading = read(path)
    assert reading.lines.total == len(texts)
    return reading


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def shape(session: Session) -> list[tuple[str, str]]:
    return [(message.origin, message.content) for message in session.messages]


@pytest.mark.parametrize("form", [whole, lines])
def test_call_and_result_of_one_message_become_two(tmp_path: Path, form: Any) -> None:
    reading = form(
        tmp_path,
        user("u1", "List it."),
        gemini("g1", "", call("c1", {"output": "a.txt"}), call("c2", {"error": "no such file"}, "error")),
        shown("info", "Tip of the day"),
        gemini("g2", "There is a.txt."),
    )
    session = only(reading)
    assert shape(session) == [
        ("human", "List it."),
        ("agent", ""),
        ("tool", "a.txt"),
        ("tool", "no such file"),
        ("agent", "There is a.txt."),
    ]
    first, second = turns(session)
    assert [(c.id, c.name, c.arguments) for c in first.tool_calls] == [
        ("c1", "run_shell_command", {"command": "ls"}),
        ("c2", "run_shell_command", {"command": "ls"}),
    ]
    assert (first.id, first.signals, second.signals) == ("g1", ("tool_error",), ())
    assert (session.id, session.lineage, session.provider, session.model, session.started) == (
        "s-1",
        "s-1",
        "google",
        "gemini-2.5-pro",
        "2026-03-01T10:00:01.000Z",
    )
    assert reading.lines.noise["info"] == 1


@pytest.mark.parametrize(
    ("made", "signal"),
    [
        (call("c1", {"output": "Command: ls\nOutput: x\nExit Code: 0"}), None),
        (call("c1", {"output": "Command: ls\nOutput: x\nExit Code: 127\nSignal: (none)"}), "tool_error"),
        (call("c1", {"error": "boom"}), "tool_error"),
        (call("c1", {"error": "[Operation Cancelled] Reason: User cancelled."}, "cancelled"), "interrupted"),
        (call("c1", {"error": "User did not allow tool call"}, "cancelled"), "rejected"),
        (call("c1", None, "error", resultDisplay="File not found"), "tool_error"),
        (call("c1", {"content": [{"a": 1}]}), None),
    ],
)
def test_what_a_status_and_a_result_say(tmp_path: Path, made: Record, signal: str | None) -> None:
    session = only(whole(tmp_path, user("u1", "Go."), gemini("g1", "On it.", made), gemini("g2", "Hm.")))
    assert [m.signals for m in turns(session)] == [((signal,) if signal else ()), ()]
    assert session.messages[2].role == "tool"
    assert session.messages[2].content


def test_a_call_that_never_ran_has_no_result(tmp_path: Path) -> None:
    session = only(whole(tmp_path, user("u1", "Go."), gemini("g1", "", call("c1", None, "awaiting_approval"))))
    assert [m.role for m in session.messages] == ["user", "assistant"]


def test_parts_beside_the_response_and_parts_that_are_no_text(tmp_path: Path) -> None:
    made = call("c1", {"output": "Binary content provided."})
    made["result"].append({"inlineData": {"mimeType": "image/png", "data": "aGk="}})
    session = only(
        whole(tmp_path, user("u1", ["Look at ", {"text": "this"}]), gemini("g1", "", made), gemini("g2", "A"))
    )
    assert session.messages[0].content == "Look at this"
    assert session.messages[2].content == "Binary content provided.\n[image]"
    assert [m.signals for m in turns(session)] == [(), ("unreadable",)]


def test_calls_in_parts_count_once(tmp_path: Path) -> None:
    parts = [
        {"text": "thinking", "thought": True},
        {"text": "On it."},
        {"functionCall": {"id": "c1", "name": "run_shell_command", "args": {"command": "ls"}}},
        {"functionCall": {"id": "c2", "name": "read_file", "args": {"path": "a"}}},
    ]
    answer = [{"functionResponse": {"id": "c2", "name": "read_file", "response": {"output": "text of a"}}}]
    session = only(
        whole(tmp_path, user("u1", "Go."), gemini("g1", parts, call("c1", {"output": "a"})), user("u2", answer))
    )
    (turn,) = turns(session)
    assert (turn.content, [c.id for c in turn.tool_calls]) == ("On it.", ["c1", "c2"])
    assert [m.content for m in session.messages if m.role == "tool"] == ["a", "text of a"]


@pytest.mark.parametrize("prefix", HARNESS_PREFIXES)
def test_what_the_client_writes_under_the_users_role_is_not_human(tmp_path: Path, prefix: str) -> None:
    session = only(whole(tmp_path, user("u1", f"{prefix} more"), gemini("g1", "Yes.")))
    assert session.messages[0].origin == "harness"


def test_files_that_were_put_in_stand_apart_from_what_was_typed(tmp_path: Path) -> None:
    expanded = ["Explain @a.py", "\n--- Content from referenced files ---", "\nContent from @a.py:\n", "x = 1"]
    session = only(whole(tmp_path, user("u1", expanded, displayContent="Explain @a.py"), gemini("g1", "It sets x.")))
    assert session.messages[-2].origin == "human"
    assert session.messages[-2].content == "Explain @a.py"
    assert session.messages[0].origin == "harness"
    assert "x = 1" in session.messages[0].content
    session = only(whole(tmp_path, user("u1", expanded), gemini("g1", "It sets x.")))
    assert [m.content for m in session.messages if m.origin == "human"] == ["Explain @a.py"]
    one = "Explain @a.py\n--- Content from referenced files ---\nx = 1"
    session = only(whole(tmp_path, user("u1", one), gemini("g1", "It sets x.")))
    assert shape(session)[:2] == [
        ("harness", "--- Content from referenced files ---\nx = 1"),
        ("human", "Explain @a.py"),
    ]


def test_a_cancelled_request_interrupts(tmp_path: Path) -> None:
    reading = whole(
        tmp_path,
        user("u1", "Go."),
        gemini("g1", "I was"),
        shown("info", "Request cancelled."),
        user("u2", "No, stop."),
        {**shown("info", "Request cancelled."), "id": "i2"},
        shown("error", "[API Error: quota]"),
        gemini("g2", "Yes."),
    )
    assert [m.signals for m in turns(only(reading))] == [("interrupted", "corrected"), ()]
    assert reading.lines.noise == {"Request cancelled.": 1, "error": 1}


def test_the_last_record_of_an_id_counts(tmp_path: Path) -> None:
    reading = lines(
        tmp_path,
        user("u1", "Go."),
        gemini("g1", "On it."),
        gemini("g1", "On it.", call("c1", None, "executing")),
        gemini("g1", "On it.", call("c1", {"output": "a.txt"})),
        {"$set": {"lastUpdated": "2026-03-01T10:05:00.000Z", "summary": "Listing"}},
        gemini("g2", "Done."),
    )
    assert [m.content for m in only(reading).messages] == ["Go.", "On it.", "a.txt", "Done."]
    assert reading.lines.noise == {"$set": 1, "metadata": 1, "updated": 2}
    assert reading.lines.used == 3


def test_a_rewind_takes_back_what_follows(tmp_path: Path) -> None:
    reading = lines(
        tmp_path,
        user("u1", "One."),
        gemini("g1", "First."),
        user("u2", "Two."),
        gemini("g2", "Second."),
        {"$rewindTo": "u2"},
        user("u3", "Other."),
        gemini("g3", "Third."),
        {"$rewindTo": "unknown"},
        user("u4", "Anew."),
        gemini("g4", "Fourth."),
    )
    assert [(m.content, m.signals) for m in turns(only(reading))] == [
        ("First.", ("rewound",)),
        ("Second.", ("rewound",)),
        ("Third.", ("rewound",)),
        ("Fourth.", ()),
    ]
    assert reading.lines.noise["$rewindTo"] == 2


def test_a_checkpoint_of_the_history_begins_a_new_window(tmp_path: Path) -> None:
    history = [user("x1", "<state_snapshot>All was done."), gemini("x2", "Got it."), gemini("g1", "First.")]
    reading = lines(
        tmp_path,
        user("u1", "One."),
        gemini("g1", "First, at length."),
        {"$set": {"messages": history}},
        user("u2", "Two."),
        gemini("g2", "Second."),
        {"$set": {"messages": []}},
    )
    first, second = reading.sessions
    assert (first.id, second.id, second.lineage) == ("s-1", "s-1#2", "s-1")
    assert [m.content for m in turns(first)] == ["First, at length."]
    assert shape(second) == [
        ("harness", "<state_snapshot>All was done."),
        ("harness", "Got it."),
        ("harness", "First."),
        ("human", "Two."),
        ("agent", "Second."),
    ]


def test_a_checkpoint_before_anything_was_said_is_what_was_said(tmp_path: Path) -> None:
    reading = lines(tmp_path, {"$set": {"messages": [user("u1", "One."), gemini("g1", "First.")]}})
    assert shape(only(reading)) == [("human", "One."), ("agent", "First.")]


def test_a_sub_agent_belongs_to_the_session_that_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "chats" / "parent-1"
    folder.mkdir(parents=True)
    session = only(lines(folder, user("u1", "Look into it."), gemini("g1", "Done."), kind="subagent"))
    assert (session.id, session.lineage) == ("s-1", "parent-1")
    assert session.messages[0].origin == "harness"


@pytest.mark.parametrize("indent", [None, 2])
def test_of_a_cut_file_the_messages_before_the_cut_are_read(tmp_path: Path, indent: int | None) -> None:
    messages = [user("u1", "One."), gemini("g1", "First."), user("u2", "Two."), gemini("g2", "Second.")]
    text = json.dumps({**METADATA, "directories": ["/a", "/b"], "messages": messages}, indent=indent)
    path = tmp_path / "session.json"
    path.write_text(text[: text.index('"Second.')])
    reading = read(path)
    assert shape(only(reading)) == [("human", "One."), ("agent", "First."), ("human", "Two.")]
    assert only(reading).id == "s-1"
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(4, "cut in the middle")]


def test_an_old_chat_on_one_line_may_be_continued_below(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    old = json.dumps({**METADATA, "messages": [user("u1", "One."), gemini("g1", "First.")]})
    path.write_text("\n".join([old, json.dumps(user("u2", "Two.")), json.dumps(gemini("g2", "Second."))]))
    reading = read(path)
    assert [m.content for m in turns(only(reading))] == ["First.", "Second."]
    assert (reading.lines.total, reading.lines.used) == (3, 3)


def test_odd_messages_are_named_or_bad_and_stop_nothing(tmp_path: Path) -> None:
    odd = [
        7,
        None,
        {"id": "x", "type": "quantum", "content": ""},
        {"id": "y"},
        gemini("b1", 5.5),
        gemini("b2", "", {"id": "c"}),
        gemini("b3", "", call("c1", args=[1])),
        {"type": "user", "content": "Without an id."},
        gemini("", ""),
    ]
    reading = whole(tmp_path, user("u1", "Go."), *odd, gemini("g1", "Yes."))
    assert [bad.line for bad in reading.lines.bad] == [2, 3, 6, 7, 8]
    assert reading.lines.unknown == {"(no type)": 1, "quantum": 1}
    assert reading.lines.noise == {"empty": 1}
    assert shape(only(reading)) == [("human", "Go."), ("human", "Without an id."), ("agent", "Yes.")]


def test_odd_lines_are_bad_or_named_and_stop_nothing(tmp_path: Path) -> None:
    reading = lines(tmp_path, user("u1", "Go."), "[1]", "", '{"a": 1}', gemini("g1", "Yes."), '{"id": "g2", "ty')
    assert [bad.line for bad in reading.lines.bad] == [3, 7]
    assert reading.lines.unknown == {"(no type)": 1}
    assert len(turns(only(reading))) == 1


def test_a_chat_without_times_or_an_answer(tmp_path: Path) -> None:
    assert whole(tmp_path, user("u1", "Hello?")).lines.noise == {"unanswered": 1}
    assert whole(tmp_path).sessions == ()
    assert only(whole(tmp_path, {"id": "g", "type": "gemini", "content": "Hi"}, startTime=None)).started is None


def test_a_text_with_brackets_before_the_messages_hides_nothing(tmp_path: Path) -> None:
    reading = whole(
        tmp_path, user("u1", "Go."), gemini("g1", "Yes."), summary='A "list": [1] and {x}', lastUpdated=None
    )
    assert len(turns(only(reading))) == 1
