"""Asserts that a sample has the law that it should have.

Every test here has the level `alpha`, 1e-6 unless told otherwise: a set of 500 tests with new seeds
raises a false alarm with a chance below 5e-4. Seeds are fixed, so a test that passes once passes
for ever; there are no retries, and a red test is a bug or a wrong target until it is explained.

What decides how many draws are enough is power. An error ``d`` in a probability ``p`` is seen with
a chance of 99 % from ``n = 52.1 p (1 - p) / d**2`` draws on: 130,249 draws for p = 0.5, d = 0.01.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

ALPHA = 1e-6
ENOUGH = 100  # draws a cell must expect for the chi-square law to hold at this level
BINS = 100


def assert_law(counts: ArrayLike, p: ArrayLike, *, alpha: float = ALPHA) -> None:
    """Assert that `counts` is a sample of the law `p`.

    A chi-square test over cells that expect 100 draws or more. Rarer cells are merged, the most
    probable first, until they do; what is left at the end gets an exact binomial test. A draw in a
    cell of probability zero fails at once.

    Parameters
    ----------
    counts : array_like of int, shape (m,)
        How often each outcome was drawn.
    p : array_like of float, shape (m,)
        The probabilities; they sum to one.
    alpha
        The chance that a sample of the right law fails.

    Raises
    ------
    AssertionError
        If the sample does not have the law; the message says where.
    ValueError
        If the input is not a sample and a law, or the sample is too small to test anything.

    Examples
    --------
    >>> assert_law([5_010, 2_480, 2_510, 0], [0.5, 0.25, 0.25, 0.0])
    >>> assert_law([5_510, 2_230, 2_260, 0], [0.5, 0.25, 0.25, 0.0])
    Traceback (most recent call last):
        ...
    AssertionError: chi-square over 3 cells: n = 10000, statistic 104.2 > critical 29.02 \
