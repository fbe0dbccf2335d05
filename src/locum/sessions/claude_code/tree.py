"""From the lines of a file to conversations: main lines, sub-agents, and what a human went back and
abandoned.

Lines are chained by `parentUuid`, and the chain forks far more often than a human rewinds: at parallel tool
calls, at hooks, at progress records. So a conversation is read in file order, and a fork counts as a rewind
only where more than one of its branches holds text that a human typed.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from locum.sessions.claude_code.lines import Entry

_MOST_CONTEXT = 500
"""Entries before an abandoned branch that it repeats at most: many rewinds must not grow without end."""


class Branch(msgspec.Struct, frozen=True):
    """One path through a conversation, in file order."""

    id: str
    lineage: str
    entries: tuple[Entry, ...]
    context: int = 0
    """So many entries at the beginning belong to another branch; they only show what the rest answers to."""
    rewound: bool = False


def branches(entries: Sequence[Entry], fallback: str) -> list[Branch]:
    """Sort a file's entries into branches: every conversation's kept path first, then what was abandoned.

    Args:
        entries: in file order.
        fallback: the name of a conversation whose lines carry no session id.
    """
    found = []
    for thread in _threads(entries):
        names = [entry.session for entry in thread if entry.session]
        # Older clients copy the history under the old id and go on under the new one.
        name, lineage = (names[-1], names[0]) if names else (fallback, fallback)
        if thread[0].sidechain:
            name = f"{name}/{thread[0].agent or thread[0].uuid or thread[0].line}"
        found += _paths(thread, name, lineage)
    return found


def _threads(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Conversations of their own: one per session id, with those that a parent links as one, and one a
    sub-agent.
    """
    joined: dict[str, str] = {}  # session id -> the session id that it continues
    thread_of: dict[str, str] = {}  # uuid -> key of its thread
    keys: list[tuple[str, Entry]] = []
    current = "main "
    session: str | None = None  # of the line that `current` was made for
    for entry in entries:
        above = thread_of.get(entry.parent or "")
        if entry.sidechain:
            if entry.agent is not None:
                key = f"agent {entry.session} {entry.agent}"
            elif above is not None and above.startswith("side "):
                key = above
            else:
                key = f"side {entry.line}"
        else:
            if entry.session is not None and entry.session != session:
                session = entry.session
                current = f"main {session}"
            key = current
            if (
                above is not None
                and above != key
                and above.startswith("main ")
                and _root(joined, above) != _root(joined, key)
            ):
                joined[_root(joined, key)] = _root(joined, above)
        if entry.uuid is not None:
            thread_of[entry.uuid] = key
        keys.append((key, entry))
    threads: dict[str, list[Entry]] = {}
    for key, entry in keys:
        threads.setdefault(_root(joined, key), []).append(entry)
    return list(threads.values())


def _root(joined: dict[str, str], key: str) -> str:
    root = key
    while root in joined:
        root = joined[root]
    while key != root:  # the next one who asks has a short way
        joined[key], key = root, joined[key]
    return root


class _Segment(msgspec.Struct):
    """A stretch between forks at which a human went back."""

    above: int | None
    first: int
    kept: bool


def _paths(thread: Sequence[Entry], name: str, lineage: str) -> list[Branch]:
    segments, segment_of = _segments(thread)
    if len(segments) == 1:
        return [Branch(name, lineage, tuple(thread))]
    # The rewind after which the path that a segment is on was abandoned, None for the one that was kept.
    left: list[int | None] = []
    for number, segment in enumerate(segments):
        left.append((None if segment.above is None else left[segment.above]) if segment.kept else number)
    paths: dict[int | None, list[Entry]] = {None: []}
    within: list[list[int]] = [[] for _ in segments]
    for at, (entry, own) in enumerate(zip(thread, segment_of, strict=True)):
        paths.setdefault(left[own], []).append(entry)
        within[own].append(at)
    found = [Branch(name, lineage, tuple(paths[None]))]
    abandoned = [number for number, segment in enumerate(segments) if not segment.kept]
    for count, number in enumerate(abandoned, 1):
        before = [thread[at] for at in _leading_to(segments[number], segments, within)]
        entries = (*before, *paths[number])
        found.append(Branch(f"{name}~{count}", lineage, entries, context=len(before), rewound=True))
    return found


def _leading_to(segment: _Segment, segments: Sequence[_Segment], within: Sequence[Sequence[int]]) -> list[int]:
    """The last places before a segment on the path that leads to it."""
    places: list[int] = []
    above = segment.above
    while above is not None and len(places) < _MOST_CONTEXT:
        end = bisect_left(within[above], segment.first)
        places += within[above][max(0, end - _MOST_CONTEXT) : end]
        above = segments[above].above
    return sorted(places)[-_MOST_CONTEXT:]


def _segments(thread: Sequence[Entry]) -> tuple[list[_Segment], list[int]]:
    """Cut a conversation at its rewinds; a segment always comes after the one above it."""
    typed = [bool(entry.heard and entry.heard.human and not entry.sidechain) for entry in thread]
    if sum(typed) < 2:
        return [_Segment(None, 0, True)], [0] * len(thread)  # a rewind takes two branches with text that a human typed
    position = {entry.uuid: at for at, entry in enumerate(thread) if entry.uuid is not None}
    # Only a parent that comes before counts: logs are appended to, and so no chain can run in a circle.
    parents = [at if (at := position.get(entry.parent or "", n)) < n else None for n, entry in enumerate(thread)]
    last = list(range(len(thread)))
    for n in range(len(thread) - 1, -1, -1):
        above = parents[n]
        if above is not None:
            typed[above] = typed[above] or typed[n]
            last[above] = max(last[above], last[n])
    children: dict[int, list[int]] = {}
    for n, above in enumerate(parents):
        if above is not None and typed[n]:
            children.setdefault(above, []).append(n)

    if all(len(siblings) < 2 for siblings in children.values()):
        return [_Segment(None, 0, True)], [0] * len(thread)
    latest = {above: max(last[s] for s in siblings) for above, siblings in children.items()}
    segments = [_Segment(None, 0, True)]
    segment_of: list[int] = []
    for n, above in enumerate(parents):
        siblings = children.get(above, []) if above is not None else []
        if above is not None and typed[n] and len(siblings) > 1:
            segments.append(_Segment(segment_of[above], n, last[n] == latest[above]))
            segment_of.append(len(segments) - 1)
        elif above is not None:
            segment_of.append(segment_of[above])
        else:
            segment_of.append(segment_of[n - 1] if n else 0)
    return segments, segment_of
