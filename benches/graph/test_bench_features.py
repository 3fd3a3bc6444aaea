"""Random features beside fast-graph-gp, and how long a graph of a million nodes takes. Cora is a
file of the folder that SORTES_BENCH_DATA names; the other graphs are made here.
"""

import resource

import numpy as np
import pytest
from sortes.graph import Graph, graph_random_features, walk_visits

from benches.graph.test_bench_walks import edges
from benches.turns import peer, turns

P_HALT = 0.1
LONGEST = 200  # moves; a walk of more has a chance below 1e-9


def random_graph(nodes, arcs):
    half = np.random.default_rng(0).integers(0, nodes, (2, arcs // 2), np.int32)
    return np.concatenate([half, half[::-1]], 1).astype(np.int64)


def ours(graph, num_walks, make=graph_random_features, **given):
    return lambda n: make(
        graph, num_walks=num_walks, p_halt=P_HALT, rng=n, **{"num_threads": 1, **given}
    )


def fast_graph_gp(pairs, nodes, num_walks):
    """Their walks, which are independent, in one process: a matrix for each step."""

    def make(module):
        import torch

        torch.set_num_threads(1)
        degrees = np.bincount(pairs[0], minlength=nodes)
        values = 0.5 / np.sqrt(degrees[pairs[0]] * degrees[pairs[1]])
        arcs = torch.from_numpy(pairs), torch.from_numpy(values)
        matrix = torch.sparse_coo_tensor(*arcs, (nodes, nodes)).coalesce().to_sparse_csr()

        def turn(n):
            sampler = module.GRFSampler(
                matrix,
                walks_per_node=num_walks,
                p_halt=P_HALT,
                max_walk_length=LONGEST,
                seed=n + 1,
                use_tqdm=False,
                n_processes=1,
            )
            return sampler.sample_random_walk_matrices()

        return turn

    return peer("grf_gp", make)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_features_of_cora(benchmark):
    pairs, nodes = edges("cora")
    graph, num_walks = Graph.from_edge_index(pairs, nodes), 64
    turns(
        benchmark,
        "Random features",
        {"graph": "cora", "nodes": nodes, "walks of a node": num_walks},
        {
            "sortes": ours(graph, num_walks),
            "sortes, independent": ours(graph, num_walks, coupling="iid", termination="iid"),
            "sortes, visits": ours(graph, num_walks, walk_visits),
        },
        {"fast-graph-gp": fast_graph_gp(pairs, nodes, num_walks)},
        goal={"fast-graph-gp": 1 / 200},
        seconds=1,
        least=3,
    )


@pytest.mark.parametrize(("nodes", "arcs", "num_walks"), [(1272, 12_888, 16), (19_717, 88_648, 64)])
def test_features_of_small_graphs(benchmark, nodes, arcs, num_walks):
    """As large as eurosis and pubmed."""
    graph = Graph.from_edge_index(random_graph(nodes, arcs), nodes)
    turns(
        benchmark,
        "Random features, one thread",
        {"nodes": nodes, "arcs": arcs, "walks of a node": num_walks},
        {"sortes": ours(graph, num_walks)},
        {},
        seconds=2,
        least=3,
    )


def test_features_of_a_million_nodes(benchmark):
    nodes, arcs, num_walks = 1_000_000, 10_000_000, 16
    graph = Graph.from_edge_index(random_graph(nodes, arcs), nodes)
    case = {"nodes": nodes, "arcs": arcs, "walks of a node": num_walks}
    turns(
        benchmark,
        "Random features of a million nodes, two threads",
        case,
        {"sortes": ours(graph, num_walks, num_threads=2)},
        {},
        seconds=1,
        least=1,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory of the process so far: {peak:.2f} GB")
