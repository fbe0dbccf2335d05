"""Which held-out rows are measured where measuring all of them would take hours."""

import random
from collections import defaultdict
from collections.abc import Sequence

from locum.evaluation.results import Sampled
from locum.types import Row


def choose(rows: Sequence[Row], cap: int, seed: int = 0) -> list[Row]:
    """At most `cap` rows, spread evenly over families and, within a family, over session lineages.

    Families take turns, and within a family the lineages do, so that a long session cannot crowd out the others: for
    an interval over sessions, the second row of a session is worth less than the first of another.

    Args:
        rows: held-out rows.
        cap: how many to take, at least 1.
        seed: decides between equals.

    Returns:
        The chosen rows in the order in which they stood.
    """
    if len(rows) <= cap:
        return list(rows)
    shuffled = list(range(len(rows)))
    random.Random(seed).shuffle(shuffled)
    queues: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in shuffled:
        queues[rows[index].family][rows[index].lineage].append(index)
    orders = [_by_turns(list(lineages.values())) for _, lineages in sorted(queues.items())]
    return [rows[index] for index in sorted(_by_turns(orders)[:cap])]


def _by_turns(queues: list[list[int]]) -> list[int]:
    """Everyone's first, then everyone's second, and so on."""
    longest = max(map(len, queues))
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def describe(chosen: Sequence[Row], rows: Sequence[Row], cap: int) -> Sampled:
    """What was chosen, out of what."""
    return Sampled(
        rows=len(chosen),
        sessions=len({row.lineage for row in chosen}),
        of_rows=len(rows),
        of_sessions=len({row.lineage for row in rows}),
        cap=cap,
    )
