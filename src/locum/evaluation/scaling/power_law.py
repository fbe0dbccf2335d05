"""L(n) = E + A * n^-alpha, fitted by variable projection.

For a given exponent the other two are a non-negative least-squares problem, so that the whole fit is a search along
one line and has no local minima (variable projection: Golub & Pereyra 1973, doi 10.1137/0710036; for scaling laws
arXiv:2603.22339). The form is that of arXiv:2402.17193 with the base held fixed.
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

EXPONENTS: NDArray[np.float64] = np.geomspace(0.02, 2.0, 120)
"""Where the exponent is looked for."""


class PowerLaw(msgspec.Struct, frozen=True):
    """L(n) = floor + drop * n^-exponent, in nats per token, with n in training rows."""

    floor: float
    """What no number of rows goes below, by this form."""
    drop: float
    exponent: float

    def at(self, rows: float) -> float:
        """The loss at `rows` training rows (> 0)."""
        return float(self.floor + self.drop * rows**-self.exponent)

    def rows_for(self, loss: float) -> float:
        """Rows at which the loss comes down to `loss`; infinity where it never does."""
        if loss <= self.floor or self.drop <= 0:
            return float("inf")
        return float((self.drop / (loss - self.floor)) ** (1 / self.exponent))


def fit(rows: ArrayLike, losses: ArrayLike, errors: ArrayLike) -> PowerLaw:
    """The law that lies nearest to the points, each weighted by 1 / error squared.

    Args:
        rows: training rows of each point, (k,), all > 0, k >= 3.
        losses: held-out loss of each point in nats per token, (k,).
        errors: standard error of each loss, (k,), all > 0.
    """
    return fit_all(rows, np.asarray(losses, float)[None], errors)[0]


def fit_all(rows: ArrayLike, losses: ArrayLike, errors: ArrayLike) -> list[PowerLaw]:
    """`fit` for many draws of the losses at once.

    Args:
        rows: (k,).
        losses: (draws, k).
        errors: (k,), the same for every draw.
    """
    n, y = np.asarray(rows, float), np.asarray(losses, float)
    weight = 1 / np.asarray(errors, float) ** 2
    weight /= weight.sum()
    x = n[None] ** -EXPONENTS[:, None]
    x_mean, y_mean = x @ weight, y @ weight
    x_var = (x * x) @ weight - x_mean**2
    covariance = (y * weight) @ x.T - np.outer(y_mean, x_mean)
    # With two unknowns non-negative least squares is plain algebra: the free solution, or the better of its edges.
    drop = covariance / x_var
    floor = y_mean[:, None] - drop * x_mean
    through_zero = (y * weight) @ x.T / (x_mean**2 + x_var)
    drop, floor = np.where(floor < 0, np.maximum(through_zero, 0), drop), np.where(floor < 0, 0.0, floor)
    drop, floor = np.where(drop < 0, 0.0, drop), np.where(drop < 0, np.maximum(y_mean, 0)[:, None], floor)
    residual = ((y[:, None, :] - floor[:, :, None] - drop[:, :, None] * x[None]) ** 2) @ weight
    best = residual.argmin(axis=1)
    return [PowerLaw(float(floor[i, j]), float(drop[i, j]), float(EXPONENTS[j])) for i, j in enumerate(best)]
