"""Means over problems, and how many samples or problems they need."""

from fractions import Fraction
from functools import partial
from math import comb, sqrt

import numpy as np
import pytest
from lawlib import assert_mean
from sortes.pool import (
    Estimate,
    average,
    max_at_k,
    pass_at_k,
    pass_at_k_variance,
    problems_needed,
    samples_needed,
)

LEVEL_95 = 1.959963984540054


def test_averages():
    x = np.array([[0.0, 1.0], [0.5, 1.0], [1.0, 0.0]])
    value, stderr = average(x)
    np.testing.assert_allclose(value, x.mean(0))
    np.testing.assert_allclose(stderr, x.std(0, ddof=1) / np.sqrt(3))
    one = average(x[:, 0])
    assert isinstance(one, Estimate)
    assert one == (value[0], stderr[0])
    assert all(isinstance(part, float) for part in one)
    own = average(x, variances=x / 10)
    np.testing.assert_allclose(own.stderr, np.sqrt(x.sum(0) / 10) / 3)
    assert np.isnan(average([0.5]).stderr)


def test_groups():
    x = np.array([0.0, 1.0, 0.5, 1.0])
    alone = average(x, groups=[4, 3, 9, 1])
    assert alone == pytest.approx(average(x))
    # Copies of a problem tell nothing new.
    double = average(np.r_[x, x], groups=[0, 1, 2, 3, 0, 1, 2, 3])
    assert double == pytest.approx(average(x))
    both = np.stack([x, 1 - x], 1)
    np.testing.assert_allclose(average(both, groups=[0, 0, 1, 1]).stderr, [0.125, 0.125])
    assert np.isnan(average(x, groups=[0, 0, 0, 0]).stderr)


