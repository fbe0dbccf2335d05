"""Reading every file behind the sources into one list of sessions, with an account of every line."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import msgspec

from locum.errors import SourceError
from locum.progress import Progress
from locum.sessions.discover import Found, Skipped, discover, distinct_files
from locum.sessions.lineage import distinct_ids, join_lineages
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import BadLine, Lines, Session

_WORTH_A_POOL = 256 * 1024 * 1024
"""Bytes below which starting processes and handing sessions over costs about what it saves: one core reads
about 100 MB a second."""
_Outcome = FileReading | Skipped


class SourceReading(msgspec.Struct, frozen=True):
    """Everything that the sources hold."""

    files: tuple[str, ...]
    """The files that a reader recognised, in the order in which they were found."""
    sessions: tuple[Session, ...]
    """By the time they started (those without a time first), then in file order."""
    lines: Lines
    """The account over all files."""
    formats: dict[str, int]
    """Format name -> number of files."""
    skipped: tuple[Skipped, ...]
    """What was found under the sources and not read, with the reason."""


def read_sources(sources: Sequence[Path | str], progress: Progress, workers: int | None = None) -> SourceReading:
    """Read session logs of any known format.

    Args:
        sources: files, folders (with everything below them) or the word `auto`.
        progress: told how many bytes of all are read.
        workers: processes to read with, at least 1; None takes one a core where there is enough to read.

    Raises:
        SourceError: a source does not exist, cannot be read, is a file of no known format, or holds no
        session.
    """
    found = [part for source in sources for part in discover(source)]
    files = distinct_files(found)
    outcomes = dict(zip(files, _read_all(files, progress, workers), strict=True))
    by_real_path = {os.path.realpath(path): outcome for path, outcome in outcomes.items()}
    for part in found:
        _check(part, [by_real_path[os.path.realpath(path)] for path in part.files])
    readings = [outcome for outcome in outcomes.values() if isinstance(outcome, FileReading)]
    unread = [outcome for outcome in outcomes.values() if isinstance(outcome, Skipped)]
    sessions = join_lineages([session for reading in readings for session in reading.sessions])
    return SourceReading(
        files=tuple(reading.path for reading in readings),
        sessions=tuple(distinct_ids(sorted(sessions, key=lambda session: session.started or ""))),
        lines=_sum(reading.lines for reading in readings),
        formats=dict(sorted(Counter(reading.format for reading in readings).items())),
        skipped=(*(skipped for part in found for skipped in part.skipped), *unread),
    )


def read_file(path: Path) -> FileReading | Skipped:
    """Read one file with the reader that recognises it; whatever is wrong with it is a reason, never an
    exception.
    """
    try:
        reader = reader_of(path)
        return Skipped(str(path), "no known session format") if reader is None else reader.read(path)
    except OSError as error:
        return Skipped(str(path), f"cannot be read: {error.strerror}")
    except Exception as error:  # one file must not stop the others; its content stays out of the reason
        return Skipped(str(path), f"cannot be read: {type(error).__name__} in its reader")


def _read_all(files: Sequence[Path], progress: Progress, workers: int | None) -> Iterator[_Outcome]:
    sizes = [_size(path) for path in files]
    total = sum(sizes)
    if workers is None:
        workers = (os.cpu_count() or 1) if total >= _WORTH_A_POOL else 1
    workers = min(workers, len(files))
    outcomes = _in_processes(files, workers) if workers > 1 else map(read_file, files)
    done = 0
    for number, (outcome, size) in enumerate(zip(outcomes, sizes, strict=True), 1):
        done += size
        progress("reading sessions", done, total, f"{number} of {len(files)} files")
        yield outcome


def _in_processes(files: Sequence[Path], workers: int) -> Iterator[_Outcome]:
    # Spawned, not forked: whoever shows the progress may have threads, and a forked child can lock up on
    # theirs.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    chunk = max(1, min(16, len(files) // (4 * workers)))
    read = 0
    try:
        for recognised, raw in pool.map(_read_encoded, map(str, files), chunksize=chunk):
            if recognised:
                yield msgspec.json.decode(raw, type=FileReading)
            else:
                yield msgspec.json.decode(raw, type=Skipped)
            read += 1
    except BrokenProcessPool:  # a worker was killed, or could not start where this is called from
        yield from map(read_file, files[read:])
    finally:
        pool.shutdown(cancel_futures=True)


def _read_encoded(path: str) -> tuple[bool, bytes]:
    """Read a file in a worker; as JSON its sessions travel faster than pickled."""
    outcome = read_file(Path(path))
    return isinstance(outcome, FileReading), msgspec.json.encode(outcome)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _check(part: Found, outcomes: Sequence[_Outcome]) -> None:
    """Refuse a source that holds nothing to learn from."""
    if part.named and isinstance(outcomes[0], Skipped):
        reason = outcomes[0].reason
        raise SourceError(f"not a session log: {part.source} ({reason}); name a log of a known agent, or auto")
    if any(isinstance(outcome, FileReading) and outcome.sessions for outcome in outcomes):
        return
    kind = "file" if part.named else "folder"
    read = sum(isinstance(outcome, FileReading) for outcome in outcomes)
    seen = "" if part.named else f" ({len(outcomes)} files, {read} of a known format)"
    raise SourceError(f"no session in this {kind}: {part.source}{seen}; name logs in which an agent answered")


def _sum(accounts: Iterable[Lines]) -> Lines:
    total = used = 0
    noise: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    bad: list[BadLine] = []
    for lines in accounts:
        total += lines.total
        used += lines.used
        noise.update(lines.noise)
        unknown.update(lines.unknown)
        bad += lines.bad
    return Lines(total, used, dict(sorted(noise.items())), dict(sorted(unknown.items())), tuple(bad))
