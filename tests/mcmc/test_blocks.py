"""Blocks of a Gibbs sampler that slices update.

Chains begin with exact draws and make three transitions: what comes out is exact. 10,000 chains see
a shift of 0.055 standard deviations. Each bound has a false alarm rate of 1e-6. Red with kernels
that keep the log density of their last visit, though the other variables have moved since, and
with values that go to the wrong variable.
"""

import numpy as np
import pytest
from lawlib import assert_cdf, assert_mean
from scipy.stats import norm
from sortes.mcmc import (
    Block,
    EllipticalSlice,
    Gibbs,
    GibbsianPolarSlice,
    HitAndRunSlice,
    Mixture,
    Slice,
)

CHAINS = 10_000
SHARES = np.array([2.0, -1.0])
KERNELS = [
    Slice(2.0),
    Slice(2.0, order="random"),
    HitAndRunSlice(2.0),
    [Slice(2.0), GibbsianPolarSlice(1.0)],
    Mixture([(HitAndRunSlice(2.0), 1), (Slice(1.0), 1)]),
]


def below(state, rng):
    """Draw the normal whose mean is a sum of the others."""
    mean = state["a"] + np.asarray(state["b"]) @ SHARES
    return mean + rng.normal(size=np.shape(mean))


def joint(state):
    """Return the log density of three normals, and of one about their sum."""
    a, b = state["a"], np.asarray(state["b"])
    apart = state["y"] - a - b @ SHARES
    return -0.5 * (a**2 + (b**2).sum(-1) + apart**2)


def exact(chains):
    """Return where chains begin."""
    rng = np.random.default_rng(5)
    a, b, e = rng.normal(size=chains), rng.normal(size=(chains, 2)), rng.normal(size=chains)
    y = a + b @ SHARES + e
    return [{"a": a[c], "b": b[c], "y": y[c]} for c in range(chains)]


def check(values):
    a, b, y = values["a"][:, -1], values["b"][:, -1], values["y"][:, -1]
    assert_cdf(a, norm.cdf)
    assert_cdf(b[:, 0], norm.cdf)
    assert_cdf(b[:, 1], norm.cdf)
    assert_cdf(y / np.sqrt(7), norm.cdf)
    assert_cdf(y - a - b @ SHARES, norm.cdf)
    assert_cdf((a - b[:, 0]) / np.sqrt(2), norm.cdf)
    for part, share in ((a, 1), (b[:, 0], 2), (b[:, 1], -1)):
        assert_mean(y * part, share)


@pytest.mark.law
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_the_law_stays(kernel):
    gibbs = Gibbs([("y", below), Block(("a", "b"), kernel, joint)])
    found = gibbs.sample(exact(CHAINS), draws=1, thin=3, vectorized=True, rng=1)
    check(found.values)
    assert found.attrs["n_stuck"] == found.attrs["n_nan"] == 0


@pytest.mark.law
@pytest.mark.parametrize("order", ["systematic", "random"])
def test_the_law_of_chains_one_by_one(order):
    blocks = [("y", below), Block("b", Slice(2.0), joint), Block("a", HitAndRunSlice(2.0), joint)]
    gibbs = Gibbs(blocks, order=order)
    check(gibbs.sample(exact(4_000), draws=1, thin=2, rng=2).values)


def test_warm_up_tunes_widths():
    """A width of 1e5 costs 18 evaluations and more; a tuned one, fewer than 8."""
    calls = []

    def logp(state):
        calls.append(0)
        return -0.5 * state["x"] ** 2

    counts = []
    for warmup in (0, 400):
        gibbs = Gibbs([Block("x", Slice(1e5), logp)])
        gibbs.sample({"x": 0.5}, draws=1, warmup=warmup, chains=1, rng=0)
        calls.clear()
        gibbs.sample({"x": 0.5}, draws=200, warmup=warmup, chains=1, rng=0)
        counts.append(len(calls))
    assert counts[0] > 200 * 15
    assert counts[1] < 600 * 10


