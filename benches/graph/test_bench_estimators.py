"""PageRank by walks beside the power method of NetworkX and igraph's two, and graphlets beside the
exact counts of igraph. Peers compute to their default tolerance: what walks give instead is named
by the case, as the root of the sum of the squared errors over the norm of PageRank.
"""

import numpy as np
import pytest
from sortes.graph import Graph, graphlet_concentration, pagerank_mc, ppr

from benches.graph.test_bench_walks import edges
from benches.turns import peer, turns

SOURCES = 200


def igraph_of(pairs, nodes):
    """The same graph there; an edge is two arcs."""

    def make(module):
        return module.Graph(nodes, pairs[:, pairs[0] < pairs[1]].T)

    return make


def of_igraph(pairs, nodes, call):
    return peer("igraph", lambda module: call(igraph_of(pairs, nodes)(module)))


def of_networkx(pairs, nodes, call):
    """A turn of a call of NetworkX on the same graph."""

    def make(module):
        graph = module.Graph(pairs[:, pairs[0] < pairs[1]].T.tolist())
        graph.add_nodes_from(range(nodes))
        return call(module, graph)

    return peer("networkx", make)


@pytest.mark.parametrize("name", ["cora", "facebook"])
def test_pagerank(benchmark, name):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)

    def ours(**given):
        return lambda n: pagerank_mc(graph, rng=n, num_threads=1, **given)

    found = pagerank_mc(graph, rng=0)
    error = (found.stderr**2).sum() ** 0.5 / (found.value**2).sum() ** 0.5
    turns(
        benchmark,
        "PageRank",
        {"graph": name, "nodes": nodes, "walks": 32 * nodes, "relative error": f"{error:.3f}"},
        {
            "sortes": ours(),
            "sortes, iid": ours(coupling="iid", termination="iid"),
            "sortes, one walk per node": ours(num_walks=1, replicates=1, coupling="iid"),
        },
        {
            "networkx": of_networkx(
                pairs, nodes, lambda module, graph: lambda n: module.pagerank(graph)
            ),
            "igraph, PRPACK": of_igraph(pairs, nodes, lambda graph: lambda n: graph.pagerank()),
            "igraph, ARPACK": of_igraph(
                pairs, nodes, lambda graph: lambda n: graph.pagerank(implementation="arpack")
            ),
        },
        seconds=3,
        least=2,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
def test_personalised_pagerank(benchmark, name):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    sources = np.random.default_rng(0).integers(0, nodes, SOURCES)

    def by_igraph(graph):
        return lambda n: [graph.personalized_pagerank(reset_vertices=[s]) for s in sources.tolist()]

    def by_networkx(module, graph):
        return lambda n: [
            module.pagerank(graph, personalization={s: 1.0}) for s in sources[:10].tolist()
        ]

    turns(
        benchmark,
        "Personalised PageRank",
        {"graph": name, "sources": SOURCES, "walks of each": 1024},
        {
            "sortes, 32 largest": lambda n: ppr(graph, sources, top_k=32, rng=n, num_threads=1),
            "sortes, all": lambda n: ppr(graph, sources, rng=n, num_threads=1),
            "sortes, iid": lambda n: ppr(
                graph, sources, coupling="iid", termination="iid", rng=n, num_threads=1
            ),
        },
        {
            "igraph, PRPACK": of_igraph(pairs, nodes, by_igraph),
            "networkx, 10 sources": of_networkx(pairs, nodes, by_networkx),
        },
        seconds=3,
        least=2,
    )


@pytest.mark.parametrize("name", ["cora", "facebook"])
@pytest.mark.parametrize("k", [3, 4])
def test_graphlets(benchmark, name, k):
    pairs, nodes = edges(name)
    graph = Graph.from_edge_index(pairs, nodes)
    found = graphlet_concentration(graph, k, num_steps=1000, rng=0)
    rarest = "triangle" if k == 3 else "clique4"
    share = found.concentrations[rarest]
    turns(
        benchmark,
        "Graphlets",
        {
            "graph": name, "k": k, "moves": 128_000,
            "relative error": f"{share.stderr / share.value:.3f}, {rarest}",
        },
        {
            "sortes": lambda n: graphlet_concentration(
                graph, k, num_steps=1000, rng=n, num_threads=1
            ),
            "sortes, iid": lambda n: graphlet_concentration(
                graph, k, num_steps=1000, coupling="iid", rng=n, num_threads=1
            ),
        },
        {
            "igraph, exact": "counting takes minutes"
            if (name, k) == ("facebook", 4)
            else of_igraph(pairs, nodes, lambda graph: lambda n: graph.motifs_randesu(k))
        },
        seconds=3,
        least=2,
    )  # fmt: skip
