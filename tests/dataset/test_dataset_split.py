"""Splits: by lineage, forward in time, and roughly the shares that were asked for."""

from dataset_sessions import human, session
from hypothesis import given
from hypothesis import strategies as st

from locum.dataset.split import SHARES, SPLITS, assign, in_order, start_of
from locum.types import Message, Session

counts = st.lists(st.integers(1, 50), min_size=1, max_size=60)


def named(rows: list[int]) -> dict[str, int]:
    return {f"l{at}": count for at, count in enumerate(rows)}


@given(counts)
def test_splits_go_forward_and_none_is_empty_from_three_on(rows: list[int]) -> None:
    splits = list(assign(named(rows)).values())
    assert len(splits) == len(rows)
    assert splits == sorted(splits, key=SPLITS.index)
    expected = {1: {"train"}, 2: {"train", "test"}}.get(len(rows), set(SPLITS))
    assert set(splits) == expected


@given(st.lists(st.integers(1, 5), min_size=60, max_size=120))
def test_shares_are_kept_where_lineages_are_small(rows: list[int]) -> None:
    split_of = assign(named(rows))
    for split, share in SHARES.items():
        held = sum(count for lineage, count in named(rows).items() if split_of[lineage] == split)
        assert abs(held - share * sum(rows)) <= 5


def test_small_numbers_of_lineages() -> None:
    assert assign({}) == {}
    assert list(assign(named([9])).values()) == ["train"]
    assert list(assign(named([9, 9])).values()) == ["train", "test"]
    assert list(assign(named([9, 9, 9])).values()) == ["train", "valid", "test"]
    assert list(assign(named([1] * 10)).values()) == ["train"] * 7 + ["valid"] + ["test"] * 2
    assert list(assign(named([1, 1, 1, 97])).values()) == ["train", "train", "valid", "test"]


def at(id: str, started: str | None, lineage: str | None = None, *messages: Message) -> Session:
    return session(*messages, id=id, lineage=lineage or id, started=started)


def ordered_ids(*sessions: Session) -> tuple[str, str, int]:
    order, by, untimed = in_order([(one.lineage, start_of(one)) for one in sessions])
    return "".join(sessions[place].id for place in order), by, untimed


def test_lineages_are_ordered_by_their_start_and_kept_together() -> None:
    found = ordered_ids(
        at("a", "2026-01-03T00:00:00Z"),
        at("b", "2026-01-05T00:00:00Z", "x"),
        at("c", "2026-01-01T00:00:00.500Z", "x"),
        at("d", "2026-01-01T02:00:00+02:00"),
    )
    assert found == ("dcba", "time", 0)


def test_without_times_appearance_counts() -> None:
    assert ordered_ids(at("b", None), at("a", None, "y"), at("c", "last week", "b")) == ("bca", "appearance", 2)


def test_lineages_without_a_time_come_first() -> None:
    timed = human("Hi.", time="2026-01-01T00:00:00Z")
    assert ordered_ids(at("a", None, None, timed), at("b", None), at("c", "2025-12-01")) == ("bca", "time", 1)
