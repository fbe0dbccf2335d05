"""V1 as OpenHands' programs keep it: a folder of one file an event, `events/event-00000-<id>.json`, written once each.

Source: the SDK's `persistence_const.py`. The first file stands for its folder: it is read together with the others,
which are found by their names alone, links left aside; theirs are in its account. The model is in `base_state.json`
above the folder, where the events do not name it. Records are counted instead of lines: one is an event.
"""

import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from locum.sessions.jsonl import BOM, BadRecord, decode
from locum.sessions.ledger import Ledger
from locum.sessions.openhands.events import EventLog, is_event
from locum.types import Lines, Session

_NAME = re.compile(r"event-(\d{4,12})(?:-[0-9A-Za-z-]{1,64})?\.json")
_FOLDER = "events"
_STATE = "base_state.json"
_MOST = 16 * 1024 * 1024
"""Bytes of a state that are read: it holds settings only."""
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class EventFolder(NamedTuple):
    """A folder of events."""

    first: Path
    """The first file that holds an event, which stands for all of them."""
    files: tuple[Path, ...]
    """All files in order."""


def event_folder(path: Path) -> EventFolder | None:
    """The folder of events that a file is in, or None where it is itself no file of one.

    Raises:
        OSError: the folder cannot be read.
    """
    if _NAME.fullmatch(path.name) is None or not _is_plain(path):
        return None
    return _listed(path.parent, path.parent.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _listed(folder: Path, changed: int) -> EventFolder | None:
    """Every file of a folder asks for the list; `changed` makes it a new one when the folder has changed."""
    del changed
    found = [file for file in folder.iterdir() if _NAME.fullmatch(file.name) and _is_plain(file)]
    files = tuple(sorted(found, key=lambda file: (_number(file), file.name)))
    first = next((file for file in files if _holds_event(file)), None)
    return None if first is None else EventFolder(first, files)


def _holds_event(file: Path) -> bool:
    try:
        return is_event(decode(_OBJECT, file.read_bytes().removeprefix(BOM)))
    except (BadRecord, OSError):
        return False


def _number(file: Path) -> int:
    match = _NAME.fullmatch(file.name)
    return int(match[1]) if match is not None else 0


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_conversation(events: EventFolder) -> tuple[tuple[Session, ...], Lines]:
    """The one session of a folder of events; where one is missing or bad, the agent's next message leans on it."""
    ledger = Ledger(events.first)
    log = EventLog(ledger)
    expected = 0
    for record, file in enumerate(events.files, 1):
        if _number(file) > expected:
            log.gap()
        expected = _number(file) + 1
        try:
            log.add(record, decode(_OBJECT, file.read_bytes().removeprefix(BOM)))
        except BadRecord as reason:
            ledger.bad(record, str(reason))
            log.gap()
        except OSError:
            ledger.bad(record, "cannot be read")
            log.gap()
    folder = events.first.parent
    name = folder.parent.name if folder.name == _FOLDER else folder.name
    session = log.session(events.first, name=name, model=_model(state_of(events.first)))
    return () if session is None else (session,), ledger.lines()


def state_of(path: Path) -> Path:
    """Where the state of an event file's conversation lies."""
    return path.parent.parent / _STATE


def _model(state: Path) -> str | None:
    try:
        if not _is_plain(state) or state.stat().st_size > _MOST:
            return None
        value: Any = decode(_OBJECT, state.read_bytes())
    except (OSError, BadRecord):
        return None
    for key in ("agent", "llm", "model"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None
