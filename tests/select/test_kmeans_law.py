"""The laws of the k-means++ family, by enumeration.

Seen red: accepting with the square of the coin, not lowering a bound, keeping the worst of the
local trials, and drawing the fallback from the draws of the trials that failed. Ruling out too many
centres turns the kernel's own tests red.
"""

import functools
import itertools

import numpy as np
import pytest
from lawlib import assert_law, assert_same_law
from sortes import Stream, _core
from sortes.select import kmeans_plusplus
from vectors import load

VECTORS = load("select/kmeans.json")
seed = _core.select.kmeans.seed
EXACT = {
    "lazy": ("lazy",),
    "exact": ("exact", 1),
    "rejection": ("rejection", None, "exact"),
    "rejection, two trials": ("rejection", 2, "exact"),
}


def draw(X, k, method, n, weights=None):
    """The centres of `n` streams, shape (n, k)."""
    X, job = np.ascontiguousarray(X), (1, None)
    streams = map(Stream, range(n))
    return np.array([seed(X, k, method, weights, stream, False, job)[0] for stream in streams])


def following(X, S, method, weights=None):
    """The centres that were drawn after those of `S`, of 150,000 runs for four."""
    centres = runs(
        tuple(map(tuple, X)), method, None if weights is None else tuple(map(float, weights))
    )
    return centres[(centres[:, : len(S)] == S).all(1)][:, len(S)]


@functools.lru_cache(maxsize=2)
def runs(X, method, weights):
    """Vectors with the same points share these."""
    weights = None if weights is None else np.array(weights)
    return draw(np.array(X), 4, method, 150_000, weights)


def tally(tuples, n_points):
    """Counts of tuples of points, numbered like the digits of a number."""
    places = n_points ** np.arange(tuples.shape[1] - 1, -1, -1)
    return np.bincount(tuples @ places, minlength=n_points ** tuples.shape[1])


def ordered_law(X, k, weights=None, local_trials=1):
    """The probability of every ordered tuple of k centres."""
    n = len(X)
    w = np.ones(n) if weights is None else np.asarray(weights)
    squared = ((X[:, None] - X[None]) ** 2).sum(-1)
    law = np.zeros((n,) * k)
    for chosen in itertools.product(range(n), repeat=k - 1):
        p, ok = w[chosen[0]] / w.sum(), True
        for i in range(1, k):
            mass = w * squared[list(chosen[:i])].min(0)
            following = greedy_law(mass, squared, w, chosen[:i], local_trials)
            if i == k - 1:
                law[chosen] = p * following
            else:
                p *= following[chosen[i]]
                ok = p > 0
            if not ok:
                break
    return law.ravel()


def greedy_law(mass, squared, w, chosen, local_trials):
    """The law of the best of some independent draws, the first among equals."""
    p = mass / mass.sum()
    if local_trials == 1:
        return p
    closest = squared[list(chosen)].min(0)
    potential = np.array([(w * np.minimum(closest, row)).sum() for row in squared])
    law = np.zeros(len(p))
    for picks in itertools.product(np.flatnonzero(p), repeat=local_trials):
        best = min(picks, key=lambda pick: potential[pick])
        law[best] += np.prod(p[list(picks)])
    return law


@pytest.mark.law
@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("case", range(len(VECTORS["kmeanspp"])))
def test_ordered_tuples(case, method):
    """60,000 draws see an error of 0.016 in a probability of one half, 0.006 in one of 0.05."""
    vector = VECTORS["kmeanspp"][case]
    X, k = np.array(vector["X"]), vector["k"]
    weights = None if vector["sample_weight"] is None else np.array(vector["sample_weight"], float)
    law = np.zeros((len(X),) * k)
    for key, p in vector["ordered"].items():
        law[tuple(int(i) for i in key.split(","))] = p
    assert np.allclose(law.ravel(), ordered_law(X, k, weights), atol=1e-12)
    centres = draw(X, k, EXACT[method], 60_000, weights)
    assert_law(tally(centres, len(X)), law.ravel())


