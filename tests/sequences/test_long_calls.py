"""Calls on very many codes or samples answer Ctrl-C, and leave the codes as they were."""

import pytest
from sigint import interrupt, needs_sigint

SCRIPT = """
import numpy as np
from sortes.sequences import *
{setup}
print("working", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", {after}, flush=True)
"""
SAMPLES = "logs = np.log(np.random.default_rng(0).dirichlet(np.ones(3_000_000))[1:])"
CALLS = {
    "a step of many codes": (
        "codes = ArithmeticCodes(1, 4_000_000, rng=0)\n"
        "logits = np.broadcast_to(np.arange(4, dtype=np.float32), (len(codes), 4))",
        "codes.copy().step(logits, num_threads=1)",
        "codes.steps == 0",
    ),
    "a step of rows of ties": (
        "codes = ArithmeticCodes(1, 2000, rng=0)\nlogits = np.zeros((2000, 20_000), np.float32)",
        "codes.copy().step(logits, top_p=0.9)",
        "codes.steps == 0",
    ),
    "weights of a set": (SAMPLES, "unordered_set_weights(logs, num_threads=1)", "True"),
    "weights by a threshold": (SAMPLES, "threshold_weights(logs, -20.0, num_threads=1)", "True"),
}


@pytest.mark.slow
@needs_sigint
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wait", [0.05, 0.4])
def test_ctrl_c_is_answered_within_half_a_second(name, wait):
    setup, call, after = CALLS[name]
    script = SCRIPT.format(setup=setup, call=call, after=after)
    assert interrupt(script, wait) == ["interrupted True"]
