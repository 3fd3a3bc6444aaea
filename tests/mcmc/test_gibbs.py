"""Gibbs samplers: exact one-step laws by enumeration, and what functions may return.

The joint table has twelve states. From each of them 1,000 or 4,000 chains make one transition; the
rows of the transition matrix of each order are those of an independent reference. Each bound has a
false alarm rate of 1e-6.

Red with conditionals that see the state of the transition before, a ratio without the way back or
upside down, weights that are ignored, a biased permutation, and a decision without a random number.
"""

import numpy as np
import pytest
from lawlib import assert_law
from sigint import ctrl_c_after, needs_sigint
from sortes import Interrupted
from sortes.mcmc import Gibbs, MHBlock
from vectors import load

VECTORS = load("mcmc/gibbs.json")["generic_gibbs"]
TABLE = np.array(VECTORS["table"])
STATES = list(np.ndindex(*TABLE.shape))
NAMES = ("i", "j", "k")
#: Chains from each state.
CHAINS = 4_000


def at(state):
    return tuple(state[name] for name in NAMES)


def slice_of(state, axis):
    """The conditional of a variable, of one chain or of all."""
    index = list(np.broadcast_arrays(*at(state)))
    moved = np.moveaxis(TABLE, axis, -1)
    del index[axis]
    p = moved[tuple(index)]
    return p / p.sum(-1, keepdims=True)


def conditional(axis):
    def draw(state, rng):
        p = slice_of(state, axis)
        if p.ndim == 1:
            return rng.choice(len(p), p=p)
        return (p.cumsum(-1) < rng.random((len(p), 1))).sum(-1)

    return draw


BLOCKS = [(name, conditional(axis)) for axis, name in enumerate(NAMES)]


def rows(gibbs, *, vectorized=False, chains=CHAINS, transitions=1):
    """The states after so many transitions, from each state."""
    init = [dict(zip(NAMES, map(np.int64, s), strict=True)) for s in STATES for _ in range(chains)]
    found = gibbs.sample(init, draws=1, thin=transitions, vectorized=vectorized, rng=3)
    flat = np.ravel_multi_index([found.values[name][:, 0] for name in NAMES], TABLE.shape)
    return [np.bincount(row, minlength=12) for row in flat.reshape(len(STATES), chains)]


@pytest.mark.law
@pytest.mark.parametrize(
    ("order", "vectorized", "matrix"),
    [
        ("systematic", True, "systematic_012"),
        ("palindromic", True, "palindromic_01210"),
        ("systematic", False, "systematic_012"),
    ],
)
def test_orders_that_are_fixed(order, vectorized, matrix):
    chains = CHAINS if vectorized else 500
    found = rows(Gibbs(BLOCKS, order=order), vectorized=vectorized, chains=chains)
    for counts, row in zip(found, VECTORS[matrix], strict=True):
        assert_law(counts, row)


@pytest.mark.law
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_an_order_that_is_drawn(weights):
    """Three blocks, each drawn: the third power of the matrix of one."""
    shares = np.ones(3) / 3 if weights is None else np.array(weights) / 8
    if weights is None:
        single = np.array(VECTORS["random_scan"])
    else:
        single = np.zeros((12, 12))
        for s, state in enumerate(STATES):
            for axis, share in enumerate(shares):
                p = slice_of(dict(zip(NAMES, state, strict=True)), axis)
                for value, chance in enumerate(p):
                    other = list(state)
                    other[axis] = value
                    single[s, np.ravel_multi_index(other, TABLE.shape)] += share * chance
    gibbs = Gibbs(BLOCKS, order="random", weights=weights)
    matrix = np.linalg.matrix_power(single, 3)
    for counts, row in zip(rows(gibbs, chains=1_000), matrix, strict=True):
        assert_law(counts, row)


@pytest.mark.law
def test_an_order_that_is_permuted():
    from itertools import permutations

    steps = []
    for axis in range(3):
        step = np.zeros((12, 12))
        for s, state in enumerate(STATES):
            p = slice_of(dict(zip(NAMES, state, strict=True)), axis)
            for value, chance in enumerate(p):
                other = list(state)
                other[axis] = value
                step[s, np.ravel_multi_index(other, TABLE.shape)] = chance
        steps.append(step)
    matrix = sum(steps[a] @ steps[b] @ steps[c] for a, b, c in permutations(range(3))) / 6
    for counts, row in zip(
        rows(Gibbs(BLOCKS, order="permuted"), chains=1_000), matrix, strict=True
    ):
        assert_law(counts, row)


