"""OpenClaw's SQLite store: text and compressed events, session keys, lineage, and databases that are none."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pi_log import Log, call, text

from locum.progress import silent
from locum.sessions import read_sources, sqlite, zstd
from locum.sessions.discover import Skipped
from locum.sessions.lineage import join_lineages
from locum.sessions.pi import Pi, store
from locum.sessions.read import read_file
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Session

EVENTS = """CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT,
    created_at INTEGER, event_zstd BLOB, event_utf8_bytes INTEGER, PRIMARY KEY (session_id, seq))"""
OLDER = "CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT NOT NULL)"
WINDOWS = """CREATE TABLE session_windows (session_id TEXT PRIMARY KEY, session_key TEXT NOT NULL,
    previous_session_id TEXT, reason TEXT)"""
NODES = """CREATE TABLE session_nodes (session_key TEXT PRIMARY KEY, current_session_id TEXT NOT NULL,
    entry_json TEXT NOT NULL, parent_session_key TEXT)"""


def packed(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(raw)


def conversation(session: str, said: str = "Done.") -> list[str]:
    log = Log(session)
    log.user(f"Task of {session}.")
    log.agent(call("c1"), stop="toolUse")
    log.result("c1", error=True)
    log.agent(text(said))
    return [json.dumps(entry) for entry in log.entries]


def write(path: Path, rows: list[tuple[Any, ...]], *tables: str, columns: str = "event_json") -> Path:
    with closing(sqlite3.connect(path)) as database:
        for table in tables or (EVENTS,):
            database.execute(table)
        marks = ", ".join("?" * (2 + len(columns.split(","))))
        database.executemany(f"INSERT INTO transcript_events (session_id, seq, {columns}) VALUES ({marks})", rows)
        database.commit()
    return path


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert isinstance(reader, Pi)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def contents(session: Session) -> list[str]:
    return [message.content for message in session.messages]


def test_events_of_both_columns_are_one_conversation_in_their_order(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = []
    for name in ("b", "a"):
        for seq, event in enumerate(conversation(name)):
            big = seq % 2 == 1
            rows.append((name, seq, None if big else event, packed(event.encode()) if big else None))
    path = write(tmp_path / "agent.sqlite", rows[::-1], columns="event_json, event_zstd")
    reading = read(path)
    first, second = reading.sessions
    assert (first.id, first.lineage, second.id) == ("a", "a", "b")
    assert contents(first) == ["Task of a.", "", "ok", "Done."]
    assert [m.origin for m in first.messages] == ["human", "agent", "tool", "agent"]
    assert first.messages[1].signals == ("tool_error",)
    assert (reading.lines.total, reading.lines.used, reading.lines.noise) == (10, 8, {"session": 2})


def test_an_older_store_without_the_compressed_column(tmp_path: Path) -> None:
    rows = [("a", seq, event) for seq, event in enumerate(conversation("a"))]
    assert len(read(write(tmp_path / "agent.sqlite", rows, OLDER)).sessions) == 1


def test_what_can_be_no_event_is_bad_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_MAX_EVENT", 1 << 20)
    good = [(f"g{n}", 0, event, None) for n, event in enumerate(conversation("g"))]
    bomb = packed(b'{"type":"message","x":"' + b"a" * (1 << 21) + b'"}')
    liar = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    hidden = liar.compress(b"b" * (1 << 21)) + liar.flush()
    assert len(bomb) < 4096
    assert len(hidden) < 4096
    rows = [
        *((session, seq, event, None) for seq, (session, _, event, _) in enumerate(good)),
        ("z", 0, None, bomb),
        ("z", 1, None, hidden),
        ("z", 2, None, b"no zstd at all"),
        ("z", 3, None, packed(b"half")[:-3]),
        ("z", 4, None, None),
        ("z", 5, None, b""),
        ("z", 6, "{", None),
        ("z", 7, 5, None),
        ("z", 8, None, packed(b'{"type": "message", "message": {"role": "user", "content": "\xff"}}')),
    ]
    reading = read(write(tmp_path / "agent.sqlite", rows, columns="event_json, event_zstd"))
    reasons = [bad.reason for bad in reading.lines.bad]
    assert [bad.line for bad in reading.lines.bad] == list(range(6, 15))
    assert reasons[0] == reasons[1] == "not zstd, or more than 1 MiB when unpacked"
    assert reasons[8] == "not UTF-8"
    assert len(reading.sessions) == 2


def test_session_keys_tell_who_prompted(tmp_path: Path) -> None:
    keys = {
        "main": "agent:main:main",
        "chat": "agent:main:telegram:direct:1",
        "cron": "agent:main:cron:7",
        "old": "cron:7",
        "sub": "agent:main:subagent:9",
        "hook": "agent:main:hook:mail",
        "named": "agent:cron:main",
    }
    path = tmp_path / "agent.sqlite"
    rows = [(name, seq, event) for name in keys for seq, event in enumerate(conversation(name))]
    write(path, rows, EVENTS, WINDOWS)
    with closing(sqlite3.connect(path)) as database:
        database.executemany("INSERT INTO session_windows VALUES (?, ?, NULL, 'initial')", keys.items())
        database.commit()
    origins = {session.id: session.messages[0].origin for session in read(path).sessions}
    assert {name for name, origin in origins.items() if origin == "human"} == {"main", "chat", "named"}


def test_windows_of_one_conversation_and_sub_agents_share_a_lineage(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    names = ("w1", "w2", "w3", "new", "sub", "loop1", "loop2")
    write(path, [(n, seq, e) for n in names for seq, e in enumerate(conversation(n))], EVENTS, WINDOWS, NODES)
    with closing(sqlite3.connect(path)) as database:
        database.executemany(
            "INSERT INTO session_windows VALUES (?, ?, ?, ?)",
            [
                ("w1", "agent:main:main", None, "initial"),
                ("w2", "agent:main:main", "w1", "compaction"),
                ("w3", "agent:main:main", "w2", "fork"),
                ("new", "agent:main:main", "w3", "reset"),
                ("sub", "agent:main:subagent:1", None, "initial"),
                ("loop1", "agent:x:main", "loop2", "switch"),
                ("loop2", "agent:x:main", "loop1", "switch"),
            ],
        )
        database.executemany(
            "INSERT INTO session_nodes VALUES (?, ?, '{}', ?)",
            [("agent:main:main", "w3", None), ("agent:main:subagent:1", "sub", "agent:main:main")],
        )
        database.commit()
    sessions = [Session(s.id, s.lineage, s.format, s.source, ()) for s in read(path).sessions]
    lineages = {session.id: session.lineage for session in join_lineages(sessions)}
    assert {lineages[name] for name in ("w1", "w2", "w3", "sub")} == {"w1"}
    assert lineages["new"] == "new"
    assert lineages["loop1"] == lineages["loop2"]


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def copies(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases are copied to; empty again once they were read."""
    folder = tmp_path_factory.mktemp("copies")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_what_stands_in_the_write_ahead_log_is_read_and_left_alone(tmp_path: Path, copies: Path) -> None:
    path = write(tmp_path / "agent.sqlite", [("a", seq, event) for seq, event in enumerate(conversation("a"))])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        rows = [("b", seq, event) for seq, event in enumerate(conversation("b"))]
        writer.executemany("INSERT INTO transcript_events (session_id, seq, event_json) VALUES (?, ?, ?)", rows)
        writer.commit()
        before = files_of(tmp_path)
        assert set(before) == {"agent.sqlite", "agent.sqlite-wal", "agent.sqlite-shm"}
        reading = read(path)
        assert files_of(tmp_path) == before
    assert [session.id for session in reading.sessions] == ["a", "b"]
    assert not reading.lines.unknown
    assert reading.beside == (f"{path}-wal",)
    assert not list(copies.iterdir())


