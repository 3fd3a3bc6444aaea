"""Graphlets by walks: their form, what they depend on, and what is refused."""

import math
import re
import warnings

import networkx as nx
import numpy as np
import pytest
from sortes.graph import Graph, graphlet_concentration

KARATE = Graph.from_networkx(nx.karate_club_graph(), weight=None)
NAMES = {
    3: ["wedge", "triangle"],
    4: ["path4", "star4", "cycle4", "tailed_triangle", "diamond", "clique4"],
}


@pytest.mark.parametrize(("k", "d"), [(3, 1), (3, 2), (4, 1), (4, 2), (4, 3)])
@pytest.mark.parametrize("coupling", ["iid", "repelling"])
def test_threads_change_nothing(k, d, coupling):
    given = {"num_steps": 50, "coupling": coupling, "rng": 3, "step": 2}
    given["allow_missing"] = (k, d) == (4, 1)
    one = graphlet_concentration(KARATE, k, d, num_threads=1, **given)
    assert list(one.counts) == [name for name in NAMES[k] if not (d == 1 and name == "star4")]
    assert list(one.counts) == list(one.concentrations)
    for threads in (2, 7):
        assert graphlet_concentration(KARATE, k, d, num_threads=threads, **given) == one
    assert graphlet_concentration(KARATE, k, d, **{**given, "step": 3}) != one
    assert sum(share.value for share in one.concentrations.values()) == pytest.approx(1)


def test_more_ensembles_begin_with_the_same():
    """An ensemble depends on its number alone."""
    found = [
        graphlet_concentration(KARATE, num_steps=20, replicates=n, rng=0).counts["wedge"].value * n
        for n in range(1, 5)
    ]
    alone = graphlet_concentration(KARATE, num_steps=20, replicates=1, rng=0).counts["wedge"]
    assert alone.value == found[0]
    assert math.isnan(alone.stderr)
    assert (np.diff(found) > 0).all()


def test_graphs_without_graphlets():
    for given in (nx.empty_graph(0), nx.empty_graph(4), nx.path_graph(2)):
        for k, d in ((3, 1), (3, 2), (4, 2), (4, 3)):
            found = graphlet_concentration(Graph.from_networkx(given), k, d, num_steps=5, rng=0)
            for kind in (found.counts, found.concentrations):
                assert all(estimate == (0.0, 0.0) for estimate in kind.values())


def test_walks_that_see_nothing():
    """A single window at the end of a long tail, in one ensemble: no share is known."""
    star = Graph.from_networkx(nx.star_graph(4))
    runs = [
        graphlet_concentration(star, num_walkers=1, num_steps=2, replicates=1, rng=0, step=step)
        for step in range(50)
    ]
    shares = [run.concentrations["wedge"].value for run in runs]
    assert {1.0} < {1.0, *shares}
    assert any(math.isnan(share) for share in shares)
    assert all((run.counts["wedge"].value == 0) == math.isnan(run.concentrations["wedge"].value)
               for run in runs)  # fmt: skip


def test_one_walker():
    found = graphlet_concentration(KARATE, num_walkers=1, num_steps=2000, replicates=4, rng=0)
    assert found.counts["triangle"].value == pytest.approx(45, rel=0.3)


def test_what_is_left_out_is_said():
    plain = Graph.from_networkx(nx.path_graph(4))
    wanted = graphlet_concentration(plain, num_steps=9, rng=0)
    pairs = np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    loops = np.concatenate([pairs, [[1, 3, 3], [1, 3, 3]]], 1)
    parallel = np.concatenate([pairs, [[1], [2]]], 1)
    for graph, message in [
        (Graph.from_edge_index(loops), "graph: left out for graphlets: 3 loops"),
        (Graph.from_edge_index(parallel), "graph: left out for graphlets: 1 parallel arc"),
        (
            Graph.from_edge_index(
                np.concatenate([loops, parallel], 1), weights=np.arange(16.0) + 1
            ),
            "graph: left out for graphlets: 3 loops, 7 parallel arcs, weights",
        ),
    ]:
        with pytest.warns(UserWarning, match=f"^{message}$"):
            assert graphlet_concentration(graph, num_steps=9, rng=0) == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graphlet_concentration(plain, num_steps=9, rng=0)


def test_arcs_need_one_back():
    one_way = Graph.from_edge_index([[0, 1, 1, 2, 3], [1, 0, 2, 3, 2]])
    with pytest.raises(ValueError, match="graph: arc 1 -> 2 has no arc back"):
        graphlet_concentration(one_way, num_steps=5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 5}, "k: must be in [3, 4], got 5"),
        ({"k": 2}, "k: must be in [3, 4], got 2"),
        ({"d": 0}, "d: must be in [1, 3], got 0"),
        ({"d": 3}, "d: must be below k, 3, got 3"),
        ({"num_steps": 1}, "num_steps: must be at least k - d, 2, got 1"),
        ({"num_steps": 0}, "num_steps: must be at least 1, got 0"),
        ({"num_walkers": 0}, "num_walkers: must be at least 1, got 0"),
        ({"num_walkers": 2**62}, "num_walkers: must be at most 2**48 in all"),
        ({"replicates": 0}, "replicates: must be at least 1, got 0"),
        ({"estimator": "x"}, "estimator: must be 'css' or 'plain', got 'x'"),
        ({"walk": "x"}, "walk: must be 'simple' or 'non_backtracking', got 'x'"),
        ({"coupling": "x"}, "coupling: must be 'iid' or 'repelling', got 'x'"),
        ({"d": 2, "walk": "non_backtracking"}, "walk: 'non_backtracking' is for k=3 and d=1"),
        ({"k": 4, "d": 1}, "d: must be 2 or 3 for k=4, unless allow_missing: got 1"),
        ({"allow_missing": True}, "allow_missing: nothing is missing for k=3 and d=1"),
        ({"num_threads": 0}, "num_threads: must be in [1, 1024], got 0"),
    ],
)
def test_bad_arguments_are_named(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        graphlet_concentration(KARATE, **{"num_steps": 9, **given})


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match=r"graph: must be a sortes\.graph\.Graph"):
        graphlet_concentration([[0, 1], [1, 0]], num_steps=3)
    with pytest.raises(TypeError, match="start_together: must be True or False, got 1"):
        graphlet_concentration(KARATE, num_steps=3, start_together=1)


def test_memory_that_is_not_there():
    with pytest.raises(MemoryError):
        graphlet_concentration(KARATE, num_steps=2, num_walkers=2**44, replicates=2)
    with pytest.raises(MemoryError):
        graphlet_concentration(KARATE, num_steps=2, num_walkers=1, replicates=2**44)
