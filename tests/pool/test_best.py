"""The expected score or reward of the best of k samples."""

import re
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_mean
from sortes.pool import best_of_k, max_at_k, pass_at_k
from vectors import load

VECTORS = load("pool/passk.json")["best_of_k"]


@pytest.mark.parametrize("case", VECTORS, ids=str)
def test_vectors(case):
    value = best_of_k(case["scores"], case["rewards"], case["k"])
    assert value == pytest.approx(case["value"], abs=1e-15)


scores_of = st.lists(st.integers(-3, 3).map(lambda x: x / 2), min_size=1, max_size=7)


@given(scores_of)
def test_all_subsets(scores):
    k = np.arange(1, len(scores) + 1)
    means = [np.mean([max(s) for s in combinations(scores, int(i))]) for i in k]
    np.testing.assert_allclose(max_at_k(scores, k), means, atol=1e-14)


@given(scores_of.filter(lambda scores: len(scores) <= 5), st.data())
def test_ties_are_broken_by_the_order_of_the_samples(scores, data):
    """All orders of the pool: the first k are looked at, and the first of equal scores is taken."""
    n = len(scores)
    rewards = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    for k in range(1, n + 1):
        found = [
            rewards[max(order[:k], key=lambda i: scores[i])] for order in permutations(range(n))
        ]
        assert best_of_k(scores, rewards, k) == pytest.approx(np.mean(found), abs=1e-14)


@given(scores_of.filter(lambda scores: len(scores) <= 5), st.data())
def test_weights_are_draws_with_replacement(scores, data):
    n = len(scores)
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), float)
    rewards = np.arange(n) ** 2.0
    if not weights.any():
        with pytest.raises(ValueError, match=r"^weights: row 0: the sum must be in \(0, inf\)"):
            max_at_k(scores, 1, weights=weights)
        return
    p = weights / weights.sum()
    for k in range(1, 4):
        top, worth = 0.0, 0.0
        for drawn in product(range(n), repeat=k):
            chance = np.prod(p[list(drawn)])
            best = max(drawn, key=lambda i: scores[i])
            top += chance * scores[best]
            worth += chance * rewards[best]
        assert max_at_k(scores, k, weights=weights) == pytest.approx(top, abs=1e-13)
        assert best_of_k(scores, rewards, k, weights=weights) == pytest.approx(worth, abs=1e-12)


def test_right_and_wrong_is_pass_at_k():
    rng = np.random.default_rng(0)
    right = rng.random((6, 50)) < np.linspace(0, 1, 6)[:, None]
    k = np.array([1, 3, 20, 50])
    expected = pass_at_k(50, right.sum(1)[:, None], k)
    np.testing.assert_allclose(max_at_k(right, k), expected, atol=1e-14)
    weights = rng.random((6, 50))
    mass = (weights * right).sum(1) / weights.sum(1)
    np.testing.assert_allclose(
        max_at_k(right, k, weights=weights), 1 - (1 - mass[:, None]) ** k, atol=1e-13
    )


def test_subsets_with_repeats_find_too_little():
    """A peer draws k of the n samples *with* replacement: 1 right of 4 became 0.684 at k = 4."""
    right = [0, 0, 0, 1]
    assert max_at_k(right, 4) == 1.0
    assert max_at_k(right, 4, weights=np.ones(4)) == pytest.approx(0.68359375)


def test_shapes():
    scores = np.arange(6.0).reshape(2, 3)
    assert isinstance(max_at_k(scores[0], 2), float)
    assert max_at_k(scores, 2).shape == (2,)
    assert max_at_k(scores[0], [1, 2]).shape == (2,)
    assert max_at_k(scores, [[1], [2]][0]).shape == (2, 1)
    assert max_at_k(np.zeros((0, 3)), [1, 2]).shape == (0, 2)
    assert max_at_k(scores.astype(np.float16).T.copy().T, [1]).tolist() == [[1.0], [4.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_at_k([1, 2], 3), "k: must be at most the number of samples, 2, got 3"),
        (lambda: max_at_k([1, 2], [1, 0]), "k: must be at least 1, got 0"),
        (lambda: max_at_k([], 1), "scores: must hold at least one sample"),
        (
            lambda: max_at_k([[1, 2], [3, np.inf]], 1),
            "scores: row 1: item 1 must be in (-inf, inf)",
        ),
        (
            lambda: best_of_k([1, 2], [1, np.nan], 1),
            "rewards: row 0: item 1 must be in (-inf, inf)",
        ),
        (lambda: best_of_k([1, 2], [1], 1), "rewards: must have the shape of the pools"),
        (
            lambda: max_at_k([1, 2], 1, weights=[1, -1]),
            "weights: row 0: item 1 must be in [0, inf)",
        ),
        (lambda: max_at_k([1, 2], 1, weights=[1e308, 1e308]), "weights: row 0: the sum must be in"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


@pytest.mark.law
def test_max_at_k_is_the_maximum_of_fresh_samples():
    """100,000 pools of 12 exponential scores, k = 4: 1 + 1/2 + 1/3 + 1/4."""
    pools = np.random.default_rng(0).exponential(size=(100_000, 12))
    assert_mean(max_at_k(pools, 4), 25 / 12)
