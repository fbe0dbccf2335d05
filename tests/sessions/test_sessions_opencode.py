"""OpenCode: its store, its older files and its exports hold the same conversation; what each part means."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opencode_log import Conversation, text, tool, write_store

from locum.progress import silent
from locum.sessions import read_sources
from locum.sessions.opencode import OpenCode
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Session

Writer = Callable[[Conversation, Path], Path]
PLACES: dict[str, Writer] = {
    "store": lambda one, folder: write_store(folder / "opencode.db", one),
    "files": lambda one, folder: one.write_files(folder / "storage"),
    "export": lambda one, folder: one.write_export(folder / "export.json"),
}


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert isinstance(reader, OpenCode)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def only(one: Conversation, folder: Path) -> tuple[Session, FileReading]:
    reading = read(one.write_export(folder / "export.json"))
    (session,) = reading.sessions
    return session, reading


def told(session: Session) -> list[tuple[str, str, str]]:
    return [(message.role, message.origin, message.content) for message in session.messages]


def conversation(id_: str = "ses_a", **info: Any) -> Conversation:
    one = Conversation(id_, **info)
    one.add("user", text("Fix it."))
    one.add("assistant", {"type": "step-start"}, {"type": "reasoning", "text": "hm"}, tool("c1"), finish="tool-calls")
    one.add("assistant", {"type": "step-start"}, text("Done."), {"type": "step-finish", "reason": "stop"})
    return one


@pytest.mark.parametrize("place", PLACES)
def test_every_place_holds_the_same(place: str, tmp_path: Path) -> None:
    reading = read(PLACES[place](conversation(), tmp_path))
    (session,) = reading.sessions
    assert (session.id, session.lineage, session.format) == ("ses_a", "ses_a", "opencode")
    assert (session.provider, session.model) == ("anthropic", "claude-sonnet-4-5")
    assert session.started == "2026-03-01T10:00:01.000Z"
    assert told(session) == [
        ("user", "human", "Fix it."),
        ("assistant", "agent", ""),
        ("tool", "tool", "ok"),
        ("assistant", "agent", "Done."),
    ]
    (call,) = session.messages[1].tool_calls
    assert (call.name, call.arguments) == ("bash", {"command": "ls"})
    assert session.messages[1].id == "msg_a002"
    assert (reading.lines.total, reading.lines.used) == (11, 7)
    assert reading.lines.noise == {"reasoning": 1, "step-finish": 1, "step-start": 2}
    assert not reading.lines.unknown
    assert not reading.lines.bad


def test_files_of_messages_and_parts_are_in_the_account_of_their_session(tmp_path: Path) -> None:
    conversation().write_files(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole = read_sources([tmp_path], silent)
    assert len(whole.sessions) == 1
    assert (whole.lines.total, whole.formats, whole.skipped) == (11, {"opencode": len(files)}, ())
    (tmp_path / "session" / "p" / "ses_a.json").unlink()
    lonely = [read(path).lines for path in files if path.exists()]
    assert sum(lines.total for lines in lonely) == 10
    noise = [kind for lines in lonely for kind in lines.noise]
    assert {kind: noise.count(kind) for kind in noise} == {
        "message without its session": 3,
        "part without its session": 7,
    }


def test_what_was_looked_at_beside_a_session_is_named(tmp_path: Path) -> None:
    own = conversation().write_files(tmp_path)
    reading = read(own)
    others = {str(path) for path in tmp_path.rglob("*") if path.is_file() and path != own}
    assert others | {str(tmp_path / "message" / "ses_a")} <= set(reading.beside)


def test_nothing_behind_a_link_and_nothing_that_a_file_names_is_opened(tmp_path: Path) -> None:
    outside = Conversation("ses_b")
    outside.add("user", text("private"))
    outside.add("assistant", text("private"))
    outside.write_files(tmp_path / "outside")
    storage = tmp_path / "storage"
    one = Conversation("ses_b")
    own = one.write_files(storage)
    (storage / "message").mkdir()
    (storage / "message" / "ses_b").symlink_to(tmp_path / "outside" / "message" / "ses_b")
    assert read(own).sessions == ()
    (storage / "message" / "ses_b").unlink()
    (storage / "message" / "ses_b").mkdir()
    (storage / "message" / "ses_b" / "msg_b001.json").symlink_to(
        tmp_path / "outside" / "message" / "ses_b" / "msg_b001.json"
    )
    assert read(own).sessions == ()
    own.write_text(json.dumps({**one.info, "id": "ses_../../outside"}))
    assert read(own).sessions == ()


def test_synthetic_texts_are_the_harnesss_and_files_are_gaps(tmp_path: Path) -> None:
    one = Conversation()
    one.add(
        "user",
        text("Look at @a.py and this."),
        text("Called the Read tool", synthetic=True),
        text("x = 1", synthetic=True),
        text("shown, not sent", ignored=True),
        {"type": "file", "mime": "text/plain", "url": "file:///src/a.py"},
    )
    one.add("assistant", text("I see."))
    one.add("user", text("And this?"), {"type": "file", "mime": "image/png", "url": "data:image/png;base64,aGk="})
    one.add("assistant", text("A cat."))
    session, reading = only(one, tmp_path)
    assert told(session)[:3] == [
        ("user", "human", "Look at @a.py and this."),
        ("user", "harness", "Called the Read tool"),
        ("user", "harness", "x = 1"),
    ]
    assert session.messages[-1].signals == ("unreadable",)
    assert session.messages[3].signals == ()
    assert reading.lines.noise == {"file": 1, "not sent": 1}


def test_how_calls_and_messages_end(tmp_path: Path) -> None:
    one = Conversation()
    one.add("user", text("Go."))
    one.add("assistant", tool("c1", metadata={"exit": 2}))
    one.add("assistant", tool("c2", status="error", error="File not found"))
    refusal = "The user rejected permission to use this specific tool call."
    one.add("assistant", tool("c3", status="error", error=refusal))
    one.add("assistant", tool("c4", status="error", error="Tool execution aborted"))
    one.add("assistant", tool("c5", status="running"))
    one.add("assistant", text("Half"), error={"name": "MessageAbortedError", "data": {}})
    one.add("assistant", text("Too l"), error={"name": "MessageOutputLengthError", "data": {}})
    one.add("assistant", error={"name": "APIError", "data": {"message": "overloaded"}})
    one.add("assistant", text("Too"), finish="length")
    one.add("assistant", tool("c6", attachments=[{"type": "file", "mime": "image/png"}]))
    one.add("assistant", text("It shows a cat."))
    session, _ = only(one, tmp_path)
    signals = [message.signals for message in session.messages if message.role == "assistant"]
    assert signals == [
        ("tool_error",),
        ("tool_error",),
        ("rejected",),
        ("interrupted",),
        (),
        ("interrupted",),
        ("truncated",),
        ("api_error",),
        ("truncated",),
        (),
        ("unreadable",),
    ]
    assert sum(message.role == "tool" for message in session.messages) == 5


def test_answers_within_one_message_are_turns_of_their_own(tmp_path: Path) -> None:
    one = Conversation()
    one.add("user", text("Go."))
    one.add("assistant", {"type": "step-start"}, tool("c"), {"type": "step-start"}, tool("c"), text("Done."))
    session, _ = only(one, tmp_path)
    turns = [message for message in session.messages if message.role == "assistant"]
    assert [turn.id for turn in turns] == ["msg_a002", "msg_a002:2"]
    called = [call.id for turn in turns for call in turn.tool_calls]
    assert len(set(called)) == 2
    assert [message.tool_call_id for message in session.messages if message.role == "tool"] == called


def test_a_compaction_begins_a_new_window(tmp_path: Path) -> None:
    one = conversation()
    asked = one.add("user", {"type": "compaction", "auto": True})
    one.add("assistant", text("We fixed it."), summary=True, parentID=asked)
    one.add("user", text("Thanks."))
    one.add("assistant", text("Any time."))
    reading = read(one.write_export(tmp_path / "e.json"))
    first, second = reading.sessions
    assert (first.id, second.id, second.lineage) == ("ses_a", "ses_a:2", "ses_a")
    assert told(second) == [
        ("user", "harness", "What did we do so far?"),
        ("assistant", "harness", "We fixed it."),
        ("user", "human", "Thanks."),
        ("assistant", "agent", "Any time."),
    ]


def test_a_compaction_that_failed_cuts_nothing(tmp_path: Path) -> None:
    one = conversation()
    asked = one.add("user", {"type": "compaction", "auto": True})
    one.add("assistant", summary=True, parentID=asked, error={"name": "APIError"})
    one.add("assistant", text("On."))
    assert len(read(one.write_export(tmp_path / "e.json")).sessions) == 1


@pytest.mark.parametrize("place", PLACES)
def test_what_was_taken_back_is_rewound(place: str, tmp_path: Path) -> None:
    one = conversation(revert={"messageID": "msg_a003"})
    (session,) = read(PLACES[place](one, tmp_path)).sessions
    assert [message.signals for message in session.messages] == [(), (), (), ("rewound",)]


@pytest.mark.parametrize("place", PLACES)
def test_a_sub_agent_is_prompted_by_the_agent(place: str, tmp_path: Path) -> None:
    one = conversation("ses_b", parentID="ses_a")
    (session,) = read(PLACES[place](one, tmp_path)).sessions
    assert session.lineage == "ses_a"
    assert session.messages[0].origin == "harness"


def test_messages_come_by_time_then_by_id(tmp_path: Path) -> None:
    one = Conversation()
    one.add("user", text("First."), time={"created": 5})
    one.add("assistant", text("Third."), time={"created": 7})
    one.add("user", text("Second."), time={"created": 6})
    for write in PLACES.values():
        (session,) = read(write(one, tmp_path)).sessions
        assert [message.content for message in session.messages] == ["First.", "Second.", "Third."]


def test_what_is_new_is_named_and_the_answer_left_aside(tmp_path: Path) -> None:
    one = conversation()
    one.add("assistant", text("Look:"), {"type": "hologram"})
    one.add("oracle", text("I know."))
    session, reading = only(one, tmp_path)
    assert session.messages[-1].signals == ("unreadable",)
    assert reading.lines.unknown == {"hologram": 1, "message of role oracle": 2}


def test_an_export_with_what_the_terminal_said_or_cut_off(tmp_path: Path) -> None:
    path = conversation().write_export(tmp_path / "e.json")
    whole = path.read_text()
    path.write_text(f"Exporting session: ses_a{whole}")
    assert len(read(path).sessions[0].messages) == 4
    path.write_text(whole[: whole.rindex("Done.")])
    reading = read(path)
    assert len(reading.sessions[0].messages) == 3
    assert [bad.reason for bad in reading.lines.bad] == ["cut in the middle"]


def test_sessions_without_answers_and_parts_without_messages_are_counted(tmp_path: Path) -> None:
    quiet = Conversation("ses_q")
    quiet.add("user", text("Anybody?"))
    path = write_store(tmp_path / "opencode.db", conversation(), quiet, Conversation("ses_e"))
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO part VALUES ('prt_x', 'msg_gone', 'ses_a', '{}')")
        database.execute("INSERT INTO part VALUES ('prt_y', 'msg_a003', 'ses_a', '{')")
        database.execute("CREATE TABLE session_message (id TEXT, session_id TEXT, data TEXT)")
        database.execute("INSERT INTO session_message VALUES ('1', 'ses_a', '{}'), ('2', 'ses_new', '{}')")
        database.commit()
    lines = read(path).lines
    assert lines.noise["empty session"] == 2
    assert lines.noise["unanswered"] == 2
    assert lines.noise["part without its message"] == 1
    assert lines.noise["session_message"] == 1
    assert lines.unknown == {"session_message": 1}
    assert [bad.reason for bad in lines.bad] == ["cut in the middle"]


def test_the_store_and_the_files_it_was_made_from_are_one_history(tmp_path: Path) -> None:
    write_store(tmp_path / "opencode.db", conversation())
    conversation().write_files(tmp_path / "storage")
    reading = read_sources([tmp_path], silent)
    assert {session.lineage for session in reading.sessions} == {"ses_a"}
    one, other = ([message.id for message in session.messages] for session in reading.sessions)
    assert one == other


def test_auto_finds_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    data = tmp_path / ".local" / "share" / "opencode"
    conversation("ses_f").write_files(data / "storage")
    for name, id_ in (("opencode.db", "ses_d"), ("opencode-dev.db", "ses_e")):
        write_store(data / name, conversation(id_))
    assert {session.id for session in read_sources(["auto"], silent).sessions} == {"ses_d", "ses_e", "ses_f"}
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "moved"))
    write_store_in = tmp_path / "moved" / "opencode"
    write_store_in.mkdir(parents=True)
    write_store(write_store_in / "opencode.db", conversation("ses_m"))
    assert [session.id for session in read_sources(["auto"], silent).sessions] == ["ses_m"]


def test_other_files_are_not_taken_for_its_own(tmp_path: Path) -> None:
    others: list[Any] = [
        {"id": "ses_a", "name": "x"},
        {"info": {"id": "run"}, "messages": []},
        {"id": "msg_a", "sessionID": "ses_a"},
        {"type": "text", "sessionID": "ses_a", "part": {"id": "prt_a"}},
    ]
    path = tmp_path / "x.json"
    for other in others:
        path.write_text(json.dumps(other))
        assert not OpenCode().detects(path.read_bytes(), path)
    path.write_text("\n".join(json.dumps({"id": "msg_a", "sessionID": "ses_a", "role": "user"}) for _ in range(2)))
    assert not OpenCode().detects(path.read_bytes(), path)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
TIME = st.fixed_dictionaries({"created": st.integers(-(10**18), 10**18) | JSON})
STATE: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"status": st.sampled_from(["completed", "error", "pending", "x"]), "input": JSON | st.just({})},
    optional={"output": JSON, "error": JSON, "metadata": JSON, "time": JSON, "attachments": JSON},
)
PART = (
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "tool", "step-start", "reasoning", "file", "compaction", "subtask", "new"])},
        optional={
            "text": st.just("hi") | JSON,
            "tool": st.just("f") | JSON,
            "callID": st.sampled_from(["a", "b"]) | JSON,
            "state": STATE | JSON,
            "synthetic": JSON,
            "mime": JSON,
        },
    )
    | JSON
)
INFO = (
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]) | JSON, "time": TIME | JSON},
        optional={
            "id": st.sampled_from(["m1", "m2"]) | JSON,
            "parentID": st.sampled_from(["m1", "m2"]),
            "summary": st.just(True) | JSON,
            "error": JSON | st.just({"name": "MessageAbortedError"}),
            "modelID": JSON,
            "model": JSON,
            "system": JSON,
        },
    )
    | JSON
)
MESSAGE = st.fixed_dictionaries({"info": INFO, "parts": st.lists(PART, max_size=4) | JSON}) | JSON


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(MESSAGE, max_size=5), head=JSON, data=st.data())
def test_any_export_is_read_and_every_record_has_one_fate(
    tmp_path: Path, messages: list[Any], head: Any, data: st.DataObject
) -> None:
    raw = json.dumps({"info": {"id": "ses_a", "parentID": head, "revert": head, "time": head}, "messages": messages})
    at = data.draw(st.integers(0, len(raw)))
    if data.draw(st.booleans()):
        raw = raw[:at] + data.draw(st.text(max_size=3)) + raw[at + data.draw(st.integers(0, 20)) :]
    path = tmp_path / "e.json"
    path.write_text(raw)
    OpenCode().detects(path.read_bytes(), path)
    reading = OpenCode().read(path)
    adds_up(reading)
    for session in reading.sessions:
        assert any(message.origin == "agent" for message in session.messages)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 40_000), junk=st.binary(min_size=1, max_size=200), cut=st.none() | st.integers(0, 40_000))
def test_a_damaged_store_is_read_as_far_as_it_goes(tmp_path: Path, at: int, junk: bytes, cut: int | None) -> None:
    path = tmp_path / "opencode.db"
    if not path.exists():
        write_store(path, *(conversation(f"ses_{name}") for name in "abc"))
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes((whole[:at] + junk + whole[at + len(junk) :])[:cut])
    adds_up(OpenCode().read(damaged))
    reader_of(damaged)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 10), at=st.integers(0, 400), junk=st.binary(max_size=8), gone=st.integers(0, 400))
def test_damaged_files_of_the_storage_stop_nothing(tmp_path: Path, which: int, at: int, junk: bytes, gone: int) -> None:
    own = conversation().write_files(tmp_path / "storage")
    files = sorted(path for path in (tmp_path / "storage").rglob("*.json"))
    damaged = files[which % len(files)]
    raw = damaged.read_bytes()
    damaged.write_bytes(raw[:at] + junk + raw[at + gone :])
    for path in (own, damaged):
        OpenCode().detects(path.read_bytes()[: 1 << 16], path)
        adds_up(OpenCode().read(path))
