"""PageRank by walks: its form, what it depends on, and what is refused."""

import re
import warnings

import networkx as nx
import numpy as np
import pytest
from sortes.graph import Graph, pagerank_mc, ppr

AROUND = Graph.from_edge_index(
    np.stack([np.arange(5).repeat(2), [(i + j) % 5 for i in range(5) for j in (1, 4)]])
)
NONE = np.empty((2, 0), np.int64)


def scale_free(n=3000, arcs=12_000, weighted=False):
    rng = np.random.default_rng(1)
    pairs = (n * rng.random((2, arcs)) ** 2).astype(np.int64)
    return Graph.from_edge_index(pairs, n, weights=rng.random(arcs) if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["visits", "endpoint"])
@pytest.mark.parametrize("coupling", ["iid", "repelling"])
def test_threads_change_nothing(weighted, method, coupling):
    graph = scale_free(weighted=weighted)
    law = np.random.default_rng(2).random(graph.num_nodes) ** 4
    more = {"normalize": True} if method == "visits" else {}
    for dangling in ("restart", "uniform", "stay"):
        given = {"method": method, "coupling": coupling, "dangling": dangling, "rng": 3, "step": 2}
        ask = {"personalization": law, "num_walks": 6, **given, **more}
        one = pagerank_mc(graph, num_threads=1, **ask)
        rows = ppr(graph, range(0, 3000, 7), num_walks=64, num_threads=1, **given)
        for threads in (2, 7):
            many = pagerank_mc(graph, num_threads=threads, **ask)
            assert [a.tobytes() for a in many] == [a.tobytes() for a in one]
            same = ppr(graph, range(0, 3000, 7), num_walks=64, num_threads=threads, **given)
            for part in ("data", "indices", "indptr"):
                assert getattr(same, part).tobytes() == getattr(rows, part).tobytes()


def test_the_seed_decides():
    first = pagerank_mc(AROUND, rng=1).value
    assert (pagerank_mc(AROUND, rng=1).value == first).all()
    assert (pagerank_mc(AROUND, rng=2).value != first).any()
    assert (pagerank_mc(AROUND, rng=1, step=1).value != first).any()


def test_walks_of_one_node():
    for method in ("visits", "endpoint"):
        found = pagerank_mc(AROUND, 0.0, method=method, rng=0)
        assert found.value.tolist() == [0.2] * 5
        assert found.stderr.tolist() == [0.0] * 5
        rows = ppr(AROUND, [3, 1], 0.0, method=method, rng=0)
        assert rows.toarray().tolist() == np.eye(5)[[3, 1]].tolist()


def test_one_walk_and_one_ensemble():
    found = pagerank_mc(AROUND, num_walks=1, replicates=1, rng=0)
    assert np.isnan(found.stderr).all()
    assert found.value.sum() > 0
    assert (pagerank_mc(AROUND, num_walks=1, rng=0).stderr > 0).any()


def test_graphs_without_arcs():
    empty = Graph.from_edge_index(NONE, 0)
    assert pagerank_mc(empty, personalization=[]).value.shape == (0,)
    assert ppr(empty, []).shape == (0, 0)
    alone = Graph.from_edge_index(NONE, 3)
    for dangling in ("restart", "uniform", "stay"):
        found = pagerank_mc(alone, dangling=dangling, method="endpoint", num_walks=400, rng=0)
        assert found.value == pytest.approx(np.ones(3) / 3, abs=0.05)
    rows = ppr(alone, [2], method="endpoint", rng=0)
    assert rows.toarray().tolist() == [[0.0, 0.0, 1.0]]
    assert ppr(alone, []).shape == (0, 3)


def test_components_keep_their_shares():
    parts = Graph.from_networkx(nx.disjoint_union(nx.cycle_graph(3), nx.star_graph(4)))
    found = pagerank_mc(parts, method="endpoint", rng=0)
    assert found.value[:3].sum() == pytest.approx(3 / 8)
    law = [0.0] * 3 + [1.0] * 5
    found = pagerank_mc(parts, personalization=law, rng=0)
    assert not found.value[:3].any()
    assert not found.stderr[:3].any()


def test_the_largest_of_each_row():
    graph = scale_free()
    every = ppr(graph, [0, 5, 2000], rng=0).toarray()
    for top_k in (1, 7, 5000):
        rows = ppr(graph, [0, 5, 2000], top_k=top_k, rng=0)
        assert rows.has_sorted_indices
        for row, whole in zip(rows.toarray(), every, strict=True):
            order = np.lexsort((np.arange(len(whole)), -whole))[:top_k]
            wanted = np.zeros_like(whole)
            wanted[order] = whole[order]
            assert (row == wanted).all()


def test_ranks_sum_to_one():
    graph = scale_free()
    assert pagerank_mc(graph, method="endpoint", rng=0).value.sum() == pytest.approx(1)
    assert pagerank_mc(graph, normalize=True, rng=0).value.sum() == pytest.approx(1)
    assert pagerank_mc(graph, rng=0).value.sum() == pytest.approx(1, abs=0.01)


def test_tensors():
    torch = pytest.importorskip("torch")
    law = torch.arange(5.0)
    found = pagerank_mc(AROUND, personalization=law, rng=0)
    assert (found.value == pagerank_mc(AROUND, personalization=law.numpy(), rng=0).value).all()
    assert ppr(AROUND, torch.tensor([1, 2]), rng=0).shape == (2, 5)


