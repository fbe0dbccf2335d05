"""Whether a model file can be served here at all: what it takes in memory, held against what is there.

llama.cpp maps the file, so a file larger than memory loads, and then every token reads it from the disk again; a cache
that does not fit ends the process. Both are said before, in one line.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

from locum.errors import EngineError

_BATCH = 512
"""Tokens that llama.cpp computes at once by default (n_ubatch)."""
_CACHE_BYTES = 2
"""Of one number in the cache of keys and values: a half float."""
_CONTROL_GROUP = Path("/sys/fs/cgroup")


class Need(msgspec.Struct, frozen=True):
    """What serving a model file takes, in bytes."""

    weights: int
    """The file, which stays mapped."""
    context: int
    """Keys and values of every token that prompt and answer may take."""
    work: int
    """What one batch is computed in: the logits of its tokens, and the widest layer's values."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.context + self.work


def need(model: Path, context: int) -> Need:
    """What serving `model` takes.

    Args:
        model: a `.gguf` file; one that cannot be read counts with its size alone, since loading it says why.
        context: tokens that are held at once.
    """
    weights = model.stat().st_size
    try:
        told = _numbers(model)
        arch = next(key.removesuffix(".block_count") for key in told if key.endswith(".block_count"))
        layers, width = told[f"{arch}.block_count"], told[f"{arch}.embedding_length"]
        heads = told[f"{arch}.attention.head_count"]
    except (OSError, ValueError, KeyError, StopIteration, struct.error):
        return Need(weights, 0, 0)
    shared = told.get(f"{arch}.attention.head_count_kv", heads)
    size = width // max(1, heads)
    sizes = told.get(f"{arch}.attention.key_length", size) + told.get(f"{arch}.attention.value_length", size)
    widest = max(told.get(_VOCABULARY, 0), told.get(f"{arch}.feed_forward_length", 0), width)
    return Need(weights, context * layers * shared * sizes * _CACHE_BYTES, 4 * _BATCH * widest)


def available() -> int:
    """Bytes of memory that can be had without swapping, within the limit of the container if there is one."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = int((_CONTROL_GROUP / "memory.max").read_text())  # "max" where there is none
        used = int((_CONTROL_GROUP / "memory.current").read_text())
        told = dict(line.split() for line in (_CONTROL_GROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return free
    # Pages of files count as used and are given up on demand.
    return min(free, limit - used + int(told.get("inactive_file", 0)) + int(told.get("active_file", 0)))


def require_memory(model: Path, context: int, mapped: int = 0, at_once: int = 1) -> None:
    """Refuse a model that this computer cannot hold now.

    Args:
        model: the `.gguf` file.
        context: tokens that prompt and answer may take together.
        mapped: bytes of model files that other engines of this process have open: the system counts them as free.
        at_once: prompts that are continued at once, each with such a context.

    Raises:
        EngineError: it does not fit; the line says what it takes and what is there.
    """
    held = context * at_once
    wanted, there = need(model, held), available() - mapped
    if wanted.total > there:
        fewer = ", or a smaller --at-once" if at_once > 1 else ""
        raise EngineError(
            f"{model.name!r} takes {_gigabytes(wanted.total)} of memory ({_gigabytes(wanted.weights)} of weights, "
            f"{_gigabytes(wanted.context)} for {held:,} tokens, {_gigabytes(wanted.work)} to compute in) and "
            f"{_gigabytes(max(0, there))} are free; close other programs, or take a smaller --quant{fewer}"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UNSIGNED_32, _STRING, _ARRAY = 4, 8, 9
_VOCABULARY = "tokenizer.ggml.tokens"
_LONGEST_TEXT = 1 << 24
"""No chat template or licence is longer; a damaged length must not ask for so much memory."""


def _numbers(model: Path) -> dict[str, int]:
    """The 32-bit numbers in a GGUF file's header, up to the vocabulary and with its size.

    The `gguf` package would first build an object for every word of it, which takes seconds.
    """
    found: dict[str, int] = {}
    with model.open("rb") as file:
        magic, _, _, entries = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF":
            raise ValueError(f"no GGUF file: {magic!r}")
        for _ in range(entries):
            key = _text(file)
            (kind,) = struct.unpack("<I", file.read(4))
            if kind == _UNSIGNED_32:
                (found[key],) = struct.unpack("<I", file.read(4))
            elif kind == _ARRAY:
                found |= _array(file, key)
                if key == _VOCABULARY:
                    break
            elif kind == _STRING:
                _text(file)
            else:
                file.seek(_SIZES[kind], 1)
    return found


def _array(file: BinaryIO, key: str) -> dict[str, int]:
    """What an array says: the size of the vocabulary, or its largest number (heads may differ by layer)."""
    kind, length = struct.unpack("<IQ", file.read(12))
    if key == _VOCABULARY:
        return {key: length}
    if kind == _STRING:
        for _ in range(length):
            (size,) = struct.unpack("<Q", file.read(8))
            file.seek(size, 1)
        return {}
    raw = file.read(_SIZES[kind] * length)
    return {key: max(struct.unpack(f"<{length}I", raw), default=0)} if kind in (4, 5) and length < 1000 else {}


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<Q", file.read(8))
    if size > _LONGEST_TEXT:
        raise ValueError(f"a text of {size} bytes")
    return file.read(size).decode("utf-8", "replace")
