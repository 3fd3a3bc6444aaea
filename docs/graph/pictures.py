"""The pictures of walks on graphs."""

import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from sortes.graph import Graph, random_walks


def spread() -> plt.Figure:
    """The error of the law of a node after four steps, with independent and repelling walkers."""
    given = nx.karate_club_graph()
    graph = Graph.from_networkx(given, weight=None)
    matrix = nx.to_numpy_array(given, weight=None)
    law = np.linalg.matrix_power(matrix / matrix.sum(1, keepdims=True), 4)[0]
    sizes, ensembles = [2, 4, 8, 16, 32, 64], 4000
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for coupling, marker in (("iid", "o"), ("repelling", "s")):
        errors = []
        for m in sizes:
            walks = random_walks(
                graph, [0] * ensembles, walk_length=4, num_walks=m, coupling=coupling, rng=m
            )
            cells = np.repeat(np.arange(ensembles), m) * len(law) + walks[:, 4]
            shares = np.bincount(cells, minlength=ensembles * len(law)).reshape(ensembles, -1) / m
            errors.append(((shares - law) ** 2).sum(1).mean())
        axes.plot(sizes, errors, f"{marker}-", lw=1, label=coupling)
    axes.set(xscale="log", yscale="log", xlabel="walkers", ylabel="mean squared error")
    axes.set(xticks=sizes, xticklabels=sizes)
    axes.minorticks_off()
    axes.legend()
    return figure
