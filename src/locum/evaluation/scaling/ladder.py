"""What a ladder of trainings measured: the held-out loss of each rung, seed and session, and its resampling.

A rung is a number of training rows; each is trained with several seeds (other sessions drawn, other order) and scored
on the same held-out rows. Sessions and seeds are resampled together: the held-out sessions are the same on every rung,
and what they share must not look like evidence.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]
Bounds = tuple[float, float]
DRAWS = 200
"""Resamplings behind every band."""


class Ladder(msgspec.Struct, frozen=True):
    """Losses of one class or family on every rung."""

    rows: tuple[int, ...]
    """Training rows of each rung, rising."""
    nats: tuple[tuple[tuple[float, ...], ...], ...]
    """[rung][seed][session]: summed loss of the session's held-out tokens, in nats."""
    tokens: tuple[int, ...]
    """[session]: held-out tokens."""
    base_rate: tuple[float, ...] | None = None
    """[session]: summed loss, in nats, of always going by the family's base rate; of choices alone."""

    @property
    def seeds(self) -> int:
        """Trainings of each rung."""
        return len(self.nats[0])

    def cube(self) -> Floats:
        """The losses as an array [rung, seed, session]."""
        return np.array(self.nats, float)

    def means(self) -> Floats:
        """Loss of each rung in nats per token, over all seeds and sessions: (rungs,)."""
        return np.asarray(self.cube().mean(axis=1).sum(axis=1) / sum(self.tokens))


def errors(ladder: Ladder) -> Floats:
    """Standard error of each rung's loss that is not shared by the rungs: what seeds alone make, (rungs,).

    How hard the held-out sessions are moves all rungs alike and says nothing against the shape of the curve. Never
    below 0.002 nats, which is what changing the order of a sum can do in bfloat16.
    """
    return np.full(len(ladder.rows), max(0.002, spread(ladder) / np.sqrt(ladder.seeds)))


def spread(ladder: Ladder) -> float:
    """Standard deviation of one training's loss around its rung's mean, in nats per token; 0 with one seed.

    Few seeds a rung, so the rungs are pooled: training noise does not depend on the rung by much.
    """
    if ladder.seeds < 2:
        return 0.0
    by_seed = ladder.cube().sum(axis=2) / sum(ladder.tokens)
    return float(np.sqrt(by_seed.var(axis=1, ddof=1).mean()))


def resampled(ladder: Ladder, draws: int, seed: int) -> Floats:
    """Losses of every rung under resampled seeds and held-out sessions: (draws, rungs), nats per token.

    Sessions are drawn once for all rungs, seeds on each rung by itself.
    """
    random = np.random.default_rng(seed)
    cube, tokens = ladder.cube(), np.array(ladder.tokens, float)
    rungs, seeds, sessions = cube.shape
    if seeds > 1:
        # Drawn from so few, seeds would vary too little by (s - 1) / s: their distance from the rung's mean makes up.
        middle = cube.mean(axis=1, keepdims=True)
        cube = middle + (cube - middle) * np.sqrt(seeds / (seeds - 1))
    found = np.empty((draws, rungs))
    for draw in range(draws):
        weight = np.bincount(random.integers(sessions, size=sessions), minlength=sessions)
        chosen = random.integers(seeds, size=(rungs, seeds))
        picked = np.take_along_axis(cube, chosen[:, :, None], axis=1).mean(axis=1)
        found[draw] = picked @ weight / (tokens @ weight)
    # Few sessions, resampled, vary too little as well; the t quantile over the normal one widens what they say.
    widen = stdtrit(max(1, sessions - 1), 0.9) / ndtri(0.9) * np.sqrt(sessions / max(1, sessions - 1))
    middle = ladder.means()
    return np.asarray(middle + (found - middle) * widen)


def band(values: Floats | Sequence[float]) -> Bounds:
    """The middle 80 %. Infinite values, rows for a target that is out of reach, stay infinite."""
    ordered = sorted(map(float, values))
    last = len(ordered) - 1
    return ordered[math.floor(0.1 * last)], ordered[math.ceil(0.9 * last)]
