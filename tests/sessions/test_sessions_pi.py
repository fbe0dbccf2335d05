"""pi's and OpenClaw's JSONL: versions 1 to 3, branches, compaction, signals, and who wrote what."""

from pathlib import Path
from typing import Any

import pytest
from pi_log import IMAGE, THOUGHT, Log, call, text

from locum.sessions.lineage import join_lineages
from locum.sessions.pi.envelopes import HARNESS_PREFIXES, hear, without_directives
from locum.sessions.reader import FileReading
from locum.types import Message, Session


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


def shape(session: Session) -> list[tuple[str, str]]:
    return [(message.origin, message.content) for message in session.messages]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_conversation_of_any_version(tmp_path: Path, version: int) -> None:
    log = Log(version=version)
    log.add("model_change", provider="anthropic", modelId="claude-opus-4-6")
    log.add("thinking_level_change", thinkingLevel="low")
    log.user("List it.")
    log.agent(
        text("\n\n"), THOUGHT, text("Looking."), call("c1", command="ls"), call("c2", command="ls b"), stop="toolUse"
    )
    log.result("c2", "b.txt")
    log.result("c1", "a.txt")
    log.add("custom", customType="openclaw.cache-ttl", data={})
    log.agent(text("a.txt and b.txt."))
    reading = log.read(tmp_path)
    session = only(reading)
    assert shape(session) == [
        ("human", "List it."),
        ("agent", "Looking."),
        ("tool", "a.txt"),
        ("tool", "b.txt"),
        ("agent", "a.txt and b.txt."),
    ]
    assert [c.arguments for c in turns(session)[0].tool_calls] == [{"command": "ls"}, {"command": "ls b"}]
    assert (session.id, session.lineage, session.provider, session.model) == (
        "s-1",
        "s-1",
        "anthropic",
        "claude-opus-4-6",
    )
    assert session.started == "2026-03-01T10:00:03.000Z"
    assert reading.lines.used == 5
    assert reading.lines.noise == {
        "custom: openclaw.cache-ttl": 1,
        "model_change": 1,
        "session": 1,
        "thinking_level_change": 1,
    }


@pytest.mark.parametrize(
    ("stop", "signal"), [("aborted", "interrupted"), ("error", "api_error"), ("length", "truncated")]
)
def test_a_stop_reason_that_spoils_the_message(tmp_path: Path, stop: str, signal: str) -> None:
    log = Log()
    log.user("Go.")
    log.agent(text("I was ab"), call("c1"), stop=stop, errorMessage="x")
    log.user("Go on.")
    log.agent(stop=stop)
    log.agent(text("Done."))
    reading = log.read(tmp_path)
    assert [m.signals for m in turns(only(reading))] == [(signal,), ()]
    assert reading.lines.noise[stop] == 1
    assert not any(m.role == "tool" for m in only(reading).messages)


@pytest.mark.parametrize(
    ("content", "fields", "signal"),
    [
        ("ok", {}, None),
        ("no such file", {"error": True}, "tool_error"),
        ("x", {"details": {"exitCode": 2}}, "tool_error"),
        ("x", {"details": {"exitCode": 0, "status": "completed"}}, None),
        ("x", {"details": {"status": "failed"}}, "tool_error"),
        ('{"status": "error", "tool": "exec", "error": "denied"}', {}, "tool_error"),
        ('{"note": "error", "status": "ok"}', {}, None),
    ],
)
def test_what_a_result_says(tmp_path: Path, content: str, fields: dict[str, Any], signal: str | None) -> None:
    log = Log()
    log.user("Go.")
    log.agent(call("c1"), stop="toolUse")
    log.result("c1", content, **fields)
    log.agent(text("Hm."))
    assert [m.signals for m in turns(only(log.read(tmp_path)))] == [((signal,) if signal else ()), ()]


def test_an_image_makes_the_answer_unreadable(tmp_path: Path) -> None:
    log = Log()
    log.user([text("What is this?"), IMAGE])
    log.agent(text("A cat."), call("c1"), stop="toolUse")
    log.result("c1", [IMAGE])
    log.agent(text("Another cat."))
    log.user("[media attached: /tmp/a.png (image/png)]\nAnd this?")
    log.agent(text("A dog."))
    log.user("Thanks.")
    log.agent(text("Any time."))
    session = only(log.read(tmp_path))
    assert [m.signals for m in turns(session)] == [("unreadable",), ("unreadable",), ("unreadable",), ()]
    assert [m.content for m in session.messages if m.origin == "human"][1] == "And this?"


