"""Simulation-based calibration of every kernel: Talts et al. 2018, arXiv:1804.06788.

Coefficients of a logistic regression are drawn from the prior, and responses from the model. Three
rows have eight responses, so that each posterior is met by many of the 1,000 replications; a chain
of each begins anywhere, forgets that, and keeps 99 states some way apart. The rank of what was
drawn among these is uniform on 0..99. Ranks of both coefficients and of the log density are counted
in 20 bins; the level is 1e-8 for each of the 60 counts, and so below 1e-6 for all of them. It takes
a quarter too many in one half of the bins to be red. Unlike the tests that begin with exact draws,
these also see a kernel that does not move, or not everywhere.

Kernels of spins and Gibbs samplers in other orders are compared with enumeration elsewhere.

Red: a wider second axis of ellipses, a polar kernel with `r^d`, one that never turns, and fresh
directions that are always taken.
"""

from functools import cache

import numpy as np
import pytest
from scipy import special, stats
from sortes.mcmc import (
    AdaptiveEllipticalSlice,
    EllipticalSlice,
    GeneralizedEllipticalSlice,
    Gibbs,
    GibbsianPolarSlice,
    HitAndRunSlice,
    LogisticRegression,
    MHBlock,
    Mixture,
    Normal,
    Slice,
    sample,
    sample_on_device,
    smc,
)

pytestmark = pytest.mark.law

REPLICATIONS, DRAWS, BINS, LEVEL = 1_000, 99, 20, 1e-8
#: A row for each response, and the standard deviation of the prior.
X = np.array([[1.0, 0.5], [1.0, -2.0], [-0.5, 3.0]])
SCALE = 1.5
KERNELS = {
    "slice": Slice(2.0),
    "slice, in an order that is drawn": Slice(2.0, order="permuted"),
    "slice, one coordinate": Slice(2.0, order="random"),
    "slice, at most 3 steps": Slice(1.0, max_steps=3),
    "slice, doubling": Slice(0.5, method="doubling"),
    "hit and run": HitAndRunSlice(2.0),
    "generalized elliptical": GeneralizedEllipticalSlice(),
    "generalized elliptical, fixed": GeneralizedEllipticalSlice(3.0, scale=2.0, tune=False),
    "adaptive elliptical": AdaptiveEllipticalSlice(sweep_share=0.2),
    "polar": GibbsianPolarSlice(2.0),
    "polar, another level": GibbsianPolarSlice(2.0, refresh_threshold=True),
    "polar, fresh directions": GibbsianPolarSlice(2.0, fresh_direction=True),
    "polar, adapted": GibbsianPolarSlice(2.0, adapt="full"),
    "in turn": [Slice(2.0, order="random"), HitAndRunSlice(2.0), GibbsianPolarSlice(2.0)],
    "mixture": Mixture([(HitAndRunSlice(2.0), 1), (Slice(1.0, method="doubling"), 2)]),
}


@cache
def replications():
    """What is drawn from the prior, and the number of the responses that the model gives it."""
    rng = np.random.default_rng(20)
    truth = rng.normal(0, SCALE, (REPLICATIONS, 2))
    y = rng.random((REPLICATIONS, 3)) < special.expit(truth @ X.T)
    return truth, y @ [1, 2, 4]


def posterior(number):
    return LogisticRegression(X, [number & 1, number >> 1 & 1, number >> 2], prior_scale=SCALE)


