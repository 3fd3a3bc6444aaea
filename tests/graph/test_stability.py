"""The first walks, features and estimates of seed 0: only a major version changes them."""

import numpy as np
import pytest
from graph.graphs import vector_graph
from sortes.graph import (
    graph_random_features,
    graphlet_concentration,
    node2vec_walks,
    pagerank_mc,
    ppr,
    random_walks,
)
from vectors import load

FROZEN = load("graph/walks_stability.json")
ESTIMATED = load("graph/estimators_stability.json")


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


@pytest.mark.parametrize("case", ESTIMATED["pagerank"], ids=lambda case: str(case["given"]))
def test_pagerank(case):
    found = pagerank_mc(vector_graph(case["graph"]), rng=0, **case["given"])
    assert [found.value.tolist(), found.stderr.tolist()] == case["found"]


@pytest.mark.parametrize("case", ESTIMATED["ppr"], ids=lambda case: str(case["given"]))
def test_personalised_pagerank(case):
    rows = ppr(vector_graph(case["graph"]), rng=0, **case["given"])
    assert rows.toarray().tolist() == case["found"]


@pytest.mark.parametrize("case", ESTIMATED["graphlets"], ids=lambda case: str(case["given"]))
def test_graphlets(case):
    found = graphlet_concentration(vector_graph(case["graph"]), rng=0, **case["given"])
    counts = {name: list(count) for name, count in found.counts.items()}
    assert counts == case["counts"]
