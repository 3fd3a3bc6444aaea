"""Sketches: merging, batches, threads, bytes, edges, and what they say of wrong input."""

import copy
import functools
import math
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigint import interrupt, needs_sigint
from sortes import Stream
from sortes.select import (
    BottomK,
    PrioritySample,
    Sketch,
    VarOpt,
    choice,
    hash_ids,
    sketch_array,
    weighted_keys,
)
from vectors import load

STABLE = load("select/sketch_stability.json")
KINDS = {
    "bottom_k": BottomK,
    "priority": PrioritySample,
    "bottom_k fresh": functools.partial(BottomK, coordinated=False),
    "priority fresh": functools.partial(PrioritySample, coordinated=False),
    "var_opt": VarOpt,
}
COORDINATED = [BottomK, PrioritySample]
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
coordinated = pytest.mark.parametrize("kind", COORDINATED)


def data(n=5000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.permutation(10 * n)[:n], rng.pareto(1.1, n), rng.normal(size=n)


def same(a, b):
    """Whether two samples are the same, to the bit."""
    return all(np.array_equal(x, y) for x, y in zip(a.sample(), b.sample(), strict=True))


# Merging


@given(
    st.lists(st.integers(0, 3), max_size=60),
    st.integers(1, 20),
    st.integers(0, 2**32),
    st.sampled_from(COORDINATED),
)
def test_any_merge_tree_gives_the_whole(shards, k, seed, kind):
    ids, weights, values = data(len(shards), seed)
    shards = np.array(shards, int)
    whole = kind(k, rng=seed).update(ids, weights, values)
    parts = [
        kind(k, rng=seed).update(ids[shards == s], weights[shards == s], values[shards == s])
        for s in range(5)  # the last is empty
    ]
    tree = random.Random(seed)
    while len(parts) > 1:
        tree.shuffle(parts)
        parts.append(parts.pop() | parts.pop())
    assert parts[0] == whole
    assert same(whole | whole, whole)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 2**32)
)
def test_any_tree_of_var_opt_has_the_total_and_the_threshold(shards, k, seed):
    ids, weights, _ = data(len(shards), seed)
    whole = VarOpt(k, rng=seed).update(ids, weights)
    empty, shards = VarOpt(k, rng=seed), np.array(shards)
    parts = [empty.for_shard(s).update(ids[shards == s], weights[shards == s]) for s in range(5)]
    tree = random.Random(seed)
    while len(parts) > 1:
        tree.shuffle(parts)
        parts.append(parts.pop() | parts.pop())
    assert len(parts[0]) == len(whole)
    assert parts[0].n == whole.n
    assert parts[0].total == pytest.approx(whole.total, rel=1e-13)
    assert parts[0].sample().threshold == pytest.approx(whole.sample().threshold, rel=1e-12)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 100))
def test_the_smaller_size_remains(k, other, seed):
    ids, weights, _ = data(40, seed)
    for kind in COORDINATED:
        a = kind(k, rng=1).update(ids[:20], weights[:20])
        b = kind(other, rng=1).update(ids[20:], weights[20:])
        whole = kind(min(k, other), rng=1).update(ids, weights)
        assert a | b == b | a == whole
    a, b = VarOpt(k, rng=1), VarOpt(other, rng=1, shard=1)
    merged = a.update(ids[:20], weights[:20]) | b.update(ids[20:], weights[20:])
    assert len(merged) == merged.k == min(k, other)
    assert merged.total == pytest.approx(weights.sum(), rel=1e-12)


@kinds
def test_the_empty_sketch_is_the_identity(kind):
    empty, some = kind(10, rng=3), kind(10, rng=3).update(*data())
    assert empty | some == some == some | empty
    assert empty | empty == empty


@pytest.mark.parametrize("kind", list(KINDS.values())[2:], ids=list(KINDS)[2:])
def test_shards_are_independent_and_come_in_once(kind):
    ids, weights, _ = data()
    a = kind(50, rng=3).update(ids, weights)
    b = kind(50, rng=3, shard=1).update(ids, weights)
    assert set(a.sample().ids) != set(b.sample().ids)
    assert b == a.for_shard(1).update(ids, weights)
    merged = a | b
    assert merged.n == 2 * ids.size
    for again in (a, b, merged, a.copy()):
        with pytest.raises(ValueError, match=r"^other: both sketches have drawn from the same"):
            merged.merge(again)
    assert len(merged | kind(50, rng=4).update(ids, weights)) == 50


