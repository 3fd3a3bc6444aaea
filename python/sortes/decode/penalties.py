"""Penalties: what the tokens so far do to the logits of the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, numbers_of, rows_of
from sortes._check import AT_LEAST_1, COUNT, FINITE, NON_NEGATIVE, POSITIVE, Domain
from sortes._device import is_on_device, to_host
from sortes.decode._call import as_bias, written
from sortes.decode._history import host_history

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class _Parameter(NamedTuple):
    """A penalty: the value at which it is off, and where it must lie."""

    neutral: float
    domain: Domain


_WINDOW, _FACTOR = Domain("[-1, 2**63)", integer=True), Domain("[1, inf)")
_PARAMETERS = {
    "repetition_penalty": _Parameter(1.0, POSITIVE),
    "frequency_penalty": _Parameter(0.0, FINITE),
    "presence_penalty": _Parameter(0.0, FINITE),
    "penalty_last_n": _Parameter(0, _WINDOW),
    "dry_multiplier": _Parameter(0.0, NON_NEGATIVE),
    "dry_base": _Parameter(1.75, _FACTOR),
    "dry_allowed_length": _Parameter(2, AT_LEAST_1),
    "dry_penalty_last_n": _Parameter(0, _WINDOW),
    "no_repeat_ngram_size": _Parameter(0, COUNT),
    "min_new_tokens": _Parameter(0, COUNT),
}

#: Parameters for which -1, as llama.cpp writes it, means the whole history like 0.
_WINDOWS = ("penalty_last_n", "dry_penalty_last_n")


@dataclass(frozen=True)
class Request:
    """The checked arguments of one call.

    Attributes
    ----------
    params : dict
        Penalties that are not neutral: a number, or float64 of shape (B,).
    lists : dict
        The token lists: `logit_bias`, `bad_words`, `breakers`, `eos`.
    input_ids, prompt_lengths, pad_token_id, attention_mask
        The history as the user gave it.
    """

    params: dict[str, float | NDArray[np.float64]]
    lists: _core.decode.penalties.TokenLists
    input_ids: Any
    prompt_lengths: ArrayLike | None
    pad_token_id: int | None
    attention_mask: Any

    def host_history(self, batch: int | None) -> _core.decode.penalties.History:
        """Lay the history out for the kernels."""
        return host_history(
            self.input_ids, batch, self.prompt_lengths, self.pad_token_id, self.attention_mask
        )


def penalize(
    logits: Any,
    input_ids: Any,
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
    logit_bias: Any = None,
    min_new_tokens: ArrayLike = 0,
    eos_token_id: int | Iterable[int] | None = None,
    pad_token_id: int | None = None,
    attention_mask: Any = None,
    out: Any = None,
    num_threads: int | None = None,
) -> Any:
    r"""Penalize the logits of the next token by the tokens so far.

    Parameters
    ----------
    logits : array_like, shape (V,) or (B, V)
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
        The three above look at the last so many tokens. 0 or -1: all of them.
    dry_multiplier : float or array_like, shape (B,)
        What a repetition of `dry_allowed_length` tokens costs. 0 is off, 0.8 is usual.
    dry_base : float or array_like, shape (B,)
        Factor for each further token of the repetition, at least 1.
    dry_allowed_length : int or array_like of int, shape (B,)
        The shortest repetition that costs anything, at least 1.
    dry_penalty_last_n : int or array_like of int, shape (B,)
        DRY looks at the last so many tokens. 0 or -1: all of them.
    dry_sequence_breakers : iterable of int or of sequences of int
        Tokens, or sequences of tokens, across which nothing counts as repeated.
    no_repeat_ngram_size : int or array_like of int, shape (B,)
        Tokens that would complete an n-gram of this size for the second time are banned. 0 is off.
    bad_words_ids : iterable of sequences of int, optional
        Words that are never completed.
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to the logits of these tokens; minus infinity bans.
    min_new_tokens : int or array_like of int, shape (B,)
        The tokens of `eos_token_id` are banned until this many tokens follow the prompt.
    eos_token_id : int or iterable of int, optional
        The tokens that end a sequence.
    pad_token_id : int, optional
        Leading entries of this value in a row of `input_ids` are padding.
    attention_mask : array_like, in the form of `input_ids`, optional
        Entries that are zero mark padding.
    out : array_like, shape of `logits`, optional
        Where to write; may be `logits` itself. Of the same kind, dtype and device.
    num_threads : int, optional
        Threads to use; by default what `sortes.get_num_threads` says.

    Returns
    -------
    array_like
        The penalized logits: same kind, dtype, device and shape as `logits`; `out` if given.

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

    DRY: for every earlier position :math:`i`, :math:`L_i` is the length of the longest common
    suffix of :math:`t_1 \dots t_i` and :math:`t_1 \dots t_n`, counted back to the nearest breaker.
    The token :math:`t_{i+1}`, unless it is a breaker, is charged for its largest :math:`L \ge a`:
    :math:`l \leftarrow l - m b^{L-a}`, the exponent at most :math:`\lfloor 88.72 / \ln b \rfloor`.

    A row costs one copy and time linear in its history. CUDA tensors stay where they are and
    nothing waits for the device, except that DRY, n-grams and bad words of several tokens bring
    `input_ids`, never logits, to the host. There the result may be a view of a wider tensor.

    The repetition penalty is that of CTRL [1]_.

    References
    ----------
    .. [1] Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable
       Generation", arXiv:1909.05858.

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
    batch = len(logits) if np.ndim(logits) == 2 else None
    params = _active(values, 1 if batch is None else batch)
    eos = _ids([] if eos_token_id is None else eos_token_id, "eos_token_id")
    if "min_new_tokens" in params and not eos:
        raise ValueError("eos_token_id: must be given with min_new_tokens")
    request = Request(
        params,
        {
            "logit_bias": _bias(logit_bias),
            "bad_words": [_ids(word, "bad_words_ids") for word in bad_words_ids or ()],
            "breakers": [_ids(b, "dry_sequence_breakers") for b in dry_sequence_breakers],
            "eos": eos,
        },
        input_ids,
        prompt_lengths,
        pad_token_id,
        attention_mask,
    )
    if is_on_device(logits):
        from sortes.decode import _torch_penalties

        return _torch_penalties.penalize(logits, request, out)

    rows = rows_of(logits)
    source = rows.array
    target = np.empty_like(source) if out is None else written(out, rows, strided=True)
    in_place = target.ctypes.data == source.ctypes.data
    _core.decode.penalties.penalize(
        None if in_place else source,
        target,
        request.host_history(batch),
        request.params,
        request.lists,
        bf16=rows.bf16,
        num_threads=num_threads,
    )
    return rows.wrap(target) if out is None else out


def _active(values: Mapping[str, ArrayLike], rows: int) -> dict[str, float | NDArray[np.float64]]:
    """Check the parameters; return those that are not neutral."""
    active: dict[str, float | NDArray[np.float64]] = {}
    for name, value in values.items():
        neutral, domain = _PARAMETERS[name]
        if type(value) in (int, float) and value == neutral:
            continue
        checked = numbers_of(value, name, domain, rows=rows)
        if name in _WINDOWS:
            checked = np.maximum(checked, 0.0)
        if np.any(checked != neutral):
            active[name] = checked if checked.ndim else float(checked)
    return active


def _ids(values: Any, name: str) -> list[int]:
    """Token ids from one id or several."""
    ids = to_host(values)
    return list(map(int, integers_of([ids] if np.ndim(ids) == 0 else ids, name)))


def _bias(logit_bias: Any) -> list[tuple[int, float]]:
    ids, values = as_bias({} if logit_bias is None else logit_bias)
    return list(zip(ids.tolist(), values.tolist(), strict=True))
