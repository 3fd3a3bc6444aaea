"""Walkers that meet: each alone has the law of a simple walk, two of them the pair law of the rule,
and every arc is taken as often as it can be, rounded.

Of the mutations that were tried by hand, each turns a test here red: no permutation after dealing
more walkers than arcs, or after the intervals of weighted arcs; a walker's word in the place of the
next one's; memory of the wrong interval; a repeated arc kept.
"""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from graph.graphs import VECTORS, counted, fan, multigraphs, simple_law, sources, vector_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from lawlib import assert_law
from sortes.graph import Graph, random_walks

N = 200_000
TERMINATIONS = ["iid", "antithetic", "stratified", "systematic"]


def first_moves(graph, walkers, ensembles=N, **given):
    """The arcs that the walkers of each ensemble take from node 0, counted from 0."""
    options = {"walk_length": 1, "coupling": "repelling", "rng": walkers, **given}
    walks = random_walks(graph, [0] * ensembles, num_walks=walkers, **options)
    return walks[:, 1].reshape(-1, walkers) - 1


def as_one(picks, base):
    return picks @ base ** np.arange(picks.shape[1])


@pytest.mark.law
@pytest.mark.parametrize("case", VECTORS["repel_wor"], ids=lambda case: f"{case['d']},{case['m']}")
def test_dealing_without_replacement(case):
    """Every assignment of the orbit is as likely, and no other comes."""
    d, m = case["d"], case["m"]
    picks = first_moves(fan(d), m)
    counts = np.stack([(picks == arc).sum(1) for arc in range(d)], 1)
    assert sorted({tuple(sorted(row)) for row in counts.tolist()}) == [tuple(case["counts"])]
    if case.get("assignments"):
        cells = as_one(np.array(case["assignments"]), d)
        found = Counter(as_one(picks, d).tolist())
        assert_law([found[cell] for cell in cells], np.ones(len(cells)) / len(cells))
        assert sum(found.values()) == sum(found[cell] for cell in cells)
    same, other = case["p_pair_same_node"], case["p_pair_diff"] or 0.0
    law = np.where(np.eye(d), same, other).ravel()
    for i, j in ((0, 1), (0, m - 1), (m - 2, m - 1)):
        if i != j:
            assert_law(counted(d * picks[:, i] + picks[:, j], d * d), law / law.sum())


@pytest.mark.law
@pytest.mark.parametrize(("d", "m"), [(100, 3), (100, 33), (200, 70), (50, 40), (7, 23)])
def test_pairs_among_many_arcs(d, m):
    """Each way to draw a subset: one by one, with marks, by a shuffle, and with whole rounds."""
    picks = first_moves(fan(d), m, 50_000)
    q, r = divmod(m, d)
    counts = np.stack([(picks == arc).sum(1) for arc in range(d)], 1)
    assert set(np.unique(counts)) <= {q, q + 1}
    for i in (0, m - 1):
        assert_law(counted(picks[:, i], d), np.ones(d) / d)
    # Two walkers: how far apart their arcs are.
    same = (d * q * (q - 1) + 2 * q * r) / (m * (m - 1))
    law = np.array([same, *[(1 - same) / (d - 1)] * (d - 1)])
    for i, j in ((0, 1), (m - 1, 0)):
        assert_law(counted((picks[:, i] - picks[:, j]) % d, d), law)


@pytest.mark.law
@pytest.mark.parametrize("case", VECTORS["repel_weighted"], ids=lambda c: f"{c['w']},{c['m']}")
def test_dealing_by_weights(case):
    """The pair law of ordered pivotal sampling."""
    w, m = np.array(case["w"]), case["m"]
    picks = first_moves(fan(len(w), w), m)
    law = np.array(case["pivotal"])
    for i, j in ((0, 1), (m - 1, 0)):
        joint = counted(len(w) * picks[:, i] + picks[:, j], law.size)
        assert_law(joint, np.where(law < 1e-12, 0, law).ravel() / law.sum())
    for walker in range(m):
        assert_law(counted(picks[:, walker], len(w)), w)
    counts = np.stack([(picks == arc).sum(1) for arc in range(len(w))], 1)
    assert (np.abs(counts - m * w) < 1 - 1e-9).all()


@settings(max_examples=300)
@given(
    st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12),
    st.integers(2, 40),
    st.integers(0, 2**32 - 1),
)
def test_weighted_arcs_are_taken_rounded_down_or_up(weights, walkers, seed):
    weights = np.array(weights)
    picks = first_moves(fan(len(weights), weights), walkers, 5, rng=seed)
    expected = walkers * weights / weights.sum()
    for row in picks:
        counts = counted(row, len(weights))
        assert (counts >= np.floor(expected + 1e-9) - (np.abs(expected % 1) < 1e-9)).all()
        assert (np.abs(counts - expected) < 1 + 1e-9).all()


