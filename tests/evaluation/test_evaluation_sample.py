"""Which rows are measured: never more than the cap, every family, every lineage in its turn, the same each time."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from small_models import row, says, user

from locum.evaluation.sample import choose, describe
from locum.types import Row


@st.composite
def held_out(draw: st.DrawFn) -> list[Row]:
    """Sessions of very unequal length, of one family or two, their rows in any order."""
    rows: list[Row] = []
    for number in range(draw(st.integers(0, 6))):
        families = draw(st.sampled_from([("reply",), ("post",), ("reply", "post"), ("code_review",)]))
        lineage = f"l{draw(st.integers(0, 3))}"
        for turn in range(draw(st.integers(1, 8))):
            family = families[turn % len(families)]
            name = f"s{number}"
            rows.append(
                row(user(f"{number} {turn}"), says("."), session=name, turn=turn, family=family, lineage=lineage)
            )
    return draw(st.permutations(rows))


@given(held_out(), st.integers(1, 30), st.integers(0, 3))
def test_families_and_lineages_take_turns(rows: list[Row], cap: int, seed: int) -> None:
    chosen = choose(rows, cap, seed)
    assert len(chosen) == min(cap, len(rows))
    places = [rows.index(row) for row in chosen]
    assert places == sorted(set(places)), "rows of the list, once each, in its order"
    assert choose(rows, cap, seed) == chosen
    _evenly(Counter(row.family for row in rows), Counter(row.family for row in chosen))
    for family in {one.family for one in rows}:
        mine = [one for one in rows if one.family == family]
        taken = [one for one in chosen if one.family == family]
        _evenly(Counter(one.lineage for one in mine), Counter(one.lineage for one in taken))
    if cap >= len({row.family for row in rows}):
        assert {row.family for row in chosen} == {row.family for row in rows}


def _evenly(there: Counter[str], taken: Counter[str]) -> None:
    """Nobody has two more than another who has some left."""
    most = max(taken.values(), default=0)
    for name, count in there.items():
        assert taken[name] == count or taken[name] >= most - 1


@given(st.integers(0, 50))
def test_rows_of_a_lineage_follow_one_another(seed: int) -> None:
    """Prompts that share a beginning are computed once."""
    rows = [row(user(str(turn)), says("."), turn=turn) for turn in range(20)]
    turns = [row.turn for row in choose(random.Random(1).sample(rows, 20), 5, seed)]
    start = next(turn for turn in turns if (turn - 1) % 20 not in turns)
    assert sorted(turns) == sorted((start + step) % 20 for step in range(5))


def test_the_seed_decides_between_equals() -> None:
    rows = [row(user(str(i)), says("."), session=f"s{i}") for i in range(40)]
    assert len({tuple(row.id for row in choose(rows, 3, seed)) for seed in range(10)}) > 5


def test_the_description() -> None:
    rows = [row(user(str(i)), says("."), session=f"s{i // 2}", lineage=f"l{i // 4}") for i in range(12)]
    found = describe(choose(rows, 3), rows, 3)
    assert (found.rows, found.sessions, found.of_rows, found.of_sessions, found.cap) == (3, 3, 12, 3, 3)
