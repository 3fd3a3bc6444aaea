"""Walks: their shape and form, what they depend on, and what is refused."""

import re

import numpy as np
import pytest
from graph.graphs import fan, multigraphs, sources
from hypothesis import given, settings
from hypothesis import strategies as st
from sortes import Stream
from sortes.graph import Graph, RaggedWalks, Walks, iter_walks, node2vec_walks, random_walks

TRANSITIONS = ["simple", "lazy", "mh", "max_degree", "non_backtracking", "restart"]
LENGTHS = [
    {"walk_length": 5},
    {"walk_length": 0},
    {"p_halt": 0.3},
    {"p_halt": 0.2, "walk_length": 3},
    {"p_halt": 0.3, "termination": "antithetic"},
    {"p_halt": 0.3, "termination": "stratified"},
    {"length_law": [0.0, 0.25, 0.75], "termination": "systematic"},
]
COUPLINGS = [
    {},
    {"coupling": "repelling"},
    {"coupling": "repelling", "transient": True},
    {"coupling": "repelling", "scope": "all"},
]


def ring(n):
    around = np.arange(n)
    pairs = np.stack(
        [np.repeat(around, 2), np.stack([(around + 1) % n, (around - 1) % n], 1).ravel()]
    )
    return Graph.from_edge_index(pairs)


def scale_free(n=500, arcs=6000, weighted=False):
    rng = np.random.default_rng(1)
    pairs = (n * rng.random((2, arcs)) ** 2).astype(np.int64)
    return Graph.from_edge_index(pairs, n, weights=rng.random(arcs) if weighted else None)


def as_bytes(walks):
    parts = walks if isinstance(walks, tuple) else (walks,)
    return [None if part is None else (part.dtype, part.shape, part.tobytes()) for part in parts]


def check_moves(graph, walks, home):
    """Assert that every move is an arc, the one that is said, or a stay or a jump that may be."""
    ends = np.stack([sources(graph), graph.indices])
    place = {int(edge): arc for arc, edge in enumerate(graph.edge_ids)}
    if isinstance(walks, RaggedWalks):
        bounds = zip(walks.offsets[:-1], walks.offsets[1:], strict=True)
        rows = [(walks.nodes[a:b], walks.edges[a + 1 : b]) for a, b in bounds]
        assert (walks.edges[walks.offsets[:-1]] == -1).all()
        assert walks.offsets[0] == 0
        assert walks.offsets[-1] == len(walks.nodes) == len(walks.edges)
    else:
        rows = list(zip(walks.nodes, walks.edges, strict=True))
    degrees = np.diff(graph.indptr)
    for walker, (nodes, edges) in enumerate(rows):
        length = int((nodes >= 0).sum())
        assert length >= 1
        assert (nodes[length:] == -1).all()
        assert (edges[length - 1 :] == -1).all()
        for u, v, edge in zip(nodes, nodes[1:length], edges, strict=False):
            if edge >= 0:
                assert ends[:, place[int(edge)]].tolist() == [u, v]
            else:
                assert v in (u, nodes[0])
        if length < len(nodes):
            assert degrees[nodes[length - 1]] == 0
        assert home is None or nodes[0] == home[walker]


@settings(max_examples=200)
@given(
    multigraphs(),
    st.sampled_from(TRANSITIONS),
    st.sampled_from(LENGTHS),
    st.sampled_from(COUPLINGS),
    st.sampled_from(["stop", "stay", "restart"]),
    st.integers(0, 5),
)
def test_every_move_is_an_arc(graph, transition, lengths, coupling, dangling, seed):
    options = {"num_walks": 4, "return_edges": True, "rng": seed, **lengths}
    if transition in ("mh", "max_degree"):
        if graph.is_weighted:
            return
    else:
        options["dangling"] = dangling
    if transition == "simple":
        options |= coupling
    walks = random_walks(graph, transition=transition, **options)
    home = np.repeat(np.arange(graph.num_nodes), 4)
    check_moves(graph, walks, home)
    start = home[::-2].copy()
    check_moves(
        graph, random_walks(graph, start, transition=transition, **options), start.repeat(4)
    )


