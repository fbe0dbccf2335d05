"""Rows that wait on disk until all are known: each process that builds writes a file of its own, so that no row travels
from one to another."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

_PIECE = 1024 * 1024
"""Bytes from which on a stretch of lines is copied, however long it goes on."""


@contextmanager
def waiting_file(folder: Path) -> Iterator[tuple[int, IO[bytes]]]:
    """This process's file in the folder, to write on at its end; with its number."""
    with _path(folder, os.getpid()).open("ab") as file:
        yield os.getpid(), file


class Waiting:
    """The lines that wait in a folder; at the end of the `with` block none does any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for path in self._folder.glob("rows-*.waiting"):
            path.unlink()

    def stretches(self) -> "Stretches":
        """Takes lines one by one and copies those that lie one after the other together."""
        return Stretches(self.line)

    def line(self, file: int, at: int, size: int) -> bytes:
        """The line, or the lines, of so many bytes that begin there."""
        if file not in self._files:
            self._files[file] = self._stack.enter_context(_path(self._folder, file).open("rb"))
        self._files[file].seek(at)
        return self._files[file].read(size)


class Stretches:
    """Copies lines that wait to where they belong, neighbours that go to the same place in one piece."""

    def __init__(self, read: Callable[[int, int, int], bytes]) -> None:
        """Args: read: gives the bytes of a file (by number), from a place on, so many."""
        self._read = read
        self._file = self._at = self._size = 0
        self._out: IO[bytes] | None = None

    def add(self, file: int, at: int, size: int, out: IO[bytes]) -> None:
        """Copy a line to `out`, now or with those that follow; lines reach each `out` in the order in which they are
        added."""
        follows = out is self._out and file == self._file and at == self._at + self._size
        if not follows or self._size > _PIECE:
            self.flush()
            self._file, self._at, self._out = file, at, out
        self._size += size

    def flush(self) -> None:
        """Copy what was added and is not copied yet."""
        if self._out is not None and self._size:
            self._out.write(self._read(self._file, self._at, self._size))
        self._size = 0


def _path(folder: Path, number: int) -> Path:
    return folder / f"rows-{number}.waiting"
