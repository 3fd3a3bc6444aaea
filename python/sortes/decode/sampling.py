"""The draw: logits to tokens."""

from __future__ import annotations

import sys
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Unpack,
    overload,
)

import numpy as np

from sortes import _core, _device
from sortes._arrays import memory_of, numbers_of
from sortes._check import UNIT, Count, count, one_of
from sortes._device import is_on_device
from sortes._progress import Progress, at_once, reporter
from sortes._rng import as_stream_and_step
from sortes.decode._call import (
    Asked,
    CallArgs,
    LogitBias,
    Request,
    prepare,
    rows_in,
    streams_of,
    token_target,
)
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

_MODES = ("raw", "processed")
_METHODS = ("auto", "scan")
#: The attributes of modules are looked up once.
_SAMPLE_PLAIN = _core.decode.sampling.sample_plain
_SAMPLE_TENSOR = _core.decode.sampling.sample_tensor

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")


class SampleOutput(NamedTuple, Generic[Array]):
    """Tokens and what is known of them; arrays of the same kind as the logits.

    Attributes
    ----------
    tokens : int64, shape (B,)
        The drawn tokens.
    logprob : float64, shape (B,)
        Their log-probabilities in nats.
    rank : int64, shape (B,)
        How many logits, as given, are at least as large.
    mass : float64, shape (B,)
        Mass of the kept set before it was renormalised, at the final temperature.
    top_ids : int64, shape (B, n)
        The `n` most likely tokens, -1 where fewer are left.
    top_logprobs : float64, shape (B, n)
        Their log-probabilities.
    """

    tokens: Array
    logprob: Array
    rank: Array
    mass: Array
    top_ids: Array
    top_logprobs: Array


class SampleArgs(CallArgs, total=False):
    """The keywords of the draw, but for those that decide what it returns."""

    logprobs_mode: Literal["raw", "processed"]
    method: Literal["auto", "scan"]
    out: Any


class DrawArgs(CallArgs, total=False):
    """The keywords of the draw with given uniforms, but for those that decide what it returns."""

    logprobs_mode: Literal["raw", "processed"]
    out: Any


