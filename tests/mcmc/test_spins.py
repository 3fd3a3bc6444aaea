"""Spin models have their laws: rows of one-step matrices and stationary laws, by enumeration.

Each chain makes its updates from a given state, so that draws are independent. 20,000 chains see an
error of 0.025 in a probability of one half. Each bound has a false alarm rate below 1e-6.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
from lawlib import assert_law, assert_mean
from sigint import ctrl_c_after, needs_sigint
from sortes import Interrupted, Stream
from sortes.mcmc import IsingModel, PottsModel, ess
from vectors import load

ORACLE = load("mcmc/spins.json")
ISING = {case["name"]: case for case in ORACLE["ising"]["cases"]}
CHAINS = 20_000
KERNELS = {
    "colored": {"order": "colored"},
    "sequential": {"order": "sequential"},
    "random": {"order": "random"},
    "swendsen_wang": {"method": "swendsen_wang"},
    "wolff": {"method": "wolff"},
}


def ising(case):
    edges = np.array(case["edges"], int).reshape(-1, 2)
    n = case.get("n", 3)
    return IsingModel(edges, case["J"], case["h"], beta=case["beta"], num_sites=n)


def potts(case, attracts=False):
    J = np.abs(case["J"]) if attracts else case["J"]
    return PottsModel(case["edges"], case["q"], J, case["h"], beta=case["beta"])


def all_states(model):
    q = getattr(model, "q", None)
    values = [-1, 1] if q is None else range(q)
    return np.array(list(itertools.product(values, repeat=model.num_sites)))


def law_of(model):
    weights = np.exp(-model.beta * model.energy(all_states(model)))
    return weights / weights.sum()


def codes(model, spins):
    """The index of each state among all."""
    q = getattr(model, "q", None)
    digits = (np.asarray(spins, int) + 1) // 2 if q is None else np.asarray(spins, int)
    return digits @ ((q or 2) ** np.arange(model.num_sites)[::-1])


def counts(model, seed, **how):
    how = {"draws": 1, "chains": CHAINS, "warmup": 0, "rng": seed, **how}
    states = all_states(model)
    return np.bincount(codes(model, model.sample(**how).spins[:, -1]), minlength=len(states))


def heat_bath(model, site):
    """The matrix that draws one site given the others."""
    states, law = all_states(model), law_of(model)
    rest = np.delete(states, site, axis=1)
    same = (rest[:, None] == rest[None]).all(-1)
    return same * law / (same * law).sum(1, keepdims=True)


def colours(model):
    """Greedy, sites with most neighbours first."""
    near = [set() for _ in range(model.num_sites)]
    for i, j in model.edges:
        near[i].add(j)
        near[j].add(i)
    found = {}
    for i in sorted(range(model.num_sites), key=lambda i: -len(near[i])):
        taken = {found.get(j) for j in near[i]}
        found[i] = next(c for c in itertools.count() if c not in taken)
    return sorted(found, key=lambda i: found[i])


def matrix(model, kernel):
    n = model.num_sites
    if kernel == "random":
        return np.linalg.matrix_power(sum(heat_bath(model, i) for i in range(n)) / n, n)
    order = colours(model) if kernel == "colored" else range(n)
    return np.linalg.multi_dot(
        [np.eye(len(all_states(model))), *(heat_bath(model, i) for i in order)]
    )


@pytest.mark.parametrize("name", ISING)
def test_energies_of_spins(name):
    case, model = ISING[name], ising(ISING[name])
    states, law = all_states(model), law_of(model)
    energy = model.energy(states)
    z = np.logaddexp.reduce(-model.beta * energy)
    assert abs(z - case["log_z"]) < 1e-12
    assert abs(law @ energy - case["mean_energy"]) < 1e-12
    assert np.abs(law @ states - case["mean_spin"]).max() < 1e-12
    if "prob" in case:
        assert np.abs(law - case["prob"]).max() < 1e-14


@pytest.mark.parametrize("case", ORACLE["potts"]["cases"], ids=lambda case: f"{case['n']} sites")
def test_energies_of_potts_models(case):
    model = potts(case)
    states, law = all_states(model), law_of(model)
    assert abs(np.logaddexp.reduce(-model.beta * model.energy(states)) - case["log_z"]) < 1e-12
    marginals = [[law @ (states[:, i] == k) for k in range(model.q)] for i in range(case["n"])]
    assert np.abs(np.array(marginals) - case["marginals"]).max() < 1e-12


@pytest.mark.law
@pytest.mark.parametrize("case", ORACLE["ising"]["one_step_kernels"], ids=lambda c: c["kernel"])
def test_rows_of_one_step(case):
    """Red with `1 - exp(-beta J)`, with a cluster's field that is not doubled, with its sign."""
    kernel = "sequential" if case["kernel"].startswith("gibbs") else case["kernel"]
    model = ising(case)
    for row, init in enumerate(case["states"]):
        got = counts(model, 100 + row, init=init, **KERNELS[kernel])
        assert_law(got, case["P"][row], alpha=1e-7)


