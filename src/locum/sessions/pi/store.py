"""OpenClaw's SQLite store: `transcript_events` holds the entries, as text or compressed.

Source: openclaw's `transcript_events(session_id, seq, event_json, event_zstd)`, `session_windows(session_id,
session_key, previous_session_id, reason)` and `session_nodes(session_key, ..., parent_session_key)`. The file is
read as `locum.sessions.sqlite` says. Records are counted instead of lines: one an event.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from locum.sessions.ledger import Ledger
from locum.sessions.pi.conversation import sessions_of
from locum.sessions.pi.entries import read_entries
from locum.sessions.sqlite import MAGIC, UNREADABLE, columns, open_database, text
from locum.types import Session

_MAX_EVENT = 64 * 1024 * 1024
"""Bytes that a compressed event may unfold to; OpenClaw itself compresses none above 4 MiB."""
_MAX_MEMORY = 32 * 1024 * 1024
"""Bytes of history that a frame may ask the decompressor to keep."""
_NOT_HUMAN = re.compile(r"^(?:agent:[^:]*:)?(?:cron|hook|heartbeat)(?::|$)|:subagent:")
"""Session keys under which a schedule, a hook or an agent wrote the prompts."""
_SAME_CONVERSATION = frozenset({"fork", "rewind", "rollover", "switch", "recovery", "compaction"})


class _Event(NamedTuple):
    session: str
    number: int
    text: Any
    packed: Any


class _Node(NamedTuple):
    """What the store knows of a session beside its events."""

    key: str
    before: str | None
    """The session that this one goes on from."""


def is_store(head: bytes, path: Path) -> bool:
    """Whether a file is a database with a table of transcript events."""
    if not head.startswith(MAGIC):
        return False
    try:
        with closing(open_database(path, probe=True)) as database:
            return bool(columns(database, "transcript_events") >= {"session_id", "seq", "event_json"})
    except UNREADABLE:
        return False


def read_store(path: Path, ledger: Ledger) -> list[Session]:
    """Read a store: a session for every context window of every conversation in which the agent says something."""
    sessions: list[Session] = []
    try:
        with closing(open_database(path)) as database:
            nodes = _nodes(database)
            for name, events in groupby(_events(database, ledger), key=lambda event: event.session):
                key = nodes[name].key if name in nodes else ""
                sessions += sessions_of(
                    read_entries(_texts(events, ledger), ledger),
                    str(path),
                    path.stem,
                    ledger,
                    name=name or None,
                    lineage=_lineage(name, nodes),
                    prompted=_NOT_HUMAN.search(key) is not None,
                )
    except UNREADABLE:
        ledger.bad(1, "not a database that can be read")
    return sessions


def _events(database: sqlite3.Connection, ledger: Ledger) -> Iterator[_Event]:
    packed = "event_zstd" if "event_zstd" in columns(database, "transcript_events") else "NULL"
    query = f"SELECT session_id, event_json, {packed} FROM transcript_events ORDER BY session_id, seq"
    number = 0
    try:
        for session, event, blob in database.execute(query):
            number += 1
            yield _Event(text(session), number, event, blob)
    except UNREADABLE:
        ledger.bad(number + 1, "the database is damaged from here on")


def _texts(events: Iterator[_Event], ledger: Ledger) -> Iterator[tuple[int, bytes]]:
    for event in events:
        if isinstance(event.text, bytes):
            yield event.number, event.text.strip()
        elif isinstance(event.packed, bytes):
            raw = _unpacked(event.packed)
            if raw is None:
                ledger.bad(event.number, f"not zstd, or more than {_MAX_EVENT >> 20} MiB when unpacked")
            else:
                yield event.number, raw.strip()
        else:
            ledger.bad(event.number, "an event without text")


def _unpacked(blob: bytes) -> bytes | None:
    """The bytes of a compressed event; read as a stream, because a frame may lie about its size."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_MEMORY).stream_reader(blob) as stream:
            raw = stream.read(_MAX_EVENT + 1)
    except (zstandard.ZstdError, MemoryError):
        return None
    return raw if 0 < len(raw) <= _MAX_EVENT else None


def _nodes(database: sqlite3.Connection) -> dict[str, _Node]:
    """Session id -> what the store knows of it; the tables around the events differ between versions."""
    nodes: dict[str, _Node] = {}
    current: dict[str, str] = {}  # session key -> its latest session
    above: dict[str, str] = {}  # session key -> the key of the conversation that spawned it
    for row in _rows(database, "session_nodes", ("current_session_id", "session_key", "parent_session_key")):
        current[row[1]] = row[0]
        above[row[1]] = row[2]
        nodes[row[0]] = _Node(row[1], None)
    for row in _rows(database, "session_windows", ("session_id", "session_key", "previous_session_id", "reason")):
        nodes[row[0]] = _Node(row[1], row[2] if row[2] and row[3] in _SAME_CONVERSATION else None)
    for session, node in nodes.items():
        parent = current.get(above.get(node.key, ""))
        if node.before is None and parent is not None and parent != session:
            nodes[session] = _Node(node.key, parent)
    return nodes


def _rows(database: sqlite3.Connection, table: str, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    known = columns(database, table)
    if not known.issuperset(names[:2]):
        return []
    select = ", ".join(name if name in known else "NULL" for name in names)
    return [tuple(map(text, row)) for row in database.execute(f"SELECT {select} FROM {table}")]


def _lineage(session: str, nodes: dict[str, _Node]) -> str | None:
    """The first session of the chain that leads here."""
    chain = {session: None}
    while (node := nodes.get(session)) is not None and node.before is not None:
        session = node.before
        if session in chain:
            return min(chain)  # a circle, which no client writes, still has one name
        chain[session] = None
    return session or None
