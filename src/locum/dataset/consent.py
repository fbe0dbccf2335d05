"""What the user has said once about terms, kept on this machine: $LOCUM_HOME/terms.json.

A run that was told `--allow-terms anthropic` is not asked for it again, nor is any later one. What was said, and when,
also goes into the card of every dataset that rests on it (`locum.dataset.terms.check`).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum import files
from locum.errors import DatasetError
from locum.home import home_folder


class Consent(msgspec.Struct, frozen=True):
    """That a provider's terms were taken note of."""

    provider: str
    time: str
    """ISO 8601, UTC: the first time it was said."""
    table: str
    """Date of the table of terms that was in force then."""


def consent_file() -> Path:
    """Where it is kept."""
    return home_folder() / "terms.json"


def given() -> tuple[Consent, ...]:
    """What was said so far, in order of saying.

    Raises:
        DatasetError: the file is damaged.
    """
    path = consent_file()
    try:
        return files.read_json(path, tuple[Consent, ...])
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError:
        raise DatasetError(f"{path} is damaged: remove it and pass --allow-terms again") from None


def allowed(now: Sequence[str] = ()) -> tuple[str, ...]:
    """The providers allowed by what is said `now` and by what was said before, sorted; raises as `given`."""
    return tuple(sorted({*now, *(consent.provider for consent in given())}))


def remember(providers: Sequence[str], time: str, table: str) -> None:
    """Keep what was said; what is known already keeps its first time. Nothing is written where nothing is new.

    Raises:
        DatasetError: as `given`.
    """
    before = given()
    known = {consent.provider for consent in before}
    new = tuple(Consent(provider, time, table) for provider in dict.fromkeys(providers) if provider not in known)
    if new:
        files.write_json(consent_file(), (*before, *new))
