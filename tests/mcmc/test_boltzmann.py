"""Restricted Boltzmann machines have their law, by enumeration.

20,000 chains see an error of 0.025 in a probability of one half. Each bound has a false alarm rate
below 1e-6.
"""

import copy
import itertools

import numpy as np
import pytest
from lawlib import assert_law
from sortes.mcmc import BernoulliRBM
from vectors import load

CASES = load("mcmc/spins.json")["rbm"]["cases"]
CHAINS = 20_000
IDS = [f"{np.shape(case['W'])}" for case in CASES]


def machine(case, dtype=np.float64):
    return BernoulliRBM(np.array(case["W"], dtype), case["b_visible"], case["c_hidden"])


def units(n):
    return np.array(list(itertools.product([0, 1], repeat=n)))


def codes(x):
    return x.astype(int) @ (1 << np.arange(x.shape[-1])[::-1])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def independent(p):
    """The law of independent units."""
    x = units(len(p))
    return np.where(x == 1, p, 1 - p).prod(1)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_free_energies(case):
    rbm = machine(case)
    assert abs(rbm.free_energy(case["v"]) - case["free_energy_v"]) < 1e-12
    energies = rbm.free_energy(units(len(case["v"])))
    log_z = np.logaddexp.reduce(-energies)
    assert abs(log_z - case["log_z"]) < 1e-12
    assert np.abs(np.exp(-energies - log_z) - case["pv_all"]).max() < 1e-12


@pytest.mark.law
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_joint_law(case, dtype):
    """Of both layers together, after 25 updates. Red with layers that are drawn at once."""
    rbm = machine(case, dtype)
    W, b, c = (np.array(case[name]) for name in ("W", "b_visible", "c_hidden"))
    trace = rbm.sample(draws=1, warmup=25, chains=CHAINS, rng=1)
    v, h = units(len(b)), units(len(c))
    exponents = (v @ b)[:, None] + h @ c + v @ W @ h.T
    law = np.exp(exponents - case["log_z"])
    seen = codes(trace.visible[:, 0]) * len(h) + codes(trace.hidden[:, 0])
    assert_law(np.bincount(seen, minlength=law.size), law.ravel(), alpha=1e-7)
    energy = -exponents[codes(trace.visible[:, 0]), codes(trace.hidden[:, 0])]
    assert np.abs(trace.energy[:, 0] - energy).max() < 1e-5


@pytest.mark.law
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_rows_of_one_step(case):
    """Hidden units given those that are visible, then the visible ones: one update."""
    rbm = machine(case)
    W, b, c = (np.array(case[name]) for name in ("W", "b_visible", "c_hidden"))
    trace = rbm.sample(draws=1, warmup=0, chains=CHAINS, init=case["v"], rng=2)
    first = independent(sigmoid(c + case["v"] @ W))
    given = np.array([independent(sigmoid(b + W @ h)) for h in units(len(c))])
    law = first[:, None] * given
    seen = codes(trace.hidden[:, 0]) * given.shape[1] + codes(trace.visible[:, 0])
    assert_law(np.bincount(seen, minlength=law.size), law.ravel(), alpha=1e-7)


