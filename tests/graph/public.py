"""Valid calls of what the family offers."""

import numpy as np
from sortes.graph import Graph, graph_random_features, kernel_estimate, walk_visits

#: How many nodes a graph has; `public.resize` sets it.
SCALE: int = globals().get("SCALE", 1)
NODES = 6 * SCALE
AROUND = np.arange(NODES)
#: A path, and arcs back; the first of its nodes has two to the second, the last has none.
BACK = np.append(1, AROUND[1:-1] // 2)
PAIRS = np.stack([np.repeat(AROUND[:-1], 2), np.stack([AROUND[1:], BACK], 1).ravel()])
EDGES = PAIRS.T.tolist()
WEIGHTS = 1.0 + np.arange(PAIRS.shape[1]) % 3
INDPTR = np.append(np.arange(0, 2 * NODES, 2), 2 * NODES - 2)
RING = np.stack(
    [np.repeat(AROUND, 2), np.stack([AROUND - 1, AROUND - NODES + 1], 1).ravel() % NODES]
)


class NetworkX:
    """What is read of a graph of NetworkX."""

    nodes = tuple("abc")

    def is_directed(self):
        return False

    def edges(self, data=None, default=None):
        edges = [("a", "b"), ("b", "c"), ("c", "b")]
        return edges if data is None else [(u, v, 1.0 + (u == "b")) for u, v in edges]


class Igraph:
    """What is read of a graph of igraph."""

    class es:  # noqa: N801
        attributes = staticmethod(list)

    def is_directed(self):
        return True

    def vcount(self):
        return NODES

    def get_edgelist(self):
        return EDGES


class Rustworkx:
    """What is read of a graph of rustworkx."""

    def node_indices(self):
        return [0, 2]

    def edge_list(self):
        return [(0, 2), (2, 0)]

    def edges(self):
        return [2.5, 1.0]


class Matrix:
    """What is read of a sparse matrix."""

    shape = (NODES, NODES)
    indptr, indices, data = INDPTR, PAIRS[1], WEIGHTS

    def tocsr(self):
        return self


def graph():
    """A graph with a dead end."""
    return Graph.from_edge_index(PAIRS, NODES)


GRAPH, EVEN = graph(), Graph.from_edge_index(RING, NODES)
#: The ring with a triangle.
CHORD = Graph.from_edge_index(np.concatenate([RING, [[0, 2], [2, 0]]], 1))
START = np.array([0, 1, 1])
REPELLING = {"coupling": "repelling", "scheme": "auto", "scope": "start", "transient": False}
WALKS = [
    {"graph": GRAPH, "start": START, "walk_length": 4, "num_walks": 2, "rng": 0},
    {"graph": GRAPH, "p_halt": 0.2, "walk_length": 9, "num_walks": 4, "rng": 0, **REPELLING,
     "termination": "antithetic", "return_edges": True, "dangling": "stay"},
    {"graph": GRAPH, "length_law": np.array([0.25, 0.25, 0.5]), "num_walks": 3,
     "termination": "stratified", "transition": "restart", "alpha": 0.5, "rng": 0},
    {"graph": EVEN, "walk_length": 5, "transition": "lazy", "beta": 0.25, "rng": 0,
     "dtype": np.int64},
]  # fmt: skip

#: Walks that repel, and what their visits count.
VISITS = {
    "num_walks": 4,
    "p_halt": 0.3,
    "coupling": "repelling",
    "scheme": "auto",
    "transient": False,
    "termination": "antithetic",
    "proposal": "weighted",
    "rng": 0,
}
WEIGHTED = Graph.from_edge_index(RING, NODES, weights=np.tile([1.0, 2.0, 3.0], 4 * SCALE))
KERNELS = [
    {"kernel": "d_regularised_laplacian", "d": 1.5, "c": 0.25},
    {"kernel": "p_step", "p": 4, "c": 0.25},
    {"kernel": "diffusion", "sigma": 0.5},
    {"modulation": np.array([1.0, 0.5, 0.25])},
]


FEATURES = [graph_random_features(EVEN, num_walks=2, rng=i) for i in range(2)]


def estimate():
    """An estimate of a kernel."""
    return kernel_estimate(EVEN, num_walks=2, rng=0)


RANKS = {"alpha": 0.7, "num_walks": 4, "dangling": "uniform", "method": "endpoint",
         "coupling": "iid", "termination": "antithetic", "rng": 0}  # fmt: skip
STEPS = {"num_steps": 20, "num_walkers": 3, "replicates": 2, "rng": 0}

CALLS = {
    "KernelEstimate": {"features": FEATURES, "independent": True},
    "KernelEstimate.diagonal": {},
    "KernelEstimate.matvec": {"x": np.ones(NODES)},
    "KernelEstimate.rmatvec": {"x": np.ones(NODES)},
    "KernelEstimate.toarray": {"rows": START},
    "Visits.features": KERNELS,
    "graph_random_features": [
        *({"graph": EVEN, **given, **VISITS} for given in KERNELS),
        {"graph": WEIGHTED, "num_walks": 2, "rng": 0, "dtype": np.float32},
    ],
    "kernel_estimate": [
        *({"graph": EVEN, **given, **VISITS} for given in KERNELS),
        {"graph": WEIGHTED, "num_walks": 2, "rng": 0, "dtype": np.float32, "stitching": 2},
    ],
    "walk_visits": [
        {"graph": EVEN, "walk_length": 3, **VISITS},
        {"graph": WEIGHTED, "num_walks": 2, "rng": 0},
    ],
    "Graph.copy": {},
    "Graph.from_csr": {"indptr": INDPTR, "indices": PAIRS[1], "weights": WEIGHTS},
    "Graph.from_edge_index": {"edge_index": PAIRS, "num_nodes": NODES, "weights": WEIGHTS},
    "Graph.from_igraph": {"graph": Igraph(), "weights": WEIGHTS},
    "Graph.from_networkx": {"graph": NetworkX()},
    "Graph.from_rustworkx": {"graph": Rustworkx(), "weight": float},
    "Graph.from_scipy": {"matrix": Matrix()},
    "Graph.from_bytes": {"data": Graph.from_edge_index(PAIRS, NODES, weights=WEIGHTS).to_bytes()},
    "Graph.index": {"labels": [1, 0]},
    "Graph.labelled": {"nodes": np.array([[0, -1]])},
    "Graph.to_bytes": {},
    "graphlet_concentration": [
        {"graph": CHORD, **STEPS, "d": 1, "walk": "non_backtracking", "estimator": "plain",
         "start_together": False, "coupling": "repelling"},
        {"graph": CHORD, "k": 4, "d": 1, **STEPS, "allow_missing": True},
        {"graph": CHORD, "k": 4, "d": 2, **STEPS},
        {"graph": CHORD, "k": 4, "d": 3, **STEPS},
    ],
    "iter_walks": [{"batch_size": 2, **given} for given in WALKS],
    "node2vec_walks": {"graph": GRAPH, "start": START, "walk_length": 20, "num_walks": 9,
                       "p": 0.5, "q": 2.0, "rng": 0},
    "pagerank_mc": [
        {"graph": GRAPH, **RANKS, "replicates": 3, "personalization": 1.0 + AROUND},
        {"graph": GRAPH, "normalize": True, "coupling": "repelling", "rng": 0},
    ],
    "ppr": {"graph": GRAPH, "sources": START, **RANKS, "alpha": 0.9, "num_walks": 20, "top_k": 3},
    "random_walk": {"rowptr": INDPTR, "col": PAIRS[1], "start": START, "walk_length": 6, "p": 0.5,
                    "q": 2.0, "rng": 0},
    "random_walks": WALKS,
}  # fmt: skip

#: Values that act.
VALUES = {"num_nodes": [NODES + 1], "Graph.from_networkx weight": [None]}

MADE = {
    "Graph": graph,
    "KernelEstimate": estimate,
    "Visits": lambda: walk_visits(EVEN, num_walks=2, rng=0),
}
#: How large the data are where memory is little, and where calls are long.
STARVED = {"wide": [20_000, 200_000]}
LONG = {"wide": [30_000, 200_000, 600_000]}
