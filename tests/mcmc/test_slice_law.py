"""Kernels leave their law as it is: from exact draws, one transition and five lead to exact draws.

20,000 chains each; Kolmogorov's distance of a coordinate, or of the log density, is seen from 0.02
on. Each bound has a false alarm rate below 1e-6. Red with a forgotten `r^(d-1)`; kernels in turn
that forget the new log density, and a rest with Student's density still in it, are far off.
"""

import numpy as np
import pytest
from scipy import stats
from sortes.mcmc import (
    EllipticalSlice,
    Funnel,
    GeneralizedEllipticalSlice,
    GibbsianPolarSlice,
    HitAndRunSlice,
    Mixture,
    Slice,
    StandardNormal,
    StudentT,
    sample,
)

CHAINS = 20_000
TRIL = np.array([[1.5, 0, 0], [0.4, 0.8, 0], [-0.3, 0.2, 0.6]])
FAR = {"lower": -2.0, "upper": 3.0}


def exact(target, rng, n=CHAINS):
    """Exact draws, and the distribution function of each coordinate."""
    z = rng.normal(size=(n, 3))
    if target == "normal":
        return z, [stats.norm.cdf] * 3
    if target == "cauchy":
        return z / np.abs(rng.normal(size=(n, 1))), [stats.cauchy.cdf] * 3
    x = z * 3
    x[:, 1:] = z[:, 1:] * np.exp(0.5 * x[:, :1])
    return x, [stats.norm(0, 3).cdf, None, None]


TARGETS = {"normal": StandardNormal(3), "cauchy": StudentT(3), "funnel": Funnel(3)}
KERNELS = {
    "stepping out": Slice(1.0),
    "at most 3 steps": Slice(0.5, max_steps=3),
    "one step": Slice(3.0, max_steps=1),
    "doubling": Slice(0.3, method="doubling"),
    "one doubling": Slice(0.7, method="doubling", max_doublings=1),
    "permuted": Slice([0.5, 1.0, 4.0], order="permuted"),
    "random": Slice(2.0, order="random"),
    "hit and run": HitAndRunSlice(1.5, scale_tril=TRIL),
    "hit and run, 2 steps": HitAndRunSlice(1.0, max_steps=2),
    "in turn": [Slice(1.0, order="random"), HitAndRunSlice(1.0), GibbsianPolarSlice(1.0)],
    "mixture": Mixture(
        [(Slice(2.0), 0.5), ([HitAndRunSlice(2.0), Slice(1.0, method="doubling")], 2)]
    ),
    "generalized elliptical": GeneralizedEllipticalSlice(
        1.5, mean=[0.5, -0.2, 0.1], cov=TRIL @ TRIL.T, tune=False
    ),
    "polar": GibbsianPolarSlice(2.0),
    "polar, refreshed, moved": GibbsianPolarSlice(
        0.5, center=[0.5, -0.2, 0.1], scale_tril=TRIL, refresh_threshold=True
    ),
    "polar, fresh, moved": GibbsianPolarSlice(
        1.0, center=[0.5, -0.2, 0.1], scale_tril=TRIL, fresh_direction=True
    ),
}


def agree(x, cdf):
    assert stats.kstest(x, cdf).pvalue > 1e-6


@pytest.mark.law
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_law_stays(kernel, target):
    init, cdfs = exact(target, np.random.default_rng(7))
    trace = sample(TARGETS[target], KERNELS[kernel], init, draws=5, warmup=0, rng=11,
                   max_evals_per_transition=10**8)  # fmt: skip
    other = TARGETS[target](exact(target, np.random.default_rng(8))[0])
    for t in (0, 4):
        draws = trace.draws[:, t]
        for i, cdf in enumerate(cdfs):
            x = draws[:, i]
            if cdf is None:  # given the first, normal
                x, cdf = x * np.exp(-0.5 * draws[:, 0]), stats.norm.cdf
            agree(x, cdf)
        assert stats.ks_2samp(trace.logp[:, t], other).pvalue > 1e-6
    np.testing.assert_allclose(trace.logp, TARGETS[target](trace.draws.reshape(-1, 3)).reshape(
        trace.logp.shape), rtol=1e-9)  # fmt: skip


@pytest.mark.law
def test_fresh_directions_are_independent():
    """Of a law of the radius alone they are never refused, and have nothing of those before."""
    kernel = GibbsianPolarSlice(10.0, fresh_direction=True)
    trace = sample(StudentT(3), kernel, [0.1, 2.0, 0.3], chains=CHAINS, draws=1, warmup=0, rng=4)
    assert (trace.stats["n_direction"] == 1).all()
    x = trace.draws[:, 0]
    for i in range(3):  # uniform on the sphere: so is each coordinate
        agree(x[:, i] / np.linalg.norm(x, axis=1), stats.uniform(-1, 2).cdf)


@pytest.mark.law
@pytest.mark.parametrize("method", ["stepping_out", "doubling"])
def test_a_law_with_bounds(method):
    """A normal cut at both ends: nothing outside is asked about."""

    def logp(x):
        assert (x >= -2).all()
        assert (x <= 3).all()
        return -0.5 * (x**2).sum(1)

    law = stats.truncnorm(-2, 3)
    init = law.rvs((CHAINS, 1), random_state=5)
    kernel = Slice(2.0, method=method, **FAR)
    trace = sample(logp, kernel, init, draws=3, warmup=0, rng=12)
    agree(trace.draws[:, -1, 0], law.cdf)


@pytest.mark.law
@pytest.mark.parametrize("prior", ["prior_var", "prior_cov", "prior_scale_tril"])
def test_elliptical_has_the_posterior(prior):
    """A normal likelihood, of which the posterior is known."""
    given = {"prior_var": [2.25, 0.64, 0.36], "prior_cov": TRIL @ TRIL.T, "prior_scale_tril": TRIL}
    cov = np.diag(given[prior]) if prior == "prior_var" else TRIL @ TRIL.T
    mean = np.array([0.5, -1.0, 2.0])
    after = np.linalg.inv(np.linalg.inv(cov) + np.eye(3))
    center = after @ np.linalg.solve(cov, mean)
    factor = np.linalg.cholesky(after)
    init = center + np.random.default_rng(3).normal(size=(CHAINS, 3)) @ factor.T
    kernel = EllipticalSlice(mean, **{prior: given[prior]})
    trace = sample(StandardNormal(3), kernel, init, draws=4, warmup=0, rng=13)
    for t in (0, 3):
        z = np.linalg.solve(factor, (trace.draws[:, t] - center).T)
        for i in range(3):
            agree(z[i], stats.norm.cdf)
        agree((z**2).sum(0), stats.chi2(3).cdf)
    x = trace.draws[:, -1]
    posterior = StandardNormal(3)(x) + stats.multivariate_normal(mean, cov).logpdf(x)
    np.testing.assert_allclose(trace.logp[:, -1], posterior, rtol=1e-9)
