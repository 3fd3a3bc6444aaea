"""Weighted draws: what they take, refuse, promise and cost nothing to rely on."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from lawlib import assert_law, count_orders
from sigint import interrupt, needs_sigint
from sortes import Stream, select
from sortes.select import (
    AliasTable,
    DynamicWeights,
    Reservoir,
    RS2Sampler,
    acquisition_probs,
    choice,
    stochastic_acquisition,
    weighted_keys,
)
from vectors import load

VECTORS = load("select/weighted.json")
METHODS = ["alias", "blocks"]


def uneven(n, seed=0):
    return np.random.default_rng(seed).pareto(1.0, n)


def reservoir_sample(weights, k, rng, sizes=None):
    return reservoir_of(weights, k, sizes, rng=rng).sample()


def reservoir_of(weights, k, sizes=None, **how):
    reservoir = Reservoir(k, **how)
    for part in [weights] if sizes is None else np.split(weights, np.cumsum(sizes)):
        assert reservoir.update(part) is reservoir
    return reservoir


class Drawing(NamedTuple):
    """Something that draws, as a function of weights, a size and a seed."""

    draw: Callable[..., Any]
    frozen: list[float]  #: what it draws from `FROZEN` with ``rng=0``
    many: Callable[..., Any] | None = None  #: many ordered samples without replacement
    samples: int = 20_000  #: how many of them the test of the law takes


FROZEN = [0.5, 0, 3, 1e-7, 2, 2, 7]


def one_by_one(draw):
    return lambda w, k, n, seed: np.array([draw(w, k, rng=seed, step=step) for step in range(n)])


def by_keys(w, k, n, seed):
    """n samples at once: keys of n copies of the weights."""
    keys = weighted_keys(np.tile(w, n), rng=seed).reshape(n, w.size)
    return np.argsort(keys, axis=1, kind="stable")[:, :k]


def by_reservoir(w, k, n, seed):
    return np.array([reservoir_of(w, k, [1], rng=(seed, i)).sample() for i in range(n)])


def popped(w, k=2, **kw):
    return DynamicWeights(w).pop(k, **kw)


def successive(w, k=2, **kw):
    return choice(w, k, replace=False, **kw)


#: Everything that draws. What draws with replacement has its law in `test_weighted_law`.
DRAWINGS = {
    "alias": Drawing(lambda w, **kw: choice(w, 5, method="alias", **kw), [5, 4, 6, 6, 6]),
    "blocks": Drawing(lambda w, **kw: choice(w, 5, method="blocks", **kw), [6, 6, 2, 4, 6]),
    "table": Drawing(lambda w, **kw: AliasTable(w).sample(5, **kw), [5, 4, 6, 6, 6]),
    "dynamic": Drawing(lambda w, **kw: DynamicWeights(w).sample(5, **kw), [6, 5, 6, 6, 5]),
    "pop": Drawing(popped, [6, 2], one_by_one(popped)),
    "successive": Drawing(successive, [5, 6], one_by_one(successive)),
    "keys": Drawing(
        weighted_keys,
        [
            0.8521001359201658,
            math.inf,
            0.4112699676917127,
            6147373.398733318,
            0.5200001543714174,
            0.09151558592314459,
            0.1516652209657904,
        ],
        by_keys,
        200_000,
    ),
    "reservoir": Drawing(lambda w, **kw: reservoir_of(w, 2, **kw).sample(), [6, 2], by_reservoir),
}
DRAWS = {name: drawing.draw for name, drawing in DRAWINGS.items()}
WITHOUT_REPLACEMENT = {name: d for name, d in DRAWINGS.items() if d.many is not None}


@pytest.mark.parametrize("case", VECTORS["es_keys"])
def test_keys_follow_their_formula(case):
    w = np.array(case["w"], float)
    exponentials = weighted_keys(np.ones(w.size), rng=3)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(weighted_keys(w, rng=3), exponentials / w)
    # The same selection from the uniforms of the vector, as Gumbel noise.
    gumbel = -np.log(-np.log(case["u"]))
    k = len(case["selected"])
    picked = stochastic_acquisition(w, k, strategy="power", noise=gumbel)
    np.testing.assert_array_equal(picked, case["selected"])
    keys = np.array([float(key) for key in case["keys"]])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(-np.log(case["u"]) / w, keys, rtol=1e-9)


def test_the_smallest_keys_are_the_sample():
    w = uneven(3000)
    w[::7] = 0
    order = np.argsort(weighted_keys(w, rng=5, step=2), kind="stable")
    for k in [0, 1, 10, 1000, np.count_nonzero(w)]:
        np.testing.assert_array_equal(choice(w, k, replace=False, rng=5, step=2), order[:k])
    logs = weighted_keys(np.log(w[w > 0]), log=True, rng=5)
    np.testing.assert_allclose(logs, np.log(weighted_keys(w[w > 0], rng=5)), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("k", [1, 100, 5000])
def test_the_beginning_of_a_sample_is_a_sample(k):
    w = uneven(100_000)
    whole = choice(w, 20_000, replace=False, rng=1)
    np.testing.assert_array_equal(choice(w, k, replace=False, rng=1), whole[:k])
    assert np.unique(whole).size == whole.size
    for method in METHODS:
        draws = choice(w, 20_001, method=method, rng=1)
        np.testing.assert_array_equal(choice(w, k, method=method, rng=1), draws[:k])


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_matter(threads):
    w = uneven(300_000)
    w[::3] = 0
    for draw in [
        lambda t: choice(w, 200_000, method="alias", rng=2, num_threads=t),
        lambda t: choice(w, 200_000, method="blocks", rng=2, num_threads=t),
        lambda t: choice(w, 5_000, replace=False, rng=2, num_threads=t),
        lambda t: choice(w, 150_000, replace=False, rng=2, num_threads=t),
        lambda t: weighted_keys(w, rng=2, num_threads=t),
        lambda t: AliasTable(w, num_threads=t).probabilities(),
    ]:
        np.testing.assert_array_equal(draw(1), draw(threads))


def test_pieces_of_a_stream_do_not_matter():
    w = uneven(20_000)
    whole = reservoir_sample(w, 50, 4)
    for sizes in [[1] * 200, [0, 1, 0, 7000, 64, 63], [19_999]]:
        np.testing.assert_array_equal(reservoir_sample(w, 50, 4, sizes), whole)
    halfway = Reservoir(50, rng=4)
    halfway.update(w[:777])
    again = pickle.loads(pickle.dumps(halfway))
    again.update(w[777:])
    np.testing.assert_array_equal(again.sample(), whole)
    assert (again.seen, again.k) == (20_000, 50)


def test_reservoirs_name_what_they_hold():
    ids = np.arange(1000, 1100)
    reservoir = Reservoir(10, rng=0)
    reservoir.update(np.ones(50, np.float32), ids[:50])
    reservoir.update(np.ones(50, np.float32), ids[50:].tolist())
    places = reservoir_sample(np.ones(100), 10, 0)
    np.testing.assert_array_equal(reservoir.sample(), 1000 + places)


def test_seeds_and_steps():
    w = uneven(100)
    for name, draw in DRAWS.items():
        np.testing.assert_array_equal(draw(w, rng=1), draw(w, rng=1))
        several = {np.asarray(draw(w, rng=seed)).tobytes() for seed in range(8)}
        assert len(several) > 1, name
        assert np.array_equal(draw(w, rng=Stream(9)), draw(w, rng=Stream(9), step=0))
        steps = {np.asarray(draw(w, rng=Stream(9), step=step)).tobytes() for step in range(8)}
        assert len(steps) > 1, name
        advanced = draw(w, rng=Stream(9).advance(3))
        np.testing.assert_array_equal(advanced, draw(w, rng=Stream(9), step=3))
    generator = np.random.default_rng(0)
    assert not np.array_equal(choice(w, 9, rng=generator), choice(w, 9, rng=generator))


def test_values_are_stable():
    for name, drawing in DRAWINGS.items():
        assert np.asarray(drawing.draw(FROZEN, rng=0)).tolist() == drawing.frozen, name


@pytest.mark.law
@pytest.mark.parametrize("case", VECTORS["successive"], ids=lambda c: f"{c['w']}, k = {c['k']}")
@pytest.mark.parametrize("drawing", WITHOUT_REPLACEMENT.values(), ids=WITHOUT_REPLACEMENT)
def test_orders_without_replacement(drawing, case):
    """The joint law of all ordered samples, by enumeration: 20,000 samples, 200,000 by keys.

    Seen red: keys E w for E / w; a reservoir that forgets to condition the key of a newcomer.
    """
    orders = [tuple(map(int, order.split(","))) for order in case["ordered"]]
    p = np.array(list(case["ordered"].values()))
    samples = drawing.many(np.array(case["w"], float), case["k"], drawing.samples, 11)
    assert_law(count_orders(samples, orders), p / p.sum())


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_all_kinds_of_weights_are_taken(draw, torch):
    w = np.array([3, 0, 1, 4], np.float64)
    expected = draw(w, rng=6)
    readonly = w.copy()
    readonly.flags.writeable = False
    spread = np.zeros((4, 2))
    spread[:, 0] = w
    for same in [
        w.astype(np.float32),
        w.astype(np.float16),
        w.astype(np.int8),
        w.astype(np.uint64),
        w.astype(">f8"),
        w.tolist(),
        readonly,
        spread[:, 0],
        w[::-1].copy()[::-1],
        torch.tensor(w),
        torch.tensor(w, dtype=torch.bfloat16, requires_grad=True),
        torch.tensor(w, dtype=torch.int64),
    ]:
        np.testing.assert_array_equal(draw(same, rng=6), expected)


def test_shapes():
    assert isinstance(choice([1, 2], rng=0), int)
    assert isinstance(choice([1, 2], rng=0, replace=False), int)
    assert choice([1, 2], (3, 4), rng=0).shape == (3, 4)
    assert choice([1, 2], (), rng=0).shape == ()
    assert choice([1, 2], 7, rng=0).dtype == np.int64
    assert isinstance(AliasTable([1]).sample(rng=0), int)
    assert isinstance(DynamicWeights([1]).sample(rng=0), int)
    assert isinstance(DynamicWeights([1]).pop(rng=0), int)
    flat = choice(uneven(50), 12, rng=0)
    np.testing.assert_array_equal(choice(uneven(50), (3, 4), rng=0).ravel(), flat)


def test_nothing_may_be_asked_for():
    for w in ([], [0.0], [1.0]):
        for how in ({"method": "alias"}, {"method": "blocks"}, {"replace": False}):
            got = choice(w, 0, rng=0, **how)
            assert got.shape == (0,)
            assert got.dtype == np.int64
        assert weighted_keys(w, rng=0).shape == (len(w),)
        assert DynamicWeights(w).sample(0, rng=0).shape == (0,)
        assert reservoir_sample(w, 0, 0).shape == (0,)
    assert reservoir_sample([0.0, 0.0], 3, 0).shape == (0,)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, -1.0, -2.0], ValueError, r"^weights: item 1 must be in \[0, inf\), got -1\.0$"),
        ([0.0, np.nan], ValueError, r"^weights: item 1 must be in \[0, inf\), got nan$"),
        ([np.inf, 1.0], ValueError, r"^weights: item 0 must be in \[0, inf\), got inf$"),
        ([1.0, -np.inf], ValueError, r"^weights: item 1 must be in \[0, inf\), got -inf$"),
        ([[1.0]], ValueError, r"^weights: must have shape \(n,\), got \(1, 1\)$"),
        (1.0, ValueError, r"^weights: must have shape \(n,\), got \(\)$"),
        ([[1.0], [2.0, 3.0]], ValueError, r"^weights: must be an array or lists of equal lengths$"),
        (["a"], TypeError, r"^weights: must hold numbers, got <U1$"),
        ([1j], TypeError, r"^weights: must hold numbers, got complex128$"),
        ([None], ValueError, r"^weights: item 0 is missing$"),
    ],
)
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_bad_weights_are_named(draw, weights, error, message):
    with pytest.raises(error, match=message):
        draw(weights, rng=0)


@pytest.mark.parametrize("place", [0, 1, 15, 63, 70_001, 199_999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_weights_are_found_anywhere(place, dtype):
    w = np.ones(200_000, dtype)
    w[place] = -3
    for draw in DRAWS.values():
        with pytest.raises(
            ValueError, match=rf"^weights: item {place} must be in \[0, inf\), got -3\.0$"
        ):
            draw(w, rng=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choice([0, 0], 1), r"^weights: must hold a positive weight to draw from"),
        (lambda: choice([0, 0], 3, method="alias"), r"^weights: must hold a positive weight"),
        (lambda: choice([], 1), r"^weights: must hold a positive weight"),
        (lambda: AliasTable([0.0]), r"^weights: must hold a positive weight"),
        (lambda: DynamicWeights([0.0]).sample(2), r"^weights: must hold a positive weight"),
        (lambda: choice([1e308, 1e308], 1), r"^weights: their sum exceeds the range of float64"),
        (lambda: AliasTable([1e308, 1e308]), r"^weights: their sum exceeds"),
        (lambda: DynamicWeights([1e308, 1e308]), r"^weights: their sum exceeds"),
        (lambda: choice([1], -1), r"^size: must be at least 0, got -1$"),
        (lambda: choice([1], (2, -1)), r"^size: must be at least 0, got -1$"),
        (
            lambda: choice([1, 0, 2], 3, replace=False),
            r"^size: must be at most the number of positive weights, 2, got 3$",
        ),
        (lambda: choice([0, 0], replace=False), r"^size: must be at most .*, 0, got 1$"),
        (lambda: DynamicWeights([0, 1]).pop(2), r"^size: must be at most .*, 1, got 2$"),
        (lambda: choice([1], method="fast"), r"^method: must be 'auto', 'alias' or 'blocks', got"),
        (lambda: choice([1], on_short="x"), r"^on_short: must be 'raise' or 'all', got 'x'$"),
        (
            lambda: choice([1], replace=False, method="alias"),
            r"^method: must be 'auto' without replacement, got 'alias'$",
        ),
        (
            lambda: choice([1], on_short="all"),
            r"^on_short: must be 'raise' with replacement, got 'all'$",
        ),
        (
            lambda: AliasTable([1], precision="half"),
            r"^precision: must be 'auto', 'narrow' or 'wide', got",
        ),
        (lambda: Reservoir(-1), r"^k: must be at least 0, got -1$"),
        (lambda: Reservoir(1).update([1.0], [1, 2]), r"^ids: must have shape \(1,\), got \(2,\)$"),
        (
            lambda: weighted_keys([0.0, np.inf], log=True),
            r"^weights: item 1 must be in \[-inf, inf\)",
        ),
        (lambda: weighted_keys([np.nan], log=True), r"^weights: item 0 must be .*, got nan$"),
        (lambda: choice([1], rng=-1), r"^rng: must be non-negative"),
        (lambda: choice([1], num_threads=0), r"^num_threads: must be in \[1, 1024\], got 0$"),
        (lambda: DynamicWeights([1, 2]).update(2, 1.0), r"^indices: item 0 must be in \[0, 2\)"),
        (lambda: DynamicWeights([1, 2]).update(-1, 1.0), r"^indices: item 0 must be .*got -1$"),
        (
            lambda: DynamicWeights([1]).update(0, -1.0),
            r"^weights: item 0 must be in \[0, inf\), got -1\.0$",
        ),
        (lambda: DynamicWeights([1]).update([0, 0], [1]), r"^weights: must have shape"),
        (
            lambda: DynamicWeights([1e308, 0]).update(1, 1.7e308),
            r"^weights: their sum exceeds the range",
        ),
    ],
)
def test_bad_calls_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_wrong_types_are_explained(torch):
    with pytest.raises(TypeError, match=r"^method: must be 'auto', .*got \['alias'\]$"):
        choice([1], method=["alias"])
    with pytest.raises(TypeError, match=r"^precision: must be 'auto', .*got None$"):
        AliasTable([1], precision=None)
    with pytest.raises(TypeError, match=r"^size: must be an integer, got 1\.5$"):
        choice([1], 1.5)
    with pytest.raises(TypeError, match=r"^weights: must be a dense tensor, got"):
        choice(torch.ones(3).to_sparse(), 1)
    with pytest.raises(TypeError, match=r"^ids: must hold integers, got float64$"):
        Reservoir(1).update([1.0], [0.5])


@pytest.mark.parametrize("seed", range(20))
def test_minus_zero_is_no_weight(seed):
    w = [-0.0, 1.0, 0.0, 2.0, -0.0]
    for draw in [
        lambda: choice(w, 2, replace=False, rng=seed),
        lambda: choice(w, 9, method="alias", rng=seed),
        lambda: choice(w, 9, method="blocks", rng=seed),
        lambda: DynamicWeights(w).pop(2, rng=seed),
        lambda: reservoir_sample(w, 4, seed),
    ]:
        assert set(draw().tolist()) <= {1, 3}
    assert (weighted_keys(w, rng=seed)[[0, 2, 4]] == np.inf).all()


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 2**70, (2**40, 2**40)])
def test_sizes_beyond_all_bounds(size):
    number = math.prod(size) if isinstance(size, tuple) else size
    calls = [
        lambda: choice([1, 2], size),
        lambda: choice([1, 2], size, replace=False, on_short="all"),
        lambda: AliasTable([1]).sample(size),
        lambda: DynamicWeights([1]).sample(size),
    ]
    if number == size:
        calls += [lambda: DynamicWeights([1]).pop(size)]
    for call in calls:
        with pytest.raises(ValueError, match=rf"^size: must be below 2\*\*63, got {number}$"):
            call()
    for call in [lambda: choice([1], 2**62), lambda: AliasTable([1]).sample(2**62)]:
        with pytest.raises(MemoryError, match=rf"^{2**62} draws: needs {2**64 - 1} bytes"):
            call()


def test_short_samples_on_request():
    np.testing.assert_array_equal(
        np.sort(choice([0, 2, 0, 1], 3, replace=False, on_short="all", rng=0)), [1, 3]
    )
    assert choice([0, 0], 3, replace=False, on_short="all", rng=0).size == 0


def test_refused_updates_change_nothing():
    weights = DynamicWeights([1.0, 2.0, 3.0])
    for idx, w in [([0, 3], [5, 5]), ([0, 1], [5, -5]), ([0, 0, 1], [5, 1e308, 1e308])]:
        with pytest.raises(ValueError, match=r"^(indices|weights): "):
            weights.update(idx, w)
    np.testing.assert_array_equal(weights.weights, [1, 2, 3])
    assert weights.total == 6
    reservoir = Reservoir(1, rng=0)
    with pytest.raises(ValueError, match=r"^weights: "):
        reservoir.update([1.0, np.nan])
    assert (reservoir.seen, reservoir.sample().size) == (0, 0)


def test_a_pop_of_too_many_changes_nothing():
    weights = DynamicWeights([1.0, 0.0, 3.0])
    before = weights.to_bytes()
    for size in (3, 2**63 - 1):
        with pytest.raises(ValueError, match=r"^size: must be at most .*, 2, got"):
            weights.pop(size, rng=0)
    assert weights.to_bytes() == before
    assert sorted(weights.pop(2, rng=0).tolist()) == [0, 2]


NOTHING = [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: choice(NOTHING, 1),
        lambda: choice(NOTHING, 1, replace=False),
        lambda: AliasTable(NOTHING),
        lambda: DynamicWeights(NOTHING).sample(1),
        lambda: DynamicWeights(NOTHING).pop(1),
        lambda: select.conditional_poisson_sample(odds=NOTHING, k=1),
        lambda: select.kmeans_plusplus(np.eye(3), 1, sample_weight=NOTHING),
    ],
)
def test_what_must_draw_refuses_weights_that_are_all_zero(draw):
    with pytest.raises(ValueError, match=r"^(weights|size|k|sample_weight): must "):
        draw()


def test_all_else_takes_weights_that_are_all_zero():
    assert choice(NOTHING, 0).size == 0
    assert choice(NOTHING, 1, replace=False, on_short="all").size == 0
    assert np.all(weighted_keys(NOTHING) == np.inf)
    assert DynamicWeights(NOTHING).total == 0
    assert Reservoir(1).update(NOTHING).sample().size == 0
    for kind in (select.BottomK, select.PrioritySample, select.VarOpt):
        assert kind(1).update([1, 2, 3], NOTHING).sample().ids.size == 0
    assert not select.inclusion_probabilities(NOTHING, 1).pi.any()
    assert select.poisson_sample(NOTHING).indices.size == 0
    assert not select.allocate(NOTHING, 2).any()


def test_updates_are_seen():
    n = 10_000
    w = uneven(n)
    weights = DynamicWeights(np.zeros(n))
    assert weights.update(np.arange(n), w) is weights  # many: the sums are made anew
    np.testing.assert_array_equal(weights.sample(99, rng=1), DynamicWeights(w).sample(99, rng=1))
    weights.update([5, 6, 5], [1.0, 2.0, 3.0])  # few: one by one
    w[[5, 6]] = 3.0, 2.0
    np.testing.assert_array_equal(weights.weights, w)
    assert weights.total == DynamicWeights(w).total
    weights.update(range(n), 0)
    weights.update(17, 2.5)
    assert set(weights.sample(50, rng=0).tolist()) == {17}
    assert len(pickle.loads(pickle.dumps(weights))) == n
    assert pickle.loads(pickle.dumps(weights)).pop(rng=0) == 17


@pytest.mark.parametrize("method", METHODS)
def test_huge_ranges(method):
    w = np.array([1e300, 1e-300, 0, 1e300, 5e-324])
    draws = choice(w, 10_000, method=method, rng=0)
    assert set(draws.tolist()) == {0, 3}
    for scale in [5e-324, 1e-310, 1e-300, 1e300]:
        small = choice(np.array([1.0, 0.0, 3.0]) * scale, 1000, method=method, rng=0)
        np.testing.assert_array_equal(small, choice([1.0, 0.0, 3.0], 1000, method=method, rng=0))


@pytest.mark.law
@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e300])
def test_the_law_of_a_reservoir_does_not_depend_on_the_scale(scale):
    """The first of two items, of weights 1 and 3, and the pair that is left of five: n = 4,000.

    Seen red: keys that are clamped to the range of float64.
    """
    w = np.array([1.0, 3.0, 0.0, 5.0, 2.0]) * scale
    firsts = [reservoir_sample(w[:2], 1, seed)[0] for seed in range(4000)]
    assert_law(np.bincount(firsts, minlength=2), [0.25, 0.75])
    for seed in range(50):
        np.testing.assert_array_equal(
            reservoir_sample(w, 2, seed), reservoir_sample([1, 3, 0, 5, 2], 2, seed)
        )


def test_huge_ranges_without_replacement():
    w = np.array([1e300, 1e-300, 0, 1e300, 5e-324, 1.0])
    for seed in range(50):
        for order in [
            choice(w, 5, replace=False, rng=seed),
            reservoir_sample(w, 5, seed),
            DynamicWeights(w).pop(5, rng=seed),
        ]:
            assert set(order[:2].tolist()) == {0, 3}
            assert order[2:].tolist() == [5, 1, 4]


def test_tables_state_what_they_hold():
    w = uneven(10_000)
    narrow, wide = (AliasTable(w, precision=p) for p in ("narrow", "wide"))
    assert (len(wide), narrow.precision, wide.precision) == (10_000, "narrow", "wide")
    error = np.abs(narrow.probabilities() - w / w.sum()) * w.size * 2**32
    # The largest takes up the rounding of the others, which is random.
    assert error[np.argmax(w)] < 3 * np.sqrt(w.size)
    assert np.delete(error, np.argmax(w)).max() <= 1.001
    np.testing.assert_allclose(wide.probabilities(), w / w.sum(), rtol=1e-12)
    assert AliasTable([1, 2, 3]).precision == "narrow"
    assert AliasTable([1, 1e-9]).precision == "wide"


@pytest.mark.parametrize("precision", ["narrow", "wide"])
def test_tables_pickle(precision):
    table = AliasTable(uneven(1000), precision=precision)
    for again in pickle.loads(pickle.dumps(table)), copy.deepcopy(table), table.copy():
        assert (len(again), again.precision) == (1000, precision)
        np.testing.assert_array_equal(again.probabilities(), table.probabilities())
        np.testing.assert_array_equal(again.sample(999, rng=3), table.sample(999, rng=3))


#: Objects with a state, and what one changes of it.
STATEFUL = {
    "table": (lambda: AliasTable([1, 0, 3]), lambda table: table),
    "dynamic": (lambda: DynamicWeights([1, 0, 3]), lambda weights: weights.update(1, 5)),
    "reservoir": (
        lambda: reservoir_of(uneven(50), 4, rng=Stream(3, 2)),
        lambda reservoir: reservoir.update(uneven(50, 1)),
    ),
}


@pytest.mark.parametrize(("make", "change"), STATEFUL.values(), ids=STATEFUL)
def test_states_are_bytes(make, change):
    one = make()
    state = one.to_bytes()
    assert state == make().to_bytes()
    assert all(pickle.loads(pickle.dumps(one, p)).to_bytes() == state for p in range(6))
    for again in (one.copy(), copy.copy(one), type(one).from_bytes(bytearray(state))):
        assert type(again) is type(one)
        assert change(again).to_bytes() == change(make()).to_bytes()
        assert one.to_bytes() == state


@pytest.mark.parametrize(("make", "change"), STATEFUL.values(), ids=STATEFUL)
def test_bent_bytes_are_refused(make, change):
    one = make()
    state = one.to_bytes()
    for place in range(len(state)):
        bent = bytearray(state)
        bent[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"^data: "):
            type(one).from_bytes(bent)
    for cut in (b"", state[:8], state[:-8], state + b"\0" * 8):
        with pytest.raises(ValueError, match=r"^data: "):
            type(one).from_bytes(cut)
    other = AliasTable if not isinstance(one, AliasTable) else Reservoir
    with pytest.raises(ValueError, match=r"^data: corrupt: its kind$"):
        other.from_bytes(state)
    with pytest.raises(TypeError, match=r"^data: must be bytes, got str$"):
        type(one).from_bytes("state")


def test_progress_is_reported():
    w = uneven(1000)
    for call in [
        lambda p: choice(w, 5, method="blocks", progress=p),
        lambda p: choice(w, 5000, method="alias", progress=p),
        lambda p: choice(w, 5, replace=False, progress=p),
        lambda p: choice([*w, 1e-310], 5, replace=False, progress=p),
        lambda p: weighted_keys(w, progress=p),
        lambda p: AliasTable(w, progress=p),
        lambda p: AliasTable(w).sample(10, progress=p),
        lambda p: DynamicWeights(w, progress=p),
        lambda p: DynamicWeights(w).sample(10, progress=p),
        lambda p: DynamicWeights(w).update([3, 5], 7, progress=p),
        lambda p: DynamicWeights(w).update(range(1000), 7, progress=p),
        lambda p: DynamicWeights(w).pop(20, progress=p),
        lambda p: Reservoir(5).update(w, progress=p),
        lambda p: stochastic_acquisition(w, 20, progress=p),
        lambda p: stochastic_acquisition([*w, 0, 0], 1002, progress=p),
        lambda p: acquisition_probs(w, strategy="softrank", progress=p),
        lambda p: RS2Sampler(1000, 300).indices(3, progress=p),
        lambda p: RS2Sampler(1000, 700).indices(3, progress=p),
        lambda p: RS2Sampler(1000, 300, wrap="raw").indices(3, progress=p),
    ]:
        seen = []
        call(lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1][0] == seen[-1][1] > 0


INTERRUPTED = """
import time
import numpy as np
from sortes.select import *
{setup}
print("working", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", {after}, flush=True)
"""


@needs_sigint
@pytest.mark.parametrize(
    ("setup", "call", "after"),
    [
        (
            "table = AliasTable(np.ones(1 << 20))",
            "table.sample(300_000_000, rng=0, num_threads=1)",
            "True",
        ),
        (
            "r = Reservoir(1 << 20, rng=0); w = np.linspace(1, 9, 1 << 22); r.update(w)",
            "r.update(w * (r.seen + 1.0))",
            "r.seen % w.size == 0",
        ),
        (
            "w = DynamicWeights(np.ones(30_000_000))",
            "w.pop(20_000_000, rng=0)",
            "w.total == len(w)",
        ),
        (
            "w = DynamicWeights(np.ones(100_000_000, np.float32)); "
            "i = np.arange(0, 6_000_000) * 16 + 3; twos = np.full(i.size, 2.0)",
            "w.update(i, 2.0); w.update(i, 1.0)",
            "w.total in (len(w), len(w) + i.size)",
        ),
        ("rs2 = RS2Sampler(1 << 40, 1 << 24, rng=0)", "rs2.indices()", "True"),
        (
            "x = np.random.default_rng(0).random(20_000_000)",
            "stochastic_acquisition(x, 9, strategy='softrank')",
            "True",
        ),
        (
            "x = np.random.default_rng(0).random(20_000_000)",
            "acquisition_probs(x, strategy='softrank')",
            "True",
        ),
        ("x = np.ones(20_000_000)", "choice(x, 10_000_000, replace=False)", "True"),
    ],
    ids=["table", "reservoir", "pop", "update", "rs2", "acquisition", "probabilities", "choice"],
)
def test_ctrl_c_stops_a_long_call(setup, call, after):
    """It stops at once, and what it was about to change is whole."""
    script = INTERRUPTED.format(setup=setup, call=call, after=after)
    assert interrupt(script, wait=0.1) == ["interrupted True"]
