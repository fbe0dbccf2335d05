"""Which rows lend their prompts to which: same family, other lineage, about as long."""

from collections import defaultdict
from collections.abc import Sequence

from locum.types import Row

DONORS = 4


def match_donors(rows: Sequence[Row], prompt_tokens: Sequence[int], count: int = DONORS) -> dict[int, list[int]]:
    """For each row the rows whose prompts it is also scored under, the same for every model.

    The nearest in prompt length are taken, a lineage's second row only when every other lineage has lent one. Rows
    lend one another their prompts mutually where lengths allow, so that a prompt computed once serves many responses.

    Args:
        rows: the scored rows.
        prompt_tokens: tokens of each row's prompt.
        count: donors a row needs.

    Returns:
        Index of the row -> indices of its donors, nearest first; a row that has fewer than `count` is left out.
    """
    families: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        families[row.family].append(index)
    found: dict[int, list[int]] = {}
    for members in families.values():
        for index in members:
            others = [other for other in members if rows[other].lineage != rows[index].lineage]
            others.sort(key=lambda other: (abs(prompt_tokens[other] - prompt_tokens[index]), rows[other].id))
            lent: dict[str, int] = defaultdict(int)
            turn: dict[int, int] = {}
            for other in others:
                turn[other] = lent[rows[other].lineage]
                lent[rows[other].lineage] += 1
            others.sort(key=turn.__getitem__)
            if len(others) >= count:
                found[index] = others[:count]
    return found
