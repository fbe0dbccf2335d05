"""Reading every file behind the sources, with an account of every line."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import msgspec

from locum.errors import SourceError
from locum.progress import Progress
from locum.sessions.discover import Found, Log, Skipped, discover, distinct_files, real_paths
from locum.sessions.github_reviews.threads import FORMAT as SEVERAL_PEOPLE
from locum.sessions.lineage import distinct_ids, join_lineages
from locum.sessions.object_store import is_address, local, state
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of, readers
from locum.sessions.unread import UNKNOWN, why_unread
from locum.types import BadLine, Lines, Session

_NAMED = 3
"""Reasons that an error names of those for which the files of a folder were left aside."""


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


def read_sources(sources: Sequence[Log], progress: Progress, agents: frozenset[str] = frozenset()) -> SourceReading:
    """Read session logs of any known format into memory; `locum.dataset.intake` does it for more than fits there.

    Args:
        sources: files, folders (with everything below them), addresses in an object store, or the word `auto`.
        progress: told how many bytes of all are read.
        agents: who the agent is in logs that hold several people; empty: the readers tell by the log.

    Raises:
        SourceError: a source does not exist, cannot be read, is a file of no known format, or holds no
        session.
    """
    found = [part for source in sources for part in discover(source)]
    files = distinct_files(found)
    sizes = [file_size(path) for path in files]
    outcomes: dict[Log, FileReading | Skipped] = {}
    for number, (path, done) in enumerate(zip(files, accumulate(sizes), strict=True), 1):
        with local(path) as copy:
            outcomes[path] = read_file(copy, str(path), agents)
        progress("reading sessions", done, sum(sizes), f"{number} of {len(files)} files")
    check_sources(found, outcomes, agents)
    readings = [outcome for outcome in outcomes.values() if isinstance(outcome, FileReading)]
    sessions = join_lineages([session for reading in readings for session in reading.sessions])
    sessions.sort(key=lambda session: session.started or "")
    names = distinct_ids(session.id for session in sessions)
    return SourceReading(
        files=tuple(reading.path for reading in readings),
        sessions=tuple(msgspec.structs.replace(one, id=name) for one, name in zip(sessions, names, strict=True)),
        lines=sum_lines(reading.lines for reading in readings),
        formats=dict(sorted(Counter(reading.format for reading in readings).items())),
        skipped=all_skipped(found, outcomes.values()),
    )


def read_file(
    path: Path, shown: str, agents: frozenset[str] = frozenset(), beginning: bytes | None = None
) -> FileReading | Skipped:
    """Read one file with the reader that recognises it; whatever is wrong with it is a reason, never an exception.

    Args:
        path: the file.
        shown: how it is named in sessions and in accounts.
        agents: who the agent is in logs that hold several people; empty: the readers tell by the log.
        beginning: as in `reader_of`.
    """
    try:
        reader = reader_of(path, readers(agents), beginning)
        if reader is None:
            return Skipped(shown, why_unread(path))
        reading = reader.read(path)
    except OSError as error:
        return Skipped(shown, f"cannot be read: {error.strerror}")
    except Exception as error:  # one file must not stop the others; its content stays out of the reason
        return Skipped(shown, f"cannot be read: {type(error).__name__} in its reader")
    return reading if shown == str(path) else _renamed(reading, str(path), shown)


def _renamed(reading: FileReading, path: str, shown: str) -> FileReading:
    sessions = (
        msgspec.structs.replace(session, source=session.source.replace(path, shown)) for session in reading.sessions
    )
    bad = (msgspec.structs.replace(line, file=shown) for line in reading.lines.bad)
    lines = msgspec.structs.replace(reading.lines, bad=tuple(bad))
    return FileReading(shown, reading.format, tuple(sessions), lines)


def file_size(log: Log) -> int:
    """The size of a log in bytes; 0 where it cannot be told."""
    if is_address(log):
        return max(0, state(log).size)
    try:
        return Path(log).stat().st_size
    except OSError:
        return 0


class Sized(Protocol):
    """What a file was read into, as far as it has to be known here that it holds something."""

    @property
    def format(self) -> str: ...

    @property
    def sessions(self) -> Sequence[object]: ...


def check_sources(
    found: Sequence[Found], outcomes: Mapping[Log, Sized | Skipped], agents: frozenset[str] = frozenset()
) -> None:
    """Refuse a source that holds nothing to learn from.

    Args:
        found: what the sources stand for.
        outcomes: every distinct file of them -> what it was read into.
        agents: who the agent was said to be in logs that hold several people.

    Raises:
        SourceError: a file that was named cannot be read, or a source holds no session.
    """
    by_real_path: dict[str, Sized | Skipped] = {}
    for part in found:
        real = real_paths(part)
        by_real_path.update((at, outcomes[path]) for path, at in zip(part.files, real, strict=True) if path in outcomes)
        _check(part, [by_real_path[at] for at in real], agents)


def _check(part: Found, outcomes: Sequence[Sized | Skipped], agents: frozenset[str]) -> None:
    if part.named and isinstance(outcomes[0], Skipped):
        reason = outcomes[0].reason
        raise SourceError(f"not a session log: {part.source} ({reason}); name a log of a known agent, or auto")
    readings = [outcome for outcome in outcomes if not isinstance(outcome, Skipped)]
    if any(reading.sessions for reading in readings):
        return
    kind = "file" if part.named else "folder"
    if agents and any(reading.format == SEVERAL_PEOPLE for reading in readings):
        names = ", ".join(map(repr, sorted(agents)))
        raise SourceError(
            f"nobody named {names} says anything in this {kind}: {part.source}; write agent.logins in locum.toml as the"
            " logs write the agent's name, or leave it out"
        )
    seen = "" if part.named else f" ({len(outcomes)} files, {len(readings)} of a known format{_known(outcomes)})"
    raise SourceError(f"no session in this {kind}: {part.source}{seen}; name logs in which an agent answered")


def _known(outcomes: Iterable[object]) -> str:
    """What is known of files that were left aside, as it is said to somebody who named only such."""
    reasons = Counter(one.reason for one in outcomes if isinstance(one, Skipped) and one.reason != UNKNOWN)
    return "".join(f"; {count} {reason}" for reason, count in reasons.most_common(_NAMED))


def all_skipped(found: Iterable[Found], outcomes: Iterable[object]) -> tuple[Skipped, ...]:
    """What was found and not read: first what was left aside by its kind, then what no reader could read."""
    unread = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    return (*(skipped for part in found for skipped in part.skipped), *unread)


def sum_lines(accounts: Iterable[Lines]) -> Lines:
    """The account over several files."""
    total = used = 0
    noise: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    bad: list[BadLine] = []
    unlisted = 0
    for lines in accounts:
        total += lines.total
        used += lines.used
        noise.update(lines.noise)
        unknown.update(lines.unknown)
        bad += lines.bad
        unlisted += lines.bad_unlisted
    return Lines(total, used, dict(sorted(noise.items())), dict(sorted(unknown.items())), tuple(bad), unlisted)