@settings(max_examples=100)
@given(multigraphs(), st.sampled_from([(0.25, 4.0), (1e9, 1e-9), (1e-9, 1e9)]), st.integers(0, 5))
def test_every_move_of_node2vec_is_an_arc(graph, factors, seed):
    walks = node2vec_walks(graph, None, 6, 3, *factors, return_edges=True, rng=seed)
    check_moves(graph, walks, np.repeat(np.arange(graph.num_nodes), 3))


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("coupling", COUPLINGS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_and_parts_change_nothing(lengths, coupling, weighted):
    graph = scale_free(weighted=weighted)
    given = {"num_walks": 6, "rng": 3, "step": 2, "return_edges": True, **lengths, **coupling}
    whole = random_walks(graph, num_threads=1, **given)
    for threads in (2, 7):
        assert as_bytes(random_walks(graph, num_threads=threads, **given)) == as_bytes(whole)
    if coupling.get("scope") == "all":
        return
    for size in (1, 7, 500):
        parts = list(iter_walks(graph, batch_size=size, num_threads=2, **given))
        assert len(parts) == -(-500 // size)
        assert np.concatenate([p.nodes for p in parts]).tobytes() == whole.nodes.tobytes()
        assert np.concatenate([p.edges for p in parts]).tobytes() == whole.edges.tobytes()
    start = np.arange(500)[::-1].copy()
    parts = iter_walks(graph, start, batch_size=64, **given)
    whole = random_walks(graph, start, **given)
    assert np.concatenate([p.nodes for p in parts]).tobytes() == whole.nodes.tobytes()


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_threads_change_no_transition(transition):
    graph = scale_free()
    given = {"walk_length": 9, "transition": transition, "rng": 0, "num_walks": 3}
    walks = [random_walks(graph, num_threads=n, **given) for n in (1, 2, 7)]
    assert as_bytes(walks[0]) == as_bytes(walks[1]) == as_bytes(walks[2])
    biased = [node2vec_walks(graph, None, 9, 3, 0.5, 2.0, rng=0, num_threads=n) for n in (1, 7)]
    assert as_bytes(biased[0]) == as_bytes(biased[1])


def test_steps_and_seeds_are_independent():
    graph = scale_free()
    seen = [
        random_walks(graph, walk_length=8, rng=rng, step=step).tobytes()
        for rng, step in [(0, 0), (1, 0), (0, 1), (Stream(5), 0), (Stream(5, step=1), 0)]
    ]
    assert len(set(seen)) == len(seen)
    moved = random_walks(graph, walk_length=8, rng=Stream(5).advance(1)).tobytes()
    assert moved == seen[-1]
    one, two = (random_walks(graph, walk_length=8).tobytes() for _ in range(2))
    assert one != two


def test_shorter_walks_are_beginnings_of_longer_ones():
    graph = scale_free()
    long, short = (random_walks(graph, walk_length=n, rng=0) for n in (40, 7))
    assert np.array_equal(long[:, :8], short)


def test_shapes_and_types():
    graph = ring(5)
    assert random_walks(graph, walk_length=3, num_walks=2, rng=0).shape == (10, 4)
    assert random_walks(graph, [], walk_length=3, rng=0).shape == (0, 4)
    assert random_walks(graph, [2, 2], walk_length=0, rng=0).tolist() == [[2], [2]]
    walks = random_walks(graph, [4], walk_length=3, return_edges=True, rng=0)
    assert isinstance(walks, Walks)
    assert (walks.nodes.dtype, walks.edges.dtype, walks.edges.shape) == ("int32", "int64", (1, 3))
    assert random_walks(graph, walk_length=3, dtype=np.int64, rng=0).dtype == np.int64
    narrow = random_walks(graph, walk_length=3, dtype="int32", rng=0)
    assert np.array_equal(narrow, random_walks(graph, walk_length=3, dtype=np.int64, rng=0))
    empty = random_walks(graph, [], p_halt=0.5, rng=0)
    assert (empty.nodes.size, empty.offsets.tolist(), empty.edges) == (0, [0], None)
    sure = random_walks(graph, p_halt=1.0, rng=0)
    assert (sure.nodes.tolist(), sure.offsets.tolist()) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5])
    assert list(iter_walks(graph, [], batch_size=3, walk_length=3)) == []
    nothing = Graph.from_csr([0], [])
    for transition in TRANSITIONS:
        assert random_walks(nothing, walk_length=2, transition=transition).shape == (0, 3)
    assert random_walks(nothing, p_halt=0.5, coupling="repelling").offsets.tolist() == [0]


