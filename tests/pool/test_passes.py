"""pass@k, pass^k and the variance of the first, from counts."""

from fractions import Fraction
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_mean
from sortes.pool import pass_at_k, pass_at_k_variance, pass_hat_k
from vectors import load

VECTORS = load("pool/passk.json")["pass_at_k"]
ULP = 2.0**-53


def wrong_share(n, c, k):
    """The share of the subsets of k that hold none of c, as a fraction."""
    return Fraction(comb(n - c, k), comb(n, k))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['n']}-{case['c']}-{case['k']}")
def test_vectors(case):
    counts = case["n"], case["c"], case["k"]
    assert pass_at_k(*counts) == pytest.approx(case["pass_at_k"], rel=2e-12, abs=1e-15)
    assert pass_hat_k(*counts) == pytest.approx(case["pass_hat_k"], rel=1e-13, abs=1e-300)
    exact = 1 - wrong_share(*counts)
    assert pass_at_k(*counts) == pytest.approx(float(exact), rel=1e-15)


def bound(c, k):
    """The relative error of pass@k that the kernel states."""
    return (3 * min(c, k) + 4 if min(c, k) <= 128 else 40) * ULP


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_fractions(n, c, k):
    c, k = min(c, n), min(k, n)
    exact = 1 - wrong_share(n, c, k)
    assert abs(Fraction(pass_at_k(n, c, k)) - exact) <= exact * Fraction(bound(c, k))
    exact = float(wrong_share(n, n - c, k))
    # The logarithm of what is tiny is large, and so is its rounding.
    error = max(5e-14, -4.5e-15 * np.log(exact)) if exact > 0 else 0.0
    assert pass_hat_k(n, c, k) == pytest.approx(exact, rel=error, abs=1e-300)


@pytest.mark.parametrize("n", [2**52 - 1, 2**52 + 1, 2**53 - 1, 2**53])
@pytest.mark.parametrize("k", [128, 129, 130, 1000])
def test_few_of_the_largest_counts(n, k):
    """Seen red: half steps of the integral that large numbers rounded away, an error of 0.8 %."""
    for c in (k, 2**20, 2**40, n // 1000, n // 10):
        exact = 1 - wrong_share(n, c, k)
        assert abs(Fraction(pass_at_k(n, c, k)) - exact) <= exact * Fraction(bound(c, k))


@given(st.integers(1, 2**53), st.floats(0, 1), st.floats(0, 1), st.integers(0, 200), st.booleans())
def test_large_counts(n, share, other, little, few):
    """Up to 2**53, against 90 digits: the whole range of c and k, and few of many."""
    mpmath = pytest.importorskip("mpmath")
    c, k = int(n * share), min(little, n) if few else int(n * other)
    with mpmath.workdps(90):
        if c + k > n or 0 in (c, k):
            expected = mpmath.mpf(c * k > 0)
        else:
            logs = [mpmath.loggamma(mpmath.mpf(x) + 1) for x in (n - c, n - k, n - c - k, n)]
            expected = -mpmath.expm1(logs[0] + logs[1] - logs[2] - logs[3])
        error = abs(mpmath.mpf(pass_at_k(n, c, k)) - expected)
        assert error <= 5e-14 * abs(expected)


@given(st.integers(1, 60), st.data())
def test_the_chance_grows_with_k_and_with_c(n, data):
    c, k = data.draw(st.integers(0, n)), np.arange(n + 1)
    chances = pass_at_k(n, c, k)
    assert chances[0] == 0
    assert (np.diff(chances) >= -4 * ULP).all()
    assert (pass_at_k(n, min(c + 1, n), k) >= chances - 4 * ULP).all()
    assert chances[1] == pytest.approx(c / n)
    assert pass_hat_k(n, c, 0) == 1
    np.testing.assert_allclose(pass_hat_k(n, c, k), 1 - pass_at_k(n, n - c, k), atol=1e-14)


def test_shapes():
    n, c, k = np.array([[9], [5]]), np.array([[2], [3]]), np.array([1, 2, 5])
    table = pass_at_k(n, c, k)
    assert table.shape == (2, 3)
    assert table.dtype == np.float64
    for i in range(2):
        for j in range(3):
            assert table[i, j] == pass_at_k(int(n[i, 0]), int(c[i, 0]), int(k[j]))
    assert isinstance(pass_at_k(9, 2, 1), float)
    assert pass_at_k([9], 2, 1).shape == (1,)
    assert pass_at_k(9, np.zeros(0, int), 1).shape == (0,)
    assert pass_at_k(np.zeros((0, 1), int), [1, 2], 1).shape == (0, 2)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64])
