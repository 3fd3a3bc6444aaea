"""Polya-Gamma variables: the law of every shape and tilt."""

from functools import cache

import numpy as np
import pytest
from lawlib import assert_cdf
from scipy import stats
from sortes import Stream
from sortes.mcmc import random_polyagamma
from vectors import load

VECTORS = load("mcmc/polya_gamma.json")
N = 20_000
#: Shapes below one, of one piece, of several; the tilts reach both ways to draw the left side, and
#: beyond where the usual package fails.
SHAPES = [0.02, 0.3, 0.9, 1, 1.3, 1.97, 2, 2.7, 7.5, 40.2]
TILTS = [0, 0.5, 3.0, -3.2, 12, 178, 1e4, 1e8]


def mean_and_variance(b, c):
    """The closed forms; near zero their series."""
    c = abs(c)
    if c < 1e-3:
        return b / 4 * (1 - c**2 / 12), b / 24 * (1 - c**2 / 5)
    e = np.exp(-c)
    spread = 2 * (1 - e * e - 2 * c * e) / (1 + e) ** 2
    return b / (2 * c) * np.tanh(c / 2), b * spread / (4 * c**3)


def log_transform(b, c, t):
    """The logarithm of E exp(-t X) for complex `t`, on the branch that begins at zero."""
    s = np.sqrt((c**2 / 2 + t) / 2)
    log_cosh = s + np.log1p(np.exp(-2 * s)) - np.log(2)
    return b * (c / 2 + np.log1p(np.exp(-c)) - np.log(2) - log_cosh)


@cache
def distribution(b, c):
    """The distribution function on a grid, by the Fourier integral of Gil-Pelaez."""
    mean, var = mean_and_variance(b, c)
    end = mean + 20 * np.sqrt(var)
    x = np.unique([*np.linspace(end / 400, end, 400), *np.geomspace(end / 1e4, end / 5, 200)])
    # The transform falls like exp(-b sqrt(s) / 2); periods beyond the grid keep aliases away.
    step = np.pi / (2 * end)
    s = (np.arange(int((36 / b + 4) ** 2 / step)) + 0.5) * step
    phi = np.exp(log_transform(b, c, 1j * s))
    values = np.empty_like(x)
    for i, at in enumerate(x):
        values[i] = 0.5 + step / np.pi * np.sum(np.imag(np.exp(1j * s * at) * phi) / s)
    return x, values


@pytest.mark.parametrize("case", VECTORS["moments"], ids=str)
def test_closed_forms_of_the_moments(case):
    found = mean_and_variance(case["b"], case["c"])
    assert found == pytest.approx((case["mean"], case["var"]), rel=1e-6)


@pytest.mark.parametrize("b", SHAPES)
def test_means_and_variances(b):
    """20,000 draws see an error of 4 % of a standard deviation in the mean.

    Fails if the left side is always accepted, if a sign of the series is switched, if `R` has twice
    its mean, and if one gamma is drawn for two.
    """
    tilts = np.array(TILTS)
    x = random_polyagamma(b, tilts[:, None], size=(len(tilts), N), rng=11)
    for c, draws in zip(tilts, x, strict=True):
        mean, var = mean_and_variance(b, c)
        assert abs(draws.mean() - mean) <= 5.6 * np.sqrt(var / N), c
        # The fourth cumulant of b pieces; those of small shapes have heavy tails.
        excess = stats.kurtosis(draws)
        assert abs(draws.var() / var - 1) <= 5.6 * np.sqrt((max(excess, 1) + 2) / N), c


@pytest.mark.parametrize("c", [0, 1, 4])
def test_distribution_of_shape_one_at_the_vectors(c):
    """200,000 draws see an error of 0.006 in a probability of one half."""
    draws = random_polyagamma(1, c, size=200_000, rng=5)
    for case in VECTORS["cdf"]:
        if case["c"] == c:
            hits = int((draws <= case["x"]).sum())
            assert stats.binomtest(hits, draws.size, case["cdf"]).pvalue > 1e-7