def uniform(ranks):
    counts = np.bincount(ranks * BINS // (DRAWS + 1), minlength=BINS)
    assert stats.chisquare(counts).pvalue > LEVEL, counts


def check(draw):
    """Draw 99 states for each replication of each posterior, and count ranks."""
    truth, numbers = replications()
    ranks = np.empty((REPLICATIONS, 3), int)
    for number in range(8):
        which = np.flatnonzero(numbers == number)
        target = posterior(number)
        states = draw(target, len(which))
        assert states.shape == (len(which), DRAWS, 2)
        ranks[which, :2] = (states < truth[which, None]).sum(1)
        logp = target(states.reshape(-1, 2)).reshape(len(which), DRAWS)
        ranks[which, 2] = (logp < target(truth[which])[:, None]).sum(1)
    for rank in ranks.T:
        uniform(rank)


def begin(chains):
    return np.random.default_rng(chains).normal(0, 3, (chains, 2))


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_chains(kernel):
    thin = 10 if isinstance(kernel, Slice) and kernel._order == "random" else 5

    def draw(target, chains):
        options = {"draws": DRAWS, "warmup": 100, "thin": thin, "rng": 1}
        return sample(target, kernel, begin(chains), **options).draws

    check(draw)


def test_elliptical():
    """The kernel has half of the precision of the prior, and the likelihood the other half."""
    kernel = EllipticalSlice(prior_var=2 * SCALE**2)
    rest = Normal(np.zeros(2), scale=np.sqrt(2) * SCALE)

    def draw(target, chains):
        def likelihood(x):
            return target(x) - rest(x)

        options = {"draws": DRAWS, "warmup": 50, "thin": 4, "rng": 1}
        return sample(likelihood, kernel, begin(chains), **options).draws

    check(draw)


def test_particles():
    """A run for each replication, of 128 particles that move five times at each temperature."""
    prior = Normal(np.zeros(2), scale=SCALE)
    options = {"path": "geometric", "num_particles": 128, "num_islands": 1}

    def draw(target, runs):
        pick = np.random.default_rng(runs)
        states = np.empty((runs, DRAWS, 2))
        for i in range(runs):
            found = smc(target, HitAndRunSlice(2.0), prior, **options, rng=[runs, i])
            states[i] = pick.permutation(found.draws)[:DRAWS]
        return states

    check(draw)


ON_DEVICE = {
    "hit and run": HitAndRunSlice(2.0),
    "hit and run, at most 3 steps": HitAndRunSlice(1.5, max_steps=3, scale_tril=[[1, 0], [1, 2]]),
    "elliptical": EllipticalSlice(prior_var=2 * SCALE**2),
    "polar": GibbsianPolarSlice(2.0),
    "polar, another level": GibbsianPolarSlice(
        2.0, center=[0.2, -0.1], scale_tril=[[1, 0], [0.5, 1]], refresh_threshold=True
    ),
}


@pytest.mark.parametrize("kernel", ON_DEVICE.values(), ids=ON_DEVICE)
def test_chains_on_a_device(kernel):
    """A chain for each replication, each with responses of its own, all in one run."""
    torch = pytest.importorskip("torch")
    truth, numbers = replications()
    signs = torch.from_numpy(2.0 * (numbers[:, None].astype(int) >> np.arange(3) & 1) - 1)
    # The elliptical kernel has half of the precision of the prior.
    share = 0.5 if isinstance(kernel, EllipticalSlice) else 1.0

    def logp(x, share=share):
        likelihood = torch.nn.functional.logsigmoid(signs * (x @ torch.from_numpy(X).T)).sum(1)
        return likelihood - 0.5 * share * (x**2).sum(1) / SCALE**2

    start = torch.from_numpy(begin(REPLICATIONS))
    options = {"draws": DRAWS, "warmup": 60, "thin": 4, "rng": 1}
    states = sample_on_device(logp, kernel, start, **options).draws
    drawn = torch.from_numpy(truth)
    for rank in (states < drawn[:, None]).sum(1).T:
        uniform(rank.numpy())
    of_states = torch.stack([logp(x, 1.0) for x in states.unbind(1)], 1)
    uniform((of_states < logp(drawn, 1.0)[:, None]).sum(1).numpy())


@pytest.mark.parametrize("order", ["systematic", "palindromic"])
def test_gibbs(order):
    """A normal of unknown mean and precision, of which one is drawn and one proposed."""
    rng = np.random.default_rng(21)
    mean = rng.normal(0, 2, REPLICATIONS)
    log_sd = rng.normal(0, 0.7, REPLICATIONS)
    y = mean[:, None] + np.exp(log_sd)[:, None] * rng.normal(size=(REPLICATIONS, 4))

    def draw_mean(state, rng):
        precision = 0.25 + 4 * np.exp(-2 * state["log_sd"])
        center = 4 * np.exp(-2 * state["log_sd"]) * y.mean(1) / precision
        return center + rng.normal(size=REPLICATIONS) / np.sqrt(precision)

    def logp(state):
        squares = ((y - state["mean"][:, None]) ** 2).sum(1)
        prior = -0.5 * (state["log_sd"] / 0.7) ** 2
        return prior - 4 * state["log_sd"] - 0.5 * squares * np.exp(-2 * state["log_sd"])

    def density(to, at):
        sd = 0.8 + 0.4 * np.tanh(at)
        return -0.5 * ((to - at) / sd) ** 2 - np.log(sd)

    def propose(state, rng):
        """Of a spread that depends on the value, so that the way back has another density."""
        old = state["log_sd"]
        new = old + (0.8 + 0.4 * np.tanh(old)) * rng.normal(size=REPLICATIONS)
        return new, density(new, old), density(old, new)

    gibbs = Gibbs([("mean", draw_mean), MHBlock("log_sd", propose, logp)], order=order)
    begin = [{"mean": np.float64(0), "log_sd": np.float64(0)}] * REPLICATIONS
    found = gibbs.sample(begin, draws=DRAWS, warmup=100, thin=8, vectorized=True, rng=1)
    for name, truth in (("mean", mean), ("log_sd", log_sd)):
        uniform((found.values[name] < truth[:, None]).sum(1))
