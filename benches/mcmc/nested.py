"""Nested slice sampling of BlackJAX on ManyWell, in an interpreter of its own: it needs JAX.

    python nested.py nss|nsswig

For every line that it reads it estimates the evidence, and prints the seconds, the estimate and its
standard error. It has 1,000 live points, and has compiled before it says true.
"""

import json
import sys
import time

DIM, SCALE = 32, 2.0


def nested(name):
    """Return a function of a seed: along lines, or along axes."""
    import blackjax
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

    def turn(seed):
        first, key = jax.random.split(jax.random.key(seed))
        state, dead = algorithm.init(SCALE * jax.random.normal(first, (1000, DIM))), []
        while len(dead) < 5 or state.integrator.logZ_live - state.integrator.logZ > -3:
            key, own = jax.random.split(key)
            state, info = step(own, state)
            dead.append(info)
        weights = log_weights(key, finalise(state, dead), 100)
        log_z = jax.scipy.special.logsumexp(weights, axis=0)
        return float(log_z.mean()), float(log_z.std())

    return turn


def main():
    turn = nested(sys.argv[1])
    turn(0)
    print(json.dumps(True), flush=True)
    for seed, _ in enumerate(sys.stdin):
        began = time.perf_counter()
        found = turn(seed)
        print(json.dumps([time.perf_counter() - began, *found]), flush=True)


if __name__ == "__main__":
    main()