def test_a_young_store_has_even_its_tables_in_the_log(tmp_path: Path, copies: Path) -> None:
    path = tmp_path / "agent.sqlite"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(EVENTS)
        rows = [("a", seq, event) for seq, event in enumerate(conversation("a"))]
        writer.executemany("INSERT INTO transcript_events (session_id, seq, event_json) VALUES (?, ?, ?)", rows)
        writer.commit()
        assert [session.id for session in read(path).sessions] == ["a"]
    assert not list(copies.iterdir())


def test_events_that_were_not_committed_are_not_read(tmp_path: Path, copies: Path) -> None:
    path = write(tmp_path / "agent.sqlite", [("a", seq, event) for seq, event in enumerate(conversation("a"))])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE transcript_events SET session_id = 'a'")
        writer.commit()
        log = Path(f"{path}-wal").read_bytes()
    (tmp_path / "agent.sqlite-wal").write_bytes(log[: len(log) // 2] + b"junk")
    assert [session.id for session in read(path).sessions] == ["a"]
    assert not list(copies.iterdir())


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "agent.sqlite", [("a", seq, event) for seq, event in enumerate(conversation("a"))])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 100)
    Path(f"{path}-wal").symlink_to(elsewhere)
    assert len(read(path).sessions) == 1


def test_a_store_that_changes_all_the_time_is_skipped(
    tmp_path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "agent.sqlite", [("a", 0, "{}")])
    Path(f"{path}-wal").write_bytes(b"x")
    states = iter(range(100))
    monkeypatch.setattr(sqlite, "_state", lambda *paths: next(states))
    assert read_file(path, str(path)) == Skipped(str(path), "cannot be read: it changed while it was read")
    assert not list(copies.iterdir())


