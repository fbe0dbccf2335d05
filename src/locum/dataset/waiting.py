"""Rows that wait on disk until all are known: each process that builds writes a file of its own, so that no row travels
from one to another."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


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

    def line(self, file: int, at: int, size: int) -> bytes:
        """The line of so many bytes that begins there."""
        if file not in self._files:
            self._files[file] = self._stack.enter_context(_path(self._folder, file).open("rb"))
        self._files[file].seek(at)
        return self._files[file].read(size)


def _path(folder: Path, number: int) -> Path:
    return folder / f"rows-{number}.waiting"