def test_what_makes_no_sense_is_refused():
    for call, message in [
        (lambda: average([]), r"values: must have shape \(P,\) or \(P, K\), got \(0,\)"),
        (lambda: average([0.5, np.nan]), r"values: row 1: must be in \(-inf, inf\), got nan"),
        (lambda: average([1.0], variances=[-1.0]), "variances: must not be negative, got -1.0"),
        (lambda: average([1.0], variances=[1.0, 2.0]), r"variances: must have shape \(1,\)"),
        (lambda: average([1.0], variances=[1.0], groups=[1]), "groups: must not be given with"),
        (lambda: average([1.0, 2.0], groups=[1, 2, 3]), r"groups: must have shape \(2,\)"),
        (lambda: samples_needed(0.1, 5, [1], 3), "n: item 0 must be at least 2 k, which is 6"),
        (lambda: samples_needed(0.1, 6, [0, 6], 3), "c: no problem of the pilot has both"),
        (lambda: samples_needed(0.1, 6, [7]), "c: row 0: must be at least 0 and at most n"),
        (lambda: samples_needed(0.0, 6, [3]), r"width: must be in \(0, inf\), got 0.0"),
        (lambda: samples_needed(0.1, 6, [3], level=1.0), r"level: must be in \(0, 1\), got 1.0"),
        (lambda: samples_needed(0.1, [], []), "c: the pilot must have at least one problem"),
        (lambda: problems_needed(0.1, 6, [3]), "c: the pilot must have at least two problems"),
        (lambda: problems_needed(0.1, 6, [3, 3]), "c: the problems of the pilot do not differ"),
        (lambda: problems_needed(0.1, 6, [3, 2], 3, samples=2), "samples: must be at least k"),
        *[
            (call, rf"width: more than 2\*\*53 {what} would be needed, got {width}$")
            for width in (1e-8, 1e-16, 1e-150, 1e-300, 5e-324)
            for call, what in [
                (partial(samples_needed, width, 20, [3, 10]), "samples"),
                (partial(samples_needed, width, 20, [3, 10], 5), "samples"),
                (partial(problems_needed, width, 20, [3, 10]), "problems"),
                (partial(problems_needed, width, 20, [3, 10], 5, samples=9), "problems"),
            ]
        ],
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            call()


def test_one_sample_of_pass_at_1_is_a_formula():
    """The variance is p (1 - p) / N, with an estimate of p (1 - p) from the pilot."""
    n, c = 20, np.array([3, 10, 18, 0])
    own = (c / n * (1 - c / n) * n / (n - 1)).sum() / 16
    for width in (0.3, 0.1, 0.01):
        needed = own / (width / (2 * LEVEL_95)) ** 2
        assert samples_needed(width, n, c) == max(int(np.ceil(needed)), 1)


@pytest.mark.parametrize(
    ("level", "z"),
    [  # sqrt(2) erfinv(level), of mpmath at 40 digits
        (1e-300, 1.2533141373155003e-300),
        (1e-16, 1.2533141373155002e-16),
        (1e-5, 1.2533141373483120e-5),
        (1.1e-5, 1.3786455510907226e-5),
        (0.001, 0.0012533144654325545),
        (0.5, 0.6744897501960817),
        (0.999, 3.2905267314918945),
        (1 - 1e-6, 4.8916384756929318),
        (1 - 2**-53, 8.2923610758135955),
    ],
)
def test_every_level_has_its_width(level, z):
    """Also where the quantile of half a rounding would be infinite, and that of a half zero."""
    n, c = 20, np.array([3, 10, 18, 0])
    own = average(pass_at_k(n, c, 1), variances=pass_at_k_variance(n, c, 1)).stderr
    whole = average(pass_at_k(n, c, 1)).stderr
    assert samples_needed(2 * z * own * (1 + 1e-9), n, c, level=level) == n
    assert samples_needed(2 * z * own * (1 - 1e-9), n, c, level=level) == n + 1
    assert problems_needed(2 * z * whole * (1 + 1e-9), n, c, level=level) == 4
    assert problems_needed(2 * z * whole * (1 - 1e-9), n, c, level=level) == 5


def test_any_width_is_answered():
    """The widest need the least; widths whose square overflows are among them."""
    for width in (1.0, 1e150, 1e160, 1e300, np.finfo(float).max):
        for level in (5e-324, 1e-300, 0.5):
            assert samples_needed(width, 20, [3, 10], 4, level=level) == 4
            assert problems_needed(width, 20, [3, 10], 4, level=level) == 1
    # As many as there may be.
    n, c = 20, [3, 10]
    own = average(pass_at_k(n, c, 1), variances=pass_at_k_variance(n, c, 1)).stderr
    most = 2 * LEVEL_95 * own * sqrt(n / 2**53)
    assert samples_needed(most * (1 + 1e-12), n, c) <= 2**53
    assert samples_needed(most * (1 + 1e-6), n, c) == pytest.approx(2**53, rel=3e-6)


@pytest.mark.parametrize("n", [100, 10**6, 10**12])
def test_rare_hits_lose_no_digits(n):
    """One hit of many samples: chances of nothing differ by as little as they fall short of one."""
    k = 3
    nothing = [Fraction(comb(n - 1, 2 * k - j), comb(n, 2 * k - j)) for j in range(k + 1)]
    shared = [Fraction(comb(k, j) * comb(n - k, k - j), comb(n, k)) for j in range(k + 1)]
    own = sum(p * (q - nothing[0]) for p, q in zip(shared, nothing, strict=True))
    width = 2 * LEVEL_95 * sqrt(own)
    assert samples_needed(width * (1 + 1e-9), n, [1], k) == pytest.approx(n, rel=1e-8)


def test_the_pilot_itself():
    """As many samples as the pilot has give its own variance, whatever k."""
    n, c = 30, np.array([3, 10, 18, 0, 29])
    for k in (1, 4, 15):
        stderr = average(pass_at_k(n, c, k), variances=pass_at_k_variance(n, c, k)).stderr
        width = 2 * LEVEL_95 * stderr
        assert samples_needed(width * (1 + 1e-9), n, c, k) == n
        assert samples_needed(width * (1 - 1e-9), n, c, k) == n + 1
        values = pass_at_k(n, c, k)
        whole = 2 * LEVEL_95 * average(values).stderr
        assert problems_needed(whole * (1 + 1e-9), n, c, k) == 5
        assert problems_needed(whole * (1 - 1e-9), n, c, k) == 6
        assert problems_needed(whole * (1 + 1e-9), n, c, k, samples=n) == 5


def test_more_is_never_needed_for_less():
    n, c = 40, np.array([0, 1, 2, 5, 20, 39])
    widths = np.geomspace(0.01, 1, 20)
    for k in (1, 5):
        needed = [samples_needed(float(w), n, c, k) for w in widths]
        assert needed == sorted(needed, reverse=True)
        assert min(needed) >= k
        for_level = [samples_needed(0.1, n, c, k, level=level) for level in (0.5, 0.9, 0.99)]
        assert for_level == sorted(for_level)
        fewer = [problems_needed(0.1, n, c, k, samples=s) for s in (k, 2 * k, 10**6, 2**53)]
        assert fewer == sorted(fewer, reverse=True)


@pytest.mark.law
def test_the_interval_has_its_width():
    """The variance with as many samples as are said, over 50,000 reruns of 6 problems."""
    rng, p, k = np.random.default_rng(0), np.array([0.02, 0.1, 0.2, 0.5, 0.7, 0.9]), 3
    pilot = rng.binomial(100_000, p)
    width = 0.15
    needed = samples_needed(width, 100_000, pilot, k)
    runs = pass_at_k(needed, rng.binomial(needed, p, (50_000, 6)), k).mean(1)
    assert_mean(runs, (1 - (1 - p) ** k).mean())
    assert 2 * LEVEL_95 * runs.std() == pytest.approx(width, rel=0.04)


@pytest.mark.law
def test_the_stated_error_of_a_mean_is_the_error_made():
    """3,000 benchmarks of 80 problems, scores of 16 samples, the best of 4."""
    rng = np.random.default_rng(1)
    skill = rng.normal(size=(3000, 80, 1))
    means = [average(max_at_k(s + rng.normal(size=(80, 16)), 4)) for s in skill]
    value, stderr = np.array(means).T
    assert value.std() == pytest.approx(np.sqrt(np.mean(stderr**2)), rel=0.06)
