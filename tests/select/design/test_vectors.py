"""Designs, strata and masks against the recorded vectors, and against exact arithmetic."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from sortes.select import (
    allocate,
    conditional_poisson_odds,
    conditional_poisson_probabilities,
    inclusion_probabilities,
    log_elementary_symmetric,
    mask_weights,
    neyman_allocation,
    stratified_mean,
    systematic_sample,
)
from vectors import load

VECTORS = load("select/design.json")


def cases(key):
    return pytest.mark.parametrize("case", VECTORS[key])


@cases("inclusion_probabilities")
def test_inclusion_probabilities(case):
    pi, tau = inclusion_probabilities(case["w"], case["k"])
    np.testing.assert_allclose(pi, case["pi"], rtol=1e-12)
    assert tau == pytest.approx(float(case["tau"]), rel=1e-12)


@cases("leverage_pi")
def test_capped_scores(case):
    pi, _ = inclusion_probabilities(case["scores"], case["k"])
    np.testing.assert_allclose(pi, case["pi"], rtol=1e-12)


@cases("systematic")
def test_systematic(case):
    assert systematic_sample(case["pi"], u=case["u"]).indices.tolist() == case["selected"]


@cases("conditional_poisson")
def test_conditional_poisson(case):
    if "sets" in case:
        pi = conditional_poisson_probabilities(case["odds"], case["k"])
        np.testing.assert_allclose(pi, case["inclusion"], rtol=1e-12)
    else:
        odds = conditional_poisson_odds(case["pi"])
        np.testing.assert_allclose(odds, case["odds"], rtol=1e-9)
        back = conditional_poisson_probabilities(odds, case["k"])
        np.testing.assert_allclose(back, case["pi"], rtol=1e-12)


@cases("esp")
def test_elementary_symmetric_polynomials(case):
    with np.errstate(divide="ignore"):
        logs = np.log(case["eigenvalues"])
    e = np.exp(log_elementary_symmetric(logs, case["kmax"]))
    np.testing.assert_allclose(e, case["e"], rtol=1e-12)


@cases("allocation")
def test_allocation(case):
    assert allocate(case["shares"], case["m"], case["caps"]).tolist() == case["counts"]


@cases("neyman")
def test_neyman(case):
    assert neyman_allocation(case["sizes"], case["sds"], case["m"]).tolist() == case["counts"]


@cases("stratified_mean")
def test_stratified_mean(case):
    values = np.concatenate(case["values"])
    strata = np.repeat(np.arange(len(case["values"])), [len(v) for v in case["values"]])
    mean, stderr = stratified_mean(values, strata, case["sizes"])
    assert mean == pytest.approx(case["estimate"], rel=1e-12)
    assert stderr**2 == pytest.approx(case["variance"], rel=1e-12)


@cases("lime_weights")
def test_mask_weights(case):
    np.testing.assert_allclose(mask_weights(case["n"]), case["weights"], rtol=1e-12)


def by_enumeration(odds, k):
    """Inclusion probabilities in rational arithmetic."""
    odds = [Fraction(o) for o in odds]
    sums, total = [Fraction(0)] * len(odds), Fraction(0)
    for chosen in combinations(range(len(odds)), k):
        product = math.prod(odds[i] for i in chosen)
        total += product
        for i in chosen:
            sums[i] += product
    return [float(s / total) for s in sums]


@pytest.mark.parametrize("spread", [0, 1, 30, 300])
@pytest.mark.parametrize("k", [1, 4, 9, 11])
def test_conditional_poisson_in_rational_arithmetic(spread, k):
    odds = 10.0 ** (spread * (np.random.default_rng(k).random(12) - 0.5))
    pi = conditional_poisson_probabilities(odds, k)
    np.testing.assert_allclose(pi, by_enumeration(odds.tolist(), k), rtol=1e-12, atol=1e-250)


def test_conditional_poisson_of_many_units_and_wide_odds():
    """n = 5000, k = 500, odds from 1e-100 to 1e100: as by polynomials in log space."""
    n, k = 5000, 500
    logs = np.random.default_rng(0).permutation(np.linspace(-100, 100, n)) * math.log(10)
    pi = conditional_poisson_probabilities(np.exp(logs), k)
    assert np.isfinite(pi).all()
    assert pi.sum() == pytest.approx(k, rel=1e-13)
    e_k = log_elementary_symmetric(logs, k)[k]
    ranks = np.argsort(-logs)
    for i in ranks[[0, 300, 480, 495, 499, 500, 501, 510, 530]]:
        e = log_elementary_symmetric(np.delete(logs, i), k - 1)[k - 1]
        # The sum of 5000 logarithms of this size is known to about 1e-10.
        assert pi[i] == pytest.approx(math.exp(logs[i] + e - e_k), rel=1e-8)


def test_fitted_odds_of_many_units():
    rng = np.random.default_rng(1)
    pi = inclusion_probabilities(rng.pareto(0.7, 2000), 400).pi
    back = conditional_poisson_probabilities(conditional_poisson_odds(pi), 400)
    np.testing.assert_allclose(back, pi, rtol=1e-11)
    assert (back[pi == 1] == 1).all()
    assert (pi == 1).sum() > 10
