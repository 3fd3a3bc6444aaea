"""The evidence of ManyWell in 32 dimensions, beside nested slice sampling of BlackJAX.

Both begin from the same normal. Their errors differ: the product of time and squared standard error
does not depend on the number of particles, and is what to compare.
"""

import numpy as np
from sortes.mcmc import ManyWell, Normal, Slice, smc

from benches.turns import peer, turns

DIM, SCALE = 32, 2.0


def nested(blackjax, name):
    """Nested sampling of 1,000 live points, by lines or along axes, compiled before it is timed."""
    import jax
    import jax.numpy as jnp
    from blackjax.ns.utils import finalise, log_weights

    jax.config.update("jax_enable_x64", True)

    def log_prior(x):
        return -0.5 * jnp.sum((x / SCALE) ** 2) - DIM * jnp.log(SCALE * jnp.sqrt(2 * jnp.pi))

    def log_likelihood(x):
        a, b = x[::2], x[1::2]
        return jnp.sum(-(a**4) + 6 * a**2 + a / 2 - b**2 / 2) - log_prior(x)

    # Along lines as many steps as coordinates; an axis-aligned step is one of each coordinate.
    steps = {"nss": DIM, "nsswig": 2}[name]
    make = getattr(blackjax, name)
    algorithm = make(log_prior, log_likelihood, num_inner_steps=steps, num_delete=100)
    step = jax.jit(algorithm.step)

    def turn(i):
        first, key = jax.random.split(jax.random.key(i))
        state, dead = algorithm.init(SCALE * jax.random.normal(first, (1000, DIM))), []
        while len(dead) < 5 or state.integrator.logZ_live - state.integrator.logZ > -3:
            key, own = jax.random.split(key)
            state, info = step(own, state)
            dead.append(info)
        weights = log_weights(key, finalise(state, dead), 100)
        log_z = jax.scipy.special.logsumexp(weights, axis=0)
        found[f"blackjax {name}"].append((float(log_z.mean()), float(log_z.std())))

    turn(0)
    return turn


found = {"sortes": [], "blackjax nss": [], "blackjax nsswig": []}


def test_evidence(benchmark):
    target, reference = ManyWell(DIM), Normal(np.zeros(DIM), scale=SCALE)

    def ours(i):
        result = smc(target, Slice(), reference, path="geometric", num_particles=4096,
                     num_mcmc_steps=2, rng=i, num_threads=2)  # fmt: skip
        found["sortes"].append(tuple(result.log_z))

    record = turns(
        benchmark,
        "Evidence",
        {"target": "ManyWell", "dimensions": DIM},
        {"sortes": ours},
        {
            f"blackjax {name}": peer("blackjax", lambda module, name=name: nested(module, name))
            for name in ("nss", "nsswig")
        },
        goal={"blackjax nss": 1 / 5},
        seconds=20,
        least=3,
        most=10,
    )
    known = {name: np.array(runs) for name, runs in found.items() if runs}
    record["more"] = {
        "root mean squared error": {
            name: float(np.sqrt(np.mean((runs[:, 0] - target.log_z) ** 2)))
            for name, runs in known.items()
        },
        "standard error": {name: float(runs[:, 1].mean()) for name, runs in known.items()},
    }
