"""Peers of spin models, in an interpreter of their own: they need JAX and numba.

    python spin_peers.py PEER MODEL SIZE SWEEPS

For every line that it reads it makes so many sweeps at one temperature, and prints the processor
seconds. What is compiled, and the objects that stand for a model, are made before it says true.
"""

import json
import os
import sys
import time

import numpy as np

BETA = 0.44


def edges_of(model, size):
    """A torus of `size` times `size` sites, or `size` sites with three neighbours each."""
    if model == "torus":
        ids = np.arange(size * size).reshape(size, size)
        pairs = [np.stack([ids, np.roll(ids, -1, axis)], -1).reshape(-1, 2) for axis in (0, 1)]
        return size * size, np.concatenate(pairs)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(size), 3)).reshape(-1, 2)
    return size, order[order[:, 0] != order[:, 1]]


def dwave(model, size, sweeps):
    """The annealer with a constant temperature."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    n, pairs = edges_of(model, size)
    bqm = dimod.BinaryQuadraticModel("SPIN")
    bqm.add_linear_from_array(np.zeros(n))
    bqm.add_quadratic_from((int(i), int(j), -1.0) for i, j in pairs)
    sampler = SimulatedAnnealingSampler()
    start = np.random.default_rng(1).choice([-1, 1], (1, n)).astype(np.int8)
    states = dimod.SampleSet.from_samples_bqm(start, bqm)

    def turn(seed, sweeps=sweeps):
        sampler.sample(
            bqm,
            num_reads=1,
            beta_schedule_type="custom",
            beta_schedule=[BETA],
            num_sweeps_per_beta=sweeps,
            num_sweeps=sweeps,
            initial_states=states,
            initial_states_generator="tile",
            proposal_acceptance_criteria="Gibbs",
            seed=seed,
        )

    began = time.process_time()
    turn(0, 1)
    spent = time.process_time() - began
    turn.overhead = spent  # of turning the model over, which is no sweep
    return turn


def jax(model, size, sweeps):
    """A checkerboard, compiled."""
    import jax as xla
    import jax.numpy as jnp

    colour = (jnp.arange(size)[:, None] + jnp.arange(size)) % 2

    def sweep(i, carry):
        spins, key = carry
        for which in (0, 1):
            key, use = xla.random.split(key)
            around = sum(jnp.roll(spins, s, a) for s in (1, -1) for a in (0, 1))
            p = xla.nn.sigmoid(2 * BETA * around.astype(jnp.float32))
            drawn = jnp.where(xla.random.uniform(use, spins.shape) < p, 1, -1).astype(jnp.int8)
            spins = jnp.where(colour == which, drawn, spins)
        return spins, key

    run = xla.jit(lambda spins, key: xla.lax.fori_loop(0, sweeps, sweep, (spins, key))[0])
    spins = jnp.ones((size, size), jnp.int8)
    return lambda seed: run(spins, xla.random.key(seed)).block_until_ready()


def thrml(model, size, sweeps):
    """Block Gibbs sampling of thrml."""
    import jax as xla
    import jax.numpy as jnp
    from thrml import Block, SamplingSchedule, SpinNode, sample_states
    from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init

    n, pairs = edges_of(model, size)
    nodes = [SpinNode() for _ in range(n)]
    edges = [(nodes[i], nodes[j]) for i, j in pairs]
    ebm = IsingEBM(nodes, edges, jnp.zeros(n), jnp.ones(len(edges)), jnp.array(BETA))
    blocks = [Block([nodes[i] for i in range(n) if (i // size + i) % 2 == c]) for c in (0, 1)]
    program = IsingSamplingProgram(ebm, blocks, clamped_blocks=[])
    schedule = SamplingSchedule(n_warmup=sweeps, n_samples=1, steps_per_sample=1)
    init = hinton_init(xla.random.key(0), ebm, blocks, ())
    run = xla.jit(lambda key: sample_states(key, program, schedule, init, [], [Block(nodes)]))
    return lambda seed: xla.block_until_ready(run(xla.random.key(seed)))


def numba(model, size, sweeps):
    """Loops, compiled, with a table of probabilities."""
    import numba as nb

    table = 1 / (1 + np.exp(-2 * BETA * np.arange(-4, 5)))

    @nb.njit
    def run(spins, sweeps):
        n = spins.shape[0]
        for _ in range(sweeps):
            for colour in range(2):
                for i in range(n):
                    up, down = i - 1 if i else n - 1, i + 1 if i + 1 < n else 0
                    for j in range((i + colour) % 2, n, 2):
                        left, right = j - 1 if j else n - 1, j + 1 if j + 1 < n else 0
                        around = spins[up, j] + spins[down, j] + spins[i, left] + spins[i, right]
                        spins[i, j] = 1 if np.random.random() < table[around + 4] else -1  # noqa: NPY002

    spins = np.ones((size, size), np.int8)
    return lambda seed: run(spins, sweeps)


def main():
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    name, model, *numbers = sys.argv[1:]
    turn = {"dwave": dwave, "jax": jax, "thrml": thrml, "numba": numba}[name](
        model, *map(int, numbers)
    )
    turn(0)
    print(json.dumps(True), flush=True)
    for seed, _ in enumerate(sys.stdin):
        began = time.process_time()
        turn(seed + 1)
        spent = time.process_time() - began - getattr(turn, "overhead", 0.0)
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
