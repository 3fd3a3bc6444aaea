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
tokens = [b"%05x" % i for i in range(100_000)] + [bytes([b]) for b in range(256)]
vocabulary = Vocabulary(tokens, eos_token_id=0)
long = TokenAutomaton("[a-f0-9]{2,3000}", vocabulary)
long.shortest(long.start)
states = np.arange(1, 2000)

def grow():
    try:
        TokenAutomaton("(a|b)*a(a|b){40}", vocabulary)
    except ValueError:  # it is too large, if there is memory for it
        pass

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
    lambda: Vocabulary(tokens, eos_token_id=0),
    lambda: TokenAutomaton(r"\\w+@[a-z]{3,9}", vocabulary),
    lambda: TokenAutomaton(r"(?i)[\\pL\\d]{0,500}", vocabulary),
    lambda: grow(),
    lambda: TokenAutomaton("[a-f0-9]{5,2000}", vocabulary).shortest(1),
    lambda: long.mask(states, num_threads=1),
    lambda: long.mask(states, max_tokens=5, num_threads=1),
"""


@starved.linux_only
def test_without_memory_calls_are_refused_and_the_process_lives():
    assert starved.refused(SETUP, CALLS, [mib * starved.MIB for mib in (1, 3, 6, 10, 70)]) > 20
