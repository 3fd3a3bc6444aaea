"""Estimates from pools beside what is copied, SciPy where it has the law, and simulation.

A million rows of pass@k with one n and with an n for each row; the best and the vote of k from
1,000 pools of 64; a beta law fitted to 10,000 problems; and pass@k from 32 distinct samples.
"""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sortes.pool import (
    beta_binomial_fit,
    majority_at_k,
    max_at_k,
    pass_at_k,
    pass_at_k_distinct,
)

from benches.turns import turns

ROWS = 10**6
POOLS, SIZE = 1000, 64


def copied_product(n, c, k):
    """One minus the product over the wrong samples, problem by problem."""

    def one(n, c):
        return 1.0 if n - c < k else 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))

    return np.array([one(int(a), int(b)) for a, b in zip(n, c, strict=True)])


@pytest.mark.parametrize("same", [True, False], ids=["one n", "many n"])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_pass_at_k(benchmark, same, k):
    rng = np.random.default_rng(0)
    n = 200 if same else rng.integers(100, 300, ROWS)
    c = rng.integers(0, np.minimum(n, 100) + 1, ROWS)
    each = np.broadcast_to(n, ROWS)
    part = slice(0, 2000)
    expected = copied_product(each[part], c[part], k)
    np.testing.assert_allclose(pass_at_k(each[part], c[part], k), expected, atol=1e-12)
    turns(
        benchmark,
        "pass@k from counts",
        {"rows": ROWS, "n": "200" if same else "100 to 299", "k": k},
        {
            "sortes": lambda _: pass_at_k(n, c, k, num_threads=1),
            "sortes, 2 threads": lambda _: pass_at_k(n, c, k, num_threads=2),
        },
        {
            "copied product": lambda _: copied_product(each, c, k),
            "scipy hypergeom": lambda _: stats.hypergeom.sf(0, each, c, k),
        },
        floor_bytes=8 * ROWS * (2 if same else 3),
        seconds=2,
        least=1,
        most=50,
    )


def test_best(benchmark):
    scores, k = np.random.default_rng(0).normal(size=(POOLS, SIZE)), np.array([1, 4, 16, 64])
    ranks = np.arange(SIZE)

    def by_combinations(_):
        weights = special.comb(ranks, k[:, None] - 1) / special.comb(SIZE, k)[:, None]
        return np.sort(scores, 1) @ weights.T

    np.testing.assert_allclose(max_at_k(scores, k), by_combinations(0), atol=1e-9)
    turns(
        benchmark,
        "The best of k",
        {"pools": POOLS, "samples": SIZE, "k": "1, 4, 16, 64"},
        {"sortes": lambda _: max_at_k(scores, k, num_threads=1)},
        {"numpy sort, scipy comb": by_combinations},
        floor_bytes=scores.nbytes,
    )


def test_votes(benchmark):
    rng, k = np.random.default_rng(0), 16
    answers = rng.choice(8, (POOLS, SIZE), p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])

    def simulated(_):
        """The vote of 1,000 random subsets of each of ten pools, for a hundredth of the pools."""
        won = []
        for pool in answers[:10]:
            subsets = rng.permuted(np.broadcast_to(pool, (1000, SIZE)), axis=1)[:, :k]
            votes = np.stack([(subsets == a).sum(1) for a in range(8)], 1)
            top = votes == votes.max(1, keepdims=True)
            won.append((top[:, 0] / top.sum(1)).mean())
        return np.array(won)

    assert np.abs(majority_at_k(answers[:10], 0, k) - simulated(0)).max() < 0.08
    turns(
        benchmark,
        "The vote of k",
        {"pools": POOLS, "samples": SIZE, "k": k},
        {"sortes, exact": lambda _: majority_at_k(answers, 0, k, num_threads=1)},
        {},
        yardsticks={"numpy, 1,000 subsets, 10 pools": simulated},
    )


def test_fit(benchmark):
    rng = np.random.default_rng(0)
    n = 100
    c = rng.binomial(n, rng.beta(0.4, 2.0, 10_000))

    def loss(logs):
        a, b = np.exp(logs)
        return -(special.betaln(c + a, n - c + b) - special.betaln(a, b)).sum()

    turns(
        benchmark,
        "A beta law of difficulty",
        {"problems": c.size, "n": n},
        {"sortes": lambda _: beta_binomial_fit(n, c)},
        {"scipy L-BFGS-B": lambda _: optimize.minimize(loss, [0.0, 0.0], method="L-BFGS-B")},
    )


def test_distinct(benchmark):
    rng, m = np.random.default_rng(0), 32
    p = np.arange(1, 1001.0) ** -1.2
    p /= p.sum()
    logs = np.log(p)
    drawn = np.argsort(-(logs + rng.gumbel(size=(100, p.size))), axis=1)[:, :m]
    right = rng.random(p.size) < 0.3
    turns(
        benchmark,
        "pass@k from distinct samples",
        {"pools": 100, "samples": m, "k": 8},
        {"sortes": lambda _: pass_at_k_distinct(right[drawn], logs[drawn], 8, num_threads=1)},
        {},
    )
