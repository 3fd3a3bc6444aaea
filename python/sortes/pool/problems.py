"""Means over problems, and how many samples or problems they need."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Domain, Positive
from sortes._progress import job_of
from sortes.pool._shapes import SAMPLES, estimates_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._estimate import Estimate, Estimates

#: What share of intervals is to hold the truth.
LEVEL: Final = Domain("(0, 1)")
_MOST: Final = 2**53
#: Over an interval of such a level the normal density is flat, to a relative error below 3e-11.
_SMALL: Final = 1e-5


def average(
    values: ArrayLike,
    *,
    variances: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Estimate | Estimates:
    r"""Average over problems, with the standard error of the mean.

    Parameters
    ----------
    values : array_like, shape (P,) or (P, K)
        A value of each problem, or several: `pass_at_k`, `max_at_k`, `majority_at_k`.
    variances : array_like, optional
        Their variances if the samples were drawn again, such as `pass_at_k_variance`, in the shape
        of `values`. The standard error is then that of a rerun on the same problems.
    groups : array_like of int, shape (P,), optional
        Which problems belong together, such as questions on one text, and differ less than others.

    Returns
    -------
    Estimate or Estimates, shape () or (K,)
        The means and their standard errors.

    Raises
    ------
    ValueError
        If there are no problems, a value is not finite, a variance negative or not finite, the
        shapes differ, or both `variances` and `groups` are given.
    TypeError
        If an argument does not hold numbers, or `groups` integers.

    Notes
    -----
    There are two questions. *Would other problems of this kind give the same?* The problems are a
    sample, and the standard error is $s / \sqrt P$ with the standard deviation $s$ of the values:
    both the choice of problems and that of their samples are in it. With groups it is
    $\sqrt{\tfrac{G}{G-1} \sum_g (\sum_{i \in g} (v_i - \bar v))^2} / P$ (Miller 2024); NaN for one
    problem or one group. *Would other samples of these problems?* Give `variances`: then it is
    $\sqrt{\sum_i V_i} / P$, which is smaller.

    References
    ----------
    Miller, "Adding error bars to evals: a statistical approach to language model evaluations",
    2024, arXiv:2411.00640.

    Examples
    --------
    >>> from sortes.pool import average, pass_at_k, pass_at_k_variance
    >>> n, c = 10, [0, 3, 10, 7]
    >>> value, stderr = average(pass_at_k(n, c, 1))
    >>> round(value, 3), round(stderr, 3)
    (0.5, 0.22)
    >>> variances = pass_at_k_variance(n, c, 1)
    >>> value, rerun = average(pass_at_k(n, c, 1), variances=variances)
    >>> round(rerun, 3)
    0.054
    """
    x = _finite(values, "values")
    problems, shape = len(x), x.shape[1:]
    if variances is not None:
        spread = _finite(variances, "variances")
        if spread.shape != x.shape:
            raise ValueError(f"variances: must have shape {x.shape}, got {spread.shape}")
        if (spread < 0).any():
            raise ValueError(f"variances: must not be negative, got {spread[spread < 0][0]}")
        if groups is not None:
            raise ValueError("groups: must not be given with variances, which keep the problems")
        stderr = np.sqrt(spread.sum(0)) / problems
    else:
        left = x - x.mean(0)
        if groups is not None:
            labels = np.unique(integers_of(groups, "groups", n=problems), return_inverse=True)[1]
            left = np.stack(
                [np.bincount(labels, column) for column in left.reshape(problems, -1).T]
            )
            left = left.T.reshape(-1, *shape)
        count = len(left)
        factor = count / (count - 1) if count > 1 else math.nan
        stderr = np.sqrt(factor * np.square(left).sum(0)) / problems
    return estimates_of(np.atleast_1d(x.mean(0)), np.atleast_1d(stderr), shape)


def samples_needed(
    width: Positive,
    n: ArrayLike,
    c: ArrayLike,
    k: AtLeastOne = 1,
    *,
    level: Annotated[float, LEVEL] = 0.95,
) -> int:
    r"""Find how many samples of each problem give pass@k of these problems to a given width.

    Parameters
    ----------
    width : float
        The whole width that the confidence interval of the mean may have: 0.02 is one point up and
        one down.
    n : int or array_like of int, shape (P,)
        How many samples of each problem a pilot has: at least ``2 k``.
    c : array_like of int, shape (P,)
        How many of them are right.
    k : int, default 1
        The `k` of pass@k.
    level : float, default 0.95
        How often the interval must hold the truth, in (0, 1).

    Returns
    -------
    int
        The least number of samples of each problem, at least `k`.

    Raises
    ------
    ValueError
        If `width` or `level` is out of range, `n` is below ``2 k``, `c` is not in [0, `n`], the
        lengths differ, or no problem of the pilot has right and wrong samples.
    TypeError
        If an argument is of another kind.

    See Also
    --------
    problems_needed : If the problems are a sample as well.

    Notes
    -----
    The variance of `pass_at_k` with $N$ samples is $\sum_j h_N(j) (q^{2k-j} - q^{2k})$, where $q$
    is the chance of a wrong sample and $h_N(j)$ that of two subsets of `k` to share $j$ of $N$
    samples. The powers of $q$ have unbiased estimates from the pilot, and so has the variance for
    every $N$. The interval is the normal one, of width $2 z \sqrt{\sum_i V_i} / P$.

    Examples
    --------
    >>> from sortes.pool import samples_needed
    >>> samples_needed(0.05, 20, [0, 3, 20, 9, 1] * 20)
    6
    """
    width, level, k = POSITIVE.check(width, "width"), LEVEL.check(level, "level"), _k(k)
    samples, right = _pilot(n, c, k)
    shares = _overlaps(samples, right, k)
    if not shares.any():
        raise ValueError("c: no problem of the pilot has both right and wrong samples")
    wanted = _variance(width, level) * len(right)
    if _within(shares, _MOST) > wanted:
        raise _too_many("samples", width)
    low, high = k, _MOST
    while low < high:
        middle = (low + high) // 2
        if _within(shares, middle) <= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def problems_needed(
    width: Positive,
    n: ArrayLike,
    c: ArrayLike,
    k: AtLeastOne = 1,
    *,
    samples: AtLeastOne | None = None,
    level: Annotated[float, LEVEL] = 0.95,
) -> int:
    r"""Find how many problems of a kind give their mean pass@k to a given width.

    Parameters
    ----------
    width : float
        The whole width that the confidence interval of the mean may have.
    n : int or array_like of int, shape (P,)
        How many samples of each problem a pilot of at least two problems has: at least ``2 k``.
    c : array_like of int, shape (P,)
        How many of them are right.
    k : int, default 1
        The `k` of pass@k.
    samples : int, optional
        How many samples of each problem there will be, at least `k`; as in the pilot unless given.
    level : float, default 0.95
        How often the interval must hold the truth, in (0, 1).

    Returns
    -------
    int
        The least number of problems, at least 1.

    Raises
    ------
    ValueError
        If `width`, `level` or `samples` is out of range, `n` is below ``2 k``, `c` is not in [0,
        `n`], the lengths differ, or the problems of the pilot do not differ.
    TypeError
        If an argument is of another kind.

    Notes
    -----
    The variance of a problem's value is that of its chance over the problems, plus that of its
    samples (see `samples_needed`). The pilot gives the sum, and the second part for any number of
    samples; the first, which more samples do not reduce, is the difference, at least zero. The
    interval has the width $2 z \sqrt{V / P}$.

    Examples
    --------
    >>> from sortes.pool import problems_needed
    >>> pilot = 20, [0, 3, 20, 9, 1] * 20
    >>> problems_needed(0.05, *pilot), problems_needed(0.05, *pilot, samples=1)
    (849, 1368)
    """
    width, level, k = POSITIVE.check(width, "width"), LEVEL.check(level, "level"), _k(k)
    counts, right = _pilot(n, c, k)
    if len(right) < 2:
        raise ValueError(f"c: the pilot must have at least two problems, got {len(right)}")
    total = float(np.var(_rows("any", counts, right, k), ddof=1))
    if samples is not None:
        samples = SAMPLES.check(samples, "samples")
        if samples < k:
            raise ValueError(f"samples: must be at least k, which is {k}, got {samples}")
        own = float(_rows("variance", counts, right, k).mean())
        total = max(total - own, 0.0) + _within(_overlaps(counts, right, k), samples)
    if total == 0:
        raise ValueError("c: the problems of the pilot do not differ")
    wanted = _variance(width, level)
    if total > wanted * _MOST:
        raise _too_many("problems", width)
    return max(math.ceil(total / wanted), 1)


def _finite(x: Any, name: str) -> NDArray[np.float64]:
    array: NDArray[np.float64] = host(x, name).astype(np.float64)
    if array.ndim not in (1, 2) or not len(array):
        raise ValueError(f"{name}: must have shape (P,) or (P, K), got {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        row = bad[0]
        raise ValueError(f"{name}: row {row[0]}: must be in (-inf, inf), got {array[tuple(row)]}")
    return array


def _k(k: int) -> int:
    return AT_LEAST_1.check(k, "k")  # type: ignore[no-any-return]


def _pilot(n: Any, c: Any, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts of a pilot, which the kernels check but for this."""
    right = integers_of(c, "c")
    samples = integers_of(n, "n", SAMPLES, n=right.size)
    if not right.size:
        raise ValueError("c: the pilot must have at least one problem")
    few = samples < 2 * k
    if few.any():
        at = int(np.argmax(few))
        raise ValueError(f"n: item {at} must be at least 2 k, which is {2 * k}, got {samples[at]}")
    return samples, right


