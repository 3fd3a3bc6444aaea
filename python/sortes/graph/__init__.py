"""Graphs, and walks on them.

`Graph` is made once, from what other packages call a graph, and never changes. `random_walks` draws
walks of many laws, on their own or spread out: coupled walks, of which each alone is an ordinary
one. `node2vec_walks` and `random_walk` draw those of node2vec.
"""

from sortes.graph.node2vec import node2vec_walks, random_walk
from sortes.graph.structure import Graph
from sortes.graph.walks import RaggedWalks, Walks, iter_walks, random_walks

__all__ = [
    "Graph",
    "RaggedWalks",
    "Walks",
    "iter_walks",
    "node2vec_walks",
    "random_walk",
    "random_walks",
]
