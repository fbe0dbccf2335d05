"""Opening databases that others wrote, as they lie on disk and without touching anything.

A file is opened read-only and as immutable: neither it nor the `-wal` and `-shm` beside it are changed, even while
its owner writes to it. What still stands in a `-wal` is therefore not read, and counted as one unknown record.
"""

import sqlite3
from pathlib import Path
from typing import Any

from locum.sessions.ledger import Ledger

MAGIC = b"SQLite format 3\0"
"""How a database begins."""
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""A damaged schema makes sqlite3 fail on its own error message, too, when that quotes bytes that are no UTF-8."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database; its texts come as bytes, because one that is no UTF-8 is a bad record, not a bad database.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    database.text_factory = bytes
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def columns(database: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; none where it is missing or is a view, which could compute without end."""
    kind = database.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if kind is None or text(kind[0]) != "table":
        return set()
    return {text(name) for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def text(value: Any) -> str:
    """A value as text; empty for NULL."""
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)


def note_unwritten(path: Path, ledger: Ledger, owner: str) -> None:
    """Take down as unknown that there is a write-ahead log with something in it."""
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        ledger.unknown(0, f"events in the write-ahead log: close {owner} and read again")
