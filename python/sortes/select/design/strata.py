"""Stratified samples: how many units of each stratum, which ones, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sortes import _core
from sortes._arrays import host, ids_of, vector_of
from sortes._check import count, items, one_of
from sortes._estimate import Estimate
from sortes._rng import as_stream
from sortes.select.design.inclusion import DesignSample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

_NO_CAP = 2**62


@dataclass(frozen=True, eq=False)
class StratifiedSample(DesignSample):
    """The units that were chosen from strata.

    Attributes
    ----------
    indices : ndarray of int64, shape (m,)
        The chosen units, ascending.
    weights : ndarray of float64, shape (m,)
        How many units of its stratum each stands for.
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
            If there is not one value for each chosen unit, or a stratum has none.
        """
        return stratified_mean(values, self.strata, self.sizes)


def allocate(
    shares: ArrayLike,
    m: int,
    caps: ArrayLike | None = None,
    *,
    min_per_stratum: int = 0,
    method: Literal["largest_remainder"] = "largest_remainder",
) -> NDArray[np.int64]:
    r"""Share out whole units in proportion to shares.

    Parameters
    ----------
    shares : array_like, shape (H,)
        What the counts are to be proportional to: not negative.
    m : int
        How many units there are to share out.
    caps : array_like of int, shape (H,)
        The most that each stratum may get.
    min_per_stratum : int
        The least that each stratum gets, or its cap if that is less.
    method : {"largest_remainder"}
        How fractions are rounded.

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
    Strata whose ideal count :math:`m\, s_h / \sum s` would break a bound are held at it, and what
    is left is shared out anew among the others until none does. Then every stratum gets the whole
    part of its ideal count, and the largest remainders one more; the first stratum wins ties.

    Examples
    --------
    >>> from sortes.select import allocate
    >>> allocate([5, 3, 2], 7, caps=[2, 9, 9])
    array([2, 3, 2])
    """
    one_of(method, "method", ("largest_remainder",))
    s = vector_of(shares, "shares", double=True)
    most = _counts(caps, "caps", s.size)
    least = np.full(s.size, count(min_per_stratum, "min_per_stratum"), np.int64)
    return _core.select.design.allocate(s, count(m, "m"), least, most)


def neyman_allocation(
    sizes: ArrayLike, sds: ArrayLike, m: int, min_per_stratum: int = 0
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
    min_per_stratum : int
        The least that each stratum gets; one of standard deviation zero gets no more. Two are
        needed for an estimate of the variance.

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
    Counts in proportion to :math:`N_h \sigma_h`, rounded by `allocate`. Neyman, "On the two
    different aspects of the representative method", Journal of the Royal Statistical Society 97
    (1934).

    Examples
    --------
    >>> from sortes.select import neyman_allocation
    >>> neyman_allocation([100, 50, 10], [1, 4, 10], 20)
    array([ 5, 10,  5])
    """
    most = _counts(sizes, "sizes")
    sigma = vector_of(sds, "sds", double=True)
    if sigma.shape != most.shape:
        raise ValueError(f"sds: must have shape {most.shape}, got {sigma.shape}")
    items((sigma >= 0) & np.isfinite(sigma), sigma, "sds", "is negative or not finite")
    # Relative to the largest, so that products stay in range.
    relative = sigma / (sigma.max(initial=0.0) or 1.0)
    return allocate(most * relative, m, most, min_per_stratum=min_per_stratum)


