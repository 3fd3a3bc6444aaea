"""Adaptive-p: sampling that prefers tokens whose probability is near a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of, rows_of
from sortes._check import FINITE, POSITIVE, Domain
from sortes._device import is_on_device
from sortes._progress import job_of
from sortes.decode._stateful import StatefulSampler, beside
from sortes.decode.rules import RuleArgs
from sortes.decode.sampling import sample
from sortes.decode.truncation import distribution

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

_TARGET: Final = Domain("(-inf, 1]")
_DECAY: Final = Domain("[0, 0.99]")
#: The arguments of the draw; the others shape the law before.
_DRAW: Final[tuple[str, ...]] = ("rows", "rng", "step", "num_threads", "progress")


class AdaptivePState(NamedTuple):
    """What adaptive-p remembers of the probabilities drawn.

    Attributes
    ----------
    weighted_sum : ndarray or tensor of float64, shape (B,)
        Their exponentially weighted sum.
    total_weight : ndarray or tensor of float64, shape (B,)
        The sum of the weights.
    """

    weighted_sum: NDArray[np.float64] | torch.Tensor
    total_weight: NDArray[np.float64] | torch.Tensor


class AdaptiveP(StatefulSampler[AdaptivePState]):
    r"""Adaptive-p: reshape the law around a target probability that corrects itself.

    Parameters
    ----------
    target : float or array_like, shape (B,)
        The probability that drawn tokens shall have, near enough, on average; at most 1. A
        negative one is off.
    decay : float or array_like, shape (B,)
        The weight of the past, in [0, 0.99].

    Attributes
    ----------
    state : AdaptivePState or None
        The running average; None before the first batch. May be set.

    Raises
    ------
    ValueError
        If a parameter is outside its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    With $w$ the weighted sum and $W$ the total weight of the probabilities drawn so far, the target
    of a step is $a = \min(1, \max(0, 2 t - w / W))$. With $d_i = |p_i - a| / 0.3$ the token is
    drawn from the softmax of

    $$ l_i = 5 - 10 d_i^2 / (1 + d_i), $$

    what was removed before stays removed. Then $w \leftarrow p + \lambda w$ and
    $W \leftarrow 1 + \lambda W$, with the probability $p$ that the token had before, and the decay
    $\lambda$. At the start $w = t W$ and $W = 1 / (1 - \lambda)$.

    The rules of a call act first, averaged over XTC. The softmax gives each of many unlikely tokens
    a little: put a rule such as `min_p` in front. It is a sampler of llama.cpp. A step costs three
    passes over the logits and a draw.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import AdaptiveP
    >>> sampler = AdaptiveP(0.5)
    >>> token = sampler.sample(np.log([0.9, 0.08, 0.02]), rng=0, min_p=0.05)
    >>> sampler.state.total_weight
    array([10.])
    """

    _kind = AdaptivePState
    _domains = {  # noqa: RUF012 (declared in the base class)
        "weighted_sum": FINITE,
        "total_weight": POSITIVE,
    }

    def __init__(self, target: ArrayLike, decay: ArrayLike = 0.9) -> None:
        target = numbers_of(target, "target", _TARGET)
        super().__init__({"target": target, "decay": numbers_of(decay, "decay", _DECAY)})

    def _start(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        weight = 1 / (1 - self._parameters["decay"])
        return self._parameters["target"].clip(0, 1) * weight, weight

    def _next(
        self, logits: Any, state: AdaptivePState, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Any, Any]]:
        # The target of this step, which makes up for the past; negative where it is off.
        weighted_sum, total_weight = state
        target = self._parameters["target"]
        aim = beside(2 * target.clip(0, 1), logits)
        off = beside(2.0 * (target < 0), logits)
        adapted = (aim - weighted_sum / total_weight).clip(0, 1) - off

        # The rules act first: adaptive-p sees the law that they leave.
        given = {name: arguments.pop(name) for name in _DRAW if name in arguments}
        law = None
        edits = any(arguments.get(name) is not None for name in ("logit_bias", "mask"))
        if edits or RuleArgs.__optional_keys__ & arguments.keys():
            law = distribution(logits, num_threads=given.get("num_threads"), **arguments)
        draw = _draw_on_device if is_on_device(logits) else _draw_on_host
        tokens, probability = draw(logits, law, adapted, given)

        decay = beside(self._parameters["decay"], logits)
        return tokens, (probability + decay * weighted_sum, 1 + decay * total_weight)


def _draw_on_host(
    logits: Any, law: Any, targets: NDArray[np.float64], given: dict[str, Any]
) -> tuple[Any, NDArray[np.float64]]:
    """Draw from the reshaped rows; the tokens, and their probabilities before."""
    rows = rows_of(logits)
    x, bf16 = rows.array, rows.bf16
    if law is not None:
        with np.errstate(divide="ignore"):
            x, bf16 = np.log(np.asarray(law)).reshape(x.shape), False
    reshaped = np.empty(x.shape, np.float32)
    with job_of(given.get("num_threads"), None) as job:
        normalisers = _core.decode.adaptive_p.adaptive_p((x, bf16), targets, reshaped, job)
    tokens = sample(reshaped, **given)
    drawn = x[np.arange(len(x)), tokens]
    if bf16:
        drawn = (drawn.astype(np.uint32) << 16).view(np.float32)
    # Logits are read as float32.
    return rows.wrap(tokens), np.exp(drawn.astype(np.float32) - normalisers)


def _draw_on_device(
    logits: torch.Tensor, law: torch.Tensor | None, targets: torch.Tensor, given: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do the same in Torch operations."""
    x = logits.double() if law is None else law.log()
    x = x if x.ndim == 2 else x[None]
    p = x.softmax(1)
    d = (p - targets[:, None]).abs() / 0.3
    reshaped = (5 - 10 * d * d / (1 + d)).where((x > -np.inf) & (targets[:, None] >= 0), x)
    tokens = sample(reshaped, **given)
    probability = p.gather(1, tokens[:, None])[:, 0]
    return tokens if logits.ndim == 2 else tokens[0], probability
