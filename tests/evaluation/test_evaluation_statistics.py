"""The intervals keep their promise where sessions are few and alike, and never turn three rows into a
proof."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from locum.evaluation.statistics import (
    UNBOUNDED,
    clopper_pearson,
    clustered_mean,
    effective_rows,
    intraclass_correlation,
    jackknife,
    paired_difference,
    tango_interval,
)
from locum.types import Estimate, Undefined

Array = NDArray[np.float64]
ROWS_PER_SESSION = 4
SIMULATIONS = 1200


def three_errors(rate: float) -> float:
    return 3 * math.sqrt(rate * (1 - rate) / SIMULATIONS)


def sessions_of(count: int, rows: int = ROWS_PER_SESSION) -> list[str]:
    return [f"s{i // rows}" for i in range(count * rows)]


# --- coverage and type-I error, by simulation -----------------------------------------------------


def normal_rows(rng: np.random.Generator, sessions: int) -> tuple[Array, float]:
    effect = np.repeat(rng.normal(0, 0.7, sessions), ROWS_PER_SESSION)
    return 2.0 + effect + rng.normal(0, 1, len(effect)), 2.0


def right_rows(rng: np.random.Generator, sessions: int) -> tuple[Array, float]:
    """Right in 85 % of rows; a session is an easy one (97 %) or a hard one (73 %)."""
    p = np.repeat(rng.choice([0.73, 0.97], sessions), ROWS_PER_SESSION)
    return (rng.random(len(p)) < p).astype(float), 0.85


@pytest.mark.parametrize("sessions", [6, 12, 25])
@pytest.mark.parametrize("draw", [normal_rows, right_rows])
def test_the_mean_is_missed_no_more_often_than_promised(
    draw: Callable[[np.random.Generator, int], tuple[Array, float]], sessions: int
) -> None:
    rng = np.random.default_rng(11)
    names = sessions_of(sessions)
    missed = below = 0
    for _ in range(SIMULATIONS):
        values, truth = draw(rng, sessions)
        two_sided = clustered_mean(values, names)
        missed += not two_sided.low <= truth <= two_sided.high
        below += clustered_mean(values, names, confidence=0.9).low > truth
    assert missed / SIMULATIONS <= 0.05 + three_errors(0.05)
    assert below / SIMULATIONS <= 0.05 + three_errors(0.05)


@pytest.mark.parametrize("sessions", [6, 12, 25])
@pytest.mark.parametrize("discordance", [0.1, 0.3])
def test_a_difference_is_missed_no_more_often_than_promised(discordance: float, sessions: int) -> None:
    """d is -0.1 on average, with a session effect of up to 0.15."""
    rng = np.random.default_rng(12)
    names = sessions_of(sessions)
    spread = min(0.15, discordance - 0.1)
    missed = above = 0
    for _ in range(SIMULATIONS):
        mean = np.repeat(-0.1 + rng.choice([-spread, spread], sessions), ROWS_PER_SESSION)
        draw = rng.random(len(mean))
        win = draw < (discordance + mean) / 2
        loss = ~win & (draw < discordance)
        a, b = ~loss, ~win
        estimate = paired_difference(a, b, names)
        missed += not estimate.low <= -0.1 <= estimate.high
        above += paired_difference(a, b, names, confidence=0.9).low > -0.1
    assert missed / SIMULATIONS <= 0.05 + three_errors(0.05)
    assert above / SIMULATIONS <= 0.05 + three_errors(0.05)


def test_the_simulation_can_fail() -> None:
    """The interval that takes rows for independent misses far more often on the same draws."""
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(SIMULATIONS):
        values, truth = normal_rows(rng, 12)
        reach = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
        missed += abs(values.mean() - truth) > reach
    assert missed / SIMULATIONS > 0.05 + 2 * three_errors(0.05)


def test_the_percentile_bootstrap_is_left_out_for_a_reason() -> None:
    """At six sessions it rejects a true one-sided hypothesis about twice as often as it promises."""
    rng = np.random.default_rng(13)
    above = 0
    for _ in range(SIMULATIONS):
        values, truth = normal_rows(rng, 6)
        means = values.reshape(6, ROWS_PER_SESSION).mean(axis=1)
        resampled = means[rng.integers(0, 6, (200, 6))].mean(axis=1)
        above += np.quantile(resampled, 0.05) > truth
    assert above / SIMULATIONS > 0.05 + three_errors(0.05)


# --- the traps ------------------------------------------------------------------------------------


def test_one_session_says_nothing_however_many_rows() -> None:
    rows = ["only"] * 500
    assert clustered_mean([1.0] * 500, rows, bounds=(0.0, 1.0)).low == 0.0
    estimate = paired_difference([1.0] * 500, [0.0] * 500, rows)
    assert (estimate.low, estimate.high) == (-1.0, 1.0)
    loss = clustered_mean([2.1, 2.2, 2.3], ["only"] * 3)
    assert (loss.low, loss.high) == UNBOUNDED
    assert math.isfinite(loss.low)


def test_all_rows_right_is_no_certainty() -> None:
    estimate = clustered_mean([1, 1, 1], ["a", "b", "c"])
    assert estimate.low == pytest.approx(0.025 ** (1 / 3))
    assert estimate.high == 1.0
    same = paired_difference([1, 1, 1], [1, 1, 1], ["a", "b", "c"])
    z2 = norm.ppf(0.975) ** 2
    assert same.low == pytest.approx(-z2 / (3 + z2))
    assert same.high == pytest.approx(z2 / (3 + z2))


def test_a_bounded_measure_without_variation_is_no_certainty() -> None:
    estimate = clustered_mean([0.3] * 8, list("aabbccdd"), bounds=(0.0, 1.0))
    assert estimate.low < 0.2
    assert estimate.high > 0.5
    still = clustered_mean([7.0] * 8, list("aabbccdd"))
    assert (still.low, still.high) == UNBOUNDED


def test_intervals_stay_within_bounds() -> None:
    estimate = clustered_mean([0.0, 0.9, 0.1, 0.0], list("abcd"), bounds=(0.0, 1.0))
    assert estimate.low == 0.0
    with pytest.raises(ValueError, match="outside their bounds"):
        clustered_mean([0.5, 1.5], ["a", "b"], bounds=(0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "clusters"), [([], []), ([1.0], []), ([math.nan], ["a"]), ([math.inf, 1.0], ["a", "b"])]
)
def test_what_cannot_be_averaged_is_refused(values: list[float], clusters: list[str]) -> None:
    with pytest.raises(ValueError, match=r"sessions for values|not finite"):
        clustered_mean(values, clusters)


# --- parts against independent references ---------------------------------------------------------


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_is_scipys(counts: tuple[int, int]) -> None:
    k, n = counts
    reference = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(k, n) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_tango_solves_the_score_equation_of_the_restricted_likelihood() -> None:
    """The nuisance probability found by maximising the likelihood numerically, not by Tango's closed form."""
    wins, losses, n = 9.0, 4.0, 40.0

    def score(delta: float) -> float:
        def negative(loss: float) -> float:
            agree = 1 - 2 * loss - delta
            return -(wins * math.log(loss + delta) + losses * math.log(loss) + (n - wins - losses) * math.log(agree))

        edge = 1e-9
        bounds = (max(0.0, -delta) + edge, (1 - delta) / 2 - edge)
        loss = float(minimize_scalar(negative, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)
        return float((wins - losses - n * delta) / math.sqrt(n * (2 * loss + delta - delta**2)))

    low, high = tango_interval(wins, losses, n)
    assert score(low) == pytest.approx(1.95996, abs=1e-3)
    assert score(high) == pytest.approx(-1.95996, abs=1e-3)


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 100), st.sampled_from([0.8, 0.9, 0.95]))
def test_tango_is_antisymmetric_and_holds_the_estimate(
    wins: float, losses: float, agreed: float, confidence: float
) -> None:
    n = wins + losses + agreed + 1
    low, high = tango_interval(wins, losses, n, confidence)
    assert -1 <= low <= (wins - losses) / n <= high <= 1
    mirrored = tango_interval(losses, wins, n, confidence)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(("n", "expected"), [(20, -0.119), (30, -0.083)])
