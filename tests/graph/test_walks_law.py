"""Walks on their own have the law of their transition, at every step and of every length.

Of the mutations that were tried by hand, each turns a test here red: the alias taken below the
threshold; the coin of "lazy" compared the wrong way; "mh" with the degrees exchanged; loops counted
in degrees; the stretch back counted from the wrong end; the word of the step before.
"""

import numpy as np
import pytest
from graph.graphs import VECTORS, counted, dense, fan, simple_law, vector_graph
from lawlib import assert_law
from sortes.graph import Graph, iter_walks, random_walks

N = 200_000
MATRICES = {"simple": "simple", "lazy": "lazy", "mh": "mh", "max_degree": "maxdeg"}


def marginals(graph, start, matrix, steps, **given):
    """Test the node after each of some steps against the powers of a matrix."""
    walks = random_walks(graph, np.full(N, start), walk_length=max(steps), rng=start, **given)
    law = np.eye(len(matrix))[start]
    for t in range(1, max(steps) + 1):
        law = law @ matrix
        if t in steps:
            assert_law(counted(walks[:, t], len(law)), law / law.sum())


@pytest.mark.law
@pytest.mark.parametrize("name", VECTORS["transition"])
@pytest.mark.parametrize("transition", MATRICES)
def test_transitions(name, transition):
    graph, matrix = vector_graph(name), np.array(VECTORS["transition"][name][MATRICES[transition]])
    for start in range(graph.num_nodes):
        marginals(graph, start, matrix, (1, 2, 3, 4), transition=transition)


@pytest.mark.law
@pytest.mark.parametrize("name", VECTORS["transition"])
def test_non_backtracking(name):
    """Pairs of arcs, from every arc of the vectors."""
    said = VECTORS["transition"][name]
    graph, arcs = vector_graph(name), [tuple(arc) for arc in said["nb_arcs"]]
    walks = random_walks(graph, walk_length=3, num_walks=N, transition="non_backtracking", rng=0)
    for t in (1, 2):
        for arc, law in zip(arcs, said["nb"], strict=True):
            here = (walks[:, t - 1] == arc[0]) & (walks[:, t] == arc[1])
            targets = {v: p for (_, v), p in zip(arcs, law, strict=True) if p > 0}
            expected = [targets.get(v, 0.0) for v in range(graph.num_nodes)]
            assert_law(counted(walks[here, t + 1], graph.num_nodes), np.array(expected))


@pytest.mark.law
@pytest.mark.parametrize("name", ["weighted5", "loop_multi4"])
def test_weights_loops_and_parallel_arcs(name):
    graph = vector_graph(name)
    for start in range(graph.num_nodes):
        marginals(graph, start, simple_law(graph), (1, 3))
        lazy = 0.2 * np.eye(graph.num_nodes) + 0.8 * simple_law(graph)
        marginals(graph, start, lazy, (1, 2), transition="lazy", beta=0.2)
        home = 0.4 * np.eye(graph.num_nodes)[[start] * graph.num_nodes] + 0.6 * simple_law(graph)
        marginals(graph, start, home, (1, 2, 3), transition="restart", alpha=0.4)


@pytest.mark.law
def test_parallel_arcs_are_choices_of_their_own():
    graph = Graph.from_edge_index([[0, 0, 0, 1, 2], [1, 1, 2, 0, 0]])
    marginals(graph, 0, np.array([[0, 2, 1], [3, 0, 0], [3, 0, 0]]) / 3, (1,))
    walks = random_walks(graph, [0] * N, walk_length=1, return_edges=True, rng=0)
    assert_law(counted(walks.edges, 5), np.array([1, 1, 1, 0, 0]) / 3)


@pytest.mark.law
def test_loops_do_not_count_in_degrees():
    """Metropolis-Hastings and max-degree walks with loops, by their definition."""
    graph = Graph.from_edge_index([[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 0, 2, 2]])
    degrees = np.array([2, 1, 1])
    for transition, rates in (
        ("mh", 1 / np.maximum(degrees[:, None], degrees)),
        ("max_degree", np.full((3, 3), 0.5)),
    ):
        matrix = np.where((dense(graph) > 0) & ~np.eye(3, dtype=bool), rates, 0.0)
        matrix += np.diag(1 - matrix.sum(1))
        for start in range(3):
            marginals(graph, start, matrix, (1, 2), transition=transition)


@pytest.mark.law
def test_non_backtracking_with_weights_and_parallel_arcs():
    """What is left of the weights once the arcs back are taken away, however many they are."""
    pairs = [[0, 0, 1, 1, 1, 1, 2, 3], [1, 1, 0, 0, 2, 3, 1, 1]]
    for weights in (None, [1.0, 1.0, 5.0, 40.0, 1.0, 3.0, 1.0, 1.0]):
        graph = Graph.from_edge_index(pairs, weights=weights)
        given = {"walk_length": 3, "transition": "non_backtracking", "return_edges": True}
        walks = random_walks(graph, [0] * N, rng=1, **given)
        law = np.array([0.5, 0.5] if weights is None else [0.25, 0.75])
        assert_law(counted(walks.nodes[:, 2], 4), np.array([0, 0, *law]))
        assert (walks.nodes[:, 3] == 1).all()  # nothing but the way back


