"""Fits of coverage: vectors, the likelihood against SciPy, boundaries, extrapolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_mean
from sortes.pool import average, beta_binomial_fit, coverage_fit, pass_at_k
from vectors import load

DATA = load("pool/passk.json")


@pytest.mark.parametrize("case", DATA["coverage_fit"], ids=str)
@pytest.mark.parametrize("space", ["coverage", "loglog"])
def test_power_laws(case, space):
    fit = coverage_fit([int(k) for k in case["k"]], case["coverage"], space=space)
    if "sse" not in case:
        assert (fit.a, fit.b) == pytest.approx((case["a"], case["b"]), rel=1e-9)
        assert fit.residual < 1e-9
        np.testing.assert_allclose(fit.predict(1000), np.exp(case["a"] * 1000 ** case["b"]))
    elif space == "coverage":
        assert (fit.a, fit.b) == pytest.approx((case["a"], case["b"]), rel=1e-6)
        assert fit.residual**2 * len(case["k"]) == pytest.approx(case["sse"], rel=1e-9)


def test_full_coverage_enters_the_squares_alone():
    k, coverage = [1, 10, 100, 1000], [0.3, 0.8, 0.99, 1.0]
    line = coverage_fit(k, coverage, space="loglog")
    squares = coverage_fit(k, coverage)
    assert squares.residual < line.residual
    same = coverage_fit(k[:3], coverage[:3], space="loglog")
    assert (line.a, line.b) == (same.a, same.b)


@given(st.floats(-5, -0.05), st.floats(-2, -0.05))
def test_no_step_is_worse_than_the_line(a, b):
    k = np.array([1, 2, 5, 10, 100])
    noise = 0.03 * np.sin(np.arange(5) * 7 * a)
    coverage = np.clip(np.exp(a * k**b) + noise, 0, 1)
    try:
        line = coverage_fit(k, coverage, space="loglog")
    except ValueError:
        return
    assert coverage_fit(k, coverage).residual <= line.residual * (1 + 1e-12)


def test_what_no_line_goes_through():
    message = "^coverage: must lie strictly between 0 and 1 at two different k"
    for k, coverage in (([1, 10], [0.0, 0.5]), ([3, 3], [0.4, 0.5]), ([], [])):
        with pytest.raises(ValueError, match=message):
            coverage_fit(k, coverage)
    with pytest.raises(ValueError, match=r"^coverage: must have shape \(2,\), as k"):
        coverage_fit([1, 2], [0.5])
    with pytest.raises(ValueError, match=r"^coverage: item 1 must be in \[0, 1\]"):
        coverage_fit([1, 2], [0.5, 1.5])
    with pytest.raises(ValueError, match=r"^k: item 0 must be in \[1, 2\*\*53\], got 0"):
        coverage_fit([0, 2], [0.5, 0.6])


@pytest.mark.parametrize("case", DATA["beta_binomial"], ids=["40 of each"])
def test_beta_binomial_vectors(case):
    fit = beta_binomial_fit(case["n"], case["c"])
    assert (fit.alpha, fit.beta) == pytest.approx((case["alpha"], case["beta"]), rel=1e-5)
    assert fit.log_likelihood == pytest.approx(-case["nll_without_binomial_constant"], rel=1e-12)
    k = [int(k) for k in case["pass_at_k"]]
    predicted = fit.predict(k)
    np.testing.assert_allclose(predicted.value, list(case["pass_at_k"].values()), rtol=1e-5)
    assert fit.boundary is None


def test_the_fit_is_the_largest_likelihood():
    """Against SciPy's general optimiser, for problems with different numbers of samples."""
    optimize = pytest.importorskip("scipy.optimize")
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(0)
    for alpha, beta, size in ((0.3, 2.0, 40), (2.0, 0.5, 300), (30.0, 70.0, 200)):
        n = rng.integers(1, 60, size)
        c = rng.binomial(n, rng.beta(alpha, beta, size))

        def loss(logs, n=n, c=c):
            a, b = np.exp(logs)
            return -(special.betaln(c + a, n - c + b) - special.betaln(a, b)).sum()

        found = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9})
        fit = beta_binomial_fit(n, c)
        assert -fit.log_likelihood <= found.fun + 1e-9
        assert (fit.alpha, fit.beta) == pytest.approx(tuple(np.exp(found.x)), rel=1e-3)
        # The curvature, by differences.
        h, at = 3e-3, np.log([fit.alpha, fit.beta])
        e = np.eye(2) * h
        curvature = [
            [
                (loss(at + x + y) - loss(at + x - y) - loss(at - x + y) + loss(at - x - y))
                / (4 * h * h)
                for y in e
            ]
            for x in e
        ]
        np.testing.assert_allclose(fit.covariance, np.linalg.inv(curvature), rtol=1e-3)


