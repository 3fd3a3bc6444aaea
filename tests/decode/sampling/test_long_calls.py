"""Long calls: Ctrl-C, progress, little memory; outputs in the memory of inputs."""

import signal
import time

import numpy as np
import pytest
import starved
from decode.rules import ALONE
from sortes.decode import (
    critical,
    cutoffs,
    distribution,
    draw,
    keep_mask,
    row_stats,
    sample,
    truncate,
)

ROW = np.random.default_rng(0).normal(0, 2, (1, 50_000)).astype(np.float32)

#: Functions that work row by row.
CALLS = {
    "sample": lambda x, **o: sample(x, rng=0, top_p=0.9, **o),
    "details": lambda x, **o: sample(x, rng=0, top_p=0.9, logprobs=5, **o),
    "draw": lambda x, **o: draw(x, 0.5, typical_p=0.9, **o),
    "truncate": lambda x, **o: truncate(x, top_p=0.9, **o),
    "scaled": lambda x, **o: truncate(x, top_p=0.9, temperature=0.7, scaled=True, **o),
    "keep_mask": lambda x, **o: keep_mask(x, eta_cutoff=1e-3, **o),
    "cutoffs": lambda x, **o: cutoffs(x, tfs=0.9, **o),
    "distribution": lambda x, **o: distribution(x, xtc_probability=0.5, **o),
    "row_stats": lambda x, **o: row_stats(x, **o),
    "critical": lambda x, **o: critical(x, rule="top_p", **o),
}
calls = pytest.mark.parametrize("name", CALLS)


@calls
def test_progress_reaches_the_total(backend, name):
    units = []
    report = {"progress": lambda done, total: units.append((done, total))}
    x = backend.convert(np.repeat(ROW[:, :300], 7, axis=0))
    with backend.watched():
        CALLS[name](x, **report)
        CALLS[name](x[0], **report)
    assert units[-1] == (1, 1)
    assert (7, 7) in units


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@calls
def test_ctrl_c_is_answered_within_half_a_second(name):
    # So many rows that the call would take minutes, in the memory of one.
    rows = (
        4000 if name in ("truncate", "scaled", "keep_mask", "distribution", "critical") else 10**6
    )
    x, sent = np.broadcast_to(ROW, (rows, ROW.size)), []

    def stop(*_):
        sent.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            CALLS[name](x, num_threads=1)
            time.sleep(1)  # the call was shorter than that
        except KeyboardInterrupt:
            pass
        answered = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # The handler runs as soon as the interpreter may, and that is when the work has stopped.
    assert answered - sent[0] < 0.5


SETUP = """
import numpy as np
from sortes.decode import *

n = 1_500_000
row = np.random.default_rng(0).normal(0, 2, n).astype(np.float32)
flat, half, mask = np.zeros(n, np.float32), row.astype(np.float16), np.ones(n, bool)
rows = np.broadcast_to(row[:10], (3_000_000, 10))
rules = {rules}
sample(rows[:4], rng=0, num_threads=2)
"""
STARVED = """
    *[lambda args=args: keep_mask(row, rng=0, num_threads=1, **args) for args in rules],
    *[lambda args=args: keep_mask(flat, rng=0, num_threads=1, **args) for args in rules],
    *[lambda args=args: keep_mask(row, rng=0, num_threads=2, **args) for args in rules],
    lambda: sample(half, rng=0, num_threads=1),
    lambda: sample(row, mask=mask, rng=0, num_threads=1),
    lambda: sample(row, rng=0, logprobs=10_000_000),
    lambda: sample(flat, rng=0, logprobs=1_000_000, num_threads=1),
    lambda: sample(rows, rng=0, num_threads=1),
    lambda: sample(rows, rng=0, logprobs=3, num_threads=1),
    lambda: truncate(row, top_p=0.9, temperature=0.5, scaled=True, num_threads=1),
    lambda: distribution(row, num_threads=1),
    lambda: cutoffs(rows, num_threads=1),
    lambda: row_stats(rows, num_threads=1),
    lambda: critical(row, rule="top_p", num_threads=1),
    lambda: Rules(top_p=np.full(4_000_000, 0.5)),
"""


@starved.linux_only
def test_without_memory_calls_are_refused_and_the_process_lives():
    setup = SETUP.replace("{rules}", repr(list(ALONE.values())))
    spares = [mib * starved.MIB for mib in (1, 6, 20, 60)]
    assert starved.refused(setup, STARVED, spares) > 20


@pytest.mark.parametrize("logprobs", [2**40, 2**62])
def test_more_logprobs_than_memory(logprobs):
    for function in (lambda **o: sample(ROW, rng=0, **o), lambda **o: draw(ROW, 0.5, **o)):
        with pytest.raises((MemoryError, ValueError)):
            function(logprobs=logprobs)


@calls
def test_results_larger_than_memory(name):
    x = np.broadcast_to(np.zeros((1, 10), np.float32), (10**12, 10))
    with pytest.raises(MemoryError):
        CALLS[name](x)


def test_outputs_must_not_overlap_inputs():
    memory = np.zeros((4, 50), np.float32)
    memory[:3] = ROW[0, :150].reshape(3, 50)
    logits = memory[:3]
    for out in (memory[1:], memory.reshape(-1)[1:151].reshape(3, 50)):
        with pytest.raises(ValueError, match=r"^out: overlaps logits"):
            truncate(logits, top_k=5, out=out)
    for row in range(3):
        with pytest.raises(ValueError, match=r"^out: overlaps logits"):
            sample(logits, rng=0, out=logits[row, :6].view(np.int64))
    allowed = np.ones((3, 200), bool)
    out = allowed.view(np.float32)
    with pytest.raises(ValueError, match=r"^out: overlaps mask"):
        truncate(logits, mask=allowed.reshape(-1)[:150].reshape(3, 50), out=out)
    with pytest.raises(ValueError, match=r"^out: must be C-contiguous"):
        truncate(logits, out=np.lib.stride_tricks.as_strided(memory[3], (3, 50), (0, 4)))
    # The logits themselves are fine, to the last byte.
    wanted = truncate(logits, top_k=5)
    assert truncate(logits, top_k=5, out=logits) is logits
    np.testing.assert_array_equal(logits, wanted)
