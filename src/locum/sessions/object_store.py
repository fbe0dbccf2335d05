"""Logs that lie in an object store (`s3://BUCKET/PREFIX`, `gs://...`, and whatever else pyarrow can open).

Each is copied to a temporary folder where it is read, and shown by its own address. What some readers look for beside
a log is not looked for here.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeGuard

from locum.errors import SourceError
from locum.sessions.discover import Found, Log, Skipped

_MARK = "://"


class State(NamedTuple):
    """A stored object's size in bytes and its time of change in nanoseconds since 1970; both -1 where there is none."""

    size: int
    changed: int


def is_address(source: Log) -> TypeGuard[str]:
    """Whether a SOURCE is an address in a store, and no path."""
    return isinstance(source, str) and _MARK in source


def find(source: str) -> Found:
    """The objects at or below an address, in sorted order.

    Raises:
        SourceError: there is none, the store cannot be reached, or pyarrow is not installed.
    """
    from pyarrow import fs

    store, path = _open(source)
    try:
        info = store.get_file_info(path)
        named = info.type == fs.FileType.File
        below = fs.FileSelector(path, recursive=True, allow_not_found=True)
        found = [info] if named else store.get_file_info(below)
    except OSError as error:
        raise SourceError(f"cannot read {source}: {_first_line(error)}; check the address and the rights") from None
    objects = sorted((one for one in found if one.type == fs.FileType.File), key=lambda one: one.path)
    if not objects:
        raise SourceError(f"nothing at {source}; name a session log, or a prefix with some below it")
    prefix = source[: source.rindex(path)] if path in source else source.partition(_MARK)[0] + _MARK
    full = tuple(f"{prefix}{one.path}" for one in objects if one.size)
    empty = tuple(Skipped(f"{prefix}{one.path}", "empty") for one in objects if not one.size)
    return Found(source, named, full, empty)


def state(address: str) -> State:
    """The state that an object is in now."""
    store, path = _open(address)
    try:
        info = store.get_file_info(path)
    except OSError:
        return State(-1, -1)
    return State(-1, -1) if info.size is None else State(info.size, info.mtime_ns or -1)


@contextmanager
def local(log: Log) -> Iterator[Path]:
    """The log on this computer: itself, or a copy of the object under its own name until the end of the block.

    Raises:
        OSError: the object cannot be read.
    """
    if not is_address(log):
        yield Path(log)
        return
    store, path = _open(log)
    with tempfile.TemporaryDirectory(prefix="locum-") as folder:
        copy = Path(folder) / (PurePosixPath(path).name or "log")
        with store.open_input_stream(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


def _open(address: str) -> tuple[Any, str]:
    try:
        from pyarrow import ArrowException, fs
    except ImportError:
        raise SourceError(f"{address} is in an object store; install `locum[ray]`, which can open one") from None
    try:
        store, path = fs.FileSystem.from_uri(address)
    except (ArrowException, OSError, ValueError) as error:
        raise SourceError(f"cannot open {address}: {_first_line(error)}; write it as s3://BUCKET/PREFIX") from None
    return store, path


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
