"""Designs beside what there is in Python: a NumPy line, or a loop.

No package does pivotal sampling in Python, so that a loop, written as one would, stands for it.
"""

import measure
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


def run(benchmark, what, n, turns, ours, budget=2.0):
    """Let all take turns; report times, and multiples of ours."""
    rounds = measure.rounds_within(turns, budget, least=3, most=200)
    read = np.zeros(n)
    to = np.empty_like(read)
    copy = min(measure.alternate({"copy": lambda _: np.copyto(to, read)}, 30)["copy"])
    seconds = benchmark.pedantic(measure.alternate, (turns, rounds), rounds=1)
    benchmark.extra_info["design"] = {
        "what": what,
        "n": n,
        "rounds": rounds,
        "floor": 1e3 * copy / 2,  # reading n float64 once
        "ms": measure.summary(seconds),
        "multiples": measure.multiples(seconds, ours),
    }


@pytest.mark.benchmark(group="design: inclusion probabilities")
@pytest.mark.parametrize("n", SIZES)
def test_inclusion_probabilities(benchmark, n):
    w, k = weights(n), 0.3 * n
    np.testing.assert_allclose(inclusion_probabilities(w, k).pi, by_sorting(w, k), rtol=1e-9)
    turns = {
        "sortes": lambda _: inclusion_probabilities(w, k),
        "numpy, by sorting": lambda _: by_sorting(w, k),
    }
    run(benchmark, "inclusion probabilities", n, turns, "sortes")


@pytest.mark.benchmark(group="design: Poisson")
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_poisson(benchmark, n, share):
    pi, rng = inclusion_probabilities(weights(n), share * n).pi, np.random.default_rng(0)
    expected, spread = pi.sum(), np.sqrt((pi * (1 - pi)).sum())
    assert abs(len(poisson_sample(pi, rng=0)) - expected) < 6 * spread

    def bernoulli(_):
        chosen = np.flatnonzero(rng.random(n) < pi)
        return chosen, 1 / pi[chosen]

    turns = {
        "sortes": lambda i: poisson_sample(pi, rng=i, num_threads=1),
        "sortes, 2 threads": lambda i: poisson_sample(pi, rng=i, num_threads=2),
        "numpy": bernoulli,
    }
    run(benchmark, f"Poisson, {share:g} of the units", n, turns, "sortes")


@pytest.mark.benchmark(group="design: fixed size")
@pytest.mark.parametrize("n", SIZES)
def test_fixed_size(benchmark, n):
    pi, rng = inclusion_probabilities(weights(n), n // 10).pi, np.random.default_rng(0)
    turns = {
        "sortes pivotal": lambda i: pivotal_sample(pi, rng=i),
        "sortes pivotal, tree": lambda i: pivotal_sample(pi, order="tree", rng=i, num_threads=1),
        "sortes systematic": lambda i: systematic_sample(pi, rng=i),
        "loop in Python": lambda _: loop(pi, rng),
    }
    if n <= 10**4:
        turns["sortes conditional Poisson"] = lambda i: conditional_poisson_sample(pi, rng=i)
    for draw in turns.values():
        result = draw(1)
        assert len(result) == n // 10
    run(benchmark, "fixed size", n, turns, "sortes pivotal")


@pytest.mark.benchmark(group="design: local pivotal")
@pytest.mark.parametrize("n", [10**4, 10**5])
@pytest.mark.parametrize("d", [2, 5])
def test_local_pivotal(benchmark, n, d):
    """The yardstick is one query of SciPy's tree for every unit, which deletes nothing."""
    spatial = pytest.importorskip("scipy.spatial", reason="SciPy's tree is the yardstick")
    X, pi = np.random.default_rng(0).random((n, d)), np.full(n, 0.1)
    assert len(pivotal_sample(pi, order="local", X=X, rng=0)) == n // 10
    turns = {
        "sortes": lambda i: pivotal_sample(pi, order="local", X=X, rng=i),
        "scipy cKDTree, all nearest neighbours": lambda _: spatial.cKDTree(X).query(X, 2),
    }
    run(benchmark, f"local pivotal, d = {d}", n, turns, "sortes")


@pytest.mark.benchmark(group="design: strata and masks")
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
    turns = {
        "sortes": lambda i: stratified_sample(strata, allocation=counts, rng=i),
        "numpy, by groups": by_groups,
    }
    run(benchmark, "stratified, 10 strata", n, turns, "sortes")


@pytest.mark.benchmark(group="design: strata and masks")
def test_masks(benchmark):
    features, rows, rng = 100, 10_000, np.random.default_rng(0)

    def by_rows(_):
        q = rng.random((rows, 1))
        return rng.random((rows, features)) < q

    assert stratified_masks(features, rows, rng=0).masks.shape == by_rows(0).shape
    turns = {
        "sortes": lambda i: stratified_masks(features, rows, rng=i, num_threads=1),
        "numpy, sizes at random": by_rows,
    }
    run(benchmark, "masks, 100 features", features * rows // 8, turns, "sortes")
