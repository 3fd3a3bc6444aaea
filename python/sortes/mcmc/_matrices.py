"""Covariances and their factors, as users give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._arrays import host
from sortes._check import FINITE, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _square(x: Any, name: str) -> NDArray[np.float64]:
    array = host(x, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"{name}: must have shape (d, d), got {array.shape}")
    square = np.array(array, np.float64, order="C")
    FINITE.check_items(square, name)
    return square


def tril_of(x: Any, name: str) -> NDArray[np.float64]:
    """Return a lower triangular matrix with a positive diagonal."""
    tril = _square(x, name)
    if np.triu(tril, 1).any():
        i, j = (int(k) for k in np.argwhere(np.triu(tril, 1))[0])
        raise ValueError(f"{name}: must be lower triangular, got {tril[i, j]} at ({i}, {j})")
    diagonal = np.diagonal(tril)
    if not (diagonal > 0).all():
        i = int(np.argmin(diagonal > 0))
        raise ValueError(f"{name}: must have a positive diagonal, got {diagonal[i]} at ({i}, {i})")
    return tril


def cholesky(x: Any, name: str) -> NDArray[np.float64]:
    """Return the factor of a covariance."""
    cov = _square(x, name)
    if not np.allclose(cov, cov.T, rtol=1e-8, atol=0.0):
        raise ValueError(f"{name}: must be symmetric, got {shown(cov)}")
    try:
        return np.ascontiguousarray(np.linalg.cholesky(cov))
    except np.linalg.LinAlgError:
        raise ValueError(f"{name}: must be positive definite, got {shown(cov)}") from None


def factor_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor of the covariance of points, drawn to its diagonal where they are few."""
    n, dim = points.shape
    variances = points.var(axis=0)
    variances = np.where(variances > 0, variances, 1.0)
    moved = points - points.mean(axis=0)
    cov = (moved.T @ moved + dim * np.diag(variances)) / (n + dim)
    return np.ascontiguousarray(np.linalg.cholesky(cov))
