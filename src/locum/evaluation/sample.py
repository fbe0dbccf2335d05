"""Which held-out rows are measured where measuring all of them would take hours."""

import random
from collections import defaultdict
from collections.abc import Sequence

from locum.evaluation.results import Sampled
from locum.types import Row


def choose(rows: Sequence[Row], cap: int, seed: int = 0) -> list[Row]:
    """At most `cap` rows, spread evenly over families and, within a family, over session lineages.

    Families take turns, and within a family the lineages do, so that a long session cannot crowd out the others: for
    an interval over sessions, the second row of a session is worth less than the first of another. Within a lineage
    the rows follow one another from a random one on: their prompts then share beginnings, which are computed once.

    Args:
        rows: held-out rows.
        cap: how many to take, at least 1.
        seed: decides between equals.

    Returns:
        The chosen rows in the order in which they stood.
    """
    if len(rows) <= cap:
        return list(rows)
    draw = random.Random(seed)
    families: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in sorted(range(len(rows)), key=lambda i: (rows[i].session, rows[i].turn)):
        families[rows[index].family][rows[index].lineage].append(index)
    orders = []
    for _, lineages in sorted(families.items()):
        queues = [_rotated(queue, draw.randrange(len(queue))) for _, queue in sorted(lineages.items())]
        draw.shuffle(queues)
        orders.append(_by_turns(queues))
    return [rows[index] for index in sorted(_by_turns(orders)[:cap])]


def _rotated(queue: list[int], start: int) -> list[int]:
    return queue[start:] + queue[:start]


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
