"""Graphs from everything that packages call a graph, in one form."""

import copy
import pickle
import re

import networkx as nx
import numpy as np
import pytest
from graph.graphs import dense, sources
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sortes.graph import Graph, random_walks
from sortes.select import AliasTable


def arcs_of(graph):
    return list(zip(sources(graph).tolist(), graph.indices.tolist(), strict=True))


@st.composite
def inputs(draw):
    nodes = draw(st.integers(1, 6))
    ids = st.integers(0, nodes - 1)
    arcs = draw(st.lists(st.tuples(ids, ids), max_size=20))
    weights = draw(
        st.lists(st.sampled_from([0, 0.5, 1, 2]), min_size=len(arcs), max_size=len(arcs))
    )
    return nodes, np.array(arcs, np.int64).reshape(-1, 2).T, np.array(weights, float)


@given(inputs())
def test_arcs_are_sorted_stably_and_keep_their_ids(given):
    nodes, pairs, weights = given
    graph = Graph.from_edge_index(pairs, nodes, weights=weights)
    kept = np.flatnonzero(weights > 0)
    order = kept[np.lexsort((pairs[1][kept], pairs[0][kept]))]
    assert graph.edge_ids.tolist() == order.tolist()
    assert arcs_of(graph) == [tuple(arc) for arc in pairs[:, order].T.tolist()]
    assert graph.weights.tolist() == weights[order].tolist()
    assert graph.num_edges == len(order)


@given(inputs(), st.randoms(use_true_random=False))
def test_coalesced_arcs_do_not_depend_on_the_order(given, random):
    nodes, pairs, weights = given
    order = list(range(len(weights)))
    random.shuffle(order)
    one = Graph.from_edge_index(pairs, nodes, weights=weights, coalesce=True)
    two = Graph.from_edge_index(
        pairs[:, order], nodes, weights=weights[order], coalesce=True, num_threads=2
    )
    expected = sparse.coo_array((weights, (pairs[0], pairs[1])), (nodes, nodes)).toarray()
    np.testing.assert_array_equal(dense(one), expected)
    assert arcs_of(one) == arcs_of(two)
    assert len(set(arcs_of(one))) == one.num_edges
    assert one.weights.tobytes() == two.weights.tobytes()


@given(inputs())
def test_rows_and_pairs_agree(given):
    nodes, pairs, weights = given
    order = np.argsort(pairs[0], kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(pairs[0], minlength=nodes))])
    rows = Graph.from_csr(indptr, pairs[1][order], weights[order])
    flat = Graph.from_edge_index(pairs, nodes, weights=weights)
    assert arcs_of(rows) == arcs_of(flat)
    assert rows.weights.tolist() == flat.weights.tolist()


def test_scipy_of_every_kind():
    matrix = sparse.random_array((30, 30), density=0.2, rng=np.random.default_rng(0))
    expected = matrix.toarray()
    for form in ("csr", "csc", "coo", "lil"):
        for kind in (matrix, sparse.coo_matrix(matrix)):
            graph = Graph.from_scipy(kind.asformat(form))
            np.testing.assert_array_equal(dense(graph), expected)
    wide = matrix.tocsr()
    wide.indptr, wide.indices = wide.indptr.astype(np.int64), wide.indices.astype(np.int64)
    np.testing.assert_array_equal(dense(Graph.from_scipy(wide)), expected)
    ones = Graph.from_scipy((matrix > 0).astype(np.int8))
    assert not ones.is_weighted
    np.testing.assert_array_equal(dense(ones), expected > 0)
    with_zero = sparse.csr_array(([1.0, 0.0], ([0, 1], [1, 0])), (2, 2))
    assert Graph.from_scipy(with_zero).num_edges == 1


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_networkx_of_every_kind(kind):
    given = kind([("a", "b"), ("b", "c"), ("c", "c"), ("b", "a")])
    given.add_edge("c", "a", weight=3)
    given.add_node(("lonely", 1))
    graph = Graph.from_networkx(given)
    assert graph.labels == ("a", "b", "c", ("lonely", 1))
    np.testing.assert_array_equal(dense(graph), nx.to_numpy_array(given))
    assert not Graph.from_networkx(given, weight=None).is_weighted
    both = Graph.from_networkx(given, coalesce=True)
    np.testing.assert_array_equal(dense(both), nx.to_numpy_array(given))
    edges = list(given.edges())
    for (u, v), edge in zip(arcs_of(graph), graph.edge_ids, strict=True):
        assert {graph.labels[u], graph.labels[v]} == set(edges[edge])
    assert graph.index(["c", "a"]).tolist() == [2, 0]
    assert graph.labelled([[0, -1], [3, 2]]).tolist() == [["a", None], [("lonely", 1), "c"]]
    walks = random_walks(graph, graph.index(["a"]), walk_length=3, rng=0)
    assert set(graph.labelled(walks).ravel()) <= {"a", "b", "c"}
    with pytest.raises(ValueError, match=re.escape("labels: item 1 is no label of a node: 'z'")):
        graph.index(["a", "z"])
    with pytest.raises(ValueError, match="labels: item 0 is no label"):
        graph.index([[]])


