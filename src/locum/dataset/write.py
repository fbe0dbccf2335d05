"""Sessions in order to a dataset folder, written as a whole or not at all.

Each session is built by itself (`locum.dataset.build`), in as many processes as there are; here is what concerns all
of them together, in the order of time: of a copy the first stays, of equal rows the first stays, lineages are split
forward in time, and of nearly equal rows those in a later split go. Rows wait on disk until all are known, so memory
holds a note of each and never its text.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from locum import __version__, files
from locum.dataset.build import Built, BuiltSession, Made, Options, build_session, excerpt
from locum.dataset.cache import Frame, Readings, code
from locum.dataset.card import card
from locum.dataset.contrast import Contrast
from locum.dataset.documents import Documents
from locum.dataset.intake import Intake, stored_sessions
from locum.dataset.near_duplicates import Signature, Signed, both_signatures, clusters, leaks
from locum.dataset.notes import notes
from locum.dataset.redaction import Numbering, Redactions, replace_marks
from locum.dataset.split import SPLITS, assign, seconds_of
from locum.dataset.stats import Calls, LineCounts, Stats
from locum.dataset.store import CONTRASTS, DOCUMENTS, decode_row, redactions_file
from locum.dataset.terms import check, under
from locum.dataset.waiting import Waiting, waiting_file
from locum.errors import DatasetError
from locum.parallel import Each, here, suited
from locum.progress import Progress, silent
from locum.types import Drop, Lines, Session, Split

_BATCH = 512 * 1024
"""Bytes of sessions that are built together."""


class _Item(msgspec.Struct, frozen=True):
    """A session that is to be built."""

    frame: Frame
    placeholders: dict[str, str]
    """Of the marks in it."""
    id: str
    lineage: str
    size: int
    """Bytes of its JSON."""


class _Done(msgspec.Struct, frozen=True, array_like=True):
    """A session that has been built, its rows waiting on disk."""

    built: BuiltSession
    """Without the lines and texts of its rows."""
    at: int
    """Where in the file of the batch its first row begins."""
    sizes: tuple[int, ...]
    """Bytes of its rows."""
    signatures: tuple[tuple[Signature, Signature], ...]
    """Theirs, to cluster and to look for leaks by."""


def write_dataset(
    folder: Path,
    intake: Intake,
    readings: Readings,
    salt: str,
    *,
    options: Options | None = None,
    allowed_terms: Sequence[str] = (),
    progress: Progress = silent,
    each: Each = here,
) -> Stats:
    """Build and write a dataset; one that stands in the folder is replaced.

    Args:
        folder: where to write.
        intake: the sessions, in order.
        readings: where they lie.
        salt: what their redactions were hashed with.
        options: budgets.
        allowed_terms: providers whose restrictive terms the user has taken note of.
        progress: told after every batch of sessions.
        each: who builds.

    Returns:
        the numbers, as they stand in `stats.json`.

    Raises:
        DatasetError: there is a file, or a folder that is no dataset and not empty, of that name; a budget is too
        small; not one turn became a row; or rows fall under restrictive terms that were not allowed.
    """
    options = options or Options()
    options.check()
    if folder.exists() and not (folder / "stats.json").is_file() and not _is_empty(folder):
        raise DatasetError(f"{folder} exists and is no dataset: give another folder")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise DatasetError(f"{folder} is the folder you are in, and is exchanged as a whole: give another folder")
    numbering = Numbering()
    with files.atomic_path(folder) as partly, ExitStack() as stack:
        partly.mkdir()
        if files.written_elsewhere(folder):
            raise DatasetError(f"{folder} is being written by another extraction: wait for its end, or name another")
        drops, taken_back = partly / "drops.jsonl", partly / "contrast.waiting"
        signed = Signed(stack.enter_context(tempfile.TemporaryFile(dir=partly)))
        with drops.open("wb") as drops_out, taken_back.open("wb") as contrasts_out:
            ledger = _Ledger(drops_out, contrasts_out, signed)
            sessions = 0
            build = partial(_build, options=options, folder=partly)
            items = _batches(_numbered(intake, readings, numbering))
            # Closed before the folder goes, if something is amiss: nobody may still write into it.
            with closing(suited(each, intake.bytes)(build, items)) as batches:
                for batch in batches:
                    file, batch_done = msgspec.msgpack.decode(batch, type=tuple[int, list[_Done]])
                    for done in batch_done:
                        ledger.add(done, file)
                    sessions += len(batch_done)
                    progress("building rows", sessions, len(intake.sessions), f"{len(ledger.rows)} rows")
        if not ledger.rows:
            raise DatasetError(_nothing(len(intake.sessions), ledger))
        of_lineage = assign(Counter(row.lineage for row in ledger.rows))
        split_of = _settle(ledger.rows, ledger.signatures, of_lineage)
        ledger.signatures.clear()
        with Waiting(partly) as waiting, drops.open("ab") as drops_out:
            _divide(partly, waiting, drops_out, ledger, split_of)
        files.write_jsonl(partly / CONTRASTS, _placed(taken_back, of_lineage))
        taken_back.unlink()
        files.write_jsonl(partly / DOCUMENTS, ledger.documents.all())
        stats = _stats(intake, ledger, split_of, numbering, options)
        terms = check(stats.models, allowed_terms)
        progress("looking for leaks", 0, 1)
        stats = msgspec.structs.replace(
            stats,
            leaks=len({leak.row for leak in leaks(partly, signed)}),
            allowed_terms=tuple(sorted(under(stats.models) & set(allowed_terms))),
        )
        progress("looking for leaks", 1, 1)
        files.write_text(partly / "README.md", card(stats, provenance=_provenance(intake), terms=terms))
        files.write_json(partly / "stats.json", stats)
        _write_redactions(folder, Redactions(salt, tuple(numbering.values)))
    return stats


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """A row that waits to be settled: as little as there can be of it, since there is one for every row."""

    lineage: str
    session: str
    file: int
    at: int
    size: int
    """Bytes of its line."""
    family: str
    tier: str
    model: str
    shortened: bool


class _Ledger:
    """What became of every turn, session after session."""

    def __init__(self, drops_out: IO[bytes], contrasts_out: IO[bytes], signed: Signed) -> None:
        self.rows: list[_Waiting] = []
        self.signatures = bytearray()
        """Those of all rows to cluster them by, one after the other."""
        self.drops: Counter[str] = Counter()
        self.documents = Documents()
        self.usage: dict[str, Calls] = {}
        """"provider/model" -> what its turns took."""
        self.latest: dict[str, str] = {}
        """Lineage -> the time of its last row."""
        self.turns = self.narration = self.without_turns = self.contrasts = 0
        self._drops_out, self._contrasts_out, self._signed = drops_out, contrasts_out, signed
        self._seen: set[int] = set()
        self._contents: set[bytes] = set()

    def add(self, done: _Done, file: int) -> None:
        """Add the turns of the next session, whose rows wait in the file of this number."""
        built, at = done.built, done.at
        self.turns += len(built.turns)
        self.without_turns += not built.turns
        rows = len(self.rows)
        of_rows = zip(done.sizes, done.signatures, strict=True)
        for turn in built.turns:
            self.narration += turn.narrates
            row = turn.row
            reason = self._reason(built.lineage, turn)
            if turn.usage is not None and reason != "copy":
                model = f"{built.provider}/{turn.usage.model}" if turn.usage.model else built.model
                self.usage[model] = self.usage.get(model, Calls()).plus(turn.usage)
            if row is not None:
                size, (signature, second) = next(of_rows)
                at += size
            if row is None or reason:
                self.drop(self._drops_out, built.drop(turn, reason))
                if turn.contrast is not None and reason == turn.contrast.reason:
                    self.contrasts += 1
                    self._contrasts_out.write(msgspec.json.encode(turn.contrast) + b"\n")
                continue
            self._contents.add(row.content)
            self.signatures += signature
            self._signed.add(row.id, second)
            self.rows.append(_waiting(built, row, file, at - size, size))
            if row.time is not None:
                self.latest[built.lineage] = max(row.time, self.latest.get(built.lineage, ""))
        if len(self.rows) > rows:
            self.documents.add(built.standing)

    def drop(self, out: IO[bytes], drop: Drop) -> None:
        """Take down a turn that becomes no row."""
        self.drops[drop.reason] += 1
        out.write(msgspec.json.encode(drop) + b"\n")

    def _reason(self, lineage: str, turn: Built) -> str:
        key = hash((lineage, turn.key))  # 64 bits: among a million messages two meet with odds of 1 in 30 million
        if turn.key and key in self._seen:
            return "copy"
        # A copy that goes on longer may still hold the result that this log was cut before.
        if turn.key and turn.reason != "unanswered_call":
            self._seen.add(key)
        if turn.row is not None and turn.row.content in self._contents:
            return "duplicate"
        return turn.reason


def _waiting(session: BuiltSession, row: Made, file: int, at: int, size: int) -> _Waiting:
    # What comes out of a worker is a text of its own each time; the few that there are need to be held once.
    family, tier, model = map(sys.intern, (row.family, row.tier, row.model))
    return _Waiting(session.lineage, session.id, file, at, size, family, tier, model, row.shortened)


def _numbered(intake: Intake, readings: Readings, numbering: Numbering) -> Iterator[_Item]:
    for placed, frame in stored_sessions(intake, readings):
        placeholders = numbering.placeholders(placed.note.marks)
        yield _Item(frame, placeholders, placed.id, placed.lineage, placed.note.length)


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.size
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _build(batch: Sequence[_Item], options: Options, folder: Path) -> bytes:
    """The number of the file in which the rows wait, and every session of a batch as `_Done`; as MessagePack they
    travel faster than pickled."""
    decoder = msgspec.json.Decoder(Session)
    sessions = []
    for item in batch:
        session = decoder.decode(replace_marks(item.frame.unpack(), item.placeholders))
        sessions.append(build_session(msgspec.structs.replace(session, id=item.id, lineage=item.lineage), options))
    signed = iter(both_signatures(texts for built in sessions for texts in built.texts))
    done = []
    with waiting_file(folder) as (number, rows):
        for built in sessions:
            at = rows.tell()
            sizes = tuple(rows.write(line + b"\n") for line in built.lines)
            signatures = tuple(islice(signed, len(sizes)))
            done.append(_Done(msgspec.structs.replace(built, lines=(), texts=()), at, sizes, signatures))
    return msgspec.msgpack.encode((number, done))


def _settle(rows: Sequence[_Waiting], signatures: bytearray, of_lineage: Mapping[str, Split]) -> list[Split | None]:
    """The split of every row; None for one that is nearly the same as a row of an earlier split."""
    splits = [of_lineage[row.lineage] for row in rows]
    cluster = clusters(signatures)
    earliest: dict[int, int] = {}
    for name, split in zip(cluster, splits, strict=True):
        at = SPLITS.index(split)
        earliest[name] = min(at, earliest.get(name, at))
    return [
        split if SPLITS.index(split) == earliest[name] else None for name, split in zip(cluster, splits, strict=True)
    ]


def _divide(
    folder: Path, waiting: Waiting, drops: IO[bytes], ledger: _Ledger, split_of: Sequence[Split | None]
) -> None:
    """Write every waiting row into its split's file."""
    with ExitStack() as stack:
        out = {split: stack.enter_context((folder / f"{split}.jsonl").open("wb")) for split in SPLITS}
        stretch = waiting.stretches()
        for row, split in zip(ledger.rows, split_of, strict=True):
            if split is not None:
                stretch.add(row.file, row.at, row.size, out[split])
                continue
            gone = decode_row(waiting.line(row.file, row.at, row.size))
            reason, said = "near_duplicate", excerpt(gone.response)
            ledger.drop(drops, Drop(gone.session, gone.turn, reason, said, gone.source, gone.lineage))
        stretch.flush()


