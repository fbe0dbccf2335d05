"""Nested subsets of the training rows: whole sessions, every family in its share."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from locum.types import Row

FRACTIONS = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0)


def nested(rows: Sequence[Row], fractions: Sequence[float], seed: int) -> list[list[Row]]:
    """For each fraction, the rows of the sessions that come first in one order, so that each subset holds the smaller.

    Args:
        rows: the training rows.
        fractions: of the rows, rising, each in (0, 1].
        seed: of the order of the sessions.

    Returns:
        One list for each fraction, with rows in their own order: as many whole sessions as come nearest to the
        fraction, and one at least. Small datasets may give two fractions the same rows.
    """
    order = _order(rows, seed)
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row.lineage] += 1
    reached = [0]
    for lineage in order:
        reached.append(reached[-1] + sizes[lineage])
    subsets = []
    for fraction in fractions:
        count = min(range(1, len(reached)), key=lambda i: abs(reached[i] - fraction * len(rows)))
        chosen = set(order[:count])
        subsets.append([row for row in rows if row.lineage in chosen])
    return subsets


def by_family(members: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Family -> the sessions most of whose rows are of it, sorted.

    Args:
        members: of each row its session and its family.
    """
    families: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for session, family in members:
        families[session][family] += 1
    found: dict[str, list[str]] = defaultdict(list)
    for session, counts in sorted(families.items()):
        found[max(sorted(counts), key=counts.__getitem__)].append(session)
    return dict(found)


def _order(rows: Sequence[Row], seed: int) -> list[str]:
    """Sessions shuffled within the family that most of their rows are of, and the families dealt out evenly."""
    dice = random.Random(seed)
    places: dict[str, float] = {}
    for _, mine in sorted(by_family((row.lineage, row.family) for row in rows).items()):
        dice.shuffle(mine)
        start = dice.random()
        places |= {lineage: (index + start) / len(mine) for index, lineage in enumerate(mine)}
    return sorted(places, key=places.__getitem__)
