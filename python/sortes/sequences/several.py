"""Several drafts for one position, and what drafts can be worth."""

from __future__ import annotations

import math
from typing import (
    TYPE_CHECKING,
    Annotated,
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
from sortes._arrays import host, numbers_of
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    NON_NEGATIVE,
    PROBABILITY,
    AtLeastOne,
    Count,
    flag,
    one_of,
)
from sortes._device import is_on_device
from sortes._progress import Progress, job_of
from sortes._rng import Rng
from sortes.decode._call import CallArgs, LogitBias, Request, streams_of
from sortes.decode.rules import RuleArgs, Rules, as_rules
from sortes.sequences._distinct_drafts import most_lost
from sortes.sequences._drafts import given_of, on_the_cpu, refuse_chance, stack_of, tokens_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")
Scheme = Literal["rrs", "kseq", "optimal"]

#: How far from one the sum of probabilities may be.
_SUM = 1e-6


class VerifiedDraft(NamedTuple, Generic[Array]):
    """Which draft is taken, and the token; arrays of the kind of the target's logits.

    Attributes
    ----------
    accepted : int64, shape (...)
        Which draft is taken, -1 if none is.
    token : int64, shape (...)
        That draft, or what is drawn in its place.
    """

    accepted: Array
    token: Array


@overload
def verify_multi(
    drafts: ArrayLike,
    target_logits: torch.Tensor,
    draft_logits: ArrayLike | torch.Tensor,
    rules: Rules | None = None,
    *,
    method: Scheme = "rrs",
    replacement: bool | None = None,
    **arguments: Unpack[CallArgs],
) -> VerifiedDraft[torch.Tensor]: ...
@overload
def verify_multi(
    drafts: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike | torch.Tensor,
    rules: Rules | None = None,
    *,
    method: Scheme = "rrs",
    replacement: bool | None = None,
    **arguments: Unpack[CallArgs],
) -> VerifiedDraft[NDArray[np.int64]]: ...
def verify_multi(
    drafts: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike | torch.Tensor,
    rules: Rules | None = None,
    *,
    method: Scheme = "rrs",
    replacement: bool | None = None,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Verify several drafts for one position: the token has the law of the target.

    Parameters
    ----------
    drafts : array_like of int, shape (..., k)
        The drafts of each text, in the order in which they were drawn.
    target_logits : array_like or tensor, shape (..., V)
        The target's logits at the position: float32, float16, bfloat16 or float64 (which is read as
        float32), NumPy or Torch, on the CPU.
    draft_logits : array_like or tensor, shape (..., V)
        The logits from which the drafts were drawn.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They act
        on the target and on the draft: the drafts must have been drawn by the same.
    method : {"rrs", "kseq", "optimal"}, default "rrs"
        How to verify; see the notes.
    replacement : bool, optional
        Whether the drafts are independent draws, or without it distinct ones, each drawn from what
        those before it left. By default False for "rrs"; the other methods need independent ones.
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to all logits, before everything.
    mask : bool, shape (..., V) or (V,), or packed uint32 bits, optional
        Allowed tokens, of the target and of the draft.
    rows : array_like of int, shape (...), optional
        Stream ids of the texts, by default 0, 1, ...
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each text, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the token in its text.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    VerifiedDraft
        Which draft is taken, and the token.

    Raises
    ------
    ValueError
        If a draft is outside the vocabulary, has no probability in the draft's law, or comes twice
        though drawn without replacement; a row holds NaN or ``+inf``, or no finite logit; shapes do
        not fit; a rule acts at random; or an argument is out of its domain.
    TypeError
        If an argument has the wrong type, or logits are on a device.

    Notes
    -----
    With the laws $p$ of the target and $q$ of the draft, after the rules:

    - ``"rrs"``, recursive rejection: each draft $x$ in its turn is taken with probability
      $\min(1, r(x) / q(x))$, where $r$ begins as $p$; if it falls, $r$ becomes $\max(r - q, 0)$,
      normalised, and without replacement $q$ loses $x$. A draw from $r$ ends it. One pass over both
      rows for each draft that falls.
    - ``"kseq"``: each draft is taken with probability $\min(1, p(x) / (\rho q(x)))$, where $\rho$
      solves $1 - (1 - \beta)^k = \rho \beta$ with $\beta = \sum_x \min(q(x), p(x) / \rho)$; what
      falls is replaced by a draw from $\max(p - \rho q, 0)$. Acceptance $1 - (1 - \beta)^k$.
    - ``"optimal"``: the acceptance of `optimal_acceptance`, which no scheme exceeds for independent
      drafts. With tokens in the order of $p / q$ each gets a part of $[0, 1]$ of length $q(x)$,
      each draft a uniform number on the part of its token, and the draft with the largest number is
      selected; the parts are such that the selected token has the law
      $m = q \min(C, \max(c, p / q))$, and it is then taken with probability $\min(1, p / m)$. A
      sort of what the draft keeps: microseconds for hundreds of tokens, milliseconds for whole
      vocabularies.

    Drafts without replacement and ``"rrs"`` accept about as often as the optimum of independent
    drafts, and cost less. The drafts must be independent of the numbers used here; ``rng`` may be
    the one by which they were drawn.

    References
    ----------
    Jeon, Gagrani, Goel, Park, Lee and Lott, "Recursive Speculative Decoding: Accelerating LLM
    Inference via Sampling Without Replacement", arXiv:2402.14160.

    Sun, Suresh, Ro, Beirami, Jain and Yu, "SpecTr: Fast Speculative Decoding via Optimal
    Transport", NeurIPS 2023, arXiv:2310.15141.

    Khisti, Ebrahimi, Dbouk, Behboodi, Memisevic and Louizos, "Multi-Draft Speculative Sampling:
    Canonical Decomposition and Theoretical Limits", ICLR 2025, arXiv:2410.18234.

    Hu, Zheng, Viswanathan, Chen, Rossi, Wu, Manocha and Huang, "Towards Optimal Multi-draft
    Speculative Decoding", ICLR 2025, arXiv:2502.18779.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import verify_multi
    >>> target, draft = np.log([0.5, 0.3, 0.2]), np.log([0.2, 0.3, 0.5])
    >>> verify_multi([1, 0], target, draft, rng=0)
    VerifiedDraft(accepted=array(0), token=array(1))
    """
    one_of(method, "method", get_args(Scheme))
    chosen = as_rules(rules, rule_args)
    refuse_chance(chosen, "verify_multi")
    if replacement is None:
        replacement = method != "rrs"
    elif not flag(replacement, "replacement") and method != "rrs":
        raise ValueError(f"replacement: must be True with method={method!r}, got False")
    for logits, name in ((target_logits, "target_logits"), (draft_logits, "draft_logits")):
        if is_on_device(logits):
            raise TypeError(on_the_cpu(name, "several drafts"))
    request = Request(chosen, logit_bias, mask, rows, rng, step)
    target = stack_of(target_logits, "target_logits", 0)
    draft = stack_of(draft_logits, "draft_logits", 0)
    tokens = tokens_of(drafts, "drafts")
    lead, k = tokens.shape[:-1], tokens.shape[-1]
    shapes = {"drafts": lead, "target_logits": target.shape, "draft_logits": draft.shape}
    for name, shape in shapes.items():
        others = {other for which, other in shapes.items() if which != name}
        if shape not in others and (len(others) == 1 or name == "drafts"):
            reason = f"as many as the others, got {shape}"
            raise ValueError(f"{name}: must be of {others.pop()} texts, {reason}")
    if k == 0:
        raise ValueError(f"drafts: must have one column at least, got shape {tokens.shape}")
    texts = math.prod(lead)
    given = given_of(target, texts, request)
    streams = streams_of(request, texts)
    out = np.empty((texts, 2), np.int64)
    beside = (draft.rows.array, draft.rows.bf16)
    asked = (list(lead), tokens.reshape(texts, k), beside, method, replacement)
    with job_of(num_threads, progress, "texts") as job:
        _core.sequences.verify.verify_multi(given, streams, *asked, out, job)
    parts = (part.copy().reshape(lead) for part in out.T)
    return VerifiedDraft(*(target.rows.wrap(part) for part in parts))


def acceptance_rate(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return how likely one drafted token is to stand.

    Parameters
    ----------
    p : array_like, shape (..., V)
        Probabilities of the target.
    q : array_like, shape (..., V)
        Probabilities of the draft.

    Returns
    -------
    ndarray of float64, shape (...)
        $\sum_x \min(p(x), q(x))$: one less the total variation.

    Raises
    ------
    ValueError
        If something is no law, or the shapes differ.
    TypeError
        If something holds no numbers.

    Examples
    --------
    >>> from sortes.sequences import acceptance_rate
    >>> acceptance_rate([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]).round(3)
    np.float64(0.7)
    """
    p, q = _two_laws(p, q)
    return np.asarray(np.minimum(p, q).sum(-1))[()]


