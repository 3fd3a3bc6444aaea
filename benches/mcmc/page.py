"""Chains of all tools have the same law, and each tool has compiled the density itself. *A draw* is
there an effective one, of the coordinate that has the fewest, without what is compiled: its time is
seconds over effective draws. *done / used* is above one where chains wait for each other, and
*draws / effective* is the integrated autocorrelation time. Spins, Polya-Gamma variables and
resampling are in processor time; polyagamma draws exactly for small integer shapes alone, and has a
wrong law where its name says so. A row of overhead is a million evaluations, or transitions.
"""

from benches.report import near

PEERS = (
    *("scipy", "torch", "scikit-learn", "numba", "polyagamma", "particles"),
    *("pymc", "blackjax", "jax", "emcee", "zeus-mcmc", "dwave-samplers", "thrml"),
)
SECTIONS = {
    "Slice samplers beside BlackJAX, 64 chains": "blackjax",
    "PyMC models, 4 chains with their warm-up": "PyMC Slice",
}


def brief(records):
    """Return a line on effective draws beside BlackJAX and PyMC."""
    ranges = {}
    for record in records:
        name = SECTIONS.get(record["section"])
        if name in record["multiples"]:
            ranges.setdefault(name, []).append(record["multiples"][name])
    if not ranges:
        return []
    said = [f"{near(min(of))} to {near(max(of))} times {name}" for name, of in ranges.items()]
    return [f"Effective draws a second of slice samplers: {', '.join(said)}.", ""]