def test_a_branch_that_was_left_is_rewound(tmp_path: Path) -> None:
    log = Log()
    log.user("One.")
    fork = log.agent(text("First."))
    log.user("Two.")
    log.agent(text("Wrong."), call("c1"), stop="toolUse")
    log.result("c1")
    log.add("branch_summary", fromId=log.last, summary="Tried two.", parentId=fork)
    log.user("Two, differently.")
    log.agent(text("Right."))
    session = only(log.read(tmp_path))
    assert [(m.content, m.signals) for m in session.messages if m.role != "tool"] == [
        ("One.", ()),
        ("First.", ()),
        ("Two.", ("rewound",)),
        ("Wrong.", ("rewound",)),
        ("Tried two.", ()),
        ("Two, differently.", ()),
        ("Right.", ()),
    ]
    assert [m.origin for m in session.messages if m.content == "Tried two."] == ["harness"]


def test_a_line_that_is_missing_cuts_no_branch(tmp_path: Path) -> None:
    log = Log()
    log.user("One.")
    log.agent(text("First."))
    log.user("Two.")
    log.agent(text("Second."))
    log.entries[3] = '{"type":"message","id":"000000'
    reading = log.read(tmp_path)
    assert [m.signals for m in turns(only(reading))] == [(), ()]
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(4, "cut in the middle")]


def test_an_entry_written_twice_counts_once(tmp_path: Path) -> None:
    log = Log()
    log.user("One.")
    log.agent(text("First."))
    log.entries.append(log.entries[-1])
    log.user("Two.", parentId=log.last)
    log.agent(text("Second."))
    reading = log.read(tmp_path)
    assert [(m.content, m.signals) for m in turns(only(reading))] == [("First.", ()), ("Second.", ())]
    assert reading.lines.noise["copy"] == 1


def test_chains_that_run_in_circles_end(tmp_path: Path) -> None:
    log = Log()
    first = log.user("One.", parentId="00000002")
    log.agent(text("First."), at={"parentId": first})
    log.user("Two.", parentId="00000003")
    assert len(turns(only(log.read(tmp_path)))) == 1


@pytest.mark.parametrize("version", [1, 3])
def test_compaction_begins_a_window_with_the_summary_and_what_was_kept(tmp_path: Path, version: int) -> None:
    log = Log(version=version)
    log.user("One.")
    log.agent(text("First."))
    kept = log.user("Two.")
    log.agent(call("c1"), stop="toolUse")
    log.result("c1")
    where = {"firstKeptEntryIndex": 3} if version == 1 else {"firstKeptEntryId": kept}
    log.add("compaction", summary="One was done.", tokensBefore=9, **where)
    log.agent(text("Third."))
    first, second = log.read(tmp_path).sessions
    assert (second.id, second.lineage) == ("s-1#2", "s-1")
    assert [m.content for m in first.messages if m.origin == "human"] == ["One.", "Two."]
    assert [(m.role, m.origin, m.content) for m in second.messages] == [
        ("user", "harness", "One was done."),
        ("user", "human", "Two."),
        ("assistant", "harness", ""),
        ("tool", "tool", "ok"),
        ("assistant", "agent", "Third."),
    ]


def test_a_reset_keeps_nothing(tmp_path: Path) -> None:
    log = Log()
    log.user("One.")
    log.agent(text("First."))
    log.add("reset")
    log.user("Two.")
    log.agent(text("Second."))
    assert [[m.content for m in s.messages] for s in log.read(tmp_path).sessions] == [
        ["One.", "First."],
        ["Two.", "Second."],
    ]


