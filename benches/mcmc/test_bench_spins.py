"""Spins beside dwave-samplers, THRML, a checkerboard in JAX, and one file of numba.

Times are of one processor core: all count processor seconds. The peers have an environment of their
own, .peers/spins, which tests/contracts/install_peers.sh makes.
"""

import time

import numpy as np
import pytest
from sortes import Stream
from sortes.mcmc import BernoulliRBM, IsingModel

from benches.mcmc.spin_peers import BETA, edges_of
from benches.turns import judge, peer, turns

GOALS = {"dwave": 1 / 40, "thrml": 1 / 100, "jax": 1 / 100}


def said_or_processor(turn, n):
    """Return the seconds that a turn says it took, or those that it spent."""
    began = time.process_time()
    said = turn(n)
    return said if isinstance(said, float) else time.process_time() - began


def ours(model, sweeps, **how):
    plan = {"draws": 1, "thin": sweeps, "warmup": 0, "chains": 1, "keep_spins": False}
    return lambda i: model.sample(**plan, **how, rng=Stream(i), num_threads=1)


def judge_updates(record, updates, limit):
    """Add the goal of so many nanoseconds an update."""
    judge(record, "ns an update", limit, 1e6 * record["ms"]["sortes"] / updates)


@pytest.mark.parametrize("size", [256, 1024])
def test_square_lattices(benchmark, apart, size):
    sweeps = 200 if size == 256 else 50
    model = IsingModel.grid((size, size), beta=BETA)
    names = ["dwave", "jax", "numba"] + (["thrml"] if size == 256 else [])
    updates = sweeps * size**2
    record = turns(
        benchmark,
        "Heat bath on a square lattice",
        {"size": size, "updates": updates},
        {
            "sortes": ours(model, sweeps),
            "sortes, any graph": ours(IsingModel(model.edges, beta=BETA), sweeps),
        },
        {name: apart("spins", "spin_peers.py", name, "torus", size, sweeps) for name in names},
        goal={name: limit for name, limit in GOALS.items() if name in names},
        seconds=1,
        least=3,
        clock=said_or_processor,
    )
    judge_updates(record, updates, 1 / 4)


@pytest.mark.parametrize("size", [100_000])
def test_sparse_graphs(benchmark, apart, size):
    sweeps = 100
    n, pairs = edges_of("sparse", size)
    model = IsingModel(pairs, beta=BETA, num_sites=n)
    record = turns(
        benchmark,
        "Heat bath on a graph with three neighbours each",
        {"sites": size, "updates": sweeps * n},
        {"sortes": ours(model, sweeps)},
        {"dwave": apart("spins", "spin_peers.py", "dwave", "sparse", size, sweeps)},
        seconds=1,
        least=3,
        clock=said_or_processor,
    )
    judge_updates(record, sweeps * n, 1 / 0.15)


def test_clusters(benchmark):
    model = IsingModel.grid((256, 256), beta=0.44068679)
    turns(
        benchmark,
        "Clusters on 256 x 256 sites at the critical temperature",
        {"updates": 50},
        {
            "sortes, swendsen_wang": ours(model, 50, method="swendsen_wang"),
            "sortes, wolff": ours(model, 50, method="wolff"),
        },
        {},
        seconds=1,
        least=3,
        clock=said_or_processor,
    )


def test_boltzmann_machines(benchmark):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(784, 500), scale=0.05).astype(np.float32)
    chains, steps = 1024, 10
    machine = BernoulliRBM(weights)
    start = rng.integers(0, 2, (chains, 784), dtype=np.uint8)

    def torch_steps(torch):
        torch.set_num_threads(1)
        w = torch.from_numpy(weights)
        v0 = torch.from_numpy(start).float()

        def turn(_):
            v = v0
            with torch.inference_mode():
                for _ in range(steps):
                    h = torch.bernoulli(torch.sigmoid(v @ w))
                    v = torch.bernoulli(torch.sigmoid(h @ w.T))

        return turn

    def sklearn_steps(module):
        rbm = module.BernoulliRBM(500)
        rbm.components_ = weights.T.copy()
        rbm.intercept_hidden_ = np.zeros(500, np.float32)
        rbm.intercept_visible_ = np.zeros(784, np.float32)
        rbm.random_state_ = np.random.RandomState(0)

        def turn(_):
            v = start
            for _ in range(steps):
                v = rbm._sample_visibles(
                    rbm._sample_hiddens(v, rbm.random_state_), rbm.random_state_
                )

        return turn

    plan = {"draws": 1, "thin": steps, "warmup": 0, "keep_units": False, "num_threads": 1}
    turns(
        benchmark,
        "Boltzmann machines of 784 and 500 units, 1024 chains",
        {"steps": steps},
        {"sortes": lambda i: machine.sample(**plan, init=start, rng=i)},
        {
            "torch": peer("torch", torch_steps),
            "scikit-learn": peer("sklearn.neural_network", sklearn_steps),
        },
        seconds=1,
        least=3,
        clock=said_or_processor,
    )
