"""Sketches of Arrow tables and streams, and of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._arrays import host, ids_of
from sortes._check import AtLeastOne, count
from sortes._columns import decoded
from sortes._optional import require
from sortes._progress import Progress, reporter
from sortes.integrations._partitions import NAMES, check_columns, check_names
from sortes.select import hash_ids
from sortes.select.sketch import CHUNK, check_sketch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sortes.select.sketch import S

pa = require("pyarrow", extra="arrow")
ds = require("pyarrow.dataset", extra="arrow")


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
        The column of ids: integers (of unsigned ones above 2**63 the bits) and decimals without
        places, or strings, bytes and UUIDs, which are hashed by `hash_ids`. The text of a UUID is
        another id than its bytes.
    weight : str, optional
        The column of weights; ones by default. Decimals become the nearest float64.
    value : str, optional
        The column of values.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows, with a total of 0
        for a stream.

    Returns
    -------
    Sketch
        `sketch`. After Ctrl-C it holds the batches that came before.

    Raises
    ------
    ValueError
        If a column is missing, comes twice or has nulls, or as in `Sketch.update`.
    TypeError
        If `data` is no Arrow data, `sketch` no sketch, or a column of a type that does not fit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from sortes.integrations.arrow import sketch_arrow
    >>> from sortes.select import PrioritySample
    >>> table = pa.table({"user": ["ann", "bob", "ann"], "spent": [5.0, 1.0, 3.0]})
    >>> sketch_arrow(table, PrioritySample(10, rng=0), id="user", weight="spent")
    <PrioritySample of 3 items: 2 held, k=10>
    """
    check_sketch(sketch)
    check_names(id, weight, value)
    total = 0
    batches: Iterable[Any]
    if isinstance(data, pa.RecordBatchReader):
        batches, schema = data, data.schema
    elif isinstance(data, pa.RecordBatch):
        batches, schema, total = [data], data.schema, data.num_rows
    elif isinstance(data, pa.Table):
        batches, schema, total = data.to_batches(CHUNK), data.schema, data.num_rows
    elif hasattr(data, "__arrow_c_stream__"):
        try:
            batches = reader = pa.RecordBatchReader.from_stream(data)
            schema = reader.schema
        except pa.ArrowException as error:  # a column alone, or a type that only its maker knows
            raise TypeError(f"data: must be a table of Arrow's types: {error}") from None
    else:
        raise TypeError(f"data: must be Arrow data, got {type(data).__name__}")
    keys = (id, weight, value)
    check_columns(keys, schema.names)
    return _take(batches, total, sketch, keys, num_threads, progress)


def sketch_parquet(
    path: Any,
    sketch: S,
    *,
    id: str,
    weight: str | None = None,
    value: str | None = None,
    batch_size: AtLeastOne = CHUNK,
    num_threads: int | None = None,
    progress: Progress = None,
) -> S:
    """Take Parquet files in, reading only the columns that are needed.

    Parameters
    ----------
    path : path, list of paths, or pyarrow Dataset
        A file, a directory of files, several files, or a data set of any format. Directories named
        ``key=value`` make columns, as Hive writes them.
    sketch : Sketch
        Takes everything in.
    id : str
        The column of ids, as in `sketch_arrow`.
    weight : str, optional
        The column of weights, as in `sketch_arrow`.
    value : str, optional
        The column of values.
    batch_size : int, default 524288
        How many rows are read at a time, at most.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.

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
    TypeError
        As in `sketch_arrow`; if `path` is no path.

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
    check_sketch(sketch)
    check_names(id, weight, value)
    batch_size = count(batch_size, "batch_size", 1, 2**31 - 1)
    files = path
    if not isinstance(path, ds.Dataset):
        try:
            files = ds.dataset(path, format="parquet", partitioning="hive")
        except TypeError as error:
            raise TypeError(f"path: must be a path, paths or a Dataset: {error}") from None
    keys = (id, weight, value)
    check_columns(keys, files.schema.names)
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
            columns = (_column(batch, *named) for named in zip(NAMES, keys, strict=True))
            sketch.update(*columns, num_threads=num_threads)
            rows += batch.num_rows
            if callback is not None:
                callback(rows, total)
    return sketch


def _column(batch: Any, name: str, key: str | None) -> Any:
    """Return a column of a batch as an array; strings as their ids."""
    if key is None:
        return None
    column, given = decoded(batch.column(key), pa), batch.schema.field(key).type
    if column.null_count:
        raise ValueError(f"{name}: column {key!r} has {column.null_count} nulls")
    if name == "id" and _is_text(column.type):
        encoded = column.dictionary_encode()  # equal strings are hashed once
        return hash_ids(encoded.dictionary)[np.asarray(encoded.indices)]
    fits = pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
    if name == "id":
        if fits:
            return ids_of(column, f"id: column {key!r}")
        raise TypeError(f"id: column {key!r} must hold integers or strings, got {given}")
    if fits or pa.types.is_floating(column.type):
        return host(column, name)
    raise TypeError(f"{name}: column {key!r} must hold numbers, got {given}")


def _is_text(type: Any) -> bool:
    names = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    fixed = pa.types.is_fixed_size_binary(type) and not pa.types.is_decimal(type)
    # Views are younger than the oldest Arrow that we take.
    return fixed or any(getattr(pa.types, f"is_{name}", lambda _: False)(type) for name in names)