@pytest.mark.law
def test_clamped_units():
    case = CASES[0]
    rbm = machine(case)
    init = np.array([1, 0, 1, 0])
    clamped = np.array([True, False, True, False])
    trace = rbm.sample(draws=1, warmup=25, chains=CHAINS, init=init, clamped=clamped, rng=3)
    assert (trace.visible[:, 0, clamped] == init[clamped]).all()
    v = units(4)
    law = np.exp(-rbm.free_energy(v)) * (v[:, clamped] == init[clamped]).all(1)
    assert_law(np.bincount(codes(trace.visible[:, 0]), minlength=16), law / law.sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_depend_on_names_alone(dtype):
    rng = np.random.default_rng(0)
    rbm = BernoulliRBM(rng.normal(size=(131, 70)).astype(dtype), 0.1, rng.normal(size=70))
    how = {"draws": 5, "warmup": 2, "thin": 2, "rng": 7}
    first, *others = (rbm.sample(chains=5, num_threads=n, **how) for n in (1, 2, 7))
    for other in (*others, copy.deepcopy(rbm).sample(chains=5, **how)):
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert np.array_equal(rbm.sample(chains=2, **how).visible, first.visible[:2])
    assert np.array_equal(first.last, first.visible[:, -1])
    v, h = first.visible.astype(float), first.hidden.astype(float)
    energy = -(v @ rbm.visible_bias + h @ rbm.hidden_bias + ((v @ rbm.weights) * h).sum(-1))
    assert np.abs(first.energy - energy).max() < 1e-3
    without = rbm.sample(chains=5, keep_units=False, **how)
    assert without.visible.shape == (5, 0, 131)
    assert np.array_equal(without.energy, first.energy)


@pytest.mark.law
@pytest.mark.parametrize("betas", [1, 6, [0.1, 0.5, 1.0]], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_mean_weights_are_the_constant(case, dtype, betas):
    """However few temperatures: within 5 standard errors of 20,000 weights.

    Red with weights against the base at every temperature, with a base whose hidden units count
    once, and with hidden biases at full strength.
    """
    found = machine(case, dtype).log_partition(betas=betas, chains=CHAINS, rng=2)
    assert found.stderr < 0.1
    assert abs(np.exp(found.value - case["log_z"]) - 1) < 5 * found.stderr


def test_more_temperatures_are_surer():
    rng = np.random.default_rng(3)
    rbm = BernoulliRBM(rng.normal(size=(10, 8)), rng.normal(size=10), rng.normal(size=8))
    log_z = np.logaddexp.reduce(-rbm.free_energy(units(10)))
    few, many = (rbm.log_partition(betas=n, chains=400, rng=1) for n in (3, 300))
    assert many.stderr < 0.2 * few.stderr
    assert abs(many.value - log_z) < 5 * many.stderr
    again = rbm.log_partition(betas=np.arange(1, 301) / 300, chains=400, rng=1, num_threads=3)
    assert again == many
    assert rbm.log_partition(betas=300, chains=400, rng=1, step=1) != many
    assert np.isnan(rbm.log_partition(betas=3, chains=1, rng=1).stderr)
    seen = []
    rbm.log_partition(betas=4, rng=1, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"betas": 0}, "betas: must be at least 1, got 0$"),
        ({"betas": [0.0, 1.0]}, r"betas: item 0 must be in \(0, 1\], got 0.0$"),
        ({"betas": [0.5, 0.5, 1.0]}, "betas: item 1 must be above 0.5, got 0.5$"),
        ({"betas": [0.5, 0.9]}, "betas: must end at 1, got 0.9$"),
        ({"betas": [[1.0]]}, r"betas: must have shape \(n,\), got \(1, 1\)$"),
        ({"chains": 0}, "chains: must be at least 1, got 0$"),
    ],
)
def test_bad_estimates(call, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        BernoulliRBM([[1.0]]).log_partition(**call)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"weights": [1.0]}, r"weights: must have shape \(num_visible, num_hidden\)"),
        ({"weights": [[np.nan]]}, r"weights: item \(0, 0\) must be in"),
        ({"weights": [[1.0, 2.0]], "hidden_bias": [1.0]}, r"hidden_bias: must have shape \(2,\)"),
        ({"weights": [[1.0]], "visible_bias": np.inf}, "visible_bias: must be in"),
        (
            {"weights": np.float32([[3e38, 3e38]])},
            "weights: must have sums in the range of float32",
        ),
    ],
)
def test_bad_machines(call, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        BernoulliRBM(**call)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"init": [0, 2]}, "init: item 1 must be 0 or 1"),
        ({"init": [0]}, r"init: must have shape \(..., 2\)"),
        ({"clamped": [True]}, r"clamped: must have shape \(2,\)"),
        ({"chains": 0}, "chains: must be at least 1"),
        ({"thin": 0}, "thin: must be at least 1"),
    ],
)
def test_bad_calls(call, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        BernoulliRBM([[1.0], [2.0]]).sample(**call)
