"""A child of a process that used its threads can use its own."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import sortes
from sortes._core import _testing

N = 10_000
SUM = N * (N - 1) // 2

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def exit_status_of_a_fork(work, seconds=5.0):
    """Runs `work` in a forked child; None if it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads alive
        pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


# One row never enters the pool, so it alone would hide the hang.
@pytest.mark.parametrize("rows", [1, N])
@pytest.mark.parametrize("parent_threads", [1, 2, 4])
def test_a_forked_child_works(rows, parent_threads):
    expected = rows * (rows - 1) // 2
    assert _testing.parallel_sum(N, parent_threads) == SUM
    assert exit_status_of_a_fork(lambda: _testing.parallel_sum(rows, 2) == expected) == 0
    assert _testing.parallel_sum(N, parent_threads) == SUM


def test_a_grandchild_works():
    def child():
        own = _testing.parallel_sum(N, 2) == SUM
        return own and exit_status_of_a_fork(lambda: _testing.parallel_sum(N, 3) == SUM) == 0

    assert _testing.parallel_sum(N, 2) == SUM
    assert exit_status_of_a_fork(child, seconds=10) == 0


@pytest.mark.parametrize("rows", [1, 16])
def test_a_forked_child_samples(rows):
    logits = np.random.default_rng(0).normal(0, 2, (rows, 140_000)).astype(np.float32)

    def draws():
        return sortes.sample(logits, top_p=0.9, rng=5, num_threads=2)

    expected = draws()  # long enough for the pool, as one row and as many
    assert exit_status_of_a_fork(lambda: np.array_equal(draws(), expected)) == 0


SCRIPT = """
import multiprocessing, sys
from sortes._core import _testing

def work(n):
    return _testing.parallel_sum(n, 2)

if __name__ == "__main__":
    assert work(10_000) == 49_995_000
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        sums = pool.map_async(work, [1, 10_000, 10_000]).get(timeout=50)
    assert sums == [0, 49_995_000, 49_995_000]
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(tmp_path, method):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, method], timeout=60, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


FIRST_CALLS = """
import os, threading
import numpy as np
from sortes import sample  # Python's own locks do not survive a fork during an import

logits = np.zeros((2000, 100), np.float32)
stop = threading.Event()

def work():
    while not stop.is_set():
        sample(logits, rng=0, num_threads=1)

thread = threading.Thread(target=work)
thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if sample(logits[:2], rng=0).shape == (2,) else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
"""


@pytest.mark.parametrize("_", range(5))
def test_a_fork_during_the_first_calls_of_a_process(_):
    """What the first call would make for all others is there when the package is."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST_CALLS],
        timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