def test_tensors_in_and_out(torch):
    graph = ring(6)
    start = torch.tensor([0, 3])
    walks = random_walks(graph, start, walk_length=4, rng=0)
    assert isinstance(walks, torch.Tensor)
    assert walks.tolist() == random_walks(graph, [0, 3], walk_length=4, rng=0).tolist()
    ragged = random_walks(graph, start, p_halt=0.5, return_edges=True, rng=0)
    assert all(isinstance(part, torch.Tensor) for part in ragged)


def test_dead_ends():
    path = Graph.from_edge_index([[0, 1], [1, 2]], 3)
    given = {"walk_length": 4, "return_edges": True, "rng": 0}
    stop = random_walks(path, [0, 2], **given)
    assert stop.nodes.tolist() == [[0, 1, 2, -1, -1], [2, -1, -1, -1, -1]]
    assert stop.edges.tolist() == [[0, 1, -1, -1], [-1, -1, -1, -1]]
    stay = random_walks(path, [0, 2], dangling="stay", **given)
    assert stay.nodes.tolist() == [[0, 1, 2, 2, 2], [2, 2, 2, 2, 2]]
    assert stay.edges.tolist() == [[0, 1, -1, -1], [-1, -1, -1, -1]]
    home = random_walks(path, [0, 2], dangling="restart", **given)
    assert home.nodes.tolist() == [[0, 1, 2, 0, 1], [2, 2, 2, 2, 2]]
    assert home.edges.tolist() == [[0, 1, -1, 0], [-1, -1, -1, -1]]
    for coupling in COUPLINGS:
        with pytest.raises(ValueError, match="dangling: walk 2 came to node 2, which has no arcs"):
            random_walks(path, dangling="error", **coupling, **given)
        ragged = random_walks(path, p_halt=1e-5, num_walks=2, **coupling, rng=0)
        assert ragged.nodes.tolist() == [0, 1, 2, 0, 1, 2, 1, 2, 1, 2, 2, 2]
        assert ragged.offsets.tolist() == [0, 3, 6, 8, 10, 11, 12]
    assert random_walks(path, [2], transition="lazy", walk_length=2).tolist() == [[2, 2, 2]]
    assert random_walks(path, [2], transition="mh", walk_length=2).tolist() == [[2, 2, 2]]
    alone = Graph.from_edge_index(np.empty((2, 0), np.int64), 1)
    assert random_walks(alone, walk_length=2).tolist() == [[0, -1, -1]]


def test_loops_alone():
    loop = Graph.from_edge_index([[0, 0], [0, 0]])
    for transition in TRANSITIONS:
        walks = random_walks(loop, walk_length=3, transition=transition, rng=0)
        assert walks.tolist() == [[0, 0, 0, 0]]
    assert node2vec_walks(loop, None, 3, 1, 0.1, 9.0, rng=0).tolist() == [[0, 0, 0, 0]]


def test_a_large_star():
    hub = fan(1_000_000)
    walks = random_walks(hub, [0], walk_length=1, num_walks=3, coupling="repelling", rng=0)
    assert len(set(walks[:, 1].tolist())) == 3
    crowd = random_walks(hub, [0], walk_length=1, num_walks=5000, coupling="repelling", rng=0)
    assert len(set(crowd[:, 1].tolist())) == 5000
    light = fan(1000, np.geomspace(1e-300, 1e300, 1000))
    walks = random_walks(light, [0] * 50, walk_length=1, num_walks=2, coupling="repelling", rng=0)
    assert (walks[:, 1] > 900).all()


