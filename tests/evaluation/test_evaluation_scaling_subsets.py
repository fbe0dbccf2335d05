"""Nested subsets: whole sessions, each within the next, every family in its share."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from locum.evaluation.scaling.subsets import FRACTIONS, nested
from locum.types import Message, Row


def row(lineage: str, family: str, number: int) -> Row:
    messages = (Message(role="user", content="?"), Message(role="assistant", content=str(number)))
    return Row(
        id=f"{lineage}/{number}", session=lineage, lineage=lineage, turn=number, family=family, messages=messages
    )


def rows(sizes: list[tuple[str, int]]) -> list[Row]:
    return [row(f"s{index}", family, turn) for index, (family, count) in enumerate(sizes) for turn in range(count)]


@given(
    st.lists(st.tuples(st.sampled_from(["reply", "tool_decision"]), st.integers(1, 6)), min_size=1, max_size=30),
    st.integers(0, 5),
)
def test_subsets_are_nested_and_hold_whole_sessions(sizes: list[tuple[str, int]], seed: int) -> None:
    everything = rows(sizes)
    subsets = nested(everything, FRACTIONS, seed)
    assert [one.id for one in subsets[-1]] == [one.id for one in everything]
    smaller: set[str] = set()
    for subset in subsets:
        assert subset
        mine = {one.id for one in subset}
        assert smaller <= mine
        held = {one.lineage for one in subset}
        assert mine == {one.id for one in everything if one.lineage in held}
        smaller = mine
    assert nested(everything, FRACTIONS, seed) == subsets


def test_families_keep_their_share() -> None:
    everything = rows([("reply", 2)] * 20 + [("code_review", 2)] * 60)
    for seed in range(10):
        for subset, fraction in zip(nested(everything, FRACTIONS, seed), FRACTIONS, strict=True):
            counts = Counter(one.family for one in subset)
            assert abs(counts["reply"] - fraction * 40) <= 2
            assert abs(counts["code_review"] - fraction * 120) <= 2


def test_another_seed_takes_other_sessions() -> None:
    everything = rows([("reply", 1)] * 40)
    assert nested(everything, [0.25], 0) != nested(everything, [0.25], 1)
