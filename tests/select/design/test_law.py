"""Designs have the law that they state: whole sets on small populations, margins on larger ones."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from lawlib import assert_law, assert_mean
from scipy import stats
from sortes import Stream, _core
from sortes.select import (
    PivotalSampler,
    conditional_poisson_odds,
    conditional_poisson_probabilities,
    conditional_poisson_sample,
    horvitz_thompson,
    inclusion_probabilities,
    pivotal_sample,
    poisson_sample,
    systematic_sample,
)
from vectors import load

pytestmark = pytest.mark.law

VECTORS = load("select/design.json")
N = 200_000
inclusion, pivotal = _core.select.design.inclusion, _core.select.design.pivotal
conditional = _core.select.design.conditional_poisson


def check_sets(draw, law, n=N):
    """Test the law of whole sets; `draw(step)` returns one, `law` maps sets to probabilities."""
    counts = Counter(tuple(draw(step).tolist()) for step in range(n))
    cells = sorted(counts.keys() | law.keys())
    p = np.array([law.get(cell, 0.0) for cell in cells])
    assert_law([counts[cell] for cell in cells], p / p.sum())


def systematic(pi, stream):
    return inclusion.systematic(pi, inclusion.start(stream), None, None)


def sets_of(case):
    return {tuple(map(int, key.split(","))) if key else (): p for key, p in case["sets"].items()}


def check_margins(hits, pi, n):
    """Test each margin at 1e-6 divided by their number."""
    inner = (pi > 0) & (pi < 1)
    assert (hits[pi == 0] == 0).all()
    assert (hits[pi == 1] == n).all()
    assert (n * np.minimum(pi, 1 - pi)[inner] > 1000).all(), "too few draws"
    z = (hits - n * pi)[inner] / np.sqrt(n * pi * (1 - pi))[inner]
    assert np.abs(z).max() < stats.norm.isf(1e-6 / 2 / inner.sum())


def duels(a, b):
    """How a duel of `a` and `b` may end: (probability, side chosen, side left, rest)."""
    s = a + b
    if s < 1 - 1e-12:
        return [(a / s, None, 0, s), (b / s, None, 1, s)] if a else [(1.0, None, 1, s)]
    first, rest = (1 - b) / (2 - s), s - 1 if s > 1 + 1e-12 else 0.0
    return [(first, 0, 1, rest), (1 - first, 1, 0, rest)]


def law_over_tree(pi, tree):
    """The exact law of the chosen sets, duel by duel: the oracle of the tests of trees."""

    def settle(node):
        # (chosen, undecided unit, what is left of it) -> probability
        if isinstance(node, int):
            p = pi[node]
            return {((node,), None, 0.0) if p == 1 else ((), node if p else None, p): 1.0}
        out = Counter()
        for (one, p_one), (two, p_two) in product(*(settle(child).items() for child in node)):
            chosen, units = one[0] + two[0], (one[1], two[1])
            if two[1] is None:
                out[(chosen, one[1], one[2])] += p_one * p_two
                continue
            for p, taken, left, rest in duels(one[2], two[2]):
                more = () if taken is None else (units[taken],)
                out[(chosen + more, units[left] if rest else None, rest)] += p_one * p_two * p
        return out

    law = Counter()
    for (chosen, unit, left), p in settle(tree).items():
        law[tuple(sorted(chosen))] += p * (1 - left)
        if unit is not None:
            law[tuple(sorted((*chosen, unit)))] += p * left
    return {chosen: p for chosen, p in law.items() if p > 1e-14}


def local_law(pi, points):
    """The exact law of duels of a random unit with its nearest neighbour, the lower of equals."""
    law = Counter()

    def go(chosen, left, p):
        if len(left) < 2:
            last, rest = next(iter(left.items()), (None, 0.0))
            law[tuple(sorted(chosen))] += p * (1 - rest)
            law[tuple(sorted((*chosen, last)))] += p * rest if rest else 0.0
            return
        for one in left:
            others = [unit for unit in left if unit != one]
            two = min(others, key=lambda unit: (np.sum((points[unit] - points[one]) ** 2), unit))
            for q, taken, stays, rest in duels(left[one], left[two]):
                after = {unit: f for unit, f in left.items() if unit not in (one, two)}
                if rest:
                    after[(one, two)[stays]] = rest
                more = () if taken is None else ((one, two)[taken],)
                go(chosen + more, after, p * q / len(left))

    certain = tuple(i for i, p in enumerate(pi) if p == 1)
    go(certain, {i: p for i, p in enumerate(pi) if 0 < p < 1}, 1.0)
    return {chosen: p for chosen, p in law.items() if p > 1e-14}


def merges_of(tree, n):
    """The rows that `pivotal_sample` takes for a nested tree."""
    rows = []

    def node(tree):
        if isinstance(tree, int):
            return tree
        pair = [node(child) for child in tree]
        rows.append(pair)
        return n + len(rows) - 1

    node(tree)
    return rows


@pytest.mark.parametrize("case", VECTORS["pivotal"])
def test_pivotal_sets(case):
    """n = 200,000 a case. Seen red: with `1 - a` for `1 - b` in duels above one."""
    pi = np.array(case["pi"])
    law = sets_of(case)
    exact = law_over_tree(case["pi"], case["tree"])
    assert exact.keys() == law.keys()
    assert all(abs(exact[chosen] - p) < 1e-12 for chosen, p in law.items())
    if case["order"] == "sequential":
        check_sets(lambda step: pivotal.sequential(pi, None, Stream(1, step), None), law)
    else:
        check_sets(lambda step: pivotal.balanced(pi, Stream(1, step), None), law)


@pytest.mark.parametrize(
    "tree", [[[0, 3], [[1, 4], [2, 5]]], [0, [1, [2, [3, [4, 5]]]]], [[[5, 0], 1], [[2, 4], 3]]]
)
def test_pivotal_sets_over_any_tree(tree):
    """n = 200,000 a tree; the sum of the probabilities is 2.7."""
    pi = np.array([0.3, 0.9, 0.15, 0.5, 0.05, 0.8])
    merges = np.array(merges_of(tree, 6))
    law = law_over_tree(pi.tolist(), tree)
    check_sets(lambda step: pivotal.over_tree(pi, merges, Stream(2, step), None), law)


def test_pivotal_sets_in_any_order():
    """n = 200,000."""
    pi, order = np.array([0.2, 0.7, 0.6, 0.5, 0.4]), np.array([3, 0, 4, 2, 1])
    law = law_over_tree(pi.tolist(), [[[[3, 0], 4], 2], 1])
    check_sets(lambda step: pivotal.sequential(pi, order, Stream(3, step), None), law)


def test_pivotal_sets_of_merged_shards():
    """n = 100,000: the tree of three shards, the last two merged first."""
    pi = np.array([0.3, 0.9, 0.15, 0.5, 0.05, 0.8])

    def draw(step):
        parts = []
        for first, last in [(0, 2), (2, 3), (3, 6)]:
            part = PivotalSampler(first=first, rng=Stream(4, step))
            part.update(pi[first:last])
            parts.append(part)
        return parts[0].merge(parts[2].merge(parts[1])).finish().indices

    check_sets(draw, law_over_tree(pi.tolist(), [[0, 1], [2, [[3, 4], 5]]]), 100_000)


def test_pivotal_sets_of_parts_that_grow_after_a_merger():
    """n = 100,000: units 4 and 5 come to a part that lies on both sides of the other."""
    pi = np.array([0.3, 0.9, 0.15, 0.5, 0.05, 0.8])

    def draw(step):
        rng = Stream(5, step)
        outer, last, inner = (PivotalSampler(first=first, rng=rng) for first in (0, 4, 2))
        outer.update(pi[:2])
        last.update(pi[4:5])
        outer = last.merge(outer)
        outer.update(pi[5:])
        inner.update(pi[2:4])
        return inner.merge(outer).finish().indices

    check_sets(draw, law_over_tree(pi.tolist(), [[[[0, 1], 4], 5], [2, 3]]), 100_000)


@pytest.mark.parametrize("points", [[0, 1, 10, 11, 12], [0, 1, 2, 3, 4], [5, 5, 5, 5, 5]])
def test_local_pivotal_sets(points):
    """n = 200,000 on a line: pairs, ties between neighbours, duplicates. The sum is 2.3."""
    pi, line = np.array([0.3, 0.6, 0.5, 0.7, 0.2]), np.array(points, np.float64)[:, None]
    check_sets(lambda step: pivotal.local(pi, line, Stream(5, step), None), local_law(pi, line))


@pytest.mark.parametrize("pi", [[0.2, 0.7, 0.6, 0.5], [1.0, 0.05, 0.0, 0.9, 0.35]])
def test_poisson_sets(pi):
    """n = 200,000. Seen red: with two units reading one word."""
    pi = np.array(pi)
    law = {}
    for chosen in product([False, True], repeat=pi.size):
        p = np.prod(np.where(chosen, pi, 1 - pi))
        if p > 0:
            law[tuple(np.flatnonzero(chosen).tolist())] = p
    check_sets(lambda step: inclusion.poisson(pi, Stream(6, step), None), law)


@pytest.mark.parametrize("case", [c for c in VECTORS["conditional_poisson"] if "sets" in c])
def test_conditional_poisson_sets(case):
    """n = 200,000."""
    odds = np.array(case["odds"], np.float64)
    law = sets_of(case)
    check_sets(lambda step: conditional.sample(odds, case["k"], Stream(7, step), None)[0], law)


def test_conditional_poisson_sets_from_probabilities():
    """n = 20,000 through the public function, with a certain and an impossible unit."""
    pi = np.array([0.2, 1.0, 0.7, 0.6, 0.0, 0.5])
    odds = conditional_poisson_odds(pi)
    law = {
        tuple(sorted((1, *chosen))): np.prod(odds[list(chosen)])
        for chosen in combinations([0, 2, 3, 5], 2)
    }
    draw = lambda step: conditional_poisson_sample(pi, rng=Stream(8, step)).indices  # noqa: E731
    check_sets(draw, law, 20_000)


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1, 4]])
def test_systematic_sets_over_all_starts(order):
    """Exact: probabilities are multiples of 1/20, so starts in one twentieth do the same."""
    pi = np.array([4, 14, 12, 10, 7]) / 20
    along = np.arange(5) if order is None else np.array(order)
    ends = np.cumsum(np.rint(pi[along] * 20)).astype(int)
    hits = np.zeros(5)
    for twentieth in range(20):
        teeth = np.arange(twentieth, ends[-1], 20)
        expected = np.sort(along[np.searchsorted(ends, teeth, side="right")])
        for u in (twentieth / 20, (twentieth + 0.5) / 20, np.nextafter((twentieth + 1) / 20, 0)):
            got = systematic_sample(pi, u=min(u, 1 - 2**-53), order=order).indices
            if u != np.nextafter((twentieth + 1) / 20, 0):  # that close to a tooth is on it
                assert got.tolist() == expected.tolist()
        hits[expected] += 1
    np.testing.assert_allclose(hits / 20, pi, rtol=1e-12)


def test_systematic_starts_are_uniform():
    """n = 200,000."""
    pi = np.array([0.2, 0.7, 0.6, 0.5])
    # Teeth u and u + 1 over ends 0.2, 0.9, 1.5, 2.
    law = {(0, 2): 0.2, (1, 2): 0.3, (1, 3): 0.4, (2, 3): 0.1}
    check_sets(lambda step: systematic(pi, Stream(9, step)), law)


@pytest.mark.parametrize("design", ["sequential", "tree", "local", "shards"])
def test_margins_and_sizes(design):
    """n = 100,000, 60 units of one, zero and between; the sum is 18."""
    n = 100_000
    rng = np.random.default_rng(1)
    pi, _ = inclusion_probabilities(np.append(rng.exponential(size=57), [0, 0, 9.0]), 18)
    pi = rng.permutation(np.where(pi < 0.02, 0.0, pi))
    pi[np.argmax(pi < 1)] += 18 - pi.sum()
    points = rng.random((60, 2))
    draw = {
        "sequential": lambda step: pivotal.sequential(pi, None, Stream(1, step), None),
        "tree": lambda step: pivotal.balanced(pi, Stream(1, step), None),
        "local": lambda step: pivotal.local(pi, points, Stream(1, step), None),
        "shards": lambda step: shards(pi, step),
    }[design]
    chosen = np.concatenate([draw(step) for step in range(n)])
    assert chosen.size == 18 * n
    check = (pi == 0) | (pi == 1) | (n * np.minimum(pi, 1 - pi) > 1000)
    hits = np.bincount(chosen, minlength=60)
    check_margins(hits[check], pi[check], n)


def shards(pi, step):
    parts = []
    for first in range(0, 60, 23):
        part = pivotal.Pivotal(first, Stream(1, step))
        part.extend(pi[first : first + 23], None, None)
        parts.append(part)
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    return parts[2].finish()[0]


def test_sizes_without_an_integer_sum():
    """n = 200,000: the size is the sum rounded down or up, with the sum as its mean."""
    pi = np.full(7, 0.35)
    for draw in (
        lambda step: pivotal.sequential(pi, None, Stream(1, step), None).size,
        lambda step: pivotal.balanced(pi, Stream(1, step), None).size,
        lambda step: systematic(pi, Stream(1, step)).size,
    ):
        sizes = np.array([draw(step) for step in range(N)])
        assert_law(np.bincount(sizes, minlength=4), [0, 0, 0.55, 0.45])


@pytest.mark.parametrize("case", VECTORS["pivotal"])
def test_negative_association(case):
    """Exact: no pair of units is chosen together more often than if they were independent."""
    law = law_over_tree(case["pi"], case["tree"])
    for i, j in combinations(range(len(case["pi"])), 2):
        together = sum(p for chosen, p in law.items() if i in chosen and j in chosen)
        assert together <= case["pi"][i] * case["pi"][j] + 1e-12


def test_neighbours_repel_each_other():
    """n = 20,000: on a line of 40, neighbours are hardly ever chosen together."""
    n, size = 20_000, 40
    pi, line = np.full(size, 0.25), np.arange(float(size))[:, None]
    chosen = np.zeros((n, size), bool)
    for step in range(n):
        chosen[step, pivotal.local(pi, line, Stream(2, step), None)] = True
    pairs = (chosen[:, 1:] & chosen[:, :-1]).mean(0)
    assert pairs.max() < 0.25**2 / 2
    # The exact covariance of the sample is not known; that no pair attracts each other is.
    joint = (chosen.T.astype(float) @ chosen) / n
    attraction = (joint - 0.0625)[np.triu_indices(size, 1)]
    assert attraction[np.diff(np.triu_indices(size, 1), axis=0)[0] <= 3].max() < 0


def test_spread_makes_estimates_of_smooth_functions_better():
    """n = 2,000: at least 20 times less mean squared error than a Poisson sample's.

    400 points in the square, 40 expected. The error of independent units is known exactly.
    """
    points = np.random.default_rng(3).random((400, 2))
    y = 2 + np.sin(3 * points[:, 0]) + np.cos(2 * points[:, 1])
    pi = np.full(400, 0.1)
    poisson = (0.9 * y**2 / 0.1).sum()
    simple = 400**2 * 0.9 * y.var(ddof=1) / 40
    errors = [
        10 * y[pivotal.local(pi, points, Stream(3, step), None)].sum() - y.sum()
        for step in range(2000)
    ]
    assert poisson / np.mean(np.square(errors)) > 20
    assert simple / np.mean(np.square(errors)) > 2.5


@pytest.mark.parametrize("design", ["poisson", "pivotal", "tree", "systematic", "conditional"])
def test_horvitz_thompson_is_unbiased(design):
    """n = 100,000 (20,000 for conditional Poisson samples); 12 units."""
    rng = np.random.default_rng(5)
    y, pi = rng.normal(size=12) + 1, inclusion_probabilities(rng.random(12) + 0.2, 4).pi
    odds = conditional_poisson_odds(pi)
    draw = {
        "poisson": lambda step: inclusion.poisson(pi, Stream(1, step), None),
        "pivotal": lambda step: pivotal.sequential(pi, None, Stream(1, step), None),
        "tree": lambda step: pivotal.balanced(pi, Stream(1, step), None),
        "systematic": lambda step: systematic(pi, Stream(1, step)),
        "conditional": lambda step: conditional.sample(odds, 4, Stream(1, step), None)[0],
    }[design]
    n = 100_000
    samples = [draw(step) for step in range(n)]
    totals = [(y[s] / pi[s]).sum() for s in samples]
    if design == "poisson":
        exact = ((1 - pi) * y**2 / pi).sum()
        assert_mean(totals, y.sum(), exact)
        variances = [((1 - pi[s]) * y[s] ** 2 / pi[s] ** 2).sum() for s in samples]
        assert_mean(variances, exact)
        total, stderr = horvitz_thompson(y[samples[0]], pi[samples[0]], design="poisson")
        assert total == pytest.approx(totals[0])
        assert stderr**2 == pytest.approx(variances[0])
    else:
        assert_mean(totals, y.sum())


def test_variance_of_fixed_size_is_about_right():
    """n = 20,000: Hájek's approximation, within ten per cent on 60 units."""
    rng = np.random.default_rng(6)
    pi = inclusion_probabilities(rng.random(60) + 0.3, 20).pi
    y = 5 * pi + rng.normal(size=60)
    odds = conditional_poisson_odds(pi)
    results = np.array(
        [
            horvitz_thompson(y[s], pi[s], design="fixed_size")
            for s in (
                conditional.sample(odds, 20, Stream(1, step), None)[0] for step in range(20_000)
            )
        ]
    )
    assert (results[:, 1] ** 2).mean() == pytest.approx(results[:, 0].var(), rel=0.1)


