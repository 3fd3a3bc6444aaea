"""Matrices of logits from NumPy, Torch and DLPack, as rows that the kernels read in place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACCEPTED = "float32, float16, bfloat16 or float64"
_NATIVE = frozenset(np.dtype(t) for t in (np.float32, np.float16, np.float64))
_DLPACK_HOST = (1, 3)  # kDLCPU, kDLCUDAHost


class Rows(NamedTuple):
    """A 2-D view of the caller's array, and the way back.

    Attributes
    ----------
    array : ndarray, shape (B, V)
        Contiguous aligned rows in native byte order, any distance apart; float32, float16 or
        float64, or uint16 if `bf16`.
    bf16 : bool
        Whether `array` holds bfloat16 bits.
    one_dim : bool
        Whether the caller gave a single row of shape (V,).
    kind : {"numpy", "torch"}
        The caller's kind of array.
    wrap : callable
        Turns a result of shape (B, ...) into the caller's kind: without the leading axis if
        `one_dim`, and with uint16 viewed as bfloat16 if `bf16`.
    """

    array: NDArray[Any]
    bf16: bool
    one_dim: bool
    kind: Literal["numpy", "torch"]
    wrap: Callable[[NDArray[Any]], Any]


def rows_of(x: object, name: str = "logits") -> Rows:
    """View `x` as rows, without a copy wherever its rows are contiguous.

    Parameters
    ----------
    x : array_like, shape (V,) or (B, V)
        A NumPy array (float32, float16, float64, or bfloat16 of ``ml_dtypes``), a Torch tensor on
        the CPU, or anything with ``__dlpack__`` on the CPU. Read-only arrays, empty batches and
        any distance between rows are fine.
    name
        What error messages call it.

    Returns
    -------
    Rows
        The view and the way back. It shares the caller's memory unless elements of a row are not
        neighbours, are unaligned or have foreign byte order: these are copied once.

    Raises
    ------
    TypeError
        If the element type is not one of the four, or the data is not on the CPU.
    ValueError
        If `x` has neither one nor two dimensions, or no columns.

    Examples
    --------
    >>> rows = rows_of(np.zeros(3, np.float32))
    >>> rows.array.shape, rows.one_dim, rows.wrap(np.array([7])).shape
    ((1, 3), True, ())
    """
    # What most calls bring needs no look at its memory: this path costs about a microsecond.
    if type(x) is np.ndarray and x.ndim == 2 and x.dtype in _NATIVE and x.flags.carray:
        return Rows(x, False, False, "numpy", _as_it_is) if x.shape[1] else _no_columns(x, name)
    kind: Literal["numpy", "torch"] = "numpy"
    give: Callable[[NDArray[Any]], Any] = np.asarray
    bfloat16: Any = None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if x.dtype is torch.float32:
            # One attempt costs less than asking the tensor for everything that speaks against it.
            try:
                array = x.numpy()
            except (TypeError, RuntimeError):  # it has a gradient, or is not plain memory
                pass
            else:
                if array.ndim == 2 and array.flags.carray and array.shape[1]:
                    return Rows(array, False, False, "torch", torch.from_numpy)
        kind, give = "torch", torch.from_numpy
        array, bfloat16 = _from_torch(torch, x, name)
    else:
        array = _from_host(x, name)
        if array.dtype.name == "bfloat16":
            bfloat16 = array.dtype
            array = array.view(np.uint16)
        elif array.dtype not in _NATIVE and array.dtype.newbyteorder("=") not in _NATIVE:
            raise TypeError(f"{name}: dtype must be {_ACCEPTED}, got {array.dtype}")

    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: must have shape (V,) or (B, V), got {array.shape}")
    if array.shape[-1] == 0:
        return _no_columns(array, name)
    one_dim = array.ndim == 1
    matrix = _contiguous_rows(array[np.newaxis] if one_dim else array)

    if bfloat16 is None and not one_dim:
        return Rows(matrix, False, False, kind, give)

    def wrap(result: NDArray[Any]) -> Any:
        if one_dim:
            result = result.reshape(result.shape[1:])
        back = give(result)
        return back.view(bfloat16) if bfloat16 is not None and result.dtype == np.uint16 else back

    return Rows(matrix, bfloat16 is not None, one_dim, kind, wrap)


def _as_it_is(result: NDArray[Any]) -> NDArray[Any]:
    return result


def _no_columns(array: NDArray[Any], name: str) -> NoReturn:
    raise ValueError(f"{name}: must have at least one column, got shape {array.shape}")


def _from_torch(torch: Any, x: Any, name: str) -> tuple[NDArray[Any], Any]:
    if not x.is_cpu:
        raise TypeError(
            f"{name}: this function works on the CPU, got a tensor on {x.device}; "
            f"use {name}.cpu(), or sortes.decode functions that keep tensors on their device"
        )
    if x.layout is not torch.strided:
        raise TypeError(f"{name}: must be a dense tensor, got {x.layout}")
    if x.requires_grad:
        x = x.detach()
    if x.dtype is torch.float32:
        return x.numpy(), None
    if x.dtype is torch.bfloat16:
        return x.view(torch.uint16).numpy(), torch.bfloat16
    if x.dtype not in (torch.float16, torch.float64):
        raise TypeError(f"{name}: dtype must be {_ACCEPTED}, got {x.dtype}")
    return x.numpy(), None


def _from_host(x: Any, name: str) -> NDArray[Any]:
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack__"):
        return np.asarray(x)
    device, _ = x.__dlpack_device__()
    if device not in _DLPACK_HOST:
        raise TypeError(f"{name}: must be on the CPU, got a DLPack device of type {int(device)}")
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError):
        # NumPy reads no bfloat16 from DLPack; such libraries export it through `__array__`.
        return np.asarray(x)


def _contiguous_rows(x: NDArray[Any]) -> NDArray[Any]:
    """Return `x`, or a copy if the kernels could not read its rows in place."""
    if x.flags.carray and x.dtype.isnative:
        return x
    in_place = (
        (x.shape[1] == 1 or x.strides[1] == x.itemsize) and x.flags.aligned and x.dtype.isnative
    )
    return x if in_place else x.astype(x.dtype.newbyteorder("="), order="C", copy=True)
