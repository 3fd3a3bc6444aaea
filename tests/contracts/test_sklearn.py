"""Seeding as scikit-learn calls it."""

import inspect
from functools import partial

import numpy as np
import pytest
from sortes.select import kmeans_plusplus, kmeans_plusplus_init

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn import cluster
from sklearn.base import clone
from sklearn.datasets import load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits().data


@pytest.mark.parametrize("estimator", [cluster.KMeans, cluster.MiniBatchKMeans])
@pytest.mark.parametrize("kind", ["float32", "float64", "csr"])
def test_estimators(estimator, kind, digits):
    X = sparse.csr_matrix(digits) if kind == "csr" else digits.astype(kind)
    fitted = estimator(10, init=kmeans_plusplus_init, n_init=1, random_state=0).fit(X)
    theirs = estimator(10, init="k-means++", n_init=10, random_state=0).fit(X)
    assert fitted.inertia_ < 1.1 * theirs.inertia_
    again = clone(fitted).fit(X)
    assert np.array_equal(fitted.labels_, again.labels_)


def test_options(digits):
    init = partial(kmeans_plusplus_init, method="exact", n_local_trials=None)
    model = cluster.KMeans(10, init=init, n_init=2, random_state=0)
    assert clone(model).fit(digits).n_iter_ >= 1


def test_weights_by_way_of_an_array(digits):
    weights = np.random.default_rng(0).random(len(digits))
    centers, _ = kmeans_plusplus(digits, 10, sample_weight=weights, random_state=0)
    cluster.KMeans(10, init=centers, n_init=1).fit(digits, sample_weight=weights)


def test_the_signature_is_theirs():
    """Every call of theirs is one of ours, and the result has the same shape."""
    theirs = inspect.signature(cluster.kmeans_plusplus).parameters
    ours = inspect.signature(kmeans_plusplus).parameters
    for name, parameter in theirs.items():
        assert ours[name].kind == parameter.kind, name
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    norms = (X**2).sum(1)
    for call in (kmeans_plusplus, cluster.kmeans_plusplus):
        centers, indices = call(X, 5, x_squared_norms=norms, random_state=0, n_local_trials=None)
        assert centers.shape == (5, 3)
        assert centers.dtype == np.float32
        assert indices.shape == (5,)


@pytest.mark.law
@pytest.mark.parametrize("trials", [1, None])
def test_the_seedings_cost_the_same(trials, digits):
    """Means of 400 costs each; six standard errors of the difference are about two per cent."""
    X = digits[:600]

    def costs(call, seeds):
        out = []
        for seed in seeds:
            centers, _ = call(X, 20, random_state=seed, n_local_trials=trials)
            squared = (X**2).sum(1)[:, None] - 2 * X @ centers.T + (centers**2).sum(1)
            out.append(squared.min(1).sum())
        return np.array(out)

    ours = costs(kmeans_plusplus, range(400))
    theirs = costs(cluster.kmeans_plusplus, range(400))
    error = np.sqrt(ours.var(ddof=1) / 400 + theirs.var(ddof=1) / 400)
    assert abs(ours.mean() - theirs.mean()) < 4.892 * error
