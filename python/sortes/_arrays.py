"""Arrays from NumPy, Torch, tables, DLPack and lists, in the forms that kernels use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

import numpy as np

from sortes import _device
from sortes._check import Domain, shown
from sortes._columns import array_of, narrowed, numbers_in, refuse_missing
from sortes._device import check_dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACCEPTED = "float32, float16, bfloat16 or float64"
_NATIVE = frozenset(np.dtype(t) for t in (np.float32, np.float16, np.float64))
_REAL = frozenset(np.dtype(t) for t in (np.float32, np.float64))
_DLPACK_HOST = (1, 3)  # kDLCPU, kDLCUDAHost
_INT64: Final = Domain("[-2**63, 2**63)", integer=True)
_BITS64: Final = Domain("[-2**63, 2**64)", integer=True)
#: A named tuple without the checks of its own class, a third of a microsecond.
_new: Final = tuple.__new__


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


def memory_of(x: Any) -> tuple[NDArray[Any], bool, Callable[[NDArray[Any]], Any] | None] | None:
    """View what most calls bring as an array of its own shape, and say nothing of the rest.

    Parameters
    ----------
    x
        Anything.

    Returns
    -------
    array : ndarray
        The memory of a NumPy array, or of a Torch tensor on the CPU.
    bf16 : bool
        Whether it holds bfloat16 bits.
    wrap : callable or None
        What turns a result into the kind of `x`; None leaves it as it is.

    Examples
    --------
    >>> array, bf16, wrap = memory_of(np.zeros(3))
    >>> memory_of([0.0])
    """
    if type(x) is np.ndarray:
        return x, False, None
    torch = sys.modules.get("torch")
    if torch is None or type(x) is not torch.Tensor or _device.PRETEND:
        return None
    bf16 = x.dtype is torch.bfloat16
    try:  # it costs less than to ask a tensor for everything that speaks against it
        return (x.view(torch.uint16) if bf16 else x).numpy(), bf16, torch.from_numpy
    except (TypeError, RuntimeError):  # it has a gradient, or is not plain memory of the CPU
        return None


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
    if type(x) is np.ndarray and x.dtype in _NATIVE and x.flags.carray:
        if x.ndim == 2 and x.shape[1]:
            return _new(Rows, (x, False, False, "numpy", _as_it_is))
        if x.ndim == 1 and x.size:
            return _new(Rows, (x[np.newaxis], False, True, "numpy", _only_row))
    kind: Literal["numpy", "torch"] = "numpy"
    give: Callable[[NDArray[Any]], Any] = np.asarray
    bfloat16: Any = None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        bits = x.dtype is torch.bfloat16
        if bits or x.dtype is torch.float32 or x.dtype is torch.float16:
            # One attempt costs less than asking the tensor for everything that speaks against it.
            try:
                array = (x.view(torch.uint16) if bits else x).numpy()
            except (TypeError, RuntimeError):  # it has a gradient, or is not plain memory
                pass
            else:
                if array.ndim == 2 and array.flags.carray and array.shape[1]:
                    back = _as_bfloat16 if bits else torch.from_numpy
                    return _new(Rows, (array, bits, False, "torch", back))
                if array.ndim == 1 and array.flags.carray and array.size and not bits:
                    parts = (array[np.newaxis], False, True, "torch", _only_row_of_tensor)
                    return _new(Rows, parts)
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
    matrix = contiguous_rows(array[np.newaxis] if one_dim else array)

    if bfloat16 is None and not one_dim:
        return Rows(matrix, False, False, kind, give)

    def wrap(result: NDArray[Any]) -> Any:
        if one_dim:
            result = result.reshape(result.shape[1:])
        back = give(result)
        return back.view(bfloat16) if bfloat16 is not None and result.dtype == np.uint16 else back

    return Rows(matrix, bfloat16 is not None, one_dim, kind, wrap)


def _as_bfloat16(result: NDArray[Any]) -> Any:
    torch = sys.modules["torch"]
    back = torch.from_numpy(result)
    return back.view(torch.bfloat16) if result.dtype == np.uint16 else back


def _only_row_of_tensor(result: NDArray[Any]) -> Any:
    return sys.modules["torch"].from_numpy(result.reshape(result.shape[1:]))


def _as_it_is(result: NDArray[Any]) -> NDArray[Any]:
    return result


def _only_row(result: NDArray[Any]) -> NDArray[Any]:
    return result.reshape(result.shape[1:])


def _no_columns(array: NDArray[Any], name: str) -> NoReturn:
    raise ValueError(f"{name}: must have at least one column, got shape {array.shape}")


def host(x: Any, name: str, kinds: str | None = "biuf") -> NDArray[Any]:
    """Return an array of the caller's data on the CPU, without a copy where that can be.

    Parameters
    ----------
    x : array_like
        A NumPy array, a Torch tensor on the CPU, a column or table of pandas, polars or Arrow,
        anything with ``__dlpack__`` on the CPU, or anything else that NumPy can make an array of.
        bfloat16 becomes float32; objects that are numbers become float64 or, where any kind is
        accepted, integers.
    name
        What error messages call it.
    kinds
        The kinds of dtype that are accepted, in NumPy's letters; None accepts any.

    Returns
    -------
    ndarray
        The data, of any shape. An empty list has dtype float64.

    Raises
    ------
    TypeError
        If the items are of another kind, or the data sparse, masked, or not on the CPU.
    ValueError
        If lists have different lengths, or an object is missing.

    Examples
    --------
    >>> host([1, 2], "x")
    array([1, 2])
    >>> host(["a"], "x")
    Traceback (most recent call last):
    TypeError: x: must hold numbers, got <U1
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if not x.is_cpu:
            raise TypeError(f"{name}: must be on the CPU, got a tensor on {x.device}")
        x = _dense(x, name)
        try:
            array = (x.float() if x.dtype is torch.bfloat16 else x).numpy()
        except TypeError:  # quantised numbers and those of eight bits
            raise TypeError(f"{name}: must hold numbers that NumPy knows, got {x.dtype}") from None
    else:
        array = _from_host(x, name, numbers=kinds is not None)
        if array.dtype.name == "bfloat16":
            array = array.astype(np.float32)
        elif array.dtype.kind in "OT" and array.ndim:
            refuse_missing(array, name)
            if kinds is None:
                array = narrowed(array)
            elif array.dtype == object:
                array = numbers_in(array, name, booleans="b" in kinds)
    if kinds is not None and (array.dtype.kind not in kinds or array.dtype.itemsize > 8):
        raise _wrong_kind(x, array, name, "number" if "f" in kinds else "integer")
    return array  # type: ignore[no-any-return]


