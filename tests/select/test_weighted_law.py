"""Weighted draws have their law: margins, long streams, rare and many items."""

import math
from itertools import permutations

import numpy as np
import pytest
from lawlib import assert_law, count_orders
from scipy import stats
from sortes.select import AliasTable, DynamicWeights, Reservoir, choice

pytestmark = pytest.mark.law

N = 1_000_000

WITH_REPLACEMENT = {
    "alias": lambda w, n, seed: choice(w, n, method="alias", rng=seed),
    "blocks": lambda w, n, seed: choice(w, n, method="blocks", rng=seed),
    "narrow": lambda w, n, seed: AliasTable(w, precision="narrow").sample(n, rng=seed),
    "wide": lambda w, n, seed: AliasTable(w, precision="wide").sample(n, rng=seed),
    "dynamic": lambda w, n, seed: DynamicWeights(w).sample(n, rng=seed),
}
WEIGHTS = {
    "few": [1, 0, 3, 2, 0, 0, 4],
    "one": [0, 0, 5, 0],
    "skewed": 2.0 ** -np.arange(12),
    "many": np.arange(300) % 7,
    "spike": [1e-3] * 64 + [1.0] + [1e-3] * 100,
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("draw", WITH_REPLACEMENT.values(), ids=WITH_REPLACEMENT)
def test_margins(draw, weights):
    """n = 1,000,000: an error of 0.005 in a probability of 1/2 is seen with certainty.

    Seen red: block sums that subtract the end of the wrong block, and a table whose light buckets
    name themselves as their alias.
    """
    w = np.asarray(weights, float)
    counts = np.bincount(draw(w, N, 1), minlength=w.size)
    assert_law(counts, w / w.sum())


@pytest.mark.parametrize("draw", WITH_REPLACEMENT.values(), ids=WITH_REPLACEMENT)
def test_neighbouring_draws_are_independent(draw):
    """n = 500,000 pairs of draws 2j and 2j + 1 (one block), and of 2j + 1 and 2j + 2 (two)."""
    w = np.array([1, 2, 3, 4, 0, 6])
    p = w / w.sum()
    draws = draw(w, N + 2, 2)
    for pairs in (draws[:N].reshape(-1, 2), draws[1 : N + 1].reshape(-1, 2)):
        counts = np.bincount(pairs[:, 0] * 6 + pairs[:, 1], minlength=36)
        assert_law(counts, np.outer(p, p).ravel())


def test_seeds_and_steps_are_independent():
    """n = 40,000 calls: the first draw over steps, and over children of a seed."""
    w = np.array([1, 2, 3])
    table = AliasTable(w)
    by_step = [table.sample(rng=7, step=step) for step in range(40_000)]
    assert_law(np.bincount(by_step, minlength=3), w / 6)


@pytest.mark.parametrize("method", ["alias", "blocks"])
def test_2_to_the_25_categories(method):
    """Single precision sums lose half of them, and others refuse more than 2^24."""
    n, size = 2**25, 1_000_000
    w = np.ones(n, np.float32)
    w[::2] = 2.0
    draws = choice(w, size, method=method, rng=25)
    for hits, p in [
        ((draws % 2 == 0).sum(), 2 / 3),  # the heavy half
        ((draws >= n // 2).sum(), 1 / 2),  # the upper half of the range
        ((draws >= n - n // 8).sum(), 1 / 8),
    ]:
        z = (hits - size * p) / math.sqrt(size * p * (1 - p))
        assert abs(z) < 4.892
    assert draws.max() > n - 1000
    assert draws.min() < 1000


def test_rare_items_of_a_wide_table():
    """One item in 2^-20 of the mass, below the grain of a narrow table: n = 2^27 draws."""
    w = np.ones(2**13)
    w[1000] = 2.0**-7
    table = AliasTable(w, precision="wide")
    hits, size = 0, 2**24
    for step in range(8):
        hits += int((table.sample(size, rng=3, step=step) == 1000).sum())
    p = w[1000] / w.sum()
    assert stats.binomtest(hits, 8 * size, p).pvalue > 1e-6


def test_a_longer_stream():
    """n = 30,000 reservoirs of 2 from 8 items in random batches: the joint law of 56 orders."""
    w = np.array([1.0, 2, 3, 4, 5, 6, 0, 7])
    orders = [o for o in permutations(range(8), 2) if 6 not in o]
    p = np.array([w[a] / w.sum() * w[b] / (w.sum() - w[a]) for a, b in orders])
    cuts = np.random.default_rng(0).integers(0, 9, (30_000, 2))

    def sample(i):
        reservoir = Reservoir(2, rng=i)
        for part in np.split(w, np.sort(cuts[i])):
            reservoir.update(part)
        return reservoir.sample()

    assert_law(count_orders(np.array([sample(i) for i in range(30_000)]), orders), p)


def test_inclusion_in_a_large_sample():
    """n = 400 samples of 500 of 5,000: inclusion of the heavy tenth against its law by simulation
    of NumPy, which draws one after the other as well.
    """
    w = np.where(np.arange(5000) % 10 == 0, 10.0, 1.0)
    ours = np.array(
        [(choice(w, 500, replace=False, rng=1, step=s) % 10 == 0).sum() for s in range(400)]
    )
    rng = np.random.default_rng(2)
    theirs = np.array(
        [(rng.choice(5000, 500, replace=False, p=w / w.sum()) % 10 == 0).sum() for _ in range(400)]
    )
    assert stats.ttest_ind(ours, theirs, equal_var=False).pvalue > 1e-6
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-6
