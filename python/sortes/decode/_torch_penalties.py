"""The penalties in Torch operations, for logits that must stay on their device.

Nothing here waits for the device, except to bring token ids (never logits) to the host for the
penalties that depend on the order of the tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch

from sortes import _core
from sortes._arrays import host
from sortes._check import shown
from sortes._device import to_device
from sortes.decode._history import History, prompt_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

Params: TypeAlias = "dict[str, float | NDArray[np.float64]]"
Lists: TypeAlias = "_core.decode.penalties.TokenLists"


#: The penalties for which it does not matter in which order the tokens came.
_COUNTED = {"repetition_penalty", "frequency_penalty", "presence_penalty", "min_new_tokens"}


class _Tokens(NamedTuple):
    """The history on the device.

    Attributes
    ----------
    ids : int64 tensor, shape (B, T)
        The tokens; entries that are padding or outside [0, V) hold V.
    real : bool tensor, shape (B, T)
        What is no padding.
    generated : bool tensor, shape (B, T)
        What is real and follows the prompt.
    """

    ids: torch.Tensor
    real: torch.Tensor
    generated: torch.Tensor


def penalize(
    logits: torch.Tensor, history: History, params: Params, lists: Lists, out: Any
) -> torch.Tensor:
    """Penalize rows of logits where they are; see `sortes.decode.penalize`.

    Parameters
    ----------
    logits : tensor, shape (V,) or (B, V)
        Logits on any device.
    history
        The tokens so far.
    params
        The penalties that are not neutral: a number, or float64 of shape (B,).
    lists
        The token lists: `logit_bias`, `bad_words`, `breakers`, `eos`.
    out : tensor, optional
        Where to write.

    Returns
    -------
    tensor
        `out`, or a new tensor.
    """
    if logits.ndim not in (1, 2):
        raise ValueError(f"logits: must have shape (V,) or (B, V), got {tuple(logits.shape)}")
    if out is not None:
        _check_out(out, logits)
    matrix = logits.detach()
    matrix = matrix if logits.ndim == 2 else matrix[None]
    vocabulary = matrix.shape[1]
    _check_ids(lists, vocabulary)
    # One column more, where everything lands that is no token.
    x = torch.nn.functional.pad(matrix, (0, 1))
    _add_bias(x, lists["logit_bias"])
    if _COUNTED & params.keys():
        tokens = _tokens(matrix, history)
        _repetition(x, tokens, params)
        _frequency_presence(x, tokens, params)
        _minimum_length(x, tokens, params, lists)
    _subtract(x, history, params, lists)
    words = [word[0] for word in lists["bad_words"] if len(word) == 1]
    if words:
        x.index_fill_(1, to_device(np.array(words), x.device), -torch.inf)

    result = x[:, :vocabulary] if logits.ndim == 2 else x[0, :vocabulary]
    return result if out is None else out.copy_(result)


def _repetition(x: torch.Tensor, tokens: _Tokens, params: Params) -> None:
    if "repetition_penalty" not in params:
        return
    r = _column(params["repetition_penalty"], x.device)
    index = _inside_window(tokens.ids, tokens.real, params, x)
    _change(x, index, lambda v: torch.where(v < 0, v * r, v / r))


def _frequency_presence(x: torch.Tensor, tokens: _Tokens, params: Params) -> None:
    if not {"frequency_penalty", "presence_penalty"} & set(params):
        return
    frequency = _column(params.get("frequency_penalty", 0.0), x.device)
    presence = _column(params.get("presence_penalty", 0.0), x.device)
    index = _inside_window(tokens.ids, tokens.generated, params, x)
    counts = torch.zeros(x.shape, dtype=torch.int32, device=x.device)
    counts.scatter_add_(1, index, torch.ones_like(index, dtype=torch.int32))
    count = counts.gather(1, index)
    _change(x, index, lambda v: v - (frequency * count.to(v.dtype) + presence))


def _minimum_length(x: torch.Tensor, tokens: _Tokens, params: Params, lists: Lists) -> None:
    if "min_new_tokens" not in params:
        return
    least = _column(params["min_new_tokens"], x.device)
    early = tokens.generated.sum(1, keepdim=True) < least
    eos = to_device(np.array(lists["eos"]), x.device)
    x.index_copy_(1, eos, x.index_select(1, eos).masked_fill(early, -torch.inf))


def _inside_window(
    ids: torch.Tensor, counted: torch.Tensor, params: Params, x: torch.Tensor
) -> torch.Tensor:
    """`ids`, with the spare column in place of what is not counted or too old."""
    if "penalty_last_n" in params:
        n = _column(params["penalty_last_n"], x.device)
        age = counted.flip(1).cumsum(1).flip(1)
        limit = n if isinstance(n, float) else torch.where(n == 0, torch.inf, n)
        counted = counted & (age <= limit)
    return ids.masked_fill(~counted, x.shape[1] - 1)


def _change(
    x: torch.Tensor, index: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Replace the logits at `index` by `change` of them; what occurs twice changes once."""
    wide = torch.float32 if x.device.type == "mps" else torch.float64  # MPS has no float64
    x.scatter_(1, index, change(x.gather(1, index).to(wide)).to(x.dtype))


