"""Measure the errors of PageRank and of graphlets by walks, with and without couplings.

    python examples/measure_estimators.py docs/graph/estimators.json

Writes what docs/graph/pictures.py draws, and prints the tables of docs/graph/pagerank.md and
docs/graph/graphlets.md; about a minute on two cores. Without a file it makes a few runs and prints.
"""

import json
import sys
from pathlib import Path

import networkx as nx
import numpy as np
from sortes.graph import Graph, graphlet_concentration, pagerank_mc
from tqdm import tqdm

RUNS, FEW = 400, 4
TERMINATIONS = ["iid", "antithetic", "stratified", "systematic"]
GRAPHS = {
    "karate": nx.karate_club_graph(),
    "tree": nx.balanced_tree(2, 6),
    "regular": nx.random_regular_graph(10, 100, seed=1),
}


def exact(given, alpha):
    """Return PageRank, as the solution of its equations."""
    matrix = nx.to_numpy_array(given, weight=None)
    n, matrix = len(matrix), matrix / matrix.sum(1, keepdims=True)
    return np.linalg.solve(np.eye(n) - alpha * matrix.T, np.full(n, (1 - alpha) / n))


def of_ranks(graph, wanted, alpha, num_walks, count, **given):
    """Return the error of PageRank, root of the sum over nodes of the mean square."""
    runs = [
        pagerank_mc(graph, alpha, num_walks=num_walks, rng=7, step=run, **given).value
        for run in range(count)
    ]
    return float(((np.stack(runs) - wanted) ** 2).sum(1).mean() ** 0.5)


def pagerank(count):
    """Return the errors of PageRank for every graph and coupling."""
    rows = []
    cases = [(name, p) for name in GRAPHS for p in (0.15, 0.3)]
    for name, p in tqdm(cases, unit="graph", disable=None):
        graph = Graph.from_networkx(GRAPHS[name], weight=None)
        wanted = exact(GRAPHS[name], 1 - p)
        for method in ("endpoint", "visits"):
            for coupling in ("iid", "repelling"):
                for termination in TERMINATIONS:
                    errors = [
                        of_ranks(graph, wanted, 1 - p, m, count, replicates=1, method=method,
                                 coupling=coupling, termination=termination)
                        for m in (2, 4, 8, 16)
                    ]  # fmt: skip
                    rows.append([name, p, method, coupling, termination, errors])
        # What standard errors cost: two ensembles of half the walkers.
        errors = [of_ranks(graph, wanted, 1 - p, m // 2, count) for m in (2, 4, 8, 16)]
        rows.append([name, p, "visits", "repelling", "two ensembles, stratified", errors])
    return rows


def graphlets(count):
    """Return the errors of the share of triangles of karate, relative to the share."""
    graph = Graph.from_networkx(GRAPHS["karate"], weight=None)
    wanted = 45 / 438
    rows = []
    cases = [(m, steps) for m in (2, 16) for steps in (8, 20)]
    for m, steps in tqdm(cases, unit="case", disable=None):
        for d, walk, estimator in [
            (1, "simple", "plain"), (1, "simple", "css"), (1, "non_backtracking", "css"),
            (2, "simple", "css"),
        ]:  # fmt: skip
            for together in (True, False):
                pair = []
                for coupling in ("iid", "repelling"):
                    shares = []
                    for run in range(20 * count):
                        found = graphlet_concentration(
                            graph, 3, d, num_steps=steps, num_walkers=m, replicates=1, walk=walk,
                            estimator=estimator, coupling=coupling, start_together=together,
                            rng=8, step=run,
                        )  # fmt: skip
                        shares.append(found.concentrations["triangle"].value)
                    # Where no window showed a graphlet, nothing is known: the share counts as zero.
                    squares = (np.nan_to_num(shares) / wanted - 1) ** 2
                    pair.append(
                        [float(squares.mean() ** 0.5), float(squares.std() / len(shares) ** 0.5)]
                    )
                rows.append([m, steps, d, walk, estimator, together, pair])
    return rows


def main(path: Path | None) -> None:
    count = FEW if path is None else RUNS
    ranks, shares = pagerank(count), graphlets(count)
    parts = {"pagerank": ranks, "graphlets": shares}
    text = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in parts.items()
    )
    if path is not None:
        path.write_text(f"{{{text}}}\n", "utf-8")
    for row in ranks:
        print(*row[:5], *(f"{error:.4f}" for error in row[5]))
    for *row, ((iid, spread), (apart, other)) in shares:
        ratio = apart / iid
        error = ratio / 2 * ((spread / iid**2) ** 2 + (other / apart**2) ** 2) ** 0.5
        print(*row, f"{iid:.3f} {apart:.3f} ratio {ratio:.3f} +- {error:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
