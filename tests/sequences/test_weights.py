"""Weights of distinct samples: the vectors, what is unbiased, and what is refused."""

import itertools

import numpy as np
import pytest
from lawlib import assert_mean
from sortes.pool import pass_at_k_distinct
from sortes.sequences import (
    distinct_mean,
    gumbel_topk,
    self_normalized_weights,
    threshold_weights,
    unordered_set_weights,
)
from vectors import load

VECTORS = load("sequences/gumbel.json")
DRAWS = 100_000
PROBS = np.array([0.45, 0.25, 0.15, 0.1, 0.05])
VALUES = np.array([1.0, -2.0, 3.0, 10.0, 0.5])


@pytest.mark.parametrize("case", VECTORS["importance_weights"], ids=lambda c: f"k={c['k']}")
def test_vectors_of_the_threshold(case):
    logprobs = np.array(case["logp"])[case["indices"]]
    weights = threshold_weights(logprobs, case["kappa"])
    assert weights == pytest.approx(case["weights"], rel=1e-10)
    weights = self_normalized_weights([logprobs], [case["kappa"]])
    assert weights[0] == pytest.approx(case["normalized"], rel=1e-10)


@pytest.mark.parametrize("case", VECTORS["unordered_set"], ids=lambda c: str(c["set"]))
def test_vectors_of_sets(case):
    weights = unordered_set_weights(np.log(np.array(case["probs"])[case["set"]]))
    assert weights == pytest.approx(case["weights"], rel=1e-9)


def law_of_orders(probs, k):
    """Every order of `k` distinct draws, and its probability."""
    for order in itertools.permutations(range(len(probs)), k):
        p, left = 1.0, 1.0
        for item in order:
            p, left = p * probs[item] / left, left - probs[item]
        yield order, p


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_weights_of_sets_are_unbiased(k):
    """By enumeration: no chance is involved."""
    mean = sum(
        p * (unordered_set_weights(np.log(PROBS[list(order)])) @ VALUES[list(order)])
        for order, p in law_of_orders(PROBS, k)
    )
    assert mean == pytest.approx(PROBS @ VALUES, rel=1e-12)


