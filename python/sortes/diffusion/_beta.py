"""Quantiles of Beta laws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Enough halvings to tell any two numbers in (0, 1) apart; Newton's method needs a few.
_MOST: Final = 1100
#: Terms of the continued fraction, which ends long before.
_TERMS: Final = 500


def beta_quantile(p: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Return the points below which a Beta law has some masses.

    Parameters
    ----------
    p
        The masses, in [0, 1].
    a, b
        The exponents of the law, positive.

    Returns
    -------
    ndarray of float64
        The points, to about 1e-14.

    Examples
    --------
    >>> beta_quantile(np.array([0.0, 0.25, 1.0]), 0.5, 0.5).round(6)
    array([0.      , 0.146447, 1.      ])
    """
    # What lies near one end keeps its digits.
    below, _ = _masses(np.full(1, 0.5), a, b)
    turned = p > below[0]
    found = np.empty_like(p)
    found[~turned] = _quantile(p[~turned], 1 - p[~turned], a, b)
    found[turned] = 1 - _quantile(1 - p[turned], p[turned], b, a)
    # Of a symmetric law this is exact, and what integers are rounded from.
    return np.where((p == 0.5) & (a == b), 0.5, found)


def _quantile(p: Any, rest: Any, a: float, b: float) -> Any:
    """Return the points with masses `p` below and `rest` above them."""
    log_c = _log_constant(a, b)
    low, high = np.zeros_like(p), np.ones_like(p)
    outside = (p <= 0) | (p >= 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        # What the law would be without its second factor.
        x = np.clip(np.exp((np.log(p * a) - log_c) / a), 0.0, 0.5)
        for _ in range(_MOST):
            below, above = _masses(x, a, b)
            excess = np.where(p <= 0.5, below - p, rest - above)
            low, high = np.where(excess < 0, x, low), np.where(excess > 0, x, high)
            density = np.exp(log_c + (a - 1) * np.log(x) + (b - 1) * np.log1p(-x))
            newton = x - excess / density
            inside = (newton > low) & (newton < high)
            following = np.where(inside, newton, 0.5 * (low + high))
            following = np.where(excess == 0, x, following)
            # Newton's steps end in rounding; halvings, where there is no number between the ends.
            done = np.abs(following - x) <= 1e-15 * x
            x = following
            if (done | outside).all():
                break
    return np.where(p <= 0, 0.0, np.where(p >= 1, 1.0, x))


def _log_constant(a: float, b: float) -> float:
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)


def _masses(x: Any, a: float, b: float) -> tuple[Any, Any]:
    """Return the masses below and above: the one that is a fraction keeps its digits."""
    swap = x > (a + 1) / (a + b + 2)
    below = _fraction(np.where(swap, 0.0, x), a, b)
    above = _fraction(np.where(swap, 1 - x, 0.0), b, a)
    return np.where(swap, 1 - above, below), np.where(swap, above, 1 - below)


def _fraction(x: Any, a: float, b: float) -> Any:
    """Return the mass below small `x`, by the continued fraction in Lentz's form."""
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        logs = _log_constant(a, b) + a * np.log(x) + b * np.log1p(-x)
        front = np.where(x > 0, np.exp(logs) / a, 0.0)
    c, d = np.ones_like(x), 1 / (1 - (a + b) * x / (a + 1))
    f = d
    for m in range(1, _TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + term * d), 1 + term / c
            f = f * c * d
        if (np.abs(c * d - 1) < 4e-16).all():
            break
    return front * f
