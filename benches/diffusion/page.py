"""The model returns the same prediction each time: what is measured is all else, on one thread of
the CPU. Batches are of 4 x 64 x 64 numbers in float32.
"""

import math

from benches.report import ms

PEERS = ("torch", "diffusers")


def brief(records):
    """Return a line on 20 steps beside diffusers."""
    ratios = [
        record["multiples"]["diffusers"]
        for record in records
        if record["case"].get("batch") == 1 and "diffusers" in record["multiples"]
    ]
    loops = [
        record["ms"]["sortes"]
        for record in records
        if record["case"].get("solver") == "dpmpp_2m" and record["case"].get("batch") == 1
    ]
    if not ratios or not loops:
        return []
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return [
        f"20 steps of DPM-Solver++ 2M beside the model: {ms(loops[0])} ms; over {len(ratios)}"
        f" solvers diffusers takes {mean:.0f} times as long, as a geometric mean.",
        "",
    ]