@pytest.mark.parametrize("k", [13, 40])
def test_large_sets_are_integrated(k):
    """Against an adaptive integral of the defining formula."""
    integrate = pytest.importorskip("scipy.integrate")
    probs = np.random.default_rng(k).exponential(size=k)
    probs *= 0.6 / probs.sum()

    def of_set(items, rest):
        # u = exp(-t), in units in which the integrand is smooth.
        f = lambda t: np.exp(-t) * np.prod(-np.expm1(-t * items / rest))  # noqa: E731
        return integrate.quad(f, 0, 100, epsabs=0, epsrel=1e-9, limit=500)[0]

    whole = of_set(probs, 0.4)
    want = [probs[s] * of_set(np.delete(probs, s), 0.4) / whole for s in range(k)]
    weights = unordered_set_weights(np.log(probs))
    assert weights == pytest.approx(want, rel=1e-6)
    assert weights.sum() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("rest", [0.3, 1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("k", [3, 14, 40])
def test_sets_that_are_nearly_everything(k, rest):
    """The weight of an item is pass@1 of distinct samples of which it alone is right."""
    probs = 0.6 ** np.arange(k)
    probs *= (1 - rest) / probs.sum()
    weights = unordered_set_weights(np.log(probs))
    assert weights.sum() == pytest.approx(1, rel=1e-9)
    correct = np.eye(k, dtype=bool)
    passes = pass_at_k_distinct(correct, np.broadcast_to(np.log(probs), (k, k)), 1)
    assert weights == pytest.approx(passes.value, rel=1e-6)


def test_an_item_of_a_set_that_was_nearly_missed():
    """Two items beside a rest that is far likelier than the second: by hand."""
    p, rest = 1e-7, 1e-6
    first, second = 1 - p - rest, p
    both = first * second / (second + rest) + second * first / (first + rest)
    weights = unordered_set_weights(np.log([first, second]))
    assert weights[1] == pytest.approx(second * first / (first + rest) / both, rel=1e-7)


@pytest.mark.law
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_threshold_weights_are_unbiased(k):
    logprobs = np.log(PROBS)
    drawn = gumbel_topk(np.broadcast_to(logprobs, (DRAWS, 5)), k, rng=k)
    weights = threshold_weights(logprobs[drawn.indices], drawn.kappa)
    estimates = (weights * VALUES[drawn.indices]).sum(1)
    if k > 1:  # a single draw has a weight without a variance
        assert_mean(weights.sum(1), 1.0)
        assert_mean(estimates, PROBS @ VALUES)
    else:
        assert_mean(np.minimum(weights.sum(1), 50), expected_capped(50), None)


def expected_capped(cap):
    """The mean of the weight of a single draw, capped, by an integral over the threshold."""
    integrate = pytest.importorskip("scipy.integrate")

    def part(p):
        # Given kappa = t, from the others alone: the item is drawn with q, and weighs p / q.
        def at(t):
            q = -np.expm1(-np.exp(np.log(p) - t))
            density = (1 - p) * np.exp(-t) * np.exp(-(1 - p) * np.exp(-t))
            return density * q * min(p / q, cap)

        return integrate.quad(at, -6, 60, limit=400)[0]

    return sum(map(part, PROBS))


@pytest.mark.law
def test_standard_errors():
    """The squared error is what the estimate says on average."""
    logprobs, k = np.log(np.full(8, 1 / 8)), 4
    values = np.arange(8.0)
    drawn = gumbel_topk(np.broadcast_to(logprobs, (20_000, 8)), k, rng=0)
    pairs = zip(drawn.indices, drawn.kappa, strict=True)
    found = [
        distinct_mean(values[at], logprobs[at], kappa, method="threshold") for at, kappa in pairs
    ]
    errors = np.array([(e.value - 3.5) ** 2 - e.stderr**2 for e in found])
    assert_mean(errors, 0.0)


def test_means():
    logprobs, values = np.log([0.4, 0.3]), [1.0, 5.0]
    weights = unordered_set_weights(logprobs)
    assert distinct_mean(values, logprobs, method="unordered").value == pytest.approx(
        weights @ values
    )
    weights = threshold_weights(logprobs, -0.5)
    assert distinct_mean(values, logprobs, -0.5, method="threshold").value == pytest.approx(
        weights @ values
    )
    both = distinct_mean(values, logprobs, -0.5)
    assert both.value == pytest.approx(weights @ values / weights.sum())
    assert both.stderr > 0
    # Nothing that was not drawn: the mean is exact.
    whole = distinct_mean(values, np.log([0.4, 0.6]), -np.inf)
    assert whole == (pytest.approx(3.4), 0.0)
    assert np.isnan(distinct_mean([], [], 0.0)).all()


def test_what_is_no_sample_has_no_weight():
    logprobs = [np.log(0.4), -np.inf, np.log(0.3)]
    both = [logprobs[0], logprobs[2]]
    for function in (
        lambda given: threshold_weights(given, -1.0),
        lambda given: self_normalized_weights(given, -1.0),
        unordered_set_weights,
    ):
        weights = function(logprobs)
        assert weights[1] == 0
        assert np.array_equal(weights[[0, 2]], function(both))


def test_extremes():
    # Probabilities below the least double, and a set that is everything.
    tiny = unordered_set_weights(np.array([-800.0, -801.0]))
    assert tiny == pytest.approx([0.5, 0.5], rel=1e-9)
    many = unordered_set_weights(np.full(20, -800.0))
    assert many == pytest.approx(np.full(20, 0.05), rel=1e-6)
    whole = unordered_set_weights(np.log([0.6, 0.4]))
    assert whole == pytest.approx([0.6, 0.4])
    assert threshold_weights([-800.0], 50.0)[0] == pytest.approx(np.exp(50.0))


def test_threads():
    logprobs = np.log(np.random.default_rng(0).dirichlet(np.ones(20), 300))[:, :15]
    for function in (
        lambda **how: unordered_set_weights(logprobs, **how),
        lambda **how: threshold_weights(logprobs, -3.0, **how),
    ):
        first = function(num_threads=1)
        assert all(np.array_equal(first, function(num_threads=n)) for n in (2, 7))


BAD = {
    "positive": (lambda: threshold_weights([0.5], 0.0), r"^logprobs: row 0: must hold log-"),
    "nan": (lambda: unordered_set_weights([[-1.0], [np.nan]]), r"^logprobs: row 1: must hold"),
    "mass": (
        lambda: unordered_set_weights([-0.1, -0.1]),
        r"^logprobs: row 0: probabilities of distinct samples sum to 1\.8",
    ),
    "kappa": (lambda: threshold_weights([-1.0], np.inf), r"^kappa: must be in \[-inf, inf\)"),
    "kappas": (lambda: threshold_weights([[-1.0]] * 2, [0.0] * 3), r"^kappa: must be a number or"),
    "values": (lambda: distinct_mean([1.0], [-1.0, -2.0], 0.0), r"^values: must have shape"),
    "infinite": (lambda: distinct_mean([np.inf], [-1.0], 0.0), r"^values: item 0 must be in"),
    "no kappa": (lambda: distinct_mean([1.0], [-1.0]), r"^kappa: must be given with"),
    "a kappa": (
        lambda: distinct_mean([1.0], [-1.0], 0.0, method="unordered"),
        r"^kappa: must not be given with",
    ),
    "method": (lambda: distinct_mean([1.0], [-1.0], 0.0, method="mean"), r"^method: must be"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()
