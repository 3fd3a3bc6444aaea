"""Features and visits: what they are of, in which form, and what is refused."""

import re
import warnings

import numpy as np
import pytest
from graph import exact
from graph.graphs import multigraphs, sources, vector_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from sortes import _core
from sortes.graph import (
    Graph,
    graph_random_features,
    kernel_estimate,
    random_walks,
    walk_visits,
)
from sortes.graph.series import SeriesOptions, series_of
from vectors import load

VECTORS = load("graph/kernels.json")
RING = Graph.from_edge_index([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])


def same(a, b):
    parts = [(x.indptr, x.indices, x.data) for x in (a, b)]
    return a.dtype == b.dtype and all(np.array_equal(x, y) for x, y in zip(*parts, strict=True))


def terms(count, *given, **options):
    names = ("kernel", "d", "p", "c", "sigma", "modulation")
    said = dict.fromkeys(names) | dict(zip(names, given, strict=False)) | options
    return _core.graph.features.series(series_of(SeriesOptions(**said)).terms_up_to(count), None)


@pytest.mark.parametrize("name", VECTORS["modulation"])
def test_modulations(name):
    said = VECTORS["modulation"][name]
    kind, order = re.fullmatch(r"(d_reg|p_step|diffusion|cosine)(\d*)", name).groups()
    given = {
        "d_reg": {"kernel": "d_regularised_laplacian", "d": order and float(order)},
        "p_step": {"kernel": "p_step", "p": order and int(order)},
    }.get(kind, {"kernel": kind})
    c = 0.7
    wanted = np.array(said["f"]) * c ** np.arange(len(said["f"]))
    for options in (given, {"kernel": np.array(said["alpha"])}):
        if kind == "p_step" and options is not given:
            options = {"kernel": np.trim_zeros(options["kernel"], "b")}
        elif options is not given and kind != "diffusion":
            continue  # the first terms of a series have other roots
        found = terms(len(wanted), c=c, **options)
        found = np.append(found, np.zeros(len(wanted) - len(found)))
        assert np.allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_length_scales():
    """Those of the Laplacian: with their factor, in the square of the root."""
    graph, sigma = vector_graph("weighted5"), 0.8
    laplacian = np.eye(5) - exact.adjacency(graph, 1.0)
    for name, wanted in (
        (
            "diffusion",
            exact.series(-laplacian * sigma**2 / 2, 1.0 / np.cumprod([1, *range(1, 40)])),
        ),
        ("d_regularised_laplacian", np.linalg.inv(np.eye(5) + sigma**2 * laplacian)),
    ):
        options = {"d": 1.0} if name != "diffusion" else {}
        found = terms(2000, name, sigma=sigma, **options)
        root = exact.series(exact.adjacency(graph, 1.0), found)
        assert np.allclose(root @ root, wanted, rtol=1e-12, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(multigraphs(), st.sampled_from(["weighted", "uniform"]), st.integers(1, 5))
def test_features_are_sums_over_the_walks_of_random_walks(graph, proposal, m):
    """Each visit by its definition, and nothing else."""
    matrix = exact.adjacency(graph, 1.0)
    if graph.is_weighted and proposal == "uniform":
        graph_walked = Graph.from_edge_index(
            np.stack([sources(graph), graph.indices]), graph.num_nodes
        )
    else:
        graph_walked = graph
    walks = random_walks(
        graph_walked, p_halt=0.25, num_walks=m, coupling="repelling", termination="stratified",
        return_edges=True, rng=3,
    )  # fmt: skip
    weights, degrees = graph.weights, np.diff(graph.indptr)
    sums = np.bincount(sources(graph), weights, graph.num_nodes)
    arc_of = np.empty(graph_walked.edge_ids.max(initial=0) + 1, np.int64)
    arc_of[graph_walked.edge_ids] = np.arange(graph.num_edges)
    modulation, c = np.array([1.0, 0.5, -0.25, 0.125]), 0.7
    wanted = np.zeros((graph.num_nodes, graph.num_nodes))
    for walk, (begin, end) in enumerate(zip(walks.offsets[:-1], walks.offsets[1:], strict=True)):
        nodes, load = walks.nodes[begin:end], 1.0
        for t, (node, edge) in enumerate(zip(nodes, walks.edges[begin:end], strict=True)):
            if t:
                before, arc = nodes[t - 1], arc_of[edge]
                by_weight = proposal == "weighted" and graph.is_weighted
                chance = weights[arc] / sums[before] if by_weight else 1.0 / degrees[before]
                there = sums[before] * sums[node]
                load *= weights[arc] / np.sqrt(there) / chance / 0.75 if there else 0.0
            if t < len(modulation):
                wanted[walk // m, node] += modulation[t] * c**t * load / m
    assert matrix.shape == wanted.shape
    found = graph_random_features(
        graph, modulation=modulation, c=c, p_halt=0.25, num_walks=m, proposal=proposal, rng=3
    )
    assert np.allclose(found.toarray(), wanted, rtol=1e-12, atol=1e-13)
    assert found.has_sorted_indices
    assert (found.data != 0).all()


@settings(max_examples=40, deadline=None)
@given(multigraphs(), st.sampled_from(["weighted", "uniform"]))
def test_visits_give_the_same_features(graph, proposal):
    options = {"num_walks": 4, "p_halt": 0.3, "proposal": proposal, "rng": 9, "step": 2}
    visits = walk_visits(graph, **options)
    for said in (
        {"kernel": "diffusion", "sigma": 0.7},
        {"kernel": "p_step", "p": 4, "c": 0.3},
        {"modulation": np.array([0.0, 1.0, 2.0])},
        {"kernel": [1.0, 0.5, 0.25], "c": 0.9, "dtype": np.float32},
    ):
        assert same(visits.features(**said), graph_random_features(graph, **said, **options))
    dense = np.zeros((graph.num_nodes, graph.num_nodes))
    np.add.at(dense, (visits.start, visits.node), 0.5**visits.step * visits.load)
    wanted = visits.features(modulation=np.ones(300), c=0.5).toarray()
    assert np.allclose(dense, wanted, rtol=1e-12, atol=1e-300)


def test_short_walks_are_the_beginnings_of_long_ones():
    long, short = walk_visits(RING, rng=1), walk_visits(RING, walk_length=3, rng=1)
    is_early = long.step <= 3
    for name in ("start", "node", "step", "load"):
        assert np.array_equal(getattr(long, name)[is_early], getattr(short, name))


def many(weighted):
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 3000, (2, 12_000))
    pairs = np.concatenate([pairs, pairs[::-1]], 1)
    weights = np.tile(rng.random(12_000) + 0.1, 2) if weighted else None
    return Graph.from_edge_index(pairs, 3000, weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("proposal", ["weighted", "uniform"])
@pytest.mark.parametrize("coupling", ["iid", "repelling"])
def test_threads_change_nothing(weighted, proposal, coupling):
    graph = many(weighted)
    options = {"num_walks": 8, "p_halt": 0.1, "proposal": proposal, "coupling": coupling, "rng": 2}
    one, *others = (
        graph_random_features(graph, num_threads=threads, **options) for threads in (1, 2, 7)
    )
    assert all(same(one, other) for other in others)
    visits = walk_visits(graph, num_threads=7, **options)
    assert same(one, visits.features(num_threads=2))


def test_a_node_without_arcs_stands_for_itself():
    graph = Graph.from_edge_index([[0, 1], [1, 0]], 3)
    features = graph_random_features(graph, kernel="diffusion", sigma=1.0, rng=0).toarray()
    assert np.array_equal(features[2], [0.0, 0.0, np.exp(-0.25)])
    assert features[:2, 2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("nodes", [0, 1])
def test_small_graphs(nodes):
    graph = Graph.from_edge_index(np.empty((2, 0), np.int64), nodes)
    assert np.array_equal(graph_random_features(graph, rng=0).toarray(), np.eye(nodes))
    assert walk_visits(graph, rng=0).load.tolist() == [1.0] * nodes


def test_a_hub_of_many_leaves():
    leaves = 100_000
    ids = np.arange(1, leaves + 1)
    pairs = np.stack([np.append(0 * ids, ids), np.append(ids, 0 * ids)])
    features = graph_random_features(
        Graph.from_edge_index(pairs), kernel="d_regularised_laplacian", num_walks=3, rng=0
    )
    assert np.isfinite(features.data).all()
    assert features.nnz > leaves


def test_weights_of_all_sizes():
    weights = np.array([1e-150, 1e-150, 1e150, 1e150])
    graph = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]], weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for proposal in ("weighted", "uniform"):
            features = graph_random_features(graph, proposal=proposal, rng=0)
            assert np.isfinite(features.data).all()


def test_layouts():
    narrow = graph_random_features(RING, dtype=np.float32, rng=0)
    wide = graph_random_features(RING, rng=0)
    assert narrow.dtype == np.float32
    assert np.array_equal(narrow.data, wide.data.astype(np.float32))
    torch = pytest.importorskip("torch")
    tensor = graph_random_features(RING, layout="torch", rng=0)
    assert tensor.layout == torch.sparse_csr
    assert np.array_equal(tensor.to_dense().numpy(), wide.toarray())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "d_regularised_laplacian", "c": 1.0}, "c: must be below 1 for "),
        ({"kernel": "cosine", "c": 0.9}, "c: must be below 0.785398 for 'cosine', got 0.9"),
        ({"kernel": "p_step", "p": 3, "c": 1.5}, "c: must be below 1 for 'p_step' unless p is a"),
        ({"kernel": [1.0, 0.5, -0.5], "c": 1.0}, "c: must be below 1 for these terms"),
        ({"kernel": [0.0, 1.0]}, "kernel: item 0 must be positive, got 0.0"),
        ({"kernel": "heat"}, "kernel: must be 'diffusion', "),
        ({"kernel": []}, "kernel: must have at least one item"),
        ({"kernel": "diffusion", "d": 1.0}, "d: is for kernel 'd_regularised_laplacian' alone"),
        ({"kernel": "cosine", "sigma": 1.0}, "sigma: is for 'diffusion' and"),
        ({"c": 0.5, "sigma": 1.0}, "sigma: must not be given with c"),
        ({"kernel": "cosine", "modulation": [1.0]}, "modulation: must not be given with kernel"),
        ({"modulation": []}, "modulation: must have at least one item, got none"),
        ({"c": 1e6}, "c: must be smaller"),
        ({"num_walks": 3, "termination": "antithetic"}, "num_walks: must be even"),
        ({"p_halt": 1.0}, "p_halt: must be in (0, 1), got 1.0"),
    ],
)
def test_what_is_refused(options, message):
    for call in (graph_random_features, kernel_estimate):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            call(RING, **options, rng=0)
        assert str(caught.value).startswith(message[:3])