def test_tiny_and_huge_weights():
    """n = 100,000: probabilities over 600 orders of magnitude; the small are never seen."""
    pi, _ = inclusion_probabilities([1e-300, 1e300, 3e300, 1e-5, 0.0], 1)
    hits = np.zeros(5, int)
    for step in range(100_000):
        chosen = pivotal.sequential(pi, None, Stream(1, step), None)
        assert chosen.size == 1
        hits[chosen] += 1
    assert_law(hits[[1, 2]], [0.25, 0.75])
    assert hits[[0, 3, 4]].sum() == 0
    pi, _ = inclusion_probabilities([1e300, 1e-300, 3e-300], 2)
    np.testing.assert_allclose(pi, [1, 0.25, 0.75], rtol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(200, 60), (40, 39), (3000, 2)])
def test_conditional_poisson_margins(n, k):
    """Up to 100,000 draws; margins in groups so that each expects enough."""
    draws = 20_000
    odds = np.exp(np.random.default_rng(n).normal(size=n))
    pi = conditional_poisson_probabilities(odds, k)
    groups = np.minimum(np.argsort(np.argsort(pi)) * 10 // n, 9)
    hits = np.zeros(10, int)
    for step in range(draws):
        chosen = conditional.sample(odds, k, Stream(1, step), None)[0]
        assert chosen.size == k
        hits += np.bincount(groups[chosen], minlength=10)
    expected = draws * np.bincount(groups, pi)
    # Fixed sizes make groups vary less than independent draws would.
    assert (np.abs(hits - expected) < 5.3 * np.sqrt(expected)).all()


def test_public_functions_draw_what_the_kernels_draw():
    pi = np.random.default_rng(0).random(50)
    stream = Stream(11, 3)
    assert_same = np.testing.assert_array_equal
    assert_same(poisson_sample(pi, rng=stream).indices, inclusion.poisson(pi, Stream(11, 3), None))
    assert_same(
        pivotal_sample(pi, rng=stream).indices, pivotal.sequential(pi, None, Stream(11, 3), None)
    )
    tree = pivotal_sample(pi, order="tree", rng=stream)
    assert_same(tree.indices, pivotal.balanced(pi, Stream(11, 3), None))
    assert_same(tree.weights, 1 / pi[tree.indices])
    assert_same(systematic_sample(pi, rng=stream).indices, systematic(pi, Stream(11, 3)))
