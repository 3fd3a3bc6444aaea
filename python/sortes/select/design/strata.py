"""Stratified samples: how many units of each stratum, which ones, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of, vector_of
from sortes._check import COUNT, Count, Domain, items, one_of
from sortes._columns import refuse_missing
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.select.design.sample import DesignSample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


@dataclass(frozen=True, eq=False)
class StratifiedSample(DesignSample):
    """The units that were chosen from strata.

    Attributes
    ----------
    indices : ndarray of int64, shape (m,)
        The chosen units, ascending.
    weights : ndarray of float64, shape (m,)
        How many units of its stratum each stands for.
    design : "stratified"
        What `estimate` takes the variance from.
    strata : ndarray of int64, shape (m,)
        The stratum of each chosen unit, as an index into `labels`.
    labels : ndarray, shape (H,)
        The strata, ascending.
    sizes : ndarray of int64, shape (H,)
        How many units each stratum has.
    counts : ndarray of int64, shape (H,)
        How many of them were chosen.
    """

    strata: NDArray[np.int64]
    labels: NDArray[Any]
    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]

    def estimate(self, values: ArrayLike) -> Estimate:
        """Estimate the total over all units from the chosen ones, without bias.

        Parameters
        ----------
        values : array_like, shape (m,)
            The values of the chosen units, in the order of `indices`.

        Returns
        -------
        Estimate
            The total and its standard error: those of `stratified_mean` times the number of units.

        Raises
        ------
        ValueError
            If there is not one finite value for each chosen unit, or a stratum has none.
        TypeError
            If `values` does not hold real numbers.

        Examples
        --------
        >>> from sortes.select import stratified_sample
        >>> sample = stratified_sample(["a", "b", "a", "b"], 4, rng=0)
        >>> sample.estimate([1, 2, 3, 4])
        Estimate(value=10.0, stderr=0.0)
        """
        value, stderr = self.mean(values)
        units = float(self.sizes.sum(dtype=np.float64))
        return Estimate(value * units, stderr * units) if units else Estimate(0.0, 0.0)

    def mean(self, values: ArrayLike) -> Estimate:
        """Estimate the mean over all units from the chosen ones.

        Parameters
        ----------
        values : array_like, shape (m,)
            The values of the chosen units, in the order of `indices`.

        Returns
        -------
        Estimate
            The mean and its standard error, as of `stratified_mean`.

        Raises
        ------
        ValueError
            If there is not one finite value for each chosen unit, or a stratum has none.
        TypeError
            If `values` does not hold real numbers.

        Examples
        --------
        >>> from sortes.select import stratified_sample
        >>> sample = stratified_sample(["a", "b", "a", "b"], 4, rng=0)
        >>> sample.mean([1, 2, 3, 4])
        Estimate(value=2.5, stderr=0.0)
        """
        return stratified_mean(self._values(values), self.strata, self.sizes)


def allocate(
    shares: ArrayLike,
    m: Count,
    caps: ArrayLike | None = None,
    *,
    min_per_stratum: Count = 0,
    progress: Progress = None,
) -> NDArray[np.int64]:
    r"""Share out whole units in proportion to shares.

    Parameters
    ----------
    shares : array_like, shape (H,)
        What the counts are in proportion to: not negative.
    m : int
        How many units there are to share out.
    caps : array_like of int, shape (H,), optional
        The most that each stratum may get.
    min_per_stratum : int, default 0
        The least that each stratum gets, or its cap if that is less.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of int64, shape (H,)
        The counts. They sum to `m`, unless all strata with a positive share are full or there are
        none.

    Raises
    ------
    ValueError
        If a share or cap is negative, a share is not finite, `m` exceeds 2**40, or the minima need
        more than `m`.
    TypeError
        If an argument holds something else than numbers.

    Notes
    -----
    Strata whose ideal count $m\, s_h / \sum s$ would break a bound are held at it, and what is left
    is shared out anew among the others until none does. Then every stratum gets the whole part of
    its ideal count, and the largest remainders one more; the first stratum wins ties. $O(H)$ for
    each round; few are needed.

    Examples
    --------
    >>> from sortes.select import allocate
    >>> allocate([5, 3, 2], 7, caps=[2, 9, 9])
    array([2, 3, 2])
    """
    s, size = vector_of(shares, "shares", double=True), COUNT.check(m, "m")
    most = None if caps is None else integers_of(caps, "caps", COUNT)
    least = COUNT.check(min_per_stratum, "min_per_stratum")
    with job_of(None, progress, "allocate") as job:
        return _core.select.design.strata.allocate(s, size, most, least, job)


def neyman_allocation(
    sizes: ArrayLike,
    sds: ArrayLike,
    m: Count,
    *,
    min_per_stratum: Count = 0,
    progress: Progress = None,
) -> NDArray[np.int64]:
    r"""Share out a sample so that the variance of the stratified mean is least.

    Parameters
    ----------
    sizes : array_like of int, shape (H,)
        How many units each stratum has.
    sds : array_like, shape (H,)
        The standard deviation within each stratum, known or guessed.
    m : int
        The size of the sample.
    min_per_stratum : int, default 0
        The least that each stratum gets; one of standard deviation zero gets no more. Two are
        needed for an estimate of the variance.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of int64, shape (H,)
        The counts, at most `sizes`.

    Raises
    ------
    ValueError
        If a size or standard deviation is negative, or the minima need more than `m`.
    TypeError
        If an argument holds something else than numbers.

    Notes
    -----
    Counts in proportion to $N_h \sigma_h$ (Neyman, 1934), rounded by `allocate`.

    References
    ----------
    Neyman, "On the two different aspects of the representative method", Journal of the Royal
    Statistical Society 97, 1934.

    Examples
    --------
    >>> from sortes.select import neyman_allocation
    >>> neyman_allocation([100, 50, 10], [1, 4, 10], 20)
    array([ 5, 10,  5])
    """
    n, sigma = integers_of(sizes, "sizes", COUNT), vector_of(sds, "sds", double=True)
    size, least = COUNT.check(m, "m"), COUNT.check(min_per_stratum, "min_per_stratum")
    with job_of(None, progress, "neyman_allocation") as job:
        return _core.select.design.strata.neyman_allocation(n, sigma, size, least, job)


def stratified_sample(
    strata: ArrayLike,
    m: Count | None = None,
    *,
    allocation: Literal["proportional", "neyman"] | ArrayLike = "proportional",
    sds: ArrayLike | None = None,
    min_per_stratum: Count = 0,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> StratifiedSample:
    r"""Draw a simple random sample of each stratum.

    Parameters
    ----------
    strata : array_like, shape (n,)
        The label of the stratum of each unit: integers, strings, anything that sorts; none missing
        (None, NA, NaT, NaN).
    m : int, optional
        The size of the sample: it is smaller if strata whose standard deviation is not zero have
        fewer units. Not needed if `allocation` holds counts.
    allocation : {"proportional", "neyman"} or array_like of int, shape (H,)
        In proportion to the sizes of the strata; to sizes times standard deviations; or the counts
        themselves, for the labels in ascending order.
    sds : array_like, shape (H,), optional
        The standard deviations within the strata, for ``"neyman"`` alone.
    min_per_stratum : int, default 0
        The least that each stratum gets, or all of it if it has fewer units; not for counts.
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
    StratifiedSample
        The chosen units, their weights, and what is known of the strata.

    Raises
    ------
    ValueError
        If `m` exceeds the number of units, counts exceed sizes, a label is missing (None, NaN), or
        an argument is missing or not used.
    TypeError
        If `m` or counts are not integers, or labels cannot be sorted.

    Notes
    -----
    Within a stratum of $N_h$ units every set of $n_h$ is equally likely; strata are independent.
    One pass: a unit is taken with the probability that is left, units wanted by units to come.
    $O(n)$, after a sort of the labels unless these are small integers.

    Examples
    --------
    >>> from sortes.select import stratified_sample
    >>> sample = stratified_sample(["a", "b", "a", "b", "b", "b"], 3, rng=0)
    >>> sample.labels, sample.counts
    (array(['a', 'b'], dtype='<U1'), array([1, 2]))
    """
    codes, labels, sizes = _strata(strata)
    counts = _allocation(allocation, sizes, m, sds, min_per_stratum)
    with job_of(num_threads, progress, "stratified_sample") as job:
        chosen = _core.select.design.strata.stratified(codes, counts, as_stream(rng, step), job)
    own = codes[chosen]
    weights = (sizes / np.maximum(counts, 1))[own]
    return StratifiedSample(chosen, weights, "stratified", own, labels, sizes, counts)


def stratified_mean(values: ArrayLike, strata: ArrayLike, sizes: ArrayLike) -> Estimate:
    r"""Estimate the mean of a population from a stratified sample.

    Parameters
    ----------
    values : array_like, shape (m,)
        The values of the chosen units.
    strata : array_like of int, shape (m,)
        The stratum of each, in [0, H).
    sizes : array_like of int, shape (H,)
        How many units each stratum has.

    Returns
    -------
    Estimate
        The mean and its standard error, NaN where a stratum has a single value and more units; both
        are NaN if there are no units at all.

    Raises
    ------
    ValueError
        If shapes differ, a value is not finite, or a stratum that is not empty has no value.
    TypeError
        If an argument holds something else than numbers.

    Notes
    -----
    The mean is $\sum_h N_h \bar y_h / N$; its variance, the square of the standard error, is
    $\sum_h (N_h / N)^2 (1 - n_h / N_h) s_h^2 / n_h$ with the unbiased $s_h^2$ within the stratum.
    Both are unbiased.

    Examples
    --------
    >>> from sortes.select import stratified_mean
    >>> values, strata = [1, 3, 2, 10, 14], [0, 0, 0, 1, 1]
    >>> value, stderr = stratified_mean(values, strata, [30, 10])
    >>> value, round(stderr, 4)
    (4.5, 0.6072)
    """
    y, most = vector_of(values, "values", double=True), integers_of(sizes, "sizes", COUNT)
    h = integers_of(strata, "strata", Domain(f"[0, {most.size})", integer=True))
    if h.shape != y.shape:
        raise ValueError(f"strata: must have shape {y.shape}, got {h.shape}")
    items(np.isfinite(y), y, "values", "is not finite")
    n = np.bincount(h, minlength=most.size)
    for bad in np.flatnonzero((n == 0) & (most > 0)).tolist():
        raise ValueError(f"values: stratum {bad} has {most[bad]} units but no value")
    for bad in np.flatnonzero(n > most).tolist():
        raise ValueError(f"values: stratum {bad} has {most[bad]} units but {n[bad]} values")
    units = most.sum(dtype=np.float64)
    if units == 0:
        return Estimate(math.nan, math.nan)
    share = most / units
    means = np.bincount(h, y, most.size) / np.maximum(n, 1)
    squares = np.bincount(h, (y - means[h]) ** 2, most.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(n == most, 0.0, (1 - n / most) * squares / (n - 1) / n)
    variance = float((share**2 * np.where(np.isinf(spread), math.nan, spread)).sum())
    return Estimate(float(share @ means), math.sqrt(variance))


def _allocation(
    allocation: Any, sizes: NDArray[np.int64], m: Any, sds: Any, min_per_stratum: Any
) -> NDArray[np.int64]:
    """Return how many units each stratum gets."""
    if isinstance(allocation, str):
        one_of(allocation, "allocation", ("proportional", "neyman"))
        counts = None
    else:
        counts = integers_of(allocation, "allocation", COUNT)
        if counts.shape != sizes.shape:
            raise ValueError(f"allocation: must have shape {sizes.shape}, got {counts.shape}")
    if (sds is not None) != (counts is None and allocation == "neyman"):
        raise ValueError("sds: must be given for allocation='neyman', and for no other allocation")
    size = None if m is None else COUNT.check(m, "m")
    least = COUNT.check(min_per_stratum, "min_per_stratum")
    if counts is not None:
        if least:
            raise ValueError("min_per_stratum: must be 0 where allocation holds counts")
        if size is not None and size != (total := counts.sum()):
            raise ValueError(f"m: must be the sum of the counts, {total}, got {m}")
        return counts
    if size is None:
        raise ValueError("m: must be given unless allocation holds counts")
    if size > (units := sizes.sum()):
        raise ValueError(f"m: must be at most the number of units, {units}, got {m}")
    if sds is not None:
        return neyman_allocation(sizes, sds, size, min_per_stratum=least)
    return allocate(sizes, size, sizes, min_per_stratum=least)


def _strata(
    strata: ArrayLike,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Return the code of each unit, the labels, and the sizes of the strata."""
    given = host(strata, "strata", None)
    if given.ndim != 1:
        raise ValueError(f"strata: must have shape (n,), got {given.shape}")
    refuse_missing(given, "strata")
    if given.dtype.kind in "iu" and given.size and given.min() >= 0 and given.max() < given.size:
        codes = integers_of(given, "strata")
        sizes = np.bincount(codes)
        there = np.flatnonzero(sizes)
        if there.size < sizes.size:
            codes, sizes = (np.cumsum(sizes > 0) - 1)[codes], sizes[there]
        return codes, there.astype(given.dtype), sizes
    try:
        labels, inverse = np.unique(given, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"strata: must hold labels that can be sorted: {error}") from None
    codes = integers_of(inverse.reshape(-1), "strata")
    return codes, labels, np.bincount(codes, minlength=labels.size)
