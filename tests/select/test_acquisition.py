"""Stochastic batch acquisition: vectors, law, items of weight zero, errors."""

from itertools import permutations

import numpy as np
import pytest
from lawlib import assert_law
from sortes.select import acquisition_probs, choice, stochastic_acquisition
from vectors import load

CASES = load("select/weighted.json")["acquisition"]


def name_of(case):
    return f"{case['strategy']}-{case['beta']}-{case['scores']}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_vectors(case):
    how = {"strategy": case["strategy"], "beta": case["beta"]}
    scores, noise = case["scores"], case["gumbel"]
    np.testing.assert_allclose(
        acquisition_probs(scores, **how), [float(p) for p in case["probs"]], rtol=1e-9, atol=1e-12
    )
    batch = stochastic_acquisition(scores, case["k"], noise=noise, **how)
    np.testing.assert_array_equal(batch, case["selected"])
    everything = stochastic_acquisition(scores, len(scores), noise=noise, **how)
    np.testing.assert_array_equal(everything, case["full_order"])


def plackett_luce(weights, k):
    """The law of ordered batches; among items of weight zero all orders are equally likely."""
    law = {}
    for order in permutations(range(len(weights)), k):
        p, left = 1.0, dict(enumerate(weights))
        for item in order:
            total = sum(left.values())
            p *= left[item] / total if total > 0 else 1 / len(left)
            del left[item]
        if p > 0:
            law[order] = p
    return law


@pytest.mark.law
@pytest.mark.parametrize(
    ("scores", "strategy", "beta", "weights"),
    [
        ([0.2, 0.5, 0.1, 0.9], "power", 2.0, [0.04, 0.25, 0.01, 0.81]),
        ([0.0, 0.5, 0.0, 1.5], "power", 1.0, [0, 0.5, 0, 1.5]),
        ([0.0, 0.5, 0.0, 1.5], "power", 0.0, [0, 1, 0, 1]),
        ([-1.0, 0.0, 2.0, 1.0], "softmax", 0.5, np.exp([-0.5, 0, 1, 0.5])),
        ([3.0, 7.0, 3.0, -1.0], "softrank", 1.0, [1 / 2.5, 1, 1 / 2.5, 1 / 4]),
        ([0.0, 0.0, 0.0, 0.0], "power", 1.0, [0, 0, 0, 0]),
    ],
)
def test_orders(scores, strategy, beta, weights):
    """The joint law of ordered batches of 3 from 4, n = 30,000.

    Seen red: mean ranks off by one half.
    """
    law = plackett_luce([float(w) for w in weights], 3)
    index = {order: i for i, order in enumerate(law)}
    counts = np.zeros(len(law), np.int64)
    for step in range(30_000):
        batch = stochastic_acquisition(scores, 3, strategy=strategy, beta=beta, rng=2, step=step)
        counts[index[tuple(batch.tolist())]] += 1
    p = np.array(list(law.values()))
    assert_law(counts, p / p.sum())


@pytest.mark.law
@pytest.mark.parametrize(
    ("scores", "strategy", "beta"),
    [
        ([1e17, 1e17, 1e17], "softmax", 1.0),
        ([-1e308, -1e308, -1e308], "softmax", 1.0),
        ([0.5, 0.5, 0.5], "power", 1e18),
        ([2.0, 2.0, 2.0], "softrank", 1e18),
        ([1.0, 0.5, 0.5, 0.5, 0.25], "power", 1e18),
        ([9e17, 5e17, 5e17, 5e17, -1e300, -1e308], "softmax", 1.0),
        ([1e17 + 64, 1e17, 1e17, 1e17, 0.0, 1.0], "softmax", 1.0),
    ],
)
def test_equal_items_are_equally_likely_however_large_the_scores(scores, strategy, beta):
    """All orders of the three equal items, n = 6,000; what is better always comes first.

    Seen red: noise added to log weights as they are, which rounds it away.
    """
    equal = np.flatnonzero(np.asarray(scores) == np.sort(scores)[-2])
    index = {order: i for i, order in enumerate(permutations(equal.tolist()))}
    better, counts = len(scores) > 3, np.zeros(6, np.int64)
    for step in range(6000):
        batch = stochastic_acquisition(
            scores, 3 + better, strategy=strategy, beta=beta, rng=2, step=step
        ).tolist()
        if better:
            assert batch.pop(0) == 0
        counts[index[tuple(batch)]] += 1
    assert_law(counts, np.full(6, 1 / 6))


def test_gaps_that_noise_bridges_are_kept():
    """Log weights that differ by less than the noise keep their law beside one that is far off."""
    scores = np.array([0.0, 1.0, 2.0, 1.5])
    plain = [stochastic_acquisition(scores, 4, strategy="softmax", rng=s) for s in range(300)]
    far = [
        stochastic_acquisition([*scores, -1e300], 5, strategy="softmax", rng=s) for s in range(300)
    ]
    np.testing.assert_array_equal(np.array(far)[:, :4], plain)
    assert (np.array(far)[:, 4] == 4).all()


def test_large_batches():
    scores = np.random.default_rng(0).gamma(1.0, size=200_000)
    scores[::3] = 0
    batch = stochastic_acquisition(scores, 200_000, rng=1)
    assert np.array_equal(np.sort(batch), np.arange(200_000))
    positive = np.count_nonzero(scores)
    assert (scores[batch[:positive]] > 0).all()
    for k in (1, 500, 150_000):
        np.testing.assert_array_equal(stochastic_acquisition(scores, k, rng=1), batch[:k])
    two = stochastic_acquisition(scores, 500, rng=1, num_threads=2)
    np.testing.assert_array_equal(two, batch[:500])


