"""What every function of the family makes of its arguments before it calls a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sortes._arrays import Rows, host, integers_of, rows_of, target
from sortes._check import WORD, items
from sortes._device import to_host
from sortes._rng import as_streams, keys_and_step

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Rows, key or keys, stream ids, step, bias, mask: the arguments as the kernels take them.
Call: TypeAlias = (
    "tuple[Rows, int | NDArray[np.uint64], NDArray[np.uint32] | None, int, "
    "tuple[NDArray[np.int64], NDArray[np.float32]] | None, NDArray[Any] | None]"
)


def prepare(logits: Any, rng: Any, rows: Any, step: int, logit_bias: Any, mask: Any) -> Call:
    """Turn the arguments of a call into those of a kernel."""
    view = rows_of(logits)
    ids = None if rows is None else row_ids(rows, len(view.array))
    bias = None if logit_bias is None else as_bias(logit_bias)
    allowed = None if mask is None else as_mask(mask)
    keys, step = keys_and_step(as_streams(rng, len(view.array), step))
    return view, keys, ids, step, bias, allowed


def written(out: Any, view: Rows, *, strided: bool = False) -> NDArray[Any]:
    """View `out`, which must be like the logits and may be these, as kernels write rows."""
    x = view.array[0] if view.one_dim else view.array
    return target(
        *(out, x.shape, x.dtype),
        kind=view.kind,
        bf16=view.bf16,
        apart={"logits": x},
        same=x,
        strided=strided,
    ).reshape(view.array.shape)


def row_ids(rows: Any, n: int) -> NDArray[np.uint32]:
    """Return the stream ids of `n` rows."""
    return integers_of(to_host(rows), "rows", WORD, n=n).astype(np.uint32)


def as_bias(logit_bias: Any) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return ids and values of a mapping, or of a pair of sequences."""
    if isinstance(logit_bias, Mapping):
        logit_bias = (list(logit_bias.keys()), list(logit_bias.values()))
    try:
        ids, values = logit_bias
    except (TypeError, ValueError):
        raise TypeError("logit_bias: must map ids to numbers, or be (ids, values)") from None
    ids = integers_of(to_host(ids), "logit_bias")
    values = host(to_host(values), "logit_bias", "iuf")
    if ids.shape != values.shape:
        raise ValueError(f"logit_bias: got {ids.shape} ids and {values.shape} values")
    with np.errstate(over="ignore"):
        bias = values.astype(np.float32)
    items(bias < np.inf, values, "logit_bias", "is NaN, or not below infinity in float32")
    return ids, bias


def as_mask(mask: Any) -> NDArray[Any]:
    """Return a mask of booleans or packed bits as a C-contiguous matrix."""
    array = host(to_host(mask), "mask", None)
    if array.dtype == np.int32:  # how most grammar engines pack their bits
        array = array.view(np.uint32)
    if array.dtype not in (np.bool_, np.uint32):
        raise TypeError(f"mask: must be bool or packed uint32 bits, got dtype {array.dtype}")
    if array.ndim not in (1, 2):
        raise ValueError(f"mask: must have one or two dimensions, got shape {array.shape}")
    return np.ascontiguousarray(array[np.newaxis] if array.ndim == 1 else array)
