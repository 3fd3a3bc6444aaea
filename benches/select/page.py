"""Of seedings, *cost* is relative to scikit-learn's with as many trials (means), *after Lloyd* the
same after ten steps of Lloyd's algorithm (medians; of five seeds for the largest); *evaluations*
are distances per point, of which the textbook takes k, and *proposals* those for each centre. Of
whole fits, *inertia* is relative to scikit-learn's (medians).
"""

from benches.report import ms

PEERS = ("scikit-learn", "scipy", "torch", "datasketches")
LARGEST = {"trials": "one", "k": 1000}


def brief(records):
    """Return a line on the largest seeding."""
    mine = [record for record in records if record["case"].items() >= LARGEST.items()]
    if not mine:
        return []
    record = max(mine, key=lambda record: record["case"]["n"])
    case, took = record["case"], record["ms"]
    cost = record["more"]["cost"]["sortes"]
    return [
        f"k-means++ seeding of {case['n']:,} x {case['d']} points, k = {case['k']:,}:"
        f" {ms(took['sortes'])} ms, at {cost:.3f} of scikit-learn's cost; scikit-learn"
        f" {ms(took['scikit-learn'])} ms ({record['multiples']['scikit-learn']:.0f}).",
        "",
    ]
