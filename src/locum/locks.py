"""One writer of a folder at a time.

The lock is the operating system's, on an empty file in `LOCUM_HOME/locks` that is named after the folder: it goes with
the process that holds it, however that ends, and nothing lies in the user's folders, which are exchanged as a whole.
So it keeps apart what one user starts on one computer, not what computers write into a folder that they share.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from locum import home
from locum.errors import RunError


@contextmanager
def writing(*folders: Path) -> Iterator[None]:
    """Be the one who writes into the folders, which need not be there yet.

    Raises:
        RunError: another process writes into one of them now.
    """
    from filelock import FileLock, Timeout

    with ExitStack() as locks:
        for folder in folders:
            path = _lock_of(folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                locks.enter_context(FileLock(path, timeout=0))
            except Timeout:
                raise RunError(
                    f"another locum command is writing into {str(folder)!r} now: wait until it has ended, or give "
                    "another folder"
                ) from None
        yield


def is_written(folder: Path) -> bool:
    """Whether another process of this user writes into the folder now."""
    from filelock import FileLock, Timeout

    path = _lock_of(folder)
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _lock_of(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return home.home_folder() / "locks" / f"{name}.lock"
