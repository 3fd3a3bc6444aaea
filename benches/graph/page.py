"""Every contender makes as many moves, which the table names. Peers that make one walk in a call
are called from a loop, as their users do. One whose name has *another law* does not draw from that
of node2vec. The floor writes the walks. PecanPy runs in an environment of its own, with an older
NumPy, and its time is without what it compiles and the lists of strings that it returns.
"""

from benches.report import ms

PEERS = (
    *("networkx", "igraph", "rustworkx", "torch-cluster", "scipy"),
    "fast-graph-gp",
)


def brief(records):
    """Return a line on the walks of Cora."""
    mine = [r for r in records if r["section"] == "Walks" and r["case"].get("graph") == "cora"]
    if not mine:
        return []
    record = mine[0]
    took, moves = record["ms"]["sortes"], record["case"]["moves"]
    return [
        f"{moves:,} moves of random walks on Cora: {ms(took)} ms, {moves / took / 1e3:.0f} million"
        " a second, one thread.",
        "",
    ]
