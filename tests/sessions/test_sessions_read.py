"""Sources: files, folders, `auto`, what is refused, what is skipped, and how files are joined."""

import json
import os
from pathlib import Path

import pytest
from claude_log import Log, call, result, text

from locum.errors import SourceError
from locum.progress import silent
from locum.sessions import SourceReading, read_sources
from locum.sessions.reader import Reader
from locum.sessions.registry import reader_of
from locum.types import Lines


def conversation(session: str, turns: int = 2, day: int = 1) -> Log:
    log = Log(session)
    for n in range(turns):
        time = f"2026-03-{day:02}T10:00:{n:02}.000Z"
        log.human(f"{session}, {n}?", timestamp=time)
        log.agent(f"{session}-m{n}", text(f"{n}."), timestamp=time)
    return log


def read(*sources: Path | str) -> SourceReading:
    reading = read_sources(sources, silent)
    adds_up(reading.lines)
    return reading


def adds_up(lines: Lines) -> None:
    bad = len(lines.bad) + lines.bad_unlisted
    assert lines.total == lines.used + sum(lines.noise.values()) + sum(lines.unknown.values()) + bad


def test_bad_lines_are_all_counted_and_the_first_of_each_file_listed(tmp_path: Path) -> None:
    for name in "ab":
        conversation(name).write(tmp_path / f"{name}.jsonl")
        with (tmp_path / f"{name}.jsonl").open("a") as log:
            log.write('{"type": "user", "mess\n' * 250)
    lines = read(tmp_path).lines
    assert (len(lines.bad), lines.bad_unlisted) == (200, 300)
    assert [(Path(bad.file).name, bad.line) for bad in lines.bad[99:101]] == [("a.jsonl", 104), ("b.jsonl", 5)]


def test_a_folder_is_read_whole_and_in_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    conversation("later", day=3).write(tmp_path / "a.jsonl")
    conversation("first", day=1).write(tmp_path / "b" / ".hidden" / "z.jsonl")
    conversation("between", day=2).write(tmp_path / "b" / "no-suffix")
    conversation("never", day=1).write(tmp_path / ".git" / "c.jsonl")
    (tmp_path / "b" / "metadata.json").write_text('{"checkpoint": 1}')
    (tmp_path / "b" / "s.metadata.json").write_text('{"checkpoint_id": "1a", "strategy": "manual-commit"}')
    (tmp_path / "empty.jsonl").touch()
    chat = {"messages": [{"role": "assistant", "content": "A post."}]}
    (tmp_path / "posts.jsonl").write_text(json.dumps(chat))

    reading = read(tmp_path)
    assert [s.id for s in reading.sessions] == ["posts:1", "first", "between", "later"]
    assert [os.path.relpath(path, tmp_path) for path in reading.files] == [
        "a.jsonl",
        "posts.jsonl",
        "b/no-suffix",
        "b/.hidden/z.jsonl",
    ]
    assert reading.formats == {"claude_code": 3, "openai_chat": 1}
    assert {Path(s.path).name: s.reason for s in reading.skipped} == {
        "empty.jsonl": "empty",
        "metadata.json": "no known session format",
        "s.metadata.json": "the record of an Entire checkpoint, no log itself",
    }
    assert (reading.lines.total, reading.lines.used) == (13, 13)
    assert reading.sessions[1].source == str(tmp_path / "b" / ".hidden" / "z.jsonl")


def test_links_in_a_folder_are_not_followed_and_pipes_not_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    conversation("out").write(outside / "out.jsonl")
    conversation("in").write(inside / "in.jsonl")
    (inside / "folder").symlink_to(outside)
    (inside / "file").symlink_to(outside / "out.jsonl")
    os.mkfifo(inside / "pipe")
    reading = read(inside)
    assert [s.id for s in reading.sessions] == ["in"]
    assert {Path(s.path).name: s.reason for s in reading.skipped} == {
        "folder": "a link",
        "file": "a link",
        "pipe": "not a regular file",
    }
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        read(inside / "pipe")
    assert [s.id for s in read(inside / "file").sessions] == ["out"]  # named by the user


def test_a_file_under_two_sources_is_read_once(tmp_path: Path) -> None:
    path = conversation("s").write(tmp_path / "s.jsonl")
    reading = read(tmp_path, path, str(tmp_path / "." / "s.jsonl"))
    assert len(reading.sessions) == len(reading.files) == 1


def test_copies_forks_and_checkpoints_share_a_lineage(tmp_path: Path) -> None:
    whole = conversation("long", turns=4)
    whole.write(tmp_path / "checkpoint-2.jsonl")
    whole.lines = whole.lines[:4]
    whole.write(tmp_path / "checkpoint-1.jsonl")
    fork = conversation("long", turns=2)
    fork.lines = [line.replace('"sessionId": "long"', '"sessionId": "fork"') for line in fork.lines]
    fork.write(tmp_path / "fork.jsonl")
    conversation("other").write(tmp_path / "other.jsonl")

    reading = read(tmp_path)
    assert [(s.id, s.lineage) for s in reading.sessions] == [
        ("long", "fork"),
        ("long@2", "fork"),
        ("fork", "fork"),
        ("other", "other"),
    ]
    backwards = read(*reversed(reading.files))
    assert {s.source: s.lineage for s in backwards.sessions} == {s.source: s.lineage for s in reading.sessions}


