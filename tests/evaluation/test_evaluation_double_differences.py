"""A liking for an answer or for a prompt changes no double difference; sessions tie the pairs of an interval."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import row, says, user

from locum.evaluation.decision_slots import decision_of
from locum.evaluation.double_differences import double_difference, match_pairs, mean_of_pairs, share_right
from locum.types import Row

nats = st.floats(0, 50)


@given(nats, nats, nats, nats, *[st.floats(-20, 20)] * 4)
def test_likings_cancel(
    own_i: float, own_j: float, i_at_j: float, j_at_i: float, fi: float, fj: float, gi: float, gj: float
) -> None:
    plain = double_difference(own_i + own_j, i_at_j + j_at_i)
    liked = double_difference((own_i + fi + gi) + (own_j + fj + gj), (i_at_j + fi + gj) + (j_at_i + fj + gi))
    assert liked == pytest.approx(plain, abs=1e-9)


def test_ties_count_half() -> None:
    assert share_right([1.0, -1.0, 0.0, 1e-9]).tolist() == [1.0, 0.0, 0.5, 0.5]


def rows() -> list[tuple[Row, str]]:
    made = []
    for number in range(14):
        text = f"Order {number % 3}: please {'drop the table' if number % 2 else 'write the page'} {number}"
        answer = "I would advise against it." if number % 2 else "Done."
        made.append((row(user(text), says(answer), session=f"s{number // 2}"), text))
    return made


def test_partners_are_hard_and_of_other_sessions() -> None:
    given_ = rows()
    pairs = match_pairs(given_)
    assert pairs
    assert max(Counter(index for pair in pairs for index in pair).values()) <= 2
    for i, j in pairs:
        one, other = given_[i][0], given_[j][0]
        assert one.lineage != other.lineage
        assert decision_of(one) != decision_of(other)
    first = pairs[0]
    assert given_[first[0]][1].split()[1] == given_[first[1]][1].split()[1], "the most alike come first"
    assert match_pairs(given_[:2]) == [], "one session has no partner"
    assert match_pairs([]) == []


def test_intervals_of_pairs_cover_with_few_sessions() -> None:
    draw = random.Random(2)
    covered = 0
    for _ in range(300):
        names = [f"s{number}" for number in range(10)]
        bent = {name: draw.gauss(0, 0.5) for name in names}
        nodes = [(one, draw.choice([n for n in names if n != one])) for one in names * 2]
        values = np.array([bent[one] + bent[other] + draw.gauss(0, 0.5) for one, other in nodes])
        found = mean_of_pairs(values, nodes, bounds=(-10, 10))
        covered += found.low <= 0 <= found.high
    assert covered >= 0.88 * 300, f"{covered} of 300 nominal 95 % intervals cover"


def test_few_right_pairs_prove_nothing() -> None:
    found = mean_of_pairs([1.0] * 6, [("a", "b"), ("c", "d"), ("a", "c"), ("b", "d"), ("a", "d"), ("b", "c")])
    assert found.estimate == 1.0
    assert found.low < 0.2
    assert (found.rows, found.sessions) == (6, 4)
    one = mean_of_pairs([1.0], [("a", "b")])
    assert (one.low, one.high) == (0.0, 1.0)
