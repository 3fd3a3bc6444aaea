"""Effective sample sizes and R-hat are those of ArviZ."""

import numpy as np
import pytest
from sortes.mcmc import ess, rhat
from vectors import load

CASES = load("mcmc/diagnostics.json")["cases"]


def close(value, recorded):
    truth = np.nan if recorded is None else recorded
    np.testing.assert_allclose(value, truth, rtol=1e-9)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_recorded_values(case):
    """Of arviz-stats 0.8.0."""
    close(rhat(case["draws"]), case["rhat"])
    for method in ("bulk", "tail", "mean"):
        close(ess(case["draws"], method=method), case[method])


def test_several_numbers_at_once():
    draws = np.random.default_rng(3).normal(size=(3, 50, 2, 4))
    for method in ("bulk", "tail", "mean"):
        together = ess(draws, method=method, num_threads=2)
        assert together.shape == (2, 4)
        assert together[1, 2] == ess(draws[:, :, 1, 2], method=method)
    assert rhat(draws)[0, 3] == rhat(draws[..., 0, 3])


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros(5), r"^draws: must have shape \(chains, n\) or \(chains, n, ...\), got \(5,\)$"),
        (np.zeros((0, 5)), "^draws: must hold at least one chain, got 0$"),
        ([[0.0, np.nan], [1.0, 2.0]], "^draws: row 0: draw 1: is not finite: nan$"),
    ],
)
def test_what_is_refused(draws, message):
    for call in (ess, rhat):
        with pytest.raises(ValueError, match=message):
            call(draws)
