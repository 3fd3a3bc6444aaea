"""Designs, strata and masks: what they accept, what they refuse, and what never changes."""

import pickle

import numpy as np
import pytest
from sortes import Stream
from sortes.select import (
    DesignSample,
    Estimate,
    PivotalSampler,
    allocate,
    conditional_poisson_odds,
    conditional_poisson_probabilities,
    conditional_poisson_sample,
    horvitz_thompson,
    inclusion_probabilities,
    log_elementary_symmetric,
    mask_weights,
    neyman_allocation,
    pivotal_sample,
    poisson_sample,
    stratified_masks,
    stratified_mean,
    stratified_sample,
    systematic_sample,
)
from vectors import load

STABLE = load("select/design_stability.json")
LINE = np.arange(4.0)[:, None]
HALF = np.full(4, 0.5)
inf, nan = np.inf, np.nan


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: inclusion_probabilities([1, -1.0], 1),
            ValueError,
            r"weights: item 1 must be in \[0, inf\), got -1.0",
        ),
        (
            lambda: inclusion_probabilities([1, nan], 1),
            ValueError,
            r"weights: item 1 must be in \[0, inf\), got nan",
        ),
        (
            lambda: inclusion_probabilities([inf, 1], 1),
            ValueError,
            r"weights: item 0 must be in \[0, inf\), got inf",
        ),
        (
            lambda: inclusion_probabilities([1e308] * 9, 1),
            ValueError,
            r"weights: their sum exceeds",
        ),
        (lambda: inclusion_probabilities([1, 1e300], 1e-9), ValueError, r"k: is too small .* 1e-9"),
        (
            lambda: inclusion_probabilities([1], -1),
            ValueError,
            r"k: must be in \[0, inf\), got -1$",
        ),
        (
            lambda: inclusion_probabilities([1], nan),
            ValueError,
            r"k: must be in \[0, inf\), got nan",
        ),
        (lambda: inclusion_probabilities([1], "x"), TypeError, r"k: must be a number, got 'x'"),
        (
            lambda: inclusion_probabilities([[1]], 1),
            ValueError,
            r"weights: must have shape \(n,\), got \(1, 1\)",
        ),
        (
            lambda: inclusion_probabilities(["a"], 1),
            TypeError,
            r"weights: must hold numbers, got <U1",
        ),
        (
            lambda: inclusion_probabilities([1j], 1),
            TypeError,
            r"weights: must hold numbers, got complex128",
        ),
        (
            lambda: poisson_sample([0.5, 1.5]),
            ValueError,
            r"pi: item 1 must be in \[0, 1\], got 1.5",
        ),
        (
            lambda: poisson_sample([0.5, nan]),
            ValueError,
            r"pi: item 1 must be in \[0, 1\], got nan",
        ),
        (
            lambda: poisson_sample([0.5] * 99 + [-1e-9]),
            ValueError,
            r"pi: item 99 must be in \[0, 1\], got -1e-9",
        ),
        (
            lambda: systematic_sample([0.5, -0.5]),
            ValueError,
            r"pi: item 1 must be in \[0, inf\), got -0.5",
        ),
        (
            lambda: systematic_sample([0.5, inf]),
            ValueError,
            r"pi: item 1 must be in \[0, inf\), got inf",
        ),
        (lambda: systematic_sample([1e300]), ValueError, r"pi: 1e300 hits are too many"),
        (lambda: systematic_sample([0.5], u=1.0), ValueError, r"u: must be in \[0, 1\), got 1.0"),
        (lambda: systematic_sample([0.5], u=nan), ValueError, r"u: must be in \[0, 1\), got nan"),
        (
            lambda: systematic_sample(HALF, order=[0, 1]),
            ValueError,
            r"order: expected shape \(4,\), got \(2,\)",
        ),
        (
            lambda: systematic_sample(HALF, order=[0, 1, 2, 4]),
            ValueError,
            r"order: item 3 must be in \[0, 4\), got 4",
        ),
        (
            lambda: pivotal_sample(HALF, order=[0, 1, 1, 2]),
            ValueError,
            r"order: item 2 repeats unit 1",
        ),
        (
            lambda: pivotal_sample(HALF, order=[0.0, 1, 2, 3]),
            TypeError,
            r"order: must hold integers, got float64",
        ),
        (lambda: pivotal_sample([2.0]), ValueError, r"pi: item 0 must be in \[0, 1\], got 2.0"),
        (
            lambda: pivotal_sample([nan], order="tree"),
            ValueError,
            r"pi: item 0 must be in \[0, 1\], got nan",
        ),
        (
            lambda: pivotal_sample(HALF, order="forest"),
            ValueError,
            r"order: must be 'tree' or 'local', got 'forest'",
        ),
        (lambda: pivotal_sample(HALF, order="local"), ValueError, r"X: must be given"),
        (
            lambda: pivotal_sample(HALF, X=LINE),
            ValueError,
            r"X: must be given for order='local', and for no other",
        ),
        (
            lambda: pivotal_sample(HALF, order="local", X=LINE[:3]),
            ValueError,
            r"X: expected shape \(4, d\) with d > 0, got \(3, 1\)",
        ),
        (
            lambda: pivotal_sample(HALF, order="local", X=LINE[:, :0]),
            ValueError,
            r"X: expected shape",
        ),
        (
            lambda: pivotal_sample(HALF, order="local", X=LINE[:, 0]),
            ValueError,
            r"X: must have shape \(n, d\), got \(4,\)",
        ),
        (
            lambda: pivotal_sample(HALF, order="local", X=LINE * [nan]),
            ValueError,
            r"X: row 0: column 0 must be finite, got nan",
        ),
        (
            lambda: pivotal_sample(HALF, order=[[0, 1], [2, 3]]),
            ValueError,
            r"order: expected shape \(3, 2\), got \(2, 2\)",
        ),
        (
            lambda: pivotal_sample(HALF, order=[[0, 1], [2, 3], [4, 4]]),
            ValueError,
            r"order: row 2: joins node 4, which",
        ),
        (
            lambda: pivotal_sample(HALF, order=[[0], [2], [4]]),
            ValueError,
            r"order: must have shape \(n,\) or \(n - 1, 2\), got \(3, 1\)",
        ),
        (
            lambda: pivotal_sample(HALF, order=[[0, 1.5], [2, 3], [4, 5]]),
            ValueError,
            r"order: must hold whole numbers",
        ),
        (lambda: PivotalSampler(first=-1), ValueError, r"first: must be in \[0, 2\*\*48\), got -1"),
        (lambda: PivotalSampler(first=2**48), ValueError, r"first: must be in \[0, 2\*\*48\)"),
        (lambda: PivotalSampler(first=0.5), TypeError, r"first: must be an integer, got 0.5"),
        (
            lambda: PivotalSampler().update([0.5], ids=[1, 2]),
            ValueError,
            r"ids: expected shape \(1,\), got \(2,\)",
        ),
        (lambda: PivotalSampler().merge(3), TypeError, r"other: must be a PivotalSampler, got int"),
        (lambda: PivotalSampler.from_bytes("x"), TypeError, r"data: must be bytes, got str"),
        (lambda: PivotalSampler.from_bytes(b"x"), ValueError, r"data: these are not the bytes"),
        (lambda: systematic_sample(HALF, u=0, rng=0), ValueError, r"rng: must not be given with u"),
        (lambda: systematic_sample(HALF, u=0, step=1), ValueError, r"step: must not be given with"),
        (lambda: systematic_sample([1e11]), ValueError, r"pi: 1e11 hits are too many"),
        (
            lambda: stratified_sample([0, 1], 1, sds=[1, 1]),
            ValueError,
            r"sds: must be given for allocation='neyman', and for no other",
        ),
        (
            lambda: stratified_sample([0, 1], allocation=[1, 0], min_per_stratum=1),
            ValueError,
            r"min_per_stratum: must be 0 where allocation holds counts",
        ),
        (
            lambda: stratified_sample([0, 1], allocation=[1]),
            ValueError,
            r"allocation: must have shape \(2,\), got \(1,\)",
        ),
        (
            lambda: stratified_sample([0, 1], allocation=[1, -1]),
            ValueError,
            r"allocation: item 1 must be in \[0, 2\*\*63\), got -1",
        ),
        (
            lambda: stratified_sample(np.ma.masked_array([0, 1], [1, 0]), 1),
            TypeError,
            r"strata: must not be a masked array",
        ),
        (
            lambda: poisson_sample(np.ma.masked_array(HALF, [1, 0, 0, 0])),
            TypeError,
            r"pi: must not be a masked array",
        ),
        (lambda: neyman_allocation([3, -1], [1, 1], 2), ValueError, r"sizes: item 1 must be in"),
        (
            lambda: poisson_sample([1, 1]).estimate([1, nan]),
            ValueError,
            r"values: item 1 is not finite: nan",
        ),
        (lambda: conditional_poisson_sample(), ValueError, r"pi: must be given, or else odds"),
        (
            lambda: conditional_poisson_sample(HALF, odds=HALF),
            ValueError,
            r"odds: must not be given",
        ),
        (
            lambda: conditional_poisson_sample([0.5, 0.6]),
            ValueError,
            r"pi: must sum to an integer, got 1.1",
        ),
        (
            lambda: conditional_poisson_sample(HALF, 3),
            ValueError,
            r"k: must be the sum of pi, 2, got 3",
        ),
        (lambda: conditional_poisson_sample(odds=HALF), ValueError, r"k: must be given with odds"),
        (
            lambda: conditional_poisson_sample(odds=[1, nan], k=1),
            ValueError,
            r"odds: item 1 must be in \[0, inf\], got nan",
        ),
        (
            lambda: conditional_poisson_sample(odds=[1, -2.0], k=1),
            ValueError,
            r"odds: item 1 must be in \[0, inf\], got -2.0",
        ),
        (
            lambda: conditional_poisson_sample(odds=[1, 0, 1], k=3),
            ValueError,
            r"k: must be in \[0, 2\] for these odds, got 3",
        ),
        (
            lambda: conditional_poisson_probabilities([inf, inf, 1], 1),
            ValueError,
            r"k: must be in \[2, 3\]",
        ),
        (
            lambda: conditional_poisson_probabilities([1], -1),
            ValueError,
            r"k: must be at least 0, got -1",
        ),
        (
            lambda: conditional_poisson_odds([1.5]),
            ValueError,
            r"pi: item 0 must be in \[0, 1\], got 1.5",
        ),
        (
            lambda: log_elementary_symmetric([0, nan], 1),
            ValueError,
            r"logs: item 1 must be in \[-inf, inf\), got nan",
        ),
        (
            lambda: horvitz_thompson([1, 2], [0.5]),
            ValueError,
            r"pi: must have shape \(2,\), got \(1,\)",
        ),
        (
            lambda: horvitz_thompson([1, 2], [0.5, 0]),
            ValueError,
            r"pi: item 1 must be in \(0, inf\), got 0.0",
        ),
        (
            lambda: horvitz_thompson([1, nan], [0.5, 1]),
            ValueError,
            r"values: item 1 is not finite: nan",
        ),
        (lambda: horvitz_thompson([1], [0.5], design="x"), ValueError, r"design: must be"),
        (
            lambda: poisson_sample(HALF, rng=0).estimate([1.0] * 9),
            ValueError,
            r"values: must have shape",
        ),
        (
            lambda: allocate([1, -1.0], 3),
            ValueError,
            r"shares: item 1 must be in \[0, inf\), got -1.0",
        ),
        (lambda: allocate([1, 1], -3), ValueError, r"m: must be at least 0, got -3"),
        (lambda: allocate([1, 1], 3, [1]), ValueError, r"caps: expected shape \(2,\), got \(1,\)"),
        (
            lambda: allocate([1, 1], 3, [1, -1]),
            ValueError,
            r"caps: item 1 must be in \[0, 2\*\*63\), got -1",
        ),
        (
            lambda: allocate([1, 1], 3, min_per_stratum=2),
            ValueError,
            r"m: must be at least 4, the sum of the minima, got 3",
        ),
        (
            lambda: neyman_allocation([3, 4], [1], 2),
            ValueError,
            r"sds: expected shape \(2,\), got \(1,\)",
        ),
        (
            lambda: neyman_allocation([3, 4], [1, nan], 2),
            ValueError,
            r"sds: item 1 must be in \[0, inf\), got nan",
        ),
        (
            lambda: stratified_sample([[0]], 1),
            ValueError,
            r"strata: must have shape \(n,\), got \(1, 1\)",
        ),
        (lambda: stratified_sample([0.0, nan], 1), ValueError, r"strata: item 1 is missing$"),
        (lambda: stratified_sample([0, 1]), ValueError, r"m: must be given"),
        (
            lambda: stratified_sample([0, 1], 3),
            ValueError,
            r"m: must be at most the number of units, 2, got 3",
        ),
        (lambda: stratified_sample([0, 1], 1, allocation="x"), ValueError, r"allocation: must be"),
        (
            lambda: stratified_sample([0, 1], 1, allocation="neyman"),
            ValueError,
            r"sds: must be given",
        ),
        (
            lambda: stratified_sample([0, 1], allocation=[2, 0]),
            ValueError,
            r"allocation: item 0 must be at most 1, the units there are, got 2",
        ),
        (
            lambda: stratified_sample([0, 1], 3, allocation=[1, 1]),
            ValueError,
            r"m: must be the sum of the counts, 2, got 3",
        ),
        (
            lambda: stratified_mean([1], [0, 1], [1, 1]),
            ValueError,
            r"strata: must have shape \(1,\), got \(2,\)",
        ),
        (
            lambda: stratified_mean([1], [2], [1, 1]),
            ValueError,
            r"strata: item 0 must be in \[0, 2\), got 2",
        ),
        (
            lambda: stratified_mean([1], [0], [1, 1]),
            ValueError,
            r"values: stratum 1 has 1 units but no value",
        ),
        (
            lambda: stratified_mean([1, 2], [0, 0], [1]),
            ValueError,
            r"values: stratum 0 has 1 units but 2 values",
        ),
        (
            lambda: stratified_mean([nan], [0], [1]),
            ValueError,
            r"values: item 0 is not finite: nan",
        ),
        (
            lambda: stratified_masks(-1, 2),
            ValueError,
            r"n_features: must be at least 0, got -1",
        ),
        (lambda: stratified_masks(2, 2.5), TypeError, r"num_samples: must be an integer, got 2.5"),
        (
            lambda: conditional_poisson_probabilities([1], 2**70),
            ValueError,
            r"k: must be below 2\*\*63, got",
        ),
        (
            lambda: stratified_masks(2**20, 2**40),
            MemoryError,
            r"\d+ (weights|elements) of masks: needs",
        ),
        (lambda: stratified_masks(2**62, 0), MemoryError, r"\d+ weights of masks: needs"),
        (lambda: stratified_masks(0, 2**62), MemoryError, r"\d+ weights of masks: needs"),
        (lambda: mask_weights(2**62), MemoryError, r"\d+ weights of masks: needs"),
        (lambda: mask_weights(2**50), MemoryError, r"\d+ weights of masks: needs"),
        (lambda: log_elementary_symmetric([0], 2**62), MemoryError, r"\d+ polynomials: needs"),
        (lambda: log_elementary_symmetric([0], 2**50), MemoryError, r"\d+ polynomials: needs"),
        (lambda: inclusion_probabilities([1], "1"), TypeError, r"k: must be a number, got '1'"),
        (
            lambda: inclusion_probabilities([1], 10**400),
            ValueError,
            r"k: must be in the range of",
        ),
        (
            lambda: pivotal_sample(HALF[:2], order=np.array([[1e300, 1]])),
            ValueError,
            r"order: must hold whole numbers",
        ),
        (
            lambda: pivotal_sample(HALF[:2], order=np.array([[2**64 - 1, 1]], np.uint64)),
            ValueError,
            r"order: item 0 must be in \[-2\*\*63, 2\*\*63\), got 18446744073709551615",
        ),
        (lambda: allocate([1, 1], 2**41), ValueError, r"m: must be at most 2\*\*40, got"),
        (
            lambda: allocate([1] * 5, 3, min_per_stratum=2**62),
            ValueError,
            r"m: must be at least 23058430092136939520, the sum",
        ),
        (lambda: stratified_sample([1, None], 1), ValueError, r"strata: item 1 is missing$"),
        (
            lambda: stratified_sample(np.array(["a", 1], object), 1),
            TypeError,
            r"strata: must hold labels that can",
        ),
        (
            lambda: stratified_sample(np.array(["NaT"], "M8[s]"), 1),
            ValueError,
            r"strata: item 0 is missing$",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match="^" + message):
        call()