def test_what_extensions_and_commands_put_in_is_from_the_harness(tmp_path: Path) -> None:
    log = Log()
    log.add("custom_message", customType="x", content="Remember the rules.", display=False)
    log.message("hookMessage", [text("From a hook.")])
    log.message("custom", "From an extension.")
    log.message("compactionSummary", None, summary="Before: nothing.")
    log.message("bashExecution", None, command="ls", output="a", exitCode=1, cancelled=False)
    log.message("bashExecution", None, command="cat key", output="k", exitCode=0, excludeFromContext=True)
    log.message("user", "From another session.", provenance={"kind": "inter_session"})
    log.agent(text("Noted."))
    reading = log.read(tmp_path)
    notes = [m for m in only(reading).messages if m.role == "user"]
    assert {m.origin for m in notes} == {"harness"}
    assert notes[4].content == "Ran `ls`\n```\na\n```\n\nCommand exited with code 1"
    assert len(notes) == 6
    assert reading.lines.noise["bashExecution"] == 1


def test_copies_of_sent_messages_and_what_the_client_wrote_are_no_turns(tmp_path: Path) -> None:
    log = Log()
    log.user("Send it.")
    log.agent(text("Sent."))
    log.agent(text("Sent."), provider="openclaw", model="delivery-mirror")
    log.agent(text("Injected."), provider="openclaw", model="gateway-injected")
    reading = log.read(tmp_path)
    assert [(m.content, m.signals) for m in turns(only(reading))] == [("Sent.", ()), ("Injected.", ("synthetic",))]
    assert reading.lines.noise["delivery-mirror"] == 1


@pytest.mark.parametrize("reply", ["HEARTBEAT_OK", "NO_REPLY", "ANNOUNCE_SKIP", "**HEARTBEAT_OK**", "\n\nNO_REPLY.\n"])
def test_control_tokens_are_no_turns(tmp_path: Path, reply: str) -> None:
    log = Log()
    log.user("Read HEARTBEAT.md if it exists (workspace context). Follow it strictly.")
    log.agent(text(reply))
    reading = log.read(tmp_path)
    assert reading.sessions == ()
    assert reading.lines.noise["unanswered"] == 2
    log.user("Hello?")
    log.agent(text("Here."))
    session = only(log.read(tmp_path))
    assert [m.origin for m in session.messages] == ["harness", "harness", "human", "agent"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("[[reply_to_current]] Sure.", "Sure."),
        ("[[ reply_to: 1234 ]]Sure.", "Sure."),
        ("Here it is.\nMEDIA:/tmp/a.png", "Here it is."),
        ("All is well.\n\nHEARTBEAT_OK", "All is well."),
        ("Sent it. NO_REPLY", "Sent it."),
        ("Write [[links]] so.", "Write [[links]] so."),
        ("The token NO_REPLY keeps me silent.", "The token NO_REPLY keeps me silent."),
    ],
)
def test_directives_are_cut_from_answers(said: str, left: str) -> None:
    assert without_directives(said) == left


META = 'Conversation info (untrusted metadata):\n```json\n{"sender": "+15550100"}\n```\n\n'


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("[Telegram Ada id:77 2026-02-23 16:05 UTC] hello", "hello"),
        ("[iMessage +15550100 Mon 2026-02-23 16:05:10] hello", "hello"),
        ("[WhatsApp Group x@g.us +5m 2026-02-23T16:05Z]\nhello", "hello"),
        ("[Thu 2026-03-05 16:29 GMT+8] hello", "hello"),
        (META + "hello", "hello"),
        (META + META.replace("Conversation info", "Sender") + "[Thu 2026-03-05 16:29 GMT+8] hello", "hello"),
        ("Sender: ⟦openclaw:ctx⟧\n```json\n{}\n```\nhello", "hello"),
        ("Chat history: ⟦openclaw:ctx⟧\nAda: hi\nBob: hi\n\nhello", "hello"),
        ("hello\n[message_id: 3EB0]", "hello"),
        ("System: [2026-02-23 16:00] Node connected.\n\nhello", "hello"),
        ("[2026-02-23 16:05:10] ERROR in main.py", "[2026-02-23 16:05:10] ERROR in main.py"),
        ("[x] a list\n[ ] of things", "[x] a list\n[ ] of things"),
        ("[Slack](https://slack.com) is down", "[Slack](https://slack.com) is down"),
        ("A System: [x] remark", "A System: [x] remark"),
        ("Is that (untrusted metadata): yes", "Is that (untrusted metadata): yes"),
    ],
)
def test_envelopes_are_cut_and_words_are_not(sent: str, typed: str) -> None:
    heard = hear(sent)
    assert heard.human == typed
    assert "15550100" not in heard.harness


