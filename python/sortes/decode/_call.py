"""What every function of the family makes of its arguments before it calls a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sortes._arrays import Rows, rows_of
from sortes._rng import as_key, as_keys, at_step

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
    keys = as_keys(rng, len(view.array)) if isinstance(rng, list | tuple) else as_key(rng)
    return (
        view,
        keys,
        None if rows is None else row_ids(rows, len(view.array)),
        at_step(rng, step),
        None if logit_bias is None else as_bias(logit_bias),
        None if mask is None else as_mask(mask),
    )


def row_ids(rows: Any, n: int) -> NDArray[np.uint32]:
    """Return the stream ids of `n` rows."""
    ids = np.asarray(rows.cpu() if hasattr(rows, "cpu") else rows)
    if ids.dtype.kind not in "iu" and ids.size:
        raise TypeError(f"rows: must be integers, got dtype {ids.dtype}")
    if ids.shape not in ((n,), ()):
        raise ValueError(f"rows: must have shape ({n},), got {ids.shape}")
    if ids.size and not (0 <= int(ids.min()) and int(ids.max()) < 2**32):
        raise ValueError(f"rows: must be in [0, 2**32), got {int(ids.min())} to {int(ids.max())}")
    return np.broadcast_to(ids, (n,)).astype(np.uint32)


def as_bias(logit_bias: Any) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return ids and values of a mapping, or of a pair of sequences."""
    if isinstance(logit_bias, Mapping):
        logit_bias = (list(logit_bias.keys()), list(logit_bias.values()))
    try:
        ids, values = (np.asarray(part) for part in logit_bias)
    except (TypeError, ValueError):
        raise TypeError("logit_bias: must map ids to numbers, or be (ids, values)") from None
    if ids.dtype.kind not in "iu" and ids.size:
        raise TypeError(f"logit_bias: ids must be integers, got dtype {ids.dtype}")
    if ids.ndim != 1 or ids.shape != values.shape:
        raise ValueError(f"logit_bias: got {ids.shape} ids and {values.shape} values")
    if np.isnan(values.astype(np.float64)).any() or np.isposinf(values.astype(np.float64)).any():
        raise ValueError("logit_bias: values must be finite or -inf, got NaN or +inf")
    return ids.astype(np.int64), values.astype(np.float32)


def as_mask(mask: Any) -> NDArray[Any]:
    """Return a mask of booleans or packed bits as a C-contiguous matrix."""
    array = np.asarray(mask.cpu() if hasattr(mask, "cpu") else mask)
    if array.dtype == np.int32:  # how most grammar engines pack their bits
        array = array.view(np.uint32)
    if array.dtype not in (np.bool_, np.uint32):
        raise TypeError(f"mask: must be bool or packed uint32 bits, got dtype {array.dtype}")
    if array.ndim not in (1, 2):
        raise ValueError(f"mask: must have one or two dimensions, got shape {array.shape}")
    return np.ascontiguousarray(array[np.newaxis] if array.ndim == 1 else array)
