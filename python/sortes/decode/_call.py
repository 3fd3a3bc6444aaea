"""What every function of the family makes of its arguments before it calls a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from sortes._arrays import Rows, host, integers_of, rows_of
from sortes._check import WORD, items
from sortes._device import to_host
from sortes._out import target
from sortes._progress import Progress
from sortes._rng import Rng, as_streams
from sortes.decode.rules import RuleArgs, Rules

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from sortes import _core

#: What is added to logits: ids with numbers, or ids and numbers.
LogitBias: TypeAlias = Mapping[int, float] | tuple[ArrayLike, ArrayLike]


class RowArgs(RuleArgs, total=False):
    """The keywords of functions that decide row by row and draw nothing."""

    logit_bias: LogitBias | None
    mask: ArrayLike | None
    num_threads: int | None
    progress: Progress


class CallArgs(RowArgs, total=False):
    """The keywords of functions in which chance has a part."""

    rows: ArrayLike | None
    rng: Rng
    step: int


class Request(NamedTuple):
    """What a call is given beside the logits, as the user wrote it but for the rules."""

    rules: Rules
    logit_bias: LogitBias | None = None
    mask: ArrayLike | None = None
    rows: ArrayLike | None = None
    rng: Rng = 0
    step: int = 0


#: The same without names, which a call of two microseconds does not wait for.
Asked: TypeAlias = tuple[Rules, LogitBias | None, ArrayLike | None, ArrayLike | None, Rng, int]


class Given(NamedTuple):
    """The same as the kernels take it, with the logits."""

    logits: NDArray[Any]
    bf16: bool
    rules: _core.decode.sampling.Rules
    rows: NDArray[np.uint32] | None
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None
    mask: NDArray[Any] | None


def prepare(logits: Any, request: Asked) -> tuple[Rows, Given]:
    """Turn what a call is given into what kernels take, but for the randomness.

    That comes last, by `streams_of`: a refused call advances no generator.
    """
    rules, logit_bias, mask, rows, _, _ = request
    view = rows_of(logits)
    x = view.array
    ids = None if rows is None else row_ids(rows, len(x))
    bias = None if logit_bias is None else as_bias(logit_bias)
    allowed = None if mask is None else as_mask(mask, x.shape)
    given = (x, view.bf16, rules._for_host(), ids, bias, allowed)
    return view, tuple.__new__(Given, given)  # without the checks of `Given(...)`


def streams_of(request: Asked, batch: int) -> _core.Stream | list[_core.Stream]:
    """Return what the rows draw from: one stream for all, or one for each."""
    _, _, _, _, rng, step = request
    return as_streams(rng, batch, step)


def rows_in(logits: torch.Tensor) -> int:
    """Return how many rows there are on a device."""
    from sortes.decode._torch import checked

    logits = checked(logits)
    return len(logits) if logits.ndim == 2 else 1


def written(
    out: Any, view: Rows, *, mask: NDArray[Any] | None = None, strided: bool = False
) -> NDArray[Any]:
    """View `out`, which must be like the logits and may be these, as kernels write rows."""
    x = view.array[0] if view.one_dim else view.array
    return target(
        *(out, x.shape, x.dtype),
        kind=view.kind,
        bf16=view.bf16,
        apart={"logits": x} if mask is None else {"logits": x, "mask": mask},
        same=x,
        strided=strided,
    ).reshape(view.array.shape)


def token_target(out: Any, view: Rows, given: Given) -> NDArray[Any]:
    """View `out` as the vector of tokens that kernels write."""
    batch = len(given.logits)
    apart = {"logits": given.logits}
    if given.mask is not None:
        apart["mask"] = given.mask
    shape = () if view.one_dim else (batch,)
    return target(out, shape, np.int64, kind=view.kind, apart=apart).reshape(batch)


def row_ids(rows: Any, n: int) -> NDArray[np.uint32]:
    """Return the stream ids of `n` rows."""
    return integers_of(to_host(rows), "rows", WORD, n=n).astype(np.uint32)


def as_bias(logit_bias: Any) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return ids and values as they are added to float32."""
    ids, values = bias_of(logit_bias)
    with np.errstate(over="ignore"):
        return ids, values.astype(np.float32)


def bias_of(logit_bias: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return ids and values of a mapping, or of a pair of sequences, in their own precision."""
    if isinstance(logit_bias, Mapping):
        logit_bias = (list(logit_bias.keys()), list(logit_bias.values()))
    try:
        ids, values = logit_bias
    except Exception:  # whatever a foreign `__iter__` raises
        raise TypeError("logit_bias: must map ids to numbers, or be (ids, values)") from None
    ids = integers_of(to_host(ids), "logit_bias")
    values = host(to_host(values), "logit_bias", "iuf")
    if ids.shape != values.shape:
        raise ValueError(f"logit_bias: got {ids.shape} ids and {values.shape} values")
    with np.errstate(over="ignore"):
        fine = values.astype(np.float32) < np.inf
    items(fine, values, "logit_bias", "is NaN, or not below infinity in float32")
    return ids, values


def as_mask(mask: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a mask of booleans or packed bits for logits of this shape, C-contiguous."""
    array = host(to_host(mask), "mask", None)
    if array.dtype == np.int32:  # how most grammar engines pack their bits
        array = array.view(np.uint32)
    if array.dtype not in (np.bool_, np.uint32):
        raise TypeError(f"mask: must be bool or packed uint32 bits, got dtype {array.dtype}")
    if array.ndim not in (1, 2):
        raise ValueError(f"mask: must have one or two dimensions, got shape {array.shape}")
    array = np.ascontiguousarray(array[np.newaxis] if array.ndim == 1 else array)
    check_mask(array.shape, array.dtype == np.bool_, shape)
    return array


def check_mask(given: tuple[int, ...], is_bool: bool, shape: tuple[int, ...]) -> None:
    """Check that a mask of two dimensions has a row for each of the logits', or one for all."""
    batch, vocabulary = shape
    width = vocabulary if is_bool else -(-vocabulary // 32)
    if given not in ((1, width), (batch, width)):
        raise ValueError(f"mask: must have shape ({batch}, {width}), got {given}")