def vector_of(x: Any, name: str = "weights", *, double: bool = False) -> NDArray[Any]:
    """View `x` as a contiguous vector of float32 or float64.

    Parameters
    ----------
    x : array_like, shape (n,)
        As in `host`. Contiguous float32 and float64 are not copied; half precision becomes
        float32, integers and booleans float64.
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
        As `host`.
    ValueError
        If `x` has not exactly one dimension.

    Examples
    --------
    >>> vector_of([1, 2, 3])
    array([1., 2., 3.])
    """
    if type(x) is not np.ndarray or x.dtype not in _REAL:
        x = host(x, name)
    _one_dim(x, name)
    if x.dtype in _REAL and x.flags.carray and not (double and x.dtype != np.float64):
        return x  # type: ignore[no-any-return]
    half = x.dtype.kind == "f" and x.dtype.itemsize < 8 and not double
    return np.require(x, np.float32 if half else np.float64, ("C", "A"))


def matrix_of(x: Any, name: str) -> NDArray[np.float64]:
    """View `x` as a contiguous matrix of float64; otherwise as `vector_of`.

    Examples
    --------
    >>> matrix_of([[1, 2]], "X")
    array([[1., 2.]])
    """
    array = host(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name}: must have shape (n, d), got {array.shape}")
    return np.require(array, np.float64, ("C", "A"))