(alpha = 5e-07); worst cell 0: got 5510, expected 5000.0
    """
    observed = _counts(counts, "counts")
    p = np.asarray(p, np.float64)
    if p.shape != observed.shape:
        raise ValueError(f"p: must have shape {observed.shape}, got {p.shape}")
    if not (np.all(p >= 0) and abs(p.sum() - 1) <= 1e-9):
        raise ValueError(f"p: must be non-negative and sum to 1, got a sum of {p.sum()}")
    n = int(observed.sum())

    impossible = np.flatnonzero((p == 0) & (observed > 0))
    if impossible.size:
        worst = impossible[np.argmax(observed[impossible])]
        raise AssertionError(
            f"impossible outcomes: n = {n}, statistic {int(observed[impossible].sum())} draws > "
            f"critical 0; worst cell {worst}: got {observed[worst]}, expected 0"
        )
    if np.count_nonzero(p) == 1:
        return

    cells = _merge(n * p)
    if len(cells.common) + bool(cells.rest.size) < 2:
        raise ValueError(f"counts: {n} draws are too few, fewer than two cells expect {ENOUGH}")
    alpha /= 2  # at most two tests
    if cells.rest.size:
        hits, chance = int(observed[cells.rest].sum()), float(p[cells.rest].sum())
        _rare(hits, n, chance, int(cells.rest[0]), alpha)
    if len(cells.common) > 1:
        # Given the draws in the rest, the others have the law p restricted to their cells.
        got, mass = cells.sums(observed), cells.sums(p)
        _chi_square(got, got.sum() * mass / mass.sum(), cells.names, len(got) - 1, alpha)


def assert_cdf(
    sample: ArrayLike,
    cdf: Callable[[NDArray[np.float64]], ArrayLike],
    *,
    alpha: float = ALPHA,
) -> None:
    """Assert that a sample of real numbers has the continuous distribution function `cdf`.

    A Kolmogorov-Smirnov test, which sees shifts in the middle, and a chi-square test on
    100 equiprobable bins (fewer below 10,000 draws), which sees the tails; half of `alpha` each.

    Parameters
    ----------
    sample : array_like of float, shape (n,)
        The draws, at least 200.
    cdf : callable
        Maps an array of draws to their probabilities of being not exceeded.
    alpha
        The chance that a sample of the right law fails.

    Raises
    ------
    AssertionError
        If the sample does not have the law; the message says where.
    ValueError
        If the sample is too small.

    Examples
    --------
    >>> assert_cdf((np.arange(1000) + 0.5) / 1000, lambda x: x)
    """
    x = np.sort(np.asarray(sample, np.float64).ravel())
    n = x.size
    if n < 2 * ENOUGH:
        raise ValueError(f"sample: must hold at least {2 * ENOUGH} draws, got {n}")
    u = np.asarray(cdf(x), np.float64)
    outside = ~((u >= 0) & (u <= 1))  # NaN is outside as well
    if outside.any():
        raise AssertionError(
            f"draws outside the law: n = {n}, statistic {outside.sum()} draws > critical 0; "
            f"worst cell {x[outside][0]}: cdf {u[outside][0]}"
        )

    alpha /= 2
    above, below = np.arange(1, n + 1) / n - u, u - np.arange(n) / n
    distance = np.maximum(above, below)
    worst = int(np.argmax(distance))
    critical = float(stats.kstwo.isf(alpha, n))
    assert distance[worst] <= critical, (
        f"Kolmogorov-Smirnov: n = {n}, statistic {distance[worst]:.4g} > critical {critical:.4g} "
        f"(alpha = {alpha:g}); worst cell {x[worst]:.6g}: "
        f"got {(worst + 1) / n:.6g}, expected {u[worst]:.6g}"
    )

    bins = min(BINS, n // ENOUGH)
    got = np.bincount(np.minimum((u * bins).astype(int), bins - 1), minlength=bins)
    names = [f"[{i / bins:g}, {(i + 1) / bins:g})" for i in range(bins)]
    _chi_square(got, np.full(bins, n / bins), names, bins - 1, alpha)


def assert_mean(x: ArrayLike, mu: float, var: float | None = None, *, alpha: float = ALPHA) -> None:
    """Assert that `x` is a sample with mean `mu`.

    A two-sided z-test. It relies on the central limit theorem far in the tails: give 100,000 values
    of a bounded or light-tailed quantity, or means of batches of a skewed one.

    Parameters
    ----------
    x : array_like of float, shape (n,)
        The values, at least two.
    mu
        The mean that they should have.
    var
        Their variance, if it is known; otherwise that of the sample is used.
    alpha
        The chance that a sample of the right mean fails.

    Raises
    ------
    AssertionError
        If the mean is another one.
    ValueError
        If there are fewer than two values.

    Examples
    --------
    >>> assert_mean([1.0, 2.0, 3.0, 4.0], 2.5)
    """
    x = np.asarray(x, np.float64).ravel()
    n = x.size
    if n < 2:
        raise ValueError(f"x: must hold at least two values, got {n}")
    mean = float(x.mean())
    error = float(np.sqrt((x.var(ddof=1) if var is None else var) / n))
    z = abs(mean - mu) / error if error > 0 else 0.0 if mean == mu else np.inf
    critical = float(stats.norm.isf(alpha / 2))
    furthest = int(np.argmax(np.abs(x - mu)))
    assert z <= critical, (
        f"mean: n = {n}, statistic |z| = {z:.4g} > critical {critical:.4g} (alpha = {alpha:g}); "
        f"got {mean:.6g}, expected {mu:.6g} +- {error:.2g}; "
        f"worst cell {furthest}: {x[furthest]:.6g}"
    )


def assert_same_law(a: ArrayLike, b: ArrayLike, *, alpha: float = ALPHA) -> None:
    """Assert that two samples come from one law, whatever it is.

    A chi-square test of homogeneity over cells that expect 100 draws or more in the smaller sample;
    rarer cells are merged until they do, and what is left gets Fisher's exact test.

    Parameters
    ----------
    a, b : array_like of int, shape (m,)
        How often each outcome was drawn in the one sample and in the other.
    alpha
        The chance that two samples of one law fail.

    Raises
    ------
    AssertionError
        If the laws differ; the message says where.
    ValueError
        If the shapes differ, or the samples are too small to test anything.

    Examples
    --------
    >>> assert_same_law([500, 300, 200], [5_100, 2_950, 1_950])
    """
    a, b = _counts(a, "a"), _counts(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"b: must have shape {a.shape}, got {b.shape}")
    n, n_a, n_b = int(a.sum() + b.sum()), int(a.sum()), int(b.sum())
    both = a + b
    if np.count_nonzero(both) == 1:
        return
    cells = _merge(both * (min(n_a, n_b) / n))
    if len(cells.common) + bool(cells.rest.size) < 2:
        raise ValueError(f"a, b: {n_a} and {n_b} draws are too few")

    alpha /= 2
    if cells.rest.size:
        rest_a, rest_b = int(a[cells.rest].sum()), int(b[cells.rest].sum())
        value = float(stats.fisher_exact([[rest_a, n_a - rest_a], [rest_b, n_b - rest_b]]).pvalue)
        assert value >= alpha, (
            f"Fisher's test of the rare outcomes: n = {n_a} and {n_b}, statistic {rest_a} against "
            f"{rest_b}, p-value {value:.3g} < critical {alpha:g}; worst cell {cells.rest[0]}"
        )
    if len(cells.common) > 1:
        got = np.stack([cells.sums(a), cells.sums(b)])
        share = got.sum(1, keepdims=True) / got.sum()
        expected = share * got.sum(0)
        _chi_square(got.ravel(), expected.ravel(), cells.names * 2, got.shape[1] - 1, alpha)


class _Cells(NamedTuple):
    """Outcomes grouped so that each group but the last expects enough draws."""

    common: list[NDArray[np.intp]]
    rest: NDArray[np.intp]

    @property
    def names(self) -> list[str]:
        return [
            str(group[0]) if group.size == 1 else f"{group[0]} and {group.size - 1} more"
            for group in self.common
        ]

    def sums(self, x: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.array([x[group].sum() for group in self.common])


def _merge(expected: NDArray[np.float64]) -> _Cells:
    order = np.argsort(-expected, kind="stable")
    order = order[expected[order] > 0]
    groups, start, mass = [], 0, 0.0
    for end, value in enumerate(expected[order], 1):
        mass += value
        if mass >= ENOUGH:
            groups.append(order[start:end])
            start, mass = end, 0.0
    return _Cells(groups, order[start:])


def _counts(x: ArrayLike, name: str) -> NDArray[np.int64]:
    counts = np.asarray(x)
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer) or np.any(counts < 0):
        raise ValueError(f"{name}: must be a vector of non-negative integers, got {x!r}")
    if counts.sum() == 0:
        raise ValueError(f"{name}: must hold at least one draw")
    return counts.astype(np.int64)


def _rare(hits: int, n: int, chance: float, cell: int, alpha: float) -> None:
    value = float(stats.binomtest(hits, n, min(chance, 1.0)).pvalue)
    assert value >= alpha, (
        f"binomial test of the rare outcomes: n = {n}, statistic {hits} draws, "
        f"p-value {value:.3g} < critical {alpha:g}; "
        f"worst cell {cell} and those rarer: got {hits}, expected {n * chance:.4g}"
    )


def _chi_square(
    got: NDArray[np.int64],
    expected: NDArray[np.float64],
    names: list[str],
    freedom: int,
    alpha: float,
) -> None:
    parts = (got - expected) ** 2 / expected
    statistic, critical = float(parts.sum()), float(stats.chi2.isf(alpha, freedom))
    worst = int(np.argmax(parts))
    assert statistic <= critical, (
        f"chi-square over {len(got)} cells: n = {int(got.sum())}, "
        f"statistic {statistic:.4g} > critical {critical:.4g} (alpha = {alpha:g}); "
        f"worst cell {names[worst]}: got {got[worst]}, expected {expected[worst]:.1f}"
    )


def count_orders(samples, orders):
    """How often each order is among the samples, one in a row; no other may be."""
    index = {order: i for i, order in enumerate(orders)}
    counts = np.zeros(len(orders) + 1, np.int64)
    unique, times = np.unique(samples, axis=0, return_counts=True)
    for sample, number in zip(unique, times, strict=True):
        counts[index.get(tuple(sample.tolist()), -1)] += number
    assert counts[-1] == 0, "an order of probability zero"
    return counts[:-1]