def test_igraph_and_rustworkx():
    igraph, rustworkx = pytest.importorskip("igraph"), pytest.importorskip("rustworkx")
    edges = [(0, 1), (1, 2), (2, 2), (2, 0), (0, 1)]
    for directed in (False, True):
        expected = np.zeros((4, 4))
        for (u, v), w in zip(edges, [1, 2, 3, 4, 5], strict=True):
            expected[u, v] += w
            if not directed and u != v:
                expected[v, u] += w
        given = igraph.Graph(4, edges, directed=directed)
        given.es["w"] = [1, 2, 3, 4, 5]
        for weights in ("w", [1, 2, 3, 4, 5]):
            np.testing.assert_array_equal(
                dense(Graph.from_igraph(given, weights=weights)), expected
            )
        assert not Graph.from_igraph(given).is_weighted
        with pytest.raises(ValueError, match="weights: must be an attribute of edges, got 'x'"):
            Graph.from_igraph(given, weights="x")
        given = (rustworkx.PyDiGraph if directed else rustworkx.PyGraph)()
        given.add_nodes_from(range(5))
        given.remove_node(0)
        given.add_edges_from([(u + 1, v + 1, {"w": i + 1}) for i, (u, v) in enumerate(edges)])
        graph = Graph.from_rustworkx(given, weight=lambda edge: edge["w"])
        assert graph.labels == (1, 2, 3, 4)
        np.testing.assert_array_equal(dense(graph), expected)


def test_tensors(torch):
    pairs = torch.tensor([[0, 2, 1], [1, 0, 1]])
    graph = Graph.from_edge_index(pairs, weights=torch.tensor([1.0, 2.0, 3.0]))
    assert arcs_of(graph) == [(0, 1), (1, 1), (2, 0)]
    assert graph.weights.tolist() == [1.0, 3.0, 2.0]


def test_what_it_takes():
    ring = np.stack([np.arange(1000), (np.arange(1000) + 1) % 1000])
    graph = Graph.from_edge_index(ring)
    assert graph.nbytes == 1000 * (8 + 4)
    assert Graph.from_edge_index(ring[:, ::-1]).nbytes == 1000 * (8 + 4 + 4)
    weighted = Graph.from_edge_index(ring, weights=np.arange(1.0, 1001.0))
    assert weighted.nbytes == 1000 * (8 + 4 + 24)
    assert repr(graph) == "Graph(num_nodes=1000, num_edges=1000)"
    assert repr(weighted) == "Graph(num_nodes=1000, num_edges=1000, is_weighted=True)"
    with pytest.raises(AttributeError):
        graph.labels = ()


@given(inputs(), st.booleans())
def test_bytes_and_pickles(given, weighted):
    nodes, pairs, weights = given
    graph = Graph.from_edge_index(pairs, nodes, weights=weights if weighted else None)
    for other in (Graph.from_bytes(graph.to_bytes()), pickle.loads(pickle.dumps(graph))):
        assert other.to_bytes() == graph.to_bytes()
        assert other.edge_ids.tolist() == graph.edge_ids.tolist()
        walks = [random_walks(g, walk_length=4, rng=0).tolist() for g in (graph, other)]
        assert walks[0] == walks[1]


def test_labels_are_in_pickles():
    graph = pickle.loads(pickle.dumps(Graph.from_networkx(nx.path_graph(["a", "b"]))))
    assert (graph.labels, graph.index(["b"]).tolist()) == (("a", "b"), [1])
    assert copy.deepcopy(graph) is graph