def test_cold_transcripts_are_the_same_lines(tmp_path: Path) -> None:
    lines = conversation("a")
    raw = "\n".join(lines).encode()
    plain = tmp_path / "a.jsonl"
    plain.write_bytes(raw)
    cold = tmp_path / "cold.jsonl.zst"
    half = len(raw) // 2
    for content in (packed(raw), packed(raw + b"\n\n"), packed(raw[:half]) + packed(raw[half:])):
        cold.write_bytes(content)
        ours = read(cold)
        assert [session.messages for session in ours.sessions] == [s.messages for s in read(plain).sessions]
        assert ours.lines.used == len(lines) - 1


def test_cold_transcripts_that_are_damaged_are_read_as_far_as_they_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = "\n".join(conversation("a")).encode()
    more = raw + b"\n" + b"\n".join(b'{"type":"label","id":"%d"}' % n for n in range(200_000))
    cold = tmp_path / "cold.jsonl.zst"
    cold.write_bytes(packed(more)[:-2000])
    reading = read(cold)
    assert len(reading.sessions) == 1
    assert [bad.reason for bad in reading.lines.bad] == ["cut zstd"]
    cold.write_bytes(packed(raw) + b"no zstd")
    assert [bad.reason for bad in read(cold).lines.bad] == ["damaged zstd"]
    monkeypatch.setattr(zstd, "MAX_UNPACKED", 1 << 20)
    cold.write_bytes(packed(raw + b"\n" + b"a" * (1 << 22)))
    reading = read(cold)
    assert len(reading.sessions) == 1
    assert [bad.reason for bad in reading.lines.bad] == ["more than 1 MiB when unpacked"]


def test_nothing_is_written_where_nothing_may_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a ?#%.sqlite", [("a", seq, event) for seq, event in enumerate(conversation("a"))])
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert len(read(path).sessions) == 1
        assert [p.name for p in tmp_path.iterdir()] == ["a ?#%.sqlite"]
    finally:
        tmp_path.chmod(0o700)


def test_other_databases_are_not_taken_for_a_store(tmp_path: Path) -> None:
    endless = "CREATE VIEW transcript_events AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
    for number, schema in enumerate(
        [
            "CREATE TABLE notes (x)",
            "CREATE TABLE transcript_events (seq INTEGER, ev_json TEXT)",
            endless + "SELECT n AS session_id, n AS seq, '' AS event_json FROM r",
        ]
    ):
        path = tmp_path / f"{number}.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute(schema)
            database.commit()
        assert reader_of(path) is None
    path.write_bytes(b"SQLite format 3\0 and nothing more")
    assert reader_of(path) is None


def test_a_store_beside_older_files_is_one_history(tmp_path: Path) -> None:
    """What was moved into the store stays behind as JSONL: the same session twice, in one lineage."""
    lines = conversation("a")
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    write(tmp_path / "agent.sqlite", [("a", seq, event) for seq, event in enumerate(lines)])
    reading = read_sources([tmp_path], silent)
    assert {session.id: session.lineage for session in reading.sessions} == {"a": "a", "a@2": "a"}
    one, other = ([m.id for m in session.messages] for session in reading.sessions)
    assert one == other


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 20_000), junk=st.binary(min_size=1, max_size=200), cut=st.none() | st.integers(0, 20_000))
def test_a_damaged_database_is_read_as_far_as_it_goes(tmp_path: Path, at: int, junk: bytes, cut: int | None) -> None:
    path = tmp_path / "agent.sqlite"
    if not path.exists():
        rows = [(n, seq, event) for n in ("a", "b", "c") for seq, event in enumerate(conversation(n, "x" * 900))]
        write(path, rows, EVENTS, WINDOWS, NODES)
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes((whole[:at] + junk + whole[at + len(junk) :])[:cut])
    adds_up(Pi().read(damaged))
    reader_of(damaged)
