"""Sketches of Dask collections: one for each partition, merged in a tree."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._optional import require
from sortes.integrations._partitions import (
    check_columns,
    columns_of,
    fresh_shards,
    ids_of_column,
    merged,
)
from sortes.select.sketch import Sketch, check_sketch

if TYPE_CHECKING:
    from sortes.select.sketch import S

dask = require("dask", extra="dask")

#: Sketches that one task merges.
FAN_IN = 8


def sketch_dask(
    data: Any, sketch: S, *, id: Any = None, weight: Any = None, value: Any = None
) -> S:
    """Take a Dask collection in, on whichever scheduler is in use.

    Parameters
    ----------
    data : dask DataFrame, Bag, Array, or sequence of Delayed
        A data frame; a bag of records (dicts or tuples); a one-dimensional array of weights;
        or partitions, each of which becomes a data frame, a dict or table of columns, or an
        iterable of records.
    sketch : Sketch
        Takes everything in. Its seed and `k` are those of the partitions' sketches.
    id : key or dask Array
        The column (or place in a tuple) of ids. Strings are hashed by `hash_ids`. For an array: the
        ids as another array; positions by default.
    weight : key, optional
        The column of weights; ones by default. Not for an array.
    value : key or dask Array, optional
        The column of values, or their array.

    Returns
    -------
    Sketch
        `sketch`.

    Raises
    ------
    ValueError
        If the sizes of an array's chunks are unknown, or as in `Sketch.update`.
    TypeError
        If `data` is no such collection, `sketch` no sketch, or `id` is missing.

    Notes
    -----
    Kernels release the interpreter, so that threads, the default of most collections, run
    side by side. Sketches that are not coordinated use one shard for each partition, numbered by
    its place: the result is the same on every scheduler.

    Examples
    --------
    >>> import dask.array as da
    >>> from sortes.integrations.dask import sketch_dask
    >>> from sortes.select import VarOpt
    >>> sketch_dask(da.ones(1000, chunks=100), VarOpt(10, rng=0))
    <VarOpt of 1000 items: 10 held, k=10>
    """
    check_sketch(sketch)
    if hasattr(data, "to_delayed") and hasattr(data, "chunks"):
        tasks = _of_array(data, sketch, id, weight, value)
    else:
        tasks = _of_records(data, sketch, id, weight, value)
    merge = dask.delayed(merged, pure=False)
    while len(tasks) > 1:
        tasks = [merge(tasks[i : i + FAN_IN]) for i in range(0, len(tasks), FAN_IN)]
    for result in dask.compute(*tasks):
        sketch.merge(result)
    return sketch


def _of_records(data: Any, sketch: Sketch, id: Any, weight: Any, value: Any) -> list[Any]:
    if not (hasattr(data, "to_delayed") or isinstance(data, list | tuple)):
        raise TypeError(f"data: must be a Dask collection, got {type(data).__name__}")
    if id is None:
        raise TypeError("id: must name the ids of the items")
    if hasattr(data, "to_delayed"):
        if hasattr(data, "columns"):
            check_columns((id, weight, value), data.columns)
            data = data[list(dict.fromkeys(key for key in (id, weight, value) if key is not None))]
        data = data.to_delayed()

    def task(empty: Sketch, part: Any) -> Sketch:
        return empty.copy().update(*columns_of(part, id, weight, value), num_threads=1)

    delayed = dask.delayed(task, pure=False)
    return [delayed(empty, part) for part, empty in zip(data, fresh_shards(sketch), strict=False)]


def _of_array(weights: Any, sketch: Sketch, ids: Any, weight: Any, values: Any) -> list[Any]:
    if weight is not None:
        raise TypeError("weight: an array holds the weights itself")
    if weights.ndim != 1:
        raise ValueError(f"data: must have shape (n,), got {weights.shape}")
    (sizes,) = weights.chunks
    if any(math.isnan(size) for size in sizes):
        raise ValueError("data: chunk sizes are unknown; call data.compute_chunk_sizes() first")

    def parts(name: str, array: Any) -> list[Any]:
        if array is None:
            return [None] * len(sizes)
        if not hasattr(array, "rechunk"):
            raise TypeError(f"{name}: must be a Dask array, got {type(array).__name__}")
        if array.shape != weights.shape:
            raise ValueError(f"{name}: must have shape {weights.shape}, got {array.shape}")
        return list(array.rechunk(weights.chunks).to_delayed())

    def task(empty: Sketch, start: int, weights: Any, ids: Any, values: Any) -> Sketch:
        ids = np.arange(start, start + len(weights)) if ids is None else ids_of_column(ids)
        return empty.copy().update(ids, weights, values, num_threads=1)

    delayed = dask.delayed(task, pure=False)
    starts = list(itertools.accumulate(sizes[:-1], initial=0))
    columns = zip(
        starts, parts("data", weights), parts("id", ids), parts("value", values), strict=True
    )
    shards = fresh_shards(sketch)
    return [delayed(empty, *column) for column, empty in zip(columns, shards, strict=False)]
