"""Graphs of the vectors and others, and what their walks are compared with."""

import numpy as np
from hypothesis import strategies as st
from sortes.graph import Graph
from vectors import load

VECTORS = load("graph/walks.json")


def vector_graph(name):
    """A graph of the vectors."""
    said = VECTORS["graphs"][name]
    edges = [(u, v, *(rest or [1.0])) for u, v, *rest in said["edges"]]
    if not said["directed"]:
        edges += [(v, u, w) for u, v, w in edges if u != v]
    sources, targets, weights = map(np.array, zip(*edges, strict=True))
    pairs = np.stack([sources, targets]).astype(np.int64)
    return Graph.from_edge_index(pairs, said["n"], weights=weights)


def fan(degree, weights=None):
    """A node with arcs to others, from which there is no way on."""
    arcs = np.stack([np.zeros(degree, np.int64), np.arange(1, degree + 1)])
    return Graph.from_edge_index(arcs, degree + 1, weights=weights)


def dense(graph):
    """The matrix of the weights of all arcs."""
    matrix = np.zeros((graph.num_nodes, graph.num_nodes))
    np.add.at(matrix, (sources(graph), graph.indices), graph.weights)
    return matrix


def sources(graph):
    """Where each arc begins."""
    return np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))


def simple_law(graph):
    """The matrix of the simple walk, for a graph without dead ends."""
    matrix = dense(graph)
    return matrix / matrix.sum(1, keepdims=True)


def second_order_law(graph, before, node, p, q):
    """The law of node2vec at a node, by its definition."""
    matrix = dense(graph)
    there = np.isin(np.arange(graph.num_nodes), graph.indices[sources(graph) == before])
    factors = np.where(there, 1.0, 1.0 / q)
    factors[before] = 1.0 / p
    law = matrix[node] * factors
    return law / law.sum()


@st.composite
def multigraphs(draw, *, weighted=None):
    """Any directed graph of up to eight nodes, with loops, parallel arcs and dead ends."""
    nodes = draw(st.integers(1, 8))
    ids = st.integers(0, nodes - 1)
    arcs = draw(st.lists(st.tuples(ids, ids), max_size=24))
    pairs = np.array(arcs, np.int64).reshape(-1, 2).T
    if draw(st.booleans()) if weighted is None else weighted:
        few = st.lists(
            st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=len(arcs), max_size=len(arcs)
        )
        return Graph.from_edge_index(pairs, nodes, weights=np.array(draw(few)))
    return Graph.from_edge_index(pairs, nodes)


def counted(values, size):
    """How often each of the numbers below `size` comes."""
    return np.bincount(np.asarray(values).ravel(), minlength=size)
