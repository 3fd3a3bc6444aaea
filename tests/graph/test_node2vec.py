"""Walks of node2vec: the law of pairs of steps, and the front door of torch-cluster."""

import re

import numpy as np
import pytest
from graph.graphs import VECTORS, counted, second_order_law, sources, vector_graph
from lawlib import assert_law
from sortes.graph import Graph, node2vec_walks, random_walk, random_walks

N = 200_000
FACTORS = [(1.0, 1.0), (4.0, 0.5), (0.25, 4.0), (0.5, 2.0), (1e-6, 1.0), (1.0, 1e6), (1e5, 1e-5)]


def check_law(graph, p, q, *, nodes=None, **given):
    """Test every second step against the law, after each arc that was taken often enough."""
    walks = node2vec_walks(graph, nodes, 3, N // graph.num_nodes, p, q, **given)
    for t in (1, 2):
        whole = walks[walks[:, t] >= 0]
        arcs, counts = np.unique(whole[:, t - 1 : t + 1], axis=0, return_counts=True)
        for (before, node), count in zip(arcs, counts, strict=True):
            if count < 1000 or not (sources(graph) == node).any():
                continue
            here = whole[(whole[:, t - 1] == before) & (whole[:, t] == node)]
            law = second_order_law(graph, before, node, p, q)
            if law.max() < 1 - 1e-3:
                assert_law(counted(here[:, t + 1], graph.num_nodes), law)
            else:  # rare arcs come rarely
                rare = (here[:, t + 1] != law.argmax()).sum()
                assert rare <= 10 + 5 * count * (1 - law.max())


@pytest.mark.law
@pytest.mark.parametrize(("p", "q"), FACTORS)
@pytest.mark.parametrize("name", VECTORS["graphs"])
def test_law(name, p, q):
    check_law(vector_graph(name), p, q, rng=0)


@pytest.mark.law
@pytest.mark.parametrize("case", VECTORS["node2vec"], ids=str)
def test_vectors(case):
    graph = vector_graph(case["graph"])
    law = np.zeros(graph.num_nodes)
    for node, chance in case["law"].items():
        law[int(node)] = chance
    expected = second_order_law(graph, case["prev"], case["cur"], case["p"], case["q"])
    np.testing.assert_allclose(law, expected, atol=1e-12)
    walks = node2vec_walks(graph, [case["prev"]], 2, N, case["p"], case["q"], rng=1)
    here = walks[walks[:, 1] == case["cur"], 2]
    assert_law(counted(here, graph.num_nodes), law)


def random_graph(seed, *, weighted):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 7, (2, 30))  # loops, parallel arcs, one-way arcs
    return pairs, (rng.integers(1, 5, 30).astype(float) if weighted else None)


@pytest.mark.law
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.25), (1e-3, 1e3)])
def test_law_whatever_nodes_and_edges_are_called(weighted, p, q):
    pairs, weights = random_graph(0, weighted=weighted)
    check_law(Graph.from_edge_index(pairs, 7, weights=weights), p, q, rng=2)
    order = np.random.default_rng(1).permutation(30)
    names = np.random.default_rng(2).permutation(7)
    moved = None if weights is None else weights[order]
    check_law(Graph.from_edge_index(names[pairs[:, order]], 7, weights=moved), p, q, rng=3)


@pytest.mark.law
def test_refusals_end():
    """All neighbours are neighbours of the one before, and the way out would be likely: each of 64
    trials fails with a chance of 1 - 1e-9."""
    whole = np.array([(i, j) for i in range(5) for j in range(5) if i != j]).T
    for weights in (None, np.random.default_rng(0).random(20)):
        graph = Graph.from_edge_index(whole, weights=weights)
        check_law(graph, 1.0, 1e-9, rng=4)
        check_law(graph, 1e-300, 1e-300, rng=5)
        walks = node2vec_walks(graph, None, 20, 10, 1e300, 1e-300, rng=6)
        assert (walks[:, 2:] != walks[:, :-2]).all()


def test_without_factors_it_is_the_simple_walk():
    graph = vector_graph("weighted5")
    simple = random_walks(graph, walk_length=9, num_walks=3, rng=7)
    assert np.array_equal(node2vec_walks(graph, None, 9, 3, rng=7), simple)


