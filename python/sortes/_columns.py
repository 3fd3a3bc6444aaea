"""Columns and tables of pandas, polars and Arrow, and objects, as plain arrays: nothing missing."""

from __future__ import annotations

import sys
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes._check import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

#: Integers up to here, and powers of ten up to there, are exact in float64: so is one division.
_EXACT_UNITS: Final = 2**53
_EXACT_SCALE: Final = 22
_MISSING: Final = ("NAType", "NaTType", "MaskedConstant")


def array_of(x: Any, name: str, *, numbers: bool = True) -> NDArray[Any] | None:
    """Return a column, or a table column by column, of another library as an array.

    Parameters
    ----------
    x
        A column (Series, Index, extension array, Arrow array) or a table of pandas, polars or
        pyarrow; or anything else. All columns of a table must be numbers.
    name
        What error messages call it.
    numbers
        Whether numbers are wanted: decimals then become float64, correctly rounded. Otherwise
        decimals without places become integers, where these fit.

    Returns
    -------
    ndarray or None
        The items, decoded (categories, run ends, extension types), of shape (n,) or (n, d); None
        if it is of no such library. What NumPy has no dtype for comes as objects.

    Raises
    ------
    ValueError
        If an item is missing (null, NA, NaT).

    Examples
    --------
    >>> import pyarrow as pa
    >>> array_of(pa.array(["b", "a", "b"]).dictionary_encode(), "strata")
    array(['b', 'a', 'b'], dtype=object)
    >>> array_of(pa.array([1, None]), "weights")
    Traceback (most recent call last):
    ValueError: weights: item 1 is missing
    """
    if (pd := sys.modules.get("pandas")) is not None:
        if isinstance(x, pd.DataFrame):
            plain = all(isinstance(t, np.dtype) and t.kind in "biuf" for t in x.dtypes)
            return x.to_numpy() if plain else _stacked(x.items(), len(x), name)
        if isinstance(x, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
            return _of_pandas(x, name)
    if (pl := sys.modules.get("polars")) is not None:
        if isinstance(x, pl.DataFrame):
            return _stacked(((c.name, c) for c in x.iter_columns()), len(x), name)
        if isinstance(x, pl.Series):
            return _of_polars(x, pl, name)
    if (pa := sys.modules.get("pyarrow")) is not None:
        if isinstance(x, pa.Table | pa.RecordBatch):
            named = zip(x.schema.names, x.itercolumns(), strict=True)
            return _stacked(named, len(x), name)
        if isinstance(x, pa.ChunkedArray):
            return _of_chunks(x, pa, name, numbers)
        if isinstance(x, pa.Array):
            return _of_arrow(x, pa, name, numbers, 0)
    return None


def numbers_in(x: NDArray[Any], name: str, *, booleans: bool = True) -> NDArray[np.float64]:
    """Return the numbers of an array of objects as float64.

    Parameters
    ----------
    x : ndarray of objects
        Integers, floats, decimals and fractions; not missing ones.
    name
        What error messages call it.
    booleans
        Whether booleans count as numbers.

    Returns
    -------
    ndarray of float64
        The nearest of each.

    Raises
    ------
    TypeError
        If an item is no number.
    ValueError
        If one is beyond the range of float64.

    Examples
    --------
    >>> numbers_in(np.array([Decimal("0.1"), 2], object), "weights")
    array([0.1, 2. ])
    """
    out = np.empty(x.shape)
    for at, item in np.ndenumerate(x):
        number = isinstance(item, Real | Decimal) and (
            booleans or not isinstance(item, bool | np.bool_)
        )
        if not number:
            raise TypeError(f"{name}: {_item(at)}must be a number, got {shown(item)}")
        try:
            out[at] = float(item)
        except (OverflowError, ValueError):  # a signalling NaN
            message = f"must be in the range of float64, got {shown(item)}"
            raise ValueError(f"{name}: {_item(at)}{message}") from None
    return out


def narrowed(x: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are all booleans, or all integers, in a dtype that holds them.

    Decimals without places are integers. Integers that no dtype holds become Python's; other
    objects stay what they are.

    Examples
    --------
    >>> narrowed(np.array([Decimal("7.0"), 2], object))
    array([7, 2])
    >>> narrowed(np.array([7, 2**70], object))
    array([7, 1180591620717411303424], dtype=object)
    """
    if x.dtype != object or not x.size:
        return x
    if all(isinstance(item, bool | np.bool_) for item in x.flat):
        return x.astype(bool)
    whole = np.empty(x.shape, object)
    for at, item in np.ndenumerate(x):
        decimal = isinstance(item, Decimal) and item.is_finite()
        decimal = decimal and item == item.to_integral_value()
        if not decimal and (not isinstance(item, int | np.integer) or isinstance(item, bool)):
            return x
        whole[at] = int(item)
    low, high = min(whole.flat), max(whole.flat)
    if -(2**63) <= low and high < 2**63:
        return whole.astype(np.int64)
    return whole.astype(np.uint64) if 0 <= low and high < 2**64 else whole


def refuse_missing(x: NDArray[Any], name: str) -> None:
    """Name the first item that is missing: None, NA, NaT or NaN.

    Examples
    --------
    >>> refuse_missing(np.array(["a", None], object), "strata")
    Traceback (most recent call last):
    ValueError: strata: item 1 is missing
    """
    if x.dtype.kind in "fcmM":
        _refuse(np.isnan(x), name)
    elif x.dtype.kind in "OT":
        missing = np.fromiter(map(_is_missing, x.flat), bool, x.size)
        _refuse(missing.reshape(x.shape), name)


def _is_missing(item: object) -> bool:
    if item is None or type(item).__name__ in _MISSING:
        return True
    if isinstance(item, Decimal):
        return item.is_nan()  # a signalling one cannot be compared
    return isinstance(item, float | np.floating | np.datetime64 | np.timedelta64) and item != item


def _stacked(columns: Iterable[tuple[Any, Any]], n: int, name: str) -> NDArray[Any]:
    """Return the numbers of a table as a matrix."""
    arrays = []
    for key, column in columns:
        label = f"{name}: column {key!r}"
        array = array_of(column, label)
        assert array is not None
        if array.dtype.kind not in "biuf":
            array = array.astype(object)
            refuse_missing(array, label)
            array = numbers_in(array, label)
        arrays.append(array)
    return np.stack(arrays, axis=1) if arrays else np.empty((n, 0))


def _of_pandas(x: Any, name: str) -> NDArray[Any]:
    if not isinstance(x.dtype, np.dtype) or x.dtype == object:
        _refuse(np.asarray(x.isna(), bool), name)
    return x.to_numpy()  # type: ignore[no-any-return]


def _of_polars(x: Any, pl: Any, name: str) -> NDArray[Any]:
    if x.null_count():
        _refuse(x.is_null().to_numpy(), name)
    if x.dtype.is_integer() and x.dtype in (pl.Int128, getattr(pl, "UInt128", None)):
        return np.array(x.to_list(), object)
    return x.to_numpy()  # type: ignore[no-any-return]


def _of_chunks(x: Any, pa: Any, name: str, numbers: bool) -> NDArray[Any]:
    parts, start = [], 0
    for chunk in x.chunks or [pa.array([], x.type)]:
        parts.append(_of_arrow(chunk, pa, name, numbers, start))
        start += len(chunk)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _of_arrow(x: Any, pa: Any, name: str, numbers: bool, start: int) -> NDArray[Any]:
    x = decoded(x, pa)
    if x.null_count:
        _refuse(np.asarray(x.is_null()), name, start)
    if pa.types.is_decimal(x.type):
        units = _units(x, pa)
        if units is not None and x.type.scale == 0 and not numbers:
            return units
        if numbers:
            small = units is not None and (np.abs(units) <= _EXACT_UNITS).all()
            if small and 0 <= x.type.scale <= _EXACT_SCALE:
                return units / 10.0**x.type.scale  # type: ignore[no-any-return]
            # Arrow's own cast is off by a unit in the last place: 0.3 is 0.30000000000000004.
            return np.array([float(item) for item in x.to_pylist()], np.float64)
    return x.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def decoded(x: Any, pa: Any) -> Any:
    """Return an Arrow array without extension types, run ends and dictionaries.

    Examples
    --------
    >>> import pyarrow as pa
    >>> decoded(pa.array(["b", "b"]).dictionary_encode(), pa).to_pylist()
    ['b', 'b']
    """
    if isinstance(x.type, pa.BaseExtensionType):
        return decoded(x.storage, pa)
    if pa.types.is_run_end_encoded(x.type):
        rows = np.arange(x.offset, x.offset + len(x))
        values, at = x.values, pa.array(np.searchsorted(np.asarray(x.run_ends), rows, "right"))
    elif pa.types.is_dictionary(x.type):
        values, at = x.dictionary, x.indices
    else:
        return x
    values = decoded(values, pa)
    return values.cast(_without_views(values.type, pa)).take(at)


def _without_views(type: Any, pa: Any) -> Any:
    """Return the type of strings that all of Arrow's functions take, in the place of views."""
    for view, whole in (("string_view", "large_string"), ("binary_view", "large_binary")):
        # Views are younger than the oldest Arrow that we take.
        if hasattr(pa, view) and type == getattr(pa, view)():
            return getattr(pa, whole)()
    return type


def _units(x: Any, pa: Any) -> NDArray[np.int64] | None:
    """Return decimals in units of their last place, if these fit in 64 bits."""
    make = getattr(pa, f"decimal{x.type.bit_width}")
    whole = make(x.type.precision, 0)
    units = pa.Array.from_buffers(whole, len(x), x.buffers(), offset=x.offset)
    try:
        return units.cast(pa.int64()).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return None


def _refuse(missing: NDArray[np.bool_], name: str, start: int = 0) -> None:
    if missing.any():
        at = np.unravel_index(missing.argmax(), missing.shape)
        raise ValueError(f"{name}: {_item(at, start)}is missing")


def _item(at: Sequence[Any], start: int = 0) -> str:
    """Return what a message calls an item, with a space behind it."""
    if not at:
        return ""
    return f"item {start + int(at[0]) if len(at) == 1 else tuple(map(int, at))} "
