"""Chains on a device have the law of the others, whoever else is there; here mostly on the CPU."""

import math

import numpy as np
import pytest
from scipy import stats
from sortes import Interrupted
from sortes.mcmc import (
    EllipticalSlice,
    GibbsianPolarSlice,
    HitAndRunSlice,
    Slice,
    TorchLogp,
    sample,
    sample_on_device,
)

torch = pytest.importorskip("torch")

TRIL = np.array([[1.5, 0, 0], [0.4, 0.8, 0], [-0.3, 0.2, 0.6]])


def normal(x):
    return -0.5 * (x**2).sum(1)


def student(x):
    """With 4 degrees of freedom."""
    return -0.5 * (4 + x.shape[1]) * torch.log1p((x**2).sum(1) / 4)


def exact(target, n, seed=7):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    if target is normal:
        return torch.from_numpy(z)
    return torch.from_numpy(z / np.sqrt(rng.chisquare(4, (n, 1)) / 4))


KERNELS = {
    "hit and run": HitAndRunSlice(1.5, scale_tril=TRIL),
    "3 steps": HitAndRunSlice(0.5, max_steps=3),
    "one step": HitAndRunSlice(3.0, max_steps=1),
    "polar": GibbsianPolarSlice(1.0),
    "polar, moved, refreshed": GibbsianPolarSlice(
        0.5, center=[0.5, -0.2, 0.1], scale_tril=TRIL, refresh_threshold=True
    ),
}


@pytest.mark.law
@pytest.mark.parametrize("target", [normal, student], ids=lambda target: target.__name__)
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_the_law_stays(kernel, target):
    """20,000 chains from exact draws, or 8,000 of heavy tails; after one transition and five.

    A distance of 0.02, or 0.03, is seen. Each bound has a false alarm rate of 1e-6.
    """
    chains = 20_000 if target is normal else 8_000
    found = sample_on_device(target, kernel, exact(target, chains), draws=5, warmup=0, rng=3)
    cdf = (stats.norm if target is normal else stats.t(4)).cdf
    other = target(exact(target, 20_000, 8)).numpy()
    for t in (0, 4):
        for i in range(3):
            assert stats.kstest(found.draws[:, t, i].numpy(), cdf).pvalue > 1e-6
        assert stats.ks_2samp(found.logp[:, t].numpy(), other).pvalue > 1e-6
    torch.testing.assert_close(found.logp[:, 2], target(found.draws[:, 2]), rtol=1e-9, atol=1e-9)
    assert (found.draws[:, 0] != found.draws[:, 4]).any(1).all()


@pytest.mark.law
@pytest.mark.parametrize("prior", [{"prior_var": 4.0}, {"prior_cov": 4 * np.eye(3)}])
def test_the_law_of_the_elliptical_kernel_stays(prior):
    """The prior has variance 4, the likelihood leaves 1; 20,000 chains, as above."""
    x, rest = exact(normal, 20_000), lambda x: -0.375 * (x**2).sum(1)
    found = sample_on_device(rest, EllipticalSlice(**prior), x, draws=5, warmup=0, rng=3)
    for t in (0, 4):
        assert stats.kstest(found.draws[:, t, 1].numpy(), stats.norm.cdf).pvalue > 1e-6
    whole = normal(found.draws[:, 4]) - 1.5 * math.log(math.tau) - 3 * math.log(2)
    torch.testing.assert_close(found.logp[:, 4], whole, rtol=1e-9, atol=1e-9)
    assert found.widths.isnan().all()


@pytest.mark.parametrize("kernel", [*KERNELS.values(), EllipticalSlice(prior_var=2.0)])
def test_a_chain_is_what_it_is_without_the_others(kernel):
    x, given = exact(normal, 50), {"draws": 30, "warmup": 25, "rng": 5}
    whole = sample_on_device(normal, kernel, x, **given)
    few = sample_on_device(normal, kernel, x[:7], **given)
    torch.testing.assert_close(few.draws, whole.draws[:7], rtol=1e-12, atol=1e-12)
    again = sample_on_device(normal, kernel, x, **given)
    assert torch.equal(again.draws, whole.draws)
    other = sample_on_device(normal, kernel, x, **given, step=1)
    assert not torch.equal(other.draws, whole.draws)