def test_events_before_a_message_are_from_the_harness() -> None:
    heard = hear("System: [2026-02-23 16:00] Node connected.\n\nhello")
    assert (heard.harness, heard.human) == ("System: [2026-02-23 16:00] Node connected.", "hello")


@pytest.mark.parametrize("prefix", HARNESS_PREFIXES)
def test_prompts_of_the_client_are_not_human(tmp_path: Path, prefix: str) -> None:
    log = Log()
    log.user(f"[Thu 2026-03-05 16:29 GMT+8] {prefix} and more")
    log.agent(text("Yes."))
    session = only(log.read(tmp_path))
    assert shape(session)[0] == ("harness", f"{prefix} and more")


def test_hostile_envelopes_take_no_time() -> None:
    hear("[Slack x] " * 200_000)
    hear("Sender (untrusted metadata):\n```json\n" * 20_000)
    hear("System: [x]\n" * 100_000)
    without_directives("[[reply_to:" * 100_000 + " " * 100_000)


def test_forks_share_the_lineage_of_the_session_they_left(tmp_path: Path) -> None:
    def session(id_: str, version: int = 3, **header: Any) -> Session:
        log = Log(id_, version, **header)
        log.user(f"Say {id_}.")
        log.agent(text(id_))
        folder = tmp_path / id_
        folder.mkdir()
        return only(log.read(folder))

    found = [
        session("root"),
        session("fork", parentSession="/home/x/.pi/agent/sessions/--src--/2026-03-01T09-00-00-000Z_root.jsonl"),
        session("fork2", 1, branchedFrom="C:\\pi\\2026-03-01T09-00-00-000Z_fork.jsonl"),
        session("alone", parentSession=None),
    ]
    assert [s.lineage for s in found] == ["root", "root", "fork", "alone"]
    # The fixture counts its ids and times up the same way in all of them: copies of entries keep both.
    assert found[0].messages[0].id == found[1].messages[0].id == "00000001@2026-03-01T10:00:01.000Z"
    plain = [Session(s.id, s.lineage, s.format, s.source, ()) for s in found]
    assert {s.id: s.lineage for s in join_lineages(plain)} == {
        "root": "fork",
        "fork": "fork",
        "fork2": "fork",
        "alone": "alone",
    }


def test_odd_lines_are_named_or_bad_and_stop_nothing(tmp_path: Path) -> None:
    log = Log()
    log.user("Go.")
    log.add("hologram", x=1)
    log.message("robot", "hi")
    log.agent(text("Yes."), {"type": "video"})
    log.entries += [
        "7",
        "{}",
        "",
        {"type": "message", "id": "x"},
        {"type": "message", "id": "y", "message": {"role": "user", "content": 5}},
        {"type": "message", "id": "z", "message": {"role": "toolResult", "content": "x"}},
        {"type": "message", "id": "w", "message": {"role": "assistant", "content": [{"type": "toolCall", "id": "c"}]}},
        {"type": "message", "id": "v", "message": {"role": "assistant", "content": [call("c", a={"b": 1})]}},
        '{"type":"message","message":{"role":"user","content":[{"a":' + "[" * 5000 + "]" * 5000 + "}]}}",
        {"type": "message", "id": "u", "timestamp": "yesterday", "message": {"role": "user", "timestamp": 1e300}},
    ]
    reading = log.read(tmp_path)
    assert [bad.line for bad in reading.lines.bad] == [6, 9, 10, 11, 12, 14]
    assert reading.lines.unknown == {"(no type)": 1, "assistant block: video": 1, "hologram": 1, "message: robot": 1}
    assert [m.signals for m in turns(only(reading))] == [("unreadable",), ()]


def test_times_may_be_numbers_or_missing(tmp_path: Path) -> None:
    log = Log()
    log.add("message", timestamp=1772359200123, message={"role": "user", "content": "Go."})
    log.add("message", timestamp=None, message={"role": "assistant", "content": "Yes.", "timestamp": 1772359201000})
    log.add("message", timestamp=None, message={"role": "assistant", "content": "And no."})
    session = only(log.read(tmp_path))
    assert [m.time for m in session.messages] == ["2026-03-01T10:00:00.123Z", "2026-03-01T10:00:01.000Z", None]
    assert session.messages[2].id == "00000003@s-1"
