"""Tempered particles: the evidence, its standard error, and the law at the end.

Sizes and false alarm rates stand with each test; seeds are fixed. Red with weights of the whole
temperature in place of the step, a move at the temperature before, islands that share ancestors, a
standard error without the root of their number, the whole prior on the geometric path, the mean of
logarithms, and particles that do not move.
"""

import time

import numpy as np
import pytest
from lawlib import assert_cdf
from scipy import stats
from sigint import ctrl_c_after, needs_sigint
from sortes import Interrupted, Stream
from sortes.mcmc import (
    EllipticalSlice,
    GaussianMixture,
    GeneralizedEllipticalSlice,
    GibbsianPolarSlice,
    HitAndRunSlice,
    LogisticRegression,
    ManyWell,
    Mixture,
    Normal,
    Slice,
    StandardNormal,
    resample,
    smc,
)

#: A normal likelihood around a point, with a normal prior: all is known.
DATA, SD = np.array([1.5, -1.0]), 0.4
LIKELIHOOD = Normal(DATA, scale=SD)
PRIOR = Normal([0.0, 0.0], scale=1.5)
LOG_Z = stats.norm(0, np.hypot(SD, 1.5)).logpdf(DATA).sum()
PRECISION = SD**-2 + 1.5**-2
MEAN = DATA * SD**-2 / PRECISION
KERNELS = {
    "slice": Slice(),
    "hit and run": HitAndRunSlice(),
    "elliptical": EllipticalSlice([0.0, 0.0], prior_var=1.5**2),
    "generalized": GeneralizedEllipticalSlice(),
    "polar": GibbsianPolarSlice(2.0),
    "in turn": [Slice(order="random"), HitAndRunSlice()],
    "mixture": Mixture([(Slice(2.0, method="doubling"), 1), (HitAndRunSlice(), 1)]),
}


def go(kernel, *, logp=LIKELIHOOD, **options):
    own = isinstance(kernel, EllipticalSlice)
    return smc(logp, kernel, None if own else PRIOR, **{"rng": 1, **options})


@pytest.mark.law
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_the_estimate_is_unbiased(kernel):
    """Fixed temperatures, far apart, and 4,000 islands of 16: the mean of Z is Z.

    The bound is 5 standard errors, about 2 %; the false alarm rate is below 1e-6. Widths are those
    of the kernel.
    """
    if isinstance(kernel, GeneralizedEllipticalSlice):
        kernel = GeneralizedEllipticalSlice(tune=False)
    if isinstance(kernel, Slice | HitAndRunSlice | GibbsianPolarSlice):
        kernel = type(kernel)(2.0, tune=False)
    found = go(kernel, num_particles=64_000, num_islands=4_000, num_mcmc_steps=1,
               temperatures=[0.05, 0.3, 1])  # fmt: skip
    ratio = np.exp(found.island_log_z - LOG_Z)
    stderr = ratio.std() / np.sqrt(4_000)
    assert stderr < 0.02
    assert abs(ratio.mean() - 1) < 5 * stderr
    # The reported estimate is that mean, with that error.
    assert found.log_z.value == pytest.approx(np.log(ratio.mean()) + LOG_Z, rel=1e-12)
    assert found.log_z.stderr == pytest.approx(stderr / ratio.mean(), rel=1e-3)


