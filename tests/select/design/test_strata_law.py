"""Stratified samples and masks have the law that they state."""

from collections import Counter
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from lawlib import assert_law, assert_mean
from sortes import Stream, _core
from sortes.select import (
    allocate,
    mask_weights,
    neyman_allocation,
    stratified_masks,
    stratified_mean,
    stratified_sample,
)

pytestmark = pytest.mark.law
stratified = _core.select.design.strata.stratified


def test_sets_of_strata():
    """n = 200,000: all 18 sets are equally likely. Seen red: with one unit too many to come."""
    strata, wanted = np.array([0, 1, 0, 0, 2, 1, 1, 0]), np.array([2, 1, 1])
    groups = [np.flatnonzero(strata == h).tolist() for h in range(3)]
    sets = [
        tuple(sorted(sum(parts, ())))
        for parts in product(*(combinations(g, m) for g, m in zip(groups, wanted, strict=True)))
    ]
    counts = Counter(
        tuple(stratified(strata, wanted, Stream(1, step), None).tolist()) for step in range(200_000)
    )
    assert counts.keys() <= set(sets)
    assert_law([counts[s] for s in sets], np.full(len(sets), 1 / len(sets)))


def test_mean_and_variance_are_unbiased():
    """n = 100,000."""
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [5, 8, 12])
    y, sizes, counts = rng.normal(size=25) * (1 + strata), np.array([5, 8, 12]), [2, 3, 4]
    exact = sum(
        (size / 25) ** 2 * (1 - m / size) * y[strata == h].var(ddof=1) / m
        for h, (size, m) in enumerate(zip(sizes, counts, strict=True))
    )
    wanted = np.array(counts)
    results = np.empty((100_000, 2))
    for step in range(len(results)):
        chosen = stratified(strata, wanted, Stream(1, step), None)
        values, own = y[chosen], strata[chosen]
        means = np.bincount(own, values) / wanted
        spread = np.bincount(own, (values - means[own]) ** 2) / (wanted - 1)
        results[step] = (
            means @ sizes / 25,
            ((sizes / 25) ** 2 * (1 - wanted / sizes) / wanted) @ spread,
        )
        if step < 20:
            mean, stderr = stratified_mean(values, own, sizes)
            assert (mean, stderr**2) == pytest.approx(results[step])
    assert_mean(results[:, 0], y.mean(), exact)
    assert_mean(results[:, 1], exact)


def test_stratified_sample_in_full():
    labels = np.array(["x", "z", "x", "y", "z", "z", "z", "x"])
    sample = stratified_sample(labels, allocation=[2, 1, 2], rng=0)
    assert sample.labels.tolist() == ["x", "y", "z"]
    assert sample.sizes.tolist() == [3, 1, 4]
    assert sample.counts.tolist() == [2, 1, 2]
    assert (labels[sample.indices] == sample.labels[sample.strata]).all()
    assert sample.weights.sum() == pytest.approx(8)
    assert sample.mean(np.full(5, 3.0)) == (pytest.approx(3.0), pytest.approx(0.0))
    neyman = stratified_sample(labels, 4, allocation="neyman", sds=[0, 1, 5], rng=0)
    assert neyman.counts.tolist() == [0, 0, 4]
    least = stratified_sample(
        labels, 4, allocation="neyman", sds=[0, 1, 5], min_per_stratum=1, rng=0
    )
    assert least.counts.tolist() == [1, 1, 2]


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint64, float, str])
def test_labels_of_any_kind(kind):
    labels = (np.arange(60) * 7 % 60 // 10 * 3).astype(kind)
    sample = stratified_sample(labels, 12, rng=1)
    assert sample.labels.dtype == labels.dtype
    assert sample.labels.tolist() == sorted(set(labels.tolist()))
    assert (labels[sample.indices] == sample.labels[sample.strata]).all()
    assert sample.counts.tolist() == [2] * 6
    negative = stratified_sample(-np.arange(6) // 2, 3, rng=1)
    assert negative.counts.sum() == 3


def test_allocations_stay_in_bounds():
    """Against the rule by brute force: rounding moves nobody by one or more."""
    rng = np.random.default_rng(2)
    for _ in range(500):
        strata = int(rng.integers(1, 9))
        shares = rng.exponential(size=strata) ** 3 * (rng.random(strata) < 0.8)
        caps = rng.integers(1, 30, strata)
        least = int(rng.integers(0, 3))
        m = int(rng.integers(least * strata, 100))
        counts = allocate(shares, m, caps, min_per_stratum=least)
        low = np.minimum(least, caps)
        assert ((counts >= low) & (counts <= caps)).all()
        able = np.where(shares > 0, caps, low)
        assert counts.sum() == min(m, able.sum())
        free = (counts > low) & (counts < caps)
        if free.any():  # one multiplier serves all that are not at a bound
            ideal = (counts[free] - 1) / shares[free], (counts[free] + 1) / shares[free]
            assert ideal[0].max() < ideal[1].min() * (1 + 1e-9)


def test_neyman_has_the_least_variance():
    """Exhaustively, over all allocations of 9 units to three strata."""
    sizes, sds = np.array([20, 30, 10]), np.array([1.0, 3.0, 2.0])

    def variance(counts):
        return sum((sizes * sds) ** 2 / counts)

    best = min(
        (np.array([a, b, 9 - a - b]) for a in range(1, 8) for b in range(1, 9 - a)), key=variance
    )
    assert variance(neyman_allocation(sizes, sds, 9)) == pytest.approx(variance(best))


def test_masks():
    """n = 100,000 sets of rows: given its size, a row is uniform among the masks of that size."""
    n, rows = 5, 8
    masks = np.array([stratified_masks(n, rows, rng=Stream(3, s)).masks[1:] for s in range(20_000)])
    sizes = masks.sum(2)
    for row in range(rows - 1):
        assert_law(np.bincount(sizes[:, row], minlength=n + 1), np.full(n + 1, 1 / (n + 1)))
    every = np.array([np.bincount(s, minlength=n + 1) for s in sizes])
    assert every.min() >= 1  # seven rows over six sizes
    assert every.max() <= 2
    codes = (masks @ (1 << np.arange(n))).ravel()
    law = [1 / (n + 1) / comb(n, int(code).bit_count()) for code in range(2**n)]
    for row in (0, 3, 6):
        assert_law(np.bincount(codes.reshape(-1, rows - 1)[:, row], minlength=2**n), law)


def test_weights_give_the_law_of_independent_features_back():
    """Exact: the sizes of 60 rows visit each of 0..5 ten times."""
    masks, weights = stratified_masks(5, 61, rng=0)
    sizes = masks[1:].sum(1)
    law = np.bincount(sizes, weights[1:]) / 60
    np.testing.assert_allclose(law, [comb(5, s) / 32 for s in range(6)], rtol=1e-12)
    assert weights[0] == 1
    assert masks[0].all()
    np.testing.assert_array_equal(weights[1:], mask_weights(5)[sizes])
