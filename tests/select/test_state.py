"""Objects that calls change: in signal handlers, callbacks, threads, forks, and without memory."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from sortes.select import BottomK, DynamicWeights, Reservoir, VarOpt
from test_fork import exit_status_of_a_fork

N = 3_000_000
W = np.random.default_rng(0).exponential(size=N)
IDS = np.arange(N)

#: An object, a long call that changes it, and a look at it.
BUSY = {
    "dynamic": (
        lambda: DynamicWeights(W),
        lambda x, **kw: x.update(IDS, W, **kw),
        lambda x: x.total,
    ),
    "pop": (
        lambda: DynamicWeights(W),
        lambda x, **kw: x.pop(N // 8, rng=0, **kw),
        lambda x: len(x),
    ),
    "reservoir": (
        lambda: Reservoir(1000, rng=0),
        lambda x, **kw: x.update(W, **kw),
        lambda x: x.seen,
    ),
    "bottom-k": (
        lambda: BottomK(N // 4, rng=0),
        lambda x, **kw: x.update(IDS, W, **kw),
        lambda x: x.n,
    ),
    "var-opt": (
        lambda: VarOpt(N // 4, rng=0),
        lambda x, **kw: x.update(IDS, W, **kw),
        lambda x: x.n,
    ),
}
busy = pytest.mark.parametrize(("make", "work", "look"), BUSY.values(), ids=BUSY)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@busy
def test_a_signal_handler_may_look_during_a_long_call(make, work, look):
    one, seen = make(), []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(look(one)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        work(one)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(seen) <= {look(one), look(make())}


@busy
def test_a_progress_callback_may_look_at_the_object(make, work, look):
    one, seen = make(), []
    work(one, progress=lambda done, total: seen.append((done, total, look(one))))
    done, total, last = seen[-1]
    assert done == total > 0
    assert last == look(one)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@busy
def test_a_fork_during_a_long_call_does_not_hang(make, work, look):
    """In the child the object is whole, or says that it is lost."""
    one, stop = make(), threading.Event()

    def run():
        while not stop.is_set():
            work(one)

    def child():
        try:
            look(one)
        except RuntimeError as error:
            return "when the process forked" in str(error)
        return True

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert [exit_status_of_a_fork(child) for _ in range(4)] == [0] * 4
    finally:
        stop.set()
        thread.join()
    assert exit_status_of_a_fork(lambda: look(one) == look(one)) == 0


STARVED = """
import resource
import numpy as np
from sortes.select import *
n = 30_000_000
w = np.full(n, 0.5)
sketch = BottomK(2_000_000, rng=0).update(np.arange(2_000_000))
choice(w[:9], 3, rng=0)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + ({mb} << 20)
resource.setrlimit(resource.RLIMIT_AS, (size, size))
refused = 0
for call in (
    lambda: choice(w, n, num_threads=1),
    lambda: choice(w, 15_000_000, replace=False, rng=0, num_threads=1),
    lambda: weighted_keys(w, rng=0, num_threads=1),
    lambda: AliasTable(w, precision="wide", num_threads=1),
    lambda: AliasTable(w, num_threads=1),
    lambda: DynamicWeights(w, num_threads=1),
    lambda: Reservoir(n).update(w, num_threads=1),
    lambda: stochastic_acquisition(w, 9, num_threads=1),
    lambda: stochastic_acquisition(w, 9, strategy="softrank", rng=0, num_threads=1),
    lambda: acquisition_probs(w, num_threads=1),
    lambda: BottomK(4_000_000, rng=0).update(np.arange(4_000_000), num_threads=1),
    lambda: VarOpt(4_000_000, rng=0).update(np.arange(4_000_000), num_threads=1),
    sketch.copy, sketch.to_bytes, sketch.sample,
    lambda: sketch.merge(BottomK(2_000_000, rng=0)),
    lambda: RS2Sampler(n, n // 2).indices(),
):
    try:
        call()
    except MemoryError:
        refused += 1
print(refused, sketch.n, BottomK(3, rng=0).update([1, 2]).n)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the size of the process")
@pytest.mark.parametrize("mb", [40, 150])
def test_what_cannot_be_allocated_is_an_error(mb):
    done = subprocess.run(
        [sys.executable, "-c", STARVED.format(mb=mb)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    refused, *left = map(int, done.stdout.split())
    assert refused > 5
    assert left == [2_000_000, 2]
