"""Counts of graphlets have the numbers of induced subgraphs as their expectations.

Of the mutations that were tried by hand, each turns a test here red: a window that counts without
the degrees of its inner states, or with those of states one place off; a triple accepted without
its number of middles; a new node of a triple that need not be adjacent to both that stay.
"""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from graph.graphs import vector_graph
from lawlib import ALPHA, assert_mean
from scipy import stats
from sortes.graph import Graph, graphlet_concentration
from vectors import load

GRAPHLETS = load("graph/estimators.json")["graphlets"]
TYPES = {
    "wedge": nx.path_graph(3), "triangle": nx.cycle_graph(3), "path4": nx.path_graph(4),
    "star4": nx.star_graph(3), "cycle4": nx.cycle_graph(4), "clique4": nx.complete_graph(4),
    "tailed_triangle": nx.lollipop_graph(3, 1), "diamond": nx.complete_graph(4),
}  # fmt: skip
TYPES["diamond"].remove_edge(0, 1)
SIZES = [(3, 1), (3, 2), (4, 1), (4, 2), (4, 3)]
WALKS = [*((size, "simple") for size in SIZES), ((3, 1), "non_backtracking")]


def enumerated(given, k):
    """How many connected induced subgraphs there are of each type."""
    counts = {name: 0 for name, graph in TYPES.items() if len(graph) == k}
    for nodes in combinations(given, k):
        induced = given.subgraph(nodes)
        if nx.is_connected(induced):
            same = [name for name in counts if nx.is_isomorphic(induced, TYPES[name])]
            counts[same[0]] += 1
    return counts


def graphs():
    """Graphs with every type of graphlet, with several components, and with none."""
    dense = nx.gnp_random_graph(8, 0.55, seed=3)
    parts = nx.disjoint_union_all(
        [
            nx.lollipop_graph(4, 2),
            nx.path_graph(2),
            nx.cycle_graph(3),
            nx.empty_graph(1),
            nx.star_graph(4),
        ]
    )
    return {"dense": dense, "parts": parts, "star": nx.star_graph(5)}


GRAPHS = graphs()


def assert_counts(found, wanted):
    """Assert that counts are off by as much as they say, with a false alarm of 1e-6."""
    for name, (value, stderr) in found.counts.items():
        limit = stats.norm.isf(ALPHA / 2 / len(wanted)) * stderr
        assert abs(value - wanted[name]) <= limit + 1e-9 * wanted[name], name


def estimate(given, size, replicates=10_000, **options):
    graph = Graph.from_networkx(given)
    k, d = size
    more = {"allow_missing": True} if size == (4, 1) else {}
    return graphlet_concentration(graph, k, d, replicates=replicates, **more, **options)


@pytest.mark.parametrize("name", ["networkx:karate", "networkx:florentine", "lollipop5"])
def test_the_enumeration_is_that_of_the_vectors(name):
    given = {
        "networkx:karate": nx.karate_club_graph,
        "networkx:florentine": nx.florentine_families_graph,
        "lollipop5": lambda: nx.Graph([(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)]),
    }[name]()
    for k in (3, 4) if len(given) < 20 else (3,):
        assert enumerated(given, k) == GRAPHLETS[name][f"k{k}"]


@pytest.mark.law
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("size", "walk"), WALKS, ids=str)
@pytest.mark.parametrize("estimator", ["css", "plain"])
@pytest.mark.parametrize("coupling", ["iid", "repelling"])
@pytest.mark.parametrize("together", [True, False])
def test_counts_are_unbiased(name, size, walk, estimator, coupling, together):
    """From 10,000 ensembles of three walkers, with the first windows, and later ones."""
    given = GRAPHS[name]
    wanted = enumerated(given, size[0])
    for steps in (size[0] - size[1], 6):
        found = estimate(
            given, size, num_walkers=3, num_steps=steps, estimator=estimator, walk=walk,
            coupling=coupling, start_together=together, rng=1,
        )  # fmt: skip
        assert found.counts.keys() == wanted.keys() - ({"star4"} if size == (4, 1) else set())
        assert_counts(found, wanted)


@pytest.mark.law
@pytest.mark.parametrize("name", ["networkx:karate", "lollipop5", "wheelish6"])
@pytest.mark.parametrize(("size", "walk"), WALKS, ids=str)
def test_the_vectors(name, size, walk):
    if name == "networkx:karate":
        graph = Graph.from_networkx(nx.karate_club_graph(), weight=None)
    else:
        graph = vector_graph(name)
    more = {"allow_missing": True} if size == (4, 1) else {}
    found = graphlet_concentration(
        graph, *size, num_walkers=4, num_steps=100, replicates=1000, walk=walk, rng=2, **more
    )
    assert_counts(found, GRAPHLETS[name][f"k{size[0]}"])
    shares = GRAPHLETS[name][f"c{size[0]}"]
    rest = 1 - shares.get("star4", 0.0) if size == (4, 1) else 1.0
    for kind, (value, stderr) in found.concentrations.items():
        # A ratio has a bias of about its variance.
        assert abs(value - shares[kind] / rest) <= 5.5 * stderr + 10 * stderr**2 + 1e-12, kind


@pytest.mark.law
def test_both_estimators_agree_where_all_windows_are_as_likely():
    for size in ((3, 2), (4, 3)):
        css, plain = (
            estimate(GRAPHS["dense"], size, 3, num_steps=50, estimator=estimator, rng=3)
            for estimator in ("css", "plain")
        )
        for kind, (value, _) in css.counts.items():
            assert value == pytest.approx(plain.counts[kind].value)


@pytest.mark.law
@pytest.mark.parametrize("size", [(3, 1), (4, 2), (4, 3)], ids=str)
def test_standard_errors(size):
    """Those of counts are unbiased; those of shares are right to a few parts in a hundred."""
    given = GRAPHS["dense"]
    wanted = enumerated(given, size[0])
    total = sum(wanted.values())
    runs = [
        estimate(given, size, 16, num_walkers=4, num_steps=60, rng=4, step=step)
        for step in range(3000)
    ]
    for kind, count in wanted.items():
        found = np.array([run.counts[kind] for run in runs])
        shares = np.array([run.concentrations[kind] for run in runs])
        if not count:
            assert not found.any()
            assert not shares.any()
            continue
        assert_mean((found[:, 0] - count) ** 2 - found[:, 1] ** 2, 0.0)
        ratio = ((shares[:, 0] - count / total) ** 2).mean() / (shares[:, 1] ** 2).mean()
        # The relative error of each mean of squares is about (2 / 3000)**0.5, 0.026.
        assert 0.8 < ratio < 1.25


def test_walkers_in_one_state_share_its_neighbours():
    """From a leaf of a star all go to the middle, and from there one to each leaf: one turns."""
    star = Graph.from_networkx(nx.star_graph(4))
    for coupling, outcomes in (("repelling", {0.0, 6.0}), ("iid", {0.0, 2.0, 4.0, 6.0, 8.0})):
        found = [
            graphlet_concentration(
                star, num_walkers=4, num_steps=2, replicates=1, coupling=coupling,
                start_together=True, rng=0, step=step,
            ).counts["wedge"].value
            for step in range(500)
        ]  # fmt: skip
        # A window counts for the 4 / 2 windows of a wedge; there are 8 arcs.
        assert {round(4 * value / (8 * 2), 9) * 2 for value in found} == outcomes
