"""OpenCode's older storage: a JSON file for every session, message and part; and what `opencode export` prints.

Source: opencode's `storage/session/<project>/<session>.json`, `storage/message/<session>/<message>.json` and
`storage/part/<message>/<part>.json`. A session's file is read together with its messages and parts; those are found
by the names of files and folders, never by what a file says, and nothing behind a link is opened. Records are counted
instead of lines: one a session, a message and a part, all of them in the account of the session's file.
"""

import re
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from locum.sessions.json_records import member
from locum.sessions.jsonl import BOM, BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.opencode.conversation import Entry, Part, heading, sessions_of
from locum.types import Session

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_BANNER = re.compile(rb"\s*Exporting session:[^{\n]*\n?\s*")
"""What `opencode export` says on the terminal, which some shells write into the file as well."""
_EXPORT = re.compile(rb'\s*\{\s*"info"\s*:\s*\{')
_SESSION_ID = re.compile(rb'"id"\s*:\s*"ses_')
_LARGEST = 64 * 1024 * 1024
"""Bytes that a file of the storage is looked at for; each holds one message or one output of a tool."""


class Storage(NamedTuple):
    """Sessions, and the files and folders beside the session's own that were looked at."""

    sessions: list[Session]
    beside: tuple[str, ...]


def is_export(head: bytes) -> bool:
    """Whether a file is what `opencode export` prints."""
    banner = _BANNER.match(head)
    start = banner.end() if banner else 0
    return _EXPORT.match(head, start) is not None and _SESSION_ID.search(head, start) is not None


def kind_of_file(head: bytes, path: Path) -> str | None:
    """ "session", "message" or "part"; None where a file is none of them."""
    # Many records on lines of their own are a log of something else.
    if head.lstrip()[:1] != b"{" or b'"ses_' not in head or b"\n{" in head or path.stat().st_size > _LARGEST:
        return None
    try:
        record = decode(_OBJECT, path.read_bytes().removeprefix(BOM))
    except BadRecord:
        return None
    id_, session = record.get("id"), record.get("sessionID")
    if not isinstance(id_, str):
        return None
    if isinstance(session, str) and session.startswith("ses_"):
        if id_.startswith("prt_") and isinstance(record.get("messageID"), str) and "type" in record:
            return "part"
        return "message" if id_.startswith("msg_") and "role" in record else None
    own = id_.startswith("ses_") and isinstance(record.get("time"), dict)
    return "session" if own and ("projectID" in record or "directory" in record) else None


def read_export(path: Path, ledger: Ledger) -> list[Session]:
    """Read an export; of one that is cut, the messages before the cut."""
    raw = path.read_bytes().removeprefix(BOM)
    if (banner := _BANNER.match(raw)) is not None:
        raw = raw[banner.end() :]
    broken: str | None = None
    try:
        export = decode(_OBJECT, raw)
    except BadRecord as reason:
        broken = str(reason)
        export = {"info": member(raw, "info"), "messages": member(raw, "messages")}
    info, messages = export.get("info"), export.get("messages")
    info = info if isinstance(info, dict) else {}
    given = info.get("id")
    number = count(2)
    entries = []
    for message in messages if isinstance(messages, list) else ():
        entry = _exported(message, number, ledger)
        if entry is not None:
            entries.append(entry)
    head = heading(given if isinstance(given, str) and given else path.stem, info)
    sessions = sessions_of(head, sorted(entries, key=lambda entry: entry.order), str(path), ledger)
    _account_for_session(sessions, ledger)
    if broken is not None:
        ledger.bad(next(number), broken)
    return sessions


def _exported(message: Any, number: "count[int]", ledger: Ledger) -> Entry | None:
    own = next(number)
    info = message.get("info") if isinstance(message, dict) else None
    parts = message.get("parts") if isinstance(message, dict) else None
    if not isinstance(info, dict) or not isinstance(parts, list):
        ledger.bad(own, "a message without its parts")
        return None
    found = []
    for part in parts:
        at = next(number)
        if not isinstance(part, dict):
            ledger.bad(at, "a part that is no object")
        found.append(Part(at, _text(part.get("id")) if isinstance(part, dict) else "", _dict(part)))
    return Entry(own, _text(info.get("id")) or f"message {own}", info, found)


def read_session(path: Path, ledger: Ledger) -> Storage:
    """Read a session's file with its messages and parts."""
    storage = path.parents[2] if len(path.parents) > 2 and path.parents[1].name == "session" else None
    beside: list[str] = []
    number = count(2)
    entries = []
    for file in _files_in(storage, "message", path.stem, beside):
        own = next(number)
        message = _read(file, own, ledger)
        parts = []
        for part in _files_in(storage, "part", file.stem, beside):
            at = next(number)
            data = _read(part, at, ledger)
            if message is None:
                ledger.noise(at, "part of a bad message")
            parts.append(Part(at, part.stem, {} if data is None else data))
        if message is not None:
            entries.append(Entry(own, file.stem, message, parts))
    info = _read(path, 1, ledger) or {}
    entries.sort(key=lambda entry: entry.order)
    sessions = sessions_of(heading(path.stem, info), entries, str(path), ledger)
    _account_for_session(sessions, ledger)
    return Storage(sessions, tuple(beside))


def session_file_of(path: Path, kind: str) -> Path | None:
    """The session's file in whose account the file of a message or a part is; None where there is none."""
    if len(path.parents) < 3 or path.parents[1].name != kind:
        return None
    session = path.parent.name if kind == "message" else None
    if session is None:
        session = _text(decode(_OBJECT, path.read_bytes().removeprefix(BOM)).get("sessionID"))
        if not re.fullmatch(r"ses_\w+", session):
            return None
        if not _is_plain(path.parents[2] / "message" / session / f"{path.parent.name}.json"):
            return None
    found = (folder / f"{session}.json" for folder in _folders_in(path.parents[2] / "session"))
    return next((file for file in found if _is_plain(file)), None)


def _files_in(storage: Path | None, kind: str, name: str, beside: list[str]) -> Iterator[Path]:
    """The JSON files in a folder of the storage, in order; what was looked at is added to `beside`."""
    if storage is None:
        return
    folder = storage / kind / name
    beside.append(str(folder))
    if not (_is_folder(storage / kind) and _is_folder(folder)):
        return
    for file in sorted(folder.iterdir()):
        if file.suffix == ".json" and _is_plain(file):
            beside.append(str(file))
            yield file


def _folders_in(folder: Path) -> Iterator[Path]:
    if _is_folder(folder):
        yield from (path for path in sorted(folder.iterdir()) if _is_folder(path))


def _read(path: Path, number: int, ledger: Ledger) -> dict[str, Any] | None:
    try:
        return decode(_OBJECT, path.read_bytes().removeprefix(BOM))
    except BadRecord as reason:
        ledger.bad(number, str(reason))
    except OSError:
        ledger.bad(number, "cannot be read")
    return None


def _account_for_session(sessions: list[Session], ledger: Ledger) -> None:
    if sessions:
        ledger.used(1)
    else:
        ledger.noise(1, "empty session")


def _is_plain(path: Path) -> bool:
    """Whether a path is a regular file itself, not a link to one."""
    return _mode(path, stat.S_ISREG)


def _is_folder(path: Path) -> bool:
    return _mode(path, stat.S_ISDIR)


def _mode(path: Path, is_kind: Any) -> bool:
    try:
        return bool(is_kind(path.lstat().st_mode))
    except (OSError, ValueError):
        return False


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
