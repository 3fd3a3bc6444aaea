"""Walks beside those of NetworkX, igraph, rustworkx, torch-cluster and PecanPy, and what repulsion
costs. Graphs are files of the folder that SORTES_BENCH_DATA names; the last is made here: of 2^22
nodes and 2^26 arcs, or if SORTES_BENCH_RMAT is 24, of 2^24 nodes and 2^27 arcs, which take twice
the memory and more.
"""

import functools
import os

import numpy as np
import pytest
from sortes.graph import Graph, node2vec_walks, random_walks

from benches import data
from benches.graph.machine import (
    OUTSTANDING,
    cache_bytes,
    latency_ns,
    pecanpy,
    said_or_wall,
    thunder,
)
from benches.turns import peer, turns

LENGTH = 80
BEYOND = f"rmat{os.environ.get('SORTES_BENCH_RMAT', '22')}"
FEW = 200  # walks of a peer that makes one in a call, for each turn of ours


@functools.lru_cache(maxsize=2)
def edges(name):
    """Both arcs of every edge, and the number of nodes."""
    if name.startswith("rmat"):
        scale = int(name[4:])
        return rmat(scale, 1 << (27 if scale == 24 else scale + 4)), 1 << scale
    with np.load(data.file(f"graphs/{name}.npz")) as archive:
        one_way, nodes = archive["edges"], int(archive["n"])
    return np.concatenate([one_way, one_way[:, ::-1]]).T.astype(np.int64), nodes


def rmat(scale, arcs):
    """A graph of the Graph 500's law, whose nodes are called by chance."""
    rng = np.random.default_rng(0)
    pairs = np.zeros((2, arcs), np.int32)
    for bit in range(scale):
        u = rng.random(arcs, np.float32)
        pairs[0] |= (u >= 0.76).astype(np.int32) << bit
        pairs[1] |= (((u >= 0.57) & (u < 0.76)) | (u >= 0.95)).astype(np.int32) << bit
    return rng.permutation(1 << scale).astype(np.int32)[pairs]


def ours(graph, start, num_walks, **given):
    return lambda n: random_walks(
        graph, start, walk_length=LENGTH, num_walks=num_walks, rng=n, num_threads=1, **given
    )


def one_by_one(walk, start):
    """A turn of a peer that makes one walk in a call."""
    return lambda n: [walk(int(node)) for node in start]


def loops(pairs, nodes, start):
    """The peers that make one walk in a call, on the same graph."""

    def igraph(module):
        half = pairs[:, pairs[0] <= pairs[1]].T
        graph = module.Graph(nodes, half)
        return one_by_one(lambda node: graph.random_walk(node, LENGTH), start)

    def rustworkx(module):
        graph = module.PyGraph()
        graph.add_nodes_from(range(nodes))
        half = pairs[:, pairs[0] <= pairs[1]].T
        graph.add_edges_from_no_data(list(map(tuple, half.tolist())))
        return one_by_one(
            lambda node: module.generate_random_path(graph, node, LENGTH, seed=1), start
        )

    def networkx(module):
        graph = module.Graph(pairs.T.tolist())
        generate = module.generate_random_paths
        return lambda n: list(generate(graph, len(start), path_length=LENGTH, seed=n))

    return {
        "igraph": peer("igraph", igraph),
        "rustworkx": peer("rustworkx", rustworkx),
        "networkx": peer("networkx", networkx),
    }


def torch_cluster(pairs, nodes, start, p, q, length=LENGTH):
    def make(module):
        import torch

        row, col = torch.from_numpy(pairs)
        starts = torch.from_numpy(start)
        return lambda n: module.random_walk(row, col, starts, length, p, q, num_nodes=nodes)

    return peer("torch_cluster", make)