def test_an_infinite_variance_is_a_warning():
    given = {"kernel": "d_regularised_laplacian", "c": 0.8, "rng": 0}
    with pytest.warns(RuntimeWarning, match="take a p_halt below 0.36 or a smaller c"):
        graph_random_features(RING, p_halt=0.5, **given)
    with pytest.warns(RuntimeWarning, match="p_halt below"):
        kernel_estimate(RING, p_halt=0.5, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph_random_features(RING, p_halt=0.3, **given)
        graph_random_features(RING, kernel="diffusion", c=3.0, p_halt=0.5, rng=0)
        graph_random_features(RING, kernel="p_step", p=4, c=3.0, p_halt=0.5, rng=0)


def test_the_radius_of_other_choices_of_arcs():
    """With arcs chosen alike, it is that of a matrix, found by iteration."""
    graph = vector_graph("weighted5")
    matrix = exact.adjacency(graph, 0.8)
    moments = matrix**2 * np.diff(graph.indptr)[:, None] / 0.5
    radius = np.abs(np.linalg.eigvals(moments)).max()
    assert radius > 1
    with pytest.warns(RuntimeWarning, match=f"is {radius:.3g}"):
        graph_random_features(
            graph, kernel="d_regularised_laplacian", c=0.8, p_halt=0.5, proposal="uniform", rng=0
        )