def test_edges_are_those_that_were_taken():
    graph = Graph.from_edge_index([[0, 0, 1, 1], [1, 1, 0, 0]], weights=[1.0, 3.0, 2.0, 2.0])
    walks = node2vec_walks(graph, [0], 200, 1, 0.5, 2.0, return_edges=True, rng=8)
    assert set(walks.edges[0, ::2]) == {0, 1}
    assert set(walks.edges[0, 1::2]) == {2, 3}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"p": 0.0}, "p: must be in (0, inf), got 0.0"),
        ({"q": float("nan")}, "q: must be in (0, inf), got nan"),
        ({"q": float("inf")}, "q: must be in (0, inf), got inf"),
        ({"walk_length": -1}, "walk_length: must be in [0, 2**31), got -1"),
        ({"num_walks": 0}, "num_walks: must be at least 1, got 0"),
        ({"start": [9]}, "start: item 0 must be in [0, 4), got 9"),
    ],
)
def test_bad_arguments_are_named(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        node2vec_walks(vector_graph("k4"), **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0, 2], [1], [0], 1), "rowptr: must ascend within [0, 1], item 1 does not"),
        (([], [1], [0], 1), "rowptr: must have at least one item, got none"),
        (([0, 1], [1], [0], 1), "col: arc 0: ids of nodes must be in [0, 1), got 0 -> 1"),
        (([0, 1], [0], [1], 1), "start: item 0 must be in [0, 1), got 1"),
    ],
)
def test_the_front_door_names_its_arguments(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        random_walk(*given)


def test_the_front_door_of_tensors(torch):
    graph = vector_graph("k4")
    rowptr, col = torch.from_numpy(graph.indptr), torch.from_numpy(graph.indices)
    start = torch.tensor([0, 3, 3])
    walks = random_walk(rowptr, col, start, 5, 0.5, 2.0, rng=0)
    assert isinstance(walks, torch.Tensor)
    assert (walks.dtype, walks.shape) == (torch.int64, (3, 6))
    expected = node2vec_walks(graph, start, 5, 1, 0.5, 2.0, rng=0)
    assert walks.tolist() == expected.tolist()
    # A graph that has been written to is another one.
    col[0] = 0
    looped = random_walk(rowptr, col, torch.zeros(1000, dtype=torch.int64), 1, rng=0)
    assert (looped[:, 1] == 0).any()
    assert not random_walk(rowptr, col, start, 5).equal(random_walk(rowptr, col, start, 5))


def test_a_training_with_the_front_door(torch):
    """Skip-gram with negative samples, as a `Node2Vec` of PyTorch Geometric has it, of two cliques
    that one edge joins: the embedding tells them apart."""
    pairs = [(i, j) for side in (0, 6) for i in range(side, side + 6) for j in range(side, i)]
    pairs.append((0, 6))
    both = np.array([*pairs, *((j, i) for i, j in pairs)]).T
    graph = Graph.from_edge_index(both)
    rowptr, col = torch.from_numpy(graph.indptr), torch.from_numpy(graph.indices)
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(12, 4)
    optimizer = torch.optim.Adam(embedding.parameters(), lr=0.05)
    for step in range(100):
        start = torch.arange(12).repeat(5)
        walks = random_walk(rowptr, col, start, 4, 1.0, 1.0, rng=0, step=step)
        others = torch.randint(12, walks.shape)
        others[:, 0] = walks[:, 0]
        loss = 0.0
        for nodes, sign in ((walks, 1.0), (others, -1.0)):
            first, rest = embedding(nodes[:, :1]), embedding(nodes[:, 1:])
            loss = loss - torch.nn.functional.logsigmoid(sign * (first * rest).sum(-1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.nn.functional.normalize(embedding.weight.detach())
    alike = x @ x.T
    assert alike[:6, :6].mean() > alike[:6, 6:].mean() + 0.5


def hub():
    """A node whose neighbours have triangles, pendants and a path: both arcs of each edge."""
    pairs = [(0, i) for i in range(1, 12)] + [(1, 2), (2, 3), (1, 3), (5, 6), (12, 1), (12, 13)]
    return np.array([*pairs, *((v, u) for u, v in pairs)]).T


@pytest.mark.law
@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (2.0, 4.0), (8.0, 4.0), (0.5, 0.25)])
def test_law_where_the_node_before_has_fewer_neighbours(p, q):
    """Where the way back is above, between and below the other two factors."""
    check_law(Graph.from_edge_index(hub()), p, q, rng=9)


def test_edges_lead_where_the_walk_goes():
    for pairs in (hub(), random_graph(0, weighted=False)[0]):
        for weights in (None, np.arange(1.0, pairs.shape[1] + 1)):
            graph = Graph.from_edge_index(pairs, weights=weights)
            walks = node2vec_walks(graph, None, 30, 20, 0.25, 4.0, return_edges=True, rng=10)
            moved = walks.edges >= 0
            assert moved.any()
            assert (walks.nodes[:, :-1][moved] == pairs[0, walks.edges[moved]]).all()
            assert (walks.nodes[:, 1:][moved] == pairs[1, walks.edges[moved]]).all()
            nodes = node2vec_walks(graph, None, 30, 20, 0.25, 4.0, rng=10)
            assert np.array_equal(nodes, walks.nodes)
