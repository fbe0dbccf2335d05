"""Rows of a Parquet file, read in a process of their own: `python -m locum.sessions.tracing.parquet FILE` writes them
as JSON lines.

A damaged file can make the library that reads it end its process, or ask for more memory than there is. That must not
be the end of whoever reads a thousand other files, so it happens elsewhere, with a limit on memory where the system
knows one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

MAGIC = b"PAR1"
_BATCH = 4096
"""Rows in memory at a time; fewer would have the same pages unpacked again and again."""
_MEMORY = 4 << 30
_PER_BYTE = 32
"""Times that a file may be larger in memory than on disk, where that is more than `_MEMORY`."""
_FOOTER = 1 << 20
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]+")
_ANY = msgspec.json.Decoder()


class NotParquet(ValueError):
    """The file is cut or damaged, or larger in memory than it may be."""


def columns(path: Path) -> dict[str, str]:
    """The words in a file's footer, among which are its columns' names; the format is not unpacked for it.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _FOOTER, 0))
        footer = file.read()
    length = int.from_bytes(footer[-8:-4], "little") if footer.endswith(MAGIC) else 0
    return dict.fromkeys((name.decode() for name in _NAME.findall(footer[-8 - length : -8])), "")


def rows(path: Path) -> Iterator[Any]:
    """The rows of a file in JSON's types, one at a time in memory; of a damaged one those before the damage.

    Raises:
        NotParquet: it is damaged.
        OSError: no process could be started.
    """
    command = [sys.executable, "-m", __name__, str(path.absolute())]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            for line in child.stdout or ():
                if line.endswith(b"\n"):
                    yield _ANY.decode(line)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise NotParquet("not Parquet: cut, damaged or too large to unpack")


def _limit_memory(path: Path) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    most = max(_MEMORY, _PER_BYTE * path.stat().st_size)
    for what, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _write(path: Path) -> None:
    _limit_memory(path)
    import polars

    encoder = msgspec.json.Encoder()
    at = 0
    while True:
        table = polars.scan_parquet(path, glob=False).slice(at, _BATCH).collect()
        for row in table.iter_rows(named=True):
            sys.stdout.buffer.write(encoder.encode(row) + b"\n")
        at += table.height
        if table.height < _BATCH:
            return


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
