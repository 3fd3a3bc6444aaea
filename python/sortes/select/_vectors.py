"""Vectors, counts and names of options from whatever users hold them in."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NATIVE = frozenset(np.dtype(t) for t in (np.float32, np.float64))
_LIMIT = 2**63


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
        x = host_array(x, name)
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
    array = host_array(x, name)
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
    array = host_array(x, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        hint = "; hash_ids turns strings into ids" if array.dtype.kind in "OUST" else ""
        raise TypeError(f"{name}: must hold integers, got {array.dtype}{hint}")
    if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
        i = int(np.argmax(array >= 2**63))
        raise ValueError(
            f"{name}: item {i} is above 2**63 - 1: {array[i]}; "
            f"{name}.view(numpy.int64) keeps its bits"
        )
    return np.require(array, np.int64, ("C", "A"))


def integer_of(value: Any, name: str) -> int:
    """Return `value` as an int.

    Examples
    --------
    >>> integer_of(np.int64(3), "k")
    3
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: must be an integer, got {value!r}") from None


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
    count = integer_of(value, name)
    if count < least:
        raise ValueError(f"{name}: must be at least {least}, got {count}")
    if count >= _LIMIT:
        raise ValueError(f"{name}: must be below 2**63, got {count}")
    return count


def real_of(value: Any, name: str) -> float:
    """Return `value` as a float.

    Examples
    --------
    >>> real_of(np.float32(0.5), "beta")
    0.5
    """
    try:
        if isinstance(value, str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name}: must be a number, got {value!r}") from None


def one_of(value: Any, name: str, known: tuple[str, ...]) -> None:
    """Refuse a `value` that is not among those `known`.

    Examples
    --------
    >>> one_of("raw", "wrap", ("raw", "drop"))
    """
    if not (isinstance(value, str) and value in known):
        *others, last = map(repr, known)
        raise ValueError(f"{name}: must be {', '.join(others)} or {last}, got {value!r}")


def host_array(x: Any, name: str) -> NDArray[Any]:
    """Return `x` as an array, a Torch tensor without its gradient.

    Examples
    --------
    >>> host_array([1, 2], "x")
    array([1, 2])
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        try:
            return np.asarray(x)
        except ValueError as error:  # lists of different lengths
            raise ValueError(f"{name}: {error}") from None
    if not x.is_cpu:
        raise TypeError(f"{name}: must be on the CPU, got a tensor on {x.device}")
    if x.layout is not torch.strided:
        raise TypeError(f"{name}: must be dense, got a tensor of layout {x.layout}")
    x = x.detach()
    return (x.float() if x.dtype is torch.bfloat16 else x).numpy()  # type: ignore[no-any-return]
