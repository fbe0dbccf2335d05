"""What is routine may be answered, what is novel goes to the agent: the guarantee holds, and little shows nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.trust.routing import DELTA, RISK, Route, route

SIMULATIONS = 200
MOST = DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / SIMULATIONS)
"""Share of broken promises that a rule which keeps its word may show by chance."""


def drawn(rng: np.random.Generator, sessions: int, rows: int, slope: float, *, alike: bool) -> Route:
    """Sessions whose rows are the more often wrong the less they are like training: `slope` of the wholly novel."""
    groups = np.repeat(np.arange(sessions), rows)
    likeness = rng.random(len(groups))
    luck = rng.random(sessions)[groups] if alike else rng.random(len(groups))
    right = luck >= slope * (1 - likeness)
    return route(likeness.tolist(), right.tolist(), [f"s{group}" for group in groups])


@pytest.mark.parametrize("alike", [False, True], ids=["independent", "luck of whole sessions"])
@pytest.mark.parametrize(("sessions", "rows"), [(25, 4), (75, 4), (30, 10), (120, 4)])
def test_a_threshold_keeps_the_risk_as_often_as_it_says(sessions: int, rows: int, *, alike: bool) -> None:
    rng = np.random.default_rng(3)
    found = [drawn(rng, sessions, rows, 0.4, alike=alike) for _ in range(SIMULATIONS)]
    kept = [one.threshold for one in found if one.threshold is not None]
    # Above a threshold t the share of wrong answers is 0.4 (1 - t) / 2 on average.
    wrong = sum(0.2 * (1 - threshold) > RISK for threshold in kept)
    assert wrong / SIMULATIONS <= MOST
    assert alike or sessions < 30 or len(kept) > 0.1 * SIMULATIONS, (
        "a rule that never lets anything through keeps any risk"
    )


@pytest.mark.parametrize(("sessions", "rows"), [(3, 200), (8, 60), (25, 4), (24, 8)])
def test_sessions_that_are_wholly_right_or_wrong_are_as_many_as_they_are(sessions: int, rows: int) -> None:
    """Rows beyond the first of a session say nothing here, and where none is wrong nothing shows that."""
    rng = np.random.default_rng(5)
    groups = [f"s{row // rows}" for row in range(sessions * rows)]
    shown = 0
    for _ in range(SIMULATIONS):
        right = np.repeat(rng.random(sessions) >= RISK + 0.001, rows)
        shown += route(rng.random(len(right)).tolist(), right.tolist(), groups).threshold is not None
    assert shown / SIMULATIONS <= MOST


def test_the_strictest_threshold_is_tried_first() -> None:
    """As a whole 30 % are wrong, so that a sequence from the loosest threshold on would end at its first."""
    likeness = [1 - row / 400 for row in range(400)]
    found = route(likeness, [row < 200 or row % 5 < 2 for row in range(400)], [f"s{row}" for row in range(400)])
    assert found.threshold is not None
    assert 0.45 < found.threshold < 0.6
    assert found.coverage == found.rows / 400
    assert "would be answered with at most 10% wrong (90% sure" in found.reason


def test_a_first_threshold_that_fails_ends_it() -> None:
    """Novel rows are right and the likest ones wrong: nothing is found by looking further."""
    found = route(
        [1 - row / 200 for row in range(200)], [row >= 22 for row in range(200)], [f"s{r}" for r in range(200)]
    )
    assert found.threshold is None
    assert found.coverage == 0
    assert found.reason == (
        "All requests belong to the agent: of the 22 rows most like training, 22 were decided wrongly."
    )


@pytest.mark.parametrize("sessions", [21, 22])
def test_without_a_wrong_answer_22_unrelated_rows_are_enough(sessions: int) -> None:
    found = route([0.5] * sessions, [True] * sessions, [f"s{row}" for row in range(sessions)])
    assert (found.threshold == 0.5) == (sessions == 22)
    assert "too few" in found.reason or sessions == 22


def test_rows_of_one_session_are_as_one() -> None:
    found = route([0.5] * 200, [True] * 200, ["s"] * 200)
    assert found.threshold is None
    assert "200 rows of 1 sessions are too few" in found.reason


def test_many_rows_of_few_sessions_begin_where_few_rows_do() -> None:
    """And not at 55 sessions, which there are not."""
    found = route([row / 400 for row in range(400)], [True] * 400, [f"s{row % 40}" for row in range(400)])
    assert found.coverage == 1


def test_a_threshold_is_not_said_to_be_lower_than_it_is() -> None:
    found = route([0.731] * 30 + [0.2] * 30, [True] * 30 + [False] * 30, [f"s{row}" for row in range(60)])
    assert found.threshold == 0.731
    assert found.reason.startswith("Measured, and no permission: what is like a training row by 0.74 or more")


def test_rows_that_are_equally_alike_go_together() -> None:
    found = route([0.9] * 30 + [0.2] * 30, [True] * 30 + [False] * 30, [f"s{row}" for row in range(60)])
    assert (found.threshold, found.rows, found.wrong) == (0.9, 30, 0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.sampled_from("abcdefghij")), max_size=120))
def test_whatever_it_is_given_it_counts_what_it_says(rows: list[tuple[float, bool, str]]) -> None:
    found = route([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    if found.threshold is None:
        assert found.coverage == 0
        return
    above = [right for likeness, right, _ in rows if likeness >= found.threshold]
    assert (found.rows, found.wrong) == (len(above), above.count(False))
    assert found.wrong / found.rows < RISK


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 likenesses, 1 decisions"):
        route([0.1, 0.2], [True], ["a"])
    for strange in (float("nan"), 1.5, -0.1):
        with pytest.raises(ValueError, match=f"likeness is {strange}"):
            route([0.1, strange], [True, True], ["a", "b"])
    with pytest.raises(ValueError, match="risk 0"):
        route([], [], [], risk=0)