def test_a_law_by_labels():
    """As NetworkX takes it: labels that are not named have no weight."""
    given = nx.karate_club_graph()
    given = nx.relabel_nodes(given, {node: f"member {node}" for node in given})
    named = {"member 33": 1, "member 0": np.float32(3.0), "member 5": 0}
    graph = Graph.from_networkx(given, weight=None)
    law = np.zeros(34)
    law[[0, 33]] = 3, 1
    found = pagerank_mc(graph, personalization=named, num_walks=2000, rng=0)
    same = pagerank_mc(graph, personalization=law, num_walks=2000, rng=0)
    assert (found.value == same.value).all()
    assert (found.stderr == same.stderr).all()
    wanted = list(nx.pagerank(given, weight=None, personalization=named).values())
    assert (abs(found.value - wanted) < 6 * found.stderr + 1e-6).all()

    # Without labels, nodes are called by their numbers.
    numbers = {4: 1.0, np.int64(1): 2.0}
    found = pagerank_mc(AROUND, personalization=numbers, rng=0)
    same = pagerank_mc(AROUND, personalization=[0, 2, 0, 0, 1], rng=0)
    assert (found.value == same.value).all()
    assert pagerank_mc(Graph.from_edge_index(NONE, 0), personalization={}).value.shape == (0,)


def test_bad_laws_by_labels_are_named():
    graph = Graph.from_networkx(nx.path_graph(["a", "b"]))
    for law, error, message in [
        ({"a": 1, "z": 1}, ValueError, "personalization: item 1 is no label of a node: 'z'"),
        ({0: 1}, ValueError, "personalization: item 0 is no label of a node: 0"),
        ({"b": -1.0}, ValueError, "personalization: of 'b': must be in [0, inf), got -1.0"),
        ({"b": np.nan}, ValueError, "personalization: of 'b': must be in [0, inf), got nan"),
        ({"b": "much"}, TypeError, "personalization: of 'b': must be a number, got 'much'"),
        ({"b": None}, TypeError, "personalization: of 'b': must be a number, got None"),
        ({"a": 0}, ValueError, "personalization: the sum must be positive and finite, got 0.0"),
        ({}, ValueError, "personalization: the sum must be positive and finite, got 0.0"),
        ({"a": 1e308, "b": 1e308}, ValueError, "personalization: the sum must be positive"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            pagerank_mc(graph, personalization=law)
    with pytest.raises(ValueError, match="personalization: item 0 is no label of a node: 5"):
        pagerank_mc(AROUND, personalization={5: 1.0})
    with pytest.raises(TypeError, match="personalization: must be an integer, got 'a'"):
        pagerank_mc(AROUND, personalization={"a": 1.0})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 1.0}, "alpha: must be in [0, 1), got 1.0"),
        ({"num_walks": 0}, "num_walks: must be at least 1, got 0"),
        ({"num_walks": 2**62}, "num_walks: must be below 2**48 for all starts together"),
        (
            {"num_walks": 3, "termination": "antithetic"},
            "num_walks: must be even for termination 'antithetic', got 3",
        ),
        ({"dangling": "stop"}, "dangling: must be 'restart', 'uniform' or 'stay', got 'stop'"),
        ({"method": "x"}, "method: must be 'visits' or 'endpoint', got 'x'"),
        ({"coupling": "x"}, "coupling: must be 'iid' or 'repelling', got 'x'"),
        ({"termination": "x"}, "termination: must be 'iid', "),
        ({"num_threads": 0}, "num_threads: must be in [1, 1024], got 0"),
    ],
)
def test_bad_arguments_are_named(given, message):
    for function, data in ((pagerank_mc, ()), (ppr, ([0],))):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(AROUND, *data, **given)


def test_bad_laws_and_sources_are_named():
    for given, message in [
        ({"replicates": 0}, "replicates: must be at least 1, got 0"),
        ({"personalization": [1.0]}, "personalization: must have shape (5,), got (1,)"),
        ({"personalization": [0.0] * 5}, "personalization: the sum must be positive and finite"),
        ({"personalization": [1e308] * 5}, "personalization: the sum must be positive and finite"),
        ({"personalization": [1, 1, -1, 1, 1]}, "personalization: item 2 must be in [0, inf)"),
        ({"normalize": True, "method": "endpoint"}, "normalize: is for method 'visits' alone"),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=re.escape(message)):
                pagerank_mc(AROUND, **given)
    for sources, error, message in [
        ([5], ValueError, "sources: item 0 must be in [0, 5), got 5"),
        ([-1], ValueError, "sources: item 0 must be in [0, 5), got -1"),
        ([0.5], TypeError, "sources: must hold integers, got float64"),
        (None, TypeError, "sources: must hold integers, got None"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            ppr(AROUND, sources)
    with pytest.raises(ValueError, match="top_k: must be at least 1, got 0"):
        ppr(AROUND, [0], top_k=0)
    with pytest.raises(TypeError, match=r"graph: must be a sortes\.graph\.Graph"):
        pagerank_mc([[0], [1]])


def test_memory_that_is_not_there():
    with pytest.raises(MemoryError):
        ppr(AROUND, [0], num_walks=2**40)
    with pytest.raises(MemoryError):
        pagerank_mc(AROUND, 1 - 1e-15, num_walks=2**20)
