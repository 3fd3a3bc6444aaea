"""Adaptive-p: sampling that prefers tokens whose probability is near a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of, rows_of
from sortes._check import Domain
from sortes._device import is_on_device
from sortes.decode._row_state import RowState, beside
from sortes.decode.sampling import sample
from sortes.decode.truncation import distribution

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


_TARGET, _DECAY = Domain("(-inf, 1]"), Domain("[0, 0.99]")


class AdaptivePState(NamedTuple):
    """What adaptive-p remembers of the probabilities drawn.

    Attributes
    ----------
    weighted_sum : ndarray or tensor of float64, shape (B,)
        Their exponentially weighted sum.
    total_weight : ndarray or tensor of float64, shape (B,)
        The sum of the weights.
    """

    weighted_sum: Any
    total_weight: Any


class AdaptiveP(RowState):
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

    Notes
    -----
    With :math:`w` the weighted sum and :math:`W` the total weight of the probabilities drawn so
    far, the target of a step is :math:`a = \min(1, \max(0, 2 t - w / W))`. With
    :math:`d_i = |p_i - a| / 0.3` the token is drawn from the softmax of

    .. math:: l_i = 5 - 10 d_i^2 / (1 + d_i),

    what was removed before stays removed. Then :math:`w \leftarrow p + \lambda w` and
    :math:`W \leftarrow 1 + \lambda W`, with the probability :math:`p` that the token had before,
    and the decay :math:`\lambda`. At the start :math:`w = t W` and :math:`W = 1 / (1 - \lambda)`.

    The softmax gives each of many unlikely tokens a little: put a rule such as `min_p` in front.
    It is a sampler of llama.cpp. A step costs three passes over the logits and a draw.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import AdaptiveP
    >>> sampler = AdaptiveP(0.5)
    >>> token = sampler.sample(np.log([0.9, 0.08, 0.02]), rng=0, min_p=0.05)
    >>> sampler.state.total_weight
    array([10.])
    """

    def __init__(self, target: ArrayLike, decay: ArrayLike = 0.9) -> None:
        super().__init__(
            target=numbers_of(target, "target", _TARGET), decay=numbers_of(decay, "decay", _DECAY)
        )

    @property
    def state(self) -> AdaptivePState | None:
        """The running average of the probabilities drawn."""
        return None if self._state is None else AdaptivePState(*self._state)

    @state.setter
    def state(self, state: AdaptivePState | tuple[Any, Any] | None) -> None:
        if state is None:
            self._state = None
            return
        values = tuple(v if hasattr(v, "device") else np.array(v, np.float64) for v in state)
        if len(values) != 2 or values[0].ndim != 1 or values[0].shape != values[1].shape:
            raise ValueError(f"state: expected two arrays of shape (B,), got {state}")
        if not bool((values[1] > 0).all()):
            raise ValueError(f"state: total_weight must be positive, got {values[1]}")
        self._state = values

    def sample(
        self,
        logits: Any,
        *,
        rng: Rng = None,
        rows: ArrayLike | None = None,
        step: int = 0,
        num_threads: int | None = None,
        **rules: Any,
    ) -> Any:
        """Draw a token for each row and remember its probability.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            Logits, as in `sample`.
        rng, rows, step, num_threads
            As in `sample`.
        **rules
            Rule arguments, `logit_bias` and `mask`, as in `distribution`. They act first:
            adaptive-p sees the law that they leave.

        Returns
        -------
        array_like of int64, shape (B,)
            The tokens; of shape () for one row of shape (V,).

        Raises
        ------
        ValueError
            If the number of rows is not that of the state, or as in `sample`.
        """
        target, decay = self._parameters["target"], self._parameters["decay"]
        start = 1 / (1 - decay)
        weighted_sum, total_weight = self._resume(logits, target.clip(0, 1) * start, start)
        aim = beside(2 * target.clip(0, 1), logits)
        off = beside(2.0 * (target < 0), logits)
        adapted = (aim - weighted_sum / total_weight).clip(0, 1) - off  # negative where it is off

        step_of = _step_on_device if is_on_device(logits) else _step_on_host
        law = distribution(logits, num_threads=num_threads, **rules) if rules else None
        draw = {"rng": rng, "rows": rows, "step": step, "num_threads": num_threads}
        tokens, probability = step_of(logits, law, adapted, draw)
        decay = beside(decay, logits)
        self._state = (probability + decay * weighted_sum, 1 + decay * total_weight)
        return tokens


def _step_on_host(
    logits: Any, law: Any, targets: NDArray[np.float64], draw: dict[str, Any]
) -> tuple[Any, NDArray[np.float64]]:
    """Draw from the reshaped rows; the tokens, and their probabilities before."""
    rows = rows_of(logits)
    x, bf16 = rows.array, rows.bf16
    if law is not None:
        with np.errstate(divide="ignore"):
            x, bf16 = np.log(np.asarray(law)).reshape(x.shape), False
    bent = _float32(x, bf16)
    normalisers = _core.decode.penalties.adaptive_p(bent, targets, num_threads=draw["num_threads"])
    tokens = sample(bent, **draw)
    drawn = _float32(x[np.arange(len(x)), tokens], bf16).astype(np.float64)
    return rows.wrap(tokens), np.exp(drawn - normalisers)


def _step_on_device(
    logits: torch.Tensor, law: torch.Tensor | None, targets: torch.Tensor, draw: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do the same in Torch operations."""
    x = logits.double() if law is None else law.log()
    x = x if x.ndim == 2 else x[None]
    p = x.softmax(1)
    d = (p - targets[:, None]).abs() / 0.3
    bent = (5 - 10 * d * d / (1 + d)).where((x > -np.inf) & (targets[:, None] >= 0), x)
    tokens = sample(bent, **draw)
    probability = p.gather(1, tokens[:, None])[:, 0]
    return tokens if logits.ndim == 2 else tokens[0], probability


def _float32(x: NDArray[Any], bf16: bool) -> NDArray[np.float32]:
    """Copy logits, which may be the bits of bfloat16, to float32."""
    return (x.astype(np.uint32, "C") << 16).view(np.float32) if bf16 else x.astype(np.float32, "C")
