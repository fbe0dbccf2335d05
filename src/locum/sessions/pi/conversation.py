"""From the entries of a pi session to sessions: the active branch, what was abandoned, context windows.

Entries form a tree (from version 2 on): the active branch leads from the last entry up to the root, and whatever is
not on it was given up when a human went back. In version 1 all entries follow each other.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from locum.sessions.ledger import Ledger
from locum.sessions.pi.entries import Cut, Entry, Said
from locum.sessions.pi.envelopes import Heard
from locum.sessions.providers import provider_of
from locum.sessions.transcript import Result, Transcript, Turn, Window
from locum.types import Session

_MOST_KEPT = 500
"""Entries that a window repeats at most: clients keep far fewer, and many compactions must not grow without end."""
_FILE = re.compile(r"[^/\\]*$")


def sessions_of(
    entries: Sequence[Entry],
    source: str,
    fallback: str,
    ledger: Ledger,
    *,
    name: str | None = None,
    lineage: str | None = None,
    prompted: bool = False,
) -> list[Session]:
    """The sessions of one conversation, one for each context window in which the agent says something.

    Args:
        entries: in the order of the log.
        source: the log's path, for `Session.source`.
        fallback: the session's name where neither `name` nor a header tells it.
        ledger: takes down which lines were used; the others get the reason why not.
        name: the session's name, where it is known from elsewhere.
        lineage: the conversation's name, where it is known from elsewhere.
        prompted: no human took part: whatever stands under the user role is from a schedule, a hook or an agent.
    """
    header = next((entry.header for entry in entries if entry.header is not None), {})
    id_ = header.get("id")
    name = name or (id_ if isinstance(id_, str) and id_ else fallback)
    sessions = []
    for number, transcript in enumerate(_windows(entries, name, prompted, ledger), 1):
        window = transcript.write()
        if window.turns:
            sessions.append(_session(window, name, number, lineage or _parent(header) or name, source))
    return sessions


def _session(window: Window, name: str, number: int, lineage: str, source: str) -> Session:
    return Session(
        id=name if number == 1 else f"{name}#{number}",
        lineage=lineage,
        format="pi_openclaw",
        source=source,
        messages=tuple(window.messages),
        started=window.started,
        provider=provider_of(window.model) or window.provider,
        model=window.model,
    )


def _parent(header: dict[str, Any]) -> str | None:
    """The session that this one was forked from: the header names its file, `<time>_<id>.jsonl`."""
    path = header.get("parentSession") or header.get("branchedFrom")
    found = _FILE.search(path) if isinstance(path, str) else None
    stem = found[0].partition(".jsonl")[0].rsplit("_", 1)[-1] if found is not None else ""
    return stem or None


def _windows(entries: Sequence[Entry], name: str, prompted: bool, ledger: Ledger) -> list[Transcript]:
    active = _active(entries)
    on_branch = [at for at, kept in enumerate(active) if kept]
    position = {entry.id: at for at, entry in reversed(list(enumerate(entries))) if entry.id is not None}
    windows = [Transcript(ledger)]
    for at, entry in enumerate(entries):
        if isinstance(entry.holds, Cut):
            if not active[at]:
                ledger.noise(entry.line, "compaction")
                continue
            windows.append(Transcript(ledger))
            if entry.holds.summary:
                windows[-1].note(entry.line, entry.holds.summary, "harness", time=entry.time)
            first = _first_kept(entry.holds, at, position)
            low, high = bisect_left(on_branch, first), bisect_left(on_branch, at)
            for kept in on_branch[max(low, high - _MOST_KEPT) : high]:
                _write(windows[-1], entries[kept], name, prompted=prompted, own=False, rewound=False)
        else:
            _write(windows[-1], entry, name, prompted=prompted, own=True, rewound=not active[at])
    return windows


def _first_kept(cut: Cut, at: int, position: dict[str, int]) -> int:
    """Where begins what the window after a compaction repeats of the one before; `at` itself where nothing is kept."""
    places = (position.get(cut.kept_id or "", at), at if cut.kept_at is None or cut.kept_at < 0 else cut.kept_at)
    return min(*places, at)


def _active(entries: Sequence[Entry]) -> list[bool]:
    """Whether each entry is on the branch that leads to the last one."""
    above: list[int | None] = []
    position: dict[str, int] = {}
    for at, entry in enumerate(entries):
        before = at - 1 if at else None
        # Only a parent that comes before counts, so no chain can run in a circle; where it is missing (a line that
        # was cut, an entry that some tool appended without one) the entry follows what stands before it.
        above.append(None if entry.linked and entry.parent is None else position.get(entry.parent or "", before))
        if entry.id is not None:
            position[entry.id] = at
    active = [entry.header is not None for entry in entries]
    at_: int | None = len(entries) - 1 if entries else None
    while at_ is not None:
        active[at_] = True
        at_ = above[at_]
    return active


def _write(window: Transcript, entry: Entry, name: str, *, prompted: bool, own: bool, rewound: bool) -> None:
    holds = entry.holds
    if isinstance(holds, Heard):
        if holds.harness:
            window.note(entry.line, holds.harness, "harness", time=entry.time, rewound=rewound)
        if holds.human:
            window.note(
                entry.line,
                holds.human,
                "harness" if prompted else "human",
                id=_id(entry, name),
                time=entry.time,
                rewound=rewound,
            )
        if holds.media:
            window.gap()
    elif isinstance(holds, Result):
        window.hear(entry.line, holds, entry.time)
    elif isinstance(holds, Said):
        window.say(
            Turn(
                id=_id(entry, name),
                time=entry.time,
                model=holds.model,
                provider=holds.provider,
                origin="agent" if own and not holds.control else "harness",
                texts=[holds.text] if holds.text else [],
                calls=list(holds.calls),
                signals=list(holds.signals),
                lines=[entry.line],
                rewound=rewound,
                usage=holds.usage,
            )
        )


def _id(entry: Entry, name: str) -> str | None:
    """Eight digits are not enough for all the sessions of a life; with the time, which copies keep, they are."""
    return f"{entry.id}@{entry.time or name}" if entry.id is not None else None
