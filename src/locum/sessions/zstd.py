"""Logs that an agent has compressed with zstd: the lines of such a file, and the head by which it is recognised.

A frame may unfold to any size and may lie about it, so it is read as a stream and up to a bound.
"""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard

from locum.sessions.jsonl import HEAD, numbered_lines
from locum.sessions.ledger import Ledger

MAGIC = b"\x28\xb5\x2f\xfd"
"""How a frame begins."""
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes that a file may unfold to; logs become about ten times smaller, so it is one of some 25 MB."""
_MAX_RATIO = 300
"""Times its size that a file may unfold to, where that is more than `_SMALL`; logs reach a tenth of it."""
_SMALL = 8 * 1024 * 1024
_MAX_MEMORY = 32 * 1024 * 1024
"""Bytes of history that a frame may ask the decompressor to keep."""
_CHUNK = 1 << 18


def unpacked_head(head: bytes) -> bytes:
    """The beginning of what a compressed file holds, `HEAD` bytes at most; of any other file its own."""
    if not head.startswith(MAGIC):
        return head
    unpacked = b""
    try:
        with _stream(BytesIO(head)) as stream:
            while len(unpacked) < HEAD and (piece := stream.read1(HEAD)):
                unpacked += piece
    except (zstandard.ZstdError, MemoryError):
        pass
    return unpacked[:HEAD]


def lines_of(path: Path, ledger: Ledger) -> Iterator[tuple[int, bytes]]:
    """The lines of a log with their numbers from 1, as `numbered_lines` gives them, whether compressed or not.

    What is damaged, cut or too large goes to the ledger as one bad line after those before it.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            yield from numbered_lines(path)
            return
        file.seek(0)
        number = 1
        open_line: list[bytes] = []
        for chunk in _chunks(file):
            if isinstance(chunk, str):
                ledger.bad(number, chunk)
                return
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                yield number, b"".join((*open_line, line)).strip()
                number += 1
                open_line = []
            open_line.append(rest)
        if any(open_line):
            yield number, b"".join(open_line).strip()


def _chunks(file: BinaryIO) -> Iterator[bytes | str]:
    """What a compressed file holds, piece by piece; where it does not go on, the reason comes last."""
    read = 0
    bound = min(MAX_UNPACKED, max(_SMALL, _MAX_RATIO * os.fstat(file.fileno()).st_size))
    try:
        promised = zstandard.get_frame_parameters(file.read(1 << 10)).content_size
        file.seek(0)
        with _stream(file) as stream:
            while chunk := stream.read1(_CHUNK):  # `read` loses what comes before the damage
                read += len(chunk)
                if read > bound:
                    yield f"more than {bound >> 20} MiB when unpacked"
                    return
                yield chunk
    except (zstandard.ZstdError, MemoryError):
        yield "damaged zstd"
        return
    if promised != zstandard.CONTENTSIZE_UNKNOWN and read < promised:
        yield "cut zstd"


def _stream(file: BinaryIO) -> zstandard.ZstdDecompressionReader:
    return zstandard.ZstdDecompressor(max_window_size=_MAX_MEMORY).stream_reader(file, read_across_frames=True)