def _placed(taken_back: Path, of_lineage: Mapping[str, Split]) -> Iterator[Contrast]:
    """What was taken back, with the split of its lineage."""
    decoder = msgspec.json.Decoder(Contrast)
    with taken_back.open("rb") as lines:
        for line in lines:
            contrast = decoder.decode(line)
            yield msgspec.structs.replace(contrast, split=of_lineage.get(contrast.lineage))


def _stats(
    intake: Intake, ledger: _Ledger, split_of: Sequence[Split | None], numbering: Numbering, options: Options
) -> Stats:
    kept = [(row, split) for row, split in zip(ledger.rows, split_of, strict=True) if split is not None]
    rows = [row for row, _ in kept]
    lines = msgspec.json.decode(numbering.replace_marks(msgspec.json.encode(intake.lines)), type=Lines)
    sessions = {split: {row.session for row, of in kept if of == split} for split in SPLITS}
    splits: dict[str, int] = {split: sum(of == split for _, of in kept) for split in SPLITS}
    return Stats(
        files=len(intake.logs),
        sessions=len(intake.sessions),
        lines=LineCounts.of(lines),
        noise=dict(lines.noise),
        unknown=dict(lines.unknown),
        bad=lines.bad,
        bad_unlisted=lines.bad_unlisted,
        turns=ledger.turns,
        rows=len(rows),
        drops=_ranked(ledger.drops),
        families=_ranked(Counter(row.family for row in rows)),
        splits=splits,
        redactions=_ranked(intake.redactions),
        formats=intake.formats,
        narration=ledger.narration,
        ordered_by=intake.ordered_by,
        untimed=intake.untimed,
        sessions_by_split={split: len(sessions[split]) for split in SPLITS},
        without_turns=ledger.without_turns,
        shortened=sum(row.shortened for row in rows),
        tiers=_ranked(Counter(row.tier for row in rows)),
        models=_ranked(Counter(row.model for row in rows)),
        usage=dict(sorted(ledger.usage.items(), key=lambda item: (-item[1].calls, item[0]))),
        context_chars=options.context_chars,
        response_chars=options.response_chars,
        left_aside=_ranked(Counter(skipped.reason for skipped in intake.skipped)),
        refines={rule.name: rule.of for rule in options.families},
        context=options.context,
        documents=len(ledger.documents.all()),
        contrasts=ledger.contrasts,
        notes=notes(splits, intake, options, _overlapping(intake, ledger.latest, kept)),
    )


