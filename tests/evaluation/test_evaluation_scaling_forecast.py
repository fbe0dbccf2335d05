"""The forecast from a ladder: it finds a law that is there, and refuses where the ladder cannot carry one."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.evaluation.scaling.forecast import forecast
from locum.evaluation.scaling.ladder import Ladder, resampled, spread
from locum.evaluation.scaling.power_law import EXPONENTS, PowerLaw, fit

FRACTIONS = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1)
TRUTH = PowerLaw(floor=2.0, drop=3.0, exponent=0.35)


def ladder(
    seed: int,
    *,
    largest: int = 91,
    noise: float = 0.01,
    law: PowerLaw | None = TRUTH,
    sessions: int = 20,
    seeds: int = 3,
    fractions: tuple[float, ...] = FRACTIONS,
) -> Ladder:
    """A ladder over sessions of unequal length and difficulty; `noise` is one training's spread in nats a token."""
    random = np.random.default_rng(seed)
    rows = tuple(max(1, round(largest * fraction)) for fraction in fractions)
    tokens = random.integers(50, 200, size=sessions)
    hard = random.normal(0, 0.3, size=sessions)
    rungs = []
    for n in rows:
        loss = TRUTH.floor if law is None else law.at(n)
        rungs.append(
            tuple(tuple(float(v) for v in (loss + hard + random.normal(0, noise)) * tokens) for _ in range(seeds))
        )
    return Ladder(rows, tuple(rungs), tuple(map(int, tokens)))


@given(st.floats(0.5, 4), st.floats(0.5, 5), st.sampled_from(list(EXPONENTS[20:100])), st.integers(60, 3000))
def test_a_law_without_noise_is_found(floor: float, drop: float, exponent: float, largest: int) -> None:
    law = PowerLaw(floor, drop, float(exponent))
    rows = sorted({round(largest * fraction) for fraction in FRACTIONS})
    found = fit(rows, [law.at(n) for n in rows], [0.01] * len(rows))
    assert found.exponent == pytest.approx(law.exponent, rel=0.05)
    assert found.at(2 * largest) == pytest.approx(law.at(2 * largest), abs=0.01)


def test_a_law_never_falls_below_nothing() -> None:
    found = fit([10, 20, 40, 80], [1.0, 0.4, 0.1, 0.05], [0.01] * 4)
    assert found.floor >= 0
    assert found.drop >= 0


def test_rows_for_a_loss_turn_the_law_around() -> None:
    assert TRUTH.rows_for(TRUTH.at(720)) == pytest.approx(720)
    assert math.isinf(TRUTH.rows_for(2.0))


def test_a_doubling_is_foretold_within_its_band_about_as_often_as_stated() -> None:
    inside = answered = 0
    for seed in range(60):
        found = forecast(ladder(seed), seed=seed)
        if found.expected_band is not None:
            answered += 1
            inside += found.expected_band[0] <= TRUTH.at(found.asked) <= found.expected_band[1]
    assert answered >= 40
    # 80 % stated; four standard errors of 60 simulations are 21 points.
    assert inside / answered >= 0.59


def test_noise_of_a_tenth_of_a_nat_is_refused() -> None:
    assert all(forecast(ladder(seed, noise=0.1), asked=364).refused for seed in range(20))


def test_a_curve_that_does_not_fall_is_refused_and_not_called_falling() -> None:
    found = [forecast(ladder(seed, law=None), seed=seed) for seed in range(60)]
    assert all(one.refused for one in found)
    # One side of an 80 % band errs in 10 %; four standard errors are 15 points.
    assert sum(one.falls for one in found) <= 15


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (ladder(0, seeds=2), "rungs of 2 trainings each"),
        (ladder(0, fractions=(1 / 8, 1 / 4, 1 / 2, 1)), "4 rungs"),
        (ladder(0, fractions=(1 / 4, 1 / 3, 1 / 2, 2 / 3, 1)), "the largest rung is 4.0 times the smallest"),
    ],
)
def test_a_ladder_that_is_too_short_is_refused(made: Ladder, reason: str) -> None:
    found = forecast(made)
    assert reason in found.refused[0]
    assert found.law is None
    assert found.expected is None
    assert len(found.losses) == len(made.rows)


def test_a_choice_has_to_be_better_than_the_base_rate() -> None:
    """The loss falls alike in both: from beyond the base rate towards it, or from there to nothing."""
    made = ladder(1)
    last, plain = float(made.means()[-1]), forecast(made)
    below, above = (
        forecast(msgspec.structs.replace(made, base_rate=tuple(rate * count for count in made.tokens)))
        for rate in (last + 1, last - 0.2)
    )
    assert plain.falls
    assert below.falls
    assert below.refused == plain.refused
    assert below.base_rate == pytest.approx(last + 1)
    assert below.gained_band is not None
    assert below.gained_band[0] < 1 < below.gained_band[1]
    assert not above.falls
    assert above.fall_band == below.fall_band
    assert len(above.refused) == len(plain.refused) + 1
    assert "not certainly better than the base rate" in above.refused[0]
    assert plain.base_rate is None


def test_too_far_is_refused() -> None:
    assert any("364" not in reason and "365 rows" in reason for reason in forecast(ladder(1), asked=365).refused)
    assert not any("were asked for" in reason for reason in forecast(ladder(1), asked=364).refused)
    assert any("more than 2 times" in reason for reason in forecast(ladder(1, noise=0.05), asked=190).refused)


def test_a_target_below_the_floor_is_refused_and_one_above_it_has_its_rows() -> None:
    made = ladder(3, noise=0.003)
    assert any("below what rows alone can reach" in reason for reason in forecast(made, target=0.5).refused)
    # The held-out sessions are harder or easier than the law by as much on every rung.
    harder = float(np.mean([loss - TRUTH.at(n) for n, loss in zip(made.rows, made.means(), strict=True)]))
    reachable = forecast(made, target=TRUTH.at(150) + harder)
    assert reachable.target_rows is not None
    least, most = reachable.target_rows
    assert most is not None
    assert least < 150 < most


def test_a_break_that_the_small_rungs_did_not_see_is_refused() -> None:
    made = ladder(5, noise=0.005)
    jumped = (*made.nats[:-1], tuple(tuple(v * 1.1 for v in seed) for seed in made.nats[-1]))
    found = forecast(Ladder(made.rows, jumped, made.tokens))
    assert any("foretell the largest wrongly" in reason for reason in found.refused)


def test_resampling_keeps_what_the_rungs_share() -> None:
    # Held-out sessions are hard or easy on all rungs alike: each rung's loss is uncertain, their difference is not.
    draws = resampled(ladder(7, noise=0.001), 200, 0)
    assert draws[:, 0].std() > 5 * (draws[:, 0] - draws[:, -1]).std()


def test_one_training_a_rung_has_no_spread() -> None:
    assert spread(ladder(0, seeds=1)) == 0.0