def test_the_last_of_each_group_is_kept():
    x, kernel = exact(normal, 20), HitAndRunSlice(2.0)
    every = sample_on_device(normal, kernel, x, draws=33, warmup=0, rng=5)
    third = sample_on_device(normal, kernel, x, draws=11, warmup=0, thin=3, rng=5)
    assert torch.equal(third.draws, every.draws[:, 2::3])
    later = sample_on_device(normal, HitAndRunSlice(2.0, tune=False), x, draws=30, warmup=3, rng=5)
    assert torch.equal(later.draws, every.draws[:, 3:])


def test_widths_settle_where_intervals_grow_as_often_as_they_shrink():
    x, given = exact(normal, 48), {"draws": 1, "warmup": 160, "rng": 0}
    found = sample_on_device(normal, HitAndRunSlice(0.1), x, **given)
    assert (found.widths > 0.8).all()
    host = sample(lambda x: -0.5 * (x**2).sum(1), HitAndRunSlice(0.1), x.numpy(), **given)
    ratio = float(found.widths.log().mean()) - np.log(host.attrs["widths"]).mean()
    assert abs(ratio) < 0.2


def test_dtypes():
    asked = []

    def logp(x):
        asked.append(x.dtype)
        return normal(x)

    x = exact(normal, 30).to(torch.float32)
    found = sample_on_device(logp, HitAndRunSlice(2.0), x, draws=4, warmup=0, rng=0)
    assert found.draws.dtype == torch.float32
    assert found.logp.dtype == torch.float64
    assert set(asked) == {torch.float32}


def test_nan_is_never_accepted_and_infinity_is_an_error():
    def half(x):
        return torch.where(x[:, 0] > 0, normal(x), torch.nan)

    x = exact(normal, 40).abs()
    with pytest.warns(RuntimeWarning, match=r"^logp: \d+ log densities were NaN"):
        found = sample_on_device(half, HitAndRunSlice(2.0), x, draws=20, warmup=0, rng=0)
    assert (found.draws[..., 0] > 0).all()
    assert found.n_nan > 0
    with pytest.raises(ValueError, match=r"^logp: is \+inf at a point of chain \d+$"):
        sample_on_device(
            lambda x: torch.where(x[:, 0] > 3, torch.inf, -x[:, 0].abs()), HitAndRunSlice(2.0),
            torch.zeros(40, 2), draws=200, rng=0,
        )  # fmt: skip


