"""The evidence of ManyWell in 32 dimensions, beside nested slice sampling of BlackJAX.

Both begin from the same normal. Their errors differ: the product of time and squared standard error
does not depend on the number of particles, and is what to compare.
"""

import time

import numpy as np
from sortes.mcmc import ManyWell, Normal, Slice, smc

from benches.mcmc.nested import DIM, SCALE
from benches.turns import judge, turns


def test_evidence(benchmark, apart):
    target, reference = ManyWell(DIM), Normal(np.zeros(DIM), scale=SCALE)
    found = {}

    def ours(i):
        began = time.perf_counter()
        result = smc(target, Slice(), reference, path="geometric", num_particles=4096,
                     num_mcmc_steps=2, rng=i, num_threads=2)  # fmt: skip
        return time.perf_counter() - began, *result.log_z

    def seconds(turn, n):
        took, *evidence = turn(n)
        found.setdefault(turn, []).append(evidence)
        return took

    names = ("nss", "nsswig")
    others = {f"blackjax {name}": apart("pymc6", "nested.py", name) for name in names}
    record = turns(
        benchmark,
        "Evidence, two threads",
        {"target": "ManyWell", "dimensions": DIM},
        {"sortes": ours},
        others,
        goal={"blackjax nss": 1 / 5},
        clock=seconds,
        seconds=8,
        least=3,
        most=10,
    )
    known = {name: np.array(found[turn]) for name, turn in [("sortes", ours), *others.items()]
             if turn in found}  # fmt: skip
    off = {name: runs[:, 0] - target.log_z for name, runs in known.items()}
    record["more"] = {
        "root mean squared error": {k: float(np.sqrt(np.mean(e**2))) for k, e in off.items()},
        "standard error": {name: float(runs[:, 1].mean()) for name, runs in known.items()},
    }
    judge(record, "from the log evidence at most", 0.1, float(np.abs(off["sortes"]).max()))
