"""Shares of a pack are the pack, and their losses' mean is the pack's."""

from hypothesis import given
from hypothesis import strategies as st

from locum.training.packing import TokenSequence
from locum.training.team import share

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=12)


@given(lengths, st.integers(1, 5))
def test_shares_are_the_pack_and_nearly_even(found: list[int], size: int) -> None:
    batch = [TokenSequence(tokens=[at] * length, targets=[(at, 0, length)]) for at, length in enumerate(found)]
    shares = [share(batch, rank, size) for rank in range(size)]
    held = sorted(sequence.targets[0][0] for mine in shares for sequence in mine)
    assert held == list(range(len(found)))
    loads = [sum(len(sequence.tokens) for sequence in mine) for mine in shares]
    assert max(loads) - min(loads) <= max(found)


def test_one_alone_keeps_the_order() -> None:
    batch = [TokenSequence(tokens=[0] * length, targets=[]) for length in (1, 3, 2)]
    assert share(batch, 0, 1) == batch
