"""The laws of the sketches, on data that are small enough to enumerate.

Seen red: with ``coin * tau < 0.98 * size`` in the step of VarOpt, nine of its set laws and both of
its unbiasedness; with uniform ranks in BottomK, the law of its order, its unbiasedness and the
estimates of counts; with the smaller of both variances in every case, the errors of samples that
have room for one small item.
"""

import itertools
from collections import Counter

import numpy as np
import pytest
from lawlib import assert_law, assert_mean
from sortes import _core
from sortes.select import BottomK, PrioritySample, VarOpt
from vectors import load

pytestmark = pytest.mark.law

VECTORS = load("select/sketch.json")
RUNS = 200_000
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0, 0.5])


def sketches(kind, k, runs, seed=0, shard=None):
    """One empty native sketch for each run, with a key of its own."""
    for key in np.random.default_rng(seed).integers(0, 2**63, runs).tolist():
        yield _core.select.sketch.Sketch(kind, k, _core.Stream(key), shard)


def sets(kind, k, weights, runs, pieces=1, shard=0):
    """How often each set of items was kept."""
    weights = np.asarray(weights, np.float64)
    ids = np.arange(weights.size)
    cuts = np.array_split(ids, pieces)
    counts = Counter()
    for sketch in sketches(kind, k, runs, shard=shard):
        for cut in cuts:
            sketch.update(ids[cut], weights[cut], None, None)
        counts[tuple(sorted(sketch.sample()[0].tolist()))] += 1
    return counts


def check(counts, law):
    assert set(counts) <= set(law), set(counts) - set(law)
    outcomes = sorted(law)
    p = np.array([law[outcome] for outcome in outcomes])
    assert_law([counts[outcome] for outcome in outcomes], p / p.sum())


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("case", VECTORS["varopt_stream"], ids=lambda c: f"{c['w']}-{c['k']}")
def test_var_opt_sets(case, pieces):
    """The enumerated law of the set. An error of 0.01 in a probability is seen: n = 200,000."""
    law = {tuple(map(int, key.split(","))): p for key, p in case["sets"].items()}
    runs = RUNS if pieces == 1 else RUNS // 4
    check(sets("var_opt", case["k"], case["w"], runs, pieces), law)


