"""Codes, draws and weights in a process with little memory."""

import starved

SETUP = """
import numpy as np
from sortes import Stream
from sortes.sequences import *

row = np.random.default_rng(0).normal(0, 2, 1_000_000).astype(np.float32)
few = {order: ArithmeticCodes(1, 1, token_order=order, rng=0)
       for order in ("id", "probability", "random")}
many, rows = ArithmeticCodes(1000, 300, rng=0), np.broadcast_to(row[:4], (300_000, 4))
state = many.to_bytes()
many.copy().step(rows, num_threads=2)  # the threads are there
streams = Stream(0).split(300_000)
samples = np.log(np.random.default_rng(0).dirichlet(np.ones(1_000_000))[1:])
gumbel_topk(rows[:3], 1, rng=streams[:3])
unordered_set_weights(samples[:99])
"""
CALLS = """
    lambda: ArithmeticCodes(1000, 300, codebook="stratified", rng=0),
    lambda: arithmetic_codes(1_000_000, rng=0),
    lambda: few["id"].copy().step(row[None], num_threads=1),
    lambda: few["probability"].copy().step(row[None], num_threads=1),
    lambda: few["random"].copy().step(row[None], num_threads=1),
    lambda: many.copy().step(rows, num_threads=1),
    lambda: many.codes,
    lambda: many.to_bytes(),
    lambda: ArithmeticCodes.from_bytes(state),
    lambda: gumbel_topk(rows, 1, rng=streams, num_threads=1),
    lambda: gumbel_topk(row, 1_000_000, rng=0, num_threads=1),
    lambda: conditional_gumbel(samples, 0.0, rng=0, num_threads=1),
    lambda: threshold_weights(samples, -20.0, num_threads=1),
    lambda: unordered_set_weights(samples, num_threads=1),
"""


@starved.linux_only
def test_without_memory_calls_are_refused_and_the_process_lives():
    assert starved.refused(SETUP, CALLS, [mib * starved.MIB for mib in (1, 3, 6, 10)]) > 20