@pytest.mark.parametrize("weighted", [False, True])
def test_bytes_are_checked(weighted):
    """Any word may be anything: the result is a graph whose walks can be drawn, or an error."""
    weights = np.arange(1.0, 6.0) if weighted else None
    data = Graph.from_edge_index([[0, 2, 1, 0, 1], [1, 0, 1, 2, 2]], weights=weights).to_bytes()
    words = np.frombuffer(data, np.uint64)[:-1]
    read = 0
    for at in range(2, len(words)):
        for word in (0, 1, 2, 3, 7, 1 << 32, 1 << 33, 5 << 32, 2**64 - 1, int(words[at]) + 1):
            forged = words.copy()
            forged[at] = word % 2**64
            try:
                graph = Graph.from_bytes(sealed(forged))
            except ValueError:
                continue
            read += 1
            random_walks(graph, walk_length=5, return_edges=True, rng=0)
    assert read > 10
    for bad in (data[:-8], data[:40], b"", data[:-1] + b"x", AliasTable([1.0]).to_bytes()):
        with pytest.raises(ValueError, match="data: "):
            Graph.from_bytes(bad)


def sealed(words):
    """The bytes of words and their checksum."""
    checksum = 0
    for word in words.tolist():
        rotated = (checksum << 23 | checksum >> 41) % 2**64
        checksum = (rotated ^ word) * 0x9E3779B97F4A7C15 % 2**64
    return words.tobytes() + checksum.to_bytes(8, "little")


def test_graphs_without_nodes_or_arcs():
    empty = Graph.from_csr([0], [])
    assert (empty.num_nodes, empty.num_edges, empty.indices.size) == (0, 0, 0)
    assert Graph.from_edge_index(np.empty((2, 0), np.int64)).num_nodes == 0
    assert Graph.from_edge_index(np.empty((2, 0), np.int64), 3).indptr.tolist() == [0] * 4
    assert Graph.from_networkx(nx.Graph()).num_nodes == 0
    assert Graph.from_scipy(sparse.csr_array((0, 0))).num_nodes == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Graph.from_edge_index([[0, 1], [1, 5]], 3),
            "edge_index: arc 1: ids of nodes must be in [0, 3), got 1 -> 5",
        ),
        (
            lambda: Graph.from_edge_index([[0, -1], [1, 0]]),
            "edge_index: arc 1: ids of nodes must be in [0, 2), got a negative id -> 0",
        ),
        (
            lambda: Graph.from_edge_index([[0, 1], [1, 0]], weights=[1.0, -2.0]),
            "weights: arc 1 (1 -> 0): must be in [0, inf), got -2.0",
        ),
        (
            lambda: Graph.from_csr([0, 1, 1], [1], [np.nan]),
            "weights: arc 0 (0 -> 1): must be in [0, inf), got nan",
        ),
        (
            lambda: Graph.from_csr([0, 2, 1], [1]),
            "indptr: must ascend within [0, 1], item 1 does not",
        ),
        (
            lambda: Graph.from_csr([0, 1], [1]),
            "indices: arc 0: ids of nodes must be in [0, 1), got 0 -> 1",
        ),
        (
            lambda: Graph.from_scipy(sparse.csr_array([[0.0, np.inf], [0.0, 0.0]])),
            "matrix: arc 0 (0 -> 1): must be in [0, inf), got inf",
        ),
        (
            lambda: Graph.from_scipy(sparse.csr_array((2, 3))),
            "matrix: must be square, got shape (2, 3)",
        ),
        (
            lambda: Graph.from_edge_index([0, 1]),
            "edge_index: must have shape (2, num_edges), got (2,)",
        ),
        (
            lambda: Graph.from_csr([0, 1], [0], [1.0, 2.0]),
            "weights: must have shape (1,), got (2,)",
        ),
        (
            lambda: Graph.from_networkx(nx.Graph([(0, 1, {"weight": -1})])),
            "graph: arc 0 (0 -> 1): must be in [0, inf), got -1.0",
        ),
    ],
)
def test_bad_arcs_are_named(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_threads_make_the_same_graph():
    rng = np.random.default_rng(0)
    pairs, weights = rng.integers(0, 3000, (2, 300_000)), rng.random(300_000)
    one, many = (Graph.from_edge_index(pairs, weights=weights, num_threads=n) for n in (1, 3))
    assert one.indices.tobytes() == many.indices.tobytes()
    walks = [random_walks(g, walk_length=4, rng=0) for g in (one, many)]
    assert walks[0].tobytes() == walks[1].tobytes()
