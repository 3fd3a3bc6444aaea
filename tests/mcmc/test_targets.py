"""Built-in densities are those of an independent reference, and exact draws have their laws.

20,000 draws each: Kolmogorov's distance is seen from 0.02 on. Each bound has a false alarm rate of
1e-6. Red with wells of equal weight, and with a gamma variable of the wrong shape.
"""

import copy
import pickle

import numpy as np
import pytest
from lawlib import assert_cdf, assert_law
from scipy import integrate, stats
from sortes.mcmc import (
    AxialModes,
    Funnel,
    GaussianMixture,
    HyperplaneDisk,
    LogisticRegression,
    ManyWell,
    Normal,
    StandardNormal,
    StudentT,
)
from vectors import load

CASES = load("mcmc/targets.json")["targets"]["cases"]
GRID = [[a, b] for a in (-10, -5, 0, 5, 10) for b in (-10, -5, 0, 5, 10)]
N = 20_000


def made(case):
    match case["target"]:
        case "Normal":
            return Normal(case["mean"], cov=case["cov"])
        case "Funnel":
            return Funnel(case["dim"], scale=case["scale"])
        case "ManyWell":
            return ManyWell(case["dim"])
        case "GaussianMixture" if "grid25" in case:
            return GaussianMixture(GRID, scale=0.3**0.5)
        case "GaussianMixture":
            return GaussianMixture(case["means"], weights=case["weights"], cov=case["covs"])
        case _:
            return LogisticRegression(case["X"], case["y"], prior_scale=case["prior_scale"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["target"])
def test_vectors(case):
    target = made(case)
    np.testing.assert_allclose(target(case["x"]), case["logp"], rtol=1e-12)
    if "log_z" in case:
        assert target.log_z == pytest.approx(case["log_z"], rel=1e-14)
    for other in (copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        assert np.array_equal(other(case["x"]), target(case["x"]))
        assert repr(other) == repr(target)


def test_the_constant_of_many_wells():
    assert ManyWell(32).log_z == pytest.approx(164.69567531318188, rel=1e-14)
    pair = integrate.quad(lambda x: np.exp(-(x**4) + 6 * x**2 + x / 2), -6, 6, epsrel=1e-12)[0]
    assert ManyWell(2).log_z == pytest.approx(np.log(pair * np.sqrt(2 * np.pi)), rel=1e-11)
    assert ManyWell().log_z == ManyWell(32).log_z
    assert LogisticRegression([[1.0]], [1]).log_z is None


def test_forms_of_spread_agree():
    x = np.random.default_rng(0).normal(size=(5, 2))
    means, sd = [[0.0, 1.0], [2.0, -1.0]], [[0.5, 2.0], [1.0, 3.0]]
    diagonal = GaussianMixture(means, scale=sd)
    full = GaussianMixture(means, cov=[np.diag(np.square(row)) for row in sd])
    np.testing.assert_allclose(diagonal(x), full(x), rtol=1e-13)
    by_normal = GaussianMixture(means, scale=[0.5, 2.0])
    same = GaussianMixture(means, scale=[[0.5, 0.5], [2.0, 2.0]])
    assert np.array_equal(by_normal(x), same(x))
    np.testing.assert_allclose(Normal([0, 0])(x), StandardNormal(2)(x), rtol=1e-14)
    np.testing.assert_allclose(
        Normal([1, 2], scale=[2, 3])(x), stats.norm([1, 2], [2, 3]).logpdf(x).sum(1), rtol=1e-13
    )


def test_far_from_all_modes():
    """Where every density is zero in double precision, logarithms are not."""
    target = GaussianMixture([[0.0], [1.0]])
    assert target([[1e4]])[0] == pytest.approx(stats.norm(1).logpdf(1e4) + np.log(0.5))
    assert target([[1e200]])[0] == -np.inf
    steep = LogisticRegression([[1.0], [1.0]], [1, 0])
    assert steep([[1e3]])[0] == pytest.approx(-1e3 - 0.5e6 - 0.5 * np.log(2 * np.pi))


def agree(x, cdf):
    assert_cdf(x, cdf)


@pytest.mark.law
def test_exact_draws_of_wells():
    x = ManyWell(6).sample(N, rng=1)
    grid = np.linspace(-4.5, 4.5, 20_001)
    density = np.exp(-(grid**4) + 6 * grid**2 + grid / 2)
    mass = integrate.cumulative_simpson(density, x=grid, initial=0)
    for i in range(3):
        agree(x[:, 2 * i], lambda x: np.interp(x, grid, mass / mass[-1]))
        agree(x[:, 2 * i + 1], stats.norm.cdf)


@pytest.mark.law
@pytest.mark.parametrize("df", [0.5, 1.0, 7.5])
def test_exact_draws_of_student(df):
    x = StudentT(3, df=df).sample(N, rng=2)
    agree(x[:, 1], stats.t(df).cdf)
    agree((x**2).sum(1) / 3, stats.f(3, df).cdf)


@pytest.mark.law
def test_exact_draws_of_normals():
    agree(StandardNormal(2).sample(N, rng=3)[:, 1], stats.norm.cdf)
    x = Funnel(3).sample(N, rng=4)
    agree(x[:, 0], stats.norm(0, 3).cdf)
    agree(x[:, 2] * np.exp(-0.5 * x[:, 0]), stats.norm.cdf)
    cov, mean = np.array([[2.0, -1.0], [-1.0, 0.8]]), np.array([1.0, -5.0])
    z = np.linalg.solve(np.linalg.cholesky(cov), (Normal(mean, cov=cov).sample(N, rng=5) - mean).T)
    agree(z[0], stats.norm.cdf)
    agree(z[1], stats.norm.cdf)
    agree((z**2).sum(0), stats.chi2(2).cdf)
    weights = [1, 2, 0.5]
    target = GaussianMixture([[0, 0], [40, 0], [0, 80]], weights=weights, scale=[1, 2, 3])
    x = target.sample(N, rng=6)
    which = (x[:, 0] > 20) + 2 * (x[:, 1] > 20)
    assert_law(np.bincount(which, minlength=3), np.array(weights) / 3.5)
    agree(x[which == 1, 0], stats.norm(40, 2).cdf)
    agree(x[which == 2, 0], stats.norm(0, 3).cdf)


@pytest.mark.law
@pytest.mark.parametrize("dim", [1, 2, 10, 100])
def test_exact_draws_of_axial_modes(dim):
    """The largest modulus by quadrature; its axis and sides; the others, below it."""
    x = AxialModes(dim).sample(N, rng=7)
    moduli = np.abs(x)
    largest = moduli.max(1)
    grid = np.linspace(1e-9, 80, 200_001)
    log = 4 * np.log(grid) - grid + (dim - 1) * np.log(-np.expm1(-grid))
    mass = integrate.cumulative_simpson(np.exp(log - log.max()), x=grid, initial=0)
    agree(largest, lambda t: np.interp(t, grid, mass / mass[-1]))
    axis = moduli.argmax(1)
    assert_law(np.bincount(axis, minlength=dim), np.full(dim, 1 / dim))
    assert_law(np.bincount((x[:, 0] > 0).astype(int), minlength=2), [0.5, 0.5])
    if dim > 1:
        other = moduli[np.arange(N), (axis + 1) % dim]
        agree(np.expm1(-other) / np.expm1(-largest), stats.uniform.cdf)
    points = np.array([[0.5] + [0.0] * (dim - 1), [-2.0] + [1.0] * (dim - 1)])
    ratio = 4 * np.log(4) - (1.5 + dim - 1)
    assert np.diff(AxialModes(dim)(points))[0] == pytest.approx(ratio, rel=1e-12)


@pytest.mark.law
@pytest.mark.parametrize("dim", [1, 2, 30])
def test_a_disk_is_a_normal(dim):
    cov = (np.eye(dim) - 1 / (1 + dim)) / 2
    points = np.random.default_rng(0).normal(size=(5, dim))
    law = stats.multivariate_normal(np.zeros(dim), cov)
    np.testing.assert_allclose(HyperplaneDisk(dim)(points), law.logpdf(points), rtol=1e-11)
    x = HyperplaneDisk(dim).sample(N, rng=8)
    z = np.linalg.solve(np.linalg.cholesky(cov), x.T)
    agree(z[0], stats.norm.cdf)
    agree(z[-1], stats.norm.cdf)
    agree((z**2).sum(0), stats.chi2(dim).cdf)


def test_draws_depend_on_the_stream_alone():
    for target in (ManyWell(4), StudentT(2), GaussianMixture([[0], [1]]), Funnel(2),
                   AxialModes(3), HyperplaneDisk(3)):  # fmt: skip
        whole = target.sample(1000, rng=0)
        assert np.array_equal(whole, target.sample(1000, rng=0, num_threads=3))
        assert np.array_equal(whole[:300], target.sample(300, rng=0))
        assert not np.array_equal(whole, target.sample(1000, rng=0, step=1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ManyWell(3), ValueError, "^dim: must be even, got 3$"),
        (lambda: Normal([[0.0]]), ValueError, r"^mean: must have shape \(d,\), got \(1, 1\)$"),
        (lambda: Normal([0.0], scale=0), ValueError, r"^scale: must be in \(0, inf\), got 0.0$"),
        (
            lambda: Normal([0.0], scale=1, cov=[[1]]),
            ValueError,
            "^cov: must not be given with `scale`",
        ),
        (lambda: Normal([0.0, 0], cov=[[1]]), ValueError, r"^cov: must have shape \(2, 2\), got"),
        (lambda: Normal([0.0, 0], cov=[[1, 2], [2, 1]]), ValueError, "^cov: must be positive def"),
        (
            lambda: GaussianMixture([[0.0], [1]], weights=[1]),
            ValueError,
            r"^weights: must have shape \(2,\), got \(1,\)$",
        ),
        (
            lambda: GaussianMixture([[0.0], [1]], weights=[1, 0]),
            ValueError,
            r"^weights: item 1 must be in \(0, inf\), got 0.0$",
        ),
        (
            lambda: GaussianMixture([[0.0], [1]], scale=[1, 2, 3]),
            ValueError,
            r"^scale: must be a number or have shape \(2,\) or \(2, 1\), got \(3,\)$",
        ),
        (
            lambda: LogisticRegression([[1.0]], [2]),
            ValueError,
            "^y: item 0 must be 0 or 1: 2$",
        ),
        (lambda: LogisticRegression([[1.0]], [1, 0]), ValueError, r"^y: must have shape \(1,\), "),
        (lambda: LogisticRegression([[np.nan]], [1]), ValueError, r"^X: item \(0, 0\) must be in"),
        (
            lambda: LogisticRegression([[1.0]], [1]).sample(3),
            TypeError,
            "^n: LogisticRegression has no exact sampler",
        ),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
