"""Estimates and how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Estimate(NamedTuple):
    """An estimate of a sum, a total or a mean.

    Attributes
    ----------
    value : float
        The estimate.
    stderr : float
        Its standard error: the root of an estimate of its variance. NaN where there is none.
    """

    value: float
    stderr: float


class Estimates(NamedTuple):
    """Several estimates.

    Attributes
    ----------
    value : ndarray of float64
        The estimates.
    stderr : ndarray of float64
        Their standard errors, in the same shape. NaN where there is none.
    """

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]