@pytest.mark.law
@pytest.mark.parametrize("path", ["likelihood", "geometric"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_the_law_at_the_end(kernel, path):
    """Particles in one island, drawn anew and moved ten times, have the law of the posterior.

    A correlated sample of 8,000 is thinned to one in eight: distances of 0.09 are seen.
    """
    logp = LIKELIHOOD
    if path == "geometric":
        logp = lambda x: LIKELIHOOD(x) + PRIOR(x)  # noqa: E731
    found = go(kernel, logp=logp, path=path, num_particles=8_000, num_islands=1,
               num_mcmc_steps=10)  # fmt: skip
    x = np.random.default_rng(0).permutation(found.draws)[:1000]
    for i in range(2):
        assert_cdf((x[:, i] - MEAN[i]) * np.sqrt(PRECISION), stats.norm.cdf)
    assert abs(found.log_z.value - LOG_Z) < 0.1
    assert np.isnan(found.log_z.stderr)
    np.testing.assert_allclose(found.log_likelihood, LIKELIHOOD(found.draws), rtol=1e-9, atol=1e-9)


@pytest.mark.law
def test_the_standard_error_is_honest():
    """200 runs of 16 islands: the z-score has the spread of Student's, to a factor of 1.4."""
    runs = [go(Slice(), num_particles=512, num_islands=16, num_mcmc_steps=2, rng=i)
            for i in range(200)]  # fmt: skip
    z = [(run.log_z.value - LOG_Z) / run.log_z.stderr for run in runs]
    # Of 199 degrees of freedom, the variance stays within these with a chance of 1 - 1e-6.
    assert 0.6 < np.var(z) / stats.t(15).var() < 1.8
    assert abs(np.mean(z)) < 5 / np.sqrt(200) + 0.1


@pytest.mark.law
@pytest.mark.parametrize("seed", range(2))
def test_many_wells(seed):
    """The evidence of 65,536 modes in 32 dimensions, within 0.1: two standard errors."""
    target = ManyWell(32)
    found = smc(target, Slice(), Normal(np.zeros(32), scale=2.0), path="geometric",
                num_particles=8192, num_mcmc_steps=2, target_ess=0.5, rng=seed)  # fmt: skip
    assert abs(found.log_z.value - target.log_z) < 0.1
    assert found.log_z.stderr < 0.12
    # The deeper wells hold their share.
    right = (found.draws[:, ::2] > 0).mean()
    assert abs(right - 0.5 * (1 + np.tanh(0.866))) < 0.06


def test_drivers_and_threads_agree():
    options = {"num_particles": 64, "num_islands": 4, "num_mcmc_steps": 2, "rng": 5}

    def same(a, b):
        for x, y in zip(a, b, strict=True):
            assert np.array_equal(x, y)

    for kernel in KERNELS.values():
        for path in ("likelihood", "geometric"):
            native = go(kernel, path=path, **options)
            same(native, go(kernel, path=path, num_threads=3, **options))
            same(native, go(kernel, path=path, logp=lambda x: LIKELIHOOD(x), **options))
    one = smc(lambda x: LIKELIHOOD(x[None])[0], Slice(), lambda x: PRIOR(x[None])[0],
              go(Slice(), **options).draws, vectorized=False, rng=5)  # fmt: skip
    many = smc(LIKELIHOOD, Slice(), PRIOR, go(Slice(), **options).draws, rng=5)
    same(one, many)
    same(go(Slice(), rng=Stream(3, 2)), go(Slice(), rng=Stream(3), step=2))


def test_what_is_reported():
    found = go(Slice(), num_particles=256, num_islands=4, num_mcmc_steps=3)
    steps = len(found.ess)
    assert found.temperatures[0] == 0
    assert found.temperatures[-1] == 1
    assert (np.diff(found.temperatures) > 0).all()
    assert found.temperatures.shape == (steps + 1,)
    assert found.ancestors.shape == (steps, 256)
    # Nobody comes from another island.
    assert (found.ancestors // 64 == np.arange(256) // 64).all()
    np.testing.assert_allclose(found.ess[:-1], 128, rtol=1e-6)
    assert found.ess[-1] >= 128
    assert np.exp(found.log_weights).sum() == pytest.approx(1)
    assert np.unique(found.log_weights).size == 4
    # All have moved, apart from each other.
    assert np.unique(found.draws[:, 0]).size == 256
    posterior = found.draws[resample(found.log_weights, log=True, rng=0)]
    assert np.abs(posterior.mean(0) - MEAN).max() < 0.2


def test_evaluations_are_counted():
    calls = []

    def logp(x):
        calls.append(len(x))
        return LIKELIHOOD(x)

    found = go(Slice(), logp=logp, num_particles=64)
    assert sum(calls) == found.n_evals


def test_likelihoods_of_zero():
    """A box: most particles have no likelihood at first; the volume is known."""

    def logp(x):
        return np.where((np.abs(x) < 0.15).all(1), 0.0, -np.inf)

    found = smc(logp, Slice(), StandardNormal(2), num_particles=4096, num_islands=64, rng=2)
    assert (np.abs(found.draws) < 0.15).all()
    exact = 2 * np.log(stats.norm.cdf(0.15) - stats.norm.cdf(-0.15))
    assert abs(found.log_z.value - exact) < 5 * found.log_z.stderr
    # Islands without any particle inside have no weight, and the others go on.
    few = smc(logp, Slice(), StandardNormal(2), num_particles=4096, num_islands=512, rng=2)
    dead = few.island_log_z == -np.inf
    assert 0 < dead.sum() < 512
    assert (few.log_weights[np.repeat(dead, 8)] == -np.inf).all()
    assert (np.abs(few.draws) < 0.15).all()
    assert abs(few.log_z.value - exact) < 5 * few.log_z.stderr


def test_a_prior_that_ends():
    """Where there is no prior, nobody asks for the likelihood."""

    def prior(x):
        return np.where((x > 0).all(1), -x.sum(1), -np.inf)

    def logp(x):
        assert (x > 0).all()
        return -2 * x.sum(1)

    found = smc(logp, Slice(), prior, lambda rng, n: rng.exponential(size=(n, 2)), rng=0)
    assert abs(found.log_z.value - 2 * np.log(1 / 3)) < 5 * found.log_z.stderr


def test_numbers_that_are_none_are_never_accepted():
    def logp(x):
        return np.where(x[:, 0] < 2.5, LIKELIHOOD(x), np.nan)

    init = np.clip(PRIOR.sample(512, rng=0), -2, 2)
    with pytest.warns(RuntimeWarning, match=r"^logp: \d+ log densities were NaN"):
        found = smc(logp, Slice(3.0), PRIOR, init, rng=0)
    assert (found.draws[:, 0] < 2.5).all()


def test_regression_has_the_evidence_of_quadrature():
    X = np.random.default_rng(0).normal(size=(30, 1))
    y = np.random.default_rng(1).random(30) < 1 / (1 + np.exp(-2 * X[:, 0]))
    target = LogisticRegression(X, y, prior_scale=2.0)
    grid = np.linspace(-15, 15, 20_001)
    logp = target(grid[:, None])
    exact = logp.max() + np.log(np.trapezoid(np.exp(logp - logp.max()), grid))
    found = smc(target, Slice(), Normal([0.0], scale=2.0), path="geometric", rng=3)
    assert abs(found.log_z.value - exact) < 5 * found.log_z.stderr
    assert found.log_z.stderr < 0.1


def test_a_mixture_keeps_its_weights():
    """Modes 20 standard deviations apart, which no move can cross at the end."""
    target = GaussianMixture([[-10.0], [10.0]], weights=[1, 4])
    found = smc(target, Slice(), Normal([0.0], scale=10), path="geometric",
                num_particles=8192, rng=0)  # fmt: skip
    right = np.exp(found.log_weights)[found.draws[:, 0] > 0].sum()
    assert abs(right - 0.8) < 0.05
    assert abs(found.log_z.value) < 5 * found.log_z.stderr


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperatures": [0.5, 0.9]}, ValueError, "^temperatures: must end at 1, got 0.9$"),
        ({"temperatures": [0.5, 0.5, 1]}, ValueError, "^temperatures: must increase, got 0.5 at 1"),
        ({"temperatures": [0, 1]}, ValueError, r"^temperatures: item 0 must be in \(0, 1\], got 0"),
        ({"temperatures": [0.5, np.nan, 1]}, ValueError, r"^temperatures: item 1 must be in .*nan"),
        (
            {"temperatures": []},
            ValueError,
            r"^temperatures: must have shape \(steps,\), got \(0,\)",
        ),
        (
            {"temperatures": [1], "target_ess": 0.5},
            ValueError,
            "^target_ess: must not be given with `temperatures`$",
        ),
        ({"num_islands": 3}, ValueError, "^num_islands: must divide 2048 particles, got 3$"),
        ({"init": np.zeros(3)}, ValueError, r"^init: must have shape \(n, d\), got \(3,\)$"),
        (
            {"init": np.zeros((8, 2)), "num_particles": 16},
            ValueError,
            r"^init: must have shape \(16, d\), got \(8, 2\)$",
        ),
        (
            {"init": np.zeros((8, 3))},
            ValueError,
            "^logp: must have 3 coordinates, as `init`, got 2",
        ),
        ({"init": [[0.0, np.inf]]}, ValueError, r"^init: must be finite, got inf at \[0, 1\]$"),
        (
            {"logp": lambda x: np.where(x[:, 0] > 0, np.nan, 0)},
            ValueError,
            r"^logp: must be in \[-inf, inf\), got nan at \[",
        ),
        (
            {"logp": lambda x: np.where(x[:, 0] > 0, np.inf, 0)},
            ValueError,
            r"^logp: must be in \[-inf, inf\), got inf at \[",
        ),
        ({"logp": lambda x: x[:, 0] - np.inf}, ValueError, "^logp: is -inf at all first particles"),
        (
            {"logp": lambda x: 1e300 * x[:, 0]},
            ValueError,
            "^target_ess: no step of the temperature",
        ),
        ({"logp": lambda x: x}, ValueError, r"^logp: must return shape \(2048,\) for points of"),
        ({"logp": 3}, TypeError, "^logp: must be a function, a CLogp or a target, got 3$"),
        (
            {"vectorized": False},
            ValueError,
            "^vectorized: must be True for compiled densities, got",
        ),
        ({"path": "linear"}, ValueError, "^path: must be 'likelihood' or 'geometric', got"),
        ({"resampling": "none"}, ValueError, "^resampling: must be 'multinomial', "),
        ({"kernel": GibbsianPolarSlice(1.0), "init": np.zeros((8, 2))}, ValueError, "^init: must "),
    ],
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        go(**{"kernel": Slice(), **options})


def test_priors_that_are_refused():
    with pytest.raises(TypeError, match=r"^prior: must be a function, a CLogp or a target, got No"):
        smc(LIKELIHOOD, Slice())
    with pytest.raises(ValueError, match=r"^prior: must not be given with EllipticalSlice"):
        smc(LIKELIHOOD, EllipticalSlice(prior_var=1.0), PRIOR)
    with pytest.raises(ValueError, match=r"^init: must be given, since nobody knows how to draw"):
        smc(LIKELIHOOD, Slice(), lambda x: x[:, 0])
    with pytest.raises(ValueError, match=r"^init: must be given, since no argument says how many"):
        smc(lambda x: x[:, 0], EllipticalSlice(prior_var=1.0))
    with pytest.raises(
        ValueError, match=r"^prior: must be finite at the first particles, got -inf"
    ):
        smc(LIKELIHOOD, Slice(), lambda x: x[:, 0] - np.inf, np.zeros((8, 2)))
    with pytest.raises(ValueError, match=r"^prior: must return shape \(8,\) for points"):
        smc(LIKELIHOOD, Slice(), lambda x: x, np.zeros((8, 2)))


def test_progress():
    seen = []
    found = go(Slice(), num_particles=64, progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (64 * 5 * len(found.ess),) * 2
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    seen = []
    go(Slice(), logp=lambda x: LIKELIHOOD(x), num_particles=64, temperatures=[0.1, 1],
       progress=lambda *counts: seen.append(counts))  # fmt: skip
    assert {total for _, total in seen} == {64 * 5 * 2}


@needs_sigint
@pytest.mark.parametrize("driver", ["native", "batched"])
@pytest.mark.parametrize("on_interrupt", ["return", "raise"])
def test_an_interrupt_keeps_what_there_is(driver, on_interrupt):
    logp = LIKELIHOOD if driver == "native" else lambda x: LIKELIHOOD(x)
    schedule = np.linspace(0, 1, 2001)[1:]
    options = {"temperatures": schedule, "num_particles": 512, "num_mcmc_steps": 20}
    start = time.monotonic()
    with ctrl_c_after(0.3):
        if on_interrupt == "return":
            found = go(Slice(), logp=logp, on_interrupt=on_interrupt, **options)
        else:
            with pytest.raises(Interrupted) as stopped:
                go(Slice(), logp=logp, on_interrupt=on_interrupt, **options)
            found = stopped.value.partial
    assert time.monotonic() - start < 15
    n = len(found.ess)
    assert 0 <= n < 2000
    assert found.temperatures[-1] == schedule[n - 1] if n else True
    assert found.draws.shape == (512, 2)
    assert np.isfinite(found.log_z.value)