def test_the_order_of_problems_and_untried_ones_do_not_matter():
    n, c = np.array([10, 20, 30, 10]), np.array([1, 7, 0, 9])
    fit = beta_binomial_fit(n, c)
    for order in ([3, 1, 0, 2], [0, 1, 2, 3]):
        again = beta_binomial_fit(np.r_[n[order], 0, 0], np.r_[c[order], 0, 0])
        assert (again.alpha, again.beta) == pytest.approx((fit.alpha, fit.beta), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "c", "boundary", "predicted"),
    [
        (5, [0, 0, 0], "failed", [0.0, 0.0, 0.0]),
        (5, [5, 5], "solved", [0.0, 1.0, 1.0]),
        ([5, 3, 0], [5, 0, 0], "all or nothing", [0.0, 0.5, 0.5]),
        (4, [1, 1, 1], "equal", [0.0, 0.25, 1 - 0.75**9]),
    ],
)
def test_boundaries(n, c, boundary, predicted):
    fit = beta_binomial_fit(n, c)
    assert fit.boundary == boundary
    value, stderr = fit.predict([0, 1, 9])
    np.testing.assert_allclose(value, predicted, atol=1e-15)
    assert np.isnan(stderr).all()
    assert np.isnan(fit.covariance).all()


def test_equal_problems_have_no_spread():
    """Binomial counts spread less than their law half of the time, and never by much more."""
    rng = np.random.default_rng(0)
    found = [beta_binomial_fit(30, rng.binomial(30, 0.4, 50)) for _ in range(100)]
    equal = sum(fit.boundary == "equal" for fit in found)
    assert 35 <= equal <= 70
    assert all(fit.alpha + fit.beta > 20 for fit in found)


def test_bad_counts():
    with pytest.raises(ValueError, match=r"^n: at least one problem must have two samples"):
        beta_binomial_fit(1, [0, 1, 1])
    with pytest.raises(
        ValueError, match=r"^c: row 1: must be at least 0 and at most n, which is 5"
    ):
        beta_binomial_fit(5, [0, 6])
    with pytest.raises(ValueError, match=r"^n: must have shape \(2,\)"):
        beta_binomial_fit([5, 5, 5], [0, 1])
    fit = beta_binomial_fit(5, [0, 2, 5])
    with pytest.raises(ValueError, match=r"^k: must be in \[0, 2\*\*53\], got -1"):
        fit.predict(-1)
    assert fit.predict(0) == (0.0, 0.0)
    assert isinstance(fit.predict(7).value, float)


@pytest.mark.law
def test_extrapolation_and_its_standard_error():
    """pass@1000 of 400 benchmarks of 150 problems with 20 samples, and the error stated."""
    rng, alpha, beta = np.random.default_rng(2), 0.5, 3.0
    truth = 1 - np.exp(
        np.log1p(-alpha / (alpha + beta + np.arange(1000))).sum()
    )  # the product of (beta + i) / (alpha + beta + i)
    values, stated = [], []
    for _ in range(400):
        c = rng.binomial(20, rng.beta(alpha, beta, 150))
        value, stderr = beta_binomial_fit(20, c).predict(1000)
        values.append(value)
        stated.append(stderr)
    error, stated = np.array(values) - truth, np.array(stated)
    assert 0.8 < np.sqrt(np.mean(error**2) / np.mean(stated**2)) < 1.25
    assert abs(error.mean()) < np.sqrt(np.mean(error**2)) / 3


@pytest.mark.law
def test_predictions_agree_with_pass_at_k_of_fresh_problems():
    """A law fitted to many problems, against 100,000 others with k samples of each."""
    rng = np.random.default_rng(3)
    fit = beta_binomial_fit(50, rng.binomial(50, rng.beta(0.7, 2.0, 200_000)))
    fresh = rng.binomial(64, rng.beta(fit.alpha, fit.beta, 100_000))
    for k in (1, 8, 64):
        assert_mean(pass_at_k(64, fresh, k), fit.predict(k).value)
    assert average(pass_at_k(64, fresh, 1)).value == pytest.approx(fit.mean, rel=0.05)