@kinds
def test_steps_are_seeds_of_their_own(kind):
    ids, weights, _ = data(2000)

    def at(step):
        return kind(20, rng=Stream(7), step=step).update(ids, weights)

    assert at(0) == kind(20, rng=Stream(7)).update(ids, weights)
    assert at(3) == kind(20, rng=Stream(7).advance(3)).update(ids, weights)
    assert at(3) != at(0)
    assert set(at(3).sample().ids) != set(at(0).sample().ids)
    if at(0).coordinated:
        with pytest.raises(ValueError, match=r"^other: sketches of different seeds do not merge"):
            at(3).merge(at(0))
    else:
        assert at(3).merge(at(0)).n == 2 * ids.size  # other numbers: nothing is drawn twice
    assert Sketch.from_bytes(at(3).to_bytes()).update(ids, weights) == at(3).update(ids, weights)


def test_what_was_drawn_is_known():
    sketch = VarOpt(5, rng=0, shard=3)
    assert not sketch.has_drawn(3)
    sketch.update([1]).merge(VarOpt(5, rng=0, shard=8).update([2]))
    assert [s for s in range(10) if sketch.has_drawn(s)] == [3, 8]
    assert not BottomK(5, rng=0).update([1]).has_drawn(0)
    with pytest.raises(ValueError, match=r"^shard: must be in \[0, 2\*\*48\), got -1"):
        sketch.has_drawn(-1)


def test_what_does_not_merge():
    a = BottomK(3, rng=0).update([1])
    with pytest.raises(TypeError, match=r"^other: must be a BottomK, got PrioritySample"):
        a.merge(PrioritySample(3, rng=0))
    with pytest.raises(TypeError):
        a | PrioritySample(3, rng=0)
    with pytest.raises(ValueError, match=r"^other: sketches of different seeds do not merge"):
        a.merge(BottomK(3, rng=1))
    with pytest.raises(ValueError, match=r"^other: one sketch is coordinated, the other is not"):
        a.merge(BottomK(3, rng=0, coordinated=False))
    with pytest.raises(ValueError, match=r"^other: only one of the sketches has values"):
        a.merge(BottomK(3, rng=0).update([2], values=[1.0]))
    assert a == BottomK(3, rng=0).update([1])


def test_samples_of_two_versions_overlap():
    ids, weights, _ = data(20_000)
    old = BottomK(500, rng=0).update(ids, weights).sample().ids
    new = BottomK(500, rng=0).update(ids[100:], weights[100:] * 1.01).sample().ids
    assert len(np.intersect1d(old, new)) > 480


@coordinated
def test_an_id_counts_once_with_its_greatest_weight(kind):
    ids = np.random.default_rng(0).integers(0, 300, 10_000)
    weights = np.random.default_rng(1).random(ids.size)
    greatest = np.zeros(300)
    np.maximum.at(greatest, ids, weights)
    repeated = kind(20, rng=0).update(ids, weights)
    assert same(repeated, kind(20, rng=0).update(np.arange(300), greatest))
    assert repeated.n == ids.size


# Batches, threads, stability


@kinds
@given(cuts=st.lists(st.integers(0, 3000), max_size=4))
def test_batches_may_be_cut_anywhere(kind, cuts):
    ids, weights, values = data(3000)
    whole = kind(64, rng=2).update(ids, weights, values)
    pieces = kind(64, rng=2)
    for part in np.split(np.arange(3000), sorted(cuts)):
        pieces.update(ids[part], weights[part], values[part])
    assert pieces == whole


@kinds
def test_threads(kind):
    ids, weights, _ = data(400_000)
    states = [kind(300, rng=2).update(ids, weights, num_threads=t).to_bytes() for t in (1, 2, 7)]
    assert states[0] == states[1] == states[2]


