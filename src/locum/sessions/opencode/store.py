"""OpenCode's SQLite store `opencode.db`: sessions, messages and parts as rows.

Source: opencode's `session(id, parent_id, revert, time_created)`, `message(id, session_id, time_created, data)` and
`part(id, message_id, data)`, `data` being the JSON without ids. Records are counted instead of lines: one a session,
a message and a part. Newer versions write another table as well, `session_message`, in a shape of its own: its rows
are noise where the session's messages are in `message`, else unknown.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from locum.sessions.jsonl import BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.opencode.conversation import Entry, Heading, Part, heading, sessions_of
from locum.sessions.sqlite import MAGIC, UNREADABLE, columns, open_database, text
from locum.types import Session

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_NEEDED = {"session": {"id"}, "message": {"id", "session_id", "data"}, "part": {"id", "message_id", "data"}}


class _Row(NamedTuple):
    """A message beside one of its parts."""

    session: str
    message: str
    created: Any
    data: Any
    part: str | None
    part_data: Any


def is_store(head: bytes, path: Path) -> bool:
    """Whether a file is a database with the three tables."""
    if not head.startswith(MAGIC):
        return False
    try:
        with closing(open_database(path, probe=True)) as database:
            return all(columns(database, table) >= needed for table, needed in _NEEDED.items())
    except UNREADABLE:
        return False


def read_store(path: Path, ledger: Ledger) -> list[Session]:
    """Read a store, one session's rows in memory at a time."""
    sessions: list[Session] = []
    counted = _Counter(ledger)
    try:
        with closing(open_database(path)) as database:
            headings = _headings(database)
            with_messages: set[str] = set()
            for name, rows in groupby(_rows(database, counted), key=lambda row: row.session):
                with_messages.add(name)
                head = headings.get(name, Heading(name))
                number = counted.next()
                found = sessions_of(head, list(_entries(rows, counted)), str(path), ledger)
                if found:
                    ledger.used(number)
                else:
                    ledger.noise(number, "empty session")
                sessions += found
            for name in headings:
                if name not in with_messages:
                    ledger.noise(counted.next(), "empty session")
            _leave_others(database, with_messages, counted)
    except UNREADABLE:
        ledger.bad(counted.next(), "the database is damaged from here on")
    return sessions


class _Counter:
    """Numbers the records."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._last = 0

    def next(self) -> int:
        """The number of the next record."""
        self._last += 1
        return self._last


def _headings(database: sqlite3.Connection) -> dict[str, Heading]:
    known = columns(database, "session")
    select = ", ".join(name if name in known else "NULL" for name in ("id", "parent_id", "revert", "time_created"))
    headings = {}
    for id_, parent, revert, created in database.execute(f"SELECT {select} FROM session ORDER BY id"):
        info: dict[str, Any] = {"parentID": text(parent), "time": {"created": created}}
        try:
            info["revert"] = decode(_OBJECT, revert) if isinstance(revert, bytes) else None
        except BadRecord:
            info["revert"] = None
        headings[text(id_)] = heading(text(id_), info)
    return headings


def _rows(database: sqlite3.Connection, counted: _Counter) -> Iterator[_Row]:
    """Every message with each of its parts, in the order of the conversation."""
    created = "m.time_created" if "time_created" in columns(database, "message") else "0"
    query = f"""SELECT m.session_id, m.id, {created}, m.data, p.id, p.data
        FROM message m LEFT JOIN part p ON p.message_id = m.id
        ORDER BY m.session_id, {created}, m.id, p.id"""
    try:
        for session, message, time, data, part, part_data in database.execute(query):
            yield _Row(text(session), text(message), time, data, None if part is None else text(part), part_data)
    except UNREADABLE:
        counted.ledger.bad(counted.next(), "the database is damaged from here on")


def _entries(rows: Iterable[_Row], counted: _Counter) -> Iterator[Entry]:
    for id_, parts in groupby(rows, key=lambda row: row.message):
        number = counted.next()
        message: dict[str, Any] | None = None
        found = []
        for at, row in enumerate(parts):
            if at == 0:
                message = _object(row.data, number, counted)
                if message is not None:
                    time = message.get("time")
                    message["time"] = {"created": row.created, **(time if isinstance(time, dict) else {})}
            if row.part is not None:
                part_number = counted.next()
                data = _object(row.part_data, part_number, counted)
                if message is None:
                    counted.ledger.noise(part_number, "part of a bad message")
                # A part that cannot be read stays, without a kind, so that its message is seen to lack something.
                found.append(Part(part_number, row.part, {} if data is None else data))
        if message is not None:
            yield Entry(number, id_, message, found)


def _object(raw: Any, number: int, counted: _Counter) -> dict[str, Any] | None:
    try:
        return decode(_OBJECT, raw if isinstance(raw, bytes) else b"")
    except BadRecord as reason:
        counted.ledger.bad(number, str(reason))
        return None


def _leave_others(database: sqlite3.Connection, with_messages: set[str], counted: _Counter) -> None:
    """Take down what belongs to no message of the table `message`."""
    (orphans,) = database.execute(
        "SELECT count(*) FROM part WHERE message_id NOT IN (SELECT id FROM message)"
    ).fetchone()
    for _ in range(orphans):
        counted.ledger.noise(counted.next(), "part without its message")
    if columns(database, "session_message") >= {"session_id"}:
        for name, rows in database.execute("SELECT session_id, count(*) FROM session_message GROUP BY session_id"):
            for _ in range(rows):
                if text(name) in with_messages:
                    counted.ledger.noise(counted.next(), "session_message")
                else:
                    counted.ledger.unknown(counted.next(), "session_message")
