"""Penalties, samplers with a state and basis-aware truncation in a process with little memory."""

import starved

SETUP = """
import numpy as np
from sortes.decode import *

rng = np.random.default_rng(0)
row = rng.normal(0, 2, 1_000_000).astype(np.float32)
ids, rows = rng.integers(0, 7, 1_000_000), np.broadcast_to(row[:4], (300_000, 4))
features = np.c_[rng.normal(size=(400_000, 5)), np.ones(400_000)].astype(np.float32)
basis = BasisAwareSampler.from_features(features)
state, adaptive = basis.to_bytes(), AdaptiveP(0.4)
logits = row[:400_000]
basis.sample(np.stack([logits] * 3), eta_cutoff=0.5, rng=0, num_threads=2)
"""
CALLS = """
    lambda: penalize(row, ids, repetition_penalty=1.2, num_threads=1),
    lambda: penalize(row, ids, dry_multiplier=0.8, num_threads=1),
    lambda: penalize(row, ids, no_repeat_ngram_size=3, num_threads=1),
    lambda: penalize(rows, np.zeros((300_000, 1), int), presence_penalty=0.1),
    lambda: adaptive.sample(row, rng=0),
    lambda: Mirostat().sample(row, rng=0),
    lambda: BasisAwareSampler.from_features(features),
    lambda: BasisAwareSampler.from_bytes(state),
    lambda: basis.to_bytes(),
    lambda: basis.features,
    lambda: basis.sample(logits, eta_cutoff=0.5, rng=0, num_threads=1),
    lambda: basis.sample(np.broadcast_to(logits, (3, 400_000)), eta_cutoff=0.01, num_threads=2),
    lambda: basis.cutoffs(logits, eta_cutoff=0.5, num_threads=1),
    lambda: basis.critical(logits, [1, 2, 3], num_threads=1),
    lambda: basis.certificate(logits, 5, 0.3),
"""


@starved.linux_only
def test_without_memory_calls_are_refused_and_the_process_lives():
    assert starved.refused(SETUP, CALLS, [mib * starved.MIB for mib in (1, 3, 6, 20)]) > 15
