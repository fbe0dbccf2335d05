"""The two folders that Locum keeps on this computer, outside of the runs that the user names."""

import os
import re
import secrets
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from locum import files
from locum.errors import DatasetError

_SALT = re.compile(rb"[0-9a-f]{64}")


def cache_folder() -> Path:
    """What can be fetched or converted again, such as bases: $LOCUM_CACHE, else the platform's cache folder."""
    override = os.environ.get("LOCUM_CACHE")
    return Path(override) if override else user_cache_path("locum")


def home_folder() -> Path:
    """What belongs to this user, such as models by name: $LOCUM_HOME, else the platform's data folder."""
    override = os.environ.get("LOCUM_HOME")
    return Path(override) if override else user_data_path("locum")


def salt() -> str:
    """Random text of this computer's own (64 hex digits), made at the first use and readable by the user alone.

    It goes into the hashes of what is redacted: they fit from dataset to dataset here, and nobody else's.

    Raises:
        DatasetError: the file is damaged.
    """
    path = home_folder() / "salt"
    if path.exists():
        return _salt_in(path)
    with files.atomic_path(path) as partial:
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_hex(32), "ascii")
    return _salt_in(path)


def _salt_in(path: Path) -> str:
    found = path.read_bytes().strip()
    if not _SALT.fullmatch(found):  # empty, it would leave the hashes open to whoever tries values out
        raise DatasetError(f"{path} is damaged: remove it, and a new one is made")
    return found.decode("ascii")