@kinds
def test_calls_from_many_threads(kind):
    ids, weights, _ = data(40_000)
    shared = kind(100, rng=1)
    workers = [
        threading.Thread(target=shared.update, args=(ids[i::8], weights[i::8])) for i in range(8)
    ]
    for worker in workers:
        worker.start()
        shared.sample()
    for worker in workers:
        worker.join()
    assert shared.n == ids.size
    if shared.coordinated:
        assert shared == kind(100, rng=1).update(ids, weights)


@pytest.mark.parametrize("level", ["portable", "avx2"])
@pytest.mark.parametrize("kind", ["BottomK", "PrioritySample", "VarOpt"])
def test_instruction_sets(kind, level, monkeypatch):
    code = (
        "import numpy as np, hashlib\n"
        f"from sortes.select import {kind} as Kind\n"
        "s = Kind(100, rng=1).update(np.arange(20_000), np.arange(20_000) % 97)\n"
        "print(hashlib.sha256(s.to_bytes()).hexdigest())"
    )
    monkeypatch.delenv("SORTES_SIMD", raising=False)
    default = subprocess.check_output([sys.executable, "-c", code])
    monkeypatch.setenv("SORTES_SIMD", level)
    assert subprocess.check_output([sys.executable, "-c", code]) == default


@kinds
def test_the_first_samples_of_a_seed(kind):
    name = {v: k for k, v in KINDS.items()}[kind]
    sketch = kind(5, rng=0).update(np.arange(1000), 1.0 + np.arange(1000) % 10)
    stable = STABLE[name]
    assert sketch.sample().ids.tolist() == stable["ids"]
    assert sketch.sample().threshold == pytest.approx(stable["threshold"], rel=1e-15)
    assert Sketch.from_bytes(bytes.fromhex(stable["bytes"])) == sketch


# State


@kinds
@pytest.mark.parametrize("n", [0, 3, 5000])
def test_state_goes_on(kind, n):
    ids, weights, values = data()
    sketch = kind(50, rng=1).update(ids[:n], weights[:n], values[:n])
    for other in (
        pickle.loads(pickle.dumps(sketch)),
        copy.copy(sketch),
        copy.deepcopy(sketch),
        type(sketch).from_bytes(sketch.to_bytes()),
        Sketch.from_bytes(memoryview(sketch.to_bytes())),
    ):
        assert type(other) is type(sketch)
        assert other == sketch
        other.update(ids, weights, values)
        assert other == sketch.copy().update(ids, weights, values)
        assert (other.n, sketch.n) == (n + ids.size, n)
    assert len(sketch) == min(n, 50)
    assert str(n) in repr(sketch)


@kinds
@given(st.integers(0, 400), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3))
def test_bent_bytes(kind, length, changes):
    good = kind(8, rng=1).update(*data(100)).to_bytes()
    bent = bytearray(good[:length] if length < 399 else good)
    for place, byte in changes:
        if bent:
            bent[place % len(bent)] = byte
    if bytes(bent) == good:
        Sketch.from_bytes(bytes(bent))
    else:
        with pytest.raises(ValueError, match=r"^data: "):
            Sketch.from_bytes(bytes(bent))


def test_bytes_of_another_kind_or_version():
    state = bytearray(VarOpt(3, rng=0).to_bytes())
    with pytest.raises(
        ValueError, match=r"^data: must be a sketch of kind 'bottom_k', got 'var_opt'"
    ):
        BottomK.from_bytes(state)
    state[7] = 9
    with pytest.raises(ValueError, match=r"^data: version 9 is unknown, expected 1"):
        VarOpt.from_bytes(state)
    with pytest.raises(ValueError, match=r"^data: these are not the bytes of a state"):
        VarOpt.from_bytes(b"")
    for wrong in ("text", 10):
        with pytest.raises(TypeError, match=r"^data: must be bytes, got (str|int)"):
            VarOpt.from_bytes(wrong)


# Estimates


@kinds
def test_what_is_kept_whole_is_exact(kind):
    sketch = kind(10, rng=0).update([5, 6, 7, 8], [1.0, 2.0, 0.0, 4.0], [10, 20, 30, 40])
    sample = sketch.sample()
    assert sorted(sample.ids) == [5, 6, 8]
    assert (sample.inclusion == 1).all()
    assert (sample.adjusted_weights == sample.weights).all()
    assert sample.threshold == (math.inf if isinstance(sketch, BottomK) else 0)
    assert sketch.estimate() == (7.0, 0.0)
    assert sketch.estimate(sample.ids < 7) == (3.0, 0.0)
    assert sketch.estimate(lambda s: s.values > 15) == (6.0, 0.0)
    assert sketch.estimate(of=sample.values) == (70.0, 0.0)
    assert sketch.estimate(of=1) == (3.0, 0.0)
    assert sketch.n == 4


