"""Results do not depend on threads; long calls report progress and answer Ctrl-C."""

from functools import partial

import numpy as np
import pytest
from sigint import interrupt, needs_sigint
from sortes import pool
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
REWARDS = RNG.random((700, 40))
ANSWERS, RIGHT = RNG.integers(0, 6, (700, 40)), RNG.integers(0, 6, 700)
LOGS = np.log(RNG.dirichlet(np.ones(60), 300)[:, :20])
K = np.array([1, 7, 10])


def distinct(correct, logprobs, **o):
    return np.stack(pass_at_k_distinct(correct, logprobs, K, **o), -1)


#: What works row by row, and the rows.
ROWS = {
    "pass_at_k": (lambda n, c, **o: pass_at_k(n, c, 10, **o), N, C),
    "pass_at_k, one n": (lambda c, **o: pass_at_k(3000, c, 100, **o), C),
    "pass_hat_k": (lambda n, c, **o: pass_hat_k(n, c, 10, **o), N, C),
    "pass_at_k_variance": (lambda n, c, **o: pass_at_k_variance(n, c, 10, **o), N, C),
    "max_at_k": (lambda x, **o: max_at_k(x, K, **o), SCORES),
    "max_at_k, weighted": (lambda x, w, **o: max_at_k(x, K, weights=w, **o), SCORES, WEIGHTS),
    "best_of_k": (lambda x, r, **o: best_of_k(x, r, K, **o), SCORES, REWARDS),
    "best_of_k, weighted": (
        lambda x, r, w, **o: best_of_k(x, r, K, weights=w, **o),
        *(SCORES, REWARDS, WEIGHTS),
    ),
    "majority_at_k": (lambda a, right, **o: majority_at_k(a, right, K, **o), ANSWERS, RIGHT),
    "majority_at_k, weighted": (
        lambda a, right, w, **o: majority_at_k(a, right, K, weights=w, **o),
        *(ANSWERS, RIGHT, WEIGHTS),
    ),
    "pass_at_k_distinct": (distinct, ANSWERS[:300, :20] == 2, LOGS),
}
#: What makes one result of all rows, or has none.
TOGETHER = {"average", "beta_binomial_fit", "coverage_fit", "problems_needed", "samples_needed"}
TOGETHER |= {"resample_value"} | {name for name in pool.__all__ if name[0].isupper()}
CALLS = {name: partial(call, *rows) for name, (call, *rows) in ROWS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_threads_change_nothing(name):
    alone = CALLS[name](num_threads=1)
    for threads in (2, 7):
        assert CALLS[name](num_threads=threads).tobytes() == alone.tobytes()


@pytest.mark.parametrize("name", ROWS)
def test_rows_do_not_depend_on_the_others(name):
    """Each row alone gives what it gives among the others."""
    call, *columns = ROWS[name]
    for row, among_others in zip(zip(*columns, strict=True), call(*columns), strict=True):
        assert np.asarray(call(*row)).tobytes() == among_others.tobytes()


def test_everything_that_works_by_rows_is_tried():
    assert {name.partition(",")[0] for name in ROWS} | TOGETHER == set(pool.__all__)


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
@needs_sigint
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c(name):
    assert interrupt(SCRIPT.format(call=LONG[name])) == ["interrupted"]