def test_var_opt_drops():
    """One step: the chance to go is 1 - w / tau."""
    for case in VECTORS["varopt_drop"]:
        w, ids = np.array(case["weights"], np.float64), np.arange(len(case["weights"]))
        gone = np.zeros(w.size, int)
        for sketch in sketches("var_opt", w.size - 1, RUNS // 4, shard=0):
            sketch.update(ids, w, None, None)
            kept, _, adjusted, _, _, tau = sketch.sample()
            gone[(set(ids.tolist()) - set(kept.tolist())).pop()] += 1
        assert tau == pytest.approx(case["tau"], rel=1e-12)
        assert adjusted.sum() == pytest.approx(w.sum(), rel=1e-12)
        assert_law(gone, np.array(case["drop"]) / sum(case["drop"]))


@pytest.mark.parametrize("shard", [None, 0], ids=["coordinated", "fresh"])
def test_bottom_k_is_drawing_without_replacement(shard):
    """All 60 ordered outcomes of three from five; w = 0.012 is seen: n = 300,000."""
    counts, ids = Counter(), np.arange(5)
    for sketch in sketches("bottom_k", 3, 300_000, shard=shard):
        sketch.update(ids, WEIGHTS, None, None)
        counts[tuple(sketch.sample()[0].tolist())] += 1
    law = {}
    for outcome in itertools.permutations(range(5), 3):
        left, p = WEIGHTS.sum(), 1.0
        for i in outcome:
            p *= WEIGHTS[i] / left
            left -= WEIGHTS[i]
        law[outcome] = p
    check(counts, law)


def test_priority_of_one():
    """Of weights 1, 2, 4, item i wins with probability int (w_i / x^2) prod_j (1 - w_j / x) dx.

    Priorities above the greatest weight are where all others can be below; substituting v = 4 / x,
    the integrands are polynomials on [0, 1]. Below it only the greatest wins.
    """
    a, b = 0.25, 0.5
    law = [a * (1 - b / 2 - 1 / 2 + b / 3), b * (1 - a / 2 - 1 / 2 + a / 3)]
    counts = sets("priority", 1, [1.0, 2.0, 4.0], RUNS, shard=None)
    check(counts, {(0,): law[0], (1,): law[1], (2,): 1 - sum(law)})


DATA = np.array([0.3, 5.0, 1.0, 1.0, 2.5, 0.7, 9.0, 0.1, 3.0, 1.7])
PART = np.array([0, 1, 2, 3, 7])  # a subset that samples hit and miss


def estimates(kind, k, runs, merge=False):
    """Estimates of the sum over a part of the data, and their estimated variances."""
    ids = np.arange(DATA.size)
    shards = [ids[:4], ids[4:5], ids[5:]] if merge else [ids]
    coordinated = kind != "var_opt"
    out = np.empty((runs, 2))
    for r, sketch in enumerate(sketches(kind, k, runs, shard=None if coordinated else 0)):
        sketch.update(shards[0], DATA[shards[0]], None, None)
        for s, shard in enumerate(shards[1:], 1):
            other = sketch.for_shard(s)
            other.update(shard, DATA[shard], None, None)
            sketch.merge(other)
        kept, _, adjusted, inclusion, _, _ = sketch.sample()
        inside = np.isin(kept, PART)
        terms = adjusted[inside]
        out[r] = terms.sum(), ((1 - inclusion[inside]) * terms**2).sum()
    return out.T


@pytest.mark.parametrize("merge", [False, True], ids=["whole", "merged"])
@pytest.mark.parametrize("kind", ["bottom_k", "priority", "var_opt"])
def test_sums_are_unbiased(kind, merge):
    """100,000 estimates; z at 4.892 sees a bias of some 1.5 % of a standard deviation.

    Variance estimates are unbiased where items are uncorrelated, and not too small in VarOpt.
    """
    sums, variances = estimates(kind, 6, 100_000, merge)
    truth = DATA[PART].sum()
    batches = sums.reshape(1000, -1).mean(1)
    assert_mean(batches, truth)
    excess = ((sums - truth) ** 2 - variances).reshape(1000, -1).mean(1)
    if kind == "var_opt":
        assert excess.mean() < 4.892 * excess.std(ddof=1) / np.sqrt(1000)
    else:
        assert_mean(excess, 0.0)


def test_var_opt_has_the_least_variance():
    """Against the others, averaged over single items; and covariances are not positive."""
    spread, ids = {}, np.arange(DATA.size)
    for kind in ("bottom_k", "priority", "var_opt"):
        adjusted = np.zeros((20_000, DATA.size))
        for r, sketch in enumerate(sketches(kind, 5, len(adjusted), shard=0)):
            sketch.update(ids, DATA, None, None)
            kept, _, a, *_ = sketch.sample()
            adjusted[r, kept] = a
        spread[kind] = adjusted.var(0).sum()
        if kind == "var_opt":
            covariance = np.cov(adjusted.T)
            error = np.sqrt(np.outer(*[adjusted.var(0)] * 2) / len(adjusted))
            off = ~np.eye(DATA.size, dtype=bool)
            assert (covariance[off] <= 5 * error[off] + 1e-9).all()
    assert spread["var_opt"] < min(spread["bottom_k"], spread["priority"])


@pytest.mark.parametrize("tree", ["left", "right"])
def test_var_opt_merges_keep_inclusion_probabilities(tree):
    """min(1, w / tau) of all the data, for every item, whatever the merge tree and the sizes."""
    w = np.array([1.0, 2.0, 3.0, 4.0, 0.5, 6.0, 1.0, 1.0])
    runs, k = 100_000, 3
    hits = np.zeros(w.size, int)
    ids = np.arange(w.size)
    for sketch in sketches("var_opt", 4, runs, shard=0):  # the first has room for one more
        parts = [sketch, sketch.for_shard(1), sketch.for_shard(2)]
        for part, cut in zip(parts, (ids[:5], ids[5:6], ids[6:]), strict=True):
            part.update(cut, w[cut], None, None)
        small = _core.select.sketch.Sketch("var_opt", k, _core.Stream(5), 0)
        a, b, c = parts
        if tree == "left":
            a.merge(b)
            a.merge(c)
        else:
            b.merge(c)
            a.merge(b)
        small.merge(a)
        kept, _, adjusted, _, _, tau = small.sample()
        assert len(kept) == k
        hits[kept] += 1
    assert adjusted.sum() == pytest.approx(w.sum(), rel=1e-12)
    law = np.minimum(1, w / tau)
    assert law.sum() == pytest.approx(k, rel=1e-12)
    for hit, p in zip(hits, law, strict=True):
        if p == 1:
            assert hit == runs
        else:
            assert_law([hit, runs - hit], [p, 1 - p])


def test_estimates_of_any_numbers():
    """Counts and means by the same weights, with repeated ids counted once."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2000, 20_000)
    for kind in (BottomK, PrioritySample):
        z = []
        for seed in range(300):
            sketch = kind(200, rng=seed).update(ids, 1.0 + ids % 7)
            count = sketch.estimate(of=1)
            z.append((count.value - np.unique(ids).size) / count.stderr)
        assert abs(np.mean(z)) < 0.3
        assert 0.8 < np.std(z) < 1.25


@pytest.mark.parametrize(
    ("k", "w"),
    [
        (1, np.ones(10)),
        (10, np.r_[np.full(9, 1000.0), np.ones(100)]),
        (10, np.r_[np.full(9, 99.9), np.ones(100)]),
        (11, np.r_[np.full(9, 99.9), np.ones(200)]),
        (2, np.ones(10)),
        (3, np.ones(10)),
        (5, np.arange(1.0, 21)),
    ],
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_var_opt_does_not_understate_its_errors(k, w, share):
    """The mean of 3000 squared standard errors is not below the variance, by 5 of its errors."""
    inside = np.arange(w.size) % 10 < 10 * share
    truth = w[inside].sum()
    excess = np.empty(3000)
    for seed in range(excess.size):
        sketch = VarOpt(k, rng=seed).update(np.arange(w.size), w)
        value, stderr = sketch.estimate(lambda sample: inside[sample.ids])
        excess[seed] = stderr**2 - (value - truth) ** 2
    assert excess.mean() > -5 * excess.std() / np.sqrt(excess.size)


def test_the_tail_of_tiny_weights():
    """Items of a millionth of the weight are kept as often as they should be."""
    kept = 0
    ids = np.arange(1000)
    w = np.ones(1000)
    w[:500] = 1e-6
    runs = 20_000
    for sketch in sketches("var_opt", 100, runs, shard=0):
        sketch.update(ids, w, None, None)
        kept += int((sketch.sample()[0] < 500).sum())
    tau = w.sum() / 100
    expected = runs * 500 * 1e-6 / tau
    assert_law([kept, runs * 100 - kept], [expected / (runs * 100), 1 - expected / (runs * 100)])
