"""Opening databases that others wrote, consistently and without touching anything.

A file is opened read-only and as immutable: neither it nor the `-wal` and `-shm` beside it are changed, even while its
owner writes to it. Where a write-ahead log stands beside it, both are copied to a private folder first and read there,
since SQLite would write beside the original; the copy is taken again when either changed meanwhile.
"""

import errno
import shutil
import sqlite3
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MAGIC = b"SQLite format 3\0"
"""How a database begins."""
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""A damaged schema makes sqlite3 fail on its own error message, too, when that quotes bytes that are no UTF-8."""
_ATTEMPTS = 5
"""Copies that are taken of a database that is being written to, before it is given up."""
_YOUNG = 1 << 20
"""Bytes below which even the tables may stand in the log alone: owners write it back when it has some megabytes."""


class _Copy(sqlite3.Connection):
    """A connection to a copy, which is deleted when it is closed."""

    folder: TemporaryDirectory[str]

    def close(self) -> None:
        super().close()
        self.folder.cleanup()


def open_database(path: Path, *, probe: bool = False) -> sqlite3.Connection:
    """Open a database; its texts come as bytes, because one that is no UTF-8 is a bad record, not a bad database.

    Args:
        path: the database.
        probe: only to look which tables there are: the log is left aside where they need not be in it.

    Raises:
        sqlite3.Error: it cannot be opened.
        OSError: it cannot be copied, or changed again and again meanwhile.
    """
    log = write_ahead_log(path)
    copied = None
    if _size(log) and not (probe and _size(path) >= _YOUNG):
        copied = _copied(path, log)
    return copied or _prepared(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True))


def write_ahead_log(path: Path) -> Path:
    """Where SQLite keeps what is not in a database itself yet."""
    return path.with_name(f"{path.name}-wal")


def _copied(path: Path, log: Path) -> sqlite3.Connection | None:
    """A connection to a copy of both, or None where the log went away."""
    folder = TemporaryDirectory(prefix="locum-")
    copy = Path(folder.name) / "database"
    try:
        for _ in range(_ATTEMPTS):
            before = _state(path, log)
            shutil.copyfile(path, copy)
            shutil.copyfile(log, write_ahead_log(copy))
            if _state(path, log) == before:
                database = sqlite3.connect(copy, factory=_Copy)
                database.folder = folder
                return _prepared(database)
    except FileNotFoundError:
        folder.cleanup()
        return None
    except BaseException:
        folder.cleanup()
        raise
    folder.cleanup()
    raise OSError(errno.EBUSY, "it changed while it was read")


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    database.text_factory = bytes
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _state(*paths: Path) -> list[tuple[int, int, int]]:
    return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in (path.stat() for path in paths)]


def _size(path: Path) -> int:
    """Bytes of a regular file; 0 where there is none, a link included."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def columns(database: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; none where it is missing or is a view, which could compute without end."""
    kind = database.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if kind is None or text(kind[0]) != "table":
        return set()
    return {text(name) for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def text(value: Any) -> str:
    """A value as text; empty for NULL."""
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
