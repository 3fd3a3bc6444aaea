"""Resampling and what is computed from weights."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise, product
from math import comb, factorial, prod
from typing import get_args

import numpy as np
import pytest
from lawlib import assert_law
from sortes.mcmc import log_mean_weight, next_temperature, resample, weights_ess
from sortes.mcmc.resampling import Scheme
from vectors import load

VECTORS = load("mcmc/resampling.json")
METHODS = get_args(Scheme)
N = 60_000


def numbers(x):
    return np.array([float(item) for item in x])


def counts_of(weights, n, method, seed=0):
    """How often each vector of counts came up in N rows."""
    rows = resample(np.tile(weights, (N, 1)), n, method=method, rng=seed)
    counts = np.stack([(rows == i).sum(1) for i in range(len(weights))], 1)
    return Counter(map(tuple, counts.tolist()))


def compositions(n, m):
    return [c for c in product(range(n + 1), repeat=m) if sum(c) == n]


def multinomial_law(weights, n):
    law = {}
    for counts in compositions(n, len(weights)):
        ways = factorial(n) / prod(map(factorial, counts))
        law[counts] = float(
            ways * prod(float(w) ** k for w, k in zip(weights, counts, strict=True))
        )
    return law


def law_of(weights, n, method):
    """The exact law of the counts, in fractions; weights sum to one."""
    weights = [Fraction(w) for w in weights]
    whole = [int(n * w) for w in weights]
    rest = n - sum(whole)
    if method == "multinomial" or (method == "residual" and rest == 0):
        return multinomial_law(weights, n) if method == "multinomial" else {tuple(whole): 1.0}
    if method == "residual":
        fractions = [(n * w - k) / rest for w, k in zip(weights, whole, strict=True)]
        return {
            tuple(np.add(whole, more).tolist()): p
            for more, p in multinomial_law(fractions, rest).items()
        }
    edges = [n * sum(weights[: i + 1]) for i in range(len(weights))]

    def unit(at):
        return next(i for i, edge in enumerate(edges) if at < edge)

    law = Counter()
    if method == "systematic":
        cuts = sorted({edge % 1 for edge in edges} | {Fraction(0), Fraction(1)})
        for low, high in pairwise(cuts):
            hits = [unit(k + (low + high) / 2) for k in range(n)]
            law[tuple(hits.count(i) for i in range(len(weights)))] += high - low
    else:  # strata are independent
        law[(0,) * len(weights)] = Fraction(1)
        for k in range(n):
            longer = Counter()
            cuts = sorted({Fraction(k), Fraction(k + 1), *(e for e in edges if k < e < k + 1)})
            for low, high in pairwise(cuts):
                i = unit((low + high) / 2)
                for counts, p in law.items():
                    more = tuple(c + (j == i) for j, c in enumerate(counts))
                    longer[more] += p * (high - low)
            law = longer
    return {counts: float(p) for counts, p in law.items()}


CASES = [
    (["1/10", "1/5", "0", "3/10", "2/5"], 4),
    (["1/2", "3/10", "1/5"], 5),
    (["3/20", "7/20", "1/4", "1/4"], 6),
    (["0", "1/3", "2/3"], 1),
]


@pytest.mark.parametrize("method", ["multinomial", "stratified", "systematic", "residual"])
@pytest.mark.parametrize(("weights", "n"), CASES, ids=str)
def test_exact_laws(weights, n, method):
    """60,000 rows see an error of 0.015 in a probability of one half.

    Red with spacings 2 % off, strata 10 % off, and fractions under a square root.
    """
    law = law_of(weights, n, method)
    found = counts_of([float(Fraction(w)) for w in weights], n, method)
    outcomes = sorted(law.keys() | found.keys())
    p = np.array([law.get(c, 0.0) for c in outcomes])
    assert_law([found[c] for c in outcomes], p / p.sum())


@pytest.mark.parametrize("case", VECTORS["ssp"], ids=str)
def test_law_of_ssp(case):
    law = {tuple(counts): p for counts, p in case["offspring_law"]}
    found = counts_of(case["weights"], case["M"], "ssp")
    outcomes = sorted(law.keys() | found.keys())
    p = np.array([law.get(c, 0.0) for c in outcomes])
    assert_law([found[c] for c in outcomes], p / p.sum())


@pytest.mark.parametrize("case", VECTORS["deterministic"], ids=lambda case: str(case["M"]))
def test_law_of_systematic(case):
    law = {tuple(counts): p for counts, p in case["systematic_offspring_law"]}
    found = counts_of(case["weights"], case["M"], "systematic")
    outcomes = sorted(law.keys() | found.keys())
    p = np.array([law.get(c, 0.0) for c in outcomes])
    assert_law([found[c] for c in outcomes], p / p.sum())


@pytest.mark.parametrize("method", METHODS)
def test_expected_counts(method):
    """Means of 300 particles over 4,000 rows: an error of 0.09 standard deviations is seen."""
    weights = np.random.default_rng(0).gamma(0.5, size=300)
    weights[::7] = 0.0
    rows, n = 4_000, 450
    drawn = resample(np.tile(weights, (rows, 1)), n, method=method, rng=3)
    assert (np.diff(drawn, axis=1) >= 0).all()
    mean = np.bincount(drawn.ravel(), minlength=300) / rows
    expected = n * weights / weights.sum()
    assert (mean[expected == 0] == 0).all()
    # No method has a variance above that of independent draws.
    errors = np.sqrt(np.maximum(expected, 1e-12) / rows)
    assert (np.abs(mean - expected) <= 6 * errors)[expected > 0].all()


@pytest.mark.parametrize("method", ["stratified", "systematic", "residual", "ssp"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 49, 1_000_000, 3_000_000])
def test_equal_weights_keep_all(method, dtype, n):
    """In single precision strata themselves would merge: BlackJAX keeps 881,905 of a million."""
    drawn = resample(np.full(n, 1 / n, dtype), method=method, rng=1)
    assert np.array_equal(drawn, np.arange(n))


@pytest.mark.parametrize("method", METHODS)
def test_logarithms_are_weights(method):
    log_weights = np.random.default_rng(1).normal(size=(5, 40)) * 3
    log_weights[0, :20] = -np.inf
    by_log = resample(log_weights - 1e4, log=True, method=method, rng=2)
    plain = resample(np.exp(log_weights), method=method, rng=2)
    assert (by_log == plain).mean() > 0.99  # but for roundings of the logarithms


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_systems_of_their_own(method):
    weights = np.random.default_rng(2).random((6, 30))
    rows = resample(weights, 20, method=method, rng=4, num_threads=1)
    for threads in (2, 7):
        again = resample(weights, 20, method=method, rng=4, num_threads=threads)
        assert np.array_equal(rows, again)
    assert np.array_equal(rows[0], resample(weights[0], 20, method=method, rng=4))
    assert (
        len(np.unique(resample(np.tile(weights[0], (6, 1)), 20, method=method, rng=4), axis=0)) > 1
    )


@pytest.mark.parametrize("method", METHODS)
def test_one_particle_and_one_that_is_left(method):
    assert resample([1e-300], 3, method=method, rng=0).tolist() == [0, 0, 0]
    assert resample([0, 0, 5e-324, 0], 3, method=method, rng=0).tolist() == [2, 2, 2]
    assert resample([1e308, 1e308, 0], 2, method=method, rng=0).max() <= 1
    assert resample(np.empty((0, 3)), method=method).shape == (0, 3)


def test_tensors_in_tensors_out():
    torch = pytest.importorskip("torch")
    weights = torch.rand(2, 5, generator=torch.Generator().manual_seed(0))
    drawn = resample(weights, rng=0)
    assert drawn.dtype == torch.int64
    assert np.array_equal(drawn.numpy(), resample(weights.numpy(), rng=0))
    assert weights_ess(weights).dtype == torch.float32


@pytest.mark.parametrize("case", VECTORS["log_weights"], ids=str)
def test_vectors_of_weights(case):
    log_weights = numbers(case["log_weights"])
    assert weights_ess(log_weights, log=True) == pytest.approx(case["ess"], rel=1e-12)
    assert log_mean_weight(log_weights) == pytest.approx(case["log_mean_weight"], rel=1e-12)
    both = np.stack([log_weights, log_weights])
    assert weights_ess(both, log=True).shape == log_mean_weight(both).shape == (2,)
    assert weights_ess(case["normalised"]) == pytest.approx(case["ess"], rel=1e-9)


@pytest.mark.parametrize("case", VECTORS["next_temperature"], ids=str)
def test_vectors_of_temperatures(case):
    found = next_temperature(case["loglik"], case["temperature"], target_ess=case["ess_target"])
    assert found == pytest.approx(case["next_temperature"], abs=1e-10)


def test_a_temperature_that_reaches_the_end():
    assert next_temperature([1.0, 1.0, 1.0], 0.3, target_ess=1.0) == 1.0
    assert next_temperature([0.0, -np.inf], target_ess=0.5) == 1.0
    message = r"^log_likelihood: 1 of 3 items are finite, fewer than target_ess asks$"
    with pytest.raises(ValueError, match=message):
        next_temperature([0.0, -np.inf, -np.inf])


@pytest.mark.parametrize("case", VECTORS["degenerate"], ids=str)
def test_degenerate_weights(case):
    given = numbers(case["log_weights"])
    for refuse in (
        lambda: resample(given, log=True),
        lambda: weights_ess(given, log=True),
        lambda: log_mean_weight(given),
        lambda: next_temperature(given),
    ):
        with pytest.raises(ValueError, match=r"^(log_)?(weights|likelihood): "):
            refuse()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], r"weights: row 0: item 1 must be in \[0, inf\), got -1"),
        (
            [[1.0, 1.0], [1.0, np.nan]],
            r"weights: row 1: item 1 must be in \[0, inf\), got (nan|NaN)",
        ),
        ([0.0, 0.0], r"weights: row 0: all 2 items are zero"),
        ([], r"weights: must have shape \(m,\) or \(rows, m\), m >= 1, got \(0,\)"),
    ],
)
def test_refusals(weights, message):
    for refuse in (resample, weights_ess):
        with pytest.raises(ValueError, match=f"^{message}"):
            refuse(weights)


def test_counts_of_compositions():
    """The helper of the laws counts all of them."""
    assert len(compositions(4, 3)) == comb(6, 2)
