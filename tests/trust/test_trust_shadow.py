"""Sessions in the shadow: whoever looks after each of them errs no more often than the level says."""

import numpy as np
import pytest

from locum.trust.shadow import ALPHA, watch

SIMULATIONS = 400
SESSIONS = 300


def sessions(rng: np.random.Generator, mean: float, rows: int) -> list[float]:
    """Mean differences of sessions whose rows are won, lost or tied; a fifth of them are not tied."""
    draws = rng.choice([1.0, -1.0, 0.0], size=(SESSIONS, rows), p=[(0.2 + mean) / 2, (0.2 - mean) / 2, 0.8])
    return [float(value) for value in draws.mean(axis=1)]


@pytest.mark.parametrize("rows", [1, 5])
def test_one_at_the_margin_is_promoted_at_any_time_no_more_often_than_alpha(rows: int) -> None:
    rng = np.random.default_rng(7)
    promoted = sum(watch(sessions(rng, -0.1, rows)).promoted is not None for _ in range(SIMULATIONS))
    assert promoted / SIMULATIONS <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / SIMULATIONS)


def test_one_that_is_as_good_is_promoted_and_a_worse_one_withdrawn() -> None:
    rng = np.random.default_rng(8)
    equal = [watch(sessions(rng, 0.0, 5)) for _ in range(50)]
    assert sum(found.promoted is not None for found in equal) > 45
    assert not [found for found in equal if found.withdrawn]
    worse = watch([-0.4, -0.2, -0.6, 0.0] * 30)
    assert worse.withdrawn is not None
    assert worse.promoted is None


def test_wealth_is_what_bets_made_before_each_session_bring() -> None:
    """By hand: the first bet is (0.5 - 0.45) / (0.25 + 0.05^2) of a wealth of 1."""
    stake = 0.05 / (0.25 + 0.0025)
    assert watch([0.4]).safe == pytest.approx(1 + stake * (0.7 - 0.45))
    assert watch([]).safe == watch([]).worse == 1
    assert watch([]).promoted is None


def test_a_session_more_never_changes_what_was_shown() -> None:
    rng = np.random.default_rng(9)
    seen = sessions(rng, 0.05, 5)
    first = watch(seen).promoted
    assert first is not None
    assert watch(seen[:first]).promoted == first
    assert watch(seen[: first - 1]).promoted is None
    assert watch([*seen[:first], *[-1.0] * 50]).promoted == first


@pytest.mark.parametrize(("differences", "margin", "said"), [([1.5], 0.1, "1.5"), ([], 0.0, "margin 0.0")])
def test_bad_numbers_are_refused(differences: list[float], margin: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        watch(differences, margin)