def test_power_is_sampling_without_replacement():
    scores = np.random.default_rng(0).gamma(1.0, size=1000)
    expected = choice(scores, 100, replace=False, rng=4)
    np.testing.assert_array_equal(stochastic_acquisition(scores, 100, rng=4), expected)


def test_coldness():
    scores = np.random.default_rng(0).normal(size=100)
    best = np.argsort(-scores)[:10]
    np.testing.assert_array_equal(
        stochastic_acquisition(scores, 10, strategy="softmax", beta=1e9, rng=0), best
    )
    uniform = stochastic_acquisition(np.ones(100), 10, rng=0)
    for strategy in ("softmax", "softrank"):
        drawn = stochastic_acquisition(scores, 10, strategy=strategy, beta=0.0, rng=0)
        np.testing.assert_array_equal(drawn, uniform)


def test_small_cases():
    assert stochastic_acquisition([], 0, rng=0).shape == (0,)
    assert stochastic_acquisition([1.0], 1, rng=0).tolist() == [0]
    assert acquisition_probs([]).shape == (0,)
    np.testing.assert_array_equal(acquisition_probs([0.0, 0.0]), [0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stochastic_acquisition([1, 2], 3), r"^k: must be at most the number of scores, 2"),
        (lambda: stochastic_acquisition([1, 2], -1), r"^k: must be at least 0, got -1$"),
        (
            lambda: stochastic_acquisition([1, -0.5], 1),
            r"^scores: item 1 must be in \[0, inf\) for the strategy 'power', got -0\.5$",
        ),
        (
            lambda: acquisition_probs([np.nan]),
            r"^scores: item 0 must be in \(-inf, inf\), got nan$",
        ),
        (
            lambda: stochastic_acquisition([0, np.inf], 1, strategy="softmax"),
            r"^scores: item 1 must be in \(-inf, inf\), got inf$",
        ),
        (
            lambda: stochastic_acquisition([1, 1e300], 1, strategy="softmax", beta=1e10),
            r"^scores: item 1 must be in the range of float64 divided by beta, got 1e300$",
        ),
        (
            lambda: stochastic_acquisition([1], 1, beta=-1),
            r"^beta: must be in \[0, inf\), got ",
        ),
        (lambda: acquisition_probs([1], beta=np.inf), r"^beta: must be in \[0, inf\), got "),
        (lambda: acquisition_probs([1], beta=np.nan), r"^beta: must be in \[0, inf\), got "),
        (lambda: acquisition_probs([1], strategy="best"), r"^strategy: must be 'power', 'softmax'"),
        (
            lambda: stochastic_acquisition([1, 2], 1, noise=[0.0]),
            r"^noise: must have shape \(2,\), got \(1,\)$",
        ),
        (
            lambda: stochastic_acquisition([1, 2], 1, noise=[0.0, np.nan]),
            r"^noise: item 1 must be in \(-inf, inf\), got nan$",
        ),
        (
            lambda: stochastic_acquisition([1, 2], 1, noise=[0.0, 0.0], rng=0),
            r"^rng: must not be given with noise",
        ),
        (
            lambda: stochastic_acquisition([1, 2], 1, noise=[0.0, 0.0], step=1),
            r"^step: must not be given with noise",
        ),
        (
            lambda: stochastic_acquisition([[1]], 1),
            r"^scores: must have shape \(n,\), got \(1, 1\)$",
        ),
    ],
)
def test_bad_calls_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("beta", ["a", None, np.array([1, 2]), 1j])
def test_coldness_is_a_number(beta):
    for call in (
        lambda: stochastic_acquisition([1], 1, beta=beta),
        lambda: acquisition_probs([1], beta=beta),
    ):
        with pytest.raises(TypeError, match=r"^beta: must be a number, got "):
            call()


def test_a_refused_call_advances_no_generator():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^rng: must not be given with noise"):
        stochastic_acquisition([1, 2], 1, noise=[0.0, 0.0], rng=generator)
    assert generator.integers(2**40) == np.random.default_rng(0).integers(2**40)


def test_scores_that_miss_zero_by_rounding_are_zero():
    scores = np.array([0.5, -6e-8, 0.0, 2.0, -1e-6])
    rounded = np.maximum(scores, 0)
    for seed in range(20):
        np.testing.assert_array_equal(
            stochastic_acquisition(scores, 5, rng=seed),
            stochastic_acquisition(rounded, 5, rng=seed),
        )
    np.testing.assert_array_equal(acquisition_probs(scores), acquisition_probs(rounded))
    acquisition_probs([-0.9, 1e6])
    for refused in ([-1.1e-6, 0.0], [-1.1, 1e6]):
        with pytest.raises(
            ValueError, match=r"^scores: item 0 must be in \[0, inf\) for the strat"
        ):
            acquisition_probs(refused)


@pytest.mark.parametrize("strategy", ["power", "softmax", "softrank"])
def test_many_scores(strategy):
    """As many as are sorted in parts; threads do not matter."""
    scores = np.random.default_rng(0).integers(0, 1000, 2_500_000) / 10
    ranks = np.empty(scores.size)
    order = np.argsort(-scores, kind="stable")
    _, first, counts = np.unique(-scores[order], return_index=True, return_counts=True)
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    weights = {"power": scores, "softmax": np.exp(scores), "softrank": 1 / ranks}[strategy]
    p = acquisition_probs(scores, strategy=strategy)
    np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-9)
    drawn = [
        stochastic_acquisition(scores, 1000, strategy=strategy, rng=1, num_threads=threads)
        for threads in (1, 3)
    ]
    np.testing.assert_array_equal(*drawn)
