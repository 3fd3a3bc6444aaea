"""Measure the errors of kernels that are estimated by walks, and write them down.

    pip install networkx scipy
    SORTES_BENCH_DATA=... python examples/measure_graph.py docs/graph/measured.json

Without a file to write, it measures the smallest graphs a few times and prints the errors. Graphs
of the folder that SORTES_BENCH_DATA names, if it has any, are measured as well; some minutes on two
cores.
"""

import json
import os
import sys
from pathlib import Path

import networkx as nx
import numpy as np
from scipy import sparse
from sortes.graph import Graph, graph_random_features

C, P_HALT, NUM_ROWS = 0.25, 0.5, 300
SIZES = [2, 4, 8, 16, 32, 64]
WAYS = {
    "independent": ("iid", "iid"),
    "antithetic": ("iid", "antithetic"),
    "repelling": ("repelling", "iid"),
    "repelling, antithetic": ("repelling", "antithetic"),
    "repelling, stratified": ("repelling", "stratified"),
}
MADE = {
    "karate": lambda: nx.karate_club_graph(),
    "binary tree": lambda: nx.balanced_tree(2, 6),
    "10-regular": lambda: nx.random_regular_graph(10, 100, seed=1),
}
REAL = ["cora", "citeseer", "lastfm", "facebook"]


def matrices():
    """Yield the name and the adjacency matrix of each graph."""
    for name, make in MADE.items():
        yield name, sparse.csr_array(nx.to_scipy_sparse_array(make(), weight=None, dtype=float))
    for name in REAL:
        path = Path(os.environ.get("SORTES_BENCH_DATA", "")) / "graphs" / f"{name}.npz"
        if path.exists():
            with np.load(path) as archive:
                (i, j), n = archive["edges"].T, int(archive["n"])
            half = sparse.coo_array((np.ones(len(i)), (i, j)), (n, n))
            yield name, sparse.csr_array(half + half.T)


def rows_of_kernel(matrix: sparse.csr_array, rows: np.ndarray) -> np.ndarray:
    """Return rows of (I - U)**-2, by its series."""
    degrees = matrix.sum(1)
    roots = np.divide(1, np.sqrt(degrees), where=degrees > 0, out=np.zeros_like(degrees))
    U = sparse.csr_array(sparse.diags_array(C * roots) @ matrix @ sparse.diags_array(roots))
    power = np.zeros((len(rows), len(roots)))
    power[np.arange(len(rows)), rows] = 1.0
    total = power.copy()
    for k in range(1, 30):  # the rest is below 1e-16
        power = power @ U
        total += (k + 1) * power
    return total


def errors(name: str, matrix: sparse.csr_array, runs: int) -> dict[str, list[float]]:
    """Return the relative squared errors for all numbers of walks, way by way."""
    graph = Graph.from_scipy(matrix)
    nodes = graph.num_nodes
    rows = np.random.default_rng(0).permutation(nodes)[:NUM_ROWS]
    exact = rows_of_kernel(matrix, rows)
    found = {}
    for way, (coupling, termination) in WAYS.items():
        found[way] = []
        for m in SIZES:
            total = 0.0
            for run in range(runs):
                features = graph_random_features(
                    graph,
                    kernel="d_regularised_laplacian",
                    c=C,
                    p_halt=P_HALT,
                    num_walks=m,
                    coupling=coupling,
                    termination=termination,
                    rng=run,
                )
                estimate = (features[rows] @ features.T).toarray()
                total += ((estimate - exact) ** 2).sum() / (exact**2).sum()
            found[way].append(float(f"{total / runs:.4g}"))
        print(f"{name:12} {way:22}", *(f"{error:.4f}" for error in found[way]))
    return found


def main(path: Path | None) -> None:
    """Measure all graphs, or a few."""
    measured = {}
    for name, matrix in matrices():
        if path is None and name in REAL:
            break
        runs = 4 if path is None else 100 if name in MADE else 4
        measured[name] = errors(name, matrix, runs)
    if path is not None:
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in measured.items())
        path.write_text(f'{{"walks": {SIZES},\n"graphs": {{\n{lines}\n}}}}\n', "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
