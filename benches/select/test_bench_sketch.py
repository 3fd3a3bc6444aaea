"""Sketches: items per second of ours, of Apache DataSketches, and of NumPy on whole arrays.

DataSketches takes one item a call; NumPy's functions need all weights in memory and do not merge.
The floor is the time of reading ids and weights once at the speed of a copy.
"""

import measure
import numpy as np
import pytest
import torch
from sortes.select.sketches import BottomK, PrioritySample, VarOpt

SIZES = (1_000_000, 10_000_000)
HELD = (1_000, 100_000)
KINDS = {
    "BottomK": BottomK,
    "BottomK, numbers by place": lambda k, rng: BottomK(k, rng=rng, coordinated=False),
    "PrioritySample": PrioritySample,
    "VarOpt": VarOpt,
}


def data(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 2**62, n), rng.lognormal(0, 1.5, n)


def ours(ids, weights, k, threads=1):
    def turn(kind):
        return lambda n: KINDS[kind](k, rng=n).update(ids, weights, num_threads=threads)

    return {kind: turn(kind) for kind in KINDS}


def numpy_choice(weights, k):
    p = weights / weights.sum()
    return lambda n: np.random.default_rng(n).choice(weights.size, k, replace=False, p=p)


def numpy_keys(weights, k):
    def turn(n):
        keys = np.random.default_rng(n).exponential(size=weights.size)
        keys /= weights
        return np.argpartition(keys, k)[: k + 1]

    return turn


def datasketches(ids, weights, k):
    peer = pytest.importorskip("datasketches", reason="the peer is not installed")
    ids, weights = ids.tolist(), weights.tolist()  # outside the timing, in the peer's favour

    def turn(n):
        sketch = peer.var_opt_sketch(k)
        for id, weight in zip(ids, weights, strict=True):
            sketch.update(id, weight)
        return sketch

    return turn


def check(turns, weights, k):
    """Every sketch estimates the total."""
    for name in KINDS:
        sketch = turns[name](0)
        assert len(sketch) == k
        assert abs(sketch.estimate().value / weights.sum() - 1) < 5 / np.sqrt(k)


@pytest.mark.benchmark(group="sketches: one round of ours and the peers")
@pytest.mark.parametrize("k", HELD)
@pytest.mark.parametrize("n", SIZES)
def test_update(benchmark, n, k):
    ids, weights = data(n)
    turns = ours(ids, weights, k)
    turns["BottomK, 2 threads"] = ours(ids, weights, k, threads=2)["BottomK"]
    turns["numpy choice"] = numpy_choice(weights, k)
    turns["numpy exponential, argpartition"] = numpy_keys(weights, k)
    check(turns, weights, k)
    turns["datasketches var_opt"] = datasketches(ids, weights, k)
    rounds = 5 if n == SIZES[0] else 2
    floor = measure.floor([torch.from_numpy(np.concatenate([ids.view(np.float64), weights]))])
    seconds = benchmark.pedantic(measure.alternate, (turns, rounds), rounds=1)
    best = {name: min(s) for name, s in seconds.items()}
    benchmark.extra_info["sketch"] = {
        "n": n,
        "k": k,
        "rounds": rounds,
        "floor_ms": 1e3 * floor,
        "ms": measure.summary(seconds),
        "million_items_per_second": {name: n / s / 1e6 for name, s in best.items()},
    }


@pytest.mark.benchmark(group="sketches: merges of two")
@pytest.mark.parametrize("k", HELD)
@pytest.mark.parametrize("kind", ["BottomK", "PrioritySample", "VarOpt"])
def test_merge(benchmark, kind, k):
    ids, weights = data(SIZES[0])
    a = KINDS[kind](k, rng=0).update(ids[::2], weights[::2])
    b = a.for_shard(1).update(ids[1::2], weights[1::2])
    merged = benchmark(lambda: a | b)
    assert merged.n == ids.size
