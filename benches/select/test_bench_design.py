"""Designs beside what there is in Python: a NumPy line, or a loop.

No package does pivotal sampling in Python, so that a loop, written as one would, stands for it.
"""

import numpy as np
import pytest
from sortes.select import (
    conditional_poisson_sample,
    inclusion_probabilities,
    pivotal_sample,
    poisson_sample,
    stratified_masks,
    stratified_sample,
    systematic_sample,
)

from benches.turns import peer, turns

SIZES = [10**4, 10**6]


def weights(n):
    return np.random.default_rng(0).exponential(size=n)


def by_sorting(w, k):
    """Return capped proportional probabilities the usual way."""
    falling = np.sort(w)[::-1]
    tails = np.cumsum(falling[::-1])[::-1]
    t = np.flatnonzero(falling * (k - np.arange(w.size)) <= tails)[0]
    return np.minimum(1, w * (k - t) / tails[t])


def loop(pi, rng):
    """Choose units by duels in sequence, in plain Python."""
    chosen, left, a = [], None, 0.0
    for unit, (b, u) in enumerate(zip(pi.tolist(), rng.random(pi.size).tolist(), strict=True)):
        s = a + b
        if s < 1:
            left, a = (left if u * s < a else unit), s
        else:
            first = u * (2 - s) < 1 - b
            chosen.append(left if first else unit)
            left, a = (unit if first else left), s - 1
    if a > 0.5:
        chosen.append(left)
    return np.array(sorted(chosen))


def units(n):
    """Return what all designs share: the floor moves one number of each unit."""
    return {"floor_bytes": 8 * n, "most": 200}


@pytest.mark.parametrize("n", SIZES)
def test_inclusion_probabilities(benchmark, n):
    w, k = weights(n), 0.3 * n
    np.testing.assert_allclose(inclusion_probabilities(w, k).pi, by_sorting(w, k), rtol=1e-9)
    turns(
        benchmark,
        "Inclusion probabilities",
        {"units": n},
        {"sortes": lambda _: inclusion_probabilities(w, k)},
        {"numpy, by sorting": lambda _: by_sorting(w, k)},
        **units(n),
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_poisson(benchmark, n, share):
    pi, rng = inclusion_probabilities(weights(n), share * n).pi, np.random.default_rng(0)
    expected, spread = pi.sum(), np.sqrt((pi * (1 - pi)).sum())
    assert abs(len(poisson_sample(pi, rng=0)) - expected) < 6 * spread

    def bernoulli(_):
        chosen = np.flatnonzero(rng.random(n) < pi)
        return chosen, 1 / pi[chosen]

    turns(
        benchmark,
        "Poisson designs",
        {"share": share, "units": n},
        {
            "sortes": lambda i: poisson_sample(pi, rng=i, num_threads=1),
            "sortes, two threads": lambda i: poisson_sample(pi, rng=i, num_threads=2),
        },
        {"numpy": bernoulli},
        **units(n),
    )


@pytest.mark.parametrize("n", SIZES)
def test_fixed_size(benchmark, n):
    pi, rng = inclusion_probabilities(weights(n), n // 10).pi, np.random.default_rng(0)
    ours = {
        "sortes pivotal": lambda i: pivotal_sample(pi, rng=i),
        "sortes pivotal, tree": lambda i: pivotal_sample(pi, order="tree", rng=i, num_threads=1),
        "sortes systematic": lambda i: systematic_sample(pi, rng=i),
    }
    if n <= 10**4:
        ours["sortes conditional Poisson"] = lambda i: conditional_poisson_sample(pi, rng=i)
    others = {"pivotal, loop in Python": lambda _: loop(pi, rng)}
    for draw in (*ours.values(), *others.values()):
        assert len(draw(1)) == n // 10
    turns(benchmark, "Designs of fixed size", {"units": n}, ours, others, **units(n))


@pytest.mark.parametrize("n", [10**4, 10**5])
@pytest.mark.parametrize("d", [2, 5])
def test_local_pivotal(benchmark, n, d):
    """The yardstick is one query of SciPy's tree for every unit, which deletes nothing."""
    X, pi = np.random.default_rng(0).random((n, d)), np.full(n, 0.1)
    assert len(pivotal_sample(pi, order="local", X=X, rng=0)) == n // 10
    tree = peer("scipy.spatial", lambda spatial: lambda _: spatial.cKDTree(X).query(X, 2))
    turns(
        benchmark,
        "Local pivotal designs",
        {"d": d, "units": n},
        {"sortes": lambda i: pivotal_sample(pi, order="local", X=X, rng=i)},
        {},
        yardsticks={"scipy cKDTree, all nearest neighbours": tree},
        floor_bytes=X.nbytes,
        most=200,
    )


@pytest.mark.parametrize("n", SIZES)
def test_stratified(benchmark, n):
    rng = np.random.default_rng(0)
    strata = rng.integers(0, 10, n)
    per = n // 100

    def by_groups(_):
        groups = (np.flatnonzero(strata == h) for h in range(10))
        return np.sort(np.concatenate([rng.choice(g, per, replace=False) for g in groups]))

    counts = np.full(10, per)
    assert len(stratified_sample(strata, allocation=counts, rng=0)) == len(by_groups(0))
    turns(
        benchmark,
        "Stratified samples",
        {"strata": 10, "units": n},
        {"sortes": lambda i: stratified_sample(strata, allocation=counts, rng=i)},
        {"numpy, by groups": by_groups},
        **units(n),
    )


def test_masks(benchmark):
    features, rows, rng = 100, 10_000, np.random.default_rng(0)

    def by_rows(_):
        q = rng.random((rows, 1))
        return rng.random((rows, features)) < q

    assert stratified_masks(features, rows, rng=0).masks.shape == by_rows(0).shape
    turns(
        benchmark,
        "Masks with stratified sizes",
        {"features": features, "masks": rows},
        {"sortes": lambda i: stratified_masks(features, rows, rng=i, num_threads=1)},
        {"numpy, sizes at random": by_rows},
        floor_bytes=features * rows,
        most=200,
    )
