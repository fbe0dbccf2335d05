"""Rows dealt into folds: what is kin lies in one fold, and every family is spread over all of them."""

import random
from collections import defaultdict
from collections.abc import Sequence

from locum.dataset.near_duplicates import clusters, signatures
from locum.errors import RunError
from locum.evaluation.scaling.subsets import by_family
from locum.types import Row


def kin(rows: Sequence[Row]) -> dict[str, str]:
    """Lineage -> the one that stands for its kin: lineages with rows that are nearly the same, and so through others.

    A model that was trained on one of two such rows has seen the other, as in `locum.dataset.split`.
    """
    parent = {row.lineage: row.lineage for row in rows}

    def root(lineage: str) -> str:
        while parent[lineage] != lineage:
            lineage = parent[lineage]
        return lineage

    for row, first in zip(rows, clusters(b"".join(signatures(rows))), strict=True):
        earlier, later = sorted((root(row.lineage), root(rows[first].lineage)))
        parent[later] = earlier
    return {lineage: root(lineage) for lineage in parent}


def deal(rows: Sequence[Row], count: int, seed: int = 0) -> list[list[Row]]:
    """Deal rows into folds: the sessions of each family one after the other, the longest first, to the fold that has
    the fewest of the family, and of those the fewest rows.

    So the sessions of a family differ by one at most between two folds, no fold is empty, and the rows of two folds
    differ by no more than the longest sessions of all families together.

    Args:
        rows: of all splits.
        count: how many folds.
        seed: decides between sessions of one length.

    Returns:
        The folds, each with its rows in their order.

    Raises:
        RunError: there are fewer unrelated sessions than folds.
    """
    groups = kin(rows)
    there = len(set(groups.values()))
    if there < count:
        raise RunError(too_many(count, there))
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[groups[row.lineage]] += 1
    dice = random.Random(seed)
    fold_of: dict[str, int] = {}
    held = [0] * count
    for _, mine in sorted(by_family((groups[row.lineage], row.family) for row in rows).items()):
        of_family = [0] * count
        dice.shuffle(mine)
        for group in sorted(mine, key=lambda one: -sizes[one]):
            fold = min(range(count), key=lambda at: (of_family[at], held[at]))
            fold_of[group] = fold
            of_family[fold] += 1
            held[fold] += sizes[group]
    return [[row for row in rows if fold_of[groups[row.lineage]] == fold] for fold in range(count)]


def too_many(count: int, there: int) -> str:
    """What to say where so many folds were asked for, and only so many sessions are unrelated."""
    return f"{count} folds need {count} unrelated sessions, and there are {there}: ask for fewer, or add sessions"
