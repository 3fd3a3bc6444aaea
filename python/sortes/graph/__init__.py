"""Graphs, and walks on them.

`Graph` is made once, from what other packages call a graph, and never changes. `random_walks` draws
walks of many laws, on their own or spread out: coupled walks, of which each alone is an ordinary
one. `node2vec_walks` and `random_walk` draw those of node2vec. `pagerank_mc`, `ppr` and
`graphlet_concentration` estimate what walks tell of the graph. `graph_random_features` makes sparse
features of nodes of them, and `kernel_estimate` products with the kernel that these estimate.
"""

from sortes._estimate import Estimate, Estimates
from sortes.graph.features import Visits, graph_random_features, walk_visits
from sortes.graph.graphlets import GraphletConcentration, graphlet_concentration
from sortes.graph.kernels import KernelEstimate, kernel_estimate
from sortes.graph.node2vec import node2vec_walks, random_walk
from sortes.graph.pagerank import pagerank_mc, ppr
from sortes.graph.structure import Graph
from sortes.graph.walks import RaggedWalks, Walks, iter_walks, random_walks

__all__ = [
    "Estimate",
    "Estimates",
    "Graph",
    "GraphletConcentration",
    "KernelEstimate",
    "RaggedWalks",
    "Visits",
    "Walks",
    "graph_random_features",
    "graphlet_concentration",
    "iter_walks",
    "kernel_estimate",
    "node2vec_walks",
    "pagerank_mc",
    "ppr",
    "random_walk",
    "random_walks",
    "walk_visits",
]
