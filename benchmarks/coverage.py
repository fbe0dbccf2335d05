"""How often the intervals hold the truth: simulated sessions, nominal 95 %.

    python benchmarks/coverage.py [--simulations 2000]

Prints, per quantity, per kind of session sizes and per number of sessions, the share of simulations whose interval
holds the true value, in per cent; for the rows marked with a method, another method on the same draws.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from locum.evaluation.statistics import clustered_mean, paired_difference

Array = NDArray[np.float64]
SESSIONS = (6, 12, 25, 50)
SIZES = ("equal", "unequal")
NOMINAL = 0.95


class Draw(NamedTuple):
    """Simulated rows, and the truth behind them."""

    values: Array
    other: Array | None
    """The other arm's, for a paired difference."""
    groups: NDArray[np.int64]
    truth: float


def sizes(rng: np.random.Generator, sessions: int, kind: str) -> NDArray[np.int64]:
    """Rows of each session: four, or five on average and often one or twenty (geometric)."""
    return np.full(sessions, 4) if kind == "equal" else rng.geometric(0.2, sessions)


def _groups(rng: np.random.Generator, sessions: int, kind: str) -> NDArray[np.int64]:
    return np.repeat(np.arange(sessions), sizes(rng, sessions, kind))


def mean(rng: np.random.Generator, sessions: int, kind: str) -> Draw:
    """Rows of one session correlate with 0.33."""
    groups = _groups(rng, sessions, kind)
    return Draw(2 + rng.normal(0, 0.7, sessions)[groups] + rng.normal(0, 1, len(groups)), None, groups, 2.0)


def loss(rng: np.random.Generator, sessions: int, kind: str) -> Draw:
    """Mean losses of short answers: above 0, skewed, and sessions differ by a factor."""
    groups = _groups(rng, sessions, kind)
    level = np.exp(rng.normal(0, 0.4, sessions)[groups])
    return Draw(level * rng.gamma(12, 1 / 12, len(groups)), None, groups, math.exp(0.08))


def rate(rng: np.random.Generator, sessions: int, kind: str) -> Draw:
    """Right in 85 % of rows: 97 % in easy sessions, 73 % in hard ones."""
    groups = _groups(rng, sessions, kind)
    chance = rng.choice([0.73, 0.97], sessions)[groups]
    return Draw((rng.random(len(groups)) < chance).astype(float), None, groups, 0.85)


def rare(rng: np.random.Generator, sessions: int, kind: str) -> Draw:
    """5 % of rows: 10 % in half of the sessions, none in the others."""
    groups = _groups(rng, sessions, kind)
    chance = rng.choice([0.0, 0.1], sessions)[groups]
    return Draw((rng.random(len(groups)) < chance).astype(float), None, groups, 0.05)


def paired(rng: np.random.Generator, sessions: int, kind: str) -> Draw:
    """Two arms that disagree in 30 % of rows; the first is 10 points worse, 25 worse or 5 better by session."""
    groups = _groups(rng, sessions, kind)
    gap = (-0.1 + rng.choice([-0.15, 0.15], sessions))[groups]
    draw = rng.random(len(groups))
    win = draw < (0.3 + gap) / 2
    lost = ~win & (draw < 0.3)
    return Draw((~lost).astype(float), (~win).astype(float), groups, -0.1)


DRAWS: dict[str, Callable[[np.random.Generator, int, str], Draw]] = {
    "mean": mean,
    "loss": loss,
    "rate of 85 %": rate,
    "rate of 5 %": rare,
    "paired difference": paired,
}


def held(draw: Draw) -> bool:
    """Whether the interval that Locum reports holds the truth."""
    names = [str(group) for group in draw.groups]
    if draw.other is None:
        estimate = clustered_mean(draw.values, names)
    else:
        estimate = paired_difference(draw.values, draw.other, names)
    return estimate.low <= draw.truth <= estimate.high


def held_by_cr1(draw: Draw) -> bool:
    """The cluster-robust interval with G - 1 degrees of freedom, which takes all sessions for equally long."""
    x = draw.values - (0 if draw.other is None else draw.other)
    sums = np.bincount(draw.groups, weights=x - x.mean())
    count = len(sums)
    error = math.sqrt(count / (count - 1) * float(sums @ sums)) / len(x)
    return bool(abs(x.mean() - draw.truth) <= stdtrit(count - 1, 0.5 + NOMINAL / 2) * error)


def held_by_percentiles(draw: Draw, rng: np.random.Generator, resamples: int = 300) -> bool:
    """The percentile bootstrap over sessions."""
    x = draw.values - (0 if draw.other is None else draw.other)
    sums, n = np.bincount(draw.groups, weights=x), np.bincount(draw.groups)
    chosen = rng.integers(0, len(n), (resamples, len(n)))
    means = sums[chosen].sum(axis=1) / n[chosen].sum(axis=1)
    low, high = np.quantile(means, [(1 - NOMINAL) / 2, (1 + NOMINAL) / 2])
    return bool(low <= draw.truth <= high)


def coverage(quantity: str, kind: str, sessions: int, simulations: int, others: bool = False) -> tuple[float, ...]:
    """Share of simulations whose interval holds the truth; with `others`, also that of CR1-t and of percentiles."""
    rng, own = np.random.default_rng(31), np.random.default_rng(32)
    hits = []
    for _ in range(simulations):
        draw = DRAWS[quantity](rng, sessions, kind)
        tried = (held(draw), held_by_cr1(draw), held_by_percentiles(draw, own)) if others else (held(draw),)
        hits.append(tried)
    return tuple(np.mean(hits, axis=0).tolist())


def table(simulations: int) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| quantity | sessions' sizes | " + " | ".join(f"{count} sessions" for count in SESSIONS) + " |"
    yield "|---|---|" + "---|" * len(SESSIONS)
    for quantity in DRAWS:
        for kind in SIZES:
            others = quantity in ("mean", "loss") and kind == "unequal"
            found = [coverage(quantity, kind, count, simulations, others) for count in SESSIONS]
            for place, method in enumerate(("", ", by CR1-t", ", by percentiles")[: len(found[0])]):
                cells = " | ".join(f"{100 * shares[place]:.1f}" for shares in found)
                yield f"| {quantity}{method} | {kind} | {cells} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    for line in table(parser.parse_args().simulations):
        print(line, flush=True)


if __name__ == "__main__":
    main()