def _overlapping(intake: Intake, latest: Mapping[str, str], kept: Iterable[tuple[_Waiting, Split]]) -> int:
    """How many lineages that are trained on go on after the first held-out one began."""
    lineages: dict[bool, set[str]] = {True: set(), False: set()}
    for row, split in kept:
        lineages[split == "train"].add(row.lineage)
    starts = (placed.note.time for placed in intake.sessions if placed.lineage in lineages[False])
    begins = min((start for start in starts if start is not None), default=float("inf"))
    ends = (seconds_of(latest.get(lineage)) for lineage in lineages[True])
    return sum(end is not None and end > begins for end in ends)


def _provenance(intake: Intake) -> dict[str, str]:
    """What the rows can be traced to: the same logs, read by the same code, give the same rows."""
    return {"SHA-256 of the logs": intake.sha256, "Locum": __version__, "SHA-256 of the code that read them": code()}


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts, the commonest first; of equals in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _nothing(sessions: int, ledger: _Ledger) -> str:
    if not ledger.turns:
        return f"no row: {sessions} sessions hold no message of the agent; point at logs in which it speaks"
    top = list(_ranked(ledger.drops).items())[:3]
    reasons = ", ".join(f"{reason} {count}" for reason, count in top)
    dropped = f"all {ledger.turns} turns of {sessions} sessions were dropped ({reasons})"
    return f"no row: {dropped}; add other sessions"


def _write_redactions(folder: Path, redactions: Redactions) -> None:
    path = redactions_file(folder)
    with files.atomic_path(path) as partly:
        partly.touch(mode=0o600)
        partly.write_bytes(msgspec.json.format(msgspec.json.encode(redactions), indent=2) + b"\n")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
