"""Estimates of kernels: products, rows and diagonals agree, whatever they are multiplied with."""

import numpy as np
import pytest
from graph import exact
from graph.copies import blocks, copies
from graph.graphs import vector_graph
from sortes.graph import Graph, KernelEstimate, graph_random_features, kernel_estimate

GRAPH = vector_graph("weighted5")
DIRECTED = vector_graph("directed_dangling5")
KINDS = [
    {},
    {"independent": True},
    {"stitching": 2},
    {"stitching": 3, "independent": True},
]
GIVEN = [(graph, kind) for graph in (GRAPH, DIRECTED) for kind in KINDS]


def estimate(graph, kind, **given):
    return kernel_estimate(graph, **{"num_walks": 6, "rng": 4, **kind, **given})


def by_definition(made, *, is_directed, independent=False, stitching=1):
    """The product that the documentation states."""
    sets = [one.toarray() for one in made.features]
    independent |= is_directed
    assert len(sets) == (2 * stitching if independent else stitching)
    product = np.eye(5)
    for i, one in enumerate(sets):
        product = product @ (one.T if independent and i % 2 else one)
    if not independent:
        return product @ product.T
    return product if is_directed else 0.5 * (product + product.T)


@pytest.mark.parametrize(("graph", "kind"), GIVEN)
def test_all_ways_to_read_an_estimate_agree(graph, kind):
    made = estimate(graph, kind)
    wanted = by_definition(made, is_directed=graph is DIRECTED, **kind)
    x = np.random.default_rng(0).normal(size=(5, 3))
    close = {"rtol": 1e-12, "atol": 1e-14}
    assert np.allclose(made.toarray(), wanted, **close)
    assert np.allclose(made.toarray([3, 1]), wanted[[3, 1]], **close)
    assert np.allclose(made @ x, wanted @ x, **close)
    assert np.allclose(made.matvec(x[:, 0]), wanted @ x[:, 0], **close)
    assert np.allclose(made.rmatvec(x[:, 0]), wanted.T @ x[:, 0], **close)
    assert np.allclose(made.diagonal(), np.diag(wanted), **close)
    sparse = pytest.importorskip("scipy.sparse.linalg")
    operator = sparse.aslinearoperator(made)
    assert np.allclose(operator.matmat(x), wanted @ x, **close)
    assert np.allclose(operator.T.matmat(x), wanted.T @ x, **close)


def test_sets_are_of_the_walks_from_the_numbers_of_their_starts():
    """The first set is that of the features; the second has other walks."""
    made = estimate(GRAPH, {"independent": True})
    features = graph_random_features(GRAPH, num_walks=6, rng=4)
    assert np.array_equal(made.features[0].toarray(), features.toarray())
    assert not np.array_equal(made.features[1].toarray(), features.toarray())


def test_one_set_has_no_negative_eigenvalues():
    for kind in ({}, {"stitching": 2}):
        values = np.linalg.eigvalsh(estimate(GRAPH, kind, num_walks=1).toarray())
        assert values.min() > -1e-12


@pytest.mark.law
def test_the_bias_of_one_set():
    """On the diagonal for degree one, everywhere for degree two: of the order of 1 / m."""
    name, c, off = "d_regularised_laplacian", 0.8, ~np.eye(5, dtype=bool)
    wanted = exact.kernel(GRAPH, name, c)
    totals = {}
    for degree, m in ((1, 2), (2, 2), (2, 4)):
        made = kernel_estimate(
            copies(GRAPH), kernel=name, c=c, stitching=degree, num_walks=m, rng=m
        )
        product = np.eye(5)
        for one in made.features:
            product = product @ blocks(one, 5)
        estimates = product @ product.transpose(0, 2, 1)
        errors = estimates - wanted
        bias, bound = errors.mean(0), 6.0 * errors.std(0) / np.sqrt(len(errors))
        assert (bias > bound)[~off].all()
        assert (degree == 1) == (np.abs(bias) < bound)[off].all()
        totals[degree, m] = bias.sum()
    assert 1.5 < totals[2, 2] / totals[2, 4] < 4


def test_what_is_refused():
    features = graph_random_features(GRAPH, rng=0)
    for given, message in (
        ([], "features: must have at least one item"),
        ([features, features[:2]], "features: must all be square"),
    ):
        with pytest.raises(ValueError, match=message):
            KernelEstimate(given)
    with pytest.raises(ValueError, match="features: must be even in number"):
        KernelEstimate([features], independent=True)
    with pytest.raises(TypeError, match="features: must hold sparse arrays, got 3"):
        KernelEstimate([3])
    made = KernelEstimate([features])
    with pytest.raises(ValueError, match="x: must have shape"):
        made @ np.ones(4)
    with pytest.raises(ValueError, match="rows: item 0 must be in"):
        made.toarray([5])
    with pytest.raises(ValueError, match="modulation: must not be given where walks are stitched"):
        kernel_estimate(GRAPH, modulation=[1.0], stitching=2)


def test_an_empty_graph():
    empty = Graph.from_edge_index(np.empty((2, 0), np.int64), 0)
    made = kernel_estimate(empty, rng=0)
    assert made.toarray().shape == (0, 0)
    assert (made @ np.empty(0)).shape == (0,)