def _rows(what: str, n: NDArray[np.int64], c: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    with job_of(None, None) as job:
        return _core.pool.passes.rows(what, n, c, np.array([k], np.int64), job)


def _overlaps(n: NDArray[np.int64], c: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Return the means over problems of the covariance of two subsets that share j samples."""
    _rows("any", n, c, k)  # checks the counts
    shares = np.zeros(k + 1)
    for j in range(1, k + 1):
        # All of one and those of the other that are not shared are wrong, but not the last j: the
        # difference of two chances that may be nearly one.
        first = 2 * k - j
        others = n - first
        none = _rows("all", n, n - c, first)
        shares[j] = (none * _rows("any", others, np.minimum(c, others), j)).mean()
    return shares


def _within(shares: NDArray[np.float64], samples: int) -> float:
    """Return the mean variance of pass@k over sets of samples."""
    k = len(shares) - 1
    least = max(0, 2 * k - samples)
    j = np.arange(least, k, dtype=np.float64)
    # The law of the overlap of two subsets, from the quotients of neighbours.
    steps = np.log((k - j) ** 2) - np.log(j + 1) - np.log(samples - 2 * k + j + 1)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    law = np.exp(logs - logs.max())
    return float(law @ shares[least:] / law.sum())


def _variance(width: float, level: float) -> float:
    """Return the variance of a mean whose interval has a width; it may be infinite, or zero."""
    if level <= _SMALL:
        z = level * math.sqrt(math.pi / 2)
    else:
        z = -NormalDist().inv_cdf((1 - level) / 2)
    deviation = width / (2 * z)
    return deviation * deviation


def _too_many(what: str, width: float) -> ValueError:
    return ValueError(f"width: more than 2**53 {what} would be needed, got {width}")
