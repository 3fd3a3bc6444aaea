"""Mirostat: sampling that steers the surprise of the text to a target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sortes._arrays import numbers_of
from sortes._check import POSITIVE, one_of
from sortes._device import is_on_device
from sortes.decode._row_state import RowState, beside
from sortes.decode.sampling import sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng


class Mirostat(RowState):
    r"""Mirostat v2: a truncation whose cut follows the surprise of the tokens drawn.

    Parameters
    ----------
    tau : float or array_like, shape (B,)
        The surprise to aim at, in bits per token, positive.
    eta : float or array_like, shape (B,)
        How far each error moves the cut, positive.
    surprise : {"truncated", "full"}
        Whether the surprise of a token is measured by its probability among the tokens kept
        (llama.cpp), or before the cut.

    Attributes
    ----------
    mu : ndarray or tensor of float64, shape (B,), or None
        The cut of each row in bits; None before the first batch. May be set.

    Raises
    ------
    ValueError
        If a parameter is outside its domain.

    Notes
    -----
    At each step the tokens with :math:`-\log_2 p \le \mu` are kept, at least the most likely one;
    one is drawn, and :math:`\mu \leftarrow \mu - \eta (S - \tau)` with its surprise :math:`S` in
    bits. A row starts at :math:`\mu = 2 \tau`. The law of one step, given :math:`\mu`, is that of
    ``sample(logits, mirostat_mu=mu)``, at its cost. The state belongs to the sequences, not to the
    places in the batch: see `reorder`.

    Basu et al., "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity",
    arXiv:2007.14966.

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

    def __init__(
        self,
        tau: ArrayLike = 5.0,
        eta: ArrayLike = 0.1,
        surprise: Literal["truncated", "full"] = "truncated",
    ) -> None:
        super().__init__(tau=numbers_of(tau, "tau", POSITIVE), eta=numbers_of(eta, "eta", POSITIVE))
        self._full = one_of(surprise, "surprise", ("truncated", "full")) == "full"

    @property
    def mu(self) -> Any:
        """The cut of each row in bits."""
        return None if self._state is None else self._state[0]

    @mu.setter
    def mu(self, mu: Any) -> None:
        if mu is not None and not hasattr(mu, "device"):
            mu = np.array(mu, np.float64)
        if mu is not None and (mu.ndim != 1 or bool((mu != mu).any())):
            raise ValueError(f"mu: expected numbers of shape (B,), got {mu}")
        self._state = None if mu is None else (mu,)

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
        """Draw a token for each row and move the cuts.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            Logits, as in `sample`.
        rng, rows, step, num_threads
            As in `sample`.
        **rules
            Rule arguments, `logit_bias` and `mask`, as in `sample`. In llama.cpp only bias and
            temperature come before mirostat.

        Returns
        -------
        array_like of int64, shape (B,)
            The tokens; of shape () for one row of shape (V,).

        Raises
        ------
        ValueError
            If the number of rows is not that of the state, or as in `sample`.
        """
        tau, eta = self._parameters["tau"], self._parameters["eta"]
        (mu,) = self._resume(logits, 2 * tau)
        drawn = sample(
            logits,
            mirostat_mu=mu,
            rng=rng,
            rows=rows,
            step=step,
            logprobs=0,
            logprobs_mode="processed",
            num_threads=num_threads,
            **rules,
        )
        logprob = _rows(drawn.logprob)
        if self._full:
            mass = _rows(drawn.mass)  # what truncation divided by
            logprob = logprob + (mass.log() if is_on_device(mass) else np.log(mass))
        error = -logprob / math.log(2) - beside(tau, logits)
        self._state = (mu - beside(eta, logits) * error,)
        return drawn.tokens


def _rows(x: Any) -> Any:
    """Numbers of the rows in shape (B,): a tensor on a device, or a NumPy array."""
    return (x if is_on_device(x) else np.asarray(x)).reshape(-1)
