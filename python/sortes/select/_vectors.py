"""Vectors of weights, scores and ids from whatever users hold them in."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NATIVE = frozenset(np.dtype(t) for t in (np.float32, np.float64))


def vector_of(x: Any, name: str = "weights", *, double: bool = False) -> NDArray[Any]:
    """View `x` as a contiguous vector of float32 or float64.

    Parameters
    ----------
    x : array_like, shape (n,)
        Anything NumPy can make an array of, or a Torch tensor on the CPU. Contiguous float32 and
        float64 are not copied; half precision becomes float32, integers and booleans float64.
    name
        What error messages call it.
    double
        Whether float32 is to be converted too.

    Returns
    -------
    ndarray of float32 or float64, shape (n,)
        The vector, in native byte order.

    Raises
    ------
    TypeError
        If the elements are not real numbers, or not on the CPU.
    ValueError
        If `x` has not exactly one dimension.

    Examples
    --------
    >>> vector_of([1, 2, 3])
    array([1., 2., 3.])
    """
    if type(x) is not np.ndarray:
        x = _host_array(x, name)
    if x.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {x.shape}")
    if x.dtype in _NATIVE and x.flags.carray and not (double and x.dtype != np.float64):
        return x  # type: ignore[no-any-return]
    if x.dtype.kind not in "fiub" or x.dtype.itemsize > 8:
        raise TypeError(f"{name}: dtype must be float32, float64 or an integer, got {x.dtype}")
    half = x.dtype.kind == "f" and x.dtype.itemsize < 8 and not double
    return np.require(x, np.float32 if half else np.float64, ("C", "A"))


def matrix_of(x: Any, name: str) -> NDArray[np.float64]:
    """View `x` as a contiguous matrix of float64.

    Examples
    --------
    >>> matrix_of([[1, 2]], "X")
    array([[1., 2.]])
    """
    array = _host_array(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name}: must have shape (n, d), got {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: must hold real numbers, got dtype {array.dtype}")
    return np.require(array, np.float64, ("C", "A"))


def ids_of(x: Any, name: str = "ids") -> NDArray[np.int64]:
    """View `x` as a contiguous vector of int64.

    Examples
    --------
    >>> ids_of(range(3))
    array([0, 1, 2])
    """
    array = _host_array(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: must hold integers, got {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: must be below 2**63, got {array.max()}")
    return np.require(array, np.int64, ("C", "A"))


def check_items(fine: NDArray[np.bool_], x: NDArray[Any], name: str, fault: str) -> None:
    """Name the first item of `x` that is not fine.

    Examples
    --------
    >>> x = np.array([1.0, np.inf])
    >>> check_items(np.isfinite(x), x, "values", "is not finite")
    Traceback (most recent call last):
    ValueError: values: item 1 is not finite: inf
    """
    if not fine.all():
        bad = int(np.argmin(fine))
        raise ValueError(f"{name}: item {bad} {fault}: {x[bad]}")


def count_of(value: Any, name: str, least: int = 0) -> int:
    """Return `value` as an int of at least `least`.

    Examples
    --------
    >>> count_of(np.int64(3), "k")
    3
    """
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: must be an integer, got {value!r}") from None
    if count < least:
        raise ValueError(f"{name}: must be at least {least}, got {count}")
    if count >= 2**63:
        raise ValueError(f"{name}: must be below 2**63, got {count}")
    return count


def _host_array(x: Any, name: str) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        return np.asarray(x)
    if not x.is_cpu:
        raise TypeError(f"{name}: must be on the CPU, got a tensor on {x.device}")
    x = x.detach()
    return (x.float() if x.dtype is torch.bfloat16 else x).numpy()  # type: ignore[no-any-return]