def test_sums_that_are_not_quite_integers():
    assert conditional_poisson_odds([0.5, 0.5 + 5e-10]) == pytest.approx([1, 1], rel=1e-8)
    assert len(conditional_poisson_sample([5e-10])) == 0
    assert conditional_poisson_sample([1 - 5e-10, 1]).indices.tolist() == [0, 1]
    # The total is 1,000,000 less 9e-4: not an integer. The last unit was hit twice.
    pi = np.append(np.full(10**6, 1 - 9e-10), 1 - 1e-12)
    for u in (0.0, 0.5, 1 - 1e-5, 1 - 1e-7):
        assert np.bincount(systematic_sample(pi, u=u).indices).max() == 1
    few = np.append(np.full(10**6, 1 - 9e-11), 1 - 1e-12)
    sample = systematic_sample(few, u=1 - 1e-7)
    assert len(sample) == 10**6 + 1
    assert np.bincount(sample.indices).max() == 1


@pytest.mark.parametrize("spread", [1, 5, 20])
def test_odds_of_extreme_probabilities(spread):
    """Probabilities near 0 and 1 do not sum to the integer exactly; odds are found all the same."""
    rng = np.random.default_rng(spread)
    for _ in range(200):
        n = int(rng.integers(2, 30))
        pi, _ = inclusion_probabilities(
            np.exp(rng.normal(size=n) * spread), int(rng.integers(1, n))
        )
        odds = conditional_poisson_odds(pi)
        back = conditional_poisson_probabilities(odds, round(pi.sum()))
        np.testing.assert_allclose(back, pi, rtol=1e-11, atol=1e-13)


