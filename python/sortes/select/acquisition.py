"""Stochastic batch acquisition: a batch drawn by scores instead of the best scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import COUNT, NON_NEGATIVE, Count, NonNegative, one_of
from sortes._noise import noise_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Strategy = Literal["power", "softmax", "softrank"]


def stochastic_acquisition(
    scores: ArrayLike,
    k: Count,
    *,
    strategy: Strategy = "power",
    beta: NonNegative = 1.0,
    noise: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.int64]:
    r"""Draw a batch of distinct items, better scores with higher probability.

    Parameters
    ----------
    scores : array_like, shape (n,)
        How informative each item is; finite. With ``"power"`` not negative, where -1e-6 times the
        largest score (or -1e-6, if that is lower) still counts as zero: differences of entropies in
        single precision miss zero by that much.
    k : int
        The size of the batch, at most `n`.
    strategy : {"power", "softmax", "softrank"}, default "power"
        The weight of an item: $s^\beta$, $e^{\beta s}$, or $r^{-\beta}$ with the rank `r` of the
        score (1 is best; equal scores share their mean rank).
    beta : float, default 1.0
        Coldness, in [0, inf): 0 draws uniformly, large values take the best.
    noise : array_like, shape (n,), optional
        Gumbel noise to use instead of `rng`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of int64, shape (k,)
        The batch, in the order in which it was drawn.

    Raises
    ------
    ValueError
        If a score is not finite, or negative with ``"power"``; if `k` exceeds `n`; if `beta` is
        negative; if both noise and a source of it are given.
    TypeError
        If scores or noise are not numbers.

    Notes
    -----
    Items are drawn one after the other in proportion to the weights of those left: the `k` largest
    of $\ln w_i + G_i$ with independent Gumbel variables (Kirsch and others 2023). Items of weight
    zero (``"power"``, score zero) come only when the others are used up, and then uniformly: they
    never dilute the informative ones. However large scores are, equal items remain equally likely.
    One pass over the scores; ``"softrank"`` sorts them.

    References
    ----------
    Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch
    acquisition: a simple baseline for deep active learning", TMLR 2023, arXiv:2106.12059.

    Examples
    --------
    >>> from sortes.select import stochastic_acquisition
    >>> stochastic_acquisition([0.1, 0.9, 0.0, 0.5], 2, beta=4.0, rng=0)
    array([1, 3])
    """
    one_of(strategy, "strategy", get_args(Strategy))
    values = vector_of(scores, "scores", double=True)
    k, beta = COUNT.check(k, "k"), NON_NEGATIVE.check(beta, "beta")
    source = as_stream(rng, step) if noise is None else noise_of(noise, values.shape, rng, step)
    with job_of(num_threads, progress, "scores") as job:
        return _core.select.acquisition.acquire(values, k, strategy, beta, source, job)


def acquisition_probs(
    scores: ArrayLike,
    *,
    strategy: Strategy = "power",
    beta: NonNegative = 1.0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Return the probability of each item of being drawn first.

    Parameters
    ----------
    scores : array_like, shape (n,)
        As in `stochastic_acquisition`.
    strategy : {"power", "softmax", "softrank"}, default "power"
        As in `stochastic_acquisition`.
    beta : float, default 1.0
        As in `stochastic_acquisition`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64, shape (n,)
        Weights divided by their sum; equal if all are zero.

    Raises
    ------
    ValueError
        If a score is not finite, or negative with ``"power"``, or `beta` is negative.
    TypeError
        If the scores are not numbers.

    Examples
    --------
    >>> from sortes.select import acquisition_probs
    >>> acquisition_probs([3, 0, 1])
    array([0.75, 0.  , 0.25])
    """
    one_of(strategy, "strategy", get_args(Strategy))
    values = vector_of(scores, "scores", double=True)
    beta = NON_NEGATIVE.check(beta, "beta")
    with job_of(num_threads, progress, "scores") as job:
        return _core.select.acquisition.acquisition_probs(values, strategy, beta, job)
