"""PageRank by walks has PageRank as its expectation, and the variance that it says.

Of the mutations that were tried by hand, each turns a test here red: jumps to the start in the
place of a node drawn by the law of starts; starts of a piece that are drawn once for all
replicates; the start of a walk not counted; squares without their cross term.
"""

from itertools import product

import networkx as nx
import numpy as np
import pytest
from graph.graphs import VECTORS, dense, vector_graph
from lawlib import ALPHA, assert_mean
from scipy import stats
from sortes.graph import Graph, pagerank_mc, ppr
from vectors import load

ESTIMATORS = load("graph/estimators.json")
COUPLINGS = ["iid", "repelling"]
TERMINATIONS = ["iid", "antithetic", "stratified", "systematic"]
DANGLING = {"personalization": "restart", "uniform": "uniform", "self": "stay"}


def exact(graph, alpha, law=None, dangling="restart"):
    """PageRank, as the solution of its equations."""
    n = graph.num_nodes
    law = np.ones(n) / n if law is None else np.asarray(law) / np.sum(law)
    matrix = dense(graph)
    dead = matrix.sum(1) == 0
    rows = {"restart": law, "uniform": np.ones(n) / n, "stay": np.eye(n)[dead]}
    matrix[dead] = rows[dangling]
    matrix /= matrix.sum(1, keepdims=True)
    return np.linalg.solve(np.eye(n) - alpha * matrix.T, (1 - alpha) * law)


def assert_close(found, wanted):
    """Assert that the ranks are off by as much as they say, with a false alarm of 1e-6."""
    certain = found.stderr == 0
    np.testing.assert_allclose(found.value[certain], wanted[certain], rtol=1e-12)
    z = (found.value - wanted)[~certain] / found.stderr[~certain]
    assert np.abs(z).max() < stats.norm.isf(ALPHA / 2 / len(wanted))


@pytest.mark.parametrize("case", ESTIMATORS["ppr"], ids=lambda c: f"{c['graph']},{c['dangling']}")
def test_the_equations_are_those_of_the_vectors(case):
    graph = vector_graph(case["graph"])
    found = exact(graph, case["alpha"], case["personalization"], DANGLING[case["dangling"]])
    np.testing.assert_allclose(found, case["pagerank"], atol=1e-10)


@pytest.mark.law
@pytest.mark.parametrize("case", ESTIMATORS["ppr"], ids=lambda c: f"{c['graph']},{c['dangling']}")
@pytest.mark.parametrize("method", ["visits", "endpoint"])
def test_the_vectors(case, method):
    found = pagerank_mc(
        vector_graph(case["graph"]),
        case["alpha"],
        personalization=case["personalization"],
        dangling=DANGLING[case["dangling"]],
        method=method,
        num_walks=4,
        replicates=20_000,
        rng=1,
    )
    assert_close(found, np.array(case["pagerank"]))


def test_networkx_has_the_same_equations():
    given = nx.gnp_random_graph(30, 0.06, seed=1, directed=True)
    assert any(degree == 0 for _, degree in given.out_degree)
    wanted = list(nx.pagerank(given, 0.9, max_iter=1000, tol=1e-14).values())
    np.testing.assert_allclose(exact(Graph.from_networkx(given), 0.9), wanted, atol=1e-12)


@pytest.mark.law
@pytest.mark.parametrize("dangling", ["restart", "uniform", "stay"])
@pytest.mark.parametrize("method", ["visits", "endpoint"])
@pytest.mark.parametrize("law", [None, [0.3, 0.0, 1.7, 0.05, 0.4]], ids=["uniform", "given"])
def test_the_expectation_is_pagerank(dangling, method, law):
    for name, coupling, termination in product(
        ["directed_dangling5", "weighted5"], COUPLINGS, TERMINATIONS
    ):
        graph = vector_graph(name)
        found = pagerank_mc(
            graph,
            0.8,
            num_walks=4,
            replicates=10_000,
            personalization=law,
            dangling=dangling,
            method=method,
            coupling=coupling,
            termination=termination,
            rng=2,
        )
        assert_close(found, exact(graph, 0.8, law, dangling))


