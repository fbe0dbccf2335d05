"""Session logs to a dataset folder: the whole way, for whoever needs no more than that."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from locum import home
from locum.dataset import cache
from locum.dataset.build import Options
from locum.dataset.intake import Intake, take_in
from locum.dataset.stats import Stats
from locum.dataset.write import write_dataset
from locum.progress import Progress, silent


class Extraction(msgspec.Struct, frozen=True):
    """What `extract` did."""

    stats: Stats
    intake: Intake


def extract(
    sources: Sequence[Path | str],
    folder: Path,
    *,
    options: Options | None = None,
    progress: Progress = silent,
    before_writing: Callable[[], None] = lambda: None,
) -> Extraction:
    """Read session logs, and write the dataset that they make.

    Args:
        sources: files, folders (with everything below them) or the word `auto`.
        folder: where to write; a dataset that stands there is replaced.
        options: budgets.
        progress: told how far the reading and the building are.
        before_writing: called when the sources have been read, before anything is written to the folder.

    Raises:
        SourceError: a source does not exist, cannot be read, is a file of no known format, or holds no session.
        DatasetError: the folder is taken, a budget is too small, or not one turn became a row.
    """
    salt = home.salt()
    with cache.opened(salt) as readings:
        intake = take_in(sources, readings, salt, progress)
        before_writing()
        stats = write_dataset(folder, intake, readings, salt, options=options, progress=progress)
    return Extraction(stats, intake)
