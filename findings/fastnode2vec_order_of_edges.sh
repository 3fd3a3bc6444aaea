#!/usr/bin/env bash
# fastnode2vec 0.0.7: the law of a walk depends on the order in which edges are listed.
#
# Nodes are numbered as they appear. Whether a node is a neighbour of the one before is looked up among
# sorted neighbours; if it is larger than all of them, the first neighbour of the next node is compared
# instead. So some nodes at distance two count as common neighbours, for some numberings.
#
# Seen, on the path a - b - c - d with p = 1 and q = 0.1, of walks that came from a to b: how many go on
# to c, which should be 10 of 11 whatever the order is
#   edges a-b, b-c, c-d   0.91
#   edges b-a, d-c, b-c   0.50
#
# Why it matters: embeddings change with the order of a file, and walks are no reference for node2vec.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install -q fastnode2vec==0.0.7 numba==0.63.1 gensim==4.4.0

"$folder/bin/python" - <<'PYTHON'
from fastnode2vec import Graph

WALKS = 20_000


def onwards(edges):
    """The share of walks a, b, ... that go on to c."""
    graph = Graph(edges, directed=False, weighted=False, verbose=False)
    start = list(graph.node_names).index("a")
    walks = (graph.generate_random_walk(3, 1.0, 0.1, start) for _ in range(WALKS))
    return sum(walk[2] == "c" for walk in walks) / WALKS


one = onwards([("a", "b"), ("b", "c"), ("c", "d")])
two = onwards([("b", "a"), ("d", "c"), ("b", "c")])
print(f"fastnode2vec 0.0.7: from a by b to c: {one:.2f} for one order of the edges, {two:.2f} for another")
assert abs(one - 10 / 11) < 0.02, "the first order has another law than stated"
assert abs(two - 1 / 2) < 0.03, "the second order has another law than stated"
PYTHON
