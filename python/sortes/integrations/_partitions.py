"""Partitions of other engines' data, as columns for a sketch."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sortes.select.sketch import Sketch, hash_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

S = TypeVar("S", bound=Sketch)


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

    def pick(key: Any) -> Any:
        return part[key] if records is None else [record[key] for record in records]

    ids, weights, values = (
        None if key is None else np.asarray(pick(key)) for key in (id, weight, value)
    )
    if ids is not None and ids.size and ids.dtype.kind in "OUST":
        ids = hash_ids(ids.tolist())
    return ids, weights, values


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
    return (sketch.for_shard(s) for s in count(first) if not sketch._native.has_drawn(s))


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
