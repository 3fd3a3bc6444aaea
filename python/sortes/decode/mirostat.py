"""Mirostat: sampling that steers the surprise of the text to a target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from sortes._arrays import numbers_of
from sortes._check import POSITIVE, Domain, one_of
from sortes._device import is_on_device
from sortes.decode._stateful import StatefulSampler, beside, checked_field
from sortes.decode.sampling import sample

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

Surprise: TypeAlias = Literal["truncated", "full"]


class MirostatState(NamedTuple):
    """What mirostat keeps of each row.

    Attributes
    ----------
    mu : ndarray or tensor of float64, shape (B,)
        The largest surprise that is kept, in bits.
    """

    mu: NDArray[np.float64] | torch.Tensor


class Mirostat(StatefulSampler[MirostatState]):
    r"""Mirostat v2: a truncation whose cut follows the surprise of the tokens drawn.

    Parameters
    ----------
    tau : float or array_like, shape (B,)
        The surprise to aim at, in bits per token, positive.
    eta : float or array_like, shape (B,)
        How far each error moves the cut, positive.
    surprise : {"truncated", "full"}, default "truncated"
        Whether the surprise of a token is measured by its probability among the tokens kept
        (llama.cpp), or before the cut.

    Attributes
    ----------
    mu : ndarray or tensor of float64, shape (B,), or None
        The cut of each row in bits; None before the first batch. May be set.
    state : MirostatState or None
        The same as a named tuple.

    Raises
    ------
    ValueError
        If a parameter is outside its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    At each step the tokens with $-\log_2 p \le \mu$ are kept, at least the most likely one; one is
    drawn, and $\mu \leftarrow \mu - \eta (S - \tau)$ with its surprise $S$ in bits. A row starts at
    $\mu = 2 \tau$. The law of one step, given $\mu$, is that of
    ``sample(logits, mirostat_mu=mu)``, at its cost. In llama.cpp only bias and temperature come
    before mirostat. The state belongs to the sequences, not to the rows of the batch: see
    `reorder`.

    References
    ----------
    Basu, Ramachandran, Keskar and Varshney, "Mirostat: A Neural Text Decoding Algorithm that
    Directly Controls Perplexity", ICLR 2021, arXiv:2007.14966.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import Mirostat
    >>> sampler = Mirostat(tau=2.0)
    >>> logits = np.zeros((2, 8), np.float32)
    >>> sampler.sample(logits, rng=0).shape
    (2,)
    >>> sampler.mu
    array([3.9, 3.9])
    """

    _kind = MirostatState
    _domains = {"mu": Domain("[-inf, inf]")}  # noqa: RUF012 (declared in the base class)

    def __init__(
        self, tau: ArrayLike = 5.0, eta: ArrayLike = 0.1, *, surprise: Surprise = "truncated"
    ) -> None:
        super().__init__(
            {"tau": numbers_of(tau, "tau", POSITIVE), "eta": numbers_of(eta, "eta", POSITIVE)},
            surprise=one_of(surprise, "surprise", get_args(Surprise)),
        )

    @property
    def mu(self) -> NDArray[np.float64] | torch.Tensor | None:
        """The cut of each row in bits; None before the first batch. May be set."""
        return None if self._state is None else self._state.mu

    @mu.setter
    def mu(self, mu: Any) -> None:
        checked = None if mu is None else checked_field(mu, "mu", self._domains["mu"])
        self._state = None if checked is None else MirostatState(checked)

    def _start(self) -> tuple[NDArray[np.float64]]:
        return (2 * self._parameters["tau"],)

    def _next(
        self, logits: Any, state: MirostatState, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Any]]:
        if "mirostat_mu" in arguments:
            raise TypeError("mirostat_mu: is what the sampler moves; set its mu")
        arguments |= {"mirostat_mu": state.mu, "logprobs": 0, "logprobs_mode": "processed"}
        drawn: Any = sample(logits, **arguments)
        logprob = _rows(drawn.logprob)
        if self._options["surprise"] == "full":
            mass = _rows(drawn.mass)  # what truncation divided by
            logprob = logprob + (mass.log() if is_on_device(mass) else np.log(mass))
        tau, eta = (beside(self._parameters[name], logits) for name in ("tau", "eta"))
        error = -logprob / math.log(2) - tau
        return drawn.tokens, (state.mu - eta * error,)


def _rows(x: Any) -> Any:
    """Numbers of the rows in shape (B,): a tensor on a device, or a NumPy array."""
    return (x if is_on_device(x) else np.asarray(x)).reshape(-1)