@pytest.mark.parametrize("kernel", [HitAndRunSlice(1.0), GibbsianPolarSlice(1.0)])
def test_a_limit_leaves_chains_where_they_are(kernel):
    flat = exact(normal, 10)
    with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition: was reached by 30 of 30"):
        found = sample_on_device(
            lambda x: torch.where((x[:, :1] == flat[: len(x), :1]).all(1), 0.0, -torch.inf),
            kernel, flat, draws=3, warmup=0, max_evals_per_transition=40, rng=0,
        )  # fmt: skip
    assert found.n_stuck == 30
    torch.testing.assert_close(found.draws[:, 2], flat, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("on_interrupt", ["return", "raise"])
def test_ctrl_c_keeps_what_every_chain_has(on_interrupt):
    calls = 0

    def logp(x):
        nonlocal calls
        calls += 1
        if calls == 70:
            raise KeyboardInterrupt
        return normal(x)

    given = {"draws": 40, "warmup": 5, "rng": 2}
    x, kernel = exact(normal, 16), HitAndRunSlice(2.0)
    whole = sample_on_device(normal, kernel, x, **given)
    if on_interrupt == "return":
        found = sample_on_device(logp, kernel, x, **given)
    else:
        with pytest.raises(Interrupted) as stop:
            sample_on_device(logp, kernel, x, **given, on_interrupt="raise")
        found = stop.value.partial
    n = found.draws.shape[1]
    assert found.interrupted
    assert 3 < n < 35
    assert torch.equal(found.draws, whole.draws[:, :n])


def test_progress_ends_with_all_transitions():
    told = []
    sample_on_device(
        normal, HitAndRunSlice(2.0), exact(normal, 4), draws=20, warmup=10, rng=0,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == (120, 120)


GOOD = (normal, HitAndRunSlice(1.0), torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("at", "bad", "error", "message"),
    [
        (0, 3, TypeError, "logp: must be a function, got 3"),
        (
            0,
            lambda x: x,
            ValueError,
            r"logp: must return shape \(3,\) for points of shape \(3, 2\)",
        ),
        (0, lambda x: 1.0, TypeError, "logp: must return a tensor, got 1.0"),
        (0, lambda x: x[:, 0] - torch.inf, ValueError, "init: the log density must be finite"),
        (1, Slice(1.0), TypeError, "kernel: must be an EllipticalSlice, HitAndRunSlice or"),
        (2, np.zeros((3, 2)), TypeError, "init: must be a tensor, got"),
        (2, torch.zeros(3), ValueError, r"init: must have shape \(chains, d\), got \(3,\)"),
        (2, torch.zeros(3, 2).long(), TypeError, "init: must hold floats, got torch.int64"),
        (2, torch.tensor([[0.0, math.nan]]), ValueError, r"init: must be finite, got \[0.0, nan\]"),
    ],
)
def test_bad_arguments_are_named(at, bad, error, message):
    given = list(GOOD)
    given[at] = bad
    with pytest.raises(error, match=f"^{message}"):
        sample_on_device(*given, draws=2, rng=0)


def test_starts_that_a_kernel_cannot_have():
    with pytest.raises(ValueError, match=r"^init: must not be at the center"):
        sample_on_device(normal, GibbsianPolarSlice(1.0), torch.zeros(3, 2), rng=0)
    with pytest.raises(ValueError, match=r"^init: must have at least 2 coordinates"):
        sample_on_device(normal, GibbsianPolarSlice(1.0), torch.ones(3, 1), rng=0)


def test_torch_densities_on_the_host_have_one_shape():
    shapes = set()

    def fn(x):
        shapes.add(tuple(x.shape))
        return normal(x)

    logp = TorchLogp(fn, dtype=torch.float64)
    x = exact(normal, 6).numpy()
    trace = sample(logp, HitAndRunSlice(2.0), x, draws=50, warmup=0, rng=0)
    assert shapes == {(6, 3)}
    plain = sample(
        lambda x: -0.5 * (x**2).sum(1), HitAndRunSlice(2.0), x, draws=50, warmup=0, rng=0
    )
    np.testing.assert_allclose(trace.draws, plain.draws, rtol=1e-9, atol=1e-9)
    with pytest.raises(TypeError, match=r"^dtype: must be one of floats, got torch\.int32$"):
        TorchLogp(fn, dtype=torch.int32)
    with pytest.raises(TypeError, match=r"^fn: must be a function, got 1$"):
        TorchLogp(1)


@pytest.mark.cuda
@pytest.mark.parametrize("kernel", [*KERNELS.values(), EllipticalSlice(prior_var=2.0)])
def test_a_gpu_draws_what_the_cpu_draws(kernel):
    x = exact(normal, 300)
    given = {"draws": 20, "warmup": 25, "rng": 5}
    here = sample_on_device(normal, kernel, x, **given)
    there = sample_on_device(normal, kernel, x.cuda(), **given)
    assert there.draws.is_cuda
    # Sums differ in the last digits, and chains part where a decision does.
    same = (there.draws.cpu() - here.draws).abs().amax((1, 2)) < 1e-6
    assert same.double().mean() > 0.95
