"""Partitions of other engines' data, as columns for a sketch."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np

from sortes._arrays import host, ids_of
from sortes._check import shown
from sortes.select import hash_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sortes.select.sketch import S


#: The arguments that name columns, in their order.
NAMES: Final = ("id", "weight", "value")


def columns_of(part: Any, id: Any, weight: Any = None, value: Any = None) -> tuple[Any, Any, Any]:
    """Return ids, weights and values of a partition.

    Parameters
    ----------
    part
        Something with columns under its keys (a data frame or table of pandas, polars or Arrow, a
        dict of arrays, a structured array), or an iterable of records.
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
    by_column = any(hasattr(part, name) for name in ("keys", "dtype", "columns"))
    records = None if by_column else list(part)

    def pick(name: str, key: Any) -> Any:
        try:
            if records is None:
                return part[key]
            return np.fromiter((record[key] for record in records), object, len(records))
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"{name}: no column {key!r}") from None

    ids = ids_of_column(pick("id", id))
    weights = None if weight is None else host(pick("weight", weight), "weight")
    values = None if value is None else host(pick("value", value), "value")
    return ids, weights, values


def ids_of_column(column: Any) -> Any:
    """Return the ids of a column of integers, or of strings and UUIDs, which are hashed.

    Examples
    --------
    >>> ids_of_column(np.uint64([7, 2**64 - 1]))
    array([ 7, -1])
    >>> ids_of_column(["a", 5])
    Traceback (most recent call last):
    TypeError: id: must hold integers alone or strings alone, got 5 at item 1
    """
    array = host(column, "id", None)
    if array.dtype.kind not in "OUST":
        return ids_of(array, "id")
    strings = [isinstance(item, str | bytes | UUID) for item in array.flat]
    if all(strings):
        return hash_ids(array.tolist())
    if any(strings):
        odd = strings.index(not strings[0])
        raise TypeError(
            "id: must hold integers alone or strings alone, "
            f"got {shown(array.flat[odd])} at item {odd}"
        )
    return ids_of(array, "id")


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


def check_columns(keys: Sequence[Any], columns: Sequence[Any]) -> None:
    """Refuse keys of ids, weights and values that name no column, or several.

    Examples
    --------
    >>> check_columns(("user", None, "spent"), ["user", "bytes"])
    Traceback (most recent call last):
    ValueError: value: no column 'spent' among ['user', 'bytes']
    """
    found = list(columns)
    for name, key in zip(NAMES, keys, strict=True):
        if key is not None and found.count(key) != 1:
            what = "no column" if key not in found else "more than one column"
            raise ValueError(f"{name}: {what} {key!r} among {found}")


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
