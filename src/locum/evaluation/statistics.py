"""Intervals that respect sessions: rows of one session are alike, so the session lineage is the unit that
counts.

Two intervals guard each other, and the wider one is reported. CR3-t (cluster-robust standard error by leaving out
one session at a time, t quantile with as many degrees of freedom as sessions of these sizes are worth) sees the
dependence, but its standard error is 0 when every row is right, which would make three rows a proof. The exact and
score intervals for counts (Clopper-Pearson, Tango) see that trap, but not the dependence, so they get the effective
number of rows. With equally long sessions CR3-t is CR1-t with G - 1 degrees of freedom; where some are much longer
than others, that one misses the truth in up to 12 % of cases instead of 5 %. The plain percentile bootstrap over
sessions is left out on purpose: below about 25 sessions it rejects true hypotheses too often.
`benchmarks/coverage.py` shows both.
"""

import math
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

from locum.types import Estimate, Undefined

Bounds = tuple[float, float]

UNBOUNDED: Bounds = (-sys.float_info.max, sys.float_info.max)
"""The range of a measure without one. The largest finite floats stand for infinity, which JSON does not
have."""

POWER = 0.8
"""Chance of finding it that makes an effect the least one that could have been seen."""

MIN_CORRELATION = 0.1
"""Rows of one session are taken to correlate at least this much: with few sessions the estimate is mostly
noise, and where nothing varies there is none at all."""


def clustered_mean(
    values: ArrayLike, clusters: Sequence[str], confidence: float = 0.95, bounds: Bounds = UNBOUNDED
) -> Estimate:
    """Mean over rows with an interval over sessions.

    Args:
        values: one number a row, shape (n,), n >= 1. Where all are 0 or 1 and `bounds` is left out or (0, 1),
            they are a proportion, and the interval also covers Clopper-Pearson's at the effective number of
            rows.
        clusters: the session lineage of each row, length n.
        confidence: two-sided level; for a one-sided bound at level alpha pass 1 - 2 * alpha and read one end.
        bounds: the range that the measure can take; the interval is cut to it. With one session alone the
            interval is the whole range. A bounded measure that does not vary between sessions gets the
            Clopper-Pearson interval of its mean on that range, because of all measures on it a proportion
            varies most.

    Raises:
        ValueError: no row, a value that is not finite or out of bounds, or lengths that differ.
    """
    x, groups = _checked(values, clusters)
    return _mean(x, groups, confidence, bounds, proportion=bounds in (UNBOUNDED, (0.0, 1.0)) and _binary(x))


def _mean(
    x: NDArray[np.float64], groups: NDArray[np.int64], confidence: float, bounds: Bounds, *, proportion: bool
) -> Estimate:
    low, high = (0.0, 1.0) if proportion else bounds
    if x.min() < low or x.max() > high:
        raise ValueError(f"values from {x.min()} to {x.max()} lie outside their bounds {low} to {high}")
    mean = float(x.mean())
    sessions = int(groups.max()) + 1
    if sessions == 1:
        return Estimate(mean, low, high, rows=len(x), sessions=1)
    error, freedom = _robust(x, groups)
    reach = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    ends = (mean - reach, mean + reach)
    still = error <= 1e-12 * max(1.0, abs(mean))
    if still and bounds == UNBOUNDED and not proportion:
        ends = bounds
    elif still or proportion:
        width, n_eff = high - low, _effective_rows(x, groups)
        exact = clopper_pearson((mean - low) / width * n_eff, n_eff, confidence)
        ends = (min(ends[0], low + width * exact[0]), max(ends[1], low + width * exact[1]))
    return _estimate(mean, (max(low, ends[0]), min(high, ends[1])), len(x), sessions, freedom, confidence)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[str],
    confidence: float = 0.95,
    bounds: Bounds = UNBOUNDED,
) -> Estimate:
    """Mean of a - b over the same rows, with an interval over sessions.

    Args:
        a: one number a row, shape (n,), n >= 1.
        b: the same of the other arm. Where both hold only 0 and 1 (wrong and right), the interval also covers
            Tango's score interval at the effective number of rows and is cut to (-1, 1).
        clusters: the session lineage of each row, length n.
        confidence: two-sided level; for a one-sided bound at level alpha pass 1 - 2 * alpha and read one end.
        bounds: the range of the *difference*, as in `clustered_mean`.

    Raises:
        ValueError: as `clustered_mean`.
    """
    x, groups = _checked(a, clusters)
    y, _ = _checked(b, clusters)
    d = x - y
    if not (_binary(x) and _binary(y)):
        # Ties all over are zeros, and yet no proportion: the difference may lie on either side.
        return _mean(d, groups, confidence, bounds, proportion=False)
    mean = float(d.mean())
    sessions = int(groups.max()) + 1
    if sessions == 1:
        return Estimate(mean, -1.0, 1.0, rows=len(d), sessions=1)
    error, freedom = _robust(d, groups)
    reach = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    n_eff = _effective_rows(d, groups)
    share = n_eff / len(d)
    score = tango_interval(float((d > 0).sum()) * share, float((d < 0).sum()) * share, n_eff, confidence)
    ends = max(-1.0, min(mean - reach, score[0])), min(1.0, max(mean + reach, score[1]))
    return _estimate(mean, ends, len(d), sessions, freedom, confidence)


