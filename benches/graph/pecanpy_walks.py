"""PecanPy in an interpreter of its own, since it cannot be imported beside NumPy 2.

    python pecanpy_walks.py ARCS P Q NUM_WALKS LENGTH

For every line that it reads it walks, and prints the seconds. What it compiles for each call of its
own, and the lists of strings that it makes of the walks, are left out.
"""

import sys
import time

import numpy as np
from numba_progress import ProgressBar
from pecanpy.pecanpy import FirstOrderUnweighted, SparseOTF


def main():
    path, p, q, num_walks, length = sys.argv[1], *map(float, sys.argv[2:])
    walker = (FirstOrderUnweighted if p == q == 1 else SparseOTF)(p, q, 1)
    with np.load(path) as arcs:
        walker.indptr = arcs["indptr"].astype(np.uint32)
        walker.indices = arcs["indices"].astype(np.uint32)
    walker.data = np.ones(len(walker.indices), np.float32)
    nodes = np.arange(len(walker.indptr) - 1, dtype=np.uint32)
    walker.set_node_ids([str(node) for node in nodes])
    forward, has_neighbours = walker.get_move_forward(), walker.get_has_nbrs()

    def walk(starts):
        began = time.perf_counter()
        with ProgressBar(total=len(starts), disable=True) as progress:
            walker._random_walks(
                len(starts), int(length), None, starts, has_neighbours, forward, progress
            )
        return time.perf_counter() - began

    walk(nodes[:1])
    for _ in sys.stdin:
        print(walk(np.tile(nodes, int(num_walks))), flush=True)


if __name__ == "__main__":
    main()
