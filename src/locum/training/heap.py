"""How the process keeps its memory while a model is trained: what the defaults of Python and of the C library cost."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
"""Parameters of mallopt(3)."""
_LARGEST = 32 * 2**20
"""The greatest threshold that glibc takes on 64 bits."""
_KEPT = 2**31 - 1
_GROWTH = 64 * 2**20


@contextmanager
def steady_heap() -> Iterator[None]:
    """While it lasts, memory that a step frees stays with the process, and old objects are not looked through.

    glibc gives large blocks back to the system when they are freed, so that each of a step's
    activations is mapped, zeroed and faulted in anew (20,000 page faults a step). The memory stays with the process
    afterwards, too, where `mallopt` is known; elsewhere nothing changes. Python's collector goes through every object
    of the imported libraries each time enough of a step's have been made; they are set aside until the end.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGEST)
            mallopt(_TRIM_THRESHOLD, _KEPT)
            mallopt(_TOP_PAD, _GROWTH)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