@pytest.mark.parametrize(
    ("b", "c"),
    [(0.4, 0.0), (0.7, 2.0), (1, 0.0), (1, 6.0), (1.3, 0.0), (1.3, 5.0), (1.9, 1.0), (2.7, 1.0)],
)
def test_distribution_against_its_fourier_integral(b, c):
    """40,000 draws see a distance of 0.014 between distribution functions."""
    x, values = distribution(b, c)
    draws = random_polyagamma(b, c, size=40_000, rng=7)
    x, values = np.append(0, x), np.append(0, np.clip(values, 0, 1))
    assert_cdf(draws, lambda at: np.interp(at, x, values))


@pytest.mark.parametrize("case", VECTORS["laplace"], ids=str)
def test_laplace_transforms(case):
    draws = random_polyagamma(case["b"], case["c"], size=100_000, rng=3)
    values = np.exp(-case["t"] * draws)
    error = values.std() / np.sqrt(values.size)
    assert abs(values.mean() - case["laplace"]) <= 5.2 * error


def test_the_sum_of_two_is_one_of_the_sum():
    two = random_polyagamma(0.6, 1.5, size=(2, 30_000), rng=1).sum(0)
    one = random_polyagamma(1.2, 1.5, size=30_000, rng=2)
    assert stats.ks_2samp(one, two).pvalue > 1e-6


def test_arguments_broadcast():
    b, c = np.array([1.0, 2.5, 0.5]), np.array([[0.0], [3.0]])
    x = random_polyagamma(b, c, rng=0)
    assert x.shape == (2, 3)
    again = random_polyagamma(*np.broadcast_arrays(b, c), rng=0)
    assert np.array_equal(x, again)
    assert random_polyagamma(b, 1.0, size=(4, 3), rng=0).shape == (4, 3)
    assert random_polyagamma([], 1.0).shape == (0,)
    assert isinstance(random_polyagamma(rng=0), float)
    assert random_polyagamma(1, 2, size=(), rng=0).shape == ()


@pytest.mark.parametrize("b", [1, 2.7, 0.5, 30])
@pytest.mark.parametrize("c", [0.0, 2.0, 50.0])
def test_same_bits_whatever_the_threads_and_the_form(b, c):
    n = 5_000
    one = random_polyagamma(b, c, size=n, rng=9, num_threads=1)
    for threads in (2, 7):
        assert np.array_equal(one, random_polyagamma(b, c, size=n, rng=9, num_threads=threads))
    # One number for all goes side by side, one for each goes one by one.
    assert np.array_equal(one, random_polyagamma(np.full(n, b), c, size=n, rng=9))
    assert np.array_equal(one[:100], random_polyagamma(b, c, size=100, rng=9))
    assert np.array_equal(one, random_polyagamma(b, -c, size=n, rng=9))
    assert not np.array_equal(one, random_polyagamma(b, c, size=n, rng=9, step=1))


def test_tensors_in_tensors_out():
    torch = pytest.importorskip("torch")
    c = torch.linspace(-1, 1, 5, dtype=torch.float32)
    x = random_polyagamma(1.5, c, rng=Stream(3))
    assert x.dtype == torch.float32
    assert x.tolist() == pytest.approx(random_polyagamma(1.5, c.numpy(), rng=Stream(3)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"b": 0.0}, r"b: must be in \(0, 2\*\*30\], got 0.0"),
        ({"b": [1, -2]}, r"b: item 1 must be in \(0, 2\*\*30\], got -2"),
        ({"b": 2.0**31}, r"b: must be in"),
        ({"b": [[1, np.nan]]}, r"b: item \(0, 1\) must be in .*, got nan"),
        ({"c": [0, np.inf]}, r"c: item 1 must be in \(-inf, inf\), got inf"),
        ({"b": [1, 2], "c": [1, 2, 3]}, r"c: must broadcast with b \(2,\), got \(3,\)"),
        ({"b": [1, 2], "size": 3}, r"b: must broadcast to size \(3,\), got shape \(2,\)"),
        ({"c": [[1], [2]], "size": 2}, r"c: must broadcast to size \(2,\), got shape \(2, 1\)"),
        ({"size": -1}, r"size: must be at least 0, got -1"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        random_polyagamma(**given)
