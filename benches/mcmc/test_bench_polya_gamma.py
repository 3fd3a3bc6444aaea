"""Polya-Gamma variables beside the package polyagamma.

Its default method is exact, in single precision, for small integer shapes alone; it is biased for
tilts above 177 (``findings/polyagamma_large_tilts.sh``), where the name says so. For large shapes
it takes a saddle-point approximation, whose time does not grow with the shape: a yardstick.
"""

import numpy as np
import pytest
from sortes.mcmc import random_polyagamma

from benches.turns import judge, peer, processor, turns

N = 200_000
#: Nanoseconds of a draw, by shape and tilt.
GOALS = {(1, 1.0): 50, (2.7, 1.0): 200}


@pytest.mark.parametrize("c", [0.0, 1.0, 10.0, 200.0, "0.5 to 5"])
@pytest.mark.parametrize("b", [0.5, 1, 1.7, 2.7, 7.5, 40.2])
def test_draws(benchmark, b, c):
    tilts = np.linspace(0.5, 5, N) if isinstance(c, str) else c
    n = N if b < 10 else N // 10
    tilts = tilts[:n] if isinstance(c, str) else tilts
    theirs = peer("polyagamma", lambda m: lambda i: m.random_polyagamma(b, tilts, size=n))
    name = "polyagamma, wrong law" if c == 200.0 else "polyagamma"
    record = turns(
        benchmark,
        "Polya-Gamma variables",
        {"draws": n, "b": b, "c": c},
        {"sortes": lambda i: random_polyagamma(b, tilts, size=n, rng=i, num_threads=1)},
        {} if b > 10 else {name: theirs},
        yardsticks={name: theirs} if b > 10 else {},
        goal={} if b > 10 else {name: 1.0},
        seconds=0.3,
        most=20,
        clock=processor,
    )
    if (b, c) in GOALS:
        judge(record, "ns a draw", GOALS[b, c], 1e6 * record["ms"]["sortes"] / n)