def test_a_sub_agents_file_joins_its_parent(tmp_path: Path) -> None:
    log = Log("main")
    log.human("Go.")
    log.agent("m1", call("t1", "Task"))
    log.human([result("t1", "Seen.")])
    log.write(tmp_path / "main.jsonl")
    agent = Log("main")
    agent.human("Look.", isSidechain=True, agentId="a1", uuid="x1")
    agent.agent("m2", text("Seen."), isSidechain=True, agentId="a1", uuid="x2")
    (tmp_path / "main" / "subagents").mkdir(parents=True)
    agent.write(tmp_path / "main" / "subagents" / "agent-a1.jsonl")
    reading = read(tmp_path)
    assert {s.id: s.lineage for s in reading.sessions} == {"main": "main", "main/a1": "main"}


def test_auto_looks_where_the_agent_is_configured_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    with pytest.raises(SourceError, match=r"auto: no agent's logs at .*\.claude/projects"):
        read("auto")
    for place, session in ((".claude", "home"), ("moved", "moved")):
        folder = tmp_path / place / "projects" / "-src-app"
        folder.mkdir(parents=True)
        conversation(session).write(folder / "s.jsonl")
    assert [s.id for s in read("auto").sessions] == ["home"]
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "moved"))
    assert [s.id for s in read("auto").sessions] == ["moved"]


def test_auto_finds_every_agents_place_as_one_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex home"))
    places = [
        ".claude/projects/-src",
        "codex home/sessions/2026/03/01",
        "codex home/archived_sessions",
        ".pi/agent/sessions/--src--",
        ".openclaw/agents/main/sessions",
        ".clawdbot/agents/main/sessions",
        ".moltbot/agents/main/sessions",
        ".gemini/tmp/ab12/chats",
    ]
    for number, place in enumerate(places):
        (tmp_path / place).mkdir(parents=True)
        conversation(f"s{number}").write(tmp_path / place / "s.jsonl")
    (tmp_path / ".codex/sessions").mkdir(parents=True)
    conversation("elsewhere").write(tmp_path / ".codex/sessions/s.jsonl")
    assert {s.id for s in read("auto").sessions} == {f"s{number}" for number in range(len(places))}
    for place in places[1:]:  # an agent that was never used hides no other
        (tmp_path / place / "s.jsonl").unlink()
    assert [s.id for s in read("auto").sessions] == ["s0"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing", None, "no such file or folder: .*missing; name "),
        ("notes.txt", b"Dear diary", r"not a session log: .*notes.txt \(no known session format\); name "),
        ("out.jsonl", b'{"kind": "REPLY", "output": "Thanks!"}\n', r"\(answers without what they answer: no prompt"),
        ("pairs.jsonl", b'{"input": "Hi", "output": "Thanks!"}\n', r"\(no known session format\)"),
        ("empty.jsonl", b"", r"not a session log: .*empty.jsonl"),
        ("nul\0byte", None, "not a path: "),
    ],
)
def test_a_source_that_is_no_log_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    conversation("s").write(tmp_path / "good.jsonl")
    with pytest.raises(SourceError, match=message) as caught:
        read(tmp_path / "good.jsonl", path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_known_things_that_are_no_logs_says_what_they_are(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"kind": "REPLY", "output": "Thanks!"}\n')
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"3 files, 0 of a known format; 2 answers without what they answer: no"):
        read(tmp_path)


def test_folders_without_a_session_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="an empty folder: "):
        read(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(SourceError, match="an empty folder: "):
        read(tmp_path)
    (tmp_path / "a" / "notes.txt").write_text("hello")
    unanswered = Log()
    unanswered.human("Anyone?")
    unanswered.write(tmp_path / "a" / "b" / "s.jsonl")
    with pytest.raises(SourceError, match=r"no session in this folder: .* \(2 files, 1 of a known format\)"):
        read(tmp_path)
    with pytest.raises(SourceError, match=r"no session in this file: .*s\.jsonl; "):
        read(tmp_path / "a" / "b" / "s.jsonl")


def test_a_file_that_cannot_be_read_is_skipped_in_a_folder_and_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation("good").write(tmp_path / "a.jsonl")
    locked = conversation("locked").write(tmp_path / "b.jsonl")
    broken = conversation("broken").write(tmp_path / "c.jsonl")

    def failing(path: Path, among: tuple[Reader, ...], beginning: bytes | None) -> Reader | None:
        if path == locked:
            raise PermissionError(13, "Permission denied")
        if path == broken:
            raise KeyError("a secret of the log")
        return reader_of(path, among, beginning)

    monkeypatch.setattr("locum.sessions.read.reader_of", failing)
    reading = read(tmp_path)
    assert [s.id for s in reading.sessions] == ["good"]
    assert [s.reason for s in reading.skipped] == [
        "cannot be read: Permission denied",
        "cannot be read: KeyError in its reader",
    ]
    with pytest.raises(SourceError, match=r"b\.jsonl \(cannot be read: Permission denied\)"):
        read(locked)


def test_progress_is_told(tmp_path: Path) -> None:
    for n in range(5):
        conversation(f"s{n}", day=n + 1).write(tmp_path / f"{n}.jsonl")
    (tmp_path / "notes.txt").write_text("hello")
    told: list[tuple[str, int, int, str]] = []

    def progress(work: str, done: int, total: int, note: str = "") -> None:
        told.append((work, done, total, note))

    read_sources([tmp_path], progress)
    assert len(told) == 6
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert told[-1] == ("reading sessions", size, size, "6 of 6 files")


def test_a_file_cut_in_the_last_line_gives_the_rest(tmp_path: Path) -> None:
    path = conversation("s", turns=3).write(tmp_path / "s.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    reading = read(path)
    assert [m.content for m in reading.sessions[0].messages] == ["s, 0?", "0.", "s, 1?", "1.", "s, 2?"]
    assert [(bad.line, bad.reason, bad.file) for bad in reading.lines.bad] == [(6, "cut in the middle", str(path))]