def test_var_opt_knows_the_total():
    ids, weights, _ = data()
    sketch = VarOpt(20, rng=0).update(ids, weights)
    assert sketch.total == pytest.approx(math.fsum(weights), rel=1e-15)
    assert sketch.estimate() == (sketch.total, 0.0)
    sample = sketch.sample()
    assert sample.adjusted_weights.sum() == pytest.approx(sketch.total, rel=1e-14)
    inside = sample.ids % 2 == 0
    assert sketch.estimate(inside).stderr == sketch.estimate(~inside).stderr > 0
    assert np.maximum(sample.weights, sample.threshold) == pytest.approx(sample.adjusted_weights)


def test_a_long_sum_stays_exact():
    sketch = VarOpt(3, rng=0).update([0], [1e16])
    for _ in range(10):
        sketch.update(np.arange(100_000), np.full(100_000, 0.1))
    exact = 1e16 + 0.1 * 1e6
    assert abs(sketch.total - exact) <= 2 * np.spacing(exact)


def test_of_the_wrong_shape():
    sketch = BottomK(3, rng=0).update(np.arange(10))
    with pytest.raises(ValueError, match=r"^where: must have shape \(3,\), got \(10,\)"):
        sketch.estimate(np.ones(10, bool))
    with pytest.raises(TypeError, match=r"^where: must hold booleans, got dtype int64"):
        sketch.estimate([0, 1, 2])
    with pytest.raises(ValueError, match=r"^of: must have shape \(3,\), got \(2,\)"):
        sketch.estimate(of=[1.0, 2.0])
    with pytest.raises(TypeError, match=r"^of: must be a number, got 'a'"):
        sketch.estimate(of="a")


# Input


@kinds
@pytest.mark.parametrize(
    "convert",
    [
        list,
        np.float16,
        np.float32,
        np.int8,
        np.uint64,
        ">f8",
        "torch",
        "bfloat16",
        lambda x: np.repeat(x.astype(float), 2)[::2],
        lambda x: np.lib.stride_tricks.as_strided(x.astype(float), writeable=False),
    ],
)
def test_kinds_of_weights(kind, convert):
    weights = np.arange(100) % 8
    expected = kind(7, rng=0).update(np.arange(100), weights.astype(float))
    ids = np.arange(100)
    if convert in ("torch", "bfloat16"):
        torch = pytest.importorskip("torch", reason="tensors")
        dtype = torch.float32 if convert == "torch" else torch.bfloat16
        weights, ids = torch.from_numpy(weights).to(dtype).requires_grad_(), torch.from_numpy(ids)
    elif callable(convert) and not isinstance(convert, type):
        weights = convert(weights)
    else:
        weights = list(weights) if convert is list else weights.astype(convert)
    assert kind(7, rng=0).update(ids, weights) == expected


@kinds
def test_float32_weights_are_added_in_double_precision(kind):
    w = np.full(100_000, 0.1, np.float32)
    sketch = kind(1000, rng=0).update(np.arange(w.size), w)
    assert sketch == kind(1000, rng=0).update(np.arange(w.size), w.astype(np.float64))
    assert abs(sketch.estimate().value / math.fsum(w) - 1) < 0.2
    if isinstance(sketch, VarOpt):
        assert sketch.total == pytest.approx(math.fsum(w), rel=1e-15)


@kinds
def test_kinds_of_ids(kind):
    expected = kind(7, rng=0).update(np.arange(100))
    for convert in (list, np.uint64, np.int8, ">i4"):
        ids = list(range(100)) if convert is list else np.arange(100).astype(convert)
        assert kind(7, rng=0).update(ids, np.ones(100)) == expected
    extreme = kind(7, rng=0).update(np.array([-(2**63), 2**63 - 1, 0, -1]))
    assert sorted(extreme.sample().ids) == [-(2**63), -1, 0, 2**63 - 1]


