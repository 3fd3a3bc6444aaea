"""The draw: logits to tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of, target
from sortes._check import UNIT, count, one_of
from sortes._device import is_on_device
from sortes.decode._call import prepare
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng


class SampleOutput(NamedTuple):
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

    tokens: Any
    logprob: Any
    rank: Any
    mass: Any
    top_ids: Any
    top_logprobs: Any


def sample(
    logits: Any,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    rng: Rng = None,
    rows: ArrayLike | None = None,
    step: int = 0,
    logprobs: int | None = None,
    logprobs_mode: Literal["raw", "processed"] = "raw",
    method: Literal["auto", "scan"] = "auto",
    out: Any = None,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Draw one token per row from the truncated, renormalised softmax of the logits.

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
    rng : int, SeedSequence, Generator, Stream, list of Stream, optional
        The randomness: by default fresh entropy. The same int gives the same tokens; a list has one
        stream for each row.
    rows : array_like of int, shape (B,), optional
        Stream ids of the rows, by default 0, 1, ... A row's token depends only on its logits, its
        parameters, `rng`, its id and `step`: not on the other rows, nor on threads.
    step : int, default 0
        The step of generation: another step, another draw.
    logprobs : int, optional
        Also return log-probabilities, and those of this many most likely tokens.
    logprobs_mode : {"raw", "processed"}, default "raw"
        Log-probabilities of the logits as given, or of the law that was drawn from.
    method : {"auto", "scan"}, default "auto"
        "scan" uses one uniform per row by the map of `draw`; "auto" may be faster and has the same
        law.
    out : int64 array, shape (B,), optional
        Where to write the tokens.
    num_threads : int, optional
        How many threads to use at most.
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

    Notes
    -----
    The token ``i`` of the kept set ``K`` has probability ``exp(l_i / T) / sum_K exp(l_j / T)``,
    exactly up to float32 rounding of single exponentials (total variation below 1e-6): one 53-bit
    uniform is inverted per draw, where races of float32 noise lose the tail (Zheng et al. 2024,
    arXiv 2409.02908). The cost is one to three reads of the row; nothing is sorted or written.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[0.5, 0.3, 0.2], [-1.0, 1.0, -1.0]], np.float32)
    >>> sample(logits, top_k=1, rng=0)
    array([0, 1])
    """
    compiled = as_rules(rules, rule_args)
    given = (rng, rows, step, logit_bias, mask)
    return _sample(logits, compiled, None, given, logprobs, logprobs_mode, method, out, num_threads)


def draw(
    logits: Any,
    uniforms: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    rng: Rng = 0,
    rows: ArrayLike | None = None,
    step: int = 0,
    logprobs: int | None = None,
    logprobs_mode: Literal["raw", "processed"] = "raw",
    out: Any = None,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Draw one token per row with the coins given: the inverse transform itself.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    uniforms : array_like of float64, shape (B,) or ()
        Numbers in [0, 1). The token is the first one, in id order, with which the running weight
        of the kept set exceeds ``u`` times its total.
    rules, logit_bias, mask, rng, rows, step, logprobs, logprobs_mode, out, num_threads
        As in `sample`; `rng` matters for XTC's coin alone.
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
    >>> logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    >>> [int(draw(logits, u)) for u in (0.0, 0.49, 0.51, 0.81)]
    [0, 0, 1, 2]
    """
    compiled = as_rules(rules, rule_args)
    given = (rng, rows, step, logit_bias, mask)
    return _sample(
        logits, compiled, uniforms, given, logprobs, logprobs_mode, "scan", out, num_threads
    )


def _sample(
    logits: Any,
    rules: Rules,
    uniforms: Any,
    given: tuple[Any, Any, int, Any, Any],
    logprobs: int | None,
    logprobs_mode: str,
    method: str,
    out: Any,
    num_threads: int | None,
) -> Any:
    details = -1 if logprobs is None else count(logprobs, "logprobs")
    one_of(logprobs_mode, "logprobs_mode", ("raw", "processed"))
    one_of(method, "method", ("auto", "scan"))
    if is_on_device(logits):
        from sortes.decode import _torch

        found = _torch.sample(
            logits, rules, uniforms, given, details, logprobs_mode == "processed", out
        )
        return found[0] if logprobs is None else SampleOutput(*found)

    view, keys, ids, step, bias, allowed = prepare(logits, *given)
    batch = len(view.array)
    if uniforms is not None:
        coins = numbers_of(uniforms, "uniforms", UNIT, rows=batch)
        uniforms = np.ascontiguousarray(np.broadcast_to(coins, (batch,)))
    tokens = None
    if out is not None:
        shape = () if view.one_dim else (batch,)
        apart = {"logits": view.array}
        tokens = target(out, shape, np.int64, kind=view.kind, apart=apart).reshape(batch)
    found = _core.decode.sampling.sample(
        view.array,
        rules.native,
        keys,
        ids,
        step,
        bf16=view.bf16,
        uniforms=uniforms,
        bias=bias,
        mask=allowed,
        method=method,
        details=details,
        processed=logprobs_mode == "processed",
        out=tokens,
        num_threads=num_threads,
    )
    if logprobs is None:
        return view.wrap(found) if out is None else out
    output = SampleOutput(*map(view.wrap, found))
    return output if out is None else output._replace(tokens=out)
