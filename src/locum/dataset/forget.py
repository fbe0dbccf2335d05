"""Taking a session out of a dataset folder: every line of it, and nothing of its content left behind.

    DATASET/ forgotten.json      what was forgotten: hashes of ids, counts, digests of the files before

A line belongs to a session if it names it (rows under `locum`, drops and contrasts at the top), or names one of its
rows (scores). A standing document goes with the last row that names it. The numbers and the card are made to fit what
is left; what only the reading knew stays as it was, and a note says so. The folder is exchanged as a whole.
"""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from locum import files
from locum.dataset.card import card
from locum.dataset.redaction import redacted_name
from locum.dataset.split import SPLITS
from locum.dataset.stats import Stats
from locum.dataset.store import read_redactions, read_stats, redactions_file
from locum.dataset.terms import RESTRICTED, check
from locum.errors import DatasetError

FORGOTTEN = "forgotten.json"
_DOCUMENTS = "documents.jsonl"
_SPLIT_FILES = tuple(f"{split}.jsonl" for split in SPLITS)
_READING = "Where it comes from"
"""The part of the card that tells of the reading, which forgetting does not change."""


class Kin(msgspec.Struct, frozen=True):
    """Who is to be forgotten: ids of sessions, and lineages of which every session is."""

    sessions: frozenset[str]
    lineages: frozenset[str] = frozenset()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One session that a dataset held once; nothing here can be read back into it."""

    session: str
    """Hex SHA-256 of its id."""
    time: str
    """When it was forgotten: ISO 8601, UTC."""
    rows: int
    drops: int
    lineage: str = ""
    """Hex SHA-256 of its lineage's name: by it those of its kin are known that are forgotten later."""
    digests: dict[str, str]
    """File of rows that held it -> its hex SHA-256 before: by it a run that was trained on that file is known."""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken out of one dataset."""

    dataset: str
    sessions: int
    rows: int
    drops: int
    lines: dict[str, int]
    """File -> lines that went."""
    sources: tuple[str, ...]
    """The session's logs, as the rows name them; they are not touched."""
    kin_left: int
    """Sessions of the same lineage that are still there."""


class _About(msgspec.Struct, frozen=True):
    """What a line says of whom it belongs to; whatever else it holds is not looked at."""

    id: str = ""
    session: str | None = None
    lineage: str | None = None
    source: str = ""
    documents: tuple[str, ...] = ()
    family: str = ""
    tier: str = ""
    provider: str | None = None
    model: str | None = None
    shortened: int = 0


class _Line(_About, frozen=True):
    reason: str = ""
    row: str | None = None
    partner: str | None = None
    digest: str | None = None
    locum: _About | None = None

    @property
    def about(self) -> _About:
        """Rows keep apart what trainers do not read."""
        return self.locum or self


_decode = msgspec.json.Decoder(_Line).decode


def kin_of(datasets: Iterable[Path], session: str, *, lineage: bool) -> Kin:
    """The session, and with `lineage` all copies, forks, resumed parts, sub-agents and trials that share a lineage
    with it in any of the datasets; `session` is its id as a dataset shows it, or as its log has it.

    Raises:
        DatasetError: a line of a dataset cannot be read.
    """
    datasets = list(datasets)
    names = _names(datasets, session)
    if not lineage:
        return Kin(names)
    members = [about for folder in datasets for about in _members(folder)]
    gone = {record.lineage for folder in datasets for record in records(folder, Kin(names))}
    lineages = {
        about.lineage for about in members if about.lineage and (about.session in names or _hash(about.lineage) in gone)
    }
    sessions = {about.session for about in members if about.session and about.lineage in lineages}
    return Kin(names | sessions, frozenset(lineages))


def _names(datasets: Iterable[Path], session: str) -> frozenset[str]:
    """What the session is called in any of the datasets: an id that held something private is a digest there."""
    original, mark, copy = session.rpartition("@")
    ids = [(session, ""), (original, mark + copy)] if original and copy.isdecimal() else [(session, "")]
    salts = {read_redactions(folder).salt for folder in datasets if redactions_file(folder).is_file()}
    return frozenset((session, *(redacted_name(salt, name) + end for salt in salts for name, end in ids)))


def holds(dataset: Path, kin: Kin) -> bool:
    """Whether any line of a dataset belongs to one of the kin, or did before it was forgotten.

    Raises:
        DatasetError: a line cannot be read, or what was forgotten before is not known.
    """
    return bool(records(dataset, kin)) or any(_is_kin(about, kin) for about in _members(dataset))