def test_strings():
    names = ["ann", "bob", "ann"]
    with pytest.raises(TypeError, match=r"^ids: must hold integers, got <U3; hash_ids turns"):
        BottomK(2).update(names)
    ids = hash_ids(names)
    assert len(BottomK(5).update(ids)) == 2
    assert hash_ids([]).shape == (0,)
    with pytest.raises(TypeError, match=r"^names: item 1 must be a string or bytes, got 3$"):
        hash_ids(["a", 3])
    with pytest.raises(TypeError, match=r"^names: must be several strings, got 'ann'"):
        hash_ids("ann")
    with pytest.raises(ValueError, match=r"^names: item 1 has no UTF-8 encoding"):
        hash_ids(["a", "\ud800"])


@kinds
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2], [1, -1]), ValueError, r"^weights: item 1 must be in \[0, inf\), got -1\.0"),
        (([1, 2], [np.nan, 1]), ValueError, r"^weights: item 0 must be in \[0, inf\), got nan"),
        (([1, 2], [1, np.inf]), ValueError, r"^weights: item 1 must be in \[0, inf\), got inf"),
        (
            ([1, 2], np.float32([1, -np.inf])),
            ValueError,
            r"^weights: item 1 must be in \[0, inf\), got -inf",
        ),
        (([1, 2], [1, 2, 3]), ValueError, r"^weights: must have shape \(2,\), got \(3,\)"),
        (([1, 2], [[1, 2]]), ValueError, r"^weights: must have shape \(n,\), got \(1, 2\)"),
        (([1, 2], ["a", "b"]), TypeError, r"^weights: must hold numbers, got <U1"),
        (([1, 2], [1j, 2j]), TypeError, r"^weights: must hold numbers, got complex128"),
        (([1.0, 2.0],), TypeError, r"^ids: must hold integers, got float64"),
        (([True, False],), TypeError, r"^ids: must hold integers, got bool"),
        ((7,), ValueError, r"^ids: must have shape \(n,\), got \(\)"),
        (([1, 2**64],), ValueError, r"^ids: item 1 must be in \[-2\*\*63, 2\*\*64\), got 1844674"),
        (
            ([1, 2], None, [1.0, np.nan]),
            ValueError,
            r"^values: item 1 must be in \(-inf, inf\), got nan",
        ),
        (([1, 2], None, [1.0]), ValueError, r"^values: must have shape \(2,\), got \(1,\)"),
        (([1, 2], None, [1.0, 2.0]), ValueError, r"^values: must come with every batch or"),
    ],
)
def test_wrong_batches_change_nothing(kind, arguments, error, message):
    sketch = kind(2, rng=0).update([9])
    before = sketch.to_bytes()
    with pytest.raises(error, match=message):
        sketch.update(*arguments)
    assert sketch.to_bytes() == before


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BottomK(0), ValueError, r"^k: must be in \[1, 2\*\*31\), got 0"),
        (lambda: VarOpt(-1), ValueError, r"^k: must be in \[1, 2\*\*31\), got -1"),
        (lambda: VarOpt(2**31), ValueError, r"^k: must be in"),
        (lambda: VarOpt(2**200), ValueError, r"^k: must be in \[1, 2\*\*31\), got 160693804"),
        (lambda: VarOpt(2.5), TypeError, r"^k: must be an integer, got 2\.5"),
        (lambda: BottomK(2, shard=-1), ValueError, r"^shard: must be in \[0, 2\*\*48\), got -1"),
        (lambda: VarOpt(2, shard=None), TypeError, r"^shard: must be an integer, got None"),
        (lambda: BottomK(2, shard=1), ValueError, r"^shard: must be 0 for a coordinated sketch, "),
        (lambda: VarOpt(2, step=-1), ValueError, r"^step: must be in \[0, 2\*\*32\), got -1"),
        (lambda: Sketch(), TypeError, "abstract"),
        (lambda: VarOpt(2, shard=-1), ValueError, r"^shard: must be in \[0, 2\*\*48\), got -1"),
        (lambda: VarOpt(2, rng=-1), ValueError, r"^rng: must be non-negative, got -1"),
        (lambda: VarOpt(2).for_shard(2**48), ValueError, r"^shard: must be in \[0, 2\*\*48\)"),
    ],
)
def test_wrong_constructions(make, error, message):
    with pytest.raises(error, match=message):
        make()


