"""Writing artefacts so that a half-written one can never be taken for a whole one, and reading them back.

Everything goes to a temporary name in the same folder and is renamed when complete (rename is atomic on one
file system). A crash leaves at most a `.partial-PID-*` name, which nothing reads and the next write of the same
artefact sweeps away, once the process that left it is gone.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from locum.errors import UnreadableError

T = TypeVar("T")
PARTIAL = ".partial-"
"""How the name of everything begins that is being written, replaced or removed."""
_CANONICAL = msgspec.json.Encoder(order="deterministic")
_LEFT = re.compile(re.escape(PARTIAL) + r"(?P<process>\d+)-(?P<purpose>old-|gone-|)(?P<name>.+)")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on any error it is removed.

    The caller may write a file or make a folder there. An existing file is replaced; an existing folder is
    swapped out first and removed after the new one is in place.

    Raises:
        IsADirectoryError: a file was written, and a folder has the name: nobody means all of it to go.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent, path.name)
    partial = _beside(path)
    _delete(partial)
    try:
        yield partial
        if path.is_dir() and not partial.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder stands where a file is to be written", str(path))
        if path.is_dir():
            old = _beside(path, "old-")
            path.rename(old)
            try:
                partial.rename(path)
            except OSError:
                old.rename(path)
                raise
            _delete(old)
        else:
            os.replace(partial, path)
    except BaseException:
        _delete(partial)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing happens where there is none.

    A folder is renamed first: whoever looks finds all of it or nothing, even if the removal is interrupted.
    """
    if path.is_dir() and not path.is_symlink():
        gone = _beside(path, "gone-")
        path.rename(gone)
        path = gone
    _delete(path)


def sweep_partials(folder: Path) -> None:
    """Remove what an interrupted write left in `folder` and in the folders right below it."""
    for place in (folder, *(path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())):
        _sweep(place)


def written_elsewhere(path: Path) -> bool:
    """Whether another process is writing the file or folder of this name now."""
    found = (_LEFT.fullmatch(beside.name) for beside in path.parent.glob(f"{PARTIAL}*"))
    partials = (left for left in found if left and (left["purpose"], left["name"]) == ("", path.name))
    return any(_runs(int(left["process"])) for left in partials)


def _beside(path: Path, purpose: str = "") -> Path:
    return path.with_name(f"{PARTIAL}{os.getpid()}-{purpose}{path.name}")


def _sweep(folder: Path, name: str = "") -> None:
    """Remove what processes that are gone left in `folder` on their way to `name` (empty: to any name).

    A folder that was moved aside for a new one that never came is put back.
    """
    for leftover in folder.glob(f"{PARTIAL}*"):
        left = _LEFT.fullmatch(leftover.name)
        if left and name in ("", left["name"]) and not _runs(int(left["process"])):
            if left["purpose"] == "old-" and not (folder / left["name"]).exists():
                leftover.rename(folder / left["name"])
            else:
                _delete(leftover)


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # in a container the one before may have had our number; what we write ourselves is not swept
    if os.name != "posix":
        return True  # elsewhere the question itself would be a signal
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value (builtins or msgspec structs) as indented JSON, atomically."""
    raw = msgspec.json.format(msgspec.json.encode(value), indent=2)
    with atomic_path(path) as partial:
        partial.write_bytes(raw + b"\n")


def read_json(path: Path, type_: type[T]) -> T:
    """Read a JSON file as `type_`.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: its content is not a `type_`; a msgspec.ValidationError too.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(path, str(error)) from error


def write_jsonl(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically."""
    encoder = msgspec.json.Encoder()
    with atomic_path(path) as partial, partial.open("wb") as out:
        for value in values:
            out.write(encoder.encode(value))
            out.write(b"\n")


def read_jsonl(path: Path, type_: type[T]) -> list[T]:
    """Read a JSONL file of our own making as a list of `type_`; raises as `read_json`."""
    decoder = msgspec.json.Decoder(type_)
    try:
        with path.open("rb") as lines:
            return [decoder.decode(line) for line in lines if line.strip()]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(path, str(error)) from error


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hex SHA-256 of a value's canonical JSON (sorted keys)."""
    return hashlib.sha256(_CANONICAL.encode(value)).hexdigest()