@settings(max_examples=200)
@given(multigraphs(weighted=False), st.integers(2, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_arcs_are_shared_evenly_at_every_node_and_step(graph, walkers, together, seed):
    """Rounded down or up, whoever meets where."""
    walks = random_walks(
        graph,
        num_walks=walkers,
        walk_length=4,
        coupling="repelling",
        scope="all" if together else "start",
        return_edges=True,
        rng=seed,
    )
    start_of = sources(graph)[np.argsort(graph.edge_ids)] if graph.num_edges else []
    degrees = np.diff(graph.indptr)
    size = len(walks.nodes) if together else walkers
    for first in range(0, len(walks.nodes), size or 1):
        for edges in walks.edges[first : first + size].T:
            taken = Counter(edges[edges >= 0].tolist())
            at = Counter()
            for edge, count in taken.items():
                at[start_of[edge]] += count
            for edge, count in taken.items():
                node = start_of[edge]
                q, r = divmod(at[node], degrees[node])
                assert q <= count <= q + bool(r)
            for node, count in at.items():
                if count >= degrees[node]:
                    assert sum(start_of[edge] == node for edge in taken) == degrees[node]


@pytest.mark.law
@pytest.mark.parametrize("name", ["lollipop5", "weighted5", "loop_multi4"])
@pytest.mark.parametrize("termination", TERMINATIONS)
@pytest.mark.parametrize("more", [{}, {"transient": True}, {"scope": "all"}], ids=str)
def test_each_walker_makes_a_simple_walk(name, termination, more):
    """Where each walker is after three moves, given that it makes so many, and that it does."""
    graph, matrix = vector_graph(name), simple_law(vector_graph(name))
    walks = random_walks(
        graph,
        [0] * 30_000,
        p_halt=0.3,
        num_walks=4,
        coupling="repelling",
        termination=termination,
        rng=1,
        **more,
    )
    lengths = (np.diff(walks.offsets) - 1).reshape(-1, 4)
    begins = walks.offsets[:-1].reshape(-1, 4)
    law = np.linalg.matrix_power(matrix, 3)[0]
    for walker in range(4):
        alive = lengths[:, walker] >= 3
        assert_law([alive.sum(), (~alive).sum()], [0.343, 0.657])
        if more.get("scope") == "all":
            continue  # the walkers of one column repel each other: no sample of independent ones
        nodes = walks.nodes[begins[alive, walker] + 3]
        assert_law(counted(nodes, graph.num_nodes), law)


@pytest.mark.law
def test_all_walkers_of_a_call():
    """The marginal over many calls, of a walker that meets those of other starts."""
    graph = vector_graph("k4")
    found = [
        random_walks(
            graph, [0, 1, 0], walk_length=2, coupling="repelling", scope="all", rng=2, step=i
        )
        for i in range(20_000)
    ]
    ends = np.stack(found)[:, :, 2]
    matrix = np.linalg.matrix_power(simple_law(graph), 2)
    for walker, start in enumerate((0, 1, 0)):
        assert_law(counted(ends[:, walker], 4), matrix[start])
    moves = np.stack(found)[:, :, 1]
    assert (moves[:, 0] != moves[:, 2]).all()


@pytest.mark.law
def test_transient_walkers_part_for_ever():
    """Those that have parted and meet again are independent; otherwise they repel each other."""
    diamond = np.array([[0, 0, 1, 2, 3, 3], [1, 2, 3, 3, 4, 5]])
    graph = Graph.from_edge_index(diamond)
    for transient, law in ((True, [0.5, 0.5]), (False, [0.0, 1.0])):
        walks = random_walks(
            graph, [0] * N, walk_length=3, num_walks=2, coupling="repelling", transient=transient,
            rng=3,
        )  # fmt: skip
        ends = walks[:, 3].reshape(-1, 2)
        differ = (ends[:, 0] != ends[:, 1]).sum()
        assert_law([N - differ, differ], law)
    # Walkers that have never parted still repel each other.
    line = Graph.from_edge_index([[0, 1, 1], [1, 2, 3]])
    walks = random_walks(
        line, [0], walk_length=2, num_walks=2, coupling="repelling", transient=True, rng=0
    )
    assert sorted(walks[:, 2].tolist()) == [2, 3]


@pytest.mark.law
def test_groups_are_independent():
    """The choices of an ensemble at one step say nothing of those at the next, or of another's."""
    graph = vector_graph("k4")
    walks = random_walks(graph, [0] * N, walk_length=2, num_walks=2, coupling="repelling", rng=4)
    one, two = walks[:, 1].reshape(-1, 4).T[:2], walks[:, 1].reshape(-1, 4).T[2:]
    law = np.array([0, 1, 1, 1]) / 3
    joint = counted(4 * one[0] + two[1], 16)
    assert_law(joint, np.outer(law, law).ravel())
    matrix = simple_law(graph)
    assert_law(counted(4 * walks[:, 1] + walks[:, 2], 16), (law[:, None] * matrix).ravel())


@pytest.mark.law
def test_the_published_rotation():
    """Exact marginals, and the pair law of four arcs and two walkers: always opposite ones."""
    picks = first_moves(fan(4), 2, scheme="rotation")
    for walker in (0, 1):
        assert_law(counted(picks[:, walker], 4), np.ones(4) / 4)
    assert (abs(picks[:, 0] - picks[:, 1]) == 2).all()
    picks = first_moves(fan(3), 7, 30_000, scheme="rotation")
    for walker in range(7):
        assert_law(counted(picks[:, walker], 3), np.ones(3) / 3)
    blocks = picks[:, :6].reshape(-1, 3)
    assert (np.sort(blocks, 1) == [0, 1, 2]).all()
    assert set(map(tuple, np.diff(blocks, axis=1) % 3)) == {(1, 1)}


def test_dealing_never_has_a_larger_variance():
    """Of sums over the walkers at a node, for all functions with values 0 and 1 on four arcs."""
    picks = first_moves(fan(4), 2, 20_000)
    for values in product((0, 1), repeat=4):
        values = np.array(values)
        if 0 < values.sum() < 4:
            sums = values[picks].sum(1)
            assert sums.var() < 2 * values.var()
