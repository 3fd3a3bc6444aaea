"""Sketches of Ray datasets: one for each block, merged as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._optional import require
from sortes.integrations._partitions import check_names, columns_of, shard_of_content
from sortes.select.sketch import check_sketch

if TYPE_CHECKING:
    from sortes.select.sketch import S

require("ray", extra="ray")


def sketch_ray(
    dataset: Any, sketch: S, *, id: str, weight: str | None = None, value: str | None = None
) -> S:
    """Take a Ray dataset in, streaming.

    Parameters
    ----------
    dataset : ray.data.Dataset
        The rows.
    sketch : Sketch
        Takes everything in. Its seed and `k` are those of the blocks' sketches.
    id : str
        The column of ids. Strings are hashed by `hash_ids`.
    weight : str, optional
        The column of weights; ones by default.
    value : str, optional
        The column of values.

    Returns
    -------
    Sketch
        `sketch`. After Ctrl-C it holds the blocks that had arrived.

    Raises
    ------
    TypeError
        If `dataset` is no dataset, `sketch` no sketch, or a name no string.
    ValueError
        As in `Sketch.update`; inside the error of Ray's task, if a block is at fault.

    Notes
    -----
    Blocks are sketched where they are, and only sketches travel: 16 or 24 bytes for each item kept.
    Blocks have no numbers, so that a sketch that is not coordinated names the shard of a
    block by its content; two equal blocks of such a sketch are an error. The sample of a `VarOpt`
    depends on the order in which blocks arrive, which Ray keeps if its
    ``execution_options.preserve_order`` says so; its law does not.

    Examples
    --------
    >>> import ray  # doctest: +SKIP
    >>> from sortes.integrations.ray import sketch_ray  # doctest: +SKIP
    >>> from sortes.select import BottomK
    >>> dataset = ray.data.read_parquet("s3://bucket/events")  # doctest: +SKIP
    >>> sketch_ray(dataset, BottomK(1000, rng=0), id="user", weight="spent")  # doctest: +SKIP
    <BottomK of 1000000 items: 1000 held, k=1000>
    """
    if not hasattr(dataset, "map_batches"):
        raise TypeError(f"dataset: must be a Ray dataset, got {type(dataset).__name__}")
    check_sketch(sketch)
    check_names(id=id, weight=weight, value=value)
    kind, empty = type(sketch), sketch.for_shard(0)

    def task(batch: dict[str, Any]) -> dict[str, Any]:
        columns = columns_of(batch, id, weight, value)
        part = shard_of_content(empty, columns).update(*columns, num_threads=1)
        out = np.empty(1, object)
        out[0] = part.to_bytes()
        return {"sketch": out}

    keys = list(dict.fromkeys(key for key in (id, weight, value) if key is not None))
    blocks = dataset.select_columns(keys).map_batches(
        task, batch_size=None, batch_format="numpy", zero_copy_batch=True
    )
    for row in blocks.iter_rows():
        sketch.merge(kind.from_bytes(row["sketch"]))
    return sketch
