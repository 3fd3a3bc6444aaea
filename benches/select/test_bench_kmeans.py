"""Seeding for k-means: ours against scikit-learn's, one thread each, on the same data.

    SORTES_BENCH_DATA=... pytest benches/test_bench_kmeans.py --benchmark-only

The folder holds ``points/kdd99_10percent.npz`` and ``points/skin.npz``, arrays ``X``;
scikit-learn brings the others. Medians over SORTES_BENCH_SEEDS seeds, 20 by default; whoever has
used 20 seconds is timed on five, and costs after ten steps of Lloyd's algorithm are taken on the
first five of the largest problems. The report says on how many.
"""

import functools
import os
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from sortes._core import seeding
from sortes.select import kmeans_plusplus

pytest.importorskip("sklearn", reason="scikit-learn is the peer")

import sklearn.cluster
from sklearn.datasets import load_digits, load_sample_images

FOLDER = os.environ.get("SORTES_BENCH_DATA")
SEEDS = int(os.environ.get("SORTES_BENCH_SEEDS", "20"))
PATIENCE = 20  # seconds of one contender, after which few seeds have to do
FEW = 5
LARGE = 3e7  # numbers that the textbook's method looks at
DATA = ("digits", "pixels", "skin", "kdd99")
CLUSTERS = (10, 50, 200, 1000)
LOSS_OF_EQUAL_COST = 0.02


@functools.lru_cache(maxsize=1)
def data(name):
    if name == "digits":
        return np.ascontiguousarray(load_digits().data)
    if name == "pixels":
        return (load_sample_images().images[0].reshape(-1, 3) / 255).astype(np.float32)
    if FOLDER is None:
        pytest.skip("SORTES_BENCH_DATA is not set")
    file = {"skin": "skin.npz", "kdd99": "kdd99_10percent.npz"}[name]
    with np.load(Path(FOLDER) / "points" / file) as archive:
        X = archive["X"].astype(np.float64)
    X = X[:, X.std(0) > 0]
    if name == "kdd99":
        X = (X - X.mean(0)) / X.std(0)
    return np.ascontiguousarray(X.astype(np.float32))


def ours(method, n_local_trials=1):
    def call(X, k, seed):
        return kmeans_plusplus(
            X, k, random_state=seed, method=method, n_local_trials=n_local_trials, num_threads=1
        )

    return call


def theirs(n_local_trials):
    def call(X, k, seed):
        return sklearn.cluster.kmeans_plusplus(
            X, k, random_state=seed, n_local_trials=n_local_trials
        )

    return call


CONTENDERS = {
    "lazy": ours("lazy"),
    "exact": ours("exact"),
    "rejection": ours("rejection"),
    "greedy": ours("exact", None),
    "scikit-learn": theirs(1),
    "scikit-learn greedy": theirs(None),
}


def cost(X, indices):
    """The cost of a seeding, by our own distances, which the tests check."""
    return float(seeding.assign(X, indices.astype(np.int64))[0].sum())


def after_lloyd(X, centers):
    model = sklearn.cluster.KMeans(len(centers), init=centers, n_init=1, max_iter=10, tol=0)
    return float(model.fit(X).inertia_)


@pytest.mark.benchmark(group="k-means++: one round of all contenders")
@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", CLUSTERS)
@pytest.mark.parametrize("name", DATA)
def test_seeding(benchmark, name, k):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X = data(name)
    seconds = {name: [] for name in CONTENDERS}
    found = {name: [] for name in CONTENDERS}

    def one_round(seed):
        for contender, call in CONTENDERS.items():
            if seed >= FEW and sum(seconds[contender]) > PATIENCE:
                continue
            began = time.perf_counter()
            centers, indices = call(X, k, seed)
            seconds[contender].append(time.perf_counter() - began)
            found[contender].append((centers, indices))

    def all_rounds():
        with threadpoolctl.threadpool_limits(1):
            for seed in range(SEEDS):
                one_round(seed)

    one_call = CONTENDERS["lazy"](X, k, 0)  # warms up
    assert len(np.unique(one_call[1])) == k
    benchmark.pedantic(all_rounds, rounds=1)
    lloyd = FEW if X.size * k > LARGE else SEEDS
    rows = {}
    for contender in CONTENDERS:
        costs = [cost(X, indices) for _, indices in found[contender]]
        ends = [after_lloyd(X, centers) for centers, _ in found[contender][:lloyd]]
        rows[contender] = {
            "seeds": len(costs),
            "seconds": median(seconds[contender]),
            "cost": median(costs),
            "mean_cost": float(np.mean(costs)),
            "inertia": median(ends),
        }
    for contender in ("lazy", "exact", "rejection"):
        stats = [
            kmeans_plusplus(X, k, random_state=seed, method=contender, return_stats=True)[2]
            for seed in range(min(SEEDS, FEW))
        ]
        rows[contender]["evaluations"] = median(s.distance_evaluations for s in stats) / len(X)
        rows[contender]["trials"] = median(s.trials for s in stats) / k
    benchmark.extra_info.update(
        kmeans={"data": name, "n": X.shape[0], "d": X.shape[1], "k": k, "seeds": SEEDS,
                "lloyd_seeds": lloyd, "dtype": str(X.dtype)},
        floor=copy_seconds(X) / 2,
        rows=rows,
    )  # fmt: skip


def copy_seconds(X):
    to, best = np.empty_like(X), np.inf
    for _ in range(10):
        began = time.perf_counter()
        np.copyto(to, X)
        best = min(best, time.perf_counter() - began)
    return best
