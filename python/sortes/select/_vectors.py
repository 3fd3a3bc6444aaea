"""Vectors and matrices that the kernels read: contiguous, in double precision or as int64."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def floats(x: object, name: str, ndim: int = 1) -> NDArray[np.float64]:
    """Return `x` as contiguous float64, without a copy where it is that already.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans: a NumPy array, a Torch tensor on the CPU, nested sequences.
    name
        What error messages call it.
    ndim
        How many dimensions it must have.

    Returns
    -------
    ndarray of float64
        The numbers.

    Raises
    ------
    TypeError
        If the elements are not real numbers, or not on the CPU.
    ValueError
        If `x` has another number of dimensions.

    Examples
    --------
    >>> floats([1, 2], "weights")
    array([1., 2.])
    """
    array = _host(x, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: must hold real numbers, got dtype {array.dtype}")
    _check_ndim(array, name, ndim)
    return np.ascontiguousarray(array, np.float64)


def integers(x: object, name: str, ndim: int = 1) -> NDArray[np.int64]:
    """Return `x` as contiguous int64, without a copy where it is that already.

    Parameters
    ----------
    x : array_like
        Integers: a NumPy array, a Torch tensor on the CPU, nested sequences.
    name
        What error messages call it.
    ndim
        How many dimensions it must have.

    Returns
    -------
    ndarray of int64
        The integers.

    Raises
    ------
    TypeError
        If the elements are not integers, or not on the CPU.
    ValueError
        If `x` has another number of dimensions, or an element does not fit.

    Examples
    --------
    >>> integers([3, 1], "order")
    array([3, 1])
    """
    array = _host(x, name)
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: must hold integers, got dtype {array.dtype}")
    _check_ndim(array, name, ndim)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: item {int(array.argmax())} is too large: {array.max()}")
    return np.ascontiguousarray(array, np.int64)


def count(x: Any, name: str) -> int:
    """Return `x` as a non-negative int.

    Parameters
    ----------
    x : int
        Any integer type.
    name
        What error messages call it.

    Returns
    -------
    int
        The integer.

    Raises
    ------
    TypeError
        If `x` is not an integer.
    ValueError
        If it is negative, or beyond 64 bits.

    Examples
    --------
    >>> count(np.int32(3), "k")
    3
    """
    try:
        value = operator.index(x)
    except TypeError:
        raise TypeError(f"{name}: must be an integer, got {x!r}") from None
    if not 0 <= value < 2**63:
        raise ValueError(f"{name}: must be in [0, 2**63), got {value}")
    return value


def _host(x: Any, name: str) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        return np.asarray(x)
    if not x.is_cpu:
        raise TypeError(f"{name}: must be on the CPU, got a tensor on {x.device}")
    x = x.detach()
    array: NDArray[Any] = (x.double() if x.dtype is torch.bfloat16 else x).numpy()
    return array


def _check_ndim(array: NDArray[Any], name: str, ndim: int) -> None:
    if array.ndim != ndim:
        raise ValueError(
            f"{name}: must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}"
        )