#: A proposal of the second and third variable together that is far from symmetric.
Q = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0.7, 0.1, 0.1, 0.1]])


def propose(state, rng):
    j, k = np.asarray(state["j"]), np.asarray(state["k"])
    old = 2 * j + k
    new = (Q[old].cumsum(-1) < rng.random((*old.shape, 1))).sum(-1)
    return (new // 2, new % 2), np.log(Q[old, new]), np.log(Q[new, old])


@pytest.mark.law
@pytest.mark.parametrize("vectorized", [True, False])
def test_metropolis_and_hastings_within_gibbs(vectorized):
    block = MHBlock(("j", "k"), propose, lambda state: np.log(TABLE[at(state)]))
    gibbs = Gibbs([BLOCKS[0], block])
    first, second = np.zeros((12, 12)), np.zeros((12, 12))
    for s, (i, j, k) in enumerate(STATES):
        p = slice_of({"i": i, "j": j, "k": k}, 0)
        for value, chance in enumerate(p):
            first[s, np.ravel_multi_index((value, j, k), TABLE.shape)] = chance
        for new in range(4):
            to, old = (i, new // 2, new % 2), 2 * j + k
            ratio = TABLE[to] * Q[new, old] / (TABLE[i, j, k] * Q[old, new])
            second[s, np.ravel_multi_index(to, TABLE.shape)] += Q[old, new] * min(1, ratio)
        second[s, s] += 1 - second[s].sum()
    matrix = first @ second
    np.testing.assert_allclose(TABLE.ravel() @ matrix, TABLE.ravel(), atol=1e-12)
    found = rows(gibbs, vectorized=vectorized, chains=CHAINS if vectorized else 1_000)
    for counts, row in zip(found, matrix, strict=True):
        assert_law(counts, row)


@pytest.mark.parametrize("case", VECTORS["mh_accept"])
def test_the_rule_of_acceptance(case):
    """20,000 proposals, all from the same state: the share that is taken, to 5 standard errors."""
    n = 20_000
    start = np.zeros(n)
    case = {name: float(value) for name, value in case.items()}

    def go(state, rng):
        return start + 1, case["logq_forward"], case["logq_backward"]

    def logp(state):
        return np.where(state["x"] == 0, case["logp_old"], case["logp_new"])

    init = [{"x": 0.0}] * n
    found = Gibbs([MHBlock("x", go, logp)]).sample(init, draws=1, vectorized=True, rng=0)
    p = case["accept_prob"]
    assert abs(found.values["x"].mean() - p) <= 5 * np.sqrt(p * (1 - p) / n)
    np.testing.assert_array_equal(found.acceptance["x"], found.values["x"][:, 0])


@pytest.mark.law
def test_two_normals():
    """The autocorrelation of the first is the square of the correlation, within 5 errors."""
    rho = VECTORS["bivariate_normal"]["rho"]

    def given(other):
        def draw(state, rng):
            noise = rng.normal(size=np.shape(state[other]))
            return rho * state[other] + np.sqrt(1 - rho**2) * noise

        return draw

    z = np.random.default_rng(0).normal(size=(10_000, 2)) @ [[1, rho], [0, np.sqrt(1 - rho**2)]]
    gibbs = Gibbs([("x", given("y")), ("y", given("x"))])
    init = [{"x": a, "y": b} for a, b in z]
    found = gibbs.sample(init, draws=2, vectorized=True, rng=1)
    x, y = found.values["x"], found.values["y"]
    assert abs((x[:, 0] * x[:, 1]).mean() - rho**2) < 5 * 1.5 / 100
    assert abs((x[:, 1] * y[:, 1]).mean() - rho) < 5 * 1.5 / 100


def test_chains_depend_on_their_number_alone():
    gibbs = Gibbs(BLOCKS, order="permuted")
    init = dict.fromkeys(NAMES, 0)
    all_ = gibbs.sample(init, draws=20, chains=5, rng=0)
    few = gibbs.sample(init, draws=30, chains=2, rng=0)
    thin = gibbs.sample(init, draws=10, chains=5, thin=2, rng=0)
    late = gibbs.sample(init, draws=15, chains=5, warmup=5, rng=0)
    for name in NAMES:
        assert np.array_equal(all_.values[name][:2], few.values[name][:, :20])
        assert np.array_equal(all_.values[name][:, 1::2], thin.values[name])
        assert np.array_equal(all_.values[name][:, 5:], late.values[name])
    other = gibbs.sample(init, draws=20, chains=5, rng=0, step=1)
    assert any(not np.array_equal(all_.values[n], other.values[n]) for n in NAMES)


def test_any_objects():
    words = ["a", "bc", "d"]
    gibbs = Gibbs(
        [
            ("word", lambda state, rng: words[rng.integers(3)] + str(len(state["list"]))),
            (("list", "n"), lambda state, rng: ((*state["list"][-2:], state["word"]), 1.5)),
        ]
    )
    found = gibbs.sample({"word": "", "list": (), "n": 0, "kept": [1, 2]}, draws=4, chains=2, rng=0)
    assert [len(chain) for chain in found.values["list"]] == [4, 4]
    assert found.values["list"][0][3][-1] == found.values["word"][0][3]
    assert found.values["n"].tolist() == [[1.5] * 4] * 2
    assert found.values["kept"].shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("order", "turns"), [("systematic", "abcabc"), ("palindromic", "abcbaabcba")]
)
def test_turns(order, turns):
    seen = []

    def note(name):
        return lambda state, rng: seen.append(name) or 0

    Gibbs([(name, note(name)) for name in "abc"], order=order).sample(
        dict.fromkeys("abc", 0), draws=2, chains=1
    )
    assert "".join(seen) == turns


def test_states_cannot_be_changed():
    def draw(state, rng):
        with pytest.raises(TypeError):
            state["x"] = 1
        with pytest.raises(ValueError, match="read-only"):
            state["x"][0] = 1
        mine[:] = rng.normal(size=2)
        return mine

    mine = np.zeros(2)
    found = Gibbs([("x", draw)]).sample({"x": [0.0, 0.0]}, draws=3, chains=1, rng=0)
    assert len(np.unique(found.values["x"])) == 6  # although the same array came back each time


def test_blocks_see_the_state_as_it_is():
    seen = []

    def draw(state, rng):
        seen.append((state["x"], state["y"]))
        return state["x"] + 1

    gibbs = Gibbs([("x", draw), ("y", lambda state, rng: state["x"] * 10)])
    gibbs.sample({"x": 0, "y": 0}, draws=2, chains=1, rng=0)
    assert seen == [(0, 0), (1, 10)]


def mh(propose=lambda state, rng: (0.5, 0, 0), logp=lambda state: 0.0):
    return [MHBlock("x", propose, logp)]


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([("x", lambda s, r: np.nan)], ValueError, "must return finite numbers, got nan$"),
        ([("x", lambda s, r: [1, 2])], ValueError, r"must return shape \(\) for 'x', got \(2,\)$"),
        ([("x", lambda s, r: "a")], TypeError, "must return numbers for 'x', got 'a'$"),
        ([("x", lambda s, r: None)], TypeError, "must return numbers for 'x', got None$"),
        ([(("x", "y"), lambda s, r: 1)], ValueError, "must return 2 values, got 1$"),
        (mh(lambda s, r: 1), ValueError, "must propose a value and two log densities, got 1$"),
        (mh(lambda s, r: (1, -np.inf, 0)), ValueError, "of the proposal must be finite, got -inf$"),
        (mh(lambda s, r: (1, 0, np.inf)), ValueError, r"of the way back must not be \+inf$"),
        (mh(logp=lambda s: np.nan), ValueError, "logp must be finite at the state, got nan$"),
        (mh(logp=lambda s: np.inf if s["x"] else 0.0), ValueError, r"logp must not be \+inf$"),
        (mh(logp=lambda s: "a"), TypeError, "logp must be a number, got 'a'$"),
        (mh(logp=lambda s: [0, 0]), ValueError, r"logp must have shape \(\), got \(2,\)$"),
    ],
)
def test_what_functions_must_not_return(blocks, error, message):
    with pytest.raises(error, match=f"^blocks: .* in chain 0, transition 0: .*{message}") as caught:
        Gibbs(blocks).sample({"x": 0.0, "y": 0.0}, draws=3, rng=0)
    assert caught.value.trace.values["x"].shape == (4, 0)


