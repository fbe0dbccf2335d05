"""How long training took on this computer, and how well that was foretold: LOCUM_HOME/timings/."""

from pathlib import Path
from statistics import median

import msgspec

from locum import files
from locum.home import home_folder


class Promise(msgspec.Struct, frozen=True):
    """What a plan said of one training."""

    tokens: int
    """All tokens of the planned steps."""
    seconds: float | None
    """None where nothing had been timed on this computer yet."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One finished training."""

    base: str
    device: str
    dtype: str
    tokens: int
    seconds: float
    promise: Promise | None = None


class Speed(msgspec.Struct, frozen=True):
    """What past trainings of a base on this computer say."""

    tokens_per_second: float
    runs: int


class Accuracy(msgspec.Struct, frozen=True):
    """How past promises of time were kept."""

    runs: int
    ratio: float
    """Median of real over promised seconds. Below 1 also where held-out loss ended a run early."""


def promise(key: str, made: Promise) -> None:
    """Keep what a plan said, until the training of this key is done.

    Args:
        key: digest of rows, base and options.
        made: what was said.
    """
    files.write_json(_folder() / "promised" / f"{key}.json", made)


def keep(key: str, timing: Timing) -> None:
    """Note a finished training, with what was promised of it. A later one of the same key takes its place."""
    promised = _folder() / "promised" / f"{key}.json"
    made = files.read_json(promised, Promise) if promised.is_file() else None
    files.write_json(_folder() / "done" / f"{key}.json", msgspec.structs.replace(timing, promise=made))


def speed(base: str) -> Speed | None:
    """Median speed of past trainings of this base; None where there was none."""
    past = [timing for timing in _past() if timing.base == base and timing.seconds > 0]
    if not past:
        return None
    return Speed(median(timing.tokens / timing.seconds for timing in past), len(past))


def accuracy() -> Accuracy | None:
    """How well promises were kept; None where none came to pass."""
    ratios = [
        timing.seconds / timing.promise.seconds for timing in _past() if timing.promise and timing.promise.seconds
    ]
    return Accuracy(len(ratios), median(ratios)) if ratios else None


def _folder() -> Path:
    return home_folder() / "timings"


def _past() -> list[Timing]:
    found = []
    for path in sorted((_folder() / "done").glob("*.json")):
        try:
            found.append(files.read_json(path, Timing))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # A note about speed that something damaged is worth no error: the next training writes another.
            continue
    return found
