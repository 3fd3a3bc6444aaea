"""Whether drafted tokens stand, and what follows them."""

from __future__ import annotations

import math
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

import numpy as np

from sortes import _core
from sortes._check import one_of
from sortes._device import is_on_device
from sortes._progress import Progress, at_once, job_of
from sortes._rng import Rng
from sortes.decode._call import CallArgs, LogitBias, Request, prepare, streams_of
from sortes.decode.rules import RuleArgs, Rules, as_rules
from sortes.sequences._drafts import (
    given_of,
    lengths_of,
    on_the_cpu,
    refuse_chance,
    shapes_fit,
    stack_of,
    tokens_of,
)

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")
Method = Literal["draw", "race", "token", "block"]


class VerifiedTokens(NamedTuple, Generic[Array]):
    """How far drafts stand, and the texts they become; arrays of the kind of the target's logits.

    Attributes
    ----------
    num_accepted : int64, shape (...)
        How many drafted tokens stand.
    tokens : int64, shape (..., g + 1)
        These tokens, the one that follows them, and -1 behind it.
    """

    num_accepted: Array
    tokens: Array


@overload
def verify_tokens(
    draft_tokens: ArrayLike,
    target_logits: torch.Tensor,
    draft_logits: ArrayLike | torch.Tensor | None = None,
    rules: Rules | None = None,
    *,
    method: Method = "draw",
    lengths: ArrayLike | None = None,
    **arguments: Unpack[CallArgs],
) -> VerifiedTokens[torch.Tensor]: ...
@overload
def verify_tokens(
    draft_tokens: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike | torch.Tensor | None = None,
    rules: Rules | None = None,
    *,
    method: Method = "draw",
    lengths: ArrayLike | None = None,
    **arguments: Unpack[CallArgs],
) -> VerifiedTokens[NDArray[np.int64]]: ...
def verify_tokens(
    draft_tokens: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike | torch.Tensor | None = None,
    rules: Rules | None = None,
    *,
    method: Method = "draw",
    lengths: ArrayLike | None = None,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Verify drafts of several tokens: the texts have the law of the target, whatever was drafted.

    Parameters
    ----------
    draft_tokens : array_like of int, shape (..., g)
        The drafted tokens of each text. Without any, a token is drawn from the target.
    target_logits : array_like or tensor, shape (..., g + 1, V)
        The target's logits at the places of the drafted tokens, and behind the last one: float32,
        float16, bfloat16 or float64 (which is read as float32), NumPy or Torch.
    draft_logits : array_like or tensor, shape (..., g, V), optional
        The logits from which the draft was drawn, for the methods "token" and "block" alone.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They act
        on the target and on the draft: the draft must have been drawn by the same. Numbers that
        they hold row by row are one for each text.
    method : {"draw", "race", "token", "block"}, default "draw"
        How to verify; see the notes.
    lengths : array_like of int, shape (...), optional
        How many tokens of each draft count, by default all. What stands behind them is not read.
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to all logits, before everything.
    mask : bool, shape (..., g + 1, V) or (V,), or packed uint32 bits, optional
        Allowed tokens, of the target and of the draft.
    rows : array_like of int, shape (...), optional
        Stream ids of the texts, by default 0, 1, ...
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each text, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the first drafted token in its text, and go on behind the last token returned.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    VerifiedTokens
        How many drafted tokens stand, and the texts with the token that follows.

    Raises
    ------
    ValueError
        If a drafted token is outside the vocabulary, or has no probability in the draft's law; a
        row that is read holds NaN or ``+inf``, or no finite logit; shapes do not fit; a rule acts
        at random and the method needs the draft's law; or an argument is out of its domain.
    TypeError
        If an argument has the wrong type, or logits are on a device and the method is not "draw".

    Notes
    -----
    With the laws $p_i$ of the target and $q_i$ of the draft at place $i$, after the rules:

    - ``"draw"``: the token of place $i$ is ``sample(target_logits[i], rules, rng=rng, rows=rows,
      step=step + i)``, bit for bit, as long as that is the drafted one. The text is that of plain
      decoding, token by token, and no law of the draft is needed: for n-grams, prompt look-up,
      greedy drafts. A token that was fixed beforehand stands with probability $p_i(x)$, the
      largest there is.
    - ``"race"``: the token is the first of a race, $\arg\min_v E_v / p_i(v)$, whose exponentials
      belong to the seed, the text, the step and the token. A draft that was drawn by `race_sample`
      with the same ``rng``, ``rows`` and steps stands with probability at least
      $(1 - d) / (1 + d)$ at a total variation $d$, and the text is that of `race_sample` from the
      target alone: it does not depend on the draft.
    - ``"token"``: token by token, with probability $\min(1, p_i(x) / q_i(x))$; the first that falls
      is replaced by a draw from $\max(p_i - q_i, 0)$, normalised. $1 - d$ at each place.
    - ``"block"``: all at once, never fewer in expectation. With $\pi_0 = 1$ and
      $\pi_i = \min(1, \pi_{i-1} p_i(x_i) / q_i(x_i))$ the largest $i$ with $u_i < h_i$ stand, where
      $h_i = r_i / (r_i + 1 - \pi_i)$ with the mass $r_i$ of $\max(\pi_i p_{i+1} - q_{i+1}, 0)$,
      $h_g = \pi_g$; the next token comes from that excess.

    The last two read the draft's law, so that the drafted tokens must be independent draws from it;
    ``rng`` may be the one by which they were drawn, as the numbers differ. A rule that acts at
    random (XTC) is refused there, since the coin of the draft is not known.

    Only rows up to the first token that falls are read (``"block"`` reads all of the draft's). For
    tensors on a device there is ``"draw"``, which stays there.

    References
    ----------
    Daliri, Musco and Suresh, "Coupling without Communication and Drafter-Invariant Speculative
    Decoding", arXiv:2408.07978.

    Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", ICML
    2023, arXiv:2211.17192.

    Sun, Mendlovic, Leviathan, Aharoni, Ro, Beirami and Suresh, "Block Verification Accelerates
    Speculative Decoding", ICLR 2025, arXiv:2403.10444.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import verify_tokens
    >>> target = np.log([[0.1, 0.9], [0.9, 0.1], [0.5, 0.5]])
    >>> verify_tokens([1, 1], target, rng=0)
    VerifiedTokens(num_accepted=array(1), tokens=array([ 1,  0, -1]))
    >>> draft = np.log([[0.5, 0.5], [0.5, 0.5]])
    >>> verify_tokens([1, 0], target, draft, method="block", rng=0).num_accepted
    array(2)
    """
    one_of(method, "method", get_args(Method))
    chosen = as_rules(rules, rule_args)
    reads_draft = method in ("token", "block")
    if reads_draft and draft_logits is None:
        raise ValueError(f"draft_logits: must be given with method={method!r}")
    if not reads_draft and draft_logits is not None:
        raise ValueError(f"draft_logits: must not be given with method={method!r}")
    if reads_draft:
        refuse_chance(chosen, f"method={method!r}")
    request = Request(chosen, logit_bias, mask, rows, rng, step)
    if is_on_device(target_logits):
        from sortes.sequences import _torch_verify

        if method != "draw":
            raise TypeError(on_the_cpu("target_logits", f"method={method!r}"))
        with at_once(progress, math.prod(target_logits.shape[:-2])):
            return VerifiedTokens(
                *_torch_verify.by_drawing(draft_tokens, target_logits, lengths, request)
            )

    target, tokens = (
        stack_of(target_logits, "target_logits", 1),
        tokens_of(draft_tokens, "draft_tokens"),
    )
    shapes_fit(tokens.shape, target.shape)
    lead, most = tokens.shape[:-1], tokens.shape[-1]
    texts = math.prod(lead)
    known = None if lengths is None else lengths_of(lengths, lead, most)
    draft = None
    if draft_logits is not None:
        if is_on_device(draft_logits):
            raise TypeError(on_the_cpu("draft_logits", f"method={method!r}"))
        draft = stack_of(draft_logits, "draft_logits", 1)
        if draft.shape != tokens.shape:
            wanted = (*tokens.shape, target.rows.array.shape[1])
            got = (*draft.shape, draft.rows.array.shape[1])
            raise ValueError(f"draft_logits: must have shape {wanted}, got {got}")
    given = given_of(target, texts, request)
    streams = streams_of(request, texts)
    out = np.empty((texts, most + 2), np.int64)
    beside = None if draft is None else (draft.rows.array, draft.rows.bf16)
    asked = (list(lead), tokens.reshape(texts, most), known, beside, method)
    with job_of(num_threads, progress, "texts") as job:
        _core.sequences.verify.verify_tokens(given, streams, *asked, out, job)
    parts = (out[:, 0].copy().reshape(lead), out[:, 1:].copy().reshape(*lead, most + 1))
    return VerifiedTokens(*map(target.rows.wrap, parts))


@overload
def race_sample(
    logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> torch.Tensor: ...
@overload
def race_sample(
    logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> NDArray[np.int64]: ...
def race_sample(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Draw one token per row by a race that other laws can share.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sortes.decode.sample`; on the CPU.
    rules, logit_bias, mask, rows
        As in `sortes.decode.sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each row, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the token in its text.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    tokens : int64, shape (B,) or ()
        The drawn tokens.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or no finite logit; or an argument is out of its domain.
    TypeError
        If an argument has the wrong type, or the logits are on another device.

    Notes
    -----
    The law is that of `sortes.decode.sample`. The token is $\arg\min_v E_v / p_v$ with independent
    standard exponentials, each a function of the seed, the row's stream id, the step and the
    token's id, exact where the race is decided. Two laws $p$ and $q$ with the same of these draw
    the same token with probability

    $$\sum_x \left(\sum_y \max\left(\frac{p_y}{p_x}, \frac{q_y}{q_x}\right)\right)^{-1}
    \ge \frac{1 - d}{1 + d},$$

    where $d$ is their total variation. A model that drafts by it is verified by
    ``verify_tokens(..., method="race")``. An exponential of each kept token: some times the cost of
    `sortes.decode.sample` where all are kept, and about the same where rules keep a hundred.

    References
    ----------
    Daliri, Musco and Suresh, "Coupling without Communication and Drafter-Invariant Speculative
    Decoding", arXiv:2408.07978.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import race_sample
    >>> race_sample(np.log([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]), rng=0)
    array([0, 2])
    """
    request = Request(as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
    if is_on_device(logits):
        raise TypeError(on_the_cpu("logits", "races"))
    view, given = prepare(logits, request)
    tokens = np.empty(len(view.array), np.int64)
    streams = streams_of(request, len(tokens))
    with job_of(num_threads, progress, "rows") as job:
        _core.sequences.verify.race_sample(given, streams, tokens, job)
    return view.wrap(tokens)
