"""pass@k of independent samples, from distinct samples of known probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import items
from sortes._progress import Progress, job_of
from sortes.pool._shapes import estimates_of, ks_of, pools_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._estimate import Estimate, Estimates


def pass_at_k_distinct(
    correct: ArrayLike,
    logprobs: ArrayLike,
    k: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Estimate | Estimates:
    r"""Estimate pass@k of independent samples from samples that were drawn without replacement.

    Parameters
    ----------
    correct : array_like of bool, shape (m,) or (P, m)
        Which of the distinct samples of one problem, or of each, are right; or 0 and 1.
    logprobs : array_like
        The log-probability of each sample under the law that it was drawn from, in the shape of
        `correct`: finite, at most 0.
    k : int or array_like of int, shape (K,)
        How many independent samples are asked about: at least 1, at most `m`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    Estimate or Estimates, shape (), (P,), (K,) or (P, K)
        The estimates in [0, 1]. The standard error is that of new samples of the same problem; NaN
        where ``2 k > m``.

    Raises
    ------
    ValueError
        If a log-probability is out of range, those of a problem make more than one, `k` is out of
        range, or the shapes differ.
    TypeError
        If an argument is of another kind.

    See Also
    --------
    pass_at_k : From independent samples.

    Notes
    -----
    The samples are those of Gumbel top-k, stochastic beams or incremental sampling without
    replacement: drawn one after the other in proportion to what is left. Independent draws, repeats
    left out, have just this law. So the `m` samples were the first distinct ones of a sequence of
    independent draws, and the result is the chance, given their set and their probabilities, that
    the first `k` draws of that sequence held a right one:

    $$
    1 - \frac{\int r e^{-rt} \, k! [x^k] \prod_{i \text{ wrong}} (e^{p_i x} - e^{-p_i t})
    \prod_{i \text{ right}} (1 - e^{-p_i t}) \, dt}
    {\int r e^{-rt} \prod_i (1 - e^{-p_i t}) \, dt} ,
    \qquad r = 1 - \sum_i p_i .
    $$

    It is unbiased for $1 - (1 - \pi)^k$, with $\pi$ the mass of all right sequences of the model,
    as a conditional expectation of an unbiased estimate. For ``k = 1`` it is the unordered-set
    estimate (Kool and others 2020). Where no sample is likely it is `pass_at_k` of `m` samples;
    where the samples are everything, it is exact. In between it is worth about as many independent
    samples as it takes to see `m` distinct ones and one more.

    With $e_k$ the estimate of $(1 - \pi)^k$, the variance is estimated by $e_k^2 - e_{2k}$, zero if
    that is negative.

    $O(m k^2)$ for each of some 200 nodes of the integral: milliseconds for 32 samples.

    References
    ----------
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling
    without replacement", ICLR 2020, arXiv:2002.06043.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.pool import pass_at_k_distinct
    >>> p = np.array([0.5, 0.2, 0.1, 0.05])
    >>> value, stderr = pass_at_k_distinct([0, 1, 0, 0], np.log(p), 2)
    >>> round(value, 3), round(stderr, 3)
    (0.412, 0.146)
    """
    logs, lead = pools_of(logprobs, "logprobs")
    right = host(correct, "correct", "biu")
    if right.dtype != np.bool_:
        items((right == 0) | (right == 1), right, "correct", "must be 0 or 1, got")
    wanted = (*lead, logs.shape[1])
    if right.shape != wanted:
        raise ValueError(f"correct: must have the shape of logprobs, {wanted}, got {right.shape}")
    ks, shape = ks_of(k)
    with job_of(num_threads, progress, "samples") as job:
        value, variance = _core.pool.distinct.estimates(
            np.require(right, np.bool_, ("C", "A")).reshape(logs.shape), logs, ks, job
        )
    return estimates_of(value, np.sqrt(variance), lead + shape)