@pytest.mark.law
@pytest.mark.parametrize("kernel", ["colored", "sequential", "random"])
@pytest.mark.parametrize("which", ["spins", "states"])
def test_rows_of_heat_bath(kernel, which):
    """Red with a site that is left out, or drawn from the states before its colour."""
    model = ising(ISING["path3_isolated_node"])
    if which == "states":
        model = potts(ORACLE["potts"]["cases"][0])
    states, rows = all_states(model), matrix(model, kernel)
    for row in (0, len(states) // 2 + 1):
        got = counts(model, 200 + row, init=states[row], **KERNELS[kernel])
        assert_law(got, rows[row])


@pytest.mark.law
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("q", [None, 3])
def test_clamped_sites_leave_the_others_their_law(kernel, q):
    """The law of all sites given some, after 25 updates from a state against these.

    Red with couplings to them that are left out, and with one end of an edge alone.
    """
    rng = np.random.default_rng(8)
    edges = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 1], [1, 3], [0, 1]]
    strengths = rng.uniform(0.1, 1.0, 7) if q else rng.normal(size=7)
    if q is None:
        model = IsingModel(edges, strengths, rng.normal(size=5), beta=0.8)
        clamped = {1: -1, 3: 1}
    else:
        model = PottsModel(edges, q, strengths, rng.normal(size=(5, q)), beta=0.8)
        clamped = {3: 2, 1: 0}
    states, law = all_states(model), law_of(model)
    agrees = np.array([all(s[i] == v for i, v in clamped.items()) for s in states])
    init = states[len(states) // 2] if q else -np.ones(5, int)
    how = {"draws": 1, "warmup": 24, "chains": CHAINS, "rng": 9, "init": init}
    trace = model.sample(clamped=clamped, **how, **KERNELS[kernel])
    found = np.bincount(codes(model, trace.spins[:, -1]), minlength=len(states))
    assert_law(found[agrees], law[agrees] / law[agrees].sum())
    assert found[~agrees].sum() == 0
    np.testing.assert_allclose(trace.energy, model.energy(trace.spins))
    free = trace.spins[:, :, [0, 2, 4]]
    if q is None:
        np.testing.assert_allclose(trace.magnetization, free.mean(-1))
    else:
        most = (free[..., None] == np.arange(q)).mean(2).max(-1)
        np.testing.assert_allclose(trace.magnetization, (q * most - 1) / (q - 1), atol=1e-12)
    assert np.array_equal(trace.last, trace.spins[:, -1])


def test_clamped_lattices():
    """A row of a lattice that is held up: the others follow, by any method; and nothing is lost."""
    model = IsingModel.grid((6, 6), beta=0.2)
    how = {"draws": 500, "rng": 3, "clamped": dict.fromkeys(range(6), 1)}
    means = []
    for kernel in KERNELS.values():
        trace = model.sample(**how, **kernel)
        assert (trace.spins[:, :, :6] == 1).all()
        means.append(trace.spins[:, :, 6:].mean())
    assert max(means) - min(means) < 0.1
    assert min(means) > 0.05
    without = model.sample(**how, keep_spins=False)
    assert without.spins.shape == (4, 0, 36)
    assert np.array_equal(without.energy, model.sample(**how).energy)
    plain = model.sample(draws=5, rng=3)
    same = model.sample(draws=5, rng=3, clamped={})
    assert np.array_equal(plain.spins, same.spins)


@pytest.mark.parametrize(
    ("clamped", "error", "said"),
    [
        ([1], TypeError, r"clamped: must be a mapping of sites to states, got \[1\]$"),
        ({3: 1}, ValueError, r"clamped: must hold sites in \[0, 3\), got 3$"),
        ({0: 0}, ValueError, "clamped: site 0 must be -1 or 1, got 0$"),
        ({0: 1, 1: 1, 2: -1}, ValueError, "clamped: must leave a site free, got all 3$"),
        ({0.5: 1}, TypeError, "clamped: "),
        ({0: "a"}, TypeError, "clamped: "),
    ],
)
def test_clamped_sites_that_are_refused(clamped, error, said):
    with pytest.raises(error, match=f"^{said}"):
        IsingModel([[0, 1], [1, 2]]).sample(clamped=clamped)


def test_states_of_clamped_sites_that_are_refused():
    with pytest.raises(ValueError, match=r"^clamped: site 2 must be in \[0, 3\), got 3$"):
        PottsModel([[0, 1], [1, 2]], 3).sample(clamped={2: 3})


@pytest.mark.law
@pytest.mark.parametrize("kernel", ["colored", "swendsen_wang"])
def test_many_sites_in_fields(kernel):
    """2^20 sites without neighbours: an error of 0.0035 is seen in a probability of one half."""
    n, h = 2**20, np.array([0.3, -0.5, 0.8])
    got = PottsModel([], 3, h=h, beta=1.3, num_sites=n).sample(
        draws=1, chains=1, warmup=0, rng=310, **KERNELS[kernel]
    )
    assert_law(np.bincount(got.spins.ravel()), np.exp(1.3 * h) / np.exp(1.3 * h).sum())
    got = IsingModel([], h=0.4, beta=1.3, num_sites=n).sample(
        draws=1, chains=1, warmup=0, rng=311, **KERNELS[kernel]
    )
    p = 1 / (1 + np.exp(-2 * 1.3 * 0.4))
    assert_law(np.bincount((got.spins.ravel() + 1) // 2), [1 - p, p])


@pytest.mark.law
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["path3_isolated_node", "frustrated_triangle", "complete5_random"])
def test_stationary_laws_of_spins(kernel, name):
    model = ising(ISING[name])
    assert_law(counts(model, 300, warmup=30, **KERNELS[kernel]), law_of(model))


@pytest.mark.law
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("index", [0, 2])
def test_stationary_laws_of_potts_models(kernel, index):
    model = potts(ORACLE["potts"]["cases"][index], attracts="method" in KERNELS[kernel])
    assert_law(counts(model, 400, warmup=30, **KERNELS[kernel]), law_of(model))


@pytest.mark.law
@pytest.mark.parametrize("kernel", ["swendsen_wang", "wolff"])
def test_clusters_without_fields(kernel):
    """Where states are drawn without looking at fields; and with one state alone."""
    model = PottsModel([[0, 1], [1, 2], [0, 2], [2, 3]], 3, beta=0.7)
    assert_law(counts(model, 500, warmup=30, **KERNELS[kernel]), law_of(model))
    only = PottsModel([[0, 1]], 1).sample(draws=3, rng=0, **KERNELS[kernel])
    assert not only.spins.any()
    assert (only.magnetization == 1).all()


SHAPES = [
    ((4, 4), True, 0.0),
    ((4, 4), True, 0.2),
    ((4, 4), False, 0.0),
    ((3, 5), False, 0.2),
    ((2, 6), True, -0.3),
    ((4, 3), (True, False), 0.2),
    ((1, 7), False, 0.2),
    ((7, 1), False, 0.2),
]


@pytest.mark.law
@pytest.mark.parametrize(("shape", "periodic", "h"), SHAPES)
def test_lattices_have_their_joint_law(shape, periodic, h):
    """Of energy and magnetization, as enumerated with the general model; and of each spin."""
    lattice = IsingModel.grid(shape, 0.7, h, periodic=periodic, beta=0.5)
    assert lattice._lattice is not None
    general = IsingModel(lattice.edges, lattice.J, lattice.h, beta=0.5, num_sites=lattice.num_sites)
    states, law = all_states(general), law_of(general)
    trace = lattice.sample(draws=1, warmup=30, chains=CHAINS, rng=600)
    assert np.abs(trace.energy[:, 0] - general.energy(trace.spins[:, 0])).max() < 1e-9
    assert np.abs(trace.magnetization - trace.spins.mean(-1)).max() < 1e-12

    def cells(spins, energy):
        return np.round(100 * (energy + 50)).astype(int) * 100 + spins.sum(-1)

    names, of_state = np.unique(cells(states, general.energy(states)), return_inverse=True)
    seen = np.searchsorted(names, cells(trace.spins[:, 0], trace.energy[:, 0]))
    assert_law(np.bincount(seen, minlength=len(names)), np.bincount(of_state, law), alpha=1e-7)
    wrong = np.abs(trace.spins[:, 0].mean(0) - law @ states).max()
    assert wrong < 6 / np.sqrt(CHAINS)


@pytest.mark.law
@pytest.mark.parametrize("periodic", [True, False])
def test_rows_of_lattices(periodic):
    """One sweep over 2 x 4 sites, from two states: all 256 probabilities, colour after colour."""
    lattice = IsingModel.grid((2, 4), 0.8, 0.3, periodic=periodic, beta=0.6)
    states = all_states(lattice)
    order = sorted(range(8), key=lambda i: (i // 4 + i % 4) % 2)
    rows = np.linalg.multi_dot([heat_bath(lattice, i) for i in order])
    for row in (0, 77):
        assert_law(counts(lattice, 700 + row, init=states[row], chains=10**5), rows[row])


@pytest.mark.law
def test_lattices_given_their_neighbours():
    """Sites of the second colour are drawn given what is there at the end: ups for each sum.

    And what neighbouring spins of one colour decide is not correlated, nor what one spin decides in
    two sweeps or two chains. 2^22 decisions: an error of 0.002 is seen in each of five
    probabilities. Red with digits that two words or two sweeps share.
    """
    shape = (64, 512)
    model = IsingModel.grid(shape, 1.0, 0.05, beta=0.4)
    spins = model.sample(draws=64, chains=4, warmup=1, rng=800).spins.reshape(4, 64, *shape)
    second = (np.add.outer(np.arange(64), np.arange(512)) % 2) == 1
    around = sum(np.roll(spins, s, axis).astype(np.int8) for axis in (2, 3) for s in (1, -1))
    p = 1 / (1 + np.exp(-2 * 0.4 * (np.arange(-4, 5) + 0.05)))
    for total in (-4, -2, 0, 2, 4):
        ups = spins[(around == total) & second] == 1
        chance = p[total + 4]
        assert_mean(ups, chance, chance * (1 - chance), alpha=1e-7)
    # Residuals of the second colour, each over its standard deviation.
    chance = p[around + 4]
    left = np.where(second, ((spins == 1) - chance) / np.sqrt(chance * (1 - chance)), 0)
    # The next spins of a word, rows, words, draws and chains.
    shifts = [(0, 0, 0, 2), (0, 0, 1, 1), (0, 0, 2, 0), (0, 0, 0, 128), (0, 0, 0, 256)]
    shifts += [(0, 0, 1, 127), (0, 1, 0, 0), (1, 0, 0, 0)]
    for shift in shifts:
        products = (left * np.roll(left, shift, (0, 1, 2, 3)))[:, :, second]
        assert abs(products.sum()) < 5.5 * np.sqrt(products.size), shift


@pytest.mark.law
def test_rare_decisions_of_lattices():
    """Probabilities that the first digits do not decide: 2^24 spins, each up with 3e-4 or 1e-6."""
    for p in (3e-4, 1e-6):
        model = IsingModel.grid((1024, 1024), 0.0, 0.5 * np.log(p / (1 - p)))
        trace = model.sample(draws=16, chains=1, warmup=0, keep_spins=False, rng=900)
        ups = round(float((trace.magnetization + 1).sum()) / 2 * 2**20)
        assert abs(ups - p * 2**24) < 5.5 * np.sqrt(p * 2**24)


@pytest.mark.law
@pytest.mark.parametrize("kernel", ["lattice", "colored", "swendsen_wang", "wolff"])
@pytest.mark.parametrize("beta", [0.3, 0.44068679])
def test_energies_of_tori(kernel, beta):
    """Kaufman's exact energies on 8 x 8 sites, and their variance; errors by effective sizes."""
    exact = next(c for c in ORACLE["ising"]["torus_exact"] if (c["L"], c["beta"]) == (8, beta))
    model = IsingModel.grid((8, 8), beta=beta)
    if kernel == "colored":
        model = IsingModel(model.edges, beta=beta)
    how = KERNELS.get(kernel, {})
    energy = model.sample(draws=4000, chains=16, warmup=200, keep_spins=False, rng=1, **how).energy
    worth = ess(energy[:, :, None], method="mean")[0]
    error = np.sqrt(exact["var_energy_per_spin"] / 64 / worth)
    assert abs(energy.mean() / 64 - exact["energy_per_spin"]) < 5.5 * error
    assert abs(energy.var() / 64 / exact["var_energy_per_spin"] - 1) < 0.05


ALL = {**KERNELS, "lattice": {}}


@pytest.mark.parametrize("kernel", ALL)
@pytest.mark.parametrize("q", [None, 3])
def test_draws_depend_on_names_alone(kernel, q):
    if q is None:
        model = IsingModel.grid((6, 10), 0.9, 0.1, beta=0.4)
    else:
        model = PottsModel.grid((6, 10), q, 0.9, [0.1, 0.0, -0.2])
    how = {"draws": 20, "warmup": 3, "thin": 2, "rng": 7, **ALL[kernel]}
    first, *others = (model.sample(chains=5, num_threads=n, **how) for n in (1, 2, 7))
    for other in others:
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    fewer = model.sample(chains=2, **how)
    assert np.array_equal(fewer.spins, first.spins[:2])
    shorter = model.sample(chains=5, **{**how, "draws": 7})
    assert np.array_equal(shorter.spins, first.spins[:, :7])
    assert np.array_equal(first.last, first.spins[:, -1])
    without = model.sample(chains=5, keep_spins=False, **how)
    assert without.spins.shape == (5, 0, 60)
    assert np.array_equal(without.energy, first.energy)
    assert not np.array_equal(model.sample(chains=5, **{**how, "rng": 8}).spins, first.spins)
    stepped = model.sample(chains=5, **{**how, "rng": Stream(7, step=1)})
    assert not np.array_equal(stepped.spins, first.spins)
    assert np.abs(first.energy - model.energy(first.spins)).max() < 1e-9


def test_one_large_lattice_is_work_for_several_threads():
    model = IsingModel.grid((2048, 2048), beta=0.44)
    how = {"draws": 1, "warmup": 2, "chains": 1, "rng": 3}
    first, second = (model.sample(num_threads=n, **how).last for n in (1, 3))
    assert np.array_equal(first, second)


def test_constructors_agree():
    nx, sparse = pytest.importorskip("networkx"), pytest.importorskip("scipy.sparse")
    states = all_states(IsingModel([[0, 1]], num_sites=4))
    model = IsingModel([[0, 1], [2, 1], [0, 1]], [0.5, -1.0, 0.25], [0.1, 0.0, 0.2, -0.3])
    graph = nx.Graph()
    for node, field in zip("abcd", [0.1, 0.0, 0.2, -0.3], strict=True):
        graph.add_node(node, field=field)
    graph.add_edge("a", "b", weight=0.75)
    graph.add_edge("c", "b", weight=-1.0)
    others = [IsingModel.from_networkx(graph)]
    assert others[0].labels == tuple("abcd")
    couplings = np.zeros((4, 4))
    couplings[0, 1] = couplings[1, 0] = 0.75
    couplings[1, 2] = couplings[2, 1] = -1.0
    for kind in (sparse.csr_array, sparse.coo_matrix, sparse.csc_array):
        others.append(IsingModel.from_scipy(kind(couplings), [0.1, 0.0, 0.2, -0.3]))
    for other in others:
        assert np.abs(other.energy(states) - model.energy(states)).max() < 1e-12
    kept = pickle.loads(pickle.dumps(model))
    same = [m.sample(draws=3, rng=0).spins for m in (model, kept, copy.deepcopy(model), *others)]
    assert all(np.array_equal(same[0], s) for s in same)


def test_quadratic_models():
    """Energies of dimod's models, of spins and of binary variables, but for a constant."""

    class Kind:
        def __init__(self, name):
            self.name = name

    class Quadratic:
        vartype, linear = Kind("BINARY"), {"x": 1.0, "y": -0.5, "z": 0.0}
        quadratic = {("x", "y"): 2.0, ("z", "y"): -0.7}  # noqa: RUF012

    model = IsingModel.from_bqm(Quadratic)
    states = all_states(model)
    x, y, z = (states.T + 1) // 2
    differences = model.energy(states) - (x - 0.5 * y + 2 * x * y - 0.7 * z * y)
    assert np.ptp(differences) < 1e-12
    Quadratic.vartype = Kind("SPIN")
    x, y, z = states.T
    energies = IsingModel.from_bqm(Quadratic).energy(states)
    assert np.abs(energies - (x - 0.5 * y + 2 * x * y - 0.7 * z * y)).max() < 1e-12
    assert model.labels == ("x", "y", "z")


def test_negative_temperatures_reverse_everything():
    model = IsingModel([[0, 1], [1, 2]], [0.5, 0.3], 0.2, beta=-1.0)
    same = IsingModel([[0, 1], [1, 2]], [-0.5, -0.3], -0.2, beta=1.0)
    for how in KERNELS.values():
        a, b = (m.sample(draws=30, rng=2, **how).spins for m in (model, same))
        assert np.array_equal(a, b)


def test_extreme_models_freeze():
    model = IsingModel.grid((6, 6), 1e300, beta=1.0)
    for how in ALL.values():
        trace = model.sample(draws=5, init=np.ones(36, int), rng=0, **how)
        assert set(np.abs(trace.magnetization).ravel()) == {1.0}
    free = IsingModel.grid((64, 64), 1.0, beta=0.0).sample(draws=20, rng=0)
    assert abs(free.magnetization).max() < 0.1


BAD = {
    "edges": [
        ({"edges": [[0, 0]]}, "edges: row 0: must join two sites"),
        ({"edges": [[0, 7]], "num_sites": 3}, r"edges: row 0: must hold sites in \[0, 3\)"),
        ({"edges": [[-1, 0]]}, r"edges: row 0: must hold sites in \[0, 1\)"),
        ({"edges": [0, 1]}, r"edges: must have shape \(m, 2\)"),
        ({"edges": [[0, 1]], "J": [1.0, 2.0]}, "J: must be a number or have shape"),
        ({"edges": [[0, 1]], "h": [1.0, 2.0, 0.0], "num_sites": 2}, "h: must have a row for each"),
        ({"edges": [[0, 1]], "h": np.inf}, "h: must be in"),
        ({"edges": [[0, 1]], "beta": np.nan}, "beta: must be in"),
        ({"edges": []}, "num_sites: must be in"),
    ],
    "sample": [
        ({"order": "colored", "method": "wolff"}, "order: must be None for clusters"),
        ({"init": np.ones((2, 3), int), "chains": 3}, r"init: must have shape \(3,\) or \(3, 3\)"),
        ({"init": [1, 0, 1]}, "init: item 1 must be -1 or 1, got 0"),
        ({"init": "up"}, "init: must be"),
        ({"draws": 2**40, "keep_spins": False}, "draws: must leave a chain less than"),
        ({"chains": 0}, "chains: must be at least 1"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("call", "said"), BAD["edges"])
def test_bad_models(call, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        IsingModel(**call)


@pytest.mark.parametrize(("call", "said"), BAD["sample"])
def test_bad_calls(call, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        IsingModel([[0, 1], [1, 2]]).sample(**call)


def test_more_bad_models():
    with pytest.raises(TypeError, match=r"^edges: must hold integers"):
        IsingModel([[0.5, 1.0]])
    with pytest.raises(ValueError, match=r"^method: clusters of a Potts model need"):
        PottsModel([[0, 1]], 3, -1.0).sample(method="wolff")
    with pytest.raises(ValueError, match=r"^h: must be a number, or have shape"):
        PottsModel([[0, 1]], 3, 1.0, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"^q: must be in \[1, 256\], got 257"):
        PottsModel([[0, 1]], 257)
    with pytest.raises(ValueError, match=r"^beta: times all couplings"):
        IsingModel([[0, 1]], 1e300, beta=1e10).energy([1, 1])
    with pytest.raises(ValueError, match=r"^periodic: must have an item"):
        IsingModel.grid((4, 4), periodic=[True])


@needs_sigint
@pytest.mark.parametrize("how", [{}, {"method": "swendsen_wang"}, {"order": "random"}])
def test_interrupted_chains_keep_what_they_have(how):
    model = IsingModel.grid((32, 32), beta=0.4)
    plan = {"draws": 10**7, "warmup": 0, "keep_spins": False, "chains": 3, "rng": 4, **how}
    with ctrl_c_after(0.3):
        trace = model.sample(**plan)
    n = trace.energy.shape[1]
    assert trace.interrupted
    assert n > 10
    whole = model.sample(**{**plan, "draws": 10})
    assert np.array_equal(whole.energy, trace.energy[:, :10])
    assert not whole.interrupted
    with ctrl_c_after(0.2), pytest.raises(Interrupted) as stopped:
        model.sample(**plan, on_interrupt="raise")
    assert stopped.value.partial.interrupted
