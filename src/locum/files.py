"""Writing artefacts so that a half-written one can never be taken for a whole one, and reading them back.

Everything goes to a temporary name in the same folder and is renamed when complete (rename is atomic on one
file system). A crash leaves at most a `.partial-*` name, which nothing reads and the next run sweeps away.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_PARTIAL = ".partial-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on any error it is removed.

    The caller may write a file or make a folder there. An existing file is replaced; an existing folder is
    swapped out first and removed after the new one is in place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{_PARTIAL}{os.getpid()}-{path.name}")
    remove(partial)
    try:
        yield partial
        if path.is_dir():
            old = path.with_name(f"{_PARTIAL}{os.getpid()}-old-{path.name}")
            path.rename(old)
            partial.rename(path)
            remove(old)
        else:
            os.replace(partial, path)
    except BaseException:
        remove(partial)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep_partials(folder: Path) -> None:
    """Remove what an interrupted write left under `folder` (one level of sub-folders included)."""
    for pattern in (f"{_PARTIAL}*", f"*/{_PARTIAL}*"):
        for leftover in folder.glob(pattern):
            remove(leftover)


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
        msgspec.ValidationError: its content is not a `type_`.
    """
    return msgspec.json.decode(path.read_bytes(), type=type_)


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
    with path.open("rb") as lines:
        return [decoder.decode(line) for line in lines if line.strip()]


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hex SHA-256 of a value's canonical JSON (sorted keys)."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
