"""ggml's own encoder of blocks, called in the library that this computer has: what K-quants need.

The `gguf` package decodes K-quants and cannot encode them. ggml's C function can, and stands in every build of
llama.cpp: the embedded engine's package (`xllamacpp`) carries one; another is named by $LOCUM_GGML.
Source: `ggml_quantize_chunk` in https://github.com/ggml-org/llama.cpp/blob/master/ggml/include/ggml.h
"""

import ctypes
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from locum.errors import ExportError

VARIABLE = "LOCUM_GGML"
"""The environment variable that names a library (libggml-base.so, .dylib, ggml-base.dll) to take instead."""


def library_path() -> Path | None:
    """The library whose encoder would be used: $LOCUM_GGML, else the one inside the package xllamacpp, else None.

    Raises:
        ExportError: $LOCUM_GGML names a file that is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ExportError(f"{VARIABLE} names {named!r}, which is no file; name a libggml-base, or unset it")
        return Path(named)
    package = importlib.util.find_spec("xllamacpp")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    return next(
        (path for suffix in ("so", "dylib", "pyd") for path in sorted(folder.glob(f"xllamacpp*.{suffix}"))), None
    )


def is_present() -> bool:
    """Whether there is an encoder here."""
    return _encoder(library_path()) is not None


def encode_blocks(rows: npt.NDArray[np.float32], kind: int, row_bytes: int) -> npt.NDArray[np.uint8]:
    """Encode a matrix row by row.

    Args:
        rows: float32 [..., columns], columns a multiple of the type's block size.
        kind: ggml's number of the type.
        row_bytes: what one encoded row takes.

    Returns:
        uint8 [..., row_bytes].

    Raises:
        ExportError: there is no encoder here, or it wrote another number of bytes than the type takes.
    """
    path = library_path()
    encoder = _encoder(path)
    if encoder is None:
        raise ExportError(
            f"no ggml library is here that can write this type (looked in {str(path) if path else 'xllamacpp'!r}); "
            f"name a libggml-base in {VARIABLE}, or choose Q8_0"
        )
    columns = rows.shape[-1]
    flat = np.ascontiguousarray(rows.reshape(-1, columns), dtype=np.float32)
    encoded = np.zeros((len(flat), row_bytes), dtype=np.uint8)
    workers = os.cpu_count() or 1
    cuts = [len(flat) * part // workers for part in range(workers + 1)]

    def encode_part(part: int) -> int:
        source, target = flat[cuts[part] :], encoded[cuts[part] :]
        return int(encoder(kind, source.ctypes.data, target.ctypes.data, 0, cuts[part + 1] - cuts[part], columns, None))

    # Rows are independent, and the interpreter waits for none of them.
    with ThreadPoolExecutor(workers) as pool:
        written = sum(pool.map(encode_part, range(workers)))
    if written != encoded.nbytes:
        raise ExportError(f"the ggml library {str(path)!r} wrote {written} bytes where {encoded.nbytes} were due")
    return encoded.reshape(*rows.shape[:-1], row_bytes)


@lru_cache(maxsize=4)
def _encoder(path: Path | None) -> "ctypes._NamedFuncPointer | None":
    """`size_t ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix)` of a library, if it has one."""
    if path is None:
        return None
    try:
        encoder = ctypes.CDLL(str(path)).ggml_quantize_chunk
    except (OSError, AttributeError):
        return None
    encoder.restype = ctypes.c_size_t
    encoder.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    return encoder
