"""Which sessions belong together: copies, forks, checkpoints, resumed parts and sub-agents of one
conversation.

The lineage is what is never split between train and test, so that a session is never tested on its own copy.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from locum.types import Session


def join_lineages(sessions: Sequence[Session]) -> list[Session]:
    """Give sessions that share a lineage, or a message id of the same format, one lineage.

    A session after whose id another one's lineage is named (a fork of a fork, a sub-agent of a sub-agent) links its
    own lineage with that one.

    It is the smallest of its members' names, so it does not depend on the order of the files. Order and
    content are kept.
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

    lineages = {session.lineage for session in sessions}
    first_with: dict[tuple[str, str], str] = {}
    for session in sessions:
        if session.id in lineages:
            link(session.id, session.lineage)
        for message in session.messages:
            if message.id is not None:
                link(first_with.setdefault((session.format, message.id), session.lineage), session.lineage)
    return [msgspec.structs.replace(session, lineage=root(session.lineage)) for session in sessions]


def distinct_ids(sessions: Sequence[Session]) -> list[Session]:
    """Give an id that occurs again (a checkpoint or copy of a session in another file) `@2`, `@3`, ... in
    order."""
    times_seen: Counter[str] = Counter()
    distinct = []
    for session in sessions:
        times_seen[session.id] += 1
        copy = times_seen[session.id]
        distinct.append(session if copy == 1 else msgspec.structs.replace(session, id=f"{session.id}@{copy}"))
    return distinct
