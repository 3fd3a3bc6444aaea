"""Results do not depend on threads; long calls report progress and answer Ctrl-C."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sortes.pool import (
    best_of_k,
    beta_binomial_fit,
    majority_at_k,
    max_at_k,
    pass_at_k,
    pass_at_k_distinct,
    pass_at_k_variance,
    pass_hat_k,
)

RNG = np.random.default_rng(0)
N = RNG.integers(20, 3000, 20_000)
C = RNG.integers(0, N + 1)
SCORES = RNG.integers(0, 50, (700, 40)) / 7
WEIGHTS = RNG.random((700, 40))
ANSWERS = RNG.integers(0, 6, (700, 40))
LOGS = np.log(RNG.dirichlet(np.ones(60), 300)[:, :20])
K = np.array([1, 7, 10])

CALLS = {
    "pass@k": lambda **o: pass_at_k(N, C, 10, **o),
    "pass@k, one n": lambda **o: pass_at_k(3000, C, 100, **o),
    "pass^k": lambda **o: pass_hat_k(N, C, 10, **o),
    "variance": lambda **o: pass_at_k_variance(N, C, 10, **o),
    "max@k": lambda **o: max_at_k(SCORES, K, **o),
    "weighted": lambda **o: max_at_k(SCORES, K, weights=WEIGHTS, **o),
    "best-of-k": lambda **o: best_of_k(SCORES, WEIGHTS, K, **o),
    "majority": lambda **o: majority_at_k(ANSWERS, 2, K, **o),
    "distinct": lambda **o: pass_at_k_distinct(ANSWERS[:300, :20] == 2, LOGS, K, **o).value,
}


@pytest.mark.parametrize("name", CALLS)
def test_threads_change_nothing(name):
    alone = CALLS[name](num_threads=1)
    for threads in (2, 7):
        assert CALLS[name](num_threads=threads).tobytes() == alone.tobytes()


@pytest.mark.parametrize("name", CALLS)
def test_rows_do_not_depend_on_the_others(name):
    """Half of the rows give half of the results."""
    whole = CALLS[name]()
    if name == "pass@k":
        assert pass_at_k(N[5000:], C[5000:], 10).tobytes() == whole[5000:].tobytes()
    elif name == "majority":
        assert majority_at_k(ANSWERS[123], 2, K).tobytes() == whole[123].tobytes()
    elif name == "weighted":
        one = max_at_k(SCORES[123], K, weights=WEIGHTS[123])
        assert one.tobytes() == whole[123].tobytes()
    elif name == "distinct":
        one = pass_at_k_distinct(ANSWERS[12, :20] == 2, LOGS[12], K)
        assert one.value.tobytes() == whole[12].tobytes()


@pytest.mark.parametrize("name", [*CALLS, "fit"])
def test_progress(name):
    calls = {**CALLS, "fit": lambda **o: beta_binomial_fit(N, C, **o)}
    seen = []
    calls[name](progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    with pytest.raises(ZeroDivisionError):
        calls[name](progress=lambda done, total: 1 / 0)


SCRIPT = """
import numpy as np
from sortes.pool import majority_at_k, max_at_k, pass_at_k, pass_at_k_distinct
rng = np.random.default_rng(0)
call = {call}
def progress(done, total):
    if progress.first:
        progress.first = False
        print("working", flush=True)
progress.first = True
try:
    call(progress)
    print("done", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
LONG = {
    "pass@k": "lambda p, c=rng.integers(2**20, 2**30, 2 * 10**7):"
    " pass_at_k(2**40, c, 2**25, progress=p, num_threads=1)",
    "max@k": "lambda p, x=rng.random((1, 4 * 10**7)): max_at_k(x, 5, progress=p, num_threads=1)",
    "majority": "lambda p, a=rng.integers(0, 300, 40_000):"
    " majority_at_k(a, 0, 20_000, progress=p, num_threads=1)",
    "distinct": "lambda p, x=-rng.random(3000) - 9: pass_at_k_distinct("
    "np.arange(3000) % 9 == 0, x, 1500, progress=p, num_threads=1)",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a SIGINT")
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c(name):
    script = SCRIPT.format(call=LONG[name])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout.readline() == "working\n"
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n"
            assert time.monotonic() - start < 0.5
        finally:
            child.kill()