def test_ratios_that_are_none_are_refused():
    """The way back is impossible, the density is zero or none: the state stays."""
    for back, value in ((-np.inf, 0.0), (0.0, -np.inf), (0.0, np.nan), (np.nan, 0.0)):
        block = MHBlock("x", lambda s, r, back=back: (1.0, 0.0, back),
                        lambda s, value=value: value if s["x"] else 0.0)  # fmt: skip
        found = Gibbs([block]).sample({"x": 0.0}, draws=5, chains=2, rng=0)
        assert (found.values["x"] == 0).all()
        assert found.attrs["n_nan"] == (10 if np.isnan(back + value) else 0)
        assert (found.acceptance["x"] == 0).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Gibbs([]), ValueError, "^blocks: must hold a block, got none$"),
        (lambda: Gibbs([("x", 3)]), TypeError, "^blocks: item 0 must be a name and a function"),
        (lambda: Gibbs([(3, len)]), TypeError, "^blocks: item 0: must be a name or a tuple of"),
        (lambda: Gibbs(BLOCKS, order="x"), ValueError, "^order: must be 'systematic', "),
        (lambda: Gibbs(BLOCKS, weights=[1, 1, 1]), ValueError, "^weights: must not be given with"),
        (
            lambda: Gibbs(BLOCKS, order="random", weights=[1, 0, 1]),
            ValueError,
            r"^weights: item 1 must be in \(0, inf\), got 0",
        ),
        (
            lambda: Gibbs(BLOCKS, order="random", weights=[1]),
            ValueError,
            r"^weights: must have shape \(3,\), got \(1,\)$",
        ),
        (lambda: MHBlock(("x", "x"), len, len), ValueError, "^name: must not hold a name twice"),
        (lambda: MHBlock("x", 3, len), TypeError, "^propose: must be a function, got 3$"),
    ],
)
def test_samplers_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("init", "options", "error", "message"),
    [
        ({"i": 0}, {}, ValueError, r"^init: must have a value of 'j', got \['i'\]$"),
        (3, {}, TypeError, "^init: must hold mappings, got 3$"),
        ([], {}, ValueError, "^init: must hold a mapping, got 0$"),
        ([{"i": 0, "j": 0, "k": 0}], {"chains": 2}, ValueError, "^init: must hold 2 mappings, got"),
        ([3], {}, TypeError, "^init: must be a mapping of names to values, got 3$"),
        ({"i": np.nan, "j": 0, "k": 0}, {}, ValueError, "^init: 'i' must be finite, got nan$"),
        (
            {"i": "a", "j": 0, "k": 0},
            {"vectorized": True},
            TypeError,
            "^init: 'i' must hold numbers with vectorized=True, got 'a'$",
        ),
        (
            [{"i": 0, "j": 0, "k": 0}, {"i": [0], "j": 0, "k": 0}],
            {},
            ValueError,
            r"^init: 'i' must have shape \(\), got \(1,\)$",
        ),
    ],
)
def test_beginnings_that_are_refused(init, options, error, message):
    with pytest.raises(error, match=message):
        Gibbs(BLOCKS).sample(init, **options)


