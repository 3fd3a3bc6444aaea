"""Objects that calls change: in signal handlers, callbacks, threads and forks."""

import os
import signal
import threading

import numpy as np
import pytest
from sortes import Rules, sample
from sortes.select import BottomK, DynamicWeights, PivotalSampler, Reservoir, VarOpt
from test_fork import exit_status_of_a_fork

N = 3_000_000
W = np.random.default_rng(0).exponential(size=N)
IDS = np.arange(N)
PI = np.full(N // 8, 1e-4)  # few are selected: a state that does not grow with the calls
LOGITS = np.broadcast_to(W[:20_000].astype(np.float32), (2000, 20_000))

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
    "pivotal": (
        lambda: PivotalSampler(rng=0),
        lambda x, **kw: x.update(PI, **kw),
        lambda x: x.to_bytes(),
    ),
    "rules and the pool": (
        lambda: Rules(top_p=0.9),
        lambda x, **kw: sample(LOGITS, rules=x, rng=0, num_threads=2, **kw),
        lambda x: sample(LOGITS[:16], rules=x, rng=0, num_threads=2).sum(),
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
        assert [exit_status_of_a_fork(child, seconds=20) for _ in range(9)] == [0] * 9
    finally:
        stop.set()
        thread.join()
    assert exit_status_of_a_fork(lambda: look(one) == look(one), seconds=20) == 0
