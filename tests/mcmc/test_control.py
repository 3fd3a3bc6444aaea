"""Chains while they run, and what warm-up learns from all of them."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from scipy import stats
from sortes.mcmc import (
    ChainProgress,
    Funnel,
    GibbsianPolarSlice,
    Sampling,
    Slice,
    sample,
)

TARGET = Funnel(4)
INIT = np.random.default_rng(0).normal(size=(5, 4))
DRIVERS = pytest.mark.parametrize("logp", [TARGET, lambda x: TARGET(x)], ids=["native", "batched"])
ADAPTS = pytest.mark.parametrize("adapt", ["center", "diag", "full"])


def run(logp=TARGET, kernel=None, init=INIT, **options):
    given = {"draws": 40, "warmup": 45, "rng": 3, **options}
    return sample(logp, kernel or Slice(1.0), init, **given)


def endless(logp=TARGET, **options):
    """Chains that nobody waits for."""
    return run(logp, draws=100, warmup=10, thin=10**7, **options)


@DRIVERS
def test_warm_up_is_kept(logp):
    kept, plain = run(logp, keep_warmup=True, thin=3), run(logp, thin=3)
    assert np.array_equal(kept.draws, plain.draws)
    for name, values in kept.stats.items():
        assert np.array_equal(values, plain.stats[name])
    assert kept.warmup.draws.shape == (5, 45, 4)
    assert plain.warmup is None
    # What warm-up does before it has tuned anything is what draws do.
    first = run(logp, warmup=0, draws=19)
    assert np.array_equal(kept.warmup.draws[:, :19], first.draws)
    assert np.array_equal(kept.warmup.stats["n_evals"][:, :19], first.stats["n_evals"])
    assert np.array_equal(kept.warmup.logp[:, :19], first.logp)
    longer = kept.extend(5)
    assert longer.warmup is kept.warmup
    assert longer.draws.shape == (5, 45, 4)
    with pytest.raises(ValueError, match=r"^draws: this trace was interrupted or copied"):
        kept.warmup.extend(3)


def test_warm_up_in_arviz():
    data = run(keep_warmup=True).to_arviz()
    assert data.warmup_posterior["x"].shape == (5, 45, 4)
    assert data.warmup_sample_stats["n_evals"].shape == (5, 45)


@DRIVERS
def test_a_time_limit(logp):
    start = time.monotonic()
    trace = endless(logp, max_time=0.2, keep_warmup=True)
    assert 0.2 <= time.monotonic() - start < 5
    assert trace.attrs["interrupted"]
    assert trace.warmup.draws.shape == (5, 10, 4)
    with pytest.raises(ValueError, match=r"^draws: this trace was interrupted or copied"):
        trace.extend(3)
    whole = run(logp, max_time=1000.0)
    assert not whole.attrs["interrupted"]
    assert np.array_equal(whole.draws, run().draws)


@DRIVERS
def test_a_time_limit_leaves_the_draws_until_then(logp):
    trace = run(logp, draws=2_000_000, warmup=0, max_time=0.15)
    n = trace.draws.shape[1]
    assert 0 < n < 2_000_000
    few = min(n, 30)
    assert np.array_equal(trace.draws[:, :few], run(logp, draws=few, warmup=0).draws)


@DRIVERS
def test_looks(logp):
    seen = []
    trace = endless(logp, max_time=0.4, callback=seen.append)
    assert len(seen) > 1
    for chains in seen:
        assert [type(chain) for chain in chains] == [ChainProgress] * 5
    first, last = seen[0][0], seen[-1][0]
    assert np.array_equal(first.last_position, INIT[0])
    assert last.total_draws == 100
    assert last.finished_draws <= trace.draws.shape[1]
    assert last.n_evals > first.n_evals
    assert not last.warmup
    assert last.stuck == 0
    np.testing.assert_array_equal(last.last_logp, TARGET(last.last_position[None])[0])


@DRIVERS
def test_what_a_callback_raises_stops_the_chains(logp):
    def callback(chains):
        raise LookupError("mine")

    with pytest.raises(LookupError, match=r"^mine$") as error:
        endless(logp, callback=callback)
    assert error.value.trace.attrs["interrupted"]


@DRIVERS
def test_in_the_background(logp):
    sampling = run(logp, blocking=False, keep_warmup=True)
    assert isinstance(sampling, Sampling)
    trace = sampling.wait()
    assert sampling.is_finished
    assert np.array_equal(trace.draws, run().draws)
    assert sampling.wait(0.0) is trace
    ends = sampling.inspect()
    assert all(np.array_equal(end.last_position, trace.draws[i, -1]) for i, end in enumerate(ends))
    assert [end.finished_draws for end in ends] == [40] * 5
    assert sum(end.n_evals for end in ends) > trace.stats["n_evals"].sum()


@DRIVERS
def test_waiting_and_stopping(logp):
    sampling = endless(logp, blocking=False)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^timeout: the chains are not through after 0.1 s$"):
        sampling.wait(0.1)
    assert not sampling.is_finished
    assert repr(sampling) == "Sampling(running)"
    trace = sampling.abort()
    assert trace.attrs["interrupted"]
    assert sampling.is_finished
    assert sampling.abort() is trace
    sampling.cancel()
    with pytest.raises(RuntimeError, match=r"^the chains were cancelled$"):
        sampling.wait()
    assert time.monotonic() - start < 5
    with pytest.raises(ValueError, match=r"^timeout: must be in \[0, inf\), got -1"):
        sampling.wait(-1)


@DRIVERS
def test_rest(logp):
    sampling = endless(logp, blocking=False)
    time.sleep(0.1)
    sampling.pause()
    time.sleep(0.3)  # a chain ends what it does
    before = [chain.n_evals for chain in sampling.inspect()]
    time.sleep(0.2)
    assert [chain.n_evals for chain in sampling.inspect()] == before
    sampling.resume()
    until = time.monotonic() + 10
    while [chain.n_evals for chain in sampling.inspect()] == before:
        assert time.monotonic() < until
    sampling.pause()
    sampling.abort()  # also while they rest
    part = run(logp, draws=3000, warmup=0, blocking=False)
    part.pause()
    part.resume()
    assert np.array_equal(part.wait().draws[:, :20], run(logp, draws=20, warmup=0).draws)


def test_an_error_in_the_background():
    calls = []

    def logp(x):
        calls.append(threading.current_thread())
        if len(calls) > 5:
            raise LookupError("mine")
        return TARGET(x)

    sampling = run(logp, blocking=False)
    with pytest.raises(LookupError, match=r"^mine$"):
        sampling.wait()
    assert calls[-1] is not threading.main_thread()
    # What is wrong with the arguments is said at once.
    with pytest.raises(ValueError, match=r"^draws: must leave a chain less than 2\*\*32"):
        run(draws=2**31, thin=2, blocking=False)


@ADAPTS
def test_what_is_learnt_does_not_depend_on_who_drives(adapt):
    kernel = GibbsianPolarSlice(2.0, adapt=adapt)
    one = run(kernel=kernel, warmup=130, num_threads=1)
    for other in (
        run(kernel=kernel, warmup=130, num_threads=3),
        run(lambda x: TARGET(x), kernel, warmup=130),
    ):
        assert np.array_equal(one.draws, other.draws)
        assert np.array_equal(one.attrs["widths"], other.attrs["widths"])
    plain = run(kernel=GibbsianPolarSlice(2.0), warmup=130, keep_warmup=True)
    kept = run(kernel=kernel, warmup=130, keep_warmup=True)
    # All is as without for 25 transitions, and then no longer.
    same = (plain.warmup.draws == kept.warmup.draws).all(axis=(0, 2))
    assert same[:25].all()
    assert not same[25:].any()
    # It is learnt from all chains: one has others beside it, and they count.
    fewer = run(kernel=kernel, init=INIT[:3], warmup=130, keep_warmup=True)
    same = (fewer.warmup.draws[0] == kept.warmup.draws[0]).all(axis=1)
    assert same[:25].all()
    assert not same[25:].any()
    short = run(kernel=kernel, warmup=24)
    assert np.array_equal(short.draws, run(kernel=GibbsianPolarSlice(2.0), warmup=24).draws)


def far(x):
    """Normals with means 40 and -30, standard deviations 0.1 and 5, and a correlation of 0.9."""
    z = (x - [40, -30]) / [0.1, 5]
    return -(z[:, 0] ** 2 - 1.8 * z[:, 0] * z[:, 1] + z[:, 1] ** 2) / (2 * 0.19)


@ADAPTS
def test_what_is_learnt_helps_and_the_law_stays(adapt):
    """600 chains of 8 draws, after a warm-up: Kolmogorov and Smirnov, false alarms 1e-6 each."""
    kernel = GibbsianPolarSlice(3.0, adapt=adapt)
    z = np.random.default_rng(1).normal(size=(600, 2)) @ [[1, 0.9], [0, np.sqrt(0.19)]]
    init = [40, -30] + z * [0.1, 5]  # exact draws, which transitions leave so
    trace = sample(far, kernel, init, warmup=210, draws=8, rng=0)
    last = (trace.draws[:, -1] - [40, -30]) / [0.1, 5]
    for values in (last[:, 0], last[:, 1], (last[:, 0] - 0.9 * last[:, 1]) / np.sqrt(0.19)):
        assert stats.kstest(values, "norm").pvalue > 1e-6
    few = {"warmup": 410, "draws": 300, "rng": 0}
    plain, better = (
        sample(far, GibbsianPolarSlice(3.0, adapt=a), init[:8], **few) for a in (None, adapt)
    )

    def speed(trace):
        z = (trace.draws - [40, -30]) / [0.1, 5]
        return np.abs(np.diff(z, axis=1)).mean()

    assert speed(better) > 1.5 * speed(plain)


def test_what_kernels_refuse():
    with pytest.raises(ValueError, match=r"^adapt: must be .*got 'all'"):
        GibbsianPolarSlice(1.0, adapt="all")
    with pytest.raises(ValueError, match=r"^scale_tril: must not be given with adapt='full'"):
        GibbsianPolarSlice(1.0, adapt="full", scale_tril=np.eye(2))
    GibbsianPolarSlice(1.0, adapt="center", scale_tril=np.eye(2))
    with pytest.raises(TypeError, match=r"^callback: must be a function, got 3$"):
        run(callback=3)
    with pytest.raises(ValueError, match=r"^max_time: must be in \(0, inf\), got 0.0$"):
        run(max_time=0.0)


def test_chains_that_have_not_moved_keep_their_scale():
    """A variance of zero is no scale."""
    kernel = GibbsianPolarSlice(1.0, adapt="diag")
    flat = lambda x: np.where(np.abs(x[:, 0] - 1) < 1e-300, 0.0, -np.inf)  # noqa: E731
    with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition: was reached"):
        trace = sample(flat, kernel, np.ones((2, 2)), warmup=60, draws=3, rng=0,
                       max_evals_per_transition=60)  # fmt: skip
    assert (trace.draws[..., 0] == 1).all()
    assert np.isfinite(trace.attrs["widths"]).all()


def test_nobody_is_left_when_the_interpreter_ends():
    code = """
import numpy as np
from sortes.mcmc import Slice, StandardNormal, sample
many = {"draws": 100, "thin": 10**7, "blocking": False, "rng": 0}
kept = sample(StandardNormal(3), Slice(2.0), np.zeros(3), **many)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "done", "")
