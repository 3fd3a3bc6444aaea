"""The first walks and features of seed 0, frozen: they change only with the major version."""

import numpy as np
import pytest
from graph.graphs import vector_graph
from sortes.graph import graph_random_features, node2vec_walks, random_walks
from vectors import load

FROZEN = load("graph/walks_stability.json")


@pytest.mark.parametrize("case", FROZEN["walks"], ids=lambda case: str(case["given"]))
def test_walks(case):
    graph = vector_graph(case["graph"])
    walks = random_walks(graph, rng=0, **case["given"])
    if isinstance(walks, tuple):
        assert np.diff(walks.offsets).tolist() == case["lengths"]
        walks = walks.nodes
    assert walks.tolist() == case["nodes"]


@pytest.mark.parametrize("case", FROZEN["node2vec"], ids=lambda case: str(case["given"]))
def test_node2vec(case):
    walks = node2vec_walks(vector_graph(case["graph"]), rng=0, **case["given"])
    assert walks.tolist() == case["nodes"]


@pytest.mark.parametrize("case", load("graph/features_stability.json"), ids=lambda c: c["graph"])
def test_features(case):
    features = graph_random_features(vector_graph(case["graph"]), rng=0, **case["given"])
    assert features.indptr.tolist() == case["indptr"]
    assert features.indices.tolist() == case["indices"]
    assert [x.hex() for x in features.data.tolist()] == case["data"]
