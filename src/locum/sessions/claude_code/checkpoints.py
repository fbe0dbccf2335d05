"""Entire's checkpoints: which of a session's edits were still there, untouched by a human, when they were committed.

A checkpoint is a copy of the log as it stood at a commit (`full.jsonl`) with `metadata.json` beside it; exported logs
carry their own name before `.metadata.json`. Format: https://github.com/entireio/cli, `initial_attribution`:
`agent_lines` of the commit are the agent's, `human_modified` and `human_removed` say what a human changed of it first.
"""

import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from locum.sessions.claude_code.lines import Entry
from locum.sessions.jsonl import BadRecord, decode
from locum.types import ToolCall

T = TypeVar("T")

_MOST = 1 << 20
"""Bytes that a checkpoint's record may have; real ones have some kilobytes."""
_MOST_EDITS = 200
"""Later edits of a file that an edit is compared with; before so many, hardly any is left as it was."""
_PATHS = ("file_path", "notebook_path")


class _Attribution(msgspec.Struct):
    agent_lines: int = 0
    human_modified: int = 0
    human_removed: int = 0


class Checkpoint(msgspec.Struct):
    """What the record of a checkpoint says."""

    checkpoint_id: str
    initial_attribution: _Attribution
    files_touched: list[str] = []
    checkpoint_transcript_start: int | None = None
    transcript_lines_at_start: int | None = None
    transcript_identifier_at_start: str | None = None
    transcript_uuid_at_start: str | None = None


class _Record(msgspec.Struct):
    """What every such record says, whether or not it says whose lines were committed."""

    checkpoint_id: str
    strategy: str


_DECODER = msgspec.json.Decoder(Checkpoint)
_RECORD = msgspec.json.Decoder(_Record)


def record_beside(path: Path) -> Path:
    """Where the record of a log's checkpoint lies, if there is one."""
    return path.with_name("metadata.json" if path.name == "full.jsonl" else f"{path.stem}.metadata.json")


def is_record(path: Path) -> bool:
    """Whether a file is the record of a checkpoint itself."""
    return path.name.endswith("metadata.json") and _read(path, _RECORD) is not None


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The record of a log's checkpoint, or None where there is none that can be read; a link is not followed."""
    return _read(record_beside(path), _DECODER)


def _read(record: Path, decoder: msgspec.json.Decoder[T]) -> T | None:
    try:
        status = record.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST:
            return None
        return decode(decoder, record.read_bytes())
    except (OSError, BadRecord):
        return None


def kept_calls(checkpoint: Checkpoint | None, entries: Sequence[Entry]) -> frozenset[str]:
    """The calls whose edits are in the commit as the agent made them.

    Where a human changed anything of the agent's, nothing is said: which edit it was is not in the record. An edit
    that the agent itself wrote over later is not among them.
    """
    if checkpoint is None:
        return frozenset()
    lines = checkpoint.initial_attribution
    if lines.agent_lines <= 0 or lines.human_modified > 0 or lines.human_removed > 0:
        return frozenset()
    start = _start(checkpoint, entries)
    touched = frozenset(checkpoint.files_touched)
    later: dict[str, list[ToolCall]] = {}
    kept = set()
    for entry in reversed(entries):
        calls = entry.said.calls if entry.said is not None and entry.line > start else ()
        for call in reversed(calls):
            file = _file(call)
            if file is None or not _is_among(file, touched):
                continue
            over = later.setdefault(file, [])
            if len(over) < _MOST_EDITS and not any(_writes_over(other, call) for other in over):
                kept.add(call.id)
            over.append(call)
    return frozenset(kept)


def _start(checkpoint: Checkpoint, entries: Iterable[Entry]) -> int:
    """The last line that an earlier checkpoint of the session holds."""
    for start in (checkpoint.checkpoint_transcript_start, checkpoint.transcript_lines_at_start):
        if start is not None:
            return start
    last = checkpoint.transcript_identifier_at_start or checkpoint.transcript_uuid_at_start
    return next((entry.line for entry in entries if last and entry.uuid == last), 0)


def _file(call: ToolCall) -> str | None:
    """The file that a call edits, or None."""
    written = any(key in call.arguments for key in ("content", "new_string", "edits", "new_source"))
    path = next((call.arguments[key] for key in _PATHS if isinstance(call.arguments.get(key), str)), None)
    return path.replace("\\", "/") if written and path is not None else None


def _is_among(file: str, touched: frozenset[str]) -> bool:
    """Whether a path, absolute in most logs, is one of a repository's."""
    parts = file.split("/")
    return any("/".join(parts[at:]) in touched for at in range(len(parts)))


def _writes_over(later: ToolCall, earlier: ToolCall) -> bool:
    gone = [old for old, _ in _edits(later)]
    made = [new for _, new in _edits(earlier)]
    return not gone or any(old in new or new in old for old in gone for new in made if old and new)


def _edits(call: ToolCall) -> list[tuple[str, str]]:
    """What a call replaces with what; nothing where it writes a whole file."""
    given: Any = call.arguments.get("edits", [call.arguments])
    edits = given if isinstance(given, list) else []
    pairs = [(edit.get("old_string"), edit.get("new_string")) for edit in edits if isinstance(edit, dict)]
    return [(old, new) for old, new in pairs if isinstance(old, str) and isinstance(new, str)]