def jackknife(
    whole: float, without: ArrayLike, rows: int, bounds: Bounds = UNBOUNDED, confidence: float = 0.95
) -> Estimate | Undefined:
    """Any smooth statistic with an interval over sessions, by leaving out one session at a time.

    Args:
        whole: the statistic over all sessions.
        without: the statistic without each session in turn, shape (G,).
        rows: how many rows it rests on.
        bounds: the range of the statistic.
        confidence: two-sided level.

    Returns:
        The statistic and `whole` -+ t * error with G - 1 degrees of freedom; undefined where it is not finite with
        one of the sessions left out, too few where there are fewer than two.

    Source: Efron & Stein 1981, doi 10.1214/aos/1176345462.
    """
    x = np.asarray(without, dtype=np.float64)
    count = len(x)
    if count < 2:
        return Undefined("too_few", f"{count} sessions of at least 2")
    if not math.isfinite(whole) or not np.isfinite(x).all():
        return Undefined("undefined", "it hangs on one session: without that one there is no such figure")
    error = math.sqrt((count - 1) / count * float(((x - whole) ** 2).sum()))
    reach = float(stdtrit(count - 1, 0.5 + confidence / 2)) * error
    ends = max(bounds[0], whole - reach), min(bounds[1], whole + reach)
    return _estimate(whole, ends, rows, count, count - 1, confidence)


def effective_rows(values: ArrayLike, clusters: Sequence[str]) -> float:
    """How many independent rows the rows are worth: n / (1 + (s - 1) * max(ICC, 0.1)), from 1 to n.

    s is the size of the session in which the average *row* lies (sum of squared sizes / n). It equals the
    mean size where all sessions are equally long; where one session holds most rows, the mean size would hide
    that (Kish, Survey Sampling, 1965; Eldridge et al. 2006, doi 10.1093/ije/dyl129).

    Raises:
        ValueError: as `clustered_mean`.
    """
    return _effective_rows(*_checked(values, clusters))


def intraclass_correlation(values: ArrayLike, clusters: Sequence[str]) -> float:
    """How alike the rows of one session are: the one-way ANOVA estimator, from below 0 to 1.

    1 for one session alone (nothing shows that its rows are more than one), 0 where nothing varies or no
    session has two rows. Source: Donner 1986, doi 10.2307/1403259.

    Raises:
        ValueError: as `clustered_mean`.
    """
    return _intraclass_correlation(*_checked(values, clusters))


