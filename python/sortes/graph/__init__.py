"""Graphs, and walks on them.

`Graph` is made once, from what other packages call a graph, and never changes. `random_walks` draws
walks of many laws, on their own or spread out: coupled walks, of which each alone is an ordinary
one. `node2vec_walks` and `random_walk` draw those of node2vec. `graph_random_features` makes sparse
features of nodes of them, and `kernel_estimate` products with the kernel that these estimate.
"""

from sortes.graph.features import Visits, graph_random_features, walk_visits
from sortes.graph.kernels import KernelEstimate, kernel_estimate
from sortes.graph.node2vec import node2vec_walks, random_walk
from sortes.graph.structure import Graph
from sortes.graph.walks import RaggedWalks, Walks, iter_walks, random_walks

__all__ = [
    "Graph",
    "KernelEstimate",
    "RaggedWalks",
    "Visits",
    "Walks",
    "graph_random_features",
    "iter_walks",
    "kernel_estimate",
    "node2vec_walks",
    "random_walk",
    "random_walks",
    "walk_visits",
]