def ids_of(x: Any, name: str = "ids") -> NDArray[np.int64]:
    """View `x` as a contiguous vector of int64, for ids that may have been strings or hashes.

    Of integers in [2**63, 2**64) the bits count.

    Examples
    --------
    >>> ids_of(range(3))
    array([0, 1, 2])
    >>> ids_of(np.uint64([7, 2**64 - 1]))
    array([ 7, -1])
    """
    array = host(x, name, None)
    if array.dtype.kind == "f":
        refuse_missing(array, name)
    if array.size and array.dtype.kind in "OUST":
        if not _ints(array):
            hint = "; hash_ids turns strings into ids"
            raise TypeError(f"{name}: must hold integers, got {array.dtype}{hint}")
        _BITS64.check_items(array, name)
        array = (array + 2**63) % 2**64 - 2**63
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        array = array.astype(np.uint64, copy=False).view(np.int64)
    return integers_of(array, name)


def integers_of(
    x: Any, name: str, domain: Domain = _INT64, *, n: int | None = None
) -> NDArray[np.int64]:
    """View `x` as a contiguous vector of int64.

    Parameters
    ----------
    x : array_like of int, shape (n,)
        As in `host`; of any integer dtype.
    name
        What error messages call it.
    domain
        Where the integers must lie.
    n
        The length that `x` must have; then a single integer stands for all.

    Returns
    -------
    ndarray of int64, shape (n,)
        The integers.

    Raises
    ------
    TypeError
        If an item is no integer, or as `host`.
    ValueError
        If an item is outside the domain, or the shape is another.

    Examples
    --------
    >>> integers_of([0, 7], "rows", Domain("[0, 2**32)", integer=True))
    array([0, 7])
    >>> integers_of(7, "rows", n=2)
    array([7, 7])
    """
    array = host(x, name, None)
    if array.size and array.dtype.kind not in "iu" and not _ints(array):
        raise _wrong_kind(x, array, name, "integer")
    if n is None:
        _one_dim(array, name)
    elif array.shape not in ((), (n,)):
        raise ValueError(f"{name}: must have shape ({n},), got {array.shape}")
    if array.size and (array.dtype != np.int64 or domain is not _INT64):
        domain.check_items(array, name)
    whole = np.require(array, np.int64, ("C", "A"))
    return whole if n is None or array.ndim else np.full(n, whole)


def numbers_of(
    x: Any,
    name: str,
    domain: Domain | None = None,
    *,
    rows: int | None = None,
    booleans: bool = False,
) -> NDArray[np.float64]:
    """Return one number, or one for each row, as float64.

    Parameters
    ----------
    x : float or array_like, shape (B,)
        As in `host`.
    name
        What error messages call it.
    domain
        Where the numbers must lie; integers alone if it is one of integers.
    rows
        How many rows there are, if that is known.
    booleans
        Whether booleans count as numbers.

    Returns
    -------
    ndarray of float64, shape () or (B,)
        The numbers: a copy.

    Raises
    ------
    TypeError
        As `host`.
    ValueError
        If a number is outside the domain, or there are neither one nor B.

    Examples
    --------
    >>> numbers_of([1, 2], "tau")
    array([1., 2.])
    """
    if domain is not None and domain.integer:
        array = host(x, name, None)
        if array.dtype.kind not in "iu" and not _ints(array):
            raise _wrong_kind(x, array, name, "integer")
    else:
        array = host(x, name, "biuf" if booleans else "iuf")
    if array.ndim > 1 or (rows is not None and array.shape not in ((), (rows,))):
        shape = "(B,)" if rows is None else f"({rows},)"
        raise ValueError(f"{name}: must be a number or have shape {shape}, got {array.shape}")
    if domain is not None and array.ndim:
        domain.check_items(array, name)
    elif domain is not None:
        domain.check(array[()], name)
    return np.array(array, np.float64)