def test_memory_that_is_not_there():
    graph = ring(100)
    with pytest.raises(MemoryError, match="iter_walks"):
        random_walks(graph, walk_length=2**31 - 1, num_walks=100)
    with pytest.raises(MemoryError, match="iter_walks"):
        random_walks(graph, p_halt=1e-300)
    with pytest.raises(MemoryError):
        random_walks(graph, walk_length=1, num_walks=2**40)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": [0, 5]}, "start: item 1 must be in [0, 5), got 5"),
        ({"start": [-1]}, "start: item 0 must be in [0, 5), got -1"),
        ({"num_walks": 0}, "num_walks: must be at least 1, got 0"),
        ({"walk_length": -1}, "walk_length: must be in [0, 2**31), got -1"),
        ({"walk_length": None}, "walk_length: must be given, or p_halt or length_law, got None"),
        ({"p_halt": 0.0}, "p_halt: must be in (0, 1], got 0.0"),
        ({"p_halt": 1.5}, "p_halt: must be in (0, 1], got 1.5"),
        (
            {"p_halt": 0.5, "termination": "antithetic", "num_walks": 3},
            "num_walks: must be even for termination 'antithetic', got 3",
        ),
        ({"termination": "stratified"}, "termination: must be 'iid' for walks of a fixed length"),
        (
            {"length_law": [1.0], "walk_length": None, "termination": "antithetic"},
            "termination: 'antithetic' is for p_halt, got a length_law",
        ),
        ({"length_law": [1.0]}, "length_law: must not be given with walk_length"),
        (
            {"length_law": [0.5, 0.25], "walk_length": None},
            "length_law: must sum to 1, got a sum of 0.75",
        ),
        ({"length_law": [], "walk_length": None}, "length_law: must have at least one item"),
        (
            {"length_law": [1.0, -1.0], "walk_length": None},
            "length_law: item 1 must be in [0, inf), got -1.0",
        ),
        ({"transition": "x"}, "transition: must be 'simple', 'lazy', 'mh', 'max_degree', "),
        ({"coupling": "x"}, "coupling: must be 'iid' or 'repelling', got 'x'"),
        ({"termination": "x"}, "termination: must be 'iid', 'antithetic', 'stratified' or "),
        ({"dangling": "x"}, "dangling: must be 'stop', 'stay', 'restart' or 'error', got 'x'"),
        (
            {"transition": "mh", "dangling": "stop"},
            "dangling: must not be given for transition 'mh'",
        ),
        (
            {"transition": "lazy", "coupling": "repelling"},
            "transition: must be 'simple' for coupling 'repelling', got 'lazy'",
        ),
        ({"alpha": 0.5}, "alpha: is for transition 'restart' alone, got 'simple'"),
        ({"beta": 0.5, "transition": "mh"}, "beta: is for transition 'lazy' alone, got 'mh'"),
        ({"scheme": "auto"}, "scheme: is for coupling 'repelling' alone, got 'iid'"),
        ({"scope": "all"}, "scope: is for coupling 'repelling' alone, got 'iid'"),
        ({"transient": True}, "transient: is for coupling 'repelling' alone, got 'iid'"),
        ({"num_threads": 0}, "num_threads: must be in [1, 1024], got 0"),
    ],
)
def test_bad_arguments_are_named(given, message):
    for function, more in ((random_walks, {}), (iter_walks, {"batch_size": 2})):
        if "scope" in given and more:
            continue
        with pytest.raises(ValueError, match=re.escape(message)):
            function(ring(5), **{"walk_length": 3, **more, **given})


def test_graphs_with_weights_are_not_for_everything():
    weighted = Graph.from_edge_index([[0, 0], [0, 1]], weights=[1.0, 2.0])
    for refused, message in [
        ({"transition": "mh"}, "transition: 'mh' is for a graph without weights"),
        ({"coupling": "repelling", "scheme": "rotation"}, "scheme: must be 'auto' for a graph"),
    ]:
        with pytest.raises(ValueError, match=message):
            random_walks(weighted, walk_length=1, **refused)


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match="start: must hold integers, got float64"):
        random_walks(ring(5), [0.0], walk_length=1)
    with pytest.raises(TypeError, match="dtype: must be int32 or int64, got 'int16'"):
        random_walks(ring(5), walk_length=1, dtype="int16")
    with pytest.raises(TypeError, match=r"graph: must be a sortes\.graph\.Graph"):
        random_walks([[0, 1], [1, 0]], walk_length=1)
    with pytest.raises(ValueError, match="scope: must be 'start' where walks come in parts"):
        iter_walks(ring(5), batch_size=1, walk_length=1, coupling="repelling", scope="all")
