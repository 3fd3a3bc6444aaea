"""Conditional Poisson sampling: the design of maximum entropy among those of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import COUNT, PROBABILITY, Count
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.select.design.sample import DesignSample, sample_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


def conditional_poisson_sample(
    pi: ArrayLike | None = None,
    k: Count | None = None,
    *,
    odds: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> DesignSample:
    r"""Draw from the design of maximum entropy with a fixed size.

    Parameters
    ----------
    pi : array_like, shape (n,), optional
        Inclusion probabilities whose sum is `k`.
    k : int, optional
        The size of the sample; with `pi` it may be left out.
    odds : array_like, shape (n,), optional
        Instead of `pi`: the odds of the units, in any unit of measure. Zero is never chosen,
        infinity always.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. The total grows with every round
        and every trial, for nobody knows how many there will be.

    Returns
    -------
    DesignSample
        The chosen units and their weights.

    Raises
    ------
    ValueError
        If both or none of `pi` and `odds` are given, a value is out of range, or there are no `k`
        units to choose.
    TypeError
        If an array does not hold real numbers.

    Notes
    -----
    $P(S) \propto \prod_{i \in S} o_i$ on the sets of $k$ units (Chen, Dempster and Liu, 1994).
    Every pair of units may occur together, unlike in a systematic or pivotal sample.

    The sample is a Poisson sample with suitably scaled odds, drawn anew until its size is `k`:
    exact, and $O(n \sqrt{k})$. The odds that belong to `pi`, and the weights that belong to `odds`,
    take $O(n \sqrt{k})$ for each round of `conditional_poisson_odds`, and once.

    References
    ----------
    Chen, Dempster and Liu, "Weighted finite population sampling to maximize entropy",
    Biometrika 81, 1994.

    Examples
    --------
    >>> from sortes.select import conditional_poisson_sample
    >>> sample = conditional_poisson_sample(odds=[1, 2, 3, 4], k=2, rng=0)
    >>> len(sample)
    2
    """
    native = _core.select.design.conditional_poisson
    p = None if pi is None else vector_of(pi, "pi", double=True)
    relative = None if odds is None else vector_of(odds, "odds", double=True)
    size = None if k is None else COUNT.check(k, "k")
    if p is not None:
        if relative is not None:
            PROBABILITY.check_items(p, "pi")
            raise ValueError("odds: must not be given with pi, which has odds of its own")
        with job_of(num_threads, progress, "conditional_poisson_sample") as job:
            chosen = native.fitted_sample(p, size, as_stream(rng, step), job)
        return sample_of(chosen, p, "fixed_size")
    if relative is None:
        raise ValueError("pi: must be given, or else odds and k")
    if size is None:
        raise ValueError("k: must be given with odds")
    with job_of(num_threads, progress, "conditional_poisson_sample") as job:
        chosen, p = native.sample(relative, size, as_stream(rng, step), job)
    return sample_of(chosen, p, "fixed_size")


def conditional_poisson_probabilities(
    odds: ArrayLike,
    k: Count,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Compute the inclusion probabilities of a conditional Poisson design.

    Parameters
    ----------
    odds : array_like, shape (n,)
        The odds of the units, in any unit of measure; 0 and infinity are allowed.
    k : int
        The size of the sample.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64, shape (n,)
        The probabilities; they sum to `k`.

    Raises
    ------
    ValueError
        If odds are negative or NaN, or there are no `k` units to choose.
    TypeError
        If `odds` does not hold real numbers.

    Notes
    -----
    $\pi_i = o_i \, e_{k-1}(o_{-i}) / e_k(o)$ with elementary symmetric polynomials, computed from
    the distribution of the size of a Poisson sample with odds scaled so that `k` is its most likely
    size: finite for any range of odds, to about 1e-14. $O(n \sqrt{k})$.

    Examples
    --------
    >>> from sortes.select import conditional_poisson_probabilities
    >>> conditional_poisson_probabilities([1, 2, 3, 4], 2).round(4)
    array([0.2571, 0.4571, 0.6   , 0.6857])
    """
    relative, size = vector_of(odds, "odds", double=True), COUNT.check(k, "k")
    with job_of(num_threads, progress, "conditional_poisson_probabilities") as job:
        return _core.select.design.conditional_poisson.probabilities(relative, size, job)


def conditional_poisson_odds(
    pi: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> NDArray[np.float64]:
    r"""Find the odds of the conditional Poisson design with given inclusion probabilities.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities whose sum is an integer.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. The total grows with every round,
        for nobody knows how many there will be.

    Returns
    -------
    ndarray of float64, shape (n,)
        The odds; the geometric mean of those that are positive and finite is 1. Zero where `pi` is
        0, infinite where it is 1.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or their sum is not an integer.
    TypeError
        If `pi` does not hold real numbers.

    Notes
    -----
    Rounds of $o_i \leftarrow o_i \cdot \text{odds}(\pi_i) / \text{odds}(\pi_i(o))$, half steps
    where whole ones overshoot, until the odds of all probabilities agree to a relative 1e-12 but
    for a common factor, by which they sum to an integer. Each round is $O(n \sqrt{k})$; about ten
    are needed, fewer for large samples, and 500 are the most. Ctrl-C stops the search.

    Examples
    --------
    >>> from sortes.select import conditional_poisson_odds
    >>> conditional_poisson_odds([0.2, 0.7, 0.6, 0.5]).round(4)
    array([0.3534, 1.9393, 1.3884, 1.0509])
    """
    p = vector_of(pi, "pi", double=True)
    with job_of(num_threads, progress, "conditional_poisson_odds") as job:
        odds = _core.select.design.conditional_poisson.odds(p, job)
    inner = (odds > 0) & np.isfinite(odds)
    if inner.any():
        logs = np.log(odds[inner])
        odds[inner] = np.exp(logs - logs.mean())
    return odds


def log_elementary_symmetric(
    logs: ArrayLike, k: Count, *, progress: Progress = None
) -> NDArray[np.float64]:
    r"""Compute logarithms of elementary symmetric polynomials.

    Parameters
    ----------
    logs : array_like, shape (n,)
        The logarithms of non-negative numbers $x_i$: odds, eigenvalues; ``-inf`` for zero.
    k : int
        The highest degree.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64, shape (k + 1,)
        $\ln e_0, \dots, \ln e_k$ with $e_j = \sum_{|S| = j} \prod_{i \in S} x_i$.

    Raises
    ------
    ValueError
        If a logarithm is NaN or positive infinity.
    TypeError
        If `logs` does not hold real numbers.
    MemoryError
        If the polynomials do not fit into memory.

    Notes
    -----
    One addition in log space for every number and degree, $O(n k)$; nothing cancels.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import log_elementary_symmetric
    >>> np.exp(log_elementary_symmetric(np.log([0.5, 1, 2]), 3)).round(12)
    array([1. , 3.5, 3.5, 1. ])
    """
    x, degree = vector_of(logs, "logs", double=True), COUNT.check(k, "k")
    with job_of(None, progress, "log_elementary_symmetric") as job:
        return _core.select.design.conditional_poisson.log_elementary_symmetric(x, degree, job)
