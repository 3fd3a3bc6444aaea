"""Sketches: ours, Apache DataSketches, and NumPy on whole arrays.

DataSketches takes one item a call; NumPy's functions need all weights in memory and do not merge.
The floor moves ids and weights once.
"""

import numpy as np
import pytest
from sortes.select import BottomK, PrioritySample, VarOpt

from benches.turns import peer, turns

SIZES = (1_000_000, 10_000_000)
HELD = (1_000, 100_000)
KINDS = {
    "VarOpt": VarOpt,
    "PrioritySample": PrioritySample,
    "BottomK": BottomK,
    "BottomK, not coordinated": lambda k, rng: BottomK(k, rng=rng, coordinated=False),
}


def data(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 2**62, n), rng.lognormal(0, 1.5, n)


def ours(kind, ids, weights, k, threads=1):
    return lambda n: KINDS[kind](k, rng=n).update(ids, weights, num_threads=threads)


def numpy_choice(weights, k):
    p = weights / weights.sum()
    return lambda n: np.random.default_rng(n).choice(weights.size, k, replace=False, p=p)


def numpy_keys(weights, k):
    def turn(n):
        keys = np.random.default_rng(n).exponential(size=weights.size)
        keys /= weights
        return np.argpartition(keys, k)[: k + 1]

    return turn


def var_opt(datasketches, ids, weights, k):
    ids, weights = ids.tolist(), weights.tolist()  # outside the timing, in the peer's favour

    def turn(_):
        sketch = datasketches.var_opt_sketch(k)
        for id, weight in zip(ids, weights, strict=True):
            sketch.update(id, weight)
        return sketch

    return turn


def var_opt_merge(datasketches, ids, weights, k):
    halves = [var_opt(datasketches, ids[h::2], weights[h::2], k)(0) for h in range(2)]

    def turn(_):
        union = datasketches.var_opt_union(k)
        for half in halves:
            union.update(half)
        return union.get_result()

    return turn


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("k", HELD)
@pytest.mark.parametrize("n", SIZES)
def test_update(benchmark, n, k):
    ids, weights = data(n)
    for kind in KINDS:
        sketch = ours(kind, ids, weights, k)(0)
        assert len(sketch) == k
        assert abs(sketch.estimate().value / weights.sum() - 1) < 5 / np.sqrt(k)
    turns(
        benchmark,
        "Sketches",
        {"items": n, "k": k},
        {
            **{f"sortes {kind}": ours(kind, ids, weights, k) for kind in KINDS},
            "sortes BottomK, two threads": ours("BottomK", ids, weights, k, threads=2),
        },
        {
            "datasketches var_opt": peer("datasketches", lambda m: var_opt(m, ids, weights, k)),
            "numpy choice": numpy_choice(weights, k),
            "numpy exponential, argpartition": numpy_keys(weights, k),
        },
        floor_bytes=ids.nbytes + weights.nbytes,
        least=3,
        most=50,
    )


@pytest.mark.parametrize("k", HELD)
@pytest.mark.parametrize("kind", ["VarOpt", "PrioritySample", "BottomK"])
def test_merge(benchmark, kind, k):
    ids, weights = data(SIZES[0])
    a = KINDS[kind](k, rng=0).update(ids[::2], weights[::2])
    b = a.for_shard(1).update(ids[1::2], weights[1::2])
    assert (a | b).n == ids.size
    others = {}
    if kind == "VarOpt":
        others["datasketches"] = peer("datasketches", lambda m: var_opt_merge(m, ids, weights, k))
    turns(
        benchmark,
        "Merges of two sketches",
        {"sketch": kind, "k": k},
        {"sortes": lambda _: a | b},
        others,
        floor_bytes=3 * 16 * k,  # ids and weights, of both and of the result
    )
