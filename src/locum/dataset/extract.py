"""Session logs to a dataset folder: the whole way, for whoever needs no more than that."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from locum import home
from locum.dataset import cache, consent
from locum.dataset.build import Options
from locum.dataset.intake import Intake, take_in
from locum.dataset.stats import Stats
from locum.dataset.terms import LOOKED_AT, check
from locum.dataset.write import write_dataset
from locum.parallel import Each, Processes
from locum.progress import Progress, silent
from locum.sessions.discover import Log


class Extraction(msgspec.Struct, frozen=True):
    """What `extract` did."""

    stats: Stats
    intake: Intake


def extract(
    sources: Sequence[Log],
    folder: Path,
    *,
    options: Options | None = None,
    agents: frozenset[str] = frozenset(),
    allow_terms: Sequence[str] = (),
    each: Each | None = None,
    progress: Progress = silent,
    before_writing: Callable[[], None] = lambda: None,
) -> Extraction:
    """Read session logs, and write the dataset that they make.

    Args:
        sources: files, folders (with everything below them), addresses in an object store, or the word `auto`.
        folder: where to write; a dataset that stands there is replaced.
        options: budgets, context, the user's families.
        agents: who the agent is in logs that hold several people; empty: the readers tell by the log.
        allow_terms: providers whose restrictive terms the user takes note of now; it is remembered on this computer.
        each: who reads the logs; None takes worker processes where there is enough to read. Rows are built in these
            either way.
        progress: told how far the reading and the building are.
        before_writing: called when the sources have been read, before anything is written to the folder.

    Raises:
        SourceError: a source does not exist, cannot be read, is a file of no known format, or holds no session.
        DatasetError: the folder is taken, a budget is too small, not one turn became a row, or rows fall under
            restrictive terms that were not allowed.
    """
    salt = home.salt()
    allowed = consent.allowed(allow_terms)
    with cache.opened(salt, agents) as readings, Processes(modules=[__name__]) as processes:
        intake = take_in(sources, readings, salt, progress, each or processes, agents)
        check(Counter(placed.note.model for placed in intake.sessions), allowed, "session")
        before_writing()
        stats = write_dataset(
            folder,
            intake,
            readings,
            salt,
            options=options,
            allowed_terms=allowed,
            progress=progress,
            each=processes,
        )
    consent.remember(allow_terms, datetime.now(UTC).isoformat(timespec="seconds"), LOOKED_AT)
    return Extraction(stats, intake)
