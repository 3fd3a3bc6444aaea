"""The asserts accept the right law, and see a slightly wrong one."""

import doctest

import lawlib
import numpy as np
import pytest
from lawlib import assert_cdf, assert_law, assert_mean, assert_same_law
from scipy import stats

N = 1_000_000
ZIPF = 1 / np.arange(1, 51) ** 2
ZIPF /= ZIPF.sum()


def gen(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(20))
def test_right_laws_pass(seed):
    rng = gen(seed)
    assert_law(rng.multinomial(N, ZIPF), ZIPF)
    assert_law(rng.multinomial(10_000, ZIPF), ZIPF)
    assert_cdf(rng.normal(size=20_000), stats.norm.cdf)
    assert_mean(rng.random(100_000), 0.5)
    assert_mean(rng.random(100_000), 0.5, 1 / 12)
    assert_same_law(rng.multinomial(N, ZIPF), rng.multinomial(N // 10, ZIPF))


def test_levels_are_what_they_say():
    """At level 0.05 about one sample in twenty fails: 400 samples, an exact binomial bound."""
    rng = gen()
    law = np.r_[np.full(6, 0.16), 0.03, 0.01]

    def rejections(check):
        total = 0
        for _ in range(400):
            try:
                check()
            except AssertionError:
                total += 1
        return total

    highest = stats.binom.isf(1e-6, 400, 0.05)
    lowest = stats.binom.ppf(1e-6, 400, 0.02)  # the two halves of alpha need not add up
    for check in (
        lambda: assert_law(rng.multinomial(5_000, law), law, alpha=0.05),
        lambda: assert_cdf(rng.random(2_000), lambda x: x, alpha=0.05),
        lambda: assert_mean(rng.random(1_000), 0.5, alpha=0.05),
        lambda: assert_same_law(
            rng.multinomial(9_000, law), rng.multinomial(7_000, law), alpha=0.05
        ),
    ):
        assert lowest <= rejections(check) <= highest


def test_a_law_off_by_a_hundredth_fails():
    p = np.array([0.5, 0.25, 0.25])
    off = np.array([0.51, 0.245, 0.245])
    with pytest.raises(AssertionError, match=r"n = 1000000, statistic .* critical .* worst cell 0"):
        assert_law(gen().multinomial(N, off), p)


def test_a_bent_tail_fails():
    """Rare outcomes are not lost in the merging: the rarest tenth drawn half as often."""
    off = ZIPF.copy()
    off[25:] *= 0.5
    with pytest.raises(AssertionError, match="chi-square"):
        assert_law(gen().multinomial(N, off / off.sum()), ZIPF)


def test_a_lone_rare_cell_gets_an_exact_test():
    p = np.array([0.6, 0.39999, 0.00001])
    assert_law([600_100, 399_888, 12], p)
    with pytest.raises(AssertionError, match=r"binomial .* worst cell 2 .* got 40, expected 10"):
        assert_law([600_100, 399_860, 40], p)


def test_one_impossible_draw_fails():
    with pytest.raises(AssertionError, match=r"impossible .* worst cell 2: got 1, expected 0"):
        assert_law([500_000, 500_000, 1], [0.5, 0.5, 0.0])
    with pytest.raises(AssertionError, match="impossible"):
        assert_law([99, 1], [1.0, 0.0])


def test_a_certain_outcome_passes():
    assert_law([0, 100], [0.0, 1.0])


@pytest.mark.parametrize(
    ("counts", "p", "message"),
    [
        ([1, 2], [1.0], r"p: must have shape \(2,\)"),
        ([1, 2], [0.5, 0.6], "p: must be non-negative and sum to 1"),
        ([1.5, 2], [0.5, 0.5], "counts: must be a vector"),
        ([0, 0], [0.5, 0.5], "counts: must hold at least one draw"),
        ([5, 5], [0.5, 0.5], "counts: 10 draws are too few"),
    ],
)
def test_what_is_no_sample_is_refused(counts, p, message):
    with pytest.raises(ValueError, match=message):
        assert_law(counts, p)


def test_a_shifted_or_bent_sample_fails():
    x = gen().normal(size=100_000)
    with pytest.raises(AssertionError, match="Kolmogorov-Smirnov: n = 100000"):
        assert_cdf(x + 0.02, stats.norm.cdf)
    with pytest.raises(AssertionError, match="outside the law"):
        assert_cdf(np.r_[x, np.nan], stats.norm.cdf)
    with pytest.raises(ValueError, match="sample: must hold at least 200"):
        assert_cdf(x[:100], stats.norm.cdf)

    u = gen().random(100_000)
    u[:450] = 0.995  # too few for Kolmogorov and Smirnov, whose critical distance is 850 draws
    with pytest.raises(AssertionError, match=r"chi-square .* worst cell \[0.99, 1\)"):
        assert_cdf(u, lambda x: x)


def test_a_wrong_mean_fails():
    x = gen().random(100_000)
    with pytest.raises(AssertionError, match=r"mean: n = 100000, statistic \|z\| = .* worst cell"):
        assert_mean(x, 0.506)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean([1.0, 1.0], 1.1, 0.0)
    assert_mean([1.0, 1.0], 1.0, 0.0)
    with pytest.raises(ValueError, match="x: must hold at least two"):
        assert_mean([1.0], 1.0)


def test_two_laws_are_told_apart():
    off = np.r_[ZIPF[0] * 0.97, ZIPF[1:]]
    with pytest.raises(AssertionError, match=r"chi-square .* worst cell 0"):
        assert_same_law(gen().multinomial(N, ZIPF), gen(1).multinomial(N, off / off.sum()))
    with pytest.raises(AssertionError, match=r"Fisher's test .* 0 against 60"):
        assert_same_law([500_000, 500_000, 0], [500_000, 499_940, 60])
    with pytest.raises(ValueError, match="b: must have shape"):
        assert_same_law([1, 2], [1, 2, 3])
    assert_same_law([100, 0], [7, 0])


def test_examples():
    assert doctest.testmod(lawlib).failed == 0