def optimal_acceptance(
    p: ArrayLike, q: ArrayLike, k: AtLeastOne, *, replacement: bool = True
) -> NDArray[np.float64]:
    r"""Return how likely one of several drafts for a position can be to stand, at best.

    Parameters
    ----------
    p : array_like, shape (..., V)
        Probabilities of the target.
    q : array_like, shape (..., V)
        Probabilities of the draft.
    k : int
        How many drafts there are.
    replacement : bool, default True
        Whether they are independent draws, or each from what those before it left: as many as have
        a probability, if these are fewer.

    Returns
    -------
    ndarray of float64, shape (...)
        $1 + \min_H (p(H) - Q(H))$, where $Q(H)$ is the chance that all drafts are in $H$.

    Raises
    ------
    ValueError
        If something is no law, the shapes differ, or `k` is out of range.
    TypeError
        If something holds no numbers.

    Notes
    -----
    The least is found among the beginnings of the tokens in the order of $p / q$. For independent
    drafts $Q(H) = q(H)^k$, and ``verify_multi(..., method="optimal")`` reaches the value; for two
    it is that of Khisti et al. A sort. Without replacement $Q$ is an integral over the time of a
    race, by a sum of some hundred terms, to about 1e-12; it is found for blocks of tokens, and
    within those that may hold the least. A fifth of a second for 50,000 tokens and three drafts.

    References
    ----------
    Khisti, Ebrahimi, Dbouk, Behboodi, Memisevic and Louizos, "Multi-Draft Speculative Sampling:
    Canonical Decomposition and Theoretical Limits", ICLR 2025, arXiv:2410.18234.

    Hu, Zheng, Viswanathan, Chen, Rossi, Wu, Manocha and Huang, "Towards Optimal Multi-draft
    Speculative Decoding", ICLR 2025, arXiv:2502.18779.

    Examples
    --------
    >>> from sortes.sequences import optimal_acceptance
    >>> optimal_acceptance([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2).round(3)
    np.float64(0.86)
    """
    p, q = _two_laws(p, q)
    k = AT_LEAST_1.check(k, "k")
    flag(replacement, "replacement")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(q > 0, p / q, np.inf)
    order = np.argsort(ratio, -1, kind="stable")
    p, q = np.take_along_axis(p, order, -1), np.take_along_axis(q, order, -1)
    heads = p.cumsum(-1)
    if replacement:
        lost = (np.minimum(q.cumsum(-1), 1.0) ** k - heads).max(-1)
    else:
        width = q.shape[-1]
        pairs = zip(heads.reshape(-1, width), q.reshape(-1, width), strict=True)
        lost = np.array([most_lost(*pair, k) for pair in pairs]).reshape(q.shape[:-1])
    return np.asarray(1.0 - np.maximum(lost, 0.0))[()]


