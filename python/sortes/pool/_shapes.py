"""Pools and numbers of samples in the shapes that users and kernels have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sortes._arrays import host, integers_of, matrix_of
from sortes._check import Domain, integer
from sortes._estimate import Estimate, Estimates

if TYPE_CHECKING:
    from collections.abc import Sequence

#: One number, or one for each of several problems or numbers of samples.
Values: TypeAlias = float | NDArray[np.float64]

#: How many samples there can be.
SAMPLES: Final = Domain("[0, 2**53]", integer=True)


def counts_of(x: Any, name: str) -> NDArray[np.int64]:
    """Return integers of at most two dimensions; the kernels check their values.

    Examples
    --------
    >>> counts_of([[1], [2]], "c").shape
    (2, 1)
    """
    array = host(x, name, None)
    if array.ndim > 2:
        raise ValueError(f"{name}: must have at most two dimensions, got shape {array.shape}")
    return _integers(x, array, name).reshape(array.shape)


def ks_of(k: Any, domain: Domain | None = None) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """Return numbers of samples to look at as a vector, and the shape that they have.

    Examples
    --------
    >>> ks_of(5)
    (array([5]), ())
    >>> ks_of([1, 10])
    (array([ 1, 10]), (2,))
    """
    array = host(k, "k", None)
    if array.ndim > 1:
        raise ValueError(f"k: must be an integer or have shape (K,), got {array.shape}")
    ks = _integers(k, array, "k")
    if domain is not None:
        domain.check_items(ks if array.ndim else ks[0], "k")
    return ks, array.shape


def _integers(x: Any, array: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Return the integers of an array as a vector; `x` is what the user gave."""
    if not array.ndim:
        integer(x, name)  # which shows it
    return integers_of(array.reshape(-1), name)


def pools_of(x: Any, name: str) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the numbers of pools as a matrix with a row for each, and the shape before the last.

    Examples
    --------
    >>> pools_of([0.5, 1.0], "scores")
    (array([[0.5, 1. ]]), ())
    """
    array = host(x, name)
    return matrix_of(_rows(array, name), name), array.shape[:-1]


def labels_of(x: Any, name: str) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """As `pools_of`, for integers.

    Examples
    --------
    >>> labels_of([[0, 1], [1, 1]], "answers")[1]
    (2,)
    """
    array = host(x, name, None)
    rows = _rows(array, name)
    return integers_of(rows.reshape(-1), name).reshape(rows.shape), array.shape[:-1]


def _rows(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: must have shape (n,) or (P, n), got {array.shape}")
    if array.shape[-1] == 0:
        raise ValueError(f"{name}: must hold at least one sample, got shape {array.shape}")
    return array[np.newaxis] if array.ndim == 1 else array


def same_shape(x: NDArray[Any], like: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array that has the shape of another.

    Examples
    --------
    >>> same_shape(np.ones((1, 2)), np.ones((1, 3)), "weights")
    Traceback (most recent call last):
    ValueError: weights: must have the shape of the pools, (1, 3), got (1, 2)
    """
    if x.shape != like.shape:
        expected = f"the shape of the pools, {like.shape}"
        raise ValueError(f"{name}: must have {expected}, got {x.shape}")
    return x


def shaped(values: NDArray[np.float64], shape: Sequence[int]) -> Values:
    """Return values in a shape; a float if it is that of one.

    Examples
    --------
    >>> shaped(np.array([0.5]), ())
    0.5
    """
    return values.reshape(shape) if shape else float(values[0])


def estimates_of(
    value: NDArray[np.float64], stderr: NDArray[np.float64], shape: Sequence[int]
) -> Estimate | Estimates:
    """Return one estimate, or several in a shape.

    Examples
    --------
    >>> estimates_of(np.array([0.5]), np.array([0.1]), ())
    Estimate(value=0.5, stderr=0.1)
    """
    if shape:
        return Estimates(value.reshape(shape), stderr.reshape(shape))
    return Estimate(float(value[0]), float(stderr[0]))
