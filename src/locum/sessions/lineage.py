"""Which sessions belong together: copies, forks, checkpoints, resumed parts and sub-agents of one
conversation.

The lineage is what is never split between train and test, so that a session is never tested on its own copy.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from locum.types import Session

_KEY = 8
"""Bytes that stand for a message id: among a hundred million messages two different ids meet with a
probability of one in four thousand, and then only join two lineages that could have been apart."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """What has to be known of a session to tell its lineage; kept for every session while all are read."""

    id: str
    lineage: str
    """As the session alone says."""
    keys: bytes = b""
    """Digests of its messages' ids, one after the other."""


def member(session: Session) -> Member:
    """A session among those that it may share a lineage with."""
    ids = (message.id for message in session.messages if message.id is not None)
    return Member(session.id, session.lineage, b"".join(message_key(session.format, name) for name in ids))


def message_key(format: str, name: str) -> bytes:
    """What stands for a message's id among all messages of all formats; 8 bytes."""
    return hashlib.blake2b(f"{format} {name}".encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


def lineages(members: Sequence[Member]) -> list[str]:
    """The lineage of every session: those that share a lineage, or a message id of the same format, have one.

    A session after whose id another one's lineage is named (a fork of a fork, a sub-agent of a sub-agent) links its
    own lineage with that one. A lineage is the smallest of its members' names, so it does not depend on the order of
    the files.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def link(one: str, other: str) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    named = {one.lineage for one in members}
    first_with: dict[bytes, str] = {}
    for one in members:
        if one.id in named:
            link(one.id, one.lineage)
        for key in split_keys(one.keys):
            first = first_with.setdefault(key, one.lineage)
            if first != one.lineage:
                link(first, one.lineage)
    return [root(one.lineage) for one in members]


def split_keys(keys: bytes) -> Iterable[bytes]:
    """The single keys of a `Member`."""
    return (keys[at : at + _KEY] for at in range(0, len(keys), _KEY))


def join_lineages(sessions: Sequence[Session]) -> list[Session]:
    """The sessions with their `lineages`; order and content are kept."""
    joined = lineages([member(session) for session in sessions])
    return [msgspec.structs.replace(one, lineage=name) for one, name in zip(sessions, joined, strict=True)]


def distinct_ids(ids: Iterable[str]) -> list[str]:
    """Give an id that occurs again (a checkpoint or copy of a session in another file) `@2`, `@3`, ... in
    order."""
    times_seen: Counter[str] = Counter()
    distinct = []
    for name in ids:
        times_seen[name] += 1
        copy = times_seen[name]
        distinct.append(name if copy == 1 else f"{name}@{copy}")
    return distinct