@pytest.mark.law
@pytest.mark.parametrize("case", ESTIMATORS["pagerank_var_m2"], ids=lambda c: c["graph"])
@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("termination", ["iid", "antithetic"])
def test_the_exact_variance_of_two_walks(case, coupling, termination):
    """That of the means of calls, and what standard errors say of it: 20,000 calls each."""
    graph, alpha = vector_graph(case["graph"]), 1 - case["p_halt"]
    wanted = case[f"{'iid' if coupling == 'iid' else 'wor'}|{termination}"]["var"]
    runs = [
        pagerank_mc(
            graph, alpha, num_walks=2, method="endpoint", coupling=coupling,
            termination=termination, rng=3, step=step,
        )
        for step in range(20_000)
    ]  # fmt: skip
    values, errors = (np.stack(column) for column in zip(*runs, strict=True))
    for node, variance in enumerate(np.array(wanted) / 2):
        assert_mean((values[:, node] - case["pagerank"][node]) ** 2, variance)
        assert_mean(errors[:, node] ** 2, variance)


@pytest.mark.law
@pytest.mark.parametrize("law", [None, [0.3, 0.0, 1.7, 0.05, 0.4]], ids=["uniform", "given"])
@pytest.mark.parametrize("dangling", ["restart", "stay"])
@pytest.mark.parametrize("method", ["visits", "endpoint"])
def test_standard_errors_are_unbiased(law, dangling, method):
    """Whatever the coupling: 10,000 calls with the defaults."""
    graph = vector_graph("directed_dangling5")
    wanted = exact(graph, 0.85, law, dangling)
    runs = [
        pagerank_mc(
            graph, num_walks=4, replicates=3, personalization=law, dangling=dangling,
            method=method, rng=4, step=step,
        )
        for step in range(10_000)
    ]  # fmt: skip
    values, errors = (np.stack(column) for column in zip(*runs, strict=True))
    for node, rank in enumerate(wanted):
        assert_mean((values[:, node] - rank) ** 2 - errors[:, node] ** 2, 0.0)


@pytest.mark.law
def test_standard_errors_of_ranks_that_sum_to_one():
    """The ratio has a bias of the order of its variance: one part in 100 here, in the squares."""
    graph = vector_graph("lollipop5")
    wanted = exact(graph, 0.85)
    runs = [
        pagerank_mc(graph, num_walks=64, normalize=True, rng=5, step=step) for step in range(4000)
    ]
    values, errors = (np.stack(column) for column in zip(*runs, strict=True))
    np.testing.assert_allclose(values.sum(1), 1.0, rtol=1e-12)
    for node, rank in enumerate(wanted):
        squares, said = (values[:, node] - rank) ** 2, errors[:, node] ** 2
        spread = (squares - said).std() / len(said) ** 0.5
        assert abs((squares - said).mean()) < 5 * spread + 0.01 * said.mean()


@pytest.mark.law
@pytest.mark.parametrize("dangling", ["restart", "uniform", "stay"])
@pytest.mark.parametrize("method", ["visits", "endpoint"])
def test_rows_are_personalised(dangling, method):
    """A row is a mean over independent ones: 4000 calls for each source, all at once."""
    graph = vector_graph("directed_dangling5")
    times = 4000
    for coupling, termination in product(COUPLINGS, TERMINATIONS):
        rows = ppr(
            graph, np.repeat([0, 3], times), 0.8, num_walks=4, dangling=dangling, method=method,
            coupling=coupling, termination=termination, rng=6,
        ).toarray()  # fmt: skip
        for source, own in ((0, rows[:times]), (3, rows[times:])):
            wanted = exact(graph, 0.8, np.eye(5)[source], dangling)
            for node, rank in enumerate(wanted):
                if np.ptp(own[:, node]) > 0:
                    assert_mean(own[:, node], rank)
                else:
                    assert own[0, node] == pytest.approx(rank)


def test_the_walks_of_a_node_are_its_share_rounded():
    """Where no move is made, ranks are shares of walks: within a walk of the law of each piece."""
    rng = np.random.default_rng(0)
    nodes = np.stack([np.arange(40), np.roll(np.arange(40), 1)])
    graph = Graph.from_edge_index(nodes)
    for walkers in (1, 3, 16):
        law = rng.random(40) ** 8
        walks = 40 * walkers
        found = pagerank_mc(
            graph, 0.0, personalization=law, num_walks=walkers, replicates=1, rng=walkers
        )
        counts = found.value * walks
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
        share = law / law.sum() * walks
        # A node that crosses the borders of pieces is rounded in the two at its ends.
        assert (np.abs(counts - share) < 2).all()
        assert counts.sum() == pytest.approx(walks)


def test_the_graphs_of_the_vectors_are_there():
    names = {case["graph"] for case in ESTIMATORS["ppr"] + ESTIMATORS["pagerank_var_m2"]}
    assert names <= VECTORS["graphs"].keys()
