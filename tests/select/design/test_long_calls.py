"""Every design honours the step, reports progress, and can be stopped."""

import signal
import time
from functools import partial

import numpy as np
import pytest
from sortes import Stream
from sortes.select import (
    PivotalSampler,
    allocate,
    conditional_poisson_odds,
    conditional_poisson_probabilities,
    conditional_poisson_sample,
    inclusion_probabilities,
    log_elementary_symmetric,
    mask_weights,
    neyman_allocation,
    pivotal_sample,
    poisson_sample,
    stratified_masks,
    stratified_sample,
    systematic_sample,
)

N = 5000
RNG = np.random.default_rng(0)
PI = np.append(RNG.random(N - 3) * 0.2, [0.0, 1.0, 0.5])
EVEN = np.full(N, 0.25)
ORDER = RNG.permutation(N)
COMB = np.stack([np.r_[0, N : 2 * N - 2], np.r_[1:N]], axis=1)
X = RNG.random((N, 3))
STRATA = RNG.integers(0, 7, N)
ODDS = RNG.exponential(size=N)

#: Calls that draw.
DRAWS = {
    "poisson": lambda **o: poisson_sample(PI, **o).indices,
    "systematic": lambda **o: systematic_sample(PI, **o).indices,
    "systematic in an order": lambda **o: systematic_sample(PI, order=ORDER, **o).indices,
    "pivotal": lambda **o: pivotal_sample(PI, **o).indices,
    "pivotal in an order": lambda **o: pivotal_sample(PI, order=ORDER, **o).indices,
    "pivotal, balanced": lambda **o: pivotal_sample(PI, order="tree", **o).indices,
    "pivotal over a tree": lambda **o: pivotal_sample(PI, order=COMB, **o).indices,
    "pivotal, local": lambda **o: pivotal_sample(PI, order="local", X=X, **o).indices,
    "conditional Poisson, odds": lambda **o: (
        conditional_poisson_sample(odds=ODDS, k=500, **o).indices
    ),
    "conditional Poisson, pi": lambda **o: conditional_poisson_sample(EVEN, **o).indices,
    "stratified": lambda **o: stratified_sample(STRATA, 900, **o).indices,
    "masks": lambda **o: stratified_masks(10, N, **o).masks,
}
#: Calls that compute.
SUMS = {
    "inclusion_probabilities": lambda **o: inclusion_probabilities(ODDS, 900, **o),
    "capped probabilities": lambda **o: inclusion_probabilities(ODDS**9, 900, **o),
    "tiny weights": lambda **o: inclusion_probabilities(ODDS * 1e-300, 900, **o),
    "conditional_poisson_probabilities": lambda **o: conditional_poisson_probabilities(
        ODDS, 500, **o
    ),
    "conditional_poisson_odds": lambda **o: conditional_poisson_odds(EVEN, **o),
    "log_elementary_symmetric": lambda **o: log_elementary_symmetric(ODDS, 20, **o),
    "allocate": lambda **o: allocate(ODDS, 9000, **o),
    "neyman_allocation": lambda **o: neyman_allocation(STRATA, ODDS, 900, **o),
    "update": lambda **o: PivotalSampler(rng=0).update(PI, **o),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_step_is_honoured(name):
    draw = DRAWS[name]
    first = draw(rng=Stream(7)).tolist()
    assert draw(rng=Stream(7), step=0).tolist() == first
    third = draw(rng=Stream(7), step=3).tolist()
    assert draw(rng=Stream(7).advance(3)).tolist() == third
    assert draw(rng=Stream(7).advance(1), step=2).tolist() == third
    assert third != first


@pytest.mark.parametrize("name", [*DRAWS, *SUMS])
def test_progress_reaches_the_total(name):
    calls = []
    options = {"rng": Stream(7)} if name in DRAWS else {}
    (DRAWS | SUMS)[name](progress=lambda *units: calls.append(units), **options)
    done, total = calls[-1]
    assert done == total
    # Some pass over the units several times, and count each pass.
    several = name.startswith("conditional") and name != "conditional_poisson_probabilities"
    assert (total >= N and total % N == 0) if several else total == N


def test_two_designs_of_one_seed_are_independent():
    """Poisson and stratified samples once read the same uniforms: the correlation was 1."""
    pi, strata, n = np.full(64, 0.5), np.zeros(64, int), 4000
    poisson, stratified = np.zeros((n, 64)), np.zeros((n, 64))
    for seed in range(n):
        poisson[seed, poisson_sample(pi, rng=seed).indices] = 1
        stratified[seed, stratified_sample(strata, 32, rng=seed).indices] = 1
    between = np.corrcoef(poisson.T, stratified.T)[:64, 64:]
    # The largest of 4096 correlations of 4000 pairs exceeds 0.1 with probability below 1e-6.
    assert np.abs(between).max() < 0.1


def local(n, dim):
    X = RNG.standard_normal((n, dim)) if dim < 250 else np.zeros((n, dim))
    return partial(pivotal_sample, np.full(n, 0.25), order="local", X=X, rng=0)


#: What makes calls that take seconds.
LONG = {
    "masks": lambda: partial(stratified_masks, 60_000, 5_000, rng=0, num_threads=1),
    "one wide mask": lambda: partial(stratified_masks, 3 * 10**8, 2, rng=0, num_threads=1),
    "weights of masks": lambda: partial(mask_weights, 60_000_000),
    "polynomials": lambda: partial(log_elementary_symmetric, np.zeros(200_000), 100_000),
    "odds": lambda: partial(conditional_poisson_odds, np.tile([0.2, 0.4, 0.4], 70_000)),
    "probabilities": lambda: partial(conditional_poisson_probabilities, np.arange(1.0, 4e5), 9999),
    "local in few dimensions": lambda: local(1_000_000, 5),
    "local in many dimensions": lambda: local(50_000, 200),
    "local in one place": lambda: local(60_000, 300),
    "an order": lambda: partial(
        pivotal_sample, np.full(10**7, 0.25), order=RNG.permutation(10**7), rng=0
    ),
    "hits": lambda: partial(systematic_sample, [2e7] * 5, rng=0),
    "shares": lambda: partial(allocate, RNG.exponential(size=10**7), 10**7),
    "finish": lambda: PivotalSampler(rng=0).update(np.ones(10**7), RNG.permutation(10**7)).finish,
}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_is_answered_within_half_a_second(name):
    call, sent = LONG[name](), []

    def stop(*_):
        sent.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            call()
            time.sleep(1)  # the call was shorter than that
        except KeyboardInterrupt:
            pass
        answered = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # The handler runs as soon as the interpreter may, and that is when the work has stopped.
    assert answered - sent[0] < 0.5
