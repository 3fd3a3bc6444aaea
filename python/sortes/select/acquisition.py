"""Stochastic batch acquisition: a batch drawn by scores instead of the best scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import NON_NEGATIVE, NonNegative, count, one_of
from sortes._rng import as_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sortes._rng import Rng

Strategy = Literal["power", "softmax", "softrank"]


def stochastic_acquisition(
    scores: Any,
    k: int,
    *,
    strategy: Strategy = "power",
    beta: NonNegative = 1.0,
    rng: Rng = None,
    step: int = 0,
    noise: Any = None,
    num_threads: int | None = None,
) -> NDArray[np.int64]:
    r"""Draw a batch of distinct items, better scores with higher probability.

    Parameters
    ----------
    scores : array_like, shape (n,)
        How informative each item is; finite. With ``"power"`` not negative.
    k : int
        The size of the batch, at most `n`.
    strategy : {"power", "softmax", "softrank"}
        The weight of an item: :math:`s^\beta`, :math:`e^{\beta s}`, or :math:`r^{-\beta}` with the
        rank `r` of the score (1 is best; equal scores share their mean rank).
    beta : float, default 1.0
        Coldness, not negative: 0 draws uniformly, large values take the best.
    rng, step
        Seed or generator, and the step of a run.
    noise : array_like, shape (n,), optional
        Gumbel noise to use instead of `rng`.
    num_threads : int, optional
        Results do not depend on it.

    Returns
    -------
    ndarray of int64, shape (k,)
        The batch, in the order in which it was drawn.

    Raises
    ------
    ValueError
        If a score is not finite, or negative with ``"power"``; if `k` exceeds `n`; if `beta` is
        negative.

    Notes
    -----
    Items are drawn one after the other in proportion to the weights of those left: the `k` largest
    of :math:`\ln w_i + G_i` with independent Gumbel variables. Items of weight zero (``"power"``,
    score zero) come only when the others are used up, and then uniformly: they never dilute the
    informative ones. One pass over the scores; ``"softrank"`` sorts them.

    With the published batch methods in mind: one draw of this costs what scoring costs, and does
    about as well.

    References
    ----------
    Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch
    acquisition: a simple baseline for deep active learning", TMLR 2023, arXiv:2106.12059.

    Examples
    --------
    >>> stochastic_acquisition([0.1, 0.9, 0.0, 0.5], 2, beta=4.0, rng=0)
    array([1, 3])
    """
    one_of(strategy, "strategy", get_args(Strategy))
    stream = as_stream(rng if noise is None else 0, step)
    drawn = None if noise is None else vector_of(noise, "noise", double=True)
    return _core.select.weighted.acquire(
        vector_of(scores, "scores", double=True),
        count(k, "k"),
        strategy,
        NON_NEGATIVE.check(beta, "beta"),
        stream.key,
        stream.step,
        drawn,
        num_threads=num_threads,
    )


def acquisition_probs(
    scores: Any, *, strategy: Strategy = "power", beta: NonNegative = 1.0
) -> NDArray[np.float64]:
    r"""Return the probability of each item of being drawn first.

    Parameters
    ----------
    scores, strategy, beta
        As in `stochastic_acquisition`.

    Returns
    -------
    ndarray of float64, shape (n,)
        Weights divided by their sum; equal if all are zero.

    Raises
    ------
    ValueError
        If a score is not finite, or negative with ``"power"``, or `beta` is negative.

    Examples
    --------
    >>> acquisition_probs([3, 0, 1])
    array([0.75, 0.  , 0.25])
    """
    one_of(strategy, "strategy", get_args(Strategy))
    return _core.select.weighted.acquisition_probs(
        vector_of(scores, "scores", double=True), strategy, NON_NEGATIVE.check(beta, "beta")
    )
