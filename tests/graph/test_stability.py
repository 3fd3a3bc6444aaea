"""The first walks of seed 0, frozen: they change only with the major version."""

import numpy as np
import pytest
from graph.graphs import vector_graph
from sortes.graph import node2vec_walks, random_walks
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