def test_tango_at_zero_discordance(n: int, expected: float) -> None:
    z2 = norm.ppf(0.95) ** 2
    low = tango_interval(0, 0, n, confidence=0.9)[0]
    assert low == pytest.approx(-z2 / (n + z2), abs=1e-9)
    assert low == pytest.approx(expected, abs=5e-4)


def test_tango_is_that_of_another_library() -> None:
    """evalstats solves the quartic of Chang et al. 2024; without the continuity correction it is Tango's interval."""
    resampling = pytest.importorskip("evalstats.core.resampling")
    rng = np.random.default_rng(7)
    for _ in range(200):
        a, b = (rng.random((2, int(rng.integers(4, 60)))) < rng.random((2, 1))).astype(float)
        wins, losses = float((a > b).sum()), float((a < b).sum())
        if wins + losses not in (0, len(a)):  # there the roots of the quartic run together
            low, high = resampling.tango_scc_paired_ci(a, b, 0.05, 0.0)
            assert tango_interval(wins, losses, len(a)) == pytest.approx((low, high), abs=1e-5)


def test_equally_long_sessions_have_one_degree_of_freedom_less_than_sessions() -> None:
    """CR3 with Satterthwaite's degrees of freedom is then the textbook's t interval of the sessions' means."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=28)
    means = values.reshape(7, 4).mean(axis=1)
    reach = float(student.ppf(0.975, 6)) * means.std(ddof=1) / math.sqrt(7)
    found = clustered_mean(values, sessions_of(7))
    assert (found.low, found.high) == pytest.approx((means.mean() - reach, means.mean() + reach))


def test_one_long_session_widens_the_interval() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=40)
    equal = clustered_mean(values, sessions_of(10))
    long = clustered_mean(values, ["long"] * 22 + [f"s{i // 2}" for i in range(18)])
    assert long.high - long.low > 1.5 * (equal.high - equal.low)


def test_satterthwaites_degrees_of_freedom_are_those_of_the_quadratic_form() -> None:
    """Against the definition, (E q)^2 over half its variance, with the matrix written out."""
    sizes, correlation = np.array([1.0, 2.0, 3.0, 9.0]), 1.0
    groups = np.repeat(np.arange(4), sizes.astype(int))
    values = np.repeat([1.0, -1.0, 2.0, 0.5], sizes.astype(int))  # sessions without spread within: correlation 1
    w = sizes / sizes.sum()
    scale = 3 / 4 / (sizes.sum() - sizes) ** 2
    residual = np.diag(sizes) @ (np.eye(4) - np.ones((4, 1)) * w)
    form = residual.T @ np.diag(scale) @ residual
    spread = np.diag(correlation + (1 - correlation) / sizes)
    expected = np.trace(form @ spread) ** 2 / np.trace(form @ spread @ form @ spread)
    means = np.array([1.0, -1.0, 2.0, 0.5])
    error = math.sqrt(means @ form @ means)
    found = clustered_mean(values, [str(g) for g in groups])
    assert found.high - found.estimate == pytest.approx(float(student.ppf(0.975, expected)) * error)


def test_the_least_effect_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    typical = np.median([_least(normal_rows(rng, 25)[0], 25) for _ in range(200)])
    found = 0
    for _ in range(600):
        values, truth = normal_rows(rng, 25)
        found += clustered_mean(values, sessions_of(25)).low > truth - typical
    assert found / 600 == pytest.approx(0.8, abs=0.06)
    assert clustered_mean([1.0, 2.0], ["a", "a"]).least is None


def _least(values: Array, sessions: int) -> float:
    least = clustered_mean(values, sessions_of(sessions)).least
    assert least is not None
    return least


def test_jackknife_of_a_mean_is_the_means_own_interval() -> None:
    values = np.random.default_rng(6).normal(size=12)
    names = sessions_of(4, 3)
    without = [np.delete(values.reshape(4, 3), i, axis=0).mean() for i in range(4)]
    found = jackknife(float(values.mean()), without, rows=12)
    expected = clustered_mean(values, names)
    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.rows, found.sessions) == (12, 4)


def test_jackknife_says_where_there_is_no_figure() -> None:
    few = jackknife(1.0, [1.0], rows=9)
    assert few == Undefined("too_few", "1 sessions of at least 2")
    lost = jackknife(1.0, [1.0, math.nan], rows=9)
    assert isinstance(lost, Undefined)
    assert lost.kind == "undefined"


def test_intraclass_correlation_of_a_worked_example() -> None:
    """Sessions (1, 3) and (5, 7): between 16, within 2, so (16 - 2) / (16 + 2)."""
    assert intraclass_correlation([1, 3, 5, 7], list("aabb")) == pytest.approx(14 / 18)
    assert intraclass_correlation([1, 2, 3], list("abc")) == 0.0
    assert intraclass_correlation([4, 4, 4, 4], list("aabb")) == 0.0
    assert intraclass_correlation([1, 2], list("aa")) == 1.0


def test_effective_rows() -> None:
    assert effective_rows([1, 2, 3], list("abc")) == 3
    assert effective_rows([1] * 500, ["a"] * 500) == 1
    assert effective_rows([1, 1] * 20, sessions_of(10)) == pytest.approx(40 / 1.3)
    # Eleven sessions of one row beside one of 500 are not 511 rows, nor 511 / (1 + 41.6 / 10).
    lopsided = [f"s{i}" for i in range(11)] + ["long"] * 500
    assert effective_rows([1] * 511, lopsided) < 11


rows_of_sessions = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(rows_of_sessions)
def test_properties_of_the_intervals(rows: list[tuple[str, bool, bool]]) -> None:
    names = [name for name, _, _ in rows]
    a = [x for _, x, _ in rows]
    b = [y for _, _, y in rows]
    mean = clustered_mean(a, names)
    assert 0 <= mean.low <= mean.estimate <= mean.high <= 1
    assert mean.high > mean.low, "no number of rows is a certainty"
    assert 1 <= effective_rows(a, names) <= len(rows)
    difference = paired_difference(a, b, names)
    assert -1 <= difference.low <= difference.estimate <= difference.high <= 1
    mirrored = paired_difference(b, a, names)
    assert (mirrored.low, mirrored.high) == pytest.approx((-difference.high, -difference.low), abs=1e-9)
    narrower = paired_difference(a, b, names, confidence=0.8)
    assert difference.low <= narrower.low + 1e-12
    assert narrower.high <= difference.high + 1e-12
    backwards = paired_difference(a[::-1], b[::-1], names[::-1])
    assert (backwards.low, backwards.high) == pytest.approx((difference.low, difference.high), abs=1e-9)


def test_a_difference_that_happens_to_be_noughts_and_ones_is_no_proportion() -> None:
    """Losses that tie in every row say nothing of a side: the lower end was 0."""
    names = [f"s{number % 5}" for number in range(20)]
    ties = paired_difference([0.5] * 20, [0.5] * 20, names)
    assert (ties.low, ties.high) == UNBOUNDED
    ones = [float(number % 5 == 0) for number in range(20)]
    found = paired_difference([0.5 + one for one in ones], [0.5] * 20, names)
    assert found.low < 0 < found.high
