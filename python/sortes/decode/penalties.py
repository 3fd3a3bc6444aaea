"""Penalties: what the tokens so far do to the logits of the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    TypedDict,
    Unpack,
    get_args,
    get_type_hints,
    overload,
)

import numpy as np
from numpy.typing import ArrayLike

from sortes import _core
from sortes._arrays import host, numbers_of, rows_of
from sortes._check import AT_LEAST_1, COUNT, FINITE, NON_NEGATIVE, POSITIVE, Domain, shown
from sortes._device import is_on_device
from sortes._progress import Progress, at_once, job_of
from sortes.decode._call import LogitBias, bias_of, rows_in, written
from sortes.decode._history import History, ids_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_WINDOW: Final = Domain("[-1, 2**63)", integer=True)
_INTEGER: Final = Domain("[-2**63, 2**63)", integer=True)


class PenaltyArgs(TypedDict, total=False):
    """The keywords of `penalize`."""

    prompt_lengths: ArrayLike | None
    repetition_penalty: Annotated[ArrayLike, POSITIVE]
    frequency_penalty: Annotated[ArrayLike, FINITE]
    presence_penalty: Annotated[ArrayLike, FINITE]
    penalty_last_n: Annotated[ArrayLike, _WINDOW]
    dry_multiplier: Annotated[ArrayLike, NON_NEGATIVE]
    dry_base: Annotated[ArrayLike, Domain("[1, inf)")]
    dry_allowed_length: Annotated[ArrayLike, AT_LEAST_1]
    dry_penalty_last_n: Annotated[ArrayLike, _WINDOW]
    dry_sequence_breakers: Iterable[int | Sequence[int]]
    no_repeat_ngram_size: Annotated[ArrayLike, COUNT]
    bad_words_ids: Iterable[Sequence[int]] | None
    logit_bias: LogitBias | None
    min_new_tokens: Annotated[ArrayLike, COUNT]
    eos_token_id: ArrayLike | None
    pad_token_id: Annotated[int, _INTEGER] | None
    attention_mask: ArrayLike | None
    out: Any
    num_threads: int | None
    progress: Progress


#: The value at which each parameter is off.
_NEUTRAL: Final = _core.decode.penalties.NEUTRAL
#: Where each parameter must lie.
_DOMAINS: Final[Mapping[str, Domain]] = {
    name: get_args(hint)[1]
    for name, hint in get_type_hints(PenaltyArgs, include_extras=True).items()
    if name in _NEUTRAL
}


@overload
def penalize(
    logits: torch.Tensor,
    input_ids: ArrayLike | Sequence[ArrayLike],
    **arguments: Unpack[PenaltyArgs],
) -> torch.Tensor: ...
@overload
def penalize(
    logits: ArrayLike,
    input_ids: ArrayLike | Sequence[ArrayLike],
    **arguments: Unpack[PenaltyArgs],
) -> NDArray[Any]: ...
def penalize(
    logits: ArrayLike,
    input_ids: ArrayLike | Sequence[ArrayLike],
    *,
    prompt_lengths: ArrayLike | None = None,
    repetition_penalty: ArrayLike = 1.0,
    frequency_penalty: ArrayLike = 0.0,
    presence_penalty: ArrayLike = 0.0,
    penalty_last_n: ArrayLike = 0,
    dry_multiplier: ArrayLike = 0.0,
    dry_base: ArrayLike = 1.75,
    dry_allowed_length: ArrayLike = 2,
    dry_penalty_last_n: ArrayLike = 0,
    dry_sequence_breakers: Iterable[int | Sequence[int]] = (),
    no_repeat_ngram_size: ArrayLike = 0,
    bad_words_ids: Iterable[Sequence[int]] | None = None,
    logit_bias: LogitBias | None = None,
    min_new_tokens: ArrayLike = 0,
    eos_token_id: ArrayLike | None = None,
    pad_token_id: Annotated[int, _INTEGER] | None = None,
    attention_mask: ArrayLike | None = None,
    out: Any = None,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    r"""Penalize the logits of the next token by the tokens so far.

    Parameters
    ----------
    logits : array_like or tensor, shape (V,) or (B, V)
        NumPy (float32, float16, float64, bfloat16 of ``ml_dtypes``) or Torch, on any device.
        They are not scanned: NaN and infinities pass through, and `sample` reports them.
    input_ids : array_like of int, shape (T,) or (B, T), or B sequences
        The tokens so far, prompt first. Ids outside [0, V) are ignored.
    prompt_lengths : int or array_like of int, shape (B,), optional
        How many leading entries of each row, padding included, are the prompt. Frequency, presence
        and `min_new_tokens` count what follows them; without it, everything.
    repetition_penalty : float or array_like, shape (B,)
        Applied once to each distinct token: ``l * r`` if ``l < 0``, else ``l / r``. 1 is off.
    frequency_penalty, presence_penalty : float or array_like, shape (B,)
        Subtracted for each occurrence, and once for any. 0 is off; negative values reward.
    penalty_last_n : int or array_like of int, shape (B,)
        The three above look at the last tokens, this many. 0 or -1: all of them. In llama.cpp 0
        is off, and so it is in `sortes.integrations.llama_cpp`.
    dry_multiplier : float or array_like, shape (B,)
        What a repetition of `dry_allowed_length` tokens costs. 0 is off, 0.8 is usual.
    dry_base : float or array_like, shape (B,)
        Factor for each further token of the repetition, at least 1.
    dry_allowed_length : int or array_like of int, shape (B,)
        The shortest repetition that costs anything, at least 1.
    dry_penalty_last_n : int or array_like of int, shape (B,)
        DRY looks at the last tokens, this many. 0 or -1: all of them; as `penalty_last_n`, 0 is
        off in llama.cpp.
    dry_sequence_breakers : iterable of int or of sequences of int
        Tokens, or sequences of tokens, across which nothing counts as repeated.
    no_repeat_ngram_size : int or array_like of int, shape (B,)
        Tokens that would complete an n-gram of this size for the second time are banned. 0 is off.
    bad_words_ids : iterable of sequences of int, optional
        Words that are never completed.
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to the logits of these tokens; minus infinity bans. It adds to what `sample` is given
        as its own ``logit_bias``: give each bias to one of the two.
    min_new_tokens : int or array_like of int, shape (B,)
        The tokens of `eos_token_id` are banned until this many tokens follow the prompt.
    eos_token_id : int or array_like of int, optional
        The tokens that end a sequence.
    pad_token_id : int, optional
        Leading entries of this value in a row of `input_ids` are padding.
    attention_mask : array_like, in the form of `input_ids`, optional
        Entries that are zero mark padding.
    out : array or tensor, optional
        Where to write the result; it must not overlap an input. The one exception: it may be
        `logits` itself. Of their kind, shape, dtype and device; rows may lie any distance apart.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.

    Returns
    -------
    logits : same kind, dtype, device and shape as given
        The penalized logits; `out` if given.

    Raises
    ------
    ValueError
        If a parameter is outside its domain, shapes do not match, or `logit_bias`,
        `bad_words_ids` or `eos_token_id` name an id outside [0, V).
    TypeError
        If ids or integer parameters are no integers.

    Notes
    -----
    The order is bias, repetition, frequency and presence, DRY, n-grams, bad words, minimum length;
    each step is computed in float64 and rounded to the dtype of the logits.

    DRY: for every earlier position $i$, $L_i$ is the length of the longest common suffix of
    $t_1 \dots t_i$ and $t_1 \dots t_n$, counted back to the nearest breaker. The token $t_{i+1}$,
    unless it is a breaker, is charged for its largest $L \ge a$: $l \leftarrow l - m b^{L-a}$, the
    exponent at most $\lfloor 88.72 / \ln b \rfloor$.

    A row costs one copy and time linear in its history. CUDA tensors stay where they are and
    nothing waits for the device, except that DRY, n-grams and bad words of several tokens bring
    `input_ids`, never logits, to the host. There the result may be a view of a wider tensor.

    The repetition penalty is that of Keskar et al. 2019.

    References
    ----------
    Keskar, McCann, Varshney, Xiong and Socher, "CTRL: A Conditional Transformer Language Model for
    Controllable Generation", 2019, arXiv:1909.05858.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([3.0, -1.0, 0.5, 2.0], np.float32)
    >>> penalize(logits, [0, 1, 0], repetition_penalty=2.0)
    array([ 1.5, -2. ,  0.5,  2. ], dtype=float32)
    >>> penalize(logits, [0, 1, 0], frequency_penalty=0.5, prompt_lengths=1)
    array([ 2.5, -1.5,  0.5,  2. ], dtype=float32)
    """
    values = {
        "repetition_penalty": repetition_penalty,
        "frequency_penalty": frequency_penalty,
        "presence_penalty": presence_penalty,
        "penalty_last_n": penalty_last_n,
        "dry_multiplier": dry_multiplier,
        "dry_base": dry_base,
        "dry_allowed_length": dry_allowed_length,
        "dry_penalty_last_n": dry_penalty_last_n,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "min_new_tokens": min_new_tokens,
    }
    x: Any = logits
    rows = None if is_on_device(x) else rows_of(x)
    matrix, one_dim = (x, x.ndim == 1) if rows is None else (rows.array, rows.one_dim)
    batch = None if one_dim else len(matrix)
    params = _active(values, 1 if batch is None else batch)
    lists: _core.decode.penalties.TokenLists = {
        "logit_bias": _bias(logit_bias),
        "bad_words": _sequences(() if bad_words_ids is None else bad_words_ids, "bad_words_ids"),
        "breakers": _sequences(dry_sequence_breakers, "dry_sequence_breakers"),
        "eos": [] if eos_token_id is None else ids_of(eos_token_id, "eos_token_id").tolist(),
    }
    if "min_new_tokens" in params and not lists["eos"]:
        raise ValueError("eos_token_id: must be given with min_new_tokens")
    pad = None if pad_token_id is None else _INTEGER.check(pad_token_id, "pad_token_id")
    history = History(input_ids, batch, prompt_lengths, pad, attention_mask)
    if rows is None:
        from sortes.decode import _torch_penalties

        with at_once(progress, rows_in(x)):
            return _torch_penalties.penalize(x, history, params, lists, out)

    fresh = out is None
    target = np.empty(matrix.shape, matrix.dtype) if fresh else written(out, rows, strided=True)
    with job_of(num_threads, progress, "penalize") as job:
        _core.decode.penalties.penalize(
            None if target.ctypes.data == matrix.ctypes.data else matrix,
            target,
            rows.bf16,
            history.on_host(),
            params,
            lists,
            job,
        )
    return rows.wrap(target) if fresh else out


def _active(values: Mapping[str, ArrayLike], rows: int) -> dict[str, float | NDArray[np.float64]]:
    """Check the parameters; return those that are not neutral."""
    active: dict[str, float | NDArray[np.float64]] = {}
    for name, value in values.items():
        neutral, domain = _NEUTRAL[name], _DOMAINS[name]
        if type(value) in (int, float) and value == neutral:
            continue
        checked = numbers_of(value, name, domain, rows=rows)
        if domain is _WINDOW:  # -1, as llama.cpp writes it, means the whole history like 0
            checked = np.maximum(checked, 0.0)
        if np.any(checked != neutral):
            active[name] = checked if checked.ndim else float(checked)
    return active


def _sequences(values: Any, name: str) -> list[list[int]]:
    """Sequences of token ids, of which some may be single ids."""
    if isinstance(values, np.ndarray):
        values = host(values, name, None)
    try:
        each = list(values)
    except TypeError:
        raise TypeError(f"{name}: must hold sequences of ids, got {shown(values)}") from None
    return [ids_of(ids, name).tolist() for ids in each]


def _bias(logit_bias: Any) -> list[tuple[int, float]]:
    """Biases by token, each token once."""
    if logit_bias is None:
        return []
    ids, values = bias_of(logit_bias)
    tokens, at = np.unique(ids, return_inverse=True)
    return list(zip(tokens.tolist(), np.bincount(at, values).tolist(), strict=True))
