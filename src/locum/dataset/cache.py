"""Readings of session logs, kept so that a log that has not changed is not read again.

    $LOCUM_HOME/readings/CODE/  00000001.readings ...

A reading is what a log held, redacted, as frames of compressed JSON behind a note of where they lie; those of logs that
were read together are in one file (`locum.dataset.bundles`). It counts only as long as the log, and what was looked at
beside it, has the same size and time of change, and only for the code and the salt that it was made with. One
extraction at a time uses them; another one that runs meanwhile works in a folder of its own, as if nothing had been
read before.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata, resources
from pathlib import Path

import msgspec
import zstandard
from filelock import FileLock, Timeout

from locum import files, types
from locum.dataset import bundles
from locum.dataset.bundles import Bundles
from locum.errors import DatasetError
from locum.home import home_folder
from locum.sessions.discover import Log
from locum.sessions.lineage import Member
from locum.sessions.object_store import is_address, state
from locum.types import Lines

_SETTLED_NS = 2_000_000_000
"""A log that changed this shortly before it was read may change again within the same tick of its clock."""
_LENGTH = 8
_SUFFIX = ".reading"


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """A file's size in bytes and its time of change in nanoseconds since 1970; both -1 where there is none."""

    path: str
    size: int = -1
    changed: int = -1


def stamp(log: Log) -> Stamp:
    """The state that a log, or a file beside one, is in now."""
    if is_address(log):
        return Stamp(log, *state(log))
    path = os.path.abspath(log)
    try:
        status = os.stat(path)
    except OSError:
        return Stamp(path)
    return Stamp(path, status.st_size, status.st_mtime_ns)


class SessionNote(msgspec.Struct, frozen=True, array_like=True):
    """What has to be in memory of every session while they are put in order; the rest lies in its frame."""

    member: Member
    time: float | None
    """Seconds since 1970."""
    model: str
    """"provider/model", as far as the log says."""
    at: int
    """Where its frame begins, in bytes from the beginning of the first frame."""
    size: int
    """Bytes of its frame."""
    length: int
    """Bytes of its JSON."""
    marks: tuple[str, ...]
    """What the marks in it say, in order of appearance: its secrets get their numbers without its being looked at."""


class _Reader(threading.local):
    """What unpacks frames: it takes longer to make than a short session takes it, and serves one thread."""

    def __init__(self) -> None:
        self.decompress = zstandard.ZstdDecompressor().decompress


_reader = _Reader()


class Frame(msgspec.Struct, frozen=True):
    """Where a session lies, for whoever unpacks it."""

    path: str
    at: int
    size: int

    def unpack(self) -> bytes:
        """The session as JSON with marks.

        Raises:
            DatasetError: the file is damaged; it is removed, so that its logs are read again.
        """
        try:
            return _reader.decompress(bundles.read(self.path, self.at, self.size))
        except zstandard.ZstdError:
            Path(self.path).unlink(missing_ok=True)
            raise DatasetError(f"{self.path} was damaged and is removed: give the same command again") from None


class LogNote(msgspec.Struct, frozen=True):
    """What was read from one log."""

    format: str
    lines: Lines
    sha256: str
    """Of the log's bytes."""
    sessions: tuple[SessionNote, ...]
    redactions: dict[str, int]
    """Type -> how often a value of it was replaced."""
    stamps: tuple[Stamp, ...]
    """Of the log itself, then of what was looked at beside it."""
    read: int
    """When it was read, in nanoseconds since 1970."""


def pack(note: LogNote, frames: list[bytes]) -> bytes:
    """A reading as the bytes that are kept."""
    head = msgspec.json.encode(note)
    return b"".join((len(head).to_bytes(_LENGTH, "big"), head, *frames))


