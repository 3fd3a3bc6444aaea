"""Weights of distinct samples beside NumPy."""

import numpy as np
import pytest
from sortes import sequences

from benches.sequences import references
from benches.turns import judge, turns

LONGEST = 50.0  # microseconds, of the weights of a set of ten


@pytest.mark.parametrize("k", [10, 12])
@pytest.mark.parametrize("name", ["threshold_weights", "unordered_set_weights"])
def test_weights(benchmark, name, k):
    p = np.random.default_rng(1).random(k)
    logprobs = np.log(0.7 * p / p.sum())
    given = (logprobs, -1.0) if name == "threshold_weights" else (logprobs,)
    ours, theirs = getattr(sequences, name), getattr(references, name)
    np.testing.assert_allclose(ours(*given), theirs(*given), rtol=1e-9)
    record = turns(
        benchmark,
        "Weights of distinct samples",
        {"function": name, "samples": k},
        {"sortes": lambda turn: ours(*given)},
        {"NumPy": lambda turn: theirs(*given)},
        seconds=0.3,
    )
    if name == "unordered_set_weights" and k == 10:
        judge(record, "us", LONGEST, 1e3 * record["ms"]["sortes"])