@pytest.mark.parametrize("vectorized", [False, True])
def test_chains_depend_on_their_number_alone(vectorized):
    gibbs = Gibbs([Block(("a", "b"), [Slice(), HitAndRunSlice()], joint)])
    begin, how = exact(7), {"draws": 5, "warmup": 25, "vectorized": vectorized, "rng": 4}
    seven, two = gibbs.sample(begin, **how).values, gibbs.sample(begin[:2], **how).values
    assert np.array_equal(seven["b"][:2], two["b"])
    assert (seven["y"] == np.array([state["y"] for state in begin])[:, None]).all()
    apart = Gibbs([Block(("a", "b"), [Slice(), HitAndRunSlice()], joint)])
    other = apart.sample(begin, **{**how, "vectorized": not vectorized}).values
    np.testing.assert_allclose(seven["a"], other["a"])


def test_two_blocks_share_no_numbers():
    flat = Gibbs([Block(n, Slice(max_steps=1), lambda s, n=n: -abs(s[n])) for n in "ab"])
    found = flat.sample({"a": 0.5, "b": 0.5}, draws=20, rng=0).values
    assert not (found["a"] == found["b"]).any()


def test_values_that_are_never_taken():
    """Outside the support, and where there is no number."""

    def logp(state):
        x = state["x"]
        return np.nan if x > 1 else -np.inf if x < -1 else 0.0

    found = Gibbs([Block("x", Slice(), logp)]).sample({"x": 0}, draws=200, chains=2, rng=0)
    assert (abs(found.values["x"]) <= 1).all()
    assert found.attrs["n_nan"] > 0
    assert found.values["x"].std() > 0.4
    point = Block("x", Slice(), lambda s: 0.0 if s["x"] == 1 else -np.inf)
    found = Gibbs([point]).sample({"x": 1.0}, draws=3, chains=2, rng=0)
    assert (found.values["x"] == 1).all()
    assert found.attrs["n_stuck"] > 0


@pytest.mark.parametrize(
    ("logp", "error", "message"),
    [
        (lambda s: "a", TypeError, "^blocks: 'x' in chain 0, transition 0: logp must be a number"),
        (lambda s: [0, 0], ValueError, r"^blocks: .*: logp must have shape \(\), got \(2,\)$"),
        (lambda s: -np.inf, ValueError, "^blocks: .*: logp must be finite at the state, got"),
        (lambda s: np.inf if s["x"] else 0, ValueError, r"^blocks: .*: logp must not be \+inf$"),
    ],
)
def test_what_functions_must_not_return(logp, error, message):
    with pytest.raises(error, match=message) as e:
        Gibbs([Block("x", Slice(), logp)]).sample({"x": 0.0}, rng=0)
    assert e.value.trace.attrs["interrupted"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Block(3, Slice(), len), TypeError, "^name: must be a name or a tuple of names"),
        (lambda: Block("x", len, len), TypeError, "^kernel: must be a kernel of sortes.mcmc, got"),
        (
            lambda: Block("x", EllipticalSlice(prior_var=1.0), len),
            TypeError,
            "^kernel: must not be EllipticalSlice",
        ),
        (
            lambda: Block("x", GibbsianPolarSlice(1.0, adapt="diag"), len),
            ValueError,
            "^kernel: `adapt` must be None",
        ),
        (lambda: Block("x", Slice(), 3), TypeError, "^logp: must be a function, got 3$"),
        (
            lambda: Block("x", Slice(), len, max_evals_per_transition=0),
            ValueError,
            "^max_evals_per_transition: must be at least 1, got 0$",
        ),
        (
            lambda: Gibbs([Block("x", Slice(), joint)]).sample({"x": "a"}),
            TypeError,
            "^init: 'x' must hold numbers, got 'a'$",
        ),
        (
            lambda: Gibbs([Block("x", Slice([1.0, 2.0]), lambda s: 0.0)]).sample({"x": 0.0}),
            ValueError,
            r"^width: must be a number or have shape \(1,\), got \(2,\)$",
        ),
    ],
)
def test_blocks_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