def _wrong_kind(x: Any, array: NDArray[Any], name: str, wanted: str) -> TypeError:
    if array.ndim:
        return TypeError(f"{name}: must hold {wanted}s, got {array.dtype}")
    article = "an" if wanted == "integer" else "a"
    return TypeError(f"{name}: must be {article} {wanted}, got {shown(x)}")


def _ints(array: NDArray[Any]) -> bool:
    """Whether these are Python's integers, too large for a dtype or in an array of objects."""
    return array.dtype == object and all(type(item) is int for item in array.flat)


def _one_dim(array: NDArray[Any], name: str) -> None:
    if array.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {array.shape}")


def _dense(x: Any, name: str) -> Any:
    """Return a tensor on the CPU that NumPy can view, without its gradient."""
    check_dense(x, name)
    return x.detach().resolve_conj().resolve_neg()


def _from_torch(torch: Any, x: Any, name: str) -> tuple[NDArray[Any], Any]:
    if not x.is_cpu:
        raise TypeError(
            f"{name}: this function works on the CPU, got a tensor on {x.device}; "
            f"use {name}.cpu(), or sortes.decode functions that keep tensors on their device"
        )
    x = _dense(x, name)
    if x.dtype is torch.float32:
        return x.numpy(), None
    if x.dtype is torch.bfloat16:
        return x.view(torch.uint16).numpy(), torch.bfloat16
    if x.dtype not in (torch.float16, torch.float64):
        raise TypeError(f"{name}: dtype must be {_ACCEPTED}, got {x.dtype}")
    return x.numpy(), None


def _from_host(x: Any, name: str, *, numbers: bool = True) -> NDArray[Any]:
    """Return an array of anything but a Torch tensor."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name}: must not be a masked array; fill or drop the masked items first")
    if isinstance(x, np.ndarray):
        return np.asarray(x)
    if (array := array_of(x, name, numbers=numbers)) is not None:
        return array
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name}: must be dense, got a {type(x).__name__}")
    try:
        device = _dlpack_device(x)
        if device in _DLPACK_HOST:
            try:
                return np.from_dlpack(x)
            except (BufferError, RuntimeError, TypeError):
                pass  # what DLPack or NumPy's reader lacks, bfloat16 and nulls, has `__array__`
        if device is None or device in _DLPACK_HOST:
            array = np.asarray(x)
            return array if hasattr(x, "dtype") else _as_given(x, array, numbers)
    except MemoryError:
        raise
    except ValueError:
        raise ValueError(f"{name}: must be an array or lists of equal lengths") from None
    except Exception as error:  # whatever a foreign object raises
        raise TypeError(f"{name}: must be an array: {error}") from None
    raise TypeError(f"{name}: must be on the CPU, got a DLPack device of type {int(device)}")


def _dlpack_device(x: Any) -> Any:
    """Return the type of the device of what speaks DLPack, None for anything else."""
    speaks = hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")
    return x.__dlpack_device__()[0] if speaks and not isinstance(x, type) else None


def _as_given(x: Any, array: NDArray[Any], numbers: bool) -> NDArray[Any]:
    """Return an array of lists as objects where NumPy's conversion has changed the items.

    It turns what stands beside strings into strings, drops zeros at their ends, and makes floats of
    integers of which some are above 2**63.
    """
    text = array.dtype.kind in "US"
    if text or (array.dtype.kind == "f" and not numbers):
        given = np.array(x, object)
        if text and array.tolist() != given.tolist():
            return given
        if not text and ((whole := narrowed(given)).dtype.kind in "iu" or _ints(whole)):
            return whole
    return array


def contiguous_rows(x: NDArray[Any]) -> NDArray[Any]:
    """Return `x`, or a copy if the kernels could not read its rows in place."""
    if x.flags.carray and x.dtype.isnative:
        return x
    in_place = (
        (x.shape[1] == 1 or x.strides[1] == x.itemsize) and x.flags.aligned and x.dtype.isnative
    )
    return x if in_place else x.astype(x.dtype.newbyteorder("="), order="C", copy=True)