def test_any_integers(dtype):
    assert pass_at_k(dtype(9), np.array([2, 3], dtype), 1).tolist() == [2 / 9, 3 / 9]


def test_tensors(torch):
    assert pass_at_k(torch.tensor(9), torch.tensor([2, 3]), 1).tolist() == [2 / 9, 3 / 9]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((5, 0, 6), "k: row 0: must be at least 0 and at most n, which is 5, got 6"),
        ((5, [0, 6], 1), "c: row 1: must be at least 0 and at most n, which is 5, got 6"),
        (([5, -1], 0, 0), "n: row 1: must be in [0, 2**53], got -1"),
        ((2**53 + 1, 0, 0), "n: row 0: must be in [0, 2**53], got 9007199254740993"),
        ((5, 1, -1), "k: row 0: must be at least 0 and at most n, which is 5, got -1"),
        (([5, 5], [1, 1, 1], 1), "k: n, c and k must broadcast, got shapes (2,), (3,), ()"),
        ((5, 0.5, 1), "c: must be an integer, got 0.5"),
        ((5, [True], 1), "c: must hold integers, got bool"),
        ((np.ones((2, 2, 2), int), 1, 1), "n: must have at most two dimensions"),
    ],
)
def test_what_makes_no_sense_is_refused(counts, message):
    with pytest.raises((ValueError, TypeError)) as refused:
        pass_at_k(*counts)
    assert str(refused.value).startswith(message)


def test_the_first_bad_row_is_named_whatever_the_threads():
    c = np.full(100_000, 3)
    c[[70_000, 90_000]] = 11
    for n in (10, np.full(c.size, 10)):  # looked up, and computed
        for threads in (1, 2, 7):
            with pytest.raises(ValueError, match=r"^c: row 70000: .* got 11$"):
                pass_at_k(n, c, 2, num_threads=threads)


def test_the_variance_is_that_of_the_estimate():
    """Exactly unbiased: summed over the law of c, for several chances."""
    n = 12
    for p in (0.05, 0.5, 0.9):
        law = np.array([comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)])
        for k in range(1, n // 2 + 1):
            values = pass_at_k(n, np.arange(n + 1), k)
            mean = law @ values
            assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-13)
            variance = law @ pass_at_k_variance(n, np.arange(n + 1), k)
            assert variance == pytest.approx(law @ (values - mean) ** 2, abs=1e-13)
    assert (pass_at_k_variance(40, np.arange(41), 7) >= 0).all()
    with pytest.raises(ValueError, match=r"^k: row 0: must be at least 0 and at most half of n"):
        pass_at_k_variance(5, 1, 3)


@pytest.mark.law
def test_pass_at_k_is_the_chance_of_k_fresh_samples():
    """200,000 pools of 20 samples of a problem with p = 0.1. Seen red: k - 1 in place of k."""
    rng = np.random.default_rng(0)
    c = rng.binomial(20, 0.1, 200_000)
    assert_mean(pass_at_k(20, c, 5), 1 - 0.9**5)
    assert_mean(pass_hat_k(20, c, 2), 0.1**2)


def test_values_beside_the_snippet_that_is_often_copied():
    """It returns 1.0 for k > n, even where nothing is right; rare hits lose digits."""

    def snippet(n, c, k):
        return 1.0 if n - c < k else 1.0 - prod(1 - k / i for i in range(n - c + 1, n + 1))

    assert snippet(5, 0, 6) == 1.0
    with pytest.raises(ValueError, match=r"^k: row 0"):
        pass_at_k(5, 0, 6)
    assert pass_at_k(10**9, 1, 1) == 1e-9
    assert abs(snippet(10**9, 1, 1) / 1e-9 - 1) > 1e-9
