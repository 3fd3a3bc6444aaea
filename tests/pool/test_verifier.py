"""Resampling until an imperfect verifier accepts."""

import numpy as np
import pytest
from lawlib import assert_mean
from sortes.pool import resample_value
from vectors import load


def asked(case):
    given = {name: case[name] for name in ("success", "prior", "completeness", "soundness")}
    return {
        **given,
        "false_positive_value": case["value_false_positive"],
        "cost": case["cost_per_attempt"],
    }


@pytest.mark.parametrize("case", load("pool/passk.json")["imperfect_verifier"], ids=str)
def test_vectors(case):
    worth = resample_value(**asked(case), max_k=len(case["value"]))
    np.testing.assert_allclose(worth.value[1:], case["value"], atol=1e-14)
    assert worth.value[0] == worth.accuracy[0] == 0
    assert worth.optimal_k == case["optimal_k"]
    assert worth.limit == pytest.approx(case["accuracy_limit"], rel=1e-14)


def test_a_perfect_verifier_is_coverage():
    worth = resample_value([0.3, 0.0], [3, 1], 1.0, 1.0, -5.0, max_k=40)
    expected = 0.75 * (1 - 0.7 ** np.arange(41))
    np.testing.assert_allclose(worth.value, expected, atol=1e-14)
    np.testing.assert_allclose(worth.accuracy, expected, atol=1e-14)
    assert (worth.optimal_k, worth.limit) == (40, 0.75)


def test_what_does_not_pay_is_not_tried():
    assert resample_value([0.1], [1], 1.0, 0.5, -10.0).optimal_k == 0
    assert resample_value([0.1], [1], 1.0, 1.0, 0.0, 0.2).optimal_k == 0
    # Nothing is ever accepted.
    worth = resample_value([0.5], [1], 0.0, 1.0, -1.0)
    assert (worth.optimal_k, worth.limit, worth.value[-1]) == (0, 0.0, 0.0)


def test_input():
    for bad, message in [
        (([1.5], [1], 1, 1, 0), r"success: item 0 must be in \[0, 1\]"),
        (([0.5], [-1], 1, 1, 0), r"prior: item 0 must be in \[0, inf\)"),
        (([0.5], [0], 1, 1, 0), r"prior: the sum must be in \(0, inf\), got 0.0"),
        (([], [], 1, 1, 0), r"prior: the sum must be in \(0, inf\), got 0.0"),
        (([0.5], [1, 2], 1, 1, 0), r"prior: must have shape \(1,\), as success, got \(2,\)"),
        (([0.5], [1], 1, 1, 0.5), r"false_positive_value: must be in \(-inf, 0\], got 0.5"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            resample_value(*bad)


@pytest.mark.law
def test_the_value_is_that_of_trying():
    """200,000 problems of two kinds, at most 4 attempts each."""
    rng, size = np.random.default_rng(0), 200_000
    kind = rng.random(size) < 0.4
    r = np.where(kind, 0.2, 0.9)
    value, right, open_ = np.zeros(size), np.zeros(size), np.ones(size, bool)
    for _ in range(4):
        is_right = rng.random(size) < r
        accepted = open_ & (rng.random(size) < np.where(is_right, 0.9, 0.25))
        value += np.where(accepted, np.where(is_right, 1.0, -0.7), 0.0) - 0.01 * open_
        right += accepted & is_right
        open_ &= ~accepted
    worth = resample_value([0.2, 0.9], [0.4, 0.6], 0.9, 0.75, -0.7, 0.01, 4)
    assert_mean(value, worth.value[4])
    assert_mean(right, worth.accuracy[4])