def clumps():
    """Sixteen points of different scales, among them two pairs of equals."""
    rng = np.random.default_rng(5)
    X = np.repeat([[0.0, 0], [5, 1], [5, 3], [-20, 2]], 4, axis=0) + rng.normal(0, 0.6, (16, 2))
    X[1], X[13] = X[0], X[12]
    return X


@pytest.mark.law
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", EXACT)
def test_distances_that_are_ruled_out(method, weighted, dtype):
    """Four centres of sixteen points: enough for distances between centres to be put to use."""
    X = clumps().astype(dtype)
    weights = np.array([1.0, 0, 2, 0.5] * 4) if weighted else None
    law = ordered_law(X.astype(np.float64), 4, weights)
    centres = draw(X, 4, EXACT[method], 60_000, weights)
    assert_law(tally(centres, 16), law)


@pytest.mark.law
@pytest.mark.parametrize(("dtype", "weighted"), [(np.float32, True), (np.float64, False)])
def test_trials_from_loose_bounds(dtype, weighted):
    """Eight sites of 512 points each: so many that bounds stay as they are for several trials.

    On the few points of other tests looking at all of them comes first, and trials all succeed.
    """
    sites, many = clumps()[[0, 2, 4, 6, 8, 11, 12, 14]].astype(dtype), 512
    X = np.repeat(sites, many, axis=0)
    weights = np.array([1.0, 0.25, 2, 0.5] * 2) if weighted else None
    law = ordered_law(sites.astype(np.float64), 4, weights)
    spread = None if weights is None else np.repeat(weights, many)
    streams = [Stream(key) for key in range(100)]
    seeded = [seed(X, 4, ("lazy",), spread, stream, False, None) for stream in streams]
    assert sum(counts[0] for _, counts, _ in seeded) > 100 * 8
    centres = draw(X, 4, ("lazy",), 25_000, spread) // many
    assert_law(tally(centres, 8), law)


@pytest.mark.law
@pytest.mark.parametrize("weighted", [False, True])
def test_greedy(weighted):
    X = clumps()[::2]
    weights = np.array([1.0, 0, 2, 0.5] * 2) if weighted else None
    law = ordered_law(X, 3, weights, local_trials=3)
    centres = draw(X, 3, ("exact", 3), 60_000, weights)
    assert_law(tally(centres, 8), law)


@pytest.mark.law
@pytest.mark.parametrize("case", range(len(VECTORS["greedy"])))
def test_greedy_vectors(case):
    vector = VECTORS["greedy"][case]
    X, method = vector["X"], ("exact", vector["n_local_trials"])
    given = following(X, vector["S"], method, vector["sample_weight"])
    assert given.size > 5_000
    assert_law(np.bincount(given, minlength=len(X)), vector["probs"])


@pytest.mark.law
@pytest.mark.parametrize("case", range(len(VECTORS["rs_kmeanspp"])))  # those of a kind in turn
@pytest.mark.parametrize("m", [1, 5])
def test_the_uniform_fallback(case, m):
    """After `m` trials any point that is no centre yet, each as likely."""
    vector = VECTORS["rs_kmeanspp"][case]
    X, S = vector["X"], vector["S"]
    if vector["target"] is None or vector["c1"] != S[0]:
        pytest.skip("no mass is left, or the tuple cannot be drawn")
    given = following(X, S, ("rejection", m, "uniform"))
    if given.size < 5_000:
        pytest.skip("the tuple is too rare")
    delta = (1 - 1 / vector["tau"]) ** m
    others = np.ones(len(X))
    others[S] = 0
    law = (1 - delta) * np.array(vector["target"]) + delta * others / others.sum()
    assert_law(np.bincount(given, minlength=len(X)), law)


