"""Resampling beside NumPy's sorted search and the package particles, after it has compiled."""

import importlib

import numpy as np
import pytest
from sortes.mcmc import resample

from benches.turns import peer, processor, turns

SCHEMES = ("systematic", "stratified", "multinomial", "residual", "ssp")


@pytest.mark.parametrize("n", [10**3, 10**5, 10**6])
@pytest.mark.parametrize("method", SCHEMES)
def test_resample(benchmark, method, n):
    weights = np.random.default_rng(0).gamma(0.5, size=n)
    weights /= weights.sum()

    def searched(i):
        rng = np.random.default_rng(i)
        u = {
            "systematic": lambda: (np.arange(n) + rng.random()) / n,
            "stratified": lambda: (np.arange(n) + rng.random(n)) / n,
            "multinomial": lambda: rng.random(n),
        }[method]()
        return np.searchsorted(np.cumsum(weights), u)

    def theirs(_):
        scheme = importlib.import_module("particles.resampling").resampling
        scheme(method, weights)
        return lambda i: scheme(method, weights)

    others = {"particles": peer("particles", theirs)}
    if method in ("systematic", "stratified", "multinomial"):
        others["numpy searchsorted"] = searched
    turns(
        benchmark,
        "Resampling",
        {"method": method, "particles": n},
        {"sortes": lambda i: resample(weights, method=method, rng=i, num_threads=1)},
        others,
        floor_bytes=16 * n,
        seconds=0.3,
        most=50,
        clock=processor,
    )