def _add_bias(x: torch.Tensor, bias: Any) -> None:
    if not bias:
        return
    index = to_device(np.array([token for token, _ in bias]), x.device).expand(len(x), -1)
    values = to_device(np.array([value for _, value in bias]), x.device)
    _change(x, index, lambda v: v + values)


def _subtract(x: torch.Tensor, history: History, params: Params, lists: Lists) -> None:
    """Subtract on the device what is found on the host, from the order of the tokens."""
    ordered = {"dry_multiplier", "no_repeat_ngram_size"} & params.keys()
    bad_words = [word for word in lists["bad_words"] if len(word) > 1]
    if not ordered and not bad_words:
        return
    rows, columns, amounts = _core.decode.penalties.subtractions(
        x.shape[1] - 1,
        history.on_host(),
        {name: value for name, value in params.items() if name != "min_new_tokens"},
        {**lists, "bad_words": bad_words},
        None,
    )
    # DRY may charge what is then banned: one change for each logit.
    cells, inverse = np.unique(rows * x.shape[1] + columns, return_inverse=True)
    amount = to_device(np.bincount(inverse, amounts, len(cells)), x.device)
    _change(x.view(1, -1), to_device(cells, x.device)[None], lambda v: v - amount)


def _tokens(x: torch.Tensor, history: History) -> _Tokens:
    """Bring the history to the device of `x`, without its padding."""
    ids = history.input_ids
    if not isinstance(ids, torch.Tensor) or ids.device != x.device:
        return _tokens_from_host(x, history)
    if history.batch is None and ids.ndim == 1:
        ids = ids[None]
    if ids.ndim != 2 or len(ids) != len(x):
        expected = "(T,)" if history.batch is None else f"({len(x)}, T)"
        raise ValueError(f"input_ids: must have shape {expected}, got {tuple(ids.shape)}")
    if ids.dtype.is_floating_point or ids.dtype.is_complex:
        raise TypeError(f"input_ids: must hold integers, got dtype {ids.dtype}")
    ids = ids.long()
    lengths = np.full(len(x), ids.shape[1], np.int64)
    prompts = prompt_column(history.prompt_lengths, len(x), lengths)
    real = torch.ones_like(ids, dtype=torch.bool)
    if history.attention_mask is not None:
        mask = history.attention_mask
        if not isinstance(mask, torch.Tensor):
            mask = to_device(host(mask, "attention_mask"), x.device)
        elif mask.device != x.device:
            mask = mask.to(x.device, non_blocking=True)
        mask = mask if mask.ndim == 2 else mask[None]
        if mask.shape != ids.shape:
            raise ValueError("attention_mask: its rows must be as long as those of input_ids")
        real = mask != 0
    if history.pad_token_id is not None:
        real = real & ((ids != history.pad_token_id).cumsum(1) > 0)
    return _sorted_out(ids, real, prompts, x)


def _tokens_from_host(x: torch.Tensor, history: History) -> _Tokens:
    told = history.on_host()
    lengths = np.diff(told["offsets"])[:, None]
    real = np.arange(lengths.max(initial=0)) < lengths
    ids = np.zeros(real.shape, np.int64)
    ids[real] = told["input_ids"]
    there = to_device(ids, x.device), to_device(real, x.device)
    return _sorted_out(*there, told["prompt_lengths"], x)


def _sorted_out(
    ids: torch.Tensor, real: torch.Tensor, prompts: NDArray[np.int64], x: torch.Tensor
) -> _Tokens:
    position = torch.arange(ids.shape[1], device=x.device)
    generated = real & (position >= to_device(prompts, x.device)[:, None])
    inside = real & (ids >= 0) & (ids < x.shape[1])
    return _Tokens(ids.masked_fill(~inside, x.shape[1]), real, generated)


def _column(value: float | NDArray[np.float64], device: torch.device) -> Any:
    """Put a parameter beside the rows: a number, or a column."""
    return value if isinstance(value, float) else to_device(value, device)[:, None]


def _check_out(out: Any, logits: torch.Tensor) -> None:
    """Check that a result of the shape of `logits` can be written to `out`."""
    if not isinstance(out, torch.Tensor) or out.device != logits.device:
        got = f"a tensor on {out.device}" if isinstance(out, torch.Tensor) else shown(out)
        raise TypeError(f"out: must be a tensor on {logits.device}, got {got}")
    if out.dtype != logits.dtype:
        raise TypeError(f"out: dtype must be {logits.dtype}, got {out.dtype}")
    if out.shape != logits.shape:
        raise ValueError(f"out: must have shape {tuple(logits.shape)}, got {tuple(out.shape)}")
    reach = 0  # from the first element to the last of the dimensions looked at
    for stride, size in sorted(zip(out.stride(), out.shape, strict=True)):
        if size > 1 and stride <= reach:
            raise ValueError("out: its elements must not overlap")
        reach += stride * (size - 1)


def _check_ids(lists: Lists, vocabulary: int) -> None:
    """Check, as the kernels do, that all ids that would be changed exist."""
    named = {
        "logit_bias": [token for token, _ in lists["logit_bias"]],
        "bad_words_ids": [token for word in lists["bad_words"] for token in word],
        "eos_token_id": lists["eos"],
    }
    for name, ids in named.items():
        for token in ids:
            if not 0 <= token < vocabulary:
                raise ValueError(f"{name}: token id {token} is outside [0, {vocabulary})")