@kinds
def test_edges(kind):
    assert len(kind(3, rng=0).update([], [])) == 0
    assert kind(3, rng=0).estimate() == (0.0, 0.0)
    zeros = kind(3, rng=0).update(np.arange(1000), np.zeros(1000))
    assert (len(zeros), zeros.n) == (0, 1000)
    half = kind(3, rng=0).update(np.arange(1000), np.arange(1000) % 2)
    assert (half.sample().ids % 2 == 1).all()
    assert len(kind(2**31 - 1, rng=0).update([1, 2])) == 2  # takes no memory in advance
    exactly = kind(4, rng=0).update([1, 2, 3, 4], [1, 2, 3, 4])
    assert exactly.estimate() == (10.0, 0.0)
    one = kind(1, rng=0).update(np.arange(50))
    assert len(one) == 1


@kinds
def test_a_huge_range_of_weights(kind):
    weights = 10.0 ** np.arange(-300, 301, 10)
    sketch = kind(5, rng=0).update(np.arange(weights.size), weights)
    sample = sketch.sample()
    assert set(sample.ids) == set(range(56, 61))  # the largest leave the rest a chance of 1e-10
    assert np.isfinite(sample.adjusted_weights).all()
    assert sketch.estimate().value == pytest.approx(weights.sum(), rel=1e-9)
    tiny = kind(5, rng=0).update(np.arange(100), np.full(100, 1e-300))
    assert tiny.estimate().value == pytest.approx(1e-298, rel=2)
    large = kind(5, rng=0).update(np.arange(100), np.full(100, 1e300))
    assert large.estimate().value == pytest.approx(1e302, rel=2)


@pytest.mark.parametrize("kind", [BottomK, PrioritySample])
@pytest.mark.parametrize("weight", [1e-310, 5e-324])
def test_the_tiniest_weights_are_counted_and_drawn(kind, weight):
    ids = np.arange(1000)
    for tiny in (ids >= 0, ids >= 5):  # all of them; all but a few that are always kept
        sketch = kind(100, rng=0).update(ids, np.where(tiny, weight, 1.0))
        count = sketch.estimate(of=1)
        assert abs(count.value - 1000) < 4 * count.stderr
        assert np.isfinite(sketch.sample().adjusted_weights).all()
    # Those that are kept have the numbers of their ids, not the least ids.
    assert sketch.sample().ids.max() > 900
    assert Sketch.from_bytes(sketch.to_bytes()) == sketch


@pytest.mark.parametrize("kind", [BottomK, PrioritySample])
@pytest.mark.filterwarnings("error")
def test_a_sum_beyond_the_range_is_infinite(kind):
    sketch = kind(2, rng=0).update(np.arange(3), np.full(3, 1.7e308))
    assert sketch.estimate() == (math.inf, math.inf)


@coordinated
def test_ids_below_2_32_have_the_numbers_of_indices(kind):
    """Those of `choice` and `weighted_keys` at step 0; above, the high half is the step."""
    weights = np.random.default_rng(0).pareto(1.1, 1000)
    for step, first in [(0, 0), (3, 3 << 32)]:
        sample = kind(50, rng=7).update(first + np.arange(1000), weights).sample()
        if kind is BottomK:
            drawn = choice(weights, 51, replace=False, rng=7, step=step)
            assert sample.ids.tolist() == (first + drawn[:50]).tolist()
            assert sample.threshold == weighted_keys(weights, rng=7, step=step)[drawn[50]]
        else:  # -log(1 - u) is the exponential
            u = -np.expm1(-weighted_keys(weights, rng=7, step=step) * weights)
            assert sample.ids.tolist() == (first + np.argsort(u / weights)[:50]).tolist()


def test_overflow_of_the_total():
    sketch = VarOpt(3).update([1], [1e308])
    with pytest.raises(ValueError, match=r"^weights: the sum of all weights overflows"):
        sketch.update([2], [1e308])
    with pytest.raises(ValueError, match=r"^other: the sum of all weights overflows"):
        sketch.merge(VarOpt(3).update([1], [1e308]))
    assert sketch.total == 1e308
    with pytest.raises(ValueError, match=r"^weights: the sum of all weights overflows"):
        VarOpt(3).update([1], [np.finfo(float).max])  # rounding could lead beyond the range


