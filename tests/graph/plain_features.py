"""Random features by their definition, in plain NumPy: many ensembles at once, nothing else clever.

It is what the figures of `test_features_law.py` were measured with, and shares no line with the
library. Print them anew, in some minutes, by

    PYTHONPATH=tests python -m graph.plain_features
"""

import networkx as nx
import numpy as np

GRAPHS = {
    "karate": lambda: nx.karate_club_graph(),
    "tree": lambda: nx.balanced_tree(2, 6),
    "regular": lambda: nx.random_regular_graph(10, 100, seed=1),
}
WAYS = [("iid", "iid"), ("iid", "antithetic"), ("repelling", "iid"), ("repelling", "antithetic")]
SIZES = [2, 4, 8, 16]


def choose(node, ensemble, degrees, coupling, rng):
    """The places of the arcs that walkers take; those of an ensemble at one node may repel."""
    if coupling == "iid":
        return rng.integers(0, degrees[node])
    # A random order of the walkers at each node, which blocks of `degree` are cut from.
    order = np.lexsort((rng.random(len(node)), node, ensemble))
    spot = np.stack([ensemble, node])[:, order]
    begins = np.ones(len(node), bool)
    begins[1:] = (spot[:, 1:] != spot[:, :-1]).any(0)
    rank = np.arange(len(node)) - np.maximum.accumulate(np.where(begins, np.arange(len(node)), 0))
    degree = degrees[node[order]]
    block = np.cumsum(begins | (rank % degree == 0)) - 1
    # In each block the arcs in a random order: walker after walker takes the next.
    width = degrees[spot[1, np.r_[0, np.flatnonzero(np.diff(block)) + 1]]]
    keys = rng.random((len(width), degrees.max()))
    keys[np.arange(degrees.max()) >= width[:, None]] = 2.0
    dealt = keys.argsort(1)
    place = np.empty(len(node), np.int64)
    place[order] = dealt[block, rank % degree]
    return place


def halts(alive, p_halt, termination, rng):
    """Which of the walkers, a row for each ensemble, halt."""
    u = rng.random(alive.shape)
    if termination == "antithetic":
        half = alive.shape[1] // 2
        u[:, half:] = (u[:, :half] + 0.5) % 1.0
    return u < p_halt


def features(matrix, c, p_halt, m, coupling, termination, copies, rng):
    """The features of all nodes for (I - U)**-2, so many times: shape (copies, n, n)."""
    n = len(matrix)
    degrees = matrix.sum(1).astype(int)
    lists = np.zeros((n, degrees.max()), int)
    for v in range(n):
        lists[v, : degrees[v]] = np.flatnonzero(matrix[v])
    out = np.zeros((copies * n, n))
    node = np.repeat(np.tile(np.arange(n), copies)[:, None], m, 1)
    load, alive = np.ones(node.shape), np.ones(node.shape, bool)
    while alive.any():
        row, walker = np.nonzero(alive)
        np.add.at(out, (row, node[row, walker]), load[row, walker] / m)
        alive &= ~halts(alive, p_halt, termination, rng)
        row, walker = np.nonzero(alive)
        at = node[row, walker]
        if len(at):
            to = lists[at, choose(at, row, degrees, coupling, rng)]
            entry = c / np.sqrt(degrees[at] * degrees[to])
            load[row, walker] *= entry * degrees[at] / (1 - p_halt)
            node[row, walker] = to
    return out.reshape(copies, n, n)


def squared_errors(matrix, m, coupling, termination, copies, rng, c=0.25, p_halt=0.5):
    """The relative squared errors of (I - U)**-2, one for each copy."""
    roots = np.sqrt(matrix.sum(1))
    inverse = np.linalg.inv(np.eye(len(matrix)) - c * matrix / np.outer(roots, roots))
    wanted = inverse @ inverse
    phi = features(matrix, c, p_halt, m, coupling, termination, copies, rng)
    errors = ((phi @ phi.transpose(0, 2, 1) - wanted) ** 2).sum((1, 2))
    return errors / (wanted**2).sum()


def main(copies=50, rounds=20):
    """Print the mean error of each way, and how far off it may be."""
    rng = np.random.default_rng(20_261_129)
    for name, make in GRAPHS.items():
        matrix = nx.to_numpy_array(make(), weight=None)
        for coupling, termination in WAYS:
            for m in SIZES:
                runs = [
                    squared_errors(matrix, m, coupling, termination, copies, rng)
                    for _ in range(rounds)
                ]
                errors = np.concatenate(runs)
                spread = errors.std() / errors.mean()
                print(
                    f"{name} {coupling} {termination} {m}: {errors.mean():.4g},"
                    f" standard error {spread / len(errors) ** 0.5:.2%}, of one run {spread:.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
