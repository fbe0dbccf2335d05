"""Sources to redacted sessions on disk, in the order in which a dataset is built from them.

Memory holds a short note of every session, never the sessions: each log is read by a worker of its own, redacted
there, and put away compressed (`locum.dataset.cache`). What comes out does not depend on how many workers there were
or where they ran.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import zstandard

from locum import files
from locum.dataset.build import model_of
from locum.dataset.cache import Frame, LogNote, Readings, SessionNote, Stamp, pack, stamp
from locum.dataset.redaction import Redactor, mark, marks_in
from locum.dataset.split import in_order, start_of
from locum.parallel import Each, here, suited
from locum.progress import Progress
from locum.sessions.discover import Log, Skipped, discover, distinct_files
from locum.sessions.lineage import distinct_ids, lineages, member
from locum.sessions.object_store import local
from locum.sessions.read import all_skipped, check_sources, file_size, read_file, sum_lines
from locum.sessions.reader import FileReading
from locum.types import BadLine, Lines

_BATCH = 1024 * 1024
"""Bytes of logs that are read together."""
_PIECE = 1 << 17
"""Bytes of a log that are read at first, to be recognised and hashed; more than `registry.BEGINNING`."""
_LEVEL = 1
"""Of compression: what is written is read once, soon."""


class _Writers(threading.local):
    """What writes sessions: each takes longer to make than a short session takes it, and serves one thread."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.encode = msgspec.json.Encoder().encode


_writers = _Writers()


class Placed(msgspec.Struct, frozen=True):
    """A session and its place among all others."""

    id: str
    """Distinct: copies of a session have `@2`, `@3`, ... behind it."""
    lineage: str
    log: int
    """Which of the logs holds it."""
    note: SessionNote


class Intake(msgspec.Struct, frozen=True):
    """Everything that the sources hold."""

    logs: tuple[Log, ...]
    """The files that a reader recognised, in the order in which they were found."""
    notes: tuple[LogNote, ...]
    """One of each log."""
    sessions: tuple[Placed, ...]
    """By the start of their lineage, then by their own (those without a time first)."""
    ordered_by: Literal["time", "appearance"]
    untimed: int
    """Lineages without any time."""
    skipped: tuple[Skipped, ...]
    """What was found under the sources and not read, with the reason."""

    @property
    def lines(self) -> Lines:
        """The account over all files; bad lines by the name of their file, which may hold marks."""
        return sum_lines(note.lines for note in self.notes)

    @property
    def formats(self) -> dict[str, int]:
        """Format -> number of files."""
        return dict(sorted(Counter(note.format for note in self.notes).items()))

    @property
    def redactions(self) -> Counter[str]:
        """Type -> how often a value of it was replaced."""
        return sum((Counter(note.redactions) for note in self.notes), Counter())

    @property
    def bytes(self) -> int:
        """Size of all logs."""
        return sum(note.stamps[0].size for note in self.notes)

    @property
    def sha256(self) -> str:
        """Digest of the logs' contents in the order in which they were found."""
        return files.digest([note.sha256 for note in self.notes])


def take_in(
    sources: Sequence[Log],
    readings: Readings,
    salt: str,
    progress: Progress,
    each: Each = here,
    agents: frozenset[str] = frozenset(),
) -> Intake:
    """Read, redact and put away every session of the sources; only logs that changed are read.

    Args:
        sources: files, folders (with everything below them), addresses in an object store, or the word `auto`.
        readings: where the sessions are put, and those of unchanged logs are found.
        salt: goes into the hashes of what is redacted.
        progress: told how many bytes of all are read.
        each: who reads.
        agents: who the agent is in logs that hold several people; empty: the readers tell by the log.

    Raises:
        SourceError: a source does not exist, cannot be read, is a file of no known format, or holds no session.
    """
    found = [part for source in sources for part in discover(source)]
    logs = distinct_files(found)
    known = {log: note for log in logs if (note := readings.find(log)) is not None}
    sizes = {log: file_size(log) for log in logs if log not in known}
    done = sum(note.stamps[0].size for note in known.values())
    total = done + sum(sizes.values())
    progress("reading sessions", done, total, f"{len(known)} of {len(logs)} files")
    read: dict[Log, LogNote | Skipped] = {}
    batches = _batches(sizes)
    take = suited(each, sum(sizes.values()))(partial(take_in_logs, salt=salt, agents=agents), batches)
    for batch, taken in zip(batches, take, strict=True):
        outcomes_of = dict(zip(batch, taken, strict=True))
        read |= {log: outcome for log, outcome in outcomes_of.items() if isinstance(outcome, Skipped)}
        packed = {log: outcome for log, outcome in outcomes_of.items() if isinstance(outcome, bytes)}
        read |= zip(packed, readings.keep(packed), strict=True)
        done += sum(sizes[log] for log in batch)
        progress("reading sessions", done, total, f"{len(known) + len(read)} of {len(logs)} files")
    outcomes = {log: known.get(log) or read[log] for log in logs}
    check_sources(found, outcomes, agents)
    return put_in_order(outcomes, all_skipped(found, outcomes.values()))