@pytest.mark.law
@pytest.mark.parametrize("case", range(len(VECTORS["afkmc2"])))
@pytest.mark.parametrize("length", [1, 2, 5])
def test_chains(case, length):
    vector = VECTORS["afkmc2"][case]
    X = vector["X"]
    given = following(X, vector["S"], ("afkmc2", length))
    if given.size < 5_000:
        pytest.skip("the tuple is too rare")
    assert_law(np.bincount(given, minlength=len(X)), vector["chain"][str(length)])


def parallel_reference(X, k, oversampling, rounds, rng):
    """k-means|| step by step."""
    squared = ((X[:, None] - X[None]) ** 2).sum(-1)
    chosen = [int(rng.integers(len(X)))]
    for _ in range(rounds):
        closest = squared[chosen].min(0)
        joins = rng.random(len(X)) < np.minimum(
            1, oversampling * closest / max(closest.sum(), 1e-300)
        )
        chosen += [int(i) for i in np.flatnonzero(joins)]
    while len(chosen) < k:
        closest = squared[chosen].min(0)
        chosen.append(int(rng.choice(len(X), p=closest / closest.sum())))
    weights = np.bincount(squared[chosen].argmin(0), minlength=len(chosen)).astype(float)
    among = squared[np.ix_(chosen, chosen)]
    centres = [int(rng.choice(len(chosen), p=weights / weights.sum()))]
    while len(centres) < k:
        closest = among[centres].min(0)
        mass = weights * closest
        picks = rng.choice(len(chosen), size=2 + int(np.log(k)), p=mass / mass.sum())
        costs = [(weights * np.minimum(closest, among[pick])).sum() for pick in picks]
        centres.append(int(picks[np.argmin(costs)]))
    return sorted(chosen[i] for i in centres)


@pytest.mark.law
def test_parallel():
    """The set of centres, against 30,000 runs of the definition."""
    X = clumps()[::2][[0, 2, 3, 5, 6, 7]]
    rng = np.random.default_rng(0)
    theirs = np.array([parallel_reference(X, 2, 2.0, 2, rng) for _ in range(30_000)])
    ours = np.sort(draw(X, 2, ("parallel", 2.0, 2), 100_000), axis=1)
    assert_same_law(tally(ours, len(X)), tally(theirs, len(X)))


@pytest.mark.law
def test_random():
    weights = np.array([4.0, 1, 0, 2, 1])
    centres = draw(np.zeros((5, 1)), 2, ("random",), 100_000, weights)
    law = np.zeros((5, 5))
    for i, j in itertools.permutations([0, 1, 3, 4], 2):
        law[i, j] = weights[i] / 8 * weights[j] / (8 - weights[i])
    assert_law(tally(centres, 5), law.ravel())


@pytest.mark.law
@pytest.mark.parametrize("method", ["lazy", "exact", "rejection"])
def test_what_fills_in_is_uniform(method):
    """Three equal points and a fourth: when that is a centre, any of the others is as likely."""
    centres = draw(np.array([[0.0], [0.0], [0.0], [1.0]]), 3, EXACT[method], 30_000)
    assert (centres[:, :2] == 3).any(1).all()
    law = np.zeros((4, 4))
    for i, j in itertools.permutations(range(3), 2):
        law[i, j] = 1 / 6
    assert_law(tally(centres[centres[:, 0] == 3][:, 1:], 4), law.ravel())


@pytest.mark.parametrize("case", range(len(VECTORS["d2"])))
def test_distances(case):
    vector = VECTORS["d2"][case]
    X, S = np.array(vector["X"]), vector["S"]
    weights = np.isin(np.arange(len(X)), S).astype(float)  # these are the centres
    _, indices, stats = kmeans_plusplus(X, len(S), sample_weight=weights, return_stats=True)
    assert sorted(indices) == sorted(S)
    assert np.allclose(stats.distances, vector["dist2"], rtol=1e-12, atol=0)