def clopper_pearson(successes: float, trials: float, confidence: float = 0.95) -> Bounds:
    """Exact two-sided interval of a proportion (Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404).

    Both counts may be fractions, as effective counts are (Korn & Graubard 1998). 0 <= successes <= trials >
    0.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes >= trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def zero_loss_rows(rate: float, alpha: float) -> int:
    """Independent rows without one loss that bound the rate of losses below `rate` at one-sided level alpha."""
    return math.ceil(math.log(alpha) / math.log1p(-rate))


def tango_interval(wins: float, losses: float, n: float, confidence: float = 0.95) -> Bounds:
    """Score interval of the difference of two paired proportions (Tango 1998, doi
    10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B).

    Args:
        wins: pairs in which only the first is right; may be a fraction, as effective counts are.
        losses: pairs in which only the second is right.
        n: all pairs, n > 0.
        confidence: two-sided level.

    Returns:
        The ends of the set of differences, from -1 to 1, that the score test does not reject.
    """
    z = float(ndtri(0.5 + confidence / 2))
    estimate = (wins - losses) / n

    def kept(delta: float) -> bool:
        # The likelihood of the pairs, maximised under a difference of delta, has this probability of a loss.
        spread = delta * (1 - delta)
        b = (2 * n - wins + losses) * delta - wins - losses
        loss = (math.sqrt(max(0.0, b * b + 8 * n * losses * spread)) - b) / (4 * n)
        return (wins - losses - n * delta) ** 2 <= z * z * n * max(0.0, 2 * loss + spread)

    def end(rejected: float) -> float:
        # Bisection rather than a root finder: at zero discordance the estimate itself is a second root.
        inside = estimate
        for _ in range(45):
            middle = (inside + rejected) / 2
            inside, rejected = (middle, rejected) if kept(middle) else (inside, middle)
        return (inside + rejected) / 2

    return end(-1.0), end(1.0)


def _checked(values: ArrayLike, clusters: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The values as floats and the index of each row's session, from 0."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0 or len(x) != len(clusters):
        raise ValueError(f"{len(clusters)} sessions for values of shape {x.shape}; pass one of each a row")
    if not np.isfinite(x).all():
        raise ValueError("a value is not finite; leave out rows that could not be measured, and say how many")
    index: dict[str, int] = {}
    return x, np.array([index.setdefault(name, len(index)) for name in clusters], dtype=np.int64)


def _binary(x: NDArray[np.float64]) -> bool:
    return bool(((x == 0) | (x == 1)).all())


def _estimate(mean: float, ends: Bounds, rows: int, sessions: int, freedom: float, confidence: float) -> Estimate:
    """With the least effect that would have been found: the half width, and as much again as power takes."""
    half = ends[1] / 2 - ends[0] / 2
    least = half * (1 + float(stdtrit(freedom, POWER) / stdtrit(freedom, 0.5 + confidence / 2)))
    return Estimate(mean, *ends, rows=rows, sessions=sessions, least=least if math.isfinite(least) else None)


def _robust(x: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Cluster-robust standard error of the mean (CR3), and what its t has for degrees of freedom.

    The error is the jackknife's over sessions. The degrees of freedom are Satterthwaite's for sessions of these
    sizes, whose rows correlate as the rows at hand do but at least by `MIN_CORRELATION`; G - 1 where the sizes are
    equal. Sources: Bell & McCaffrey 2002; MacKinnon, Nielsen & Webb 2023, doi 10.1016/j.jeconom.2022.04.001.
    """
    n = np.bincount(groups).astype(np.float64)
    count, total = len(n), len(x)
    sums = np.bincount(groups, weights=x - x.mean())
    # Leaving out session g moves the mean by sums[g] / (total - n[g]).
    scale = (count - 1) / count / (total - n) ** 2
    error = math.sqrt(float(scale @ sums**2))
    correlation = min(1.0, max(MIN_CORRELATION, _intraclass_correlation(x, groups)))
    spread = correlation + (1 - correlation) / n  # variance of a session's mean
    # The squared error is z' A z for independent means z, with A = D - w a' - a w' + s w w', D = diag(a).
    a, w = scale * n**2, n / total
    s = float(a.sum())
    trace = float(a @ spread - 2 * (w * a) @ spread + s * (w * w) @ spread)
    pair = np.stack([w, a], axis=1)
    low_rank = np.array([[s, -1.0], [-1.0, 0.0]]) @ (pair.T @ (spread[:, None] * pair))
    square = float((a * spread) @ (a * spread) + 2 * (a * spread**2) @ (s * w * w - 2 * w * a))
    square += float(np.trace(low_rank @ low_rank))
    return error, min(count - 1.0, max(1.0, trace * trace / square))


def _effective_rows(x: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    sizes = np.bincount(groups)
    size = float(sizes @ sizes) / len(x)
    return len(x) / (1 + (size - 1) * max(_intraclass_correlation(x, groups), MIN_CORRELATION))


def _intraclass_correlation(x: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    sizes = np.bincount(groups)
    n, g = len(x), len(sizes)
    if g == 1:
        return 1.0
    if n == g:
        return 0.0
    means = np.bincount(groups, weights=x) / sizes
    between = float(sizes @ (means - x.mean()) ** 2) / (g - 1)
    within = float(((x - means[groups]) ** 2).sum()) / (n - g)
    size = (n - float(sizes @ sizes) / n) / (g - 1)
    total = between + (size - 1) * within
    return 0.0 if total <= 0 else (between - within) / total
