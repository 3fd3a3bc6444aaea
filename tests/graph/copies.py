"""Many copies of a small graph, whose features are as many repetitions."""

import numpy as np
from graph.graphs import sources
from sortes.graph import Graph

COPIES = 20_000


def copies(graph, count=COPIES):
    """A graph of as many copies of another."""
    nodes = graph.num_nodes
    shift = nodes * np.arange(count)[:, None]
    pairs = np.stack([(shift + ids).ravel() for ids in (sources(graph), graph.indices)])
    weights = np.tile(graph.weights, count)
    return Graph.from_edge_index(pairs, nodes * count, weights=weights)


def blocks(features, nodes):
    """The features of each copy, as dense matrices."""
    assert features.shape[0] % nodes == 0
    rows = np.repeat(np.arange(features.shape[0]), np.diff(features.indptr))
    assert np.array_equal(rows // nodes, features.indices // nodes)
    out = np.zeros((features.shape[0], nodes))
    out[rows, features.indices % nodes] = features.data
    return out.reshape(-1, nodes, nodes)