@pytest.mark.parametrize("name", ["cora", "lastfm", "facebook"])
def test_walks(benchmark, tmp_path, name):
    pairs, nodes = edges(name)
    graph, times = Graph.from_edge_index(pairs, nodes), 10
    start = np.repeat(np.arange(nodes), times)
    moves = nodes * times * LENGTH
    turns(
        benchmark,
        "Walks",
        {"graph": name, "nodes": nodes, "moves": moves},
        {
            "sortes": ours(graph, None, times),
            "sortes, weights": ours(weighted(pairs, nodes), None, times),
        },
        {
            "torch-cluster": torch_cluster(pairs, nodes, start, 1.0, 1.0),
            "pecanpy": pecanpy(graph, 1, 1, times, LENGTH, tmp_path),
        },
        floor_bytes=4 * moves,
        seconds=3,
        least=2,
        clock=said_or_wall,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
def test_walks_one_by_one(benchmark, name):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    start = np.random.default_rng(0).integers(0, nodes, FEW)
    turns(
        benchmark,
        "Walks in a loop",
        {"graph": name, "walks": FEW, "moves": FEW * LENGTH},
        {"sortes": ours(graph, start, 1)},
        loops(pairs, nodes, start),
        seconds=3,
        least=2,
    )


@pytest.mark.parametrize("walkers", ["a few", "four for each node"])
def test_walks_beyond_the_cache(benchmark, walkers):
    """A few walkers go in lock step; some of four for each node are sorted, and all if that pays.

    That holds from three rounds on (of 2^22 walkers, or one for eight arcs): with 2^22 nodes all go
    in lock step. The model is of that: a step waits for two places in memory, a core for several.
    """
    pairs, nodes = edges(BEYOND)
    graph = Graph.from_edge_index(pairs, nodes)
    starts = np.flatnonzero(np.diff(graph.indptr))
    few = walkers == "a few"
    start = np.random.default_rng(0).choice(starts, 50_000 if few else 4 * nodes)
    length = LENGTH if few else 4
    moves, latency = len(start) * length, latency_ns()
    record = turns(
        benchmark,
        "Walks beyond the cache",
        {
            "graph": f"RMAT, 2^{BEYOND[4:]} nodes",
            "arcs": pairs.shape[1],
            "walkers": len(start),
            "mode": "lock step" if few else "the faster one",
            "moves": moves,
            "cache, MiB": cache_bytes() >> 20,
            "latency, ns": round(latency),
            "model of a step, ns": round(2 * latency / OUTSTANDING, 1),
        },
        {
            "sortes": lambda n: random_walks(
                graph, start, walk_length=length, dangling="stay", rng=n, num_threads=1
            )
        },
        {
            "torch-cluster": torch_cluster(pairs.astype(np.int64), nodes, start, 1, 1, length)
            if few
            else "its arcs take twice the memory"
        },
        floor_bytes=4 * moves,
        seconds=10,
        least=2,
    )
    took = record["ms"]["sortes"]
    record["more"] = {"ns of a step": {"sortes": f"{took * 1e6 / moves:.1f}"}}


@pytest.mark.parametrize("name", ["cora", "facebook", BEYOND])
@pytest.mark.parametrize("kind", ["simple", "node2vec", "repelling"])
def test_two_threads(benchmark, name, kind):
    """Two threads beside one; how many cores the processor has says what can be had."""
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    start = np.random.default_rng(0).choice(np.flatnonzero(np.diff(graph.indptr)), 100_000)

    def walks(threads):
        given = {"walk_length": LENGTH, "dangling": "stay", "num_threads": threads}
        if kind == "repelling":
            given |= {"num_walks": 16, "coupling": "repelling"}
            return lambda n: random_walks(graph, start[:10_000], rng=n, **given)
        if kind == "node2vec":
            return lambda n: node2vec_walks(graph, start, num_walks=1, p=0.25, q=4, rng=n, **given)
        return lambda n: random_walks(graph, start, rng=n, **given)

    turns(
        benchmark,
        "Two threads",
        {"graph": name, "walks": kind},
        {"sortes, two threads": walks(2), "sortes, one thread": walks(1)},
        {},
        goal={"sortes, one thread": 1 / 1.8},
        seconds=3,
        least=3,
    )


@pytest.mark.parametrize("name", ["cora", "facebook", BEYOND])
@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0)])
def test_beside_thunderrw(benchmark, tmp_path, name, p, q):
    """One walk from each node; that program cannot walk on a graph with dead ends."""
    pairs, nodes = without_dead_ends(*edges(name))
    graph, length = Graph.from_edge_index(pairs, nodes), 10 if name == BEYOND else LENGTH
    if p == q == 1:
        theirs = thunder(graph, "deepwalk.out", length, tmp_path, "-em", "0", "-sm", "0")
    else:
        theirs = thunder(graph, "node2vec.out", length, tmp_path, "-p", str(p), "-q", str(q))
    turns(
        benchmark,
        "Beside ThunderRW",
        {"graph": name, "p": p, "q": q, "moves": nodes * length},
        {"sortes": lambda n: node2vec_walks(graph, None, length, 1, p, q, rng=n, num_threads=1)},
        {"ThunderRW, walks not kept": theirs},
        goal={"ThunderRW, walks not kept": 1.0},
        seconds=3,
        least=2,
        clock=said_or_wall,
    )