def stratified_sample(
    strata: ArrayLike,
    m: int | None = None,
    *,
    allocation: Literal["proportional", "neyman"] | ArrayLike = "proportional",
    sds: ArrayLike | None = None,
    min_per_stratum: int = 0,
    rng: Rng = None,
) -> StratifiedSample:
    r"""Draw a simple random sample of each stratum.

    Parameters
    ----------
    strata : array_like, shape (n,)
        The label of the stratum of each unit: integers, strings, anything that sorts.
    m : int
        The size of the sample: it is smaller if strata whose standard deviation is not zero have
        fewer units. Not needed if `allocation` holds counts.
    allocation : {"proportional", "neyman"} or array_like of int, shape (H,)
        In proportion to the sizes of the strata; to sizes times standard deviations; or the counts
        themselves, for the labels in ascending order.
    sds : array_like, shape (H,)
        The standard deviations within the strata, for ``"neyman"``.
    min_per_stratum : int
        The least that each stratum gets, or all of it if it has fewer units; not for counts.
    rng : Rng
        The source of randomness.

    Returns
    -------
    StratifiedSample
        The chosen units, their weights, and what is known of the strata.

    Raises
    ------
    ValueError
        If `m` exceeds the number of units, counts exceed sizes, or an argument is missing.
    TypeError
        If `m` or counts are not integers.

    Notes
    -----
    Within a stratum of :math:`N_h` units every set of :math:`n_h` is equally likely; strata are
    independent. One pass: a unit is taken with the probability that is left, units wanted by units
    to come. :math:`O(n)`, after a sort of the labels unless these are small integers.

    Examples
    --------
    >>> from sortes.select import stratified_sample
    >>> sample = stratified_sample(["a", "b", "a", "b", "b", "b"], 3, rng=0)
    >>> sample.labels, sample.counts
    (array(['a', 'b'], dtype='<U1'), array([1, 2]))
    """
    codes, labels, sizes = _strata(strata)
    if isinstance(allocation, str):
        if allocation not in ("proportional", "neyman"):
            raise ValueError(
                f"allocation: must be 'proportional', 'neyman' or counts, got {allocation!r}"
            )
        if m is None:
            raise ValueError("m: must be given unless allocation holds counts")
        if count(m, "m") > codes.size:
            raise ValueError(f"m: must be at most the number of units, {codes.size}, got {m}")
        if allocation == "neyman":
            if sds is None:
                raise ValueError("sds: must be given for allocation='neyman'")
            counts = neyman_allocation(sizes, sds, m, min_per_stratum)
        else:
            counts = allocate(sizes, m, sizes, min_per_stratum=min_per_stratum)
    else:
        counts = _counts(allocation, "allocation", labels.size)
        if m is not None and count(m, "m") != counts.sum():
            raise ValueError(f"m: must be the sum of the counts, {counts.sum()}, got {m}")
    stream = as_stream(rng)
    chosen = _core.select.design.stratified(codes, counts, stream.key, stream.step)
    own = codes[chosen]
    return StratifiedSample(
        chosen, (sizes / np.maximum(counts, 1))[own], own, labels, sizes, counts
    )


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
    The mean is :math:`\sum_h N_h \bar y_h / N`; its variance, the square of the standard error, is
    :math:`\sum_h (N_h / N)^2 (1 - n_h / N_h) s_h^2 / n_h` with the unbiased :math:`s_h^2` within
    the stratum. Both are unbiased.

    Examples
    --------
    >>> from sortes.select import stratified_mean
    >>> values, strata = [1, 3, 2, 10, 14], [0, 0, 0, 1, 1]
    >>> value, stderr = stratified_mean(values, strata, [30, 10])
    >>> value, round(stderr, 4)
    (4.5, 0.6072)
    """
    y, h, most = (
        vector_of(values, "values", double=True),
        ids_of(strata, "strata"),
        _counts(sizes, "sizes"),
    )
    if h.shape != y.shape:
        raise ValueError(f"strata: must have shape {y.shape}, got {h.shape}")
    items((h >= 0) & (h < most.size), h, "strata", f"is not in [0, {most.size})")
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


def _counts(x: ArrayLike | None, name: str, size: int | None = None) -> NDArray[np.int64]:
    if x is None:
        return np.full(size or 0, _NO_CAP, np.int64)
    counts = ids_of(x, name)
    if size is not None and counts.size != size:
        raise ValueError(f"{name}: must have shape ({size},), got {counts.shape}")
    items(counts >= 0, counts, name, "is negative")
    return counts


def _strata(
    strata: ArrayLike,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Return the code of each unit, the labels, and the sizes of the strata."""
    given = host(strata, "strata", None)
    if given.ndim != 1:
        raise ValueError(f"strata: must have 1 dimension, got shape {given.shape}")
    if given.dtype.kind in "fcmM" and (missing := np.isnan(given)).any():
        bad = int(missing.argmax())
        raise ValueError(f"strata: item {bad} is {given[bad]}")
    if given.dtype.kind in "iu" and given.size and given.min() >= 0 and given.max() < given.size:
        codes = ids_of(given, "strata")
        sizes = np.bincount(codes)
        there = np.flatnonzero(sizes)
        if there.size < sizes.size:
            codes, sizes = (np.cumsum(sizes > 0) - 1)[codes], sizes[there]
        return codes, there.astype(given.dtype), sizes
    try:
        labels, inverse = np.unique(given, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"strata: must hold labels that can be sorted: {error}") from None
    codes = ids_of(inverse.reshape(-1), "strata")
    return codes, labels, np.bincount(codes, minlength=labels.size)
