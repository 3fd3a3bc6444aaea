"""Weights of distinct samples, and the means that they estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host, numbers_of
from sortes._check import FINITE, Domain, one_of
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: How a mean is estimated.
Method = Literal["self_normalized", "threshold", "unordered"]
#: Where a threshold lies.
BELOW_INFINITY: Final = Domain("[-inf, inf)")


def threshold_weights(
    logprobs: ArrayLike,
    kappa: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Return the weights with which sums over distinct samples are unbiased.

    Parameters
    ----------
    logprobs : array_like, shape (k,) or (B, k)
        The log-probabilities of the samples, in the law from which they were drawn. Minus infinity
        is no sample.
    kappa : float or array_like, shape (B,)
        The largest perturbed log-probability that was not drawn, from the same call.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64
        $p_i / q_i$, of the shape of `logprobs`.

    Raises
    ------
    ValueError
        If log-probabilities are positive or NaN, or the probabilities of a row sum to more than
        one; if a `kappa` is NaN or ``+inf``; if the shapes do not fit.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    With $q_i = P(G > \kappa - \ln p_i) = 1 - \exp(-e^{\ln p_i - \kappa})$ the sum
    $\sum_i f_i p_i / q_i$ has the mean $\sum p f$ over everything: given the other samples, `i` is
    among them with probability $q_i$ (Horvitz and Thompson 1952; Kool, van Hoof and Welling 2019).
    The weights sum to one on average, not each time.

    To weigh towards another law, multiply by the ratio of the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import gumbel_topk, threshold_weights
    >>> logprobs = np.log([0.4, 0.3, 0.2, 0.1])
    >>> drawn = gumbel_topk(logprobs, 4, rng=0)
    >>> threshold_weights(logprobs[drawn.indices], drawn.kappa).round(2).tolist()
    [0.4, 0.3, 0.1, 0.2]
    """
    matrix, shape = _matrix(logprobs)
    thresholds = _thresholds(kappa, matrix, shape)
    with job_of(num_threads, progress, "rows") as job:
        weights = _core.sequences.weights.threshold_weights(matrix, thresholds, job)
    return weights.reshape(shape)


