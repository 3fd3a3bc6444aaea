"""Estimate sums over data that lie in pieces, from a sample of each piece.

    python examples/merge_shards.py

Three machines, here three arrays, each sketch their own sales. The sketches travel as bytes,
merge, and answer what nobody asked before: how much was sold in a region, and how sure is that?
"""

import numpy as np
from sortes.select import BottomK

SALES, KEPT = 200_000, 2_000


def shard(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, amounts and regions of the sales that one machine has seen."""
    rng = np.random.default_rng(number)
    ids = np.arange(number * SALES, (number + 1) * SALES)
    return ids, rng.lognormal(3, 1.5, SALES), rng.integers(0, 5, SALES)


def main() -> None:
    """Sketch, send, merge, ask."""
    merged = BottomK(KEPT, rng=7)
    for number in range(3):
        ids, amounts, regions = shard(number)
        message = BottomK(KEPT, rng=7).update(ids, amounts, regions).to_bytes()
        print(f"shard {number}: {SALES:,} sales in {len(message):,} bytes")
        merged = merged.merge(BottomK.from_bytes(message))
    for region in range(5):
        estimate = merged.estimate(lambda sample, region=region: sample.values == region)
        truth = sum(shard(n)[1][shard(n)[2] == region].sum() for n in range(3))
        print(
            f"region {region}: {estimate.value:12,.0f} +- {estimate.stderr:9,.0f}   "
            f"in truth {truth:12,.0f}"
        )


if __name__ == "__main__":
    main()