def _batches(sizes: Mapping[Log, int]) -> list[list[Log]]:
    """Logs in their order, small ones together, so that handing them over costs little beside reading them."""
    batches: list[list[Log]] = []
    room = 0
    for log, size in sizes.items():
        if not batches or size > room:
            batches.append([])
            room = _BATCH
        batches[-1].append(log)
        room -= size
    return batches


def take_in_logs(logs: Sequence[Log], salt: str, agents: frozenset[str] = frozenset()) -> list[bytes | Skipped]:
    """`take_in_log` for each of several."""
    return [take_in_log(log, salt, agents) for log in logs]


def take_in_log(
    log: Log, salt: str, agents: frozenset[str] = frozenset(), redactor: Redactor | None = None
) -> bytes | Skipped:
    """Read and redact one log.

    Args:
        log: where it is.
        salt: goes into the hashes.
        agents: who the agent is in logs that hold several people; empty: the readers tell by the log.
        redactor: writes marks; None: a new one.

    Returns:
        what `cache.pack` makes of it, with marks where secrets were; or why it was not read.
    """
    before = stamp(log)
    now = time.time_ns()
    try:
        with local(log) as path, path.open("rb") as file:
            beginning = file.read(_PIECE)
            reading = read_file(path, str(log), agents, beginning)
            if isinstance(reading, Skipped):
                return reading
            sha256 = hashlib.file_digest(file, lambda: hashlib.sha256(beginning)).hexdigest()
    except OSError as error:
        return Skipped(str(log), f"cannot be read: {error.strerror or type(error).__name__}")
    stamps = (before, *map(stamp, reading.beside))
    return redact_reading(reading, redactor or Redactor(salt, mark), sha256, stamps, now)


def redact_reading(
    reading: FileReading, redactor: Redactor, sha256: str, stamps: tuple[Stamp, ...], read: int
) -> bytes:
    """What `cache.pack` makes of a reading, with marks where secrets were.

    Args:
        reading: what one log holds.
        redactor: writes marks.
        sha256: of the log's bytes.
        stamps: of the log and of what was looked at beside it.
        read: when it was read, in nanoseconds since 1970.
    """
    frames: list[bytes] = []
    notes: list[SessionNote] = []
    at = 0
    for session in reading.sessions:
        redacted = redactor.session(session)
        raw = redactor.without_forged_marks(_writers.encode(redacted))
        frame = _writers.compress(raw)
        about = member(redacted), start_of(session), model_of(redacted)
        notes.append(SessionNote(*about, at, len(frame), len(raw), marks_in(raw)))
        frames.append(frame)
        at += len(frame)
    # A log's folder names its owner; the file's own name is enough to find the line.
    bad = tuple(
        BadLine(redactor.text(Path(line.file).name), line.line, redactor.text(line.reason))
        for line in reading.lines.bad
    )
    note = LogNote(
        format=reading.format,
        lines=msgspec.structs.replace(reading.lines, unknown=_redacted(reading.lines.unknown, redactor), bad=bad),
        sha256=sha256,
        sessions=tuple(notes),
        redactions=dict(redactor.counts),
        stamps=stamps,
        read=read,
    )
    return pack(note, frames)


def _redacted(kinds: Mapping[str, int], redactor: Redactor) -> dict[str, int]:
    """Counts of kinds that no reader knows: what they are called stands in the log alone."""
    counts: Counter[str] = Counter()
    for kind, count in kinds.items():
        counts[redactor.text(kind)] += count
    return dict(counts)


def put_in_order(outcomes: Mapping[Log, LogNote | Skipped], skipped: tuple[Skipped, ...] = ()) -> Intake:
    """Put the sessions of all logs in order.

    Args:
        outcomes: every log, in the order in which they were found -> what it was read into.
        skipped: what was not read.
    """
    read = {log: note for log, note in outcomes.items() if isinstance(note, LogNote)}
    held = [(log, session) for log, note in enumerate(read.values()) for session in note.sessions]
    joined = lineages([session.member for _, session in held])
    order, ordered_by, untimed = in_order(
        [(lineage, session.time) for lineage, (_, session) in zip(joined, held, strict=True)]
    )
    names = distinct_ids(held[at][1].member.id for at in order)
    placed = (Placed(name, joined[at], *held[at]) for name, at in zip(names, order, strict=True))
    return Intake(tuple(read), tuple(read.values()), tuple(placed), ordered_by, untimed, skipped)


def stored_sessions(intake: Intake, readings: Readings) -> Iterator[tuple[Placed, Frame]]:
    """Every session of an intake in its order, and where it lies."""
    for placed in intake.sessions:
        yield placed, readings.frame(intake.logs[placed.log], placed.note)
