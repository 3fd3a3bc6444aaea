"""A Gaussian process on a road network of 100,000 junctions, without ever making its kernel.

    pip install scipy
    python examples/graph_gp.py
    python examples/graph_gp.py 10000    # fewer junctions

The network is made here: a grid of roads, a fifth of them closed. A smooth quantity is measured
with noise at every tenth junction and predicted at all others: the system of the process is solved
by conjugate gradients, through products with sparse features of the kernel.
"""

import sys
import time

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg
from sortes.graph import Graph, kernel_estimate

NOISE = 0.1


def roads(junctions: int, rng: np.random.Generator) -> tuple[Graph, np.ndarray]:
    """Return a grid without a fifth of its roads, and where its junctions lie, in [0, 1)."""
    side = round(junctions**0.5)
    ids = np.arange(side * side).reshape(side, side)
    across = np.stack([ids[:, :-1].ravel(), ids[:, 1:].ravel()])
    along = np.stack([ids[:-1].ravel(), ids[1:].ravel()])
    pairs = np.concatenate([across, along], 1)
    pairs = pairs[:, rng.random(pairs.shape[1]) < 0.8]
    both = np.concatenate([pairs, pairs[::-1]], 1)
    places = np.stack(np.divmod(ids.ravel(), side), 1) / side
    return Graph.from_edge_index(both, side * side), places


def main(junctions: int) -> None:
    """Make a network, measure, and predict."""
    rng = np.random.default_rng(0)
    graph, places = roads(junctions, rng)
    truth = np.sin(6 * places[:, 0]) * np.cos(9 * places[:, 1])
    nodes = graph.num_nodes
    known = rng.permutation(nodes)[: nodes // 10]
    values = truth[known] + NOISE * rng.normal(size=len(known))
    print(f"{nodes:,} junctions, {graph.num_edges // 2:,} roads, {len(known):,} measurements")

    began = time.perf_counter()
    kernel = kernel_estimate(
        graph, kernel="diffusion", sigma=6.0, num_walks=16, p_halt=0.05, rng=0, progress=True
    )
    print(f"features: {time.perf_counter() - began:.1f} s, {kernel.features[0].nnz:,} entries")

    # The prior variance is that of a junction in the mean.
    scale = kernel.diagonal().mean()

    def spread(x: np.ndarray) -> np.ndarray:
        full = np.zeros(nodes)
        full[known] = x
        return full

    def system(x: np.ndarray) -> np.ndarray:
        return (kernel @ spread(x))[known] / scale + NOISE**2 * x

    steps = [0]

    def show(_: np.ndarray) -> None:
        steps[0] += 1
        if sys.stderr.isatty():
            print(f"\rconjugate gradients: step {steps[0]}", end="", file=sys.stderr)

    began = time.perf_counter()
    operator = LinearOperator((len(known),) * 2, system)
    weights, failed = cg(operator, values, rtol=1e-3, maxiter=200, callback=show)
    if failed:
        sys.exit("conjugate gradients have not converged")
    prediction = kernel @ spread(weights) / scale
    print(f"solved in {steps[0]} steps, {time.perf_counter() - began:.1f} s")

    hidden = np.setdiff1d(np.arange(nodes), known)
    error = np.sqrt(np.mean((prediction - truth)[hidden] ** 2))
    print(f"error at the others: {error:.3f}, of a quantity that varies by {truth.std():.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
