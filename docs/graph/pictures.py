"""The pictures of walks on graphs.

The errors of PageRank stand in estimators.json, which examples/measure_estimators.py writes.
"""

import json
from pathlib import Path

import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from sortes.graph import Graph, random_walks

#: What examples/measure_graph.py writes.
MEASURED = json.loads((Path(__file__).parent / "measured.json").read_text("utf-8"))
MARKERS = {
    "independent": "o",
    "antithetic": "^",
    "repelling": "s",
    "repelling, stratified": "D",
}


def errors() -> plt.Figure:
    """The error of a kernel against the number of walks of a node, on four graphs."""
    shown = ["karate", "binary tree", "cora", "facebook"]
    figure, panels = plt.subplots(2, 2, figsize=(7, 5), sharex=True, sharey=True)
    for axes, name in zip(panels.flat, shown, strict=True):
        for way, marker in MARKERS.items():
            found = MEASURED["graphs"][name][way]
            axes.plot(MEASURED["walks"], found, f"{marker}-", lw=1, ms=3, label=way)
        axes.set(xscale="log", yscale="log", title=name)
        axes.set(xticks=MEASURED["walks"], xticklabels=MEASURED["walks"])
        axes.minorticks_off()
    panels[0, 0].legend(fontsize=6)
    figure.supxlabel("walks of a node")
    figure.supylabel("relative squared error")
    return figure


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


def ranks() -> plt.Figure:
    """The error of PageRank against the number of walks, for what is counted and the couplings."""
    measured = json.loads((Path(__file__).parent / "estimators.json").read_text("utf-8"))
    errors = {tuple(row[:5]): row[5] for row in measured["pagerank"]}
    figure, both = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True)
    for axes, graph in zip(both, ("karate", "tree"), strict=True):
        for given, marker in (
            (("endpoint", "iid", "iid"), "o"),
            (("endpoint", "repelling", "stratified"), "s"),
            (("visits", "iid", "iid"), "o"),
            (("visits", "repelling", "stratified"), "s"),
        ):
            method, coupling, lengths = given
            label = f"{method}, {coupling if lengths == 'iid' else 'repelling, stratified'}"
            sizes = [2, 4, 8, 16]
            axes.plot(sizes, errors[graph, 0.15, *given], f"{marker}-", lw=1, label=label)
        axes.set(xscale="log", yscale="log", xlabel="walks from each node", title=graph)
        axes.minorticks_off()
        axes.set(xticks=sizes, xticklabels=sizes)
    both[0].set(ylabel="root mean squared error")
    both[0].legend(fontsize="small")
    return figure