class Readings:
    """The readings in one folder."""

    def __init__(self, folder: Path) -> None:
        self._bundles = Bundles(folder, _SUFFIX)
        self._names: dict[Log, bytes] = {}
        self._frames: dict[bytes, int] = {}
        """How far from the beginning of its reading the first frame of a log is that was found or kept."""

    def find(self, log: Log) -> LogNote | None:
        """The note of a log that is as it was when it was read; None where it has to be read."""
        name = self._name(log)
        read = self._note(name)
        if read is None:
            return None
        note, first = read
        newest = max(found.changed for found in note.stamps)
        if note.read - newest < _SETTLED_NS or any(stamp(found.path) != found for found in note.stamps):
            return None
        self._frames[name] = first
        return note

    def keep(self, packed: Mapping[Log, bytes]) -> list[LogNote]:
        """Keep what `pack` made of logs that were read together.

        Returns:
            their notes, in the same order.
        """
        if not packed:
            return []
        named = {self._name(log): reading for log, reading in packed.items()}
        self._bundles.keep(named)
        notes = []
        for name, reading in named.items():
            first = self._frames[name] = _LENGTH + int.from_bytes(reading[:_LENGTH], "big")
            notes.append(msgspec.json.decode(reading[_LENGTH:first], type=LogNote))
        return notes

    def frame(self, log: Log, note: SessionNote) -> Frame:
        """Where one session of a log lies that was found or kept."""
        name = self._name(log)
        place = self._bundles.place(name)
        assert place is not None
        return Frame(place.path, place.at + self._frames[name] + note.at, note.size)

    def prune(self) -> None:
        """Remove what was neither found nor kept: logs that are gone leave nothing here."""
        self._bundles.prune(self._wanted)

    def _wanted(self, name: bytes) -> bool:
        if name in self._frames:
            return True
        read = self._note(name)
        return read is not None and stamp(read[0].stamps[0].path).size >= 0

    def _name(self, log: Log) -> bytes:
        """What its reading is kept under."""
        name = self._names.get(log)
        if name is None:
            # With the path as it was named: sessions show it.
            path = f"{os.path.abspath(log)}\0{log}".encode("utf-8", "surrogateescape")
            name = self._names[log] = hashlib.sha256(path).digest()[:20]
        return name

    def _note(self, name: bytes) -> tuple[LogNote, int] | None:
        """The note at the beginning of a reading, and where it ends; None where there is no whole one."""
        place = self._bundles.place(name)
        if place is None:
            return None
        try:
            with open(place.path, "rb") as file:
                file.seek(place.at)
                first = _LENGTH + int.from_bytes(file.read(_LENGTH), "big")
                return msgspec.json.decode(file.read(first - _LENGTH), type=LogNote), first
        except (OSError, msgspec.MsgspecError, OverflowError, MemoryError):
            return None


@contextmanager
def opened(salt: str, agents: frozenset[str] = frozenset()) -> Iterator[Readings]:
    """The readings that were made with this salt, these names of the agent, and the code that runs now.

    What it yields is this process's alone until the end of the block. Readings made otherwise are removed.
    """
    root = home_folder() / "readings"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(root / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with tempfile.TemporaryDirectory(prefix="locum-") as folder:
            yield Readings(Path(folder))
        return
    try:
        own = root / files.digest([salt, sorted(agents), code()])[:16]
        for other in root.iterdir():
            if other.is_dir() and other != own:
                shutil.rmtree(other)
        own.mkdir(exist_ok=True)
        readings = Readings(own)
        yield readings
        readings.prune()
    finally:
        lock.release()


def forget_readings() -> None:
    """Remove every reading that is kept; the logs will be read again.

    Raises:
        DatasetError: an extraction has been using them for a minute.
    """
    root = home_folder() / "readings"
    if not root.is_dir():
        return
    try:
        with FileLock(root / ".lock", timeout=60):
            for folder in root.iterdir():
                if folder.is_dir():
                    shutil.rmtree(folder)
    except Timeout:
        raise DatasetError(
            f"{root} is in use by an extraction: wait for its end, then give the command again"
        ) from None


@cache
def code() -> str:
    """A digest of everything that decides what a reading holds."""
    parts = hashlib.sha256(Path(types.__file__).read_bytes())
    for package in ("locum.sessions", "locum.dataset"):
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*.py")):
            parts.update(path.read_bytes())
    for library in ("msgspec", "detect-secrets", "phonenumbers", "python-stdnum"):
        parts.update(metadata.version(library).encode())
    return parts.hexdigest()
