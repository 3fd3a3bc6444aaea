"""Partitions of other engines' data, as columns for a sketch."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import count
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._check import shown
from sortes.select import hash_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sortes.select.sketch import S


def columns_of(part: Any, id: Any, weight: Any = None, value: Any = None) -> tuple[Any, Any, Any]:
    """Return ids, weights and values of a partition.

    Parameters
    ----------
    part
        Something with columns under its keys (a data frame, a dict or table of arrays, a structured
        array), or an iterable of records.
    id, weight, value
        The keys; without weights or values, ``None``.

    Returns
    -------
    tuple
        What `Sketch.update` takes. Ids that are strings are hashed.

    Examples
    --------
    >>> columns_of([(7, 0.5), (8, 1.5)], id=0, weight=1)
    (array([7, 8]), array([0.5, 1.5]), None)
    """
    by_column = any(hasattr(part, name) for name in ("keys", "dtype", "column_names"))
    records = None if by_column else list(part)

    def pick(name: str, key: Any) -> Any:
        try:
            if records is None:
                return part[key]
            return np.fromiter((record[key] for record in records), object, len(records))
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"{name}: no column {key!r}") from None

    ids = ids_of_column(pick("id", id))
    weights = None if weight is None else _numbers(pick("weight", weight), "weight")
    values = None if value is None else _numbers(pick("value", value), "value")
    return ids, weights, values


def ids_of_column(column: Any) -> Any:
    """Return the ids of a column of integers, or of strings, which are hashed.

    Examples
    --------
    >>> ids_of_column(np.uint64([7, 2**64 - 1]))
    array([ 7, -1])
    """
    array = np.asarray(column)
    if array.dtype == np.uint64:
        return array.view(np.int64)  # hashes use all bits
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"id: item {int(np.argmax(np.isnan(array)))} is missing")
    if array.dtype.kind not in "OUST":
        return array
    items = array.tolist()
    kinds = [_kind_of(item) for item in items]
    if "missing" in kinds:
        raise ValueError(f"id: item {kinds.index('missing')} is missing")
    if set(kinds) <= {"string"}:
        return hash_ids(items)
    if set(kinds) == {"integer"} and -(2**63) <= min(items) and max(items) < 2**64:
        return np.array([item if item < 2**63 else item - 2**64 for item in items], np.int64)
    odd = next((i for i, kind in enumerate(kinds) if kind == "other" or kind != kinds[0]), 0)
    raise TypeError(
        "id: must hold integers of 64 bits alone or strings alone, "
        f"got {shown(items[odd])} at item {odd}"
    )


def _numbers(column: Any, name: str) -> Any:
    """Return the numbers of a column; decimals and the like become float64."""
    array = np.asarray(column)
    if array.dtype != object:
        return array
    items = array.tolist()
    for i, item in enumerate(items):
        if _kind_of(item) == "missing":
            raise ValueError(f"{name}: item {i} is missing")
        if not isinstance(item, Real | Decimal):
            raise TypeError(f"{name}: item {i} must be a number, got {shown(item)}")
    return np.array([float(item) for item in items])


def _kind_of(item: Any) -> str:
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return "missing"
    if isinstance(item, float) and item != item:
        return "missing"
    if isinstance(item, str | bytes):
        return "string"
    is_integer = isinstance(item, int | np.integer) and not isinstance(item, bool)
    return "integer" if is_integer else "other"


def check_names(id: Any, weight: Any, value: Any) -> None:
    """Refuse names of columns that are no strings; weights and values may have none.

    Examples
    --------
    >>> check_names("user", None, 3)
    Traceback (most recent call last):
    TypeError: value: must be the name of a column, got 3
    """
    for name, key in {"id": id, "weight": weight, "value": value}.items():
        if not (isinstance(key, str) or (key is None and name != "id")):
            raise TypeError(f"{name}: must be the name of a column, got {shown(key)}")


def fresh_shards(sketch: S) -> Iterator[S]:
    """Yield empty sketches for the partitions of what `sketch` takes in next.

    Their shards have not been drawn by anything that `sketch` holds. They are numbered from `n` on,
    which leaves behind those of earlier calls.

    Examples
    --------
    >>> from sortes.select import VarOpt
    >>> next(fresh_shards(VarOpt(3)))
    <VarOpt of 0 items: 0 held, k=3>
    """
    first = sketch.n + 1
    return (sketch.for_shard(s) for s in count(first) if not sketch.has_drawn(s))


def shard_of_content(sketch: S, columns: tuple[Any, Any, Any]) -> S:
    """Return an empty sketch for these columns, where partitions have no numbers.

    Examples
    --------
    >>> from sortes.select import VarOpt
    >>> shard_of_content(VarOpt(3), (np.arange(2), None, None))
    <VarOpt of 0 items: 0 held, k=3>
    """
    if sketch.coordinated:
        return sketch.for_shard(0)
    digest = hashlib.blake2b(digest_size=6)
    for column in columns:
        if column is not None:
            digest.update(column.tobytes())
    return sketch.for_shard(int.from_bytes(digest.digest(), "little"))


def merged(sketches: Sequence[S]) -> S:
    """Merge some sketches, none of which changes.

    Examples
    --------
    >>> from sortes.select import BottomK
    >>> merged([BottomK(3, rng=0).update([1]), BottomK(3, rng=0).update([2])])
    <BottomK of 2 items: 2 held, k=3>
    """
    first, *others = sketches
    out = first.copy()
    for other in others:
        out.merge(other)
    return out