@overload
def sample(
    logits: torch.Tensor,
    rules: Rules | None = None,
    *,
    logprobs: None = None,
    **arguments: Unpack[SampleArgs],
) -> torch.Tensor: ...
@overload
def sample(
    logits: torch.Tensor,
    rules: Rules | None = None,
    *,
    logprobs: int,
    **arguments: Unpack[SampleArgs],
) -> SampleOutput[torch.Tensor]: ...
@overload
def sample(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: None = None,
    **arguments: Unpack[SampleArgs],
) -> NDArray[np.int64]: ...
@overload
def sample(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: int,
    **arguments: Unpack[SampleArgs],
) -> SampleOutput[NDArray[Any]]: ...
def sample(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    logprobs: Count | None = None,
    logprobs_mode: Literal["raw", "processed"] = "raw",
    method: Literal["auto", "scan"] = "auto",
    rng: Rng = None,
    step: int = 0,
    out: Any = None,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Draw one token per row from the truncated, renormalised softmax of the logits.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        Rows of logits: float32, float16, bfloat16 or float64 (which is read as float32), NumPy or
        Torch, never copied on the CPU. ``-inf`` marks a removed token. CUDA tensors stay on their
        device.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `Rules`).
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to the logits of all rows, before everything.
    mask : bool, shape (B, V) or (V,), or packed uint32 bits, shape (B, ceil(V / 32)), optional
        Allowed tokens.
    rows : array_like of int, shape (B,), optional
        Stream ids of the rows, by default 0, 1, ... A row's token depends only on its logits, its
        parameters, `rng`, its id and `step`: not on the other rows, nor on threads.
    logprobs : int, optional
        Also return log-probabilities, and those of this many most likely tokens.
    logprobs_mode : {"raw", "processed"}, default "raw"
        Log-probabilities of the logits as given, or of the law that was drawn from.
    method : {"auto", "scan"}, default "auto"
        "scan" uses one uniform per row by the map of `draw`; "auto" may be faster and has the same
        law.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each row, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the token in its text.
    out : array or tensor, optional
        Where to write the result; it must not overlap an input. The tokens: int64, shape (B,) or
        (), C-contiguous.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    tokens : int64, shape (B,) or ()
        The drawn tokens; with `logprobs`, a `SampleOutput`.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or no finite logit; or an argument is out of its domain.
        For tensors on another device, which nobody waits for, such a row gives the token -1 and NaN
        instead.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for `logprobs`.

    Notes
    -----
    The token $i$ of the kept set $K$ has probability $e^{l_i / T} / \sum_K e^{l_j / T}$, exactly up
    to float32 rounding of single exponentials (total variation below 1e-6): one 53-bit uniform is
    inverted per draw, where races of float32 noise lose the tail (Zheng et al. 2025). The cost is
    one to three reads of the row; nothing is sorted or written.

    References
    ----------
    Zheng, Chen, Mao, Liu, Zhu and Zhang, "Masked Diffusion Models are Secretly Time-Agnostic Masked
    Models and Exploit Inaccurate Categorical Sampling", ICLR 2025, arXiv:2409.02908.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import sample
    >>> logits = np.array([[0.5, 0.3, 0.2], [-1.0, 1.0, -1.0]], np.float32)
    >>> sample(logits, top_k=1, rng=0)
    array([0, 1])
    """
    one_of(method, "method", _METHODS)
    compiled = as_rules(rules, rule_args)
    plain = logit_bias is None and mask is None and rows is None and logprobs is None
    plain = plain and method is _METHODS[0] and logprobs_mode is _MODES[0]
    if plain and out is None and progress is None:
        tokens = _plain(logits, compiled, rng, step, num_threads)
        if tokens is not None:
            return tokens
    request = (compiled, logit_bias, mask, rows, rng, step)
    known = (logprobs, logprobs_mode)
    return _sample(logits, request, None, method, known, out, num_threads, progress)


@overload
def draw(
    logits: torch.Tensor,
    uniforms: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: None = None,
    **arguments: Unpack[DrawArgs],
) -> torch.Tensor: ...
@overload
def draw(
    logits: torch.Tensor,
    uniforms: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: int,
    **arguments: Unpack[DrawArgs],
) -> SampleOutput[torch.Tensor]: ...
@overload
def draw(
    logits: ArrayLike,
    uniforms: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: None = None,
    **arguments: Unpack[DrawArgs],
) -> NDArray[np.int64]: ...
@overload
def draw(
    logits: ArrayLike,
    uniforms: ArrayLike,
    rules: Rules | None = None,
    *,
    logprobs: int,
    **arguments: Unpack[DrawArgs],
) -> SampleOutput[NDArray[Any]]: ...
def draw(
    logits: ArrayLike,
    uniforms: Annotated[ArrayLike, UNIT],
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    logprobs: Count | None = None,
    logprobs_mode: Literal["raw", "processed"] = "raw",
    rng: Rng = None,
    step: int = 0,
    out: Any = None,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Draw one token per row with the uniforms given: the inverse transform itself.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    uniforms : array_like of float64, shape (B,) or ()
        Numbers in [0, 1). The token is the first one, in id order, with which the running weight
        of the kept set exceeds ``u`` times its total.
    rules, logit_bias, mask, rows, logprobs, logprobs_mode
        As in `sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It matters for XTC alone, which acts on a row or not.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Of XTC.
    out : array or tensor, optional
        Where to write the result; it must not overlap an input. As in `sample`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    tokens : int64, shape (B,) or ()
        The tokens; with `logprobs`, a `SampleOutput`.

    Raises
    ------
    ValueError
        If a uniform is outside [0, 1), and as `sample`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import draw
    >>> logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    >>> [int(draw(logits, u)) for u in (0.0, 0.49, 0.51, 0.81)]
    [0, 0, 1, 2]
    """
    if uniforms is None:
        raise TypeError("uniforms: must hold numbers, got None")
    request = (as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
    known = (logprobs, logprobs_mode)
    return _sample(logits, request, uniforms, "scan", known, out, num_threads, progress)


@cache
def _exchange() -> _core.decode.sampling.Exchange | None:
    """Return how native code looks at tensors and makes them; None if this Torch does not say."""
    capsule = getattr(sys.modules["torch"].Tensor, "__dlpack_c_exchange_api__", None)
    return None if capsule is None else _core.decode.sampling.Exchange.of(capsule)


def _plain(logits: Any, rules: Rules, rng: Rng, step: int, num_threads: int | None) -> Any:
    """Draw in one call of native code; None if the arguments ask for more than most calls'.

    What surrounds a call takes longer than the draw from a short row.
    """
    torch = sys.modules.get("torch")
    if torch is not None and type(logits) is torch.Tensor and not _device.PRETEND:
        exchange = _exchange()
        if exchange is not None and not logits.is_neg():
            drawn_from = as_stream_and_step(rng, step)
            if drawn_from is None:
                return None
            args = (rules._for_host(), drawn_from, num_threads)
            tokens = _SAMPLE_TENSOR(exchange, logits, *args)
            if tokens is not None:
                return tokens
    memory = memory_of(logits)
    drawn_from = None if memory is None else as_stream_and_step(rng, step)
    if memory is None or drawn_from is None:
        return None
    array, bf16, wrap = memory
    tokens = _SAMPLE_PLAIN(array, bf16, rules._for_host(), drawn_from, num_threads)
    return tokens if tokens is None or wrap is None else wrap(tokens)


def _sample(
    logits: Any,
    request: Asked,
    uniforms: Any,
    method: str,
    known: tuple[int | None, str],
    out: Any,
    num_threads: int | None,
    progress: Progress,
) -> Any:
    logprobs, mode = known
    one_of(mode, "logprobs_mode", _MODES)
    top = None if logprobs is None else count(logprobs, "logprobs")
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            asked = Request(*request)
            parts = _torch.sample(logits, asked, uniforms, top, mode == "processed", out)
            return parts[0] if top is None else SampleOutput(*parts)
    if progress is not None and not callable(progress):
        with reporter(progress) as report:
            return _sample(logits, request, uniforms, method, known, out, num_threads, report)

    view, given = prepare(logits, request)
    batch = len(view.array)
    if uniforms is not None:
        numbers = numbers_of(uniforms, "uniforms", rows=batch)
        uniforms = np.ascontiguousarray(np.broadcast_to(numbers, (batch,)))
    tokens = np.empty(batch, np.int64) if out is None else token_target(out, view, given)
    streams = streams_of(request, batch)
    native = _core.decode.sampling
    job = None if num_threads is None and progress is None else (num_threads, progress)
    if top is None:
        native.sample(given, streams, uniforms, method, tokens, job)
        return view.wrap(tokens) if out is None else out
    table = (batch, top)
    each = (np.empty(batch), np.empty(batch, np.int64), np.empty(batch))
    found = (tokens, *each, np.empty(table, np.int64), np.empty(table))
    native.sample_details(given, streams, uniforms, method, mode == "processed", found, job)
    output = SampleOutput(*map(view.wrap, found))
    return output if out is None else output._replace(tokens=out)
