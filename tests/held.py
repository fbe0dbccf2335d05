"""What holds of whatever a reader makes of a file, and a watch over every file that it opens meanwhile."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from locum.sessions.reader import FileReading, Reader
from locum.types import Session

_OPENING = {"open", "os.listdir", "os.scandir", "sqlite3.connect", "shutil.copyfile"}
_CHANGING = ("os.remove", "os.rename", "os.truncate", "os.chmod", "os.mkdir", "os.link", "os.symlink", "os.utime")
_STARTING = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "socket.connect", "ctypes.dlopen")
_PARQUET = [sys.executable, "-m", "locum.sessions.tracing.parquet"]
"""The one process that a reader starts: it only writes to its standard output."""
_watched: Path | None = None
_seen: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None or not event.startswith((*_OPENING, *_CHANGING, *_STARTING)):
        return
    if event == "subprocess.Popen" and list(arguments[1])[:3] == _PARQUET:
        return
    if event == "os.posix_spawn" or event.startswith("os.fork"):
        return  # how that process is started
    path = arguments[0] if arguments else None
    if event in _OPENING and not isinstance(path, str | bytes | os.PathLike):
        return  # a descriptor that is open already
    if event in _STARTING or not _is_allowed(os.fsdecode(path), event, arguments):  # type: ignore[arg-type]
        _seen.append(f"{event} {arguments[:2]}")


def _is_allowed(path: str, event: str, arguments: tuple[Any, ...]) -> bool:
    if path.startswith("file:"):
        path = path.removeprefix("file://").split("?")[0]
    real = os.path.realpath(path)
    if real == os.devnull or path.endswith((".py", ".pyc", ".so")) or (event == "os.listdir" and path in sys.path):
        return True  # imports are the program's own
    private = real.startswith(os.path.join(os.path.realpath(tempfile.gettempdir()), "locum-"))
    if private:
        return True  # the copies of databases, in a folder of their own
    inside = _watched is not None and (real == str(_watched) or real.startswith(f"{_watched}{os.sep}"))
    if event in _CHANGING:
        return False
    mode = arguments[1] if event == "open" and len(arguments) > 1 else "r"
    return inside and (mode is None or not set(str(mode)) & set("wax+"))


sys.addaudithook(_audit)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Within it nothing outside the folder is opened, nothing anywhere is changed, nothing is started."""
    global _watched
    _seen.clear()
    _watched = folder.resolve()
    try:
        yield
    finally:
        _watched = None
    assert not _seen, f"reached out of the folder: {_seen}"


def read_watched(reader: Reader, path: Path, folder: Path | None = None) -> FileReading | None:
    """Read a file, and hold the reader to everything that it promises; None where it refuses the file."""
    with watched(folder or path.parent):
        try:
            reading = reader.read(path)
        except PermissionError:
            return None
    holds(reading)
    return reading


def holds(reading: FileReading) -> None:
    """Every line has one fate, every session is well-formed, all of it can be written as UTF-8."""
    lines = reading.lines
    bad = len(lines.bad) + lines.bad_unlisted
    assert lines.total == lines.used + sum(lines.noise.values()) + sum(lines.unknown.values()) + bad
    assert lines.used >= 0
    assert all(count > 0 for count in (*lines.noise.values(), *lines.unknown.values()))
    assert all(bad.line > 0 and bad.reason for bad in lines.bad)
    assert all(len(kind) < 200 for kind in (*lines.noise, *lines.unknown))
    assert msgspec.json.decode(msgspec.json.encode(reading), type=FileReading) == reading
    for session in reading.sessions:
        _is_well_formed(session)
        assert session.format == reading.format


def _is_well_formed(session: Session) -> None:
    assert session.id
    assert session.lineage
    assert any(message.origin == "agent" for message in session.messages)
    assert session.reward is None or 0 <= session.reward <= 1
    called: set[str] = set()
    for message in session.messages:
        assert (message.role == "tool") == (message.tool_call_id is not None)
        assert not message.tool_calls or message.role == "assistant"
        assert message.origin != "agent" or message.role == "assistant"
        assert len(set(message.signals)) == len(message.signals)
        assert message.tool_call_id is None or message.tool_call_id in called
        called.update(call.id for call in message.tool_calls)
        assert all(call.name for call in message.tool_calls)
    for time in (session.started, *(message.time for message in session.messages)):
        assert time is None or (len(time) == 24 and time.endswith("Z") and time[10] == "T"), time