# Pieces of large arrays


@kinds
def test_pieces_of_an_array(kind, tmp_path):
    weights = np.lib.format.open_memmap(tmp_path / "w.npy", "w+", np.float32, (10_000,))
    weights[:] = np.arange(10_000) % 100
    weights.flush()
    mapped = np.load(tmp_path / "w.npy", mmap_mode="r")
    whole = kind(50, rng=0).update(np.arange(10_000), mapped)
    calls = []
    pieces = sketch_array(
        mapped, kind(50, rng=0), chunk=3000, progress=lambda *units: calls.append(units)
    )
    assert pieces == whole
    assert calls == [(3000, 10_000), (6000, 10_000), (9000, 10_000), (10_000, 10_000)]


def test_an_interrupted_array_goes_on():
    weights = np.arange(1000.0)

    def stop(done, total):
        if done == 300:
            raise KeyboardInterrupt

    sketch = VarOpt(10, rng=0)
    with pytest.raises(KeyboardInterrupt):
        sketch_array(weights, sketch, chunk=100, progress=stop)
    assert sketch.n == 300
    sketch_array(weights, sketch, chunk=70, start=sketch.n)
    assert sketch == VarOpt(10, rng=0).update(np.arange(1000), weights)


def test_pieces_of_wrong_arrays():
    sketch = BottomK(3)
    with pytest.raises(ValueError, match=r"^weights: must be given where ids are not"):
        sketch_array(None, sketch)
    with pytest.raises(ValueError, match=r"^weights: must have shape \(3,\), got \(4,\)"):
        sketch_array(np.ones(4), sketch, ids=[1, 2, 3])
    with pytest.raises(ValueError, match=r"^start: must be at most 4, got 5"):
        sketch_array(np.ones(4), sketch, start=5)
    with pytest.raises(ValueError, match=r"^chunk: must be at least 1, got 0"):
        sketch_array(np.ones(4), sketch, chunk=0)
    for wrong in (None, {}, BottomK):
        with pytest.raises(TypeError, match=r"^sketch: must be a BottomK, a PrioritySample or a V"):
            sketch_array(np.ones(4), wrong)
    assert sketch.n == 0
    assert sketch_array(None, sketch, ids=np.arange(4)).n == 4


INTERRUPTED = """
import numpy as np
from sortes.select import VarOpt
ids = np.broadcast_to(np.int64(1), (2**22,)).copy()
sketch = VarOpt(10, rng=0)
print("working", flush=True)
try:
    while True:
        sketch.update(ids)
except KeyboardInterrupt:
    print(sketch.n > 0 and sketch.total == sketch.n, flush=True)
"""


@needs_sigint
def test_ctrl_c_keeps_what_is_done():
    assert interrupt(INTERRUPTED, wait=0.3) == ["True"]


LARGE = """
import numpy as np
from sortes.select import *
n = 4_000_000
ids, weights = np.arange(n), np.random.default_rng(0).exponential(size=n)
a, b = ({kind}(n // 2, rng=0, {how}shard=s).update(ids, weights) for s in {shards})
state = a.to_bytes()
print("working", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(a.to_bytes() == state, flush=True)
"""


@pytest.mark.slow
@needs_sigint
@pytest.mark.parametrize("call", ["a.copy().merge(b)", "a.to_bytes()", "a.from_bytes(state)"])
@pytest.mark.parametrize(
    ("kind", "how", "shards"),
    [("VarOpt", "", (0, 1)), ("BottomK", "", (0, 0)), ("BottomK", "coordinated=False, ", (0, 1))],
)
def test_ctrl_c_stops_work_on_a_large_sketch(kind, how, shards, call):
    """The sketch is whole afterwards."""
    script = LARGE.format(kind=kind, how=how, shards=shards, call=call)
    assert interrupt(script, wait=0.2) == ["interrupted", "True"]


def test_progress_of_an_update():
    calls = []
    BottomK(3).update(np.arange(10), progress=lambda *units: calls.append(units))
    assert calls[-1] == (10, 10)