def test_large_allocations_add_up():
    for m in (5 * 10**9, 10**12 - 1):
        counts = allocate([1, 1, 1], m)
        assert counts.sum() == m
        assert np.ptp(counts) <= 1
    assert neyman_allocation([10, 10], [1e308, 1e308], 4).tolist() == [2, 2]


def test_means_of_no_units_and_of_very_many():
    assert np.isnan(stratified_mean([], [], [])).all()
    mean, _ = stratified_mean([1.0, 1, 2, 2], [0, 0, 1, 1], [2**62, 2**62])
    assert mean == 1.5


def test_positions_in_few_places():
    """Quadratic, and minutes, if all of the equal neighbours were looked at."""
    n = 200_000
    X = np.random.default_rng(0).integers(0, 3, (n, 2))
    sample = pivotal_sample(np.full(n, 0.25), order="local", X=X, rng=0)
    place = X @ [3, 1]
    assert len(sample) == n // 4
    # Duels across places are for what is left over in one.
    hits = np.bincount(place[sample.indices], minlength=9)
    assert np.abs(hits - np.bincount(place) / 4).max() < 9


def test_sizes_of_many_units_with_tiny_probabilities():
    """Ten million; the sum is 3 but for rounding."""
    pi = np.full(10**7, 3e-7)
    assert len(pivotal_sample(pi, rng=0)) == 3
    assert len(pivotal_sample(pi, order="tree", rng=0)) == 3
    assert len(systematic_sample(pi, rng=0)) == 3
    parts = [PivotalSampler(first=first, rng=0) for first in range(0, 10**7, 10**7 // 4)]
    for part in parts:
        part.update(pi[: 10**7 // 4])
    whole = parts[3].merge(parts[0]).merge(parts[2].merge(parts[1]))
    assert len(whole.finish()) == 3


@pytest.mark.parametrize(
    ("few", "many", "k"),
    [(1e300, 1e-300, 5), (1e300, 1e-300, 10), (1e300, 1e-300, 12), (1.0, 1e-12, 12), (1, 1, 0)],
)
def test_odds_of_two_very_different_sizes(few, many, k):
    odds = np.repeat([few, many], [10, 100_000])
    for seed in range(5):
        chosen = conditional_poisson_sample(odds=odds, k=k, rng=seed).indices
        assert chosen.size == k
        assert (chosen < 10).sum() == min(k, 10)


@pytest.mark.parametrize("order", [None, "tree", "local", np.zeros((0, 2), int), np.zeros(0, int)])
def test_no_units(order):
    n = 1 if isinstance(order, np.ndarray) and order.ndim == 2 else 0
    X = np.zeros((n, 2)) if isinstance(order, str) and order == "local" else None
    assert pivotal_sample(np.zeros(n), order=order, X=X).indices.dtype == np.int64
    assert len(pivotal_sample(np.zeros(n), order=order, X=X)) == 0


def test_empty_and_trivial():
    assert inclusion_probabilities([], 0) == (pytest.approx([]), inf)
    assert len(poisson_sample([])) == len(systematic_sample([])) == 0
    assert len(conditional_poisson_sample([])) == 0
    assert len(conditional_poisson_sample(odds=[1, 2], k=0)) == 0
    assert conditional_poisson_sample(odds=[1, 0, 2], k=2).indices.tolist() == [0, 2]
    assert conditional_poisson_sample([1, 0, 1.0]).weights.tolist() == [1, 1]
    assert conditional_poisson_odds([1, 0, 0.5, 0.5]).tolist() == [inf, 0, 1, 1]
    assert pivotal_sample([1, 1, 0, 1.0], rng=0).indices.tolist() == [0, 1, 3]
    assert allocate([], 3).tolist() == []
    assert len(stratified_sample([], 0)) == 0
    assert len(stratified_sample([1, 2], 0)) == 0
    masks, weights = stratified_masks(3, 1)
    assert masks.tolist() == [[True] * 3]
    assert weights.tolist() == [1]
    assert stratified_masks(0, 2).masks.shape == (2, 0)
    assert stratified_masks(3, 0).masks.shape == (0, 3)
    assert mask_weights(0).tolist() == [1]


def test_systematic_repeats():
    sample = systematic_sample([2.5, 0.5, 3.0], u=0.4)
    assert sample.indices.tolist() == [0, 0, 0, 2, 2, 2]
    np.testing.assert_array_equal(sample.weights[[0, 3]], [1 / 2.5, 1 / 3.0])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8", "bool"])
def test_any_real_dtype(dtype):
    pi = np.array([0, 1, 1, 0, 1], dtype)
    assert poisson_sample(pi).indices.tolist() == [1, 2, 4]
    assert inclusion_probabilities(pi, 1).tau == 3


def test_strided_and_read_only():
    wide = np.random.default_rng(0).random((100, 3))
    wide.flags.writeable = False
    for pi in (wide[:, 1], wide[::-2, 0]):
        copy = np.ascontiguousarray(pi)
        for order in (None, "tree"):
            a, b = (pivotal_sample(p, order=order, rng=1).indices for p in (pi, copy))
            np.testing.assert_array_equal(a, b)


def test_tensors(torch):
    pi = torch.full((8,), 0.5, dtype=torch.float64, requires_grad=True)
    np.testing.assert_array_equal(
        pivotal_sample(pi, rng=0).indices, pivotal_sample([0.5] * 8, rng=0).indices
    )
    assert inclusion_probabilities(torch.ones(4, dtype=torch.bfloat16), 2).tau == 2
    assert systematic_sample(HALF, u=0, order=torch.tensor([3, 1, 2, 0])).indices.tolist() == [2, 3]


def test_trees_of_scipy():
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    points = np.random.default_rng(0).random((50, 2))
    tree = hierarchy.linkage(points, "ward")
    sample = pivotal_sample(np.full(50, 0.2), order=tree, rng=0)
    assert len(sample) == 10
    again = pivotal_sample(np.full(50, 0.2), order=tree[:, :2].astype(int), rng=0)
    np.testing.assert_array_equal(sample.indices, again.indices)


@pytest.mark.parametrize("n", [1, 5, 40_000, 100_001])
def test_threads_change_nothing(n):
    pi = np.random.default_rng(n).random(n)
    draws = [
        lambda t: poisson_sample(pi, rng=1, num_threads=t).indices,
        lambda t: pivotal_sample(pi, order="tree", rng=1, num_threads=t).indices,
        lambda t: stratified_masks(n, 7, rng=1, num_threads=t).masks,
        lambda t: conditional_poisson_probabilities(pi[:3000], pi[:3000].size // 3, num_threads=t),
    ]
    for draw in draws:
        one = draw(1)
        for threads in (2, 7):
            np.testing.assert_array_equal(draw(threads), one)


def test_units_are_independent_of_what_follows_them():
    pi = np.random.default_rng(0).random(1000)
    whole = poisson_sample(pi, rng=3).indices
    for cut in (1, 63, 64, 511, 513, 999):
        np.testing.assert_array_equal(poisson_sample(pi[:cut], rng=3).indices, whole[whole < cut])


def test_larger_probabilities_only_add_units():
    pi = np.random.default_rng(0).random(5000)
    some = set(poisson_sample(pi * 0.3, rng=3).indices.tolist())
    more = set(poisson_sample(pi * 0.8, rng=3).indices.tolist())
    assert some < more


def test_estimates_have_one_form():
    """A value and a standard error everywhere, NaN where the design has none."""
    pi, y = np.full(40, 0.25), np.arange(40.0)
    for sample, design in [
        (poisson_sample(pi, rng=0), "poisson"),
        (conditional_poisson_sample(pi, rng=0), "fixed_size"),
        (pivotal_sample(pi, rng=0), None),
        (systematic_sample(pi, rng=0), None),
        (PivotalSampler(rng=0).update(pi).finish(), None),
    ]:
        values = y[sample.indices]
        got = sample.estimate(values)
        assert type(got) is Estimate
        assert got == pytest.approx(
            horvitz_thompson(values, pi[sample.indices], design=design), nan_ok=True
        )
        assert np.isnan(got.stderr) == (design is None)
    strata = np.arange(40) % 3
    sample = stratified_sample(strata, 12, rng=0)
    mean, total = (f(y[sample.indices]) for f in (sample.mean, sample.estimate))
    assert total == pytest.approx((40 * mean.value, 40 * mean.stderr))
    assert total.value == pytest.approx(sample.weights @ y[sample.indices])
    assert stratified_sample([], 0).estimate([]) == (0.0, 0.0)


def test_samples_pickle():
    sample = poisson_sample(HALF, rng=0)
    again = pickle.loads(pickle.dumps(sample))
    assert isinstance(again, DesignSample)
    np.testing.assert_array_equal(again.indices, sample.indices)


def first_draws():
    pi = inclusion_probabilities(np.arange(1, 41), 12).pi
    X = (np.arange(80) * 37 % 41).reshape(40, 2).astype(float)
    masks, _ = stratified_masks(7, 6, rng=0)
    part = PivotalSampler(first=5, rng=0).update(pi)
    draws = {
        "poisson": poisson_sample(pi, rng=0),
        "systematic": systematic_sample(pi, rng=0),
        "pivotal": pivotal_sample(pi, rng=0),
        "tree": pivotal_sample(pi, order="tree", rng=0),
        "local": pivotal_sample(pi, order="local", X=X, rng=0),
        "merges": pivotal_sample(pi[:3], order=[[2, 0], [3, 1]], rng=0),
        "sampler": part.finish(),
        "conditional_poisson": conditional_poisson_sample(odds=np.arange(1, 41), k=12, rng=0),
        "conditional_poisson_pi": conditional_poisson_sample(pi, rng=0),
        "stratified": stratified_sample(np.arange(40) % 3, 12, rng=0),
        "step": poisson_sample(pi, rng=Stream(7, step=3)),
    }
    return {name: sample.indices.tolist() for name, sample in draws.items()} | {
        "masks": masks.astype(int).tolist()
    }


def test_first_draws_never_change():
    assert first_draws() == STABLE
