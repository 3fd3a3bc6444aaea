"""Valid calls of what the family offers."""

import ctypes
from types import SimpleNamespace

import numpy as np
from scipy import sparse
from sortes.mcmc import (
    AxialModes,
    BernoulliRBM,
    CLogp,
    Gibbs,
    GibbsianPolarSlice,
    HitAndRunSlice,
    IsingModel,
    Normal,
    PottsModel,
    Slice,
    StandardNormal,
    sample,
)

#: How many times the draws of each chain are repeated, or with ``TALL`` how many times the chains
#: are; `public.resize` sets them.
SCALE: int = globals().get("SCALE", 1)
TALL: bool = globals().get("TALL", False)
TIMES = (SCALE, 1) if TALL else (1, SCALE)
DRAWS = np.tile([[0.1, 0.9, 0.5, 0.4, 0.2], [1.0, 0.2, 3.0, 0.4, 2.0]], TIMES)
POINTER = ctypes.POINTER(ctypes.c_double)

SHAPES, TILTS = np.tile([1.0, 2.5, 0.5], SCALE), np.tile([0.0, -3.0, 20.0], SCALE)
WEIGHTS = np.tile([[0.5, 0.0, 2.0, 1.0], [1.0, 3.0, 0.25, 1.0]], TIMES)
METHODS = ("multinomial", "stratified", "systematic", "residual", "ssp")


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, POINTER, POINTER, ctypes.c_void_p)
def compiled(n, x, logp, user):
    """Return the log density of a normal."""
    logp[0] = -0.5 * sum(x[i] * x[i] for i in range(n))
    return 0


class Compiled:
    """A function in the form of numba's, which copies as itself."""

    address = ctypes.cast(compiled, ctypes.c_void_p).value

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, POINTER, POINTER, ctypes.c_void_p)
def conditional(i, n, x, logp, user):
    """Return what of it changes with a coordinate."""
    logp[0] = -0.5 * x[i] * x[i]
    return 0


class Conditional(Compiled):
    """The same, of what changes with a coordinate."""

    address = ctypes.cast(conditional, ctypes.c_void_p).value


class Many:
    """A function of many points, or of one, that copies as itself."""

    def __call__(self, x):
        """Return the log density of normals."""
        return -0.5 * (np.asarray(x) ** 2).sum(-1)

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


class Tensors:
    """A function of tensors that copies as itself."""

    def __call__(self, x):
        """Return the log density of normals."""
        return -0.5 * (x**2).sum(1)

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


class Drawn:
    """A conditional that copies as itself."""

    def __reduce__(self):
        """Pickle as something that can be found."""
        return object, ()

    def __call__(self, state, rng):
        """Return normals."""
        return rng.normal(size=np.shape(state["x"]))

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


class Proposed(Drawn):
    """A proposal."""

    def __call__(self, state, rng):
        """Return a value and the log densities of both ways."""
        return rng.normal(size=np.shape(state["x"])), 0.0, 0.0


class Logp(Drawn):
    """A joint density."""

    def __call__(self, state):
        """Return its logarithm."""
        return 0.5 * float(state["x"])


class Graph:
    """What is read of a graph of NetworkX."""

    def __init__(self, n=3):
        """Make a path of `n` nodes."""
        self.n = n

    def is_directed(self):
        """Return False."""
        return False

    @property
    def nodes(self):
        """The nodes, which can be called."""
        n = self.n

        class Nodes(list):
            def __call__(self, data=False):
                return [(i, {"field": 0.1 * i}) for i in range(n)]

        return Nodes(range(n))

    def edges(self, data=None, default=1.0):
        """The edges, with couplings if there is an attribute of these."""
        pairs = [(i, i + 1) for i in range(self.n - 1)]
        return pairs if data is None else [(i, j, 0.5 if data == "weight" else 1) for i, j in pairs]


EDGES = np.arange(4 * SCALE)[:, None] + [0, 1]
SITES = 4 * SCALE + 1
SPINS = np.where(np.arange(SITES) % 3, 1, -1)
SPIN_RUN = {"draws": 3, "warmup": 2, "chains": 2, "thin": 2, "rng": 0}
BQM = SimpleNamespace(
    vartype=SimpleNamespace(name="SPIN"),
    linear={i: 0.1 * i for i in range(SITES)},
    quadratic={(i, i + 1): 0.5 for i in range(SITES - 1)},
)
WEIGHTS_RBM = np.tile([[0.5, -1.0], [1.0, 0.2], [0.0, 2.0]], (SCALE, 1))

TARGET = StandardNormal(2)
RUN = {"init": np.array([[0.5, 0.2], [0.1, -0.3]]), "draws": 5 * SCALE, "warmup": 30, "rng": 0}
FEW = {**RUN, "draws": 5}
TRIL = np.array([[1.0, 0.0], [0.3, 0.5]])


