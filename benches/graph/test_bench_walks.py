"""Walks beside those of NetworkX, igraph, rustworkx, torch-cluster and PecanPy, and what repulsion
costs. Graphs are files of the folder that SORTES_BENCH_DATA names; the last is made here.
"""

import functools

import numpy as np
import pytest
from sortes.graph import Graph, node2vec_walks, random_walks

from benches import data
from benches.graph.machine import (
    OUTSTANDING,
    cache_bytes,
    latency_ns,
    said_or_wall,
    thunder,
)
from benches.turns import peer, turns

LENGTH = 80
FEW = 200  # walks of a peer that makes one in a call, for each turn of ours


@functools.lru_cache(maxsize=2)
def edges(name):
    """Both arcs of every edge, and the number of nodes."""
    if name.startswith("rmat"):
        scale = int(name[4:])
        return rmat(scale, 1 << (27 if scale == 24 else 26)), 1 << scale
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


def torch_cluster(pairs, nodes, start, p, q):
    def make(module):
        import torch

        row, col = torch.from_numpy(pairs)
        starts = torch.from_numpy(start)
        return lambda n: module.random_walk(row, col, starts, LENGTH, p, q, num_nodes=nodes)

    return peer("torch_cluster", make)


def pecanpy(pairs, nodes, p, q, num_walks):
    """PecanPy's walker without tables, on the same graph, from all nodes."""

    def make(module):
        from pecanpy.pecanpy import FirstOrderUnweighted, SparseOTF

        walker = (FirstOrderUnweighted if p == q == 1 else SparseOTF)(p, q, 1)
        matrix = Graph.from_edge_index(pairs, nodes)
        walker.IDlst = [str(node) for node in range(nodes)]
        walker.indptr = matrix.indptr.astype(np.uint32)
        walker.indices = matrix.indices.astype(np.uint32)
        walker.data = matrix.weights.astype(np.float32)
        return lambda n: walker.simulate_walks(num_walks, LENGTH)

    return peer("pecanpy", make)


@pytest.mark.parametrize("name", ["cora", "lastfm", "facebook"])
def test_walks(benchmark, name):
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
            "pecanpy": pecanpy(pairs, nodes, 1, 1, times),
        },
        floor_bytes=4 * moves,
        seconds=3,
        least=2,
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


@pytest.mark.parametrize("name", ["rmat22", "rmat24"])
def test_walks_beyond_the_cache(benchmark, name):
    """The model of a step: two misses, of which a core waits for several at once."""
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    degrees = np.diff(graph.indptr)
    start = np.random.default_rng(0).choice(np.flatnonzero(degrees), 50_000)
    latency = latency_ns()
    turns(
        benchmark,
        "Walks beyond the cache",
        {
            "graph": "RMAT",
            "arcs": pairs.shape[1],
            "moves": len(start) * LENGTH,
            "cache, MiB": cache_bytes() >> 20,
            "latency, ns": round(latency),
            "model of a step, ns": round(2 * latency / OUTSTANDING, 1),
        },
        {"sortes": ours(graph, start, 1, dangling="stay")},
        {"torch-cluster": torch_cluster(pairs.astype(np.int64), nodes, start, 1.0, 1.0)},
        floor_bytes=4 * len(start) * LENGTH,
        seconds=10,
        least=2,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0)])
def test_beside_thunderrw(benchmark, tmp_path, name, p, q):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    if p == q == 1:
        theirs = thunder(graph, "deepwalk.out", LENGTH, tmp_path, "-em", "0", "-sm", "0")
    else:
        theirs = thunder(graph, "node2vec.out", LENGTH, tmp_path, "-p", str(p), "-q", str(q))
    turns(
        benchmark,
        "Beside ThunderRW",
        {"graph": name, "p": p, "q": q, "moves": nodes * LENGTH},
        {"sortes": lambda n: node2vec_walks(graph, None, LENGTH, 1, p, q, rng=n, num_threads=1)},
        {"ThunderRW, walks not kept": theirs},
        goal={"ThunderRW, walks not kept": 1.0},
        seconds=3,
        least=3,
        clock=said_or_wall,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
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
def test_node2vec(benchmark, name, p, q):
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
            "pecanpy": pecanpy(pairs, nodes, p, q, 1),
        },
        seconds=3,
        least=2,
    )


def test_making_a_graph(benchmark):
    pairs, nodes = edges("rmat22")
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


def weighted(pairs, nodes):
    return Graph.from_edge_index(
        pairs, nodes, weights=np.random.default_rng(0).random(pairs.shape[1])
    )
