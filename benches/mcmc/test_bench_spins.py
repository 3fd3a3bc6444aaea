"""Spins beside dwave-samplers, THRML, a checkerboard in JAX, and one file of numba.

Times are of one processor core: all count processor seconds. The peers have an environment of their
own, .peers/spins, which tests/contracts/install_peers.sh makes.
"""

import os
import subprocess
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from sortes import Stream
from sortes.mcmc import BernoulliRBM, IsingModel

from benches.mcmc.spin_peers import BETA, edges_of
from benches.turns import peer, turns


def apart(name, model, size, sweeps, owner):
    """Return a turn of a peer in its own interpreter, which says how long it took."""
    python = Path(__file__).parents[2] / ".peers" / "spins" / "bin" / "python"
    if not python.exists():
        return "the environment .peers/spins is not installed"
    script = Path(__file__).with_name("spin_peers.py")
    process = subprocess.Popen(
        [python, script, name, model, str(size), str(sweeps)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"},
    )
    weakref.finalize(owner, process.communicate)

    def turn(_):
        process.stdin.write("\n")
        process.stdin.flush()
        said = process.stdout.readline()
        if not said:
            raise RuntimeError(f"{name} ended")
        return float(said)

    turn(0)  # it starts, and compiles
    return turn


def said_or_processor(turn, n):
    """Return the seconds that a turn says it took, or those that it spent."""
    began = time.process_time()
    said = turn(n)
    return said if isinstance(said, float) else time.process_time() - began


def ours(model, sweeps, **how):
    plan = {"draws": 1, "thin": sweeps, "warmup": 0, "chains": 1, "keep_spins": False}
    return lambda i: model.sample(**plan, **how, rng=Stream(i), num_threads=1)


@pytest.mark.parametrize("size", [256, 1024])
def test_square_lattices(benchmark, size):
    sweeps = 200 if size == 256 else 50
    model = IsingModel.grid((size, size), beta=BETA)
    names = ["dwave", "jax", "numba"] + (["thrml"] if size == 256 else [])
    updates = sweeps * size**2
    turns(
        benchmark,
        "Heat bath on a square lattice",
        {"size": size, "updates": updates},
        {
            "sortes": ours(model, sweeps),
            "sortes, any graph": ours(IsingModel(model.edges, beta=BETA), sweeps),
        },
        {name: apart(name, "torus", size, sweeps, model) for name in names},
        seconds=2,
        least=3,
        clock=said_or_processor,
    )


@pytest.mark.parametrize("size", [100_000])
def test_sparse_graphs(benchmark, size):
    sweeps = 100
    n, pairs = edges_of("sparse", size)
    model = IsingModel(pairs, beta=BETA, num_sites=n)
    turns(
        benchmark,
        "Heat bath on a graph with three neighbours each",
        {"sites": size, "updates": sweeps * n},
        {"sortes": ours(model, sweeps)},
        {"dwave": apart("dwave", "sparse", size, sweeps, model)},
        seconds=2,
        least=3,
        clock=said_or_processor,
    )


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
        seconds=2,
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
        seconds=2,
        least=3,
        clock=said_or_processor,
    )