def on_device():
    """Arguments with tensors."""
    import torch

    return {
        "logp": Tensors(),
        "kernel": GibbsianPolarSlice(1.5),
        "init": torch.tensor([[0.5, 0.2], [0.1, -0.3]]),
        "draws": 5 * SCALE,
        "warmup": 30,
        "rng": 0,
    }


def torch_logp():
    """Arguments of a density of tensors."""
    return {"fn": Tensors()}


CALLS = {
    "sample_on_device": on_device,
    "TorchLogp": torch_logp,
    "TorchLogp.__call__": {"points": np.ones((3, 2))},
    "BernoulliRBM": {"weights": WEIGHTS_RBM, "visible_bias": 0.5, "hidden_bias": [0.1, -0.2]},
    "BernoulliRBM.free_energy": {"visible": np.tile([1, 0, 1], (2, SCALE))},
    "BernoulliRBM.log_partition": [
        {"betas": 3, "chains": 5, "rng": 0},
        {"betas": [0.5, 1.0], "chains": 5, "rng": 0},
    ],
    "BernoulliRBM.sample": [
        SPIN_RUN,
        {
            **SPIN_RUN,
            "init": np.tile([1, 0, 1], SCALE),
            "clamped": np.tile([True, False, True], SCALE),
        },
    ],
    "IsingModel": [
        {"edges": EDGES, "J": 0.5, "h": np.linspace(-1, 1, SITES), "beta": 0.7},
        {"edges": EDGES, "num_sites": SITES + 2},
    ],
    "IsingModel.grid": {"shape": (4, 6), "J": 0.5, "h": 0.1, "beta": 0.7},
    "IsingModel.from_networkx": {"graph": Graph(SITES), "beta": 0.7},
    "IsingModel.from_scipy": {"matrix": sparse.csr_array([[0.0, 2.0], [2.0, 0.0]]), "h": 0.1},
    "IsingModel.from_bqm": {"bqm": BQM, "beta": 0.7},
    "IsingModel.energy": {"spins": np.tile(SPINS, (2, 1))},
    "IsingModel.sample": [
        SPIN_RUN,
        {**SPIN_RUN, "order": "random", "init": SPINS},
        {**SPIN_RUN, "method": "swendsen_wang"},
        {**SPIN_RUN, "method": "wolff"},
        {**SPIN_RUN, "clamped": {1: -1, 3: 1}},
    ],
    "PottsModel": [
        {"edges": EDGES, "q": 3, "J": 0.5, "h": [0.1, 0.0, -0.2], "beta": 0.7},
        {"edges": EDGES, "q": 3, "num_sites": SITES + 2},
    ],
    "PottsModel.grid": {"shape": (4, 6), "q": 3, "J": 0.5, "h": 0.1, "beta": 0.7},
    "PottsModel.energy": {"spins": np.tile(np.arange(SITES) % 3, (2, 1))},
    "PottsModel.sample": [
        SPIN_RUN,
        {**SPIN_RUN, "method": "wolff"},
        {**SPIN_RUN, "clamped": {1: 2, 3: 0}},
    ],
    "ess": [{"draws": DRAWS}, {"draws": DRAWS, "method": "tail"}],
    "log_mean_weight": {"log_weights": WEIGHTS},
    "next_temperature": {"log_likelihood": 9 * WEIGHTS.ravel(), "current": 0.25, "target_ess": 0.9},
    "random_polyagamma": [
        {"b": SHAPES, "c": TILTS, "rng": 0},
        {"b": 2.5, "c": 1.0, "size": 3 * SCALE, "rng": 0},
    ],
    "resample": [
        *({"weights": WEIGHTS, "n": 3 * SCALE, "method": method, "rng": 0} for method in METHODS),
        {"weights": WEIGHTS, "log": True, "rng": 0},
    ],
    "weights_ess": {"weights": WEIGHTS, "log": True},
    "rhat": {"draws": DRAWS},
    "sample": [
        {"logp": TARGET, "kernel": Slice(), **RUN},
        {"logp": Many(), "kernel": GibbsianPolarSlice(1.0, adapt="diag"), **FEW},
        {"logp": TARGET, "kernel": Slice(), **FEW, "keep_warmup": True, "max_time": 60.0},
        {"logp": Many(), "kernel": GibbsianPolarSlice(1.0), **FEW},
    ],
    "Sampling.abort": {},
    "Sampling.cancel": {},
    "Sampling.inspect": {},
    "Sampling.pause": {},
    "Sampling.resume": {},
    "Sampling.wait": {"timeout": 30.0},
    "smc": [
        {
            "logp": TARGET,
            "kernel": Slice(),
            "prior": Normal([0.5, 0.5]),
            "num_particles": 16 * SCALE,
            "num_mcmc_steps": 2,
            "rng": 0,
        },
        {
            "logp": Many(),
            "kernel": [Slice(), HitAndRunSlice()],
            "prior": TARGET,
            "init": np.tile([[0.5, 0.2], [0.1, -0.3]], (8, 1)),
            "temperatures": [0.5, 1.0],
            "rng": 0,
        },
    ],
    "Gibbs": [
        {"blocks": [("x", Drawn()), ("y", Drawn())], "order": "random", "weights": [1.0, 2.0]},
        {"blocks": [("x", Drawn()), ("y", Drawn())]},
    ],
    "Gibbs.sample": {"init": {"x": 0.0, "y": 0.0}, "draws": 5 * SCALE, "chains": 2, "rng": 0},
    "GibbsDraws.to_arviz": {},
    "Block": {"name": ("x", "y"), "kernel": Slice(2.0), "logp": Logp()},
    "MHBlock": {"name": "x", "propose": Proposed(), "logp": Logp()},
    "Mixture": {"kernels": [(Slice(), 1.0), (HitAndRunSlice(), 2.0)]},
    "Trace.extend": {"draws": 5 * SCALE},
    "Trace.variables": {},
    "Trace.to_arviz": {},
    "Slice": [{"width": 2.0, "max_steps": 5}, {"method": "doubling", "max_doublings": 3}],
    "HitAndRunSlice": {"width": 2.0, "scale_tril": TRIL},
    "EllipticalSlice": [{"prior_var": 2.0}, {"prior_cov": np.eye(2)}, {"prior_scale_tril": TRIL}],
    "GeneralizedEllipticalSlice": [
        {"df": 3.0, "mean": 0.5, "scale": 2.0},
        {"df": 3.0, "cov": np.eye(2)},
    ],
    "AdaptiveEllipticalSlice": [
        {"df": 3.0, "mean": 0.5, "scale": 2.0, "first_sweeps": 2, "sweep_share": 0.2},
        {"df": 3.0, "cov": np.eye(2)},
    ],
    "GibbsianPolarSlice": {"width": 2.0, "center": 0.5, "adapt": "full"},
    "StandardNormal": {"dim": 2},
    "StudentT": {"dim": 2, "df": 3.0},
    "Funnel": {"dim": 2},
    "AxialModes.__call__": {"x": np.tile([[0.5, 1.0], [2.0, 3.0]], (SCALE, 1))},
    "AxialModes.sample": {"n": 3 * SCALE, "rng": 0},
    "Normal": [{"mean": [0.5, 0.5], "scale": 2.0}, {"mean": [0.5, 0.5], "cov": np.eye(2)}],
    "GaussianMixture": [
        {"means": [[0.0, 1.0], [2.0, 3.0]], "weights": [1.0, 2.0], "scale": [1.0, 2.0]},
        {"means": [[0.0, 1.0], [2.0, 3.0]], "cov": np.eye(2)},
    ],
    "ManyWell": {"dim": 4},
    "HyperplaneDisk": {"dim": 3},
    "AxialModes": {"dim": 3},
    "LogisticRegression": {"X": np.tile(TRIL, (SCALE, 1)), "y": np.tile([1, 0], SCALE)},
    "CLogp": [
        {"obj": Compiled(), "ndim": 2},
        {"obj": Compiled(), "ndim": 2, "conditional": Conditional()},
    ],
}
#: What some arguments need beside them before they act.
BESIDE = {
    "Slice method": {"max_steps": None, "max_doublings": None},
    "ess method": {"draws": np.random.default_rng(0).normal(size=(2, 50))},
}
MADE = {
    "BernoulliRBM": lambda: BernoulliRBM(WEIGHTS_RBM),
    "BoltzmannTrace": lambda: BernoulliRBM(WEIGHTS_RBM).sample(**SPIN_RUN),
    "IsingModel": lambda: IsingModel(EDGES, 0.5, 0.1),
    "PottsModel": lambda: PottsModel(EDGES, 3, 0.5, [0.1, 0.0, -0.2]),
    "SpinTrace": lambda: IsingModel(EDGES).sample(**SPIN_RUN),
    "Trace": lambda: sample(TARGET, Slice(), **FEW),
    "Sampling": lambda: sample(TARGET, Slice(), **FEW, blocking=False),
    "AxialModes": lambda: AxialModes(2),
    "Gibbs": lambda: Gibbs([("x", Drawn()), ("y", Drawn())]),
    "GibbsDraws": lambda: MADE["Gibbs"]().sample({"x": 0.0, "y": 0.0}, draws=5, rng=0),
    "CLogp": lambda: CLogp(compiled, 2),
}
