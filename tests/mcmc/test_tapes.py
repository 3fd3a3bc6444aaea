"""Transitions with given random numbers are those of an independent reference."""

import numpy as np
import pytest
from sortes import _core
from sortes.mcmc import EllipticalSlice, Funnel, GibbsianPolarSlice, HitAndRunSlice, Slice, StudentT
from vectors import load

VECTORS = load("mcmc/slice.json")
CASES = VECTORS["slice_transitions"]
#: Log densities of one number.
DENSITIES = {
    "normal": lambda x: -0.5 * x * x,
    "bimodal": lambda x: np.logaddexp(-2 * (x - 4) ** 2, -2 * (x + 4) ** 2),
    "cauchy": lambda x: -np.log1p(x * x),
    "exponential": lambda x: -x if x >= 0 else -np.inf,
    "nan_right_of_one": lambda x: -0.5 * x * x if x < 1 else np.nan,
}


def play(kernel, logp, x0, tape, limit=10_000):
    """The state, its log density, the counts, the evaluations, and whether a limit was reached."""
    x0 = np.array(x0, float, ndmin=2)
    u, e, n = (np.array(tape[kind], float) for kind in "uen")
    native = kernel._native(x0.shape[1], limit)
    *found, left = _core.mcmc.engine.tape_step(native, logp, x0, u, e, n)
    assert left == (0, 0, 0)
    return found


def normal(case):
    mean, cov = np.array(case["mean"]), np.array(case["cov"])
    constant = 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1]

    def logp(x):
        return -0.5 * (x - mean) @ np.linalg.solve(cov, x - mean) - constant

    return logp


def close(ours, truth):
    np.testing.assert_allclose(ours, truth, rtol=1e-9, atol=1e-12)


def check(found, case, counts):
    x, logp, counted, evaluations, stuck = found
    close(x, np.atleast_1d(case["x1"]))
    close(logp, case["logp1"])
    assert counted == [case[name] for name in counts]
    assert evaluations == case.get("n_eval", evaluations)
    assert not stuck


@pytest.mark.parametrize("case", CASES["univariate_stepping_out"])
def test_stepping_out(case):
    """States, densities and counts are those of the reference, number for number."""
    kernel = Slice(case["width"], max_steps=case["max_steps"])
    f = DENSITIES[case["logp"]]
    check(play(kernel, lambda x: f(x[0]), case["x0"], case["tape"]), case, ["n_expand", "n_shrink"])


@pytest.mark.parametrize("case", CASES["univariate_doubling"])
def test_doubling(case):
    kernel = Slice(case["width"], method="doubling", max_doublings=case["max_doublings"])
    f = DENSITIES[case["logp"]]
    counts = ["n_doublings", "n_shrink"]
    check(play(kernel, lambda x: f(x[0]), case["x0"], case["tape"]), case, counts)


@pytest.mark.parametrize("case", CASES["coordinate"])
def test_coordinates(case):
    kernel = Slice(case["width"], max_steps=case["max_steps"])
    found = play(kernel, normal(case), case["x0"], case["tape"])
    check(found, case, ["n_expand", "n_shrink"])


@pytest.mark.parametrize("case", CASES["hit_and_run"])
def test_hit_and_run(case):
    kernel = HitAndRunSlice(case["width"], max_steps=case["max_steps"])
    found = play(kernel, normal(case), case["x0"], case["tape"])
    check(found, case, ["n_expand", "n_shrink"])


@pytest.mark.parametrize("case", CASES["elliptical"])
def test_elliptical(case):
    mean, cov = np.array(case["prior_mean"]), np.array(case["prior_cov"])
    prior = normal({"mean": mean, "cov": cov})
    y, sd = np.array(case["y"]), case["noise_sd"]

    def loglik(x):
        return np.sum(-0.5 * ((y - x) / sd) ** 2)

    for kernel in (
        EllipticalSlice(mean, prior_cov=cov),
        EllipticalSlice(mean, prior_scale_tril=np.linalg.cholesky(cov)),
    ):
        found = play(kernel, loglik, case["x0"], case["tape"])
        close(loglik(np.array(found[0])), case["loglik1"])
        posterior = case["loglik1"] + prior(np.array(case["x1"]))
        check(found, {**case, "logp1": posterior}, ["n_shrink"])


def polar_target(case):
    if case["target"] == "funnel":
        funnel = Funnel(case["dim"])
        return lambda x: funnel(x[None])[0]
    if case["target"] == "cauchy":
        return lambda x, d=case["dim"]: -0.5 * (1 + d) * np.log1p(x @ x)
    return lambda x: -(x @ x) - x.sum() ** 2


@pytest.mark.parametrize("case", CASES["gpss"])
def test_gibbsian_polar(case):
    kernel = GibbsianPolarSlice(case["width"], refresh_threshold=case["refresh_threshold"])
    target = polar_target(case)
    # The constants of densities change nothing but what is reported.
    constant = case["logp1"] - target(np.array(case["x1"]))
    found = play(kernel, lambda x: target(x) + constant, case["x0"], case["tape"])
    check(found, case, ["n_direction", "n_stepout", "n_radius"])
    close(np.linalg.norm(found[0]), case["radius1"])
    assert sum(found[2]) == found[3]


@pytest.mark.parametrize("case", VECTORS["targets"], ids=lambda case: case["target"])
def test_targets(case):
    x = np.array(case["x"])
    if case["target"] == "Funnel":
        ours = Funnel(case["dim"], scale=case["scale"])(x)
    else:
        factor = np.linalg.cholesky(case["scale_matrix"])
        z = np.linalg.solve(factor, (x - case["loc"]).T).T
        ours = StudentT(x.shape[1], df=case["df"])(z) - np.log(np.diagonal(factor)).sum()
    np.testing.assert_allclose(ours, case["logp"], rtol=1e-9)


def test_a_plateau_needs_no_care():
    """Nothing but the box is ever taken."""
    box = {"u": [0.5, 0.1, 0.6], "e": [0.3], "n": []}
    x, logp, counts, evaluations, stuck = play(
        Slice(4.0), lambda x: 0.0 if abs(x[0]) < 1 else -np.inf, 0.0, box
    )
    assert (logp, counts, evaluations, stuck) == (0.0, [0, 1], 4, False)
    close(x, [0.56])


@pytest.mark.parametrize(
    "kernel", [Slice(), Slice(method="doubling"), HitAndRunSlice(), EllipticalSlice(prior_var=1.0)]
)
def test_a_point_mass_is_left_where_it_is(kernel):
    """Nothing but the state has a density: a limit ends the transition."""
    tape = {"u": [0.3] + [0.45] * 40, "e": [1.0], "n": [0.5]}
    x0 = np.array([[0.25]])
    u, e, n = (np.array(tape[kind]) for kind in "uen")
    native = kernel._native(1, 20)
    x, _, _, evaluations, stuck, _ = _core.mcmc.engine.tape_step(
        native, lambda x: 0.0 if x[0] == 0.25 else -np.inf, x0, u, e, n
    )
    assert (x, evaluations, stuck) == ([0.25], 20, True)
