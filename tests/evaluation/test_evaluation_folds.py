"""Folds: every row in one of them, kin never apart, every family spread over all."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import row, says, user

from locum.errors import RunError
from locum.evaluation.anatomy.folds import deal, kin
from locum.types import Row

FAMILIES = ("reply", "tool_decision", "post")
LONG = "The order is late by twelve days, and the customer wants to know why nobody told them. " * 3


def rows_of(sizes: list[tuple[str, int]], twins: frozenset[int] = frozenset()) -> list[Row]:
    """Sessions of a family and a length; those in `twins` answer one long question nearly alike."""
    return [
        row(
            user(LONG if at in twins and turn == 0 else f"question {at}/{turn}"),
            says(f"{LONG} {at}" if at in twins and turn == 0 else f"answer {at}/{turn}"),
            session=f"s{at}/{turn % 2}",
            lineage=f"s{at}",
            turn=turn,
            family=family,
        )
        for at, (family, length) in enumerate(sizes)
        for turn in range(length)
    ]


SIZES = st.lists(st.tuples(st.sampled_from(FAMILIES), st.integers(1, 7)), min_size=2, max_size=30)


@settings(deadline=None)  # signing rows takes its time beside other programs
@given(SIZES, st.integers(2, 8), st.integers(0, 3))
def test_every_row_lies_in_one_fold_and_a_lineage_in_no_two(
    sizes: list[tuple[str, int]], count: int, seed: int
) -> None:
    rows = rows_of(sizes)
    if count > len(sizes):
        with pytest.raises(
            RunError, match=f"{count} folds need {count} unrelated sessions, and there are {len(sizes)}"
        ):
            deal(rows, count, seed)
        return
    folds = deal(rows, count, seed)
    assert all(folds)
    assert sorted(one.id for fold in folds for one in fold) == sorted(one.id for one in rows)
    lineages = [{one.lineage for one in fold} for fold in folds]
    assert sum(map(len, lineages)) == len(sizes)
    assert deal(rows, count, seed) == folds
    # Sessions of a family differ by one at most, and rows by no more than the longest sessions of all families.
    longest: dict[str, int] = defaultdict(int)
    for family, length in sizes:
        longest[family] = max(longest[family], length)
    for family in longest:
        held = [len({one.lineage for one in fold if one.family == family}) for fold in folds]
        assert max(held) - min(held) <= 1
    assert max(map(len, folds)) - min(map(len, folds)) <= sum(longest.values())


@settings(deadline=None)
@given(SIZES, st.sets(st.integers(0, 29), min_size=2, max_size=6))
def test_sessions_with_rows_that_are_nearly_the_same_lie_in_one_fold(
    sizes: list[tuple[str, int]], twins: set[int]
) -> None:
    alike = frozenset(at for at in twins if at < len(sizes))
    rows = rows_of(sizes, alike)
    groups = kin(rows)
    assert len({groups[f"s{at}"] for at in alike}) == min(1, len(alike))
    assert len(set(groups.values())) == len(sizes) - max(0, len(alike) - 1)
    if len(set(groups.values())) >= 2:
        assert sum(any(one.lineage in {f"s{at}" for at in alike} for one in fold) for fold in deal(rows, 2)) <= 1
