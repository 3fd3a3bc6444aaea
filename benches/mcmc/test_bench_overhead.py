"""What a kernel adds to the density: coordinate slices of ten normals, one thread.

Times are those of a million evaluations. `density` is what the same number of evaluations takes by
itself; for compiled ones as one call of many rows.
"""

import time

import numpy as np
import pytest
from sortes.mcmc import CLogp, Funnel, GibbsianPolarSlice, Slice, StandardNormal, sample

from benches.turns import judge, turns

DIM, DRAWS = 10, 2000
KERNEL = Slice(2.0, tune=False)


def many(x):
    """Return the log density of rows."""
    return -0.5 * np.einsum("ij,ij->i", x, x)


def one(x):
    """Return that of a point."""
    return -0.5 * (x @ x)


def contender(logp, chains, draws, **options):
    """Return a turn, which says its seconds for a million evaluations."""
    init = np.random.default_rng(0).normal(size=(chains, DIM))

    def turn(n):
        trace = sample(logp, KERNEL, init, draws=draws, warmup=0, rng=n, num_threads=1, **options)
        return 1e6 * trace.attrs["sampling_time"] / trace.stats["n_evals"].sum()

    return turn


def compiled():
    """Return the density as numba compiles it, or why not."""
    numba = pytest.importorskip("numba")
    pointer = numba.types.CPointer(numba.types.double)

    @numba.cfunc(numba.types.intc(numba.types.intc, pointer, pointer, numba.types.voidptr))
    def logp(n, x, out, user):
        total = 0.0
        for i in range(n):
            total += x[i] * x[i]
        out[0] = -0.5 * total
        return 0

    return CLogp(logp, DIM)


def alone(target):
    """Return a turn that only evaluates."""
    points = np.random.default_rng(0).normal(size=(100_000, DIM))

    def turn(n):
        began = time.perf_counter()
        target._target.logp(points, None)
        return 1e6 * (time.perf_counter() - began) / len(points)

    return turn


def said(turn, n):
    """Return what the turn says."""
    return turn(n)


def test_overhead(benchmark):
    try:
        numba = compiled()
    except pytest.skip.Exception as reason:
        numba = str(reason)
    is_there = not isinstance(numba, str)
    record = turns(
        benchmark,
        "A million evaluations, ten normals by coordinates",
        {"dimensions": DIM},
        {
            "native": contender(StandardNormal(DIM), 4, DRAWS),
            **({"cfunc": contender(numba, 4, DRAWS)} if is_there else {}),
            **{f"NumPy, {c} chains": contender(many, c, 8000 // c) for c in (4, 64, 1024)},
            "scalar, 4 chains": contender(one, 4, 100, vectorized=False),
        },
        {},
        yardsticks={
            "native density": alone(StandardNormal(DIM)),
            "cfunc density": alone(numba) if is_there else numba,
        },
        clock=said,
        seconds=1.0,
    )
    for name in ("native", "cfunc"):
        took = [record["ms"].get(each) for each in (name, f"{name} density")]
        beyond = None if None in took else took[0] - took[1]
        judge(record, f"ns an evaluation beyond the density, {name}", 15, beyond)


def test_polar_slices(benchmark):
    init = np.random.default_rng(0).normal(size=(4, DIM))

    def turn(n):
        plan = {"draws": 20_000, "warmup": 0, "rng": n, "num_threads": 1}
        trace = sample(Funnel(DIM), GibbsianPolarSlice(5.0), init, **plan)
        return 1e6 * trace.attrs["sampling_time"] / trace.logp.size

    record = turns(
        benchmark,
        "A million transitions of Gibbsian polar slices, funnel",
        {"dimensions": DIM},
        {"sortes": turn},
        {},
        clock=said,
        seconds=1.0,
    )
    judge(record, "us a transition", round(60 / 17, 2), record["ms"]["sortes"] / 1e3)