def test_orders_that_are_drawn_are_not_shared():
    gibbs = Gibbs(BLOCKS, order="random")
    with pytest.raises(
        ValueError, match=r"^vectorized: must be False with order='random', got True"
    ):
        gibbs.sample(dict.fromkeys(NAMES, 0), vectorized=True)


def test_beginnings_may_be_drawn():
    gibbs = Gibbs([("x", lambda state, rng: state["x"])])
    found = gibbs.sample(lambda rng, chain: {"x": chain + rng.random()}, chains=3, draws=1, rng=0)
    assert np.floor(found.values["x"][:, 0]).tolist() == [0, 1, 2]


@needs_sigint
@pytest.mark.parametrize("on_interrupt", ["return", "raise"])
def test_an_interrupt_keeps_what_there_is(on_interrupt):
    gibbs = Gibbs([("x", lambda state, rng: rng.normal())])
    options = {"draws": 10**7, "on_interrupt": on_interrupt, "rng": 0}
    with ctrl_c_after(0.2):
        if on_interrupt == "return":
            found = gibbs.sample({"x": 0.0}, **options)
        else:
            with pytest.raises(Interrupted) as stopped:
                gibbs.sample({"x": 0.0}, **options)
            found = stopped.value.partial
    n = found.values["x"].shape[1]
    assert 0 < n < 10**7
    assert found.attrs["interrupted"]
    whole = gibbs.sample({"x": 0.0}, draws=min(n, 50), rng=0)
    assert np.array_equal(whole.values["x"], found.values["x"][:, :50])


def test_progress():
    seen = []
    gibbs = Gibbs([("x", lambda state, rng: rng.normal())])
    gibbs.sample({"x": 0.0}, draws=5, warmup=2, rng=0, progress=lambda *c: seen.append(c))
    assert seen[-1] == (28, 28)
