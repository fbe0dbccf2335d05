"""Many short byte strings in few files: a file for each would cost more than what it holds, in time and on the disk.

    FOLDER/  00000001.SUFFIX  00000002.SUFFIX ...

A file holds what was kept together: how long the list is that follows, the list of names and sizes, then the byte
strings one after the other. What is kept under a name counts before everything under the same name in a file of a lower
number. One process at a time keeps and prunes.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path

import msgspec

_LENGTH = 8


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a byte string lies."""

    path: str
    at: int
    size: int

    def read(self) -> bytes:
        """It, as far as the file has it.

        Raises:
            OSError: the file cannot be read.
        """
        return read(self.path, self.at, self.size)


class _Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: bytes
    size: int


class Bundles:
    """The byte strings in one folder, by name.

    Args:
        folder: need not be there yet.
        suffix: of the files' names.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix
        self._places: dict[bytes, Place] = {}
        self._last = 0
        self._look()

    def place(self, name: bytes) -> Place | None:
        """Where what is kept under the name lies; None where nothing is."""
        return self._places.get(name)

    def keep(self, values: Mapping[bytes, bytes]) -> None:
        """Keep byte strings under their names, together."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._last += 1
        path = self._folder / f"{self._last:08}{self._suffix}"
        _write(path, {name: len(value) for name, value in values.items()}, values.values())
        self._places |= _contents(path)

    def prune(self, wanted: Callable[[bytes], bool]) -> None:
        """Remove what does not count any more and what is not wanted, and every other file of the folder."""
        for path in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            contents = _contents(path) if path.suffix == self._suffix else {}
            left = {name: place for name, place in contents.items() if self._places.get(name) == place and wanted(name)}
            if not left:
                path.unlink()
            elif len(left) < len(contents):
                _write(path, {name: place.size for name, place in left.items()}, map(Place.read, left.values()))
        self._look()

    def _look(self) -> None:
        found = [path for path in self._folder.glob(f"*{self._suffix}") if path.stem.isdecimal()]
        found.sort(key=lambda path: int(path.stem))
        self._last = int(found[-1].stem) if found else 0
        self._places = {name: place for path in found for name, place in _contents(path).items()}


def read(path: str, at: int, size: int) -> bytes:
    """So many bytes of a file from there, or as many as there are.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(at)
        return file.read(size)


def _write(path: Path, sizes: Mapping[bytes, int], values: Iterable[bytes]) -> None:
    head = msgspec.msgpack.encode([_Part(name, size) for name, size in sizes.items()])
    # Not `files.atomic_path`, which looks through the folder for leftovers each time; here pruning takes them.
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(len(head).to_bytes(_LENGTH, "big") + head)
        file.writelines(values)
    os.replace(partial, path)


def _contents(path: Path) -> dict[bytes, Place]:
    """What a file lists; nothing where it has no whole list."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "big")
            parts = msgspec.msgpack.decode(file.read(length), type=list[_Part])
    except (OSError, msgspec.MsgspecError, OverflowError, MemoryError):
        return {}
    ends = accumulate((part.size for part in parts), initial=_LENGTH + length)
    return {part.name: Place(str(path), at, part.size) for part, at in zip(parts, ends, strict=False)}
