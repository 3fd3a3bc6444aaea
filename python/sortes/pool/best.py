"""The expected score, or reward, of the best of k samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sortes import _core
from sortes._progress import Progress, job_of
from sortes.pool._shapes import ks_of, pools_of, same_shape, shaped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from sortes.pool._shapes import Values


def max_at_k(
    scores: ArrayLike,
    k: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Values:
    r"""Estimate the expected maximum of the scores of `k` samples.

    Parameters
    ----------
    scores : array_like, shape (n,) or (P, n)
        The scores of the samples of one problem, or of each.
    k : int or array_like of int, shape (K,)
        How many samples are looked at: at least 1, and without weights at most `n`.
    weights : array_like, optional
        How likely the model makes each sample, up to a factor: not negative, in the shape of
        `scores`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64, shape (), (P,), (K,) or (P, K)
        The expected maxima.

    Raises
    ------
    ValueError
        If a score is not finite, a weight is negative or not finite, all of a problem are zero, `k`
        is out of range, or the shapes differ.
    TypeError
        If an argument does not hold numbers, or `k` integers.

    See Also
    --------
    best_of_k : Where what counts is not what the best is chosen by.
    pass_at_k : Where a sample is right or wrong.

    Notes
    -----
    Without weights it is the mean over all subsets of `k` samples, which is unbiased for the
    maximum of `k` independent samples of the model:
    $\sum_b s_{(b)} \binom{b-1}{k-1} / \binom{n}{k}$ with the scores in ascending order. Drawing
    subsets *with* repeats is not: it may take one sample twice, and so finds too little.

    With weights it is the expected maximum of `k` independent draws in proportion to them,
    $\sum_b s_{(b)} (F_b^k - F_{b-1}^k)$ with their running share $F$. Weights of distinct samples
    (thresholds, self-normalised, or of unordered sets) make $F$ an estimate of the model's law; the
    result then has a bias of the order of the variance of $F$, and none where the samples are all
    that the model can say.

    $O(n \log n + n K)$ for a problem.

    Examples
    --------
    >>> from sortes.pool import max_at_k
    >>> max_at_k([0.1, 0.9, 0.4, 0.4], [1, 2, 4])
    array([0.45, 0.65, 0.9 ])
    >>> round(max_at_k([0, 1], 3, weights=[0.9, 0.1]), 6)  # 1 - 0.9**3
    0.271
    """
    given, lead = pools_of(scores, "scores")
    return _best(given, lead, None, k, weights, num_threads, progress)


def best_of_k(
    scores: ArrayLike,
    rewards: ArrayLike,
    k: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Values:
    r"""Estimate the expected reward of the sample with the best score among `k`.

    Parameters
    ----------
    scores : array_like, shape (n,) or (P, n)
        What the best sample is chosen by, such as a verifier's score.
    rewards : array_like
        What it is worth, such as 1 where it is right, in the shape of `scores`.
    k : int or array_like of int, shape (K,)
        How many samples are looked at: at least 1, and without weights at most `n`.
    weights : array_like, optional
        How likely the model makes each sample, up to a factor: not negative, in the shape of
        `scores`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64, shape (), (P,), (K,) or (P, K)
        The expected rewards.

    Raises
    ------
    ValueError
        If a score or reward is not finite, a weight is negative or not finite, all of a problem are
        zero, `k` is out of range, or the shapes differ.
    TypeError
        If an argument does not hold numbers, or `k` integers.

    Notes
    -----
    The law of the `k` samples is that of `max_at_k`. Among samples of one score every one is the
    best with the same chance (with weights, in proportion to them), so they share their mean
    reward.

    Examples
    --------
    >>> from sortes.pool import best_of_k
    >>> best_of_k([0.2, 0.9, 0.5, 0.5], [1, 0, 1, 0], [1, 2, 4])
    array([0.5 , 0.25, 0.  ])
    """
    given, lead = pools_of(scores, "scores")
    worth = same_shape(pools_of(rewards, "rewards")[0], given, "rewards")
    return _best(given, lead, worth, k, weights, num_threads, progress)


def _best(
    scores: NDArray[np.float64],
    lead: tuple[int, ...],
    rewards: NDArray[np.float64] | None,
    k: ArrayLike,
    weights: ArrayLike | None,
    num_threads: int | None,
    progress: Progress,
) -> Values:
    w = None if weights is None else same_shape(pools_of(weights, "weights")[0], scores, "weights")
    ks, shape = ks_of(k)
    with job_of(num_threads, progress, "samples") as job:
        return shaped(_core.pool.best.expected(scores, rewards, w, ks, job), lead + shape)
