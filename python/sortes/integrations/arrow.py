"""Sketches of Arrow tables and streams, and of Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sortes._optional import require
from sortes._progress import reporter
from sortes.select.sketch import CHUNK, Sketch, hash_ids

if TYPE_CHECKING:
    from sortes._progress import Progress

pa = require("pyarrow", extra="arrow")
ds = require("pyarrow.dataset", extra="arrow")

S = TypeVar("S", bound=Sketch)

_NAMES = ("id", "weight", "value")


def sketch_arrow(
    data: Any,
    sketch: S,
    *,
    id: str,
    weight: str | None = None,
    value: str | None = None,
    num_threads: int | None = None,
    progress: Progress = None,
) -> S:
    """Take Arrow data in, batch by batch.

    Parameters
    ----------
    data : Table, RecordBatch, RecordBatchReader, or anything with ``__arrow_c_stream__``
        The rows: of pyarrow, or of polars, pandas, DuckDB and others that export Arrow streams. A
        reader is read to its end, one batch in memory at a time.
    sketch : Sketch
        Takes everything in.
    id : str
        The column of ids, integers or strings; strings are hashed by `hash_ids`.
    weight : str, optional
        The column of weights; ones by default.
    value : str, optional
        The column of values.
    num_threads : int, optional
        As in `Sketch.update`.
    progress : bool or callable, optional
        Shows a bar, or is called as ``progress(rows, total)``, with a total of 0 for a stream.

    Returns
    -------
    Sketch
        `sketch`. After Ctrl-C it holds the batches that came before.

    Raises
    ------
    ValueError
        If a column is missing or has nulls, or as in `Sketch.update`.
    TypeError
        If `data` is no Arrow data.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sortes.integrations.arrow import sketch_arrow
    >>> from sortes.select import PrioritySample
    >>> table = pa.table({"user": ["ann", "bob", "ann"], "spent": [5.0, 1.0, 3.0]})
    >>> sketch_arrow(table, PrioritySample(10, rng=0), id="user", weight="spent")
    <PrioritySample of 3 items: 2 held, k=10>
    """
    total = 0
    batches: Iterable[Any]
    if isinstance(data, pa.RecordBatchReader):
        batches = data
    elif isinstance(data, pa.RecordBatch):
        batches, total = [data], data.num_rows
    elif isinstance(data, pa.Table):
        batches, total = data.to_batches(max_chunksize=CHUNK), data.num_rows
    elif hasattr(data, "__arrow_c_stream__"):
        batches = pa.RecordBatchReader.from_stream(data)
    else:
        raise TypeError(f"data: must be Arrow data, got {type(data).__name__}")
    return _take(batches, total, sketch, (id, weight, value), num_threads, progress)


def sketch_parquet(
    path: Any,
    sketch: S,
    *,
    id: str,
    weight: str | None = None,
    value: str | None = None,
    batch_size: int = CHUNK,
    num_threads: int | None = None,
    progress: Progress = None,
) -> S:
    """Take Parquet files in, reading only the columns that are needed.

    Parameters
    ----------
    path : path, list of paths, or pyarrow Dataset
        A file, a directory of files, several files, or a data set of any format.
    sketch : Sketch
        Takes everything in.
    id, weight, value
        Columns, as in `sketch_arrow`.
    batch_size : int
        How many rows are read at a time, at most.
    num_threads, progress
        As in `sketch_arrow`; the total is known.

    Returns
    -------
    Sketch
        `sketch`. After Ctrl-C it holds the rows that came before.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As in `sketch_arrow`.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa, pyarrow.parquet
    >>> from sortes.integrations.arrow import sketch_parquet
    >>> from sortes.select import VarOpt
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pa.table({"id": range(1000), "w": [1.0] * 1000})
    ...     pa.parquet.write_table(table, f"{folder}/part.parquet")
    ...     sketch_parquet(folder, VarOpt(10, rng=0), id="id", weight="w").total
    1000.0
    """
    files = path if isinstance(path, ds.Dataset) else ds.dataset(path, format="parquet")
    keys = (id, weight, value)
    for name, key in zip(_NAMES, keys, strict=True):
        _check(name, key, files.schema.names)
    needed = list(dict.fromkeys(key for key in keys if key is not None))
    batches = files.to_batches(columns=needed, batch_size=batch_size)
    return _take(batches, files.count_rows(), sketch, keys, num_threads, progress)


def _take(
    batches: Iterable[Any],
    total: int,
    sketch: S,
    keys: tuple[str, str | None, str | None],
    num_threads: int | None,
    progress: Progress,
) -> S:
    rows = 0
    with reporter(progress, "rows") as callback:
        for batch in batches:
            columns = (_column(batch, *named) for named in zip(_NAMES, keys, strict=True))
            sketch.update(*columns, num_threads=num_threads)
            rows += batch.num_rows
            if callback is not None:
                callback(rows, total)
    return sketch


def _check(name: str, key: str | None, columns: list[str]) -> None:
    if key is not None and key not in columns:
        raise ValueError(f"{name}: no column {key!r} among {columns}")


def _column(batch: Any, name: str, key: str | None) -> Any:
    """Return a column of a batch as an array; strings as their ids."""
    _check(name, key, batch.schema.names)
    if key is None:
        return None
    column = batch.column(key)
    if column.null_count:
        raise ValueError(f"{name}: column {key!r} has {column.null_count} nulls")
    if pa.types.is_dictionary(column.type) and pa.types.is_integer(column.type.value_type):
        column = column.dictionary_decode()
    if name != "id" or pa.types.is_integer(column.type):
        return column.to_numpy(zero_copy_only=False)
    # Equal strings are hashed once.
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    try:
        ids = hash_ids(encoded.dictionary.to_pylist())
    except TypeError:
        raise TypeError(
            f"id: column {key!r} must hold integers or strings, got {column.type}"
        ) from None
    return ids[np.asarray(encoded.indices)]