def digests_of(dataset: Path, kin: Kin) -> frozenset[str]:
    """Hex SHA-256 of the files of rows that hold one of the kin, or held them before something was forgotten.

    Raises:
        DatasetError: a line cannot be read, or what was forgotten before is not known.
    """
    now = (path for path in _row_files(dataset) if any(_is_kin(line.about, kin) for _, line in _lines(path)))
    before = (digest for record in records(dataset, kin) for digest in record.digests.values())
    return frozenset((*map(files.sha256_file, now), *before))


def records(dataset: Path, kin: Kin) -> list[Record]:
    """What the dataset remembers of having forgotten these sessions.

    Raises:
        DatasetError: its forgotten.json is damaged.
    """
    hashes = {_hash(session) for session in kin.sessions}
    return [record for record in _records(dataset) if record.session in hashes]


def forget(dataset: Path, kin: Kin, time: str) -> Forgotten | None:
    """Take sessions out of a dataset folder, as a whole or not at all.

    Args:
        dataset: the dataset's folder.
        kin: who is to be forgotten.
        time: what the record says: ISO 8601, UTC.

    Returns:
        What went; None where the dataset holds none of them, in which case nothing is written.

    Raises:
        DatasetError: the folder is no dataset, or a line of it cannot be read, in which case nothing is written.
    """
    dataset = dataset.resolve()
    stats = read_stats(dataset)
    gone = _Gone(kin)
    plain = [path for path in sorted(dataset.glob("*.jsonl")) if path.name not in (_DOCUMENTS, *_SPLIT_FILES)]
    for path in (*_row_files(dataset), *plain):
        gone.look(path)
    if not gone.lines:
        return None
    documents = gone.documents - gone.documents_left
    if (kept := dataset / _DOCUMENTS).is_file():
        gone.lines[_DOCUMENTS] += sum(line.digest in documents for _, line in _lines(kept))
    with files.atomic_path(dataset) as partial:
        partial.mkdir()
        for path in sorted(dataset.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.copytree(path, partial / path.name, symlinks=True)
            elif path.suffix == ".jsonl" and not path.is_symlink():
                _copy_lines(path, partial / path.name, gone, documents)
            else:
                shutil.copy2(path, partial / path.name, follow_symlinks=False)
        left = gone.subtract_from(stats, time)
        before = dataset / "README.md"
        text = _card(left, before.read_text("utf-8") if before.is_file() else "")
        files.write_text(partial / "README.md", text)
        files.write_json(partial / "stats.json", left)
        files.write_json(partial / FORGOTTEN, [*_records(dataset), *gone.records(dataset, time)])
    return Forgotten(
        dataset=str(dataset),
        sessions=len(gone.sessions),
        rows=sum(gone.rows_by_split.values()),
        drops=sum(gone.reasons.values()),
        lines={name: count for name, count in gone.lines.items() if count},
        sources=tuple(sorted(gone.sources)),
        kin_left=len({about.session for about in _members(dataset) if about.lineage in gone.lineages}),
    )


class _Gone:
    """What goes, counted; files of rows are looked at first, as others name rows."""

    def __init__(self, kin: Kin) -> None:
        self.kin = kin
        self.lines: Counter[str] = Counter()
        self.sessions: set[str] = set()
        self.lineages: set[str] = set()
        self.rows: set[str] = set()
        self.sources: set[str] = set()
        self.documents: set[str] = set()
        self.documents_left: set[str] = set()
        self.rows_by_split: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._rows_of: Counter[str] = Counter()
        self._drops_of: Counter[str] = Counter()
        self._sessions_of: dict[str, set[str]] = {}
        self._lineage_of: dict[str, str] = {}
        self._families: Counter[str] = Counter()
        self._tiers: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._shortened = 0

    def goes(self, line: _Line) -> bool:
        """Whether a line belongs to the kin."""
        return _is_kin(line.about, self.kin) or line.row in self.rows or line.partner in self.rows

    def look(self, path: Path) -> None:
        """Count what goes out of one file."""
        for _, line in _lines(path):
            about = line.about
            if not self.goes(line):
                self.documents_left.update(about.documents)
                continue
            self.lines[path.name] += 1
            if not _is_kin(about, self.kin):
                continue
            session = about.session or ""
            self.sessions.add(session)
            self.documents.update(about.documents)
            self.lineages.update(filter(None, (about.lineage,)))
            self._lineage_of[session] = about.lineage or self._lineage_of.get(session, "")
            self.sources.update(filter(None, (about.source,)))
            if path.name in _SPLIT_FILES:
                self._count_row(path.stem, session, about)
            elif path.name == "drops.jsonl":
                self.reasons[line.reason] += 1
                self._drops_of[session] += 1

    def _count_row(self, split: str, session: str, about: _About) -> None:
        self.rows.add(about.id)
        self.rows_by_split[split] += 1
        self._rows_of[session] += 1
        self._sessions_of.setdefault(split, set()).add(session)
        self._families[about.family] += 1
        self._tiers[about.tier] += 1
        self._models[f"{about.provider or 'unknown'}/{about.model or 'unknown'}"] += 1
        self._shortened += about.shortened > 0

    def subtract_from(self, stats: Stats, time: str) -> Stats:
        """The numbers of what is left."""
        rows, drops = sum(self.rows_by_split.values()), sum(self.reasons.values())
        note = (
            f"Forgotten on {time[:10]}: {_counted(len(self.sessions), 'session')} with {_counted(rows, 'row')} and "
            f"{_counted(drops, 'drop')}. What is said of files, lines, formats, redactions and text beside tool calls "
            "is still that of the reading."
        )
        sessions_by_split = {
            split: count - len(self._sessions_of.get(split, ())) for split, count in stats.sessions_by_split.items()
        }
        return msgspec.structs.replace(
            stats,
            sessions=max(0, stats.sessions - len(self.sessions)),
            turns=max(0, stats.turns - rows - drops),
            rows=max(0, stats.rows - rows),
            drops=_less(stats.drops, self.reasons),
            families=_less(stats.families, self._families),
            splits={split: max(0, count - self.rows_by_split[split]) for split, count in stats.splits.items()},
            sessions_by_split=sessions_by_split,
            shortened=max(0, stats.shortened - self._shortened),
            tiers=_less(stats.tiers, self._tiers),
            models=_less(stats.models, self._models),
            documents=max(0, stats.documents - self.lines[_DOCUMENTS]),
            contrasts=max(0, stats.contrasts - self.lines["contrast.jsonl"]),
            scored=max(0, stats.scored - self.lines["scores.jsonl"]),
            notes=(*stats.notes, note),
        )

    def records(self, dataset: Path, time: str) -> list[Record]:
        """One for each session that goes."""
        digests = {name: files.sha256_file(dataset / name) for name in _SPLIT_FILES if self.lines[name]}
        return [
            Record(
                session=_hash(session),
                time=time,
                rows=self._rows_of[session],
                drops=self._drops_of[session],
                lineage=_hash(self._lineage_of[session]) if self._lineage_of.get(session) else "",
                digests=digests if self._rows_of[session] else {},
            )
            for session in sorted(self.sessions)
        ]


def _copy_lines(path: Path, copy: Path, gone: _Gone, documents: Collection[str]) -> None:
    with copy.open("wb") as out:
        for raw, line in _lines(path):
            if not (line.digest in documents if path.name == _DOCUMENTS else gone.goes(line)):
                out.write(raw)


def _row_files(dataset: Path) -> list[Path]:
    return [path for name in _SPLIT_FILES if (path := dataset / name).is_file()]


def _members(dataset: Path) -> Iterator[_About]:
    """What every row, drop and contrast says of whom it belongs to."""
    for path in sorted(dataset.glob("*.jsonl")):
        for _, line in _lines(path):
            if line.about.session is not None:
                yield line.about


def _lines(path: Path) -> Iterator[tuple[bytes, _Line]]:
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if raw.strip():
                try:
                    yield raw, _decode(raw)
                except msgspec.MsgspecError:
                    raise DatasetError(
                        f"{path}:{number} cannot be read, so that nobody can say whose it is: extract it again; "
                        "nothing was taken out of it"
                    ) from None


def _is_kin(about: _About, kin: Kin) -> bool:
    return about.session in kin.sessions or about.lineage in kin.lineages


def _records(dataset: Path) -> list[Record]:
    try:
        return files.read_json(dataset / FORGOTTEN, list[Record])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError:
        raise DatasetError(f"{dataset / FORGOTTEN} is damaged: what was forgotten there before is not known") from None


def _hash(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def _less(counts: Mapping[str, int], gone: Mapping[str, int]) -> dict[str, int]:
    """Counts without what went; what is none any more is not named."""
    return {name: count - gone.get(name, 0) for name, count in counts.items() if count > gone.get(name, 0)}


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _card(stats: Stats, before: str) -> str:
    """The card of what is left; what it says of the reading is kept word for word."""
    part = re.compile(rf"^## {_READING}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text, old = card(stats, terms=check(stats.models, RESTRICTED)), part.search(before)
    return part.sub(lambda _: old[0], text) if old else text
