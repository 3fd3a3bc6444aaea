"""What learns as long as it runs: each kind of transition by itself, and the law in the long run.

Bounds have a false alarm rate below 1e-6 each. Red: a sweep without the Student density, or around
the wrong mean, and steps that do not become smaller.
"""

import numpy as np
import pytest
from scipy import stats
from sortes.mcmc import (
    AdaptiveEllipticalSlice,
    GeneralizedEllipticalSlice,
    Normal,
    StandardNormal,
    StudentT,
    ess,
    sample,
    smc,
)

TRIL = np.array([[1.5, 0, 0], [0.4, 0.8, 0], [-0.3, 0.2, 0.6]])
FIRST = {"mean": [0.5, -0.2, 0.1], "cov": TRIL @ TRIL.T}
KINDS = {
    "ellipses": AdaptiveEllipticalSlice(3.0, **FIRST, fixed_share=0.0),
    "fixed": AdaptiveEllipticalSlice(3.0, **FIRST, fixed_share=0.99),
    "sweeps": AdaptiveEllipticalSlice(3.0, **FIRST, fixed_share=0.0, sweep_share=0.99),
    "sweeps first": AdaptiveEllipticalSlice(3.0, **FIRST, first_sweeps=1),
    "all": AdaptiveEllipticalSlice(3.0, **FIRST, fixed_share=0.3, sweep_share=0.3),
}


def exact(df, n, rng):
    """Student's draws, and the distribution function of a coordinate."""
    z = rng.normal(size=(n, 3))
    if df is None:
        return StandardNormal(3), z, stats.norm.cdf
    return StudentT(3, df=df), z / np.sqrt(rng.chisquare(df, (n, 1)) / df), stats.t(df).cdf


@pytest.mark.law
@pytest.mark.parametrize("df", [None, 1])
@pytest.mark.parametrize("kernel", KINDS.values(), ids=KINDS)
def test_the_first_transition_leaves_the_law(kernel, df):
    """20,000 chains from exact draws, before any has learnt: distances of 0.02 are seen."""
    target, init, cdf = exact(df, 20_000, np.random.default_rng(7))
    trace = sample(target, kernel, init, draws=1, warmup=0, rng=11)
    for i in range(3):
        assert stats.kstest(trace.draws[:, 0, i], cdf).pvalue > 1e-6
    other = target(exact(df, 20_000, np.random.default_rng(8))[1])
    assert stats.ks_2samp(trace.logp[:, 0], other).pvalue > 1e-6
    np.testing.assert_allclose(trace.logp[:, 0], target(trace.draws[:, 0]), rtol=1e-9)


@pytest.mark.law
@pytest.mark.parametrize("df", [None, 3])
@pytest.mark.parametrize("kind", ["ellipses", "all"])
def test_the_law_in_the_long_run(kind, df):
    """2,000 chains after 1,000 transitions each: distances of 0.06 are seen."""
    target, _, cdf = exact(df, 1, np.random.default_rng(7))
    far, kernel = [3.0, 0.0, -3.0], KINDS[kind]
    trace = sample(target, kernel, far, chains=2_000, draws=1, warmup=1_000, rng=12)
    for i in range(3):
        assert stats.kstest(trace.draws[:, 0, i], cdf).pvalue > 1e-6
    other = target(exact(df, 20_000, np.random.default_rng(9))[1])
    assert stats.ks_2samp(trace.logp[:, 0], other).pvalue > 1e-6


def test_it_learns_without_end():
    """A strong correlation far away; and after warm-up, which teaches another kernel too little."""
    mean, cov = np.linspace(-30, 30, 12), np.eye(12) + 20
    target = Normal(mean, cov=cov)
    options = {"draws": 4_000, "warmup": 100, "chains": 4, "rng": 0}
    trace = sample(target, AdaptiveEllipticalSlice(), np.zeros(12), **options)
    last = trace.draws[:, -2_000:]
    assert np.abs(last.mean((0, 1)) - mean).max() < 1
    assert ess(last).min() > 1_000
    assert np.median(trace.stats["n_evals"][:, -2_000:]) <= 2
    stopped = sample(target, GeneralizedEllipticalSlice(), np.zeros(12), **options)
    assert ess(stopped.draws[:, -2_000:]).min() < 300


def test_a_sweep_asks_about_one_coordinate_after_another():
    asked = []

    def logp(x):
        asked.append(x[0].copy())
        return -0.5 * (x**2).sum(1)

    kernel = AdaptiveEllipticalSlice(first_sweeps=1)
    trace = sample(logp, kernel, np.ones(6), chains=1, draws=2, warmup=0, rng=0)
    n = trace.stats["n_evals"][0, 0]
    changed = np.diff(np.array(asked[: n + 1]), axis=0) != 0
    assert (changed.sum(1) <= 2).all()  # the one in work, and the one that goes back
    assert changed.any(0).all()
    assert trace.stats["n_shrink"][0, 0] == n - 6
    assert trace.stats["n_evals"][0, 1] == trace.stats["n_shrink"][0, 1] + 1


def test_a_chain_that_cannot_move_stays():
    """Nothing but the state has a density: limits end all updates, and nothing is learnt."""

    def logp(x):
        return np.where((x == 0.25).all(1), 0.0, -np.inf)

    kernel = AdaptiveEllipticalSlice(sweep_share=0.5)
    with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition: was reached for 80 of 80"):
        trace = sample(logp, kernel, [0.25, 0.25], draws=20, warmup=20, rng=0,
                       max_evals_per_transition=7)  # fmt: skip
    assert (trace.draws == 0.25).all()
    assert set(np.unique(trace.stats["n_evals"])) == {7, 14}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"df": 0}, r"^df: must be in \(0, inf\)"),
        ({"fixed_share": 1}, r"^fixed_share: must be in \[0, 1\)"),
        ({"sweep_share": -0.1}, r"^sweep_share: must be in \[0, 1\)"),
        ({"sweep_share": 0.97}, "^sweep_share: must be below 1 with `fixed_share`, which is 0.05"),
        ({"first_sweeps": -1}, "^first_sweeps: must be"),
        ({"scale": 1, "cov": np.eye(2)}, "^cov: must not be given with `scale`$"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveEllipticalSlice(**options)


def test_it_stands_alone():
    kernel, target = AdaptiveEllipticalSlice(), StandardNormal(2)
    with pytest.raises(TypeError, match=r"^kernel: item 0: must not be AdaptiveEllipticalSlice"):
        sample(target, [kernel], np.zeros(2))
    with pytest.raises(TypeError, match=r"^kernel: must not be AdaptiveEllipticalSlice"):
        smc(target, kernel, target)
    with pytest.raises(ValueError, match=r"^cov: must have shape \(2, 2\), got \(3, 3\)$"):
        sample(target, AdaptiveEllipticalSlice(cov=np.eye(3)), np.zeros(2))