@pytest.mark.parametrize("name", ["cora", "facebook", BEYOND])
@pytest.mark.parametrize("m", [2, 16, 64])
def test_repulsion(benchmark, name, m):
    pairs, nodes = edges(name)
    graph, start = (
        Graph.from_edge_index(pairs, nodes),
        np.arange(0, nodes, max(1, nodes * m // 50_000)),
    )
    apart = {"coupling": "repelling"}
    turns(
        benchmark,
        "Walkers that repel each other",
        {"graph": name, "walkers": m, "moves": len(start) * m * LENGTH},
        {
            "sortes, independent": ours(graph, start, m),
            "sortes, repelling": ours(graph, start, m, **apart),
            "sortes, repelling, weights": ours(weighted(pairs, nodes), start, m, **apart),
        },
        {},
        seconds=2,
        least=3,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.25)])
def test_node2vec(benchmark, tmp_path, name, p, q):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    start = np.arange(nodes)
    turns(
        benchmark,
        "node2vec",
        {"graph": name, "p": p, "q": q, "moves": nodes * LENGTH},
        {"sortes": lambda n: node2vec_walks(graph, None, LENGTH, 1, p, q, rng=n, num_threads=1)},
        {
            "torch-cluster, another law": torch_cluster(pairs, nodes, start, p, q),
            "pecanpy": pecanpy(graph, p, q, 1, LENGTH, tmp_path),
        },
        seconds=3,
        least=2,
        clock=said_or_wall,
    )


def test_making_a_graph(benchmark):
    pairs, nodes = edges(BEYOND)
    sparse = pytest.importorskip("scipy.sparse")
    weights = np.random.default_rng(0).random(pairs.shape[1])
    turns(
        benchmark,
        "Making a graph",
        {"graph": "RMAT", "arcs": pairs.shape[1]},
        {
            "sortes": lambda _: Graph.from_edge_index(pairs, nodes, num_threads=1),
            "sortes, weights": lambda _: Graph.from_edge_index(
                pairs, nodes, weights=weights, num_threads=1
            ),
        },
        {"scipy csr": lambda _: sparse.coo_array((weights, pairs), (nodes, nodes)).tocsr()},
        seconds=1,
        least=1,
        most=2,
    )


def without_dead_ends(pairs, nodes):
    """The graph; or half of its arcs, in both directions, and only the nodes that have one."""
    if not np.bincount(pairs[0], minlength=nodes).all():
        pairs = pairs[:, ::2]
        pairs = np.concatenate([pairs, pairs[::-1]], axis=1)
        held = np.zeros(nodes, bool)
        held[pairs[0]] = True
        number = np.cumsum(held, dtype=np.int32) - 1
        pairs, nodes = number[pairs], int(held.sum())
    return pairs, nodes


def weighted(pairs, nodes):
    return Graph.from_edge_index(
        pairs, nodes, weights=np.random.default_rng(0).random(pairs.shape[1])
    )