@pytest.mark.law
@pytest.mark.parametrize(
    "weights", [[5, 1, 1, 1], [0.5, 0.25, 0.125, 0.125], [1, 0, 3, 2, 5, 8, 1]]
)
def test_rows_of_weights(weights):
    weights = np.array(weights, float)
    walks = random_walks(fan(len(weights), weights), [0] * N, walk_length=1, rng=2)
    law = np.concatenate([[0], weights / weights.sum()])
    assert_law(counted(walks[:, 1], len(law)), law)


@pytest.mark.law
def test_a_long_row():
    """Each of 70,000 arcs in proportion to its weight, added up over blocks of 700."""
    weights = np.random.default_rng(0).random(70_000)
    for given in (None, weights):
        walks = random_walks(fan(70_000, given), [0] * N, walk_length=1, rng=3)
        blocks = np.bincount((walks[:, 1] - 1) // 700, minlength=100)
        law = np.ones(70_000) / 70_000 if given is None else weights / weights.sum()
        assert_law(blocks, law.reshape(100, 700).sum(1))


@pytest.mark.law
@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("termination", ["iid", "antithetic", "stratified", "systematic"])
def test_geometric_lengths(p, termination):
    """The law of each walker of an ensemble of four, and what the ends of walks are."""
    graph = vector_graph("k4")
    walks = random_walks(
        graph, [0] * (N // 4), p_halt=p, num_walks=4, termination=termination, rng=4
    )
    lengths = (np.diff(walks.offsets) - 1).reshape(-1, 4)
    most = 12
    law = p * (1 - p) ** np.arange(most)
    law = np.append(law, 1 - law.sum())
    for walker in range(4):
        assert_law(counted(np.minimum(lengths[:, walker], most), most + 1), law)
    # The node in which a walk ends, given that it made two moves.
    ends = walks.nodes[walks.offsets[1:] - 1][lengths.ravel() == 2]
    assert_law(counted(ends, 4), (simple_law(graph) @ simple_law(graph))[0])


@pytest.mark.law
def test_antithetic_pairs():
    """At each move both halt with max(0, 2p - 1), one of them with min(p, 1 - p) each."""
    graph = vector_graph("k4")
    for p in (0.3, 0.5, 0.8):
        walks = random_walks(graph, [0] * N, p_halt=p, num_walks=2, termination="antithetic", rng=5)
        one, two = (np.diff(walks.offsets) - 1).reshape(-1, 2).T
        cells = [(one == 0) & (two == 0), (one == 0) & (two == 1), (one == 1) & (two == 0)]
        cells += [(one == 0) & (two > 1), (one > 1) & (two == 0)]
        alone = min(p, 1 - p)
        law = [max(0, 2 * p - 1), alone * p, alone * p, alone * (1 - p), alone * (1 - p)]
        rest = np.ones(N, bool)
        for cell in cells:
            rest &= ~cell
        law = np.array([*law, max(1 - sum(law), 0)])
        assert_law([cell.sum() for cell in [*cells, rest]], np.where(law < 1e-12, 0, law))


@pytest.mark.law
@pytest.mark.parametrize("termination", ["iid", "stratified", "systematic"])
def test_a_given_law_of_lengths(termination):
    chances = np.array([0.125, 0.0, 0.25, 0.5, 0.125])
    walks = random_walks(
        vector_graph("k4"), [0] * N, length_law=chances, termination=termination, num_walks=3, rng=6
    )
    lengths = (np.diff(walks.offsets) - 1).reshape(-1, 3)
    for walker in range(3):
        assert_law(counted(lengths[:, walker], 5), chances)
    if termination != "iid":
        # Of three strata: at most one walk makes no move, and at least one makes three or more.
        assert ((lengths == 0).sum(1) <= 1).all()
        assert ((lengths >= 3).sum(1) >= 1).all()


@pytest.mark.law
def test_walks_are_independent():
    """The first moves of neighbours in a block, and of one walker at two steps."""
    graph = vector_graph("k4")
    walks = random_walks(graph, [0] * N, walk_length=2, num_walks=2, rng=7)
    pairs = walks[:, 1].reshape(-1, 2)
    joint = counted(4 * pairs[:, 0] + pairs[:, 1], 16)
    law = np.array([0, 1, 1, 1]) / 3
    assert_law(joint, np.outer(law, law).ravel())
    matrix = simple_law(graph)
    assert_law(counted(4 * walks[:, 1] + walks[:, 2], 16), (law[:, None] * matrix).ravel())


@pytest.mark.law
def test_parts_have_the_law():
    graph = vector_graph("weighted5")
    parts = iter_walks(graph, np.zeros(N, int), batch_size=1000, walk_length=1, rng=8)
    nodes = np.concatenate([part[:, 1] for part in parts])
    assert_law(counted(nodes, 5), simple_law(graph)[0])
