"""Claude Code: rewinds, compaction, sub-agents, copies of the history, several sessions in a file."""

import json
from pathlib import Path

import pytest
from claude_log import Log, call, result, text

from locum.types import Session


def said(session: Session) -> list[tuple[str, str]]:
    return [(message.origin, message.content) for message in session.messages]


def test_a_rewind_leaves_the_abandoned_branch_as_a_session_of_its_own(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    fork = log.agent("m1", text("Going."))
    log.human("Turn left.")
    log.agent("m2", call("t1"))
    log.human([result("t1", "a wall", error=True)])
    log.agent("m3", text("A wall."))
    log.human("Turn right.", parentUuid=fork)
    log.agent("m4", text("A door."))
    log.add("system", subtype="turn_duration", parentUuid="not in this file")
    log.human("Open it.")
    log.agent("m5", text("Open."))
    reading = log.read(tmp_path)
    kept, abandoned = reading.sessions
    assert (kept.id, abandoned.id, abandoned.lineage) == ("s-1", "s-1~1", "s-1")
    assert said(kept) == [
        ("human", "Go."),
        ("agent", "Going."),
        ("human", "Turn right."),
        ("agent", "A door."),
        ("human", "Open it."),
        ("agent", "Open."),
    ]
    assert said(abandoned) == [
        ("human", "Go."),
        ("harness", "Going."),  # the kept branch's turn: context here
        ("human", "Turn left."),
        ("agent", ""),
        ("tool", "a wall"),
        ("agent", "A wall."),
    ]
    assert [m.signals for m in abandoned.messages if m.origin == "agent"] == [
        ("tool_error", "rewound"),
        ("rewound",),
    ]
    assert not any("rewound" in m.signals for m in kept.messages)
    assert reading.lines.used == 10


def test_a_rewind_within_an_abandoned_branch_is_told_apart(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    outer = log.agent("m1", text("1"))
    log.human("A")
    inner = log.agent("m2", text("2"))
    log.human("A1")
    log.agent("m3", text("3"))
    log.human("A2", parentUuid=inner)
    log.agent("m4", text("4"))
    log.human("B", parentUuid=outer)
    log.agent("m5", text("5"))
    kept, first, second = log.read(tmp_path).sessions
    assert [m.content for m in kept.messages] == ["Go.", "1", "B", "5"]
    assert [m.content for m in first.messages] == ["Go.", "1", "A", "2", "A2", "4"]
    assert [m.content for m in second.messages] == ["Go.", "1", "A", "2", "A1", "3"]
    own = [[m.content for m in s.messages if m.origin == "agent"] for s in (kept, first, second)]
    assert own == [["1", "5"], ["2", "4"], ["3"]]  # every turn once


def test_the_branch_written_last_is_the_one_that_was_kept(tmp_path: Path) -> None:
    log = Log()
    fork = log.human("Go.")
    log.human("A")
    end = log.agent("m1", text("1"))
    log.human("B", parentUuid=fork)
    log.agent("m2", text("2"))
    log.human("A again", parentUuid=end)
    log.agent("m3", text("3"))
    kept, abandoned = log.read(tmp_path).sessions
    assert [m.content for m in kept.messages] == ["Go.", "A", "1", "A again", "3"]
    assert [m.content for m in abandoned.messages] == ["Go.", "B", "2"]


def test_forks_without_typed_text_on_both_sides_are_no_rewinds(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    first = log.agent("m1", call("t1"))
    second = log.agent("m1", call("t2"))
    log.human([result("t1")], parentUuid=first)
    log.human([result("t2")], parentUuid=second)
    end = log.agent("m2", text("Both."))
    log.human("<command-name>/status</command-name>", parentUuid=end)
    progress = log.add("progress", data={"type": "hook_progress"}, parentUuid=end)
    log.add("system", subtype="stop_hook_summary", parentUuid=progress)
    log.human("Next.")
    log.agent("m3", text("Yes."))
    (session,) = log.read(tmp_path).sessions
    assert [m.origin for m in session.messages] == [
        "human",
        "agent",
        "tool",
        "tool",
        "agent",
        "harness",
        "human",
        "agent",
    ]


def test_a_branch_abandoned_before_an_answer_is_no_session(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    fork = log.agent("m1", text("1"))
    log.human("Typo")
    log.human("Type", parentUuid=fork)
    log.agent("m2", text("2"))
    reading = log.read(tmp_path)
    assert [s.id for s in reading.sessions] == ["s-1"]
    assert reading.lines.noise == {"unanswered": 1}


@pytest.mark.parametrize("boundary", [True, False])
def test_compaction_begins_a_new_window(tmp_path: Path, boundary: bool) -> None:
    log = Log()
    log.human("Go.")
    log.agent("m1", call("t1"))
    if boundary:
        log.add("system", subtype="compact_boundary", parentUuid=None, logicalParentUuid=log.last)
    log.human("This session is being continued from a previous conversation.", isCompactSummary=True)
    log.human([result("t1", "late")])
    log.agent("m2", text("Going on."))
    first, second = log.read(tmp_path).sessions
    assert (first.id, second.id, second.lineage) == ("s-1", "s-1#2", "s-1")
    assert [m.role for m in first.messages] == ["user", "assistant", "tool"]
    assert [m.origin for m in second.messages] == ["harness", "agent"]
    assert second.started is not None
    assert first.started is not None
    assert second.started > first.started


def test_a_file_may_begin_with_the_summary_of_what_was_compacted(tmp_path: Path) -> None:
    log = Log()
    log.human("This session is being continued from a previous conversation.", isCompactSummary=True)
    log.human("Go on.")
    log.agent("m1", text("Yes."))
    (session,) = log.read(tmp_path).sessions
    assert session.id == "s-1"
    assert [m.origin for m in session.messages] == ["harness", "human", "agent"]


def test_sub_agents_inline_are_sessions_of_their_own(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.")
    task = log.agent("m1", call("t1", "Task", prompt="Look."))
    root = log.human("Look.", parentUuid=None, isSidechain=True)
    log.agent("m2", call("t2"), isSidechain=True)
    log.human([result("t2", "seen")], isSidechain=True)
    log.agent("m3", text("Seen."), isSidechain=True)
    log.human([result("t1", "Seen.")], parentUuid=task)
    log.agent("m4", text("It was seen."))
    main, below = log.read(tmp_path).sessions
    assert [m.content for m in main.messages] == ["Go.", "", "Seen.", "It was seen."]
    assert (below.id, below.lineage) == (f"s-1/{root}", "s-1")
    assert said(below) == [("harness", "Look."), ("agent", ""), ("tool", "seen"), ("agent", "Seen.")]


def test_a_sub_agents_file_has_its_parents_lineage(tmp_path: Path) -> None:
    log = Log()
    for agent in ("a1", "a2"):
        log.human(f"Look, {agent}.", isSidechain=True, agentId=agent, parentUuid=None)
        log.agent(f"m-{agent}", text("Seen."), isSidechain=True, agentId=agent)
    first, second = log.read(tmp_path).sessions
    assert (first.id, second.id) == ("s-1/a1", "s-1/a2")
    assert first.lineage == second.lineage == "s-1"


def test_the_warm_up_of_sub_agents_is_noise(tmp_path: Path) -> None:
    log = Log()
    log.human("Warmup", isSidechain=True, agentId="a1")
    log.agent("m1", text("Ready."), isSidechain=True, agentId="a1")
    reading = log.read(tmp_path)
    assert reading.sessions == ()
    assert reading.lines.noise == {"warm-up": 2}


def test_a_resumed_session_that_copies_the_old_one_is_one_session(tmp_path: Path) -> None:
    log = Log("old")
    log.human("Go.")
    log.agent("m1", text("1"))
    log.session = "new"
    log.human("Go on.")
    log.agent("m2", text("2"))
    (session,) = log.read(tmp_path).sessions
    assert (session.id, session.lineage) == ("new", "old")
    assert [m.content for m in session.messages] == ["Go.", "1", "Go on.", "2"]


def test_sessions_that_share_a_file_without_a_link_stay_apart(tmp_path: Path) -> None:
    log = Log("one")
    log.human("Go.")
    one = log.last
    log.session = "two"
    log.human("And you?", parentUuid=None)
    two = log.last
    log.session = "one"
    log.agent("m1", text("1"), parentUuid=one)
    log.session = "two"
    log.agent("m2", text("2"), parentUuid=two)
    first, second = log.read(tmp_path).sessions
    assert (said(first), first.lineage) == ([("human", "Go."), ("agent", "1")], "one")
    assert (said(second), second.lineage) == ([("human", "And you?"), ("agent", "2")], "two")


def test_parents_in_a_circle_do_no_harm(tmp_path: Path) -> None:
    log = Log()
    log.human("Go.", uuid="a", parentUuid="b")
    log.agent("m1", text("1"), uuid="b", parentUuid="a")
    log.human("Self.", uuid="c", parentUuid="c")
    log.agent("m2", text("2"))
    (session,) = log.read(tmp_path).sessions
    assert [m.content for m in session.messages] == ["Go.", "1", "Self.", "2"]


def test_a_long_conversation_is_read_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    log = Log()
    for n in range(3000):
        log.human(f"{n}?")
        log.agent(f"m{n}", text(f"{n}."))
    (session,) = log.read(tmp_path).sessions
    assert len(session.messages) == 6000


def test_a_file_without_an_answer_holds_no_session(tmp_path: Path) -> None:
    log = Log()
    log.raw(json.dumps({"type": "summary", "summary": "x", "leafUuid": "y"}))
    log.human("<command-name>/exit</command-name>")
    reading = log.read(tmp_path)
    assert reading.sessions == ()
    assert reading.lines.noise == {"summary": 1, "unanswered": 1}
