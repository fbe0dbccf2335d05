"""Claude Code: lines merged to messages, results paired, signals, and who wrote what."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import IMAGE, Log, call, result, text, thinking

from locum.sessions.claude_code.texts import HARNESS_PREFIXES
from locum.types import Message, Session


def only(sessions: tuple[Session, ...]) -> Session:
    assert len(sessions) == 1
    return sessions[0]


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def shape(session: Session) -> list[tuple[str, str]]:
    return [(message.origin, message.content) for message in session.messages]


def test_lines_of_one_message_are_merged_around_what_stands_between(tmp_path: Path) -> None:
    log = Log()
    log.human("List both folders.")
    log.agent("m1", thinking())
    log.agent("m1", text("Both at once."))
    first = log.agent("m1", call("t1", command="ls a"))
    log.human([result("t1", "a.txt")], parentUuid=first)
    log.add("progress", data={"type": "hook_progress"})
    log.agent("m1", call("t2", command="ls b"), parentUuid=first)
    log.human([result("t2", "b.txt")])
    log.agent("m2", text("Done."))
    reading = log.read(tmp_path)

    session = only(reading.sessions)
    assert [m.role for m in session.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    merged = session.messages[1]
    assert (merged.id, merged.content) == ("m1", "Both at once.")
    assert [(c.id, c.arguments) for c in merged.tool_calls] == [
        ("t1", {"command": "ls a"}),
        ("t2", {"command": "ls b"}),
    ]
    assert [(m.tool_call_id, m.content, m.tool_name) for m in session.messages[2:4]] == [
        ("t1", "a.txt", "Bash"),
        ("t2", "b.txt", "Bash"),
    ]
    assert (session.id, session.lineage, session.model, session.provider) == (
        "s-1",
        "s-1",
        "claude-opus-4-5",
        "anthropic",
    )
    assert session.started == "2026-03-01T10:00:01.000Z"
    assert reading.lines.used == 7
    assert reading.lines.noise == {"progress": 1, "thinking": 1}


def test_results_come_in_the_order_of_the_calls_and_pair_by_id(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"), call("t2"), call("t3"))
    log.human([result("t2", "two")])
    log.human([result("t1", "one"), result("t2", "two again")])
    log.human([result("t9", "whose?")])
    reading = log.read(tmp_path)
    messages = only(reading.sessions).messages
    assert [(m.tool_call_id, m.content) for m in messages[2:]] == [("t1", "one"), ("t2", "two")]
    assert len(messages[1].tool_calls) == 3  # the call without a result stays
    assert reading.lines.noise == {"result without its call": 1}


def test_a_result_counts_where_its_call_is_even_written_before_it(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.human([result("t1", "early")])
    log.agent("m1", call("t1"))
    assert only(log.read(tmp_path).sessions).messages[-1].content == "early"


@pytest.mark.parametrize(
    ("content", "error", "signal"),
    [
        ("<tool_use_error>File has not been read yet.</tool_use_error>", True, "tool_error"),
        ("Exit code 1\nmake: no rule", True, "tool_error"),
        ("The user doesn't want to proceed with this tool use. STOP what you are doing", True, "rejected"),
        ("[Request interrupted by user for tool use]", True, "interrupted"),
        ("ok", False, None),
    ],
)
def test_what_a_result_says_about_the_message_that_called(
    tmp_path: Path, content: str, error: bool, signal: str | None
) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"))
    log.human([result("t1", content, error)])
    log.agent("m2", text("Hm."))
    first, second = turns(only(log.read(tmp_path).sessions))
    assert first.signals == ((signal,) if signal else ())
    assert second.signals == ()


def test_a_run_that_the_human_stopped_interrupts_the_message(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"))
    log.human([result("t1", "half")], toolUseResult={"stdout": "half", "interrupted": True})
    log.agent("m2", text("I was about to"))
    log.human([text("[Request interrupted by user]")])
    log.human("Use the other one.")
    reading = log.read(tmp_path)
    session = only(reading.sessions)
    assert [m.signals for m in turns(session)] == [("interrupted",), ("interrupted",)]
    assert [m.content for m in session.messages if m.role == "user"] == ["Go.", "Use the other one."]
    assert reading.lines.used == 6


def test_client_texts_under_the_agents_role_are_marked(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", text("No response requested."), model="<synthetic>")
    log.human("Again.")
    log.agent("m2", text("API Error: 500"), model="<synthetic>", isApiErrorMessage=True)
    log.human("Again!")
    log.agent("m3", text("Yes."))
    session = only(log.read(tmp_path).sessions)
    assert [m.signals for m in turns(session)] == [("synthetic",), ("api_error", "synthetic"), ()]
    assert session.model == "claude-opus-4-5"


@pytest.mark.parametrize(
    ("reason", "signals"),
    [
        ("max_tokens", ("truncated",)),
        ("model_context_window_exceeded", ("truncated",)),
        ("refusal", ("interrupted",)),
        ("end_turn", ()),
        (None, ()),
    ],
)
def test_an_answer_that_ended_early_is_marked(tmp_path: Path, reason: str | None, signals: tuple[str, ...]) -> None:
    log = Log()
    log.human("Go.")
    message = {"id": "m1", "role": "assistant", "content": [text("and so")], "stop_reason": reason}
    log.add("assistant", message=message)
    assert turns(only(log.read(tmp_path).sessions))[0].signals == signals


def test_what_is_no_text_makes_the_next_answer_unreadable(tmp_path: Path) -> None:
    log = Log()
    log.human([text("What is this?"), IMAGE])
    log.agent("m1", text("A cat."))
    log.human("And the screen?")
    log.agent("m2", call("t1"))
    log.human([result("t1", [text("shot"), IMAGE])])
    log.agent("m3", text("A dog."))
    log.human("Long output?")
    log.agent("m4", call("t2"))
    log.human([result("t2", "<persisted-output>\nOutput too large. Saved to: /x")])
    log.agent("m5", text("A file."))
    log.add("attachment", attachment={"type": "file", "filename": "/x"})
    log.human("And this file?")
    log.agent("m6", text("A text."))
    log.agent("m7", text("Plain."))
    reading = log.read(tmp_path)
    session = only(reading.sessions)
    assert [m.id for m in turns(session) if "unreadable" in m.signals] == ["m1", "m3", "m5", "m6"]
    assert session.messages[0].content == "What is this?\n\n[image]"
    assert "shot\n[image]" in [m.content for m in session.messages]
    assert reading.lines.noise == {"attachment: file": 1}


@pytest.mark.parametrize("prefix", HARNESS_PREFIXES)
def test_harness_text_is_no_human_text(tmp_path: Path, prefix: str) -> None:
    log = Log()
    log.human(f"\n{prefix} and so on")
    log.agent("m1", text("Fine."))
    session = only(log.read(tmp_path).sessions)
    assert session.messages[0].origin == "harness"


def test_lines_that_say_so_are_harness_text(tmp_path: Path) -> None:
    log = Log()
    log.human("The body of a skill.", isMeta=True)
    log.human("A notice.", origin={"kind": "task-notification"})
    log.human("Typed.", origin={"kind": "human"})
    log.agent("m1", text("Fine."))
    session = only(log.read(tmp_path).sessions)
    assert [m.origin for m in session.messages] == ["harness", "harness", "human", "agent"]


def test_reminders_are_cut_out_of_human_text_and_results(tmp_path: Path) -> None:
    reminder = "<system-reminder>\nThe date is secret.\n</system-reminder>"
    in_file = "code = '<system-reminder>kept</system-reminder>'"
    log = Log()
    log.human([text(reminder), text("Read it." + reminder), text("<ide_selection>x</ide_selection>")])
    log.agent("m1", call("t1"))
    log.human([result("t1", f"  1 line\n{in_file}\n\n{reminder}\n")])
    log.human([text(reminder)])
    log.agent("m2", text("Read."))
    reading = log.read(tmp_path)
    assert shape(only(reading.sessions)) == [
        ("human", "Read it."),
        ("agent", ""),
        ("tool", f"  1 line\n{in_file}"),
        ("agent", "Read."),
    ]
    assert reading.lines.noise == {"reminder": 1}


def test_text_typed_while_the_agent_works_is_human_once(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"))
    queue: dict[str, Any] = {"uuid": None, "parentUuid": None}
    log.add("queue-operation", operation="enqueue", content="And the tests.", **queue)
    log.add("queue-operation", operation="remove", content="And the tests.", **queue)
    log.add("queue-operation", operation="remove", content="And the docs.", **queue)
    log.human([result("t1")])
    log.add("attachment", attachment={"type": "queued_command", "prompt": "And the docs."})
    log.add(
        "attachment",
        attachment={"type": "queued_command", "prompt": "A timer.", "commandMode": "task-notification"},
    )
    log.agent("m2", text("Both."))
    reading = log.read(tmp_path)
    session = only(reading.sessions)
    human = [m.content for m in session.messages if m.origin == "human"]
    assert human == ["Go.", "And the tests.", "And the docs."]
    assert [m.content for m in session.messages if m.origin == "harness"] == ["A timer."]
    assert [m.role for m in session.messages[1:3]] == ["assistant", "tool"]
    assert reading.lines.noise == {"queue-operation": 2}


@pytest.mark.parametrize(
    "correction",
    [
        "no, the other file",
        "No. Use tabs.",
        "Wrong, it is line 3",
        "that's not what I wanted",
        "That is wrong",
        "you are not correct: look again",
        "You should have run the tests",
        "undo that",
        "Revert the last change",
        "I meant the staging server",
        "stop",
        "Stop changing the tests",
        "ok. uh. no. it is another commit",
    ],
)
def test_a_correction_marks_the_last_message_before_it(tmp_path: Path, correction: str) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", text("First."))
    log.agent("m2", text("Second."))
    log.human("<command-name>/status</command-name>")
    log.human(correction)
    log.agent("m3", text("Sorry."))
    session = only(log.read(tmp_path).sessions)
    assert [m.signals for m in turns(session)] == [(), ("corrected",), ()]


@pytest.mark.parametrize(
    "message",
    [
        "no, then it's good",
        "No, that's fine",
        "no worries, go on",
        "Now run the tests",
        "nothing else",
        "stop the server and start it again",
        "not sure; what do you think?",
        "undocumented, isn't it?",
        "Notify me",
        "thanks. that's not urgent",
        "yes",
    ],
)
def test_other_messages_are_no_corrections(tmp_path: Path, message: str) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", text("First."))
    log.human(message)
    log.agent("m2", text("Second."))
    assert [m.signals for m in turns(only(log.read(tmp_path).sessions))] == [(), ()]


def test_every_line_that_is_not_used_has_its_kind_or_its_reason(tmp_path: Path) -> None:
    log = Log()
    log.raw(json.dumps({"type": "summary", "summary": "Another session", "leafUuid": "x"}))
    log.raw(json.dumps({"type": "file-history-snapshot", "messageId": "x", "snapshot": {}}))
    log.human("Go.")
    log.human("Go.", uuid="s-1-u3", parentUuid=None)
    log.add("system", subtype="turn_duration", durationMs=3)
    log.add("system", subtype="brand_new")
    log.add("hologram", payload=1)
    log.agent("m1", {"type": "hum"}, text("Yes."))
    log.raw("")
    log.raw('"just text"')
    log.raw('{"type": "user", "uuid": "q", "message": "error"}')
    log.raw('{"type": "user", "uuid": "q"}')
    log.raw('{"type": "user", "uuid": "r", "message": {"content": "c"')
    reading = log.read(tmp_path)
    session = only(reading.sessions)
    assert shape(session) == [("human", "Go."), ("agent", "Yes.")]
    assert turns(session)[0].signals == ("unreadable",)
    lines = reading.lines
    assert (lines.total, lines.used) == (13, 1)
    assert lines.noise == {
        "blank": 1,
        "copy": 1,
        "file-history-snapshot": 1,
        "summary": 1,
        "system: turn_duration": 1,
    }
    assert lines.unknown == {"assistant block: hum": 1, "hologram": 1, "system: brand_new": 1}
    assert [bad.line for bad in lines.bad] == [10, 11, 12, 13]
    assert lines.bad[-1].reason == "cut in the middle"


def test_two_records_on_one_line_are_both_read(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", text("Yes ä."))
    log.lines[-1] += json.dumps({"type": "summary", "summary": "x", "leafUuid": "y"})
    reading = log.read(tmp_path)
    assert shape(only(reading.sessions)) == [("human", "Go."), ("agent", "Yes ä.")]
    assert (reading.lines.total, reading.lines.used) == (2, 2)


def test_half_of_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", text("cut here: \ud83d"))  # json.dumps writes the lone half as an escape
    log.agent("m2", text("whole: \U0001f600, and \\ud83d as text"))
    assert [m.content for m in turns(only(log.read(tmp_path).sessions))] == [
        "cut here: �",
        "whole: \U0001f600, and \\ud83d as text",
    ]


def test_the_stream_that_a_headless_run_prints(tmp_path: Path) -> None:
    common = {"session_id": "s-9"}
    lines: list[dict[str, Any]] = [
        {"type": "system", "subtype": "init", "tools": ["Bash"], "model": "claude-x", **common},
        {"type": "stream_event", "event": {}, **common},
        {
            "type": "assistant",
            "message": {
                "id": "m1",
                "role": "assistant",
                "model": "claude-x",
                "content": [call("t1", "Task")],
            },
            "parent_tool_use_id": None,
            **common,
        },
        {
            "type": "user",
            "message": {"role": "user", "content": [text("Look around.")]},
            "parent_tool_use_id": "t1",
            **common,
        },
        {
            "type": "assistant",
            "message": {
                "id": "m2",
                "role": "assistant",
                "model": "claude-x",
                "content": [text("Nothing here.")],
            },
            "parent_tool_use_id": "t1",
            **common,
        },
        {
            "type": "user",
            "message": {"role": "user", "content": [result("t1", "Nothing here.")]},
            "parent_tool_use_id": None,
            **common,
        },
        {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "result": "", **common},
    ]
    log = Log("s-9")
    log.lines = [json.dumps(line) for line in lines]
    reading = log.read(tmp_path)
    main, below = reading.sessions
    assert (main.id, main.lineage) == ("s-9", "s-9")
    assert [m.role for m in main.messages] == ["assistant", "tool"]
    assert (below.id, below.lineage) == ("s-9/t1", "s-9")
    assert shape(below) == [("harness", "Look around."), ("agent", "Nothing here.")]
    assert reading.lines.noise == {"result": 1, "stream_event": 1, "system: init": 1}
