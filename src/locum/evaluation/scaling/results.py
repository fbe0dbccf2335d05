"""What a scaling ladder says: `scaling.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from locum import files
from locum.dataset.store import read_rows
from locum.errors import RunError
from locum.evaluation.scaling.forecast import Forecast
from locum.evaluation.scaling.ladder import Bounds
from locum.types import Row


class Rung(msgspec.Struct, frozen=True):
    """One training of the ladder."""

    fraction: float
    seed: int
    rows: int
    sessions: int
    steps: int
    best_step: int
    seconds: float


class Lever(msgspec.Struct, frozen=True):
    """What a larger base makes of the same rows, in nats for each token of the ladder's own base."""

    loss: float
    loss_band: Bounds
    """80 % band: held-out sessions and seeds resampled."""
    gain: float
    """Loss of the ladder's largest rung less this one."""
    gain_band: Bounds


class Larger(msgspec.Struct, frozen=True, kw_only=True):
    """Trainings of a larger base on all the rows."""

    base: str
    rungs: tuple[Rung, ...]
    all: Lever
    families: Mapping[str, Lever]
    choices: Mapping[str, Lever]


def rows_digest(train: Sequence[Row]) -> str:
    """By which a ladder knows its dataset again: the ids of the training rows."""
    return files.digest([row.id for row in train])


def read_scaling(path: Path, dataset: Path) -> "Scaling":
    """Read a ladder that was run over this dataset.

    Raises:
        RunError: the file is no ladder, or one over other rows.
        DatasetError: the folder is no dataset.
    """
    try:
        found = files.read_json(path, Scaling)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunError(f"{str(path)!r} cannot be read as what `locum scaling` writes ({error})") from None
    if found.dataset != rows_digest(read_rows(dataset, "train")):
        raise RunError(f"{str(path)!r} is a ladder over other rows than {str(dataset)!r}; run `locum scaling` on these")
    return found


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """How the held-out loss fell with rows."""

    base: str
    fractions: tuple[float, ...]
    seeds: int
    rungs: tuple[Rung, ...]
    held_out_rows: int
    held_out_sessions: int
    all: Forecast
    classes: Mapping[str, Forecast]
    families: Mapping[str, Forecast]
    choices: Mapping[str, Forecast]
    """Decisions alone, by family."""
    sessions: Mapping[str, int]
    """Training sessions that hold each family."""
    rows: Mapping[str, int]
    """Training rows of each family."""
    dataset: str
    """Digest of the dataset's rows."""
    seconds: float
    larger: Larger | None = None
    """None where none was asked for."""
