"""The tokens so far, in the forms that users hold them, as rows laid end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sortes._arrays import host, integers_of
from sortes._device import to_host

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes import _core


class History(NamedTuple):
    """The tokens so far, as a user gives them.

    Attributes
    ----------
    input_ids
        Integers of shape (B, T), or B sequences of any lengths; shape (T,) if `batch` is None.
        A Torch tensor may live on any device.
    batch
        The number of rows expected; None stands for a single row without a batch axis.
    prompt_lengths
        How many leading entries of each row, padding included, are the prompt.
    pad_token_id
        Leading entries of this value are padding.
    attention_mask
        Zero marks padding, wherever it is. In the form of `input_ids`.

    Examples
    --------
    >>> history = History([[0, 0, 5], [7]], 2, pad_token_id=0)
    >>> history.on_host()["offsets"]
    array([0, 1, 2])
    """

    input_ids: Any
    batch: int | None
    prompt_lengths: ArrayLike | None = None
    pad_token_id: int | None = None
    attention_mask: Any = None

    def on_host(self) -> _core.decode.penalties.History:
        """Lay the rows end to end, without their padding.

        Returns
        -------
        dict
            What the kernels call a history; its `prompt_lengths` do not count padding.

        Raises
        ------
        TypeError
            If ids are no integers.
        ValueError
            If shapes do not match, or a prompt is longer than its row.
        """
        return _end_to_end(*self)


def _end_to_end(
    input_ids: Any,
    batch: int | None,
    prompt_lengths: ArrayLike | None,
    pad_token_id: int | None,
    attention_mask: Any,
) -> _core.decode.penalties.History:
    flat, lengths = _flat(input_ids, batch, "input_ids")
    ends = np.cumsum(lengths)
    offsets = np.concatenate(([0], ends))
    prompts = prompt_column(prompt_lengths, len(lengths), lengths)

    real = None
    if attention_mask is not None:
        mask, mask_lengths = _flat(attention_mask, batch, "attention_mask")
        if not np.array_equal(lengths, mask_lengths):
            raise ValueError("attention_mask: its rows must be as long as those of input_ids")
        real = mask != 0
    if pad_token_id is not None:
        seen = np.cumsum(flat != pad_token_id)
        before = np.concatenate(([0], seen))[offsets[:-1]]
        behind_padding = seen > np.repeat(before, lengths)
        real = behind_padding if real is None else real & behind_padding
    if real is not None:
        kept = np.concatenate(([0], np.cumsum(real)))
        prompts = kept[offsets[:-1] + prompts] - kept[offsets[:-1]]
        flat, offsets = flat[real], kept[offsets]
    return {"input_ids": flat, "offsets": offsets, "prompt_lengths": prompts}


def ids_of(values: Any, name: str) -> NDArray[np.int64]:
    """Return token ids from one id or several, on the host.

    Examples
    --------
    >>> ids_of(3, "eos_token_id")
    array([3])
    """
    array = host(to_host(values), name, None)
    return integers_of(array if array.ndim else array.reshape(1), name)


def prompt_column(
    prompt_lengths: ArrayLike | None, rows: int, lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Check `prompt_lengths` and give each row its own.

    Parameters
    ----------
    prompt_lengths
        None for no prompt, an integer for all rows, or one for each.
    rows
        The number of rows.
    lengths
        The length of each row, at least that of its prompt.

    Returns
    -------
    ndarray of int64, shape (rows,)
        The length of each prompt.
    """
    if prompt_lengths is None:
        return np.zeros(rows, np.int64)
    prompts = integers_of(to_host(prompt_lengths), "prompt_lengths", n=rows)
    wrong = np.flatnonzero((prompts < 0) | (prompts > lengths))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"prompt_lengths: item {row} must be in [0, {lengths[row]}], got {prompts[row]}"
        )
    return prompts


def _flat(values: Any, batch: int | None, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All values in one line, and the length of each row."""
    if batch is not None and isinstance(values, list | tuple):
        rows = [_integers(row, name) for row in values]
        for r, row in enumerate(rows):
            if row.ndim != 1:
                raise ValueError(f"{name}: row {r} must have shape (T,), got {row.shape}")
        flat = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        lengths = np.array([row.size for row in rows], np.int64)
    else:
        array = _integers(values, name)
        if array.ndim != (1 if batch is None else 2):
            expected = "(T,)" if batch is None else f"({batch}, T)"
            raise ValueError(f"{name}: must have shape {expected}, got {array.shape}")
        flat = np.ascontiguousarray(array).reshape(-1)
        lengths = np.full(1 if batch is None else len(array), array.shape[-1], np.int64)
    if batch is not None and len(lengths) != batch:
        raise ValueError(f"{name}: must hold {batch} rows, got {len(lengths)}")
    return flat, lengths


def _integers(values: Any, name: str) -> NDArray[np.int64]:
    """Return `values`, of any shape, as int64 on the host; booleans count as integers."""
    array = host(to_host(values), name)
    if array.size and array.dtype.kind == "f":
        raise TypeError(f"{name}: must hold integers, got {array.dtype}")
    return array.astype(np.int64, copy=False)
