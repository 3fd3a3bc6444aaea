"""Seeding: what goes in and comes out, reproducibility, edges, bad input."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sortes import Stream
from sortes.select import kmeans_plusplus, kmeans_plusplus_init
from vectors import load

METHODS = ("lazy", "exact", "rejection", "afkmc2", "parallel", "random")
STABLE = load("select/kmeans_stability.json")


def blobs(n=5000, d=20, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 10, (30, d))
    return (centres[rng.integers(30, size=n)] + rng.normal(size=(n, d))).astype(dtype)


def to_sparse(X):
    return sparse.csr_matrix(np.where(np.abs(X) > 8, X, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_results(method, dtype):
    X = blobs(dtype=dtype)
    centers, indices, stats = kmeans_plusplus(
        X, 40, method=method, random_state=1, return_stats=True
    )
    assert centers.shape == (40, 20)
    assert centers.dtype == dtype
    assert centers.flags.c_contiguous
    assert indices.dtype == np.int64
    assert np.array_equal(centers, X[indices])
    assert len(set(indices)) == 40
    squared = ((X[:, None].astype(np.float64) - centers[None]) ** 2).sum(-1)
    assert np.allclose(stats.distances, squared.min(1), rtol=1e-5)
    assert np.array_equal(stats.labels, squared.argmin(1))
    assert stats.inertia == pytest.approx(stats.distances.sum())
    assert stats.degenerate == 0
    two = kmeans_plusplus(X, 40, method=method, random_state=1)
    assert len(two) == 2
    assert np.array_equal(two[1], indices)


def test_it_is_the_cheaper_way():
    X = blobs(20_000)
    lazy, exact = (
        kmeans_plusplus(X, 100, method=method, random_state=0, return_stats=True)[2]
        for method in ("lazy", "exact")
    )
    assert lazy.distance_evaluations < exact.distance_evaluations < len(X) * 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
def test_threads_do_not_matter(method, kind):
    X = blobs(dtype=np.float32 if kind == "float32" else np.float64)
    X = to_sparse(X) if kind == "sparse" else X
    weights = np.linspace(0, 1, 5000)
    options = {"method": method, "random_state": 3, "sample_weight": weights}
    one = kmeans_plusplus(X, 30, num_threads=1, return_stats=True, **options)
    for threads in (2, 7):
        other = kmeans_plusplus(X, 30, num_threads=threads, return_stats=True, **options)
        assert np.array_equal(one[1], other[1])
        assert np.array_equal(one[2].distances, other[2].distances)
        assert one[2].distance_evaluations == other[2].distance_evaluations


def first_indices():
    out = {}
    for dtype in (np.float32, np.float64):
        for method in METHODS:
            X = blobs(3000, 7, dtype)
            indices = kmeans_plusplus(X, 25, method=method, random_state=0)[1]
            out[f"{method} {np.dtype(dtype)}"] = indices.tolist()
        greedy = kmeans_plusplus(blobs(3000, 7, dtype), 25, n_local_trials=None, random_state=0)
        out[f"greedy {np.dtype(dtype)}"] = greedy[1].tolist()
    return out


def test_draws_are_stable():
    """The centres of seed 0, frozen: a change of these is a change of the interface."""
    assert first_indices() == STABLE


@pytest.mark.parametrize("level", ["portable", "avx2"])
def test_instruction_sets_agree(level):
    code = "import json, test_kmeans; print(json.dumps(test_kmeans.first_indices()))"
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SORTES_SIMD": level, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == first_indices()


@pytest.mark.parametrize("method", METHODS)
def test_seeds(method):
    X = blobs(500)
    draw = lambda seed: kmeans_plusplus(X, 10, method=method, random_state=seed)[1]  # noqa: E731
    assert np.array_equal(draw(4), draw(4))
    assert not np.array_equal(draw(4), draw(5))
    state = np.random.RandomState(0)
    assert not np.array_equal(draw(state), draw(state))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_every_point_a_centre(method, n):
    X = blobs(n, 4)
    chain = {"chain_length": 500} if method == "afkmc2" else {}
    indices = kmeans_plusplus(X, n, method=method, random_state=0, **chain)[1]
    if method == "afkmc2":  # a chain may end where a centre is
        assert set(indices) <= set(range(n))
    else:
        assert sorted(indices) == list(range(n))


@pytest.mark.parametrize("method", METHODS)
def test_weightless_points_are_no_centres(method):
    X = blobs(400)
    weights = (np.arange(400) % 3 == 0).astype(float)
    for seed in range(20):
        indices = kmeans_plusplus(X, 12, method=method, sample_weight=weights, random_state=seed)[1]
        assert (weights[indices] > 0).all()


def test_only_ratios_of_weights_count():
    X, weights = blobs(400), np.random.default_rng(0).integers(1, 9, 400).astype(float)
    draw = lambda w: kmeans_plusplus(X, 9, sample_weight=w, random_state=0)[1]  # noqa: E731
    for factor in (2.0**-900, 2.0**900):
        assert np.array_equal(draw(weights), draw(weights * factor))


@pytest.mark.parametrize("method", ["lazy", "exact", "rejection", "parallel"])
@pytest.mark.parametrize("weighted", [False, True])
def test_fewer_distinct_points_than_centres(method, weighted):
    X = np.repeat(blobs(5, 3), 100, axis=0)
    weights = np.repeat([1.0, 1, 1, 1, 0], 100) if weighted else None
    distinct = 4 if weighted else 5
    options = {"method": method, "sample_weight": weights, "random_state": 0}
    message = (
        f"X: has only {distinct} distinct points of positive weight, fewer than n_clusters = 9"
    )
    with pytest.warns(RuntimeWarning, match=message):
        indices = kmeans_plusplus(X, 9, **options)[1]
    assert len(set(indices)) == 9
    assert len(np.unique(X[indices[:distinct]], axis=0)) == distinct
    with pytest.raises(ValueError, match=message):
        kmeans_plusplus(X, 9, on_degenerate="raise", **options)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-10, 1e10, 1e30])
def test_single_precision_at_any_scale(scale):
    """Where squares leave the range of float32, the draws are those of double precision."""
    X = (blobs() * scale).astype(np.float32)
    ours = kmeans_plusplus(X, 20, random_state=0, return_stats=True)
    double = kmeans_plusplus(X.astype(np.float64), 20, random_state=0, return_stats=True)
    assert np.allclose(ours[2].distances, double[2].distances, rtol=1e-4, atol=0)
    assert np.array_equal(ours[1], double[1])


@pytest.mark.parametrize(("k", "factor", "rounds"), [(1, 2.0, 5), (1, 0.5, 1), (3, 0.2, 2)])
def test_more_candidates_than_expected(k, factor, rounds):
    X = blobs(400, 3)
    options = {"method": "parallel", "oversampling_factor": factor, "n_rounds": rounds}
    for seed in range(300):
        assert len(set(kmeans_plusplus(X, k, random_state=seed, **options)[1])) == k


@pytest.mark.parametrize("rounds", [0, 1])
def test_candidates_that_coincide(rounds):
    """Two hundred points on each of twelve sites: candidates of a round are many of the same."""
    X = np.repeat(np.arange(12.0)[:, None] ** 2, 200, axis=0)
    options = {"method": "parallel", "oversampling_factor": 1.0, "n_rounds": rounds}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(50):
            indices = kmeans_plusplus(X, 12, random_state=seed, **options)[1]
            assert len(np.unique(X[indices])) == 12
    with pytest.warns(RuntimeWarning, match="X: has only 12 distinct points"):
        kmeans_plusplus(X, 20, random_state=0, **options)


def test_weightless_points_fill_in_last():
    weights = np.r_[0.0, np.ones(3), np.zeros(20)]
    for method in ("lazy", "exact", "rejection", "parallel", "random"):
        options = {"method": method, "sample_weight": weights}
        for seed in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                indices = kmeans_plusplus(np.zeros((24, 1)), 5, random_state=seed, **options)[1]
            assert set(indices[:3]) == {1, 2, 3}
            assert len(set(indices)) == 5
    options = {"method": "rejection", "max_trials": 1, "fallback": "uniform"}
    for seed in range(20):
        indices = kmeans_plusplus(
            blobs(24), 3, sample_weight=weights, random_state=seed, **options
        )[1]
        assert set(indices) == {1, 2, 3}


def test_labels_of_centres_that_coincide():
    X = np.array([[0.0], [0.0], [5.0], [5.0], [5.0]])
    with pytest.warns(RuntimeWarning):
        _, indices, stats = kmeans_plusplus(X, 5, random_state=0, return_stats=True)
    first = [np.flatnonzero(X[indices, 0] == x)[0] for x in (0.0, 5.0)]
    assert stats.labels.tolist() == [first[0]] * 2 + [first[1]] * 3


def test_any_number_of_local_trials():
    """The best of very many candidates is the best of all."""
    X = blobs(200, 2)
    _, indices = kmeans_plusplus(X, 2, n_local_trials=20_000, random_state=0)
    squared = ((X[:, None].astype(np.float64) - X[None]) ** 2).sum(-1)
    costs = np.minimum(squared[indices[0]], squared).sum(1)
    assert costs[indices[1]] == pytest.approx(costs.min())


@pytest.mark.parametrize(
    "options",
    [
        {"method": "exact", "n_local_trials": 2**31},
        {"method": "afkmc2", "chain_length": 2**31},
        {"method": "parallel", "n_rounds": 2**31, "oversampling_factor": 1e-30},
    ],
)
def test_small_data_and_long_work_can_be_stopped(options):
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        kmeans_plusplus(blobs(100, 3), 3, **options)
    assert time.monotonic() - began < 30


def test_clumps_within_clumps():
    """Distances of forty orders of magnitude: the small ones count once the large ones are gone."""
    X = np.array([[0.0], [1e-20], [1e20], [1e20 + 1e5]])
    seen = {tuple(sorted(kmeans_plusplus(X, 3, random_state=s)[1])) for s in range(20)}
    assert seen == {(0, 2, 3), (1, 2, 3)}
    assert sorted(kmeans_plusplus(X, 4, random_state=0)[1]) == [0, 1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_sparse_is_dense(method):
    """Not the same draws, for distances are added up in another order, but the same answers."""
    X = blobs(600, 30, np.float64)
    S = to_sparse(X)
    centers, indices, stats = kmeans_plusplus(
        S, 15, method=method, random_state=0, return_stats=True
    )
    assert isinstance(centers, np.ndarray)
    assert np.array_equal(centers, S[indices].toarray())
    squared = ((S.toarray()[:, None] - centers[None]) ** 2).sum(-1)
    assert np.allclose(stats.distances, squared.min(1), atol=1e-12)


def test_kinds_of_sparse():
    S = to_sparse(blobs(600, 30, np.float64))
    indices = kmeans_plusplus(S, 15, random_state=0)[1]
    shuffled = S.copy()
    for row in range(S.shape[0]):
        part = slice(S.indptr[row], S.indptr[row + 1])
        shuffled.indices[part] = shuffled.indices[part][::-1].copy()
        shuffled.data[part] = shuffled.data[part][::-1].copy()
    shuffled.has_sorted_indices = False
    before = shuffled.indices.copy()
    long = S.copy()
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    for kind in (S.tocsc(), S.tocoo(), sparse.csr_array(S), shuffled, long):
        assert np.array_equal(kmeans_plusplus(kind, 15, random_state=0)[1], indices)
    assert np.array_equal(shuffled.indices, before)
    whole = S.astype(np.int32)
    assert kmeans_plusplus(whole, 15, random_state=0)[0].dtype == np.float64


def test_kinds_of_dense(tmp_path):
    X = blobs(300)
    indices = kmeans_plusplus(X, 8, random_state=0)[1]
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    for kind in (mapped, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(">f4")):
        centers, others = kmeans_plusplus(kind, 8, random_state=0)
        assert np.array_equal(others, indices)
        assert type(centers) is np.ndarray
        assert centers.dtype == np.float32
    assert kmeans_plusplus(X.tolist(), 8)[0].dtype == np.float64
    assert kmeans_plusplus(X.astype(int), 8)[0].dtype == np.float64
    assert kmeans_plusplus(X.astype(np.float16), 8)[0].dtype == np.float32
    torch = pytest.importorskip("torch")
    assert np.array_equal(kmeans_plusplus(torch.from_numpy(X), 8, random_state=0)[1], indices)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3, 5], "b": [0.5, 1, 7, 8]})
    indices = kmeans_plusplus(frame, 2, random_state=0)[1]
    for kinds in ({"a": "Int64", "b": "Float64"}, {"a": "Int32", "b": "float32"}):
        centers, same = kmeans_plusplus(frame.astype(kinds), 2, random_state=0)
        assert np.array_equal(same, indices)
        assert centers.dtype == np.float64
    missing = frame.assign(a=pandas.array([1, None, 3, 5], "Int64"))
    with pytest.raises(ValueError, match="X: column 'a': item 1 is missing"):
        kmeans_plusplus(missing, 2)
    with pytest.raises(TypeError, match="X: column 'a': item 0 must be a number, got 'x'"):
        kmeans_plusplus(frame.assign(a=["x", "y", "z", "w"]), 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_progress_counts_centres(method, kind):
    X, seen = blobs(3000), []
    X = to_sparse(X) if kind == "sparse" else X
    options = {"method": method, "random_state": 0, "return_stats": True}
    kmeans_plusplus(X, 30, progress=lambda *counts: seen.append(counts), **options)
    assert seen[-1] == (30, 30)
    if method == "parallel":  # the reduction may have to be done again
        kmeans_plusplus(
            np.repeat(blobs(40), 50, 0), 30, progress=lambda *counts: seen.append(counts), **options
        )
        assert seen[-1] == (30, 30)


def test_a_callback_that_raises_stops_the_work():
    def stop(done, total):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        kmeans_plusplus(blobs(200_000), 2000, method="exact", progress=stop)


@pytest.mark.parametrize("method", METHODS)
def test_the_step_is_honoured(method):
    """It was dropped once: a stream and its later steps drew the same centres."""

    def draw(**options):
        return kmeans_plusplus(blobs(500), 12, method=method, **options)[1].tolist()

    first, third = draw(random_state=Stream(7)), draw(random_state=Stream(7), step=3)
    assert draw(random_state=Stream(7), step=0) == first
    assert draw(random_state=Stream(7).advance(3)) == third
    assert draw(random_state=Stream(7).advance(1), step=2) == third
    assert third != first


def test_stats_are_equal_to_themselves_alone():
    """Arrays have no single answer, and comparing or hashing them raises."""
    one, two = (
        kmeans_plusplus(blobs(50), 3, random_state=0, return_stats=True)[2] for _ in range(2)
    )
    assert one == one
    assert one != two
    assert len({one, two}) == 2
    trials, *_, inertia = one
    assert (trials, inertia) == (one.trials, one.inertia)
    again = pickle.loads(pickle.dumps(one))
    assert again.inertia == one.inertia
    assert np.array_equal(again.labels, one.labels)


def test_the_callable():
    X = blobs(300)
    centers = kmeans_plusplus_init(X, 8, random_state=0, method="exact")
    assert np.array_equal(centers, kmeans_plusplus(X, 8, random_state=0, method="exact")[0])
    assert pickle.loads(pickle.dumps(kmeans_plusplus_init)) is kmeans_plusplus_init
    # Scikit-learn calls it like this.
    again = kmeans_plusplus_init(X, 8, random_state=np.random.RandomState(0))
    assert np.array_equal(again, kmeans_plusplus_init(X, 8, random_state=np.random.RandomState(0)))


X = blobs(20, 3)
BAD = {
    "n_clusters: must be at least 1, got 0": {"n_clusters": 0},
    r"n_clusters: must be in \[1, 20\], the number of points, got 21": {"n_clusters": 21},
    r"n_local_trials: must be in \[1, 2\*\*31\], got 0": {"n_local_trials": 0},
    "n_local_trials: must be 1 for method 'lazy', got 2": {"n_local_trials": 2, "method": "lazy"},
    "method: must be 'lazy', 'exact'.* got 'elkan'": {"method": "elkan"},
    "fallback: must be 'exact' or 'uniform', got 'none'": {
        **{"method": "rejection", "max_trials": 3, "fallback": "none"}
    },
    "on_degenerate: must be 'warn' or 'raise', got 'ignore'": {"on_degenerate": "ignore"},
    r"max_trials: must be in \[1, 2\*\*31\], got 0": {"method": "rejection", "max_trials": 0},
    r"chain_length: must be in \[1, 2\*\*31\], got 0": {"method": "afkmc2", "chain_length": 0},
    r"n_rounds: must be in \[0, 2\*\*31\], got -1": {"method": "parallel", "n_rounds": -1},
    r"oversampling_factor: must be in \(0, inf\), got nan": {
        **{"method": "parallel", "oversampling_factor": np.nan}
    },
    "oversampling_factor: must be finite times n_clusters, got 1e\\+308": {
        **{"method": "parallel", "oversampling_factor": 1e308}
    },
    r"max_trials: must be in \[1, 2\*\*31\], got 9{30}": {
        **{"method": "rejection", "max_trials": 10**30 - 1}
    },
    r"chain_length: must be in \[1, 2\*\*31\], got 2147483649": {
        **{"method": "afkmc2", "chain_length": 2**31 + 1}
    },
    r"n_clusters: must be below 2\*\*63, got 10{30}": {"n_clusters": 10**30},
    r"sample_weight: expected shape \(20,\), got \(19,\)": {"sample_weight": np.ones(19)},
    r"sample_weight: item 3 must be in \[0, inf\), got -1.0": {
        "sample_weight": np.where(np.arange(20) == 3, -1.0, 1)
    },
    r"sample_weight: item 0 must be in \[0, inf\), got inf": {"sample_weight": np.full(20, np.inf)},
    "sample_weight: must hold a positive item, all are zero": {"sample_weight": np.zeros(20)},
    r"X: must have shape \(n_samples, n_features\), neither zero, got \(20,\)": {"X": X[:, 0]},
    r"neither zero, got \(0, 3\)": {"X": X[:0]},
    r"neither zero, got \(20, 0\)": {"X": X[:, :0]},
    "X: row 4: column 1 must be finite, got nan": {
        "X": np.where(np.arange(60).reshape(20, 3) == 13, np.nan, X)
    },
    "X: row 19: column 2 must be finite, got -inf": {
        "X": np.where(np.arange(60).reshape(20, 3) == 59, -np.inf, X.astype(float))
    },
    "X: the largest absolute value is 1e200, whose squares leave the range": {
        "X": np.where(X == X.max(), 1e200, X.astype(float))
    },
    "X: the largest absolute value is .*e-199, whose squares": {"X": X.astype(float) * 1e-200},
    r"x_squared_norms: must have shape \(20,\), got \(19,\)": {"x_squared_norms": np.ones(19)},
    "random_state: must be non-negative, got -1": {"random_state": -1},
    r"step: must be in \[0, 2\*\*32\), got -1": {"step": -1},
    "max_trials: is for method 'rejection' alone, got method 'lazy'": {"max_trials": 3},
    "fallback: is for method 'rejection' alone, got method 'exact'": {
        **{"method": "exact", "fallback": "exact"}
    },
    "chain_length: is for method 'afkmc2' alone, got method 'lazy'": {"chain_length": 200},
    "oversampling_factor: is for method 'parallel' alone, got method 'random'": {
        **{"method": "random", "oversampling_factor": 2.0}
    },
    "n_rounds: is for method 'parallel' alone, got method 'afkmc2'": {
        **{"method": "afkmc2", "n_rounds": 5}
    },
    "fallback: must not be given without max_trials": {
        **{"method": "rejection", "fallback": "uniform"}
    },
    r"num_threads: must be in \[1, 1024\], got 0": {"num_threads": 0},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_values(message):
    given = {"X": X, "n_clusters": 3} | BAD[message]
    with pytest.raises(ValueError, match=message):
        kmeans_plusplus(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_clusters": 2.5}, "n_clusters: must be an integer, got 2.5"),
        ({"X": X.astype(complex)}, "X: must hold numbers, got complex128"),
        ({"X": X.astype(str)}, "X: must hold numbers, got <U"),
        ({"sample_weight": ["a"] * 20}, "sample_weight: must hold numbers, got <U1"),
        (
            {"method": "parallel", "oversampling_factor": "2"},
            "oversampling_factor: must be a number, got '2'",
        ),
        ({"return_stats": 1}, "return_stats: must be True or False, got 1"),
        ({"X": np.ma.masked_array(X, X > 0)}, "X: must not be a masked array"),
        ({"x_squared_norms": "x"}, "x_squared_norms: must be a number, got 'x'"),
        ({"random_state": "seed"}, "random_state: must be None, an int"),
        ({"progress": 3}, "progress: must be a bool or a callable, got int"),
    ],
)
def test_bad_types(given, message):
    with pytest.raises(TypeError, match=message):
        kmeans_plusplus(**({"X": X, "n_clusters": 3} | given))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda S: S.indices.__setitem__(3, 99), "X: row .*: index . of the row is out of range"),
        (lambda S: S.indices.__setitem__(3, -1), "X: row .*: index . of the row is out of range"),
        (lambda S: S.indptr.__setitem__(5, 2), "X: indptr must ascend within"),
        (lambda S: S.indptr.__setitem__(5, 10**6), "X: indptr must ascend within"),
        (lambda S: S.data.__setitem__(3, np.nan), "X: row .*: column .* must be finite, got nan"),
    ],
)
def test_bad_sparse(change, message):
    """Corrupt matrices are refused, not read beyond their end."""
    S = to_sparse(blobs(40, 30, np.float64))
    S.has_canonical_format = True  # what SciPy would find out by reading out of bounds itself
    S = S.copy()
    S.has_canonical_format = True
    change(S)
    with pytest.raises(ValueError, match=message):
        kmeans_plusplus(S, 3)


def test_too_many_columns():
    S = sparse.csr_matrix(([1.0, 2.0], ([0, 1], [0, 10**15])), shape=(3, 2**50))
    with pytest.raises(MemoryError, match="1125899906842624 columns of a dense row: needs"):
        kmeans_plusplus(S, 1)


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kmeans_plusplus(blobs(300), 8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centres_of_equal_points_are_the_point(method, dtype):
    X = np.full((1000, 3), 1.7, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that the points are equal
        centers, indices = kmeans_plusplus(X, 4, method=method, random_state=0)
    assert np.array_equal(centers, X[:4])
    assert len(set(indices.tolist())) == 4 or method == "afkmc2"