def self_normalized_weights(
    logprobs: ArrayLike,
    kappa: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Return the threshold weights, divided by their sum.

    Parameters
    ----------
    logprobs, kappa
        As in `threshold_weights`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64
        Weights that sum to one in each row, of the shape of `logprobs`; zeros in a row without
        samples.

    Raises
    ------
    ValueError, TypeError
        As `threshold_weights`.

    Notes
    -----
    A mean with these weights is biased, less and less with more samples, and mostly closer to the
    truth than the unbiased one.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import self_normalized_weights
    >>> self_normalized_weights(np.log([0.5, 0.25]), -1.0).round(3)
    array([0.57, 0.43])
    """
    weights = threshold_weights(logprobs, kappa, num_threads=num_threads, progress=progress)
    total = weights.sum(-1, keepdims=True)
    out = np.zeros_like(weights)
    np.divide(weights, total, out=out, where=total > 0)
    return out


def unordered_set_weights(
    logprobs: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> NDArray[np.float64]:
    r"""Return the weights of a set of distinct samples, whatever their order and threshold.

    Parameters
    ----------
    logprobs : array_like, shape (k,) or (B, k)
        As in `threshold_weights`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64
        $p_s R(S, s)$, of the shape of `logprobs`; they sum to one in each row.

    Raises
    ------
    ValueError
        If log-probabilities are positive or NaN, or the probabilities of a row sum to more than
        one.
    TypeError
        If they are no numbers.

    Notes
    -----
    $R(S, s) = P^{D \setminus s}(S \setminus s) / P^D(S)$, where $P(S)$ is the probability that the
    `k` draws form the set $S$ in any order. The weighted mean is unbiased, and no estimate that is
    has a smaller variance and knows the set alone: it is the mean of the ordered one, given the set
    (Kool, van Hoof and Welling 2020).

    Up to 12 samples all orders are summed, by subsets; beyond, $P(S)$ is an integral over
    1,000 points, to a relative error below 1e-9. A set that leaves less than 1e-5 of the mass has
    the weights of its probabilities.

    References
    ----------
    Kool, van Hoof and Welling, "Estimating Gradients for Discrete Random Variables by Sampling
    without Replacement", ICLR 2020, arXiv:2002.06043.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import unordered_set_weights
    >>> unordered_set_weights(np.log([0.4, 0.3])).round(4)
    array([0.5385, 0.4615])
    """
    matrix, shape = _matrix(logprobs)
    with job_of(num_threads, progress, "rows") as job:
        weights = _core.sequences.weights.unordered_set_weights(matrix, job)
    return weights.reshape(shape)


def distinct_mean(
    values: ArrayLike,
    logprobs: ArrayLike,
    kappa: Annotated[float, BELOW_INFINITY] | None = None,
    *,
    method: Method = "self_normalized",
) -> Estimate:
    r"""Estimate the mean of a function from its values at distinct samples.

    Parameters
    ----------
    values : array_like, shape (k,)
        The values; finite.
    logprobs : array_like, shape (k,)
        As in `threshold_weights`.
    kappa : float, optional
        As in `threshold_weights`; not with ``"unordered"``, which does without.
    method : {"self_normalized", "threshold", "unordered"}, default "self_normalized"
        Whose weights: those of `self_normalized_weights` (mostly the closest), `threshold_weights`
        or `unordered_set_weights` (both unbiased).

    Returns
    -------
    Estimate
        The mean and its standard error; NaN for ``"unordered"``.

    Raises
    ------
    ValueError
        If a value is not finite, the lengths differ, or `kappa` is missing or not needed; or as
        `threshold_weights`.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The variance of the threshold estimate is estimated without bias by
    $\sum_i (w_i f_i)^2 (1 - q_i)$: given $\kappa$ two samples are uncorrelated. For the
    self-normalised one $f$ is replaced by its difference from the estimate, and the sum divided by
    the square of that of the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import distinct_mean, gumbel_topk
    >>> logprobs = np.log([0.4, 0.3, 0.2, 0.1])
    >>> drawn = gumbel_topk(logprobs, 4, rng=0)
    >>> mean = distinct_mean(drawn.indices, logprobs[drawn.indices], drawn.kappa)
    >>> round(mean.value, 6), mean.stderr  # of everything
    (1.0, 0.0)
    """
    one_of(method, "method", get_args(Method))
    ln_p = np.asarray(host(logprobs, "logprobs"), np.float64)
    if ln_p.ndim != 1:
        raise ValueError(f"logprobs: must have shape (k,), got {ln_p.shape}")
    f = np.asarray(host(values, "values"), np.float64)
    if f.shape != ln_p.shape:
        raise ValueError(f"values: must have shape {ln_p.shape}, got {f.shape}")
    FINITE.check_items(f, "values")
    if method == "unordered":
        if kappa is not None:
            raise ValueError(f"kappa: must not be given with the method 'unordered', got {kappa}")
        return Estimate(float(unordered_set_weights(ln_p) @ f), np.nan)
    if kappa is None:
        raise ValueError(f"kappa: must be given with the method {method!r}")
    kappa = BELOW_INFINITY.check(kappa, "kappa")
    weights = threshold_weights(ln_p, kappa)
    with np.errstate(over="ignore", invalid="ignore"):
        missed = np.where(weights > 0, np.exp(-np.exp(ln_p - kappa)), 0.0)  # 1 - q, of what counts
    total = 1.0
    if method == "self_normalized":
        total = weights.sum()
        if not total > 0:
            return Estimate(np.nan, np.nan)
    mean = float(weights @ f / total)
    rest = f - mean if method == "self_normalized" else f
    error = np.sqrt(np.sum((weights * rest) ** 2 * missed)) / total
    return Estimate(mean, float(error))


def _matrix(logprobs: Any) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Return log-probabilities as a matrix, and their shape."""
    array = host(logprobs, "logprobs")
    if array.ndim not in (1, 2):
        raise ValueError(f"logprobs: must have shape (k,) or (B, k), got {array.shape}")
    rows = array[np.newaxis] if array.ndim == 1 else array
    return np.require(rows, np.float64, ("C", "A")), array.shape


def _thresholds(
    kappa: Any, matrix: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return one threshold for each row."""
    given = numbers_of(kappa, "kappa", BELOW_INFINITY)
    wanted = () if len(shape) == 1 else (len(matrix),)
    if given.shape not in ((), wanted):
        raise ValueError(f"kappa: must be a number or have shape {wanted}, got {given.shape}")
    return np.ascontiguousarray(np.broadcast_to(given, len(matrix)))