def expected_accepted_tokens(
    alpha: Annotated[ArrayLike, PROBABILITY], gamma: Count
) -> NDArray[np.float64]:
    r"""Return how many tokens a call of the target gives on average, the one behind included.

    Parameters
    ----------
    alpha : float or array_like, shape (B,)
        How likely each drafted token is to stand, if those before it do; in [0, 1].
    gamma : int
        How many tokens are drafted.

    Returns
    -------
    ndarray of float64, shape () or (B,)
        $(1 - \alpha^{\gamma + 1}) / (1 - \alpha)$.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.

    References
    ----------
    Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", ICML
    2023, arXiv:2211.17192.

    Examples
    --------
    >>> from sortes.sequences import expected_accepted_tokens
    >>> expected_accepted_tokens([0.0, 0.7, 1.0], 3).round(3)
    array([1.   , 2.533, 4.   ])
    """
    rate = numbers_of(alpha, "alpha", PROBABILITY)
    gamma = COUNT.check(gamma, "gamma")
    below = np.minimum(rate, 1 - 1e-9)
    with np.errstate(divide="ignore", under="ignore"):
        known = -np.expm1((gamma + 1.0) * np.log1p(below - 1)) / (1 - below)
    return np.asarray(np.where(rate > below, gamma + 1.0, known))[()]


def _two_laws(p: Any, q: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two laws over the same tokens."""
    laws = []
    for given, name in ((p, "p"), (q, "q")):
        law = np.asarray(host(given, name, "iuf"), np.float64)
        if not law.ndim or not law.shape[-1]:
            raise ValueError(f"{name}: must have shape (..., V), got {law.shape}")
        NON_NEGATIVE.check_items(law, name)
        sums = law.sum(-1)
        if not np.all(np.abs(sums - 1) <= _SUM):
            worst = sums.flat[np.abs(sums - 1).argmax()]
            raise ValueError(f"{name}: must sum to one, got {worst:.9g}")
        laws.append(law)
    if laws[0].shape != laws[1].shape:
        raise ValueError(f"q: must have the shape of p, {laws[0].shape}, got {laws[1].shape}")
    return laws[0], laws[1]
