"""Sessions in memory to a dataset folder and back, for the tests of this room."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum.dataset import Options, Stats, read_drops, read_rows, read_stats
from locum.dataset.cache import Readings, stamp
from locum.dataset.intake import Intake, put_in_order, redact_reading
from locum.dataset.redaction import Redactions, Redactor, mark
from locum.dataset.split import SPLITS
from locum.dataset.store import read_redactions
from locum.dataset.write import write_dataset
from locum.sessions.reader import FileReading
from locum.types import Drop, Lines, Row, Session, Split

SALT = "salt"
NO_LINES = Lines()


class Dataset(msgspec.Struct, frozen=True):
    """Everything that a dataset folder holds."""

    rows: dict[Split, tuple[Row, ...]]
    drops: tuple[Drop, ...]
    stats: Stats
    redactions: Redactions


def intake_of(readings: Readings, sessions: Sequence[Session], lines: Lines = NO_LINES, salt: str = SALT) -> Intake:
    """The sessions as if they were the content of one log."""
    log = Path("log.jsonl")
    reading = FileReading(str(log), "claude_code", tuple(sessions), lines)
    packed = redact_reading(reading, Redactor(salt, mark), "0" * 64, (stamp(str(log)),), 0)
    [note] = readings.keep({log: packed})
    return put_in_order({log: note})


def write(folder: Path, sessions: Sequence[Session], lines: Lines = NO_LINES, options: Options | None = None) -> Stats:
    """Write the dataset that the sessions make."""
    with tempfile.TemporaryDirectory() as place:
        readings = Readings(Path(place))
        return write_dataset(folder, intake_of(readings, sessions, lines), readings, SALT, options=options)


def read(folder: Path) -> Dataset:
    """What stands in a dataset folder."""
    rows = {split: tuple(read_rows(folder, split)) for split in SPLITS}
    return Dataset(rows, tuple(read_drops(folder)), read_stats(folder), read_redactions(folder))


def build(*sessions: Session, lines: Lines = NO_LINES, options: Options | None = None) -> Dataset:
    """Write and read back."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "dataset"
        write(folder, sessions, lines, options)
        return read(folder)
