"""One contender on one density, in an interpreter and on a processor of its own.

    python contenders.py CONTENDER

It compiles what there is to compile, and prints the seconds of that. Then it draws for every line
that it reads, and prints the seconds, how many effective draws they gave (the fewest of any
coordinate), and evaluations done and used. A contender is ``tool kernel density [width]``. A
round is long: 64 chains that have not forgotten where they began count as 64 effective draws or
more, whatever they are worth.
"""

import json
import os
import sys
import time
import warnings

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
from sortes.mcmc import (  # noqa: E402
    CLogp,
    EllipticalSlice,
    Funnel,
    GeneralizedEllipticalSlice,
    GibbsianPolarSlice,
    HitAndRunSlice,
    LogisticRegression,
    Slice,
    ess,
    sample,
)

CHAINS = 64
#: Of the first intervals.
WIDTH = float(dict(enumerate(sys.argv[1].split())).get(3, 2.0))
SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


# Data.


def design():
    """Return a design of 24 numbers beside the constant, and binary answers to it."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(300), rng.normal(size=(300, 24))])
    chance = 1 / (1 + np.exp(-x @ rng.normal(scale=0.5, size=25)))
    return x, (rng.random(300) < chance).astype(float)


def process():
    """Return the covariance of a Gaussian process at 50 places, and counts there."""
    at = np.linspace(0, 1, 50)
    cov = np.exp(-0.5 * ((at[:, None] - at) / 0.15) ** 2) + 1e-6 * np.eye(50)
    field = np.linalg.cholesky(cov) @ np.random.default_rng(2).normal(size=50)
    return cov, np.random.default_rng(3).poisson(np.exp(field)).astype(float)


def houses():
    """Return levels of radon as in the houses of Minnesota: 919 of them in 85 counties."""
    rng = np.random.default_rng(4)
    county = np.concatenate([np.arange(85), rng.choice(85, 834, p=rng.dirichlet(np.ones(85)))])
    floor = (rng.random(919) < 0.17).astype(float)
    level = rng.normal(1.5, 0.3, 85)[county] - 0.7 * floor + rng.normal(0, 0.75, 919)
    return county, floor, level


DIMS = {"normal": 10, "funnel": 10, "logistic": 25, "process": 50}


# Each density as each tool wants it.


def compiled(density):
    """Return the density as numba compiles it."""
    import math

    import numba
    from numba import types

    x_, y_ = design()
    counts = process()[1]
    numbers = types.CPointer(types.double)
    status = types.intc(types.intc, numbers, numbers, types.voidptr)

    def normal(n, x, out, user):
        total = 0.0
        for i in range(n):
            total += x[i] * x[i]
        out[0] = -0.5 * total
        return 0

    def funnel(n, x, out, user):
        total = 0.0
        for i in range(1, n):
            total += x[i] * x[i]
        out[0] = -0.5 * (x[0] ** 2 / 9 + (n - 1) * x[0] + math.exp(-x[0]) * total)
        return 0

    def logistic(n, x, out, user):
        beta = numba.carray(x, (25,))
        eta = x_ @ beta
        total = 0.0
        for i in range(300):
            total += y_[i] * eta[i] - max(eta[i], 0.0) - math.log1p(math.exp(-abs(eta[i])))
        for i in range(25):
            total -= 0.5 * beta[i] * beta[i]
        out[0] = total
        return 0

    def poisson(n, x, out, user):  # of a process, whose prior the kernel knows
        total = 0.0
        for i in range(50):
            total += counts[i] * x[i] - math.exp(x[i])
        out[0] = total
        return 0

    function = {"normal": normal, "funnel": funnel, "logistic": logistic, "process": poisson}
    return numba.cfunc(status)(function[density])


def in_c(density):
    """Return the density as a C compiler makes it for this processor, or why not."""
    import ctypes
    import subprocess
    import tempfile

    def table(name, numbers):
        texts = ", ".join(float(x).hex() for x in np.ravel(numbers))
        return f"static const double {name}[] = {{{texts}}};\n"

    x, y = design()
    body = {
        "normal": ("", "for (int i = 0; i < n; i++) total -= 0.5 * x[i] * x[i];"),
        "funnel": (
            "",
            """for (int i = 1; i < 10; i++) total += x[i] * x[i];
            total = -0.5 * (x[0] * x[0] / 9 + 9 * x[0] + exp(-x[0]) * total);""",
        ),
        # A row has the sign of its answer; a logarithm of the product of four is one of four.
        "logistic": (
            table("columns", (x * np.where(y, 1, -1)[:, None]).T),
            """double eta[300] = {0};
            for (int j = 0; j < 25; j++)
                for (int i = 0; i < 300; i++) eta[i] += x[j] * columns[300 * j + i];
            for (int i = 0; i < 75; i++) {
                double more = 1;
                for (int k = 0; k < 300; k += 75) {
                    total += fmin(eta[i + k], 0);
                    more *= 1 + exp(-fabs(eta[i + k]));
                }
                total -= log(more);
            }
            for (int j = 0; j < 25; j++) total -= 0.5 * x[j] * x[j];""",
        ),
        "process": (
            table("counts", process()[1]),
            "for (int i = 0; i < 50; i++) total += counts[i] * x[i] - exp(x[i]);",
        ),
    }[density]
    source = f"""#include <math.h>
    {body[0]}
    int density(int n, const double *x, double *out, void *user) {{
        double total = 0;
        {body[1]}
        *out = total;
        return 0;
    }}"""
    with tempfile.TemporaryDirectory() as folder:
        made = f"{folder}/density.so"
        command = ["cc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", "-xc", "-"]
        subprocess.run([*command, "-o", made, "-lm"], input=source, text=True, check=True)
        return ctypes.CDLL(made).density


def for_jax(density):
    """Return the density as JAX traces it."""
    import jax.numpy as jnp

    x_, y_ = map(jnp.asarray, design())
    counts = jnp.asarray(process()[1])

    def funnel(x):
        return -0.5 * (x[0] ** 2 / 9 + 9 * x[0] + jnp.exp(-x[0]) * (x[1:] ** 2).sum())

    def logistic(x):
        eta = x_ @ x
        return (y_ * eta - jnp.logaddexp(0.0, eta)).sum() - 0.5 * (x**2).sum()

    def poisson(x):
        return (counts * x - jnp.exp(x)).sum()

    return {"funnel": funnel, "logistic": logistic, "process": poisson}[density]


def vectorised(density):
    """Return the density of many points, for NumPy."""
    x_, y_ = design()

    def normal(x):
        return -0.5 * np.einsum("ij,ij->i", x, x)

    def funnel(x):
        rest = np.einsum("ij,ij->i", x[:, 1:], x[:, 1:])
        return -0.5 * (x[:, 0] ** 2 / 9 + 9 * x[:, 0] + np.exp(-x[:, 0]) * rest)

    def logistic(x):
        eta = x @ x_.T
        return (y_ * eta - np.logaddexp(0.0, eta)).sum(axis=1) - 0.5 * (x**2).sum(axis=1)

    return {"normal": normal, "funnel": funnel, "logistic": logistic}[density]


def begin(density, chains=CHAINS):
    """Return where chains begin."""
    return 0.1 * np.random.default_rng(0).normal(size=(chains, DIMS[density]))


def length(kernel, density):
    """Return how many draws of each chain make a round."""
    steps = {
        "coordinate": {"funnel": 4000, "logistic": 60},
        "hit-and-run": {"funnel": 20_000, "logistic": 2000},
        "polar": {"funnel": 15_000, "logistic": 2000},
        "elliptical": {"process": 1000},
        "generalized": {"logistic": 500},
        "stretch": {"funnel": 15_000, "logistic": 8000},
        "ensemble": {"funnel": 2500, "logistic": 1500},
    }
    return steps[kernel][density]


def warmup(density):
    """Return how many transitions come first."""
    return 100 if density == "logistic" else 500


def fitted(logp, density):
    """Return the generalised elliptical kernel for a law, from a few draws by coordinates."""
    first = sample(logp, Slice(WIDTH), begin(density), warmup=100, draws=100, rng=1, num_threads=1)
    points = first.draws.reshape(-1, DIMS[density])
    return GeneralizedEllipticalSlice(mean=points.mean(0), cov=np.cov(points.T), tune=False)


# Contenders: each returns a function from a round to draws, evaluations and, if the tool measures
# them itself, seconds.


def sortes(kernel, density, logp=None):
    """Return ours, with the density that numba compiled unless there is another."""
    kernels = {  # with the widths that BlackJAX has
        "coordinate": lambda: Slice(WIDTH, tune=False),
        "hit-and-run": lambda: HitAndRunSlice(WIDTH, tune=False),
        "generalized": lambda: fitted(logp, density),
        "elliptical": lambda: EllipticalSlice(prior_cov=process()[0]),
        "polar": lambda: GibbsianPolarSlice(5.0, adapt="diag" if density == "logistic" else None),
    }
    logp = logp or CLogp(compiled(density), DIMS[density])
    made = kernels[kernel]()
    draws = length(kernel, density)
    state = [sample(logp, made, begin(density), warmup=warmup(density), draws=1, rng=0,
                    num_threads=1)]  # fmt: skip

    def go(n):
        # The same chains go on: only fresh draws count.
        before = state[0].attrs["sampling_time"]
        state[0] = state[0].extend(draws, num_threads=1)
        evaluations = int(state[0].stats["n_evals"][:, -draws:].sum())
        seconds = state[0].attrs["sampling_time"] - before
        return state[0].draws[:, -draws:], evaluations, evaluations, seconds

    return go


def with_c(kernel, density):
    """Return ours, with the density in C."""
    return sortes(kernel, density, CLogp(in_c(density), DIMS[density]))


def built_in(kernel, density):
    """Return ours, with the density that is built in."""
    targets = {"funnel": lambda: Funnel(10), "logistic": lambda: LogisticRegression(*design())}
    return sortes(kernel, density, targets[density]())


def blackjax(kernel, density):
    """Return BlackJAX, 64 chains side by side."""
    import blackjax as bj
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    logp = for_jax(density)
    slices = __import__("blackjax.mcmc.slice", fromlist=["slice"])
    algorithm = {
        "coordinate": lambda: bj.coordinate_slice(
            logp, initial_widths=WIDTH, interval=slices.stepping_out, max_expansions=100
        ),
        "hit-and-run": lambda: bj.slice_sampling(
            logp, width=WIDTH, interval=slices.stepping_out, max_expansions=100
        ),
        "elliptical": lambda: bj.elliptical_slice(
            logp, mean=jnp.zeros(50), cov=jnp.asarray(process()[0])
        ),
    }[kernel]()
    draws = length(kernel, density)
    lines = {"coordinate": DIMS[density]}.get(kernel, 1)

    def one(key, state):
        def step(state, key):
            state, info = algorithm.step(key, state)
            if kernel == "elliptical":
                used = done = info.subiter
            else:
                # Both ends of the first interval of a line are evaluated, and not counted.
                done = used = info.num_expansions + info.num_shrink + 2 * lines
            return state, (state.position, used, done)

        return jax.lax.scan(step, state, jax.random.split(key, draws))

    run = jax.jit(jax.vmap(one))
    states = [jax.vmap(algorithm.init)(jnp.asarray(begin(density)))]
    key = jax.random.key(0)
    for i in range(1 + warmup(density) // draws):  # compiles, and goes on to where ours begin
        states[0], _ = run(jax.random.split(jax.random.fold_in(key, i), CHAINS), states[0])
    jax.block_until_ready(states[0])

    def go(n):
        keys = jax.random.split(jax.random.fold_in(key, 1000 + n), CHAINS)
        states[0], (positions, used, _) = run(keys, states[0])
        used = np.asarray(used)
        # All chains wait for the longest of each transition.
        done = int(used.max(axis=0).sum() * CHAINS)
        return np.asarray(positions), done, int(used.sum()), None

    return go


def emcee(kernel, density):
    """Return emcee's stretch move, 64 walkers at once."""
    import emcee as package

    sampler = package.EnsembleSampler(
        CHAINS, DIMS[density], vectorised(density), vectorize=True
    )  # fmt: skip
    state = [sampler.run_mcmc(begin(density), 500)]
    steps = length(kernel, density)

    def go(n):
        sampler.reset()
        state[0] = sampler.run_mcmc(state[0], steps)
        draws = sampler.get_chain().swapaxes(0, 1)
        return draws, CHAINS * steps, CHAINS * steps, None

    return go


def zeus(kernel, density):
    """Return zeus' ensemble slice, 64 walkers at once."""
    import zeus as package

    def fresh(start, steps):
        sampler = package.EnsembleSampler(
            CHAINS, DIMS[density], vectorised(density), vectorize=True, verbose=False
        )
        sampler.run_mcmc(start, steps, progress=False)
        return sampler

    state = [fresh(begin(density), 500).get_chain()[-1]]

    def go(n):
        sampler = fresh(state[0], length(kernel, density))
        draws = sampler.get_chain()
        state[0] = draws[-1]
        return draws.swapaxes(0, 1), int(sampler.ncall), int(sampler.ncall), None

    return go


def model(density):
    """Return a PyMC model."""
    import pymc as pm
    import pytensor.tensor as pt

    with pm.Model() as made:
        if density == "schools":
            y, sd = SCHOOLS
            mu = pm.Normal("mu", 0, 5)
            tau = pm.HalfCauchy("tau", 5)
            eta = pm.Normal("eta", 0, 1, shape=8)
            pm.Normal("y", mu + tau * eta, sd, observed=y)
        elif density == "radon":
            county, floor, level = houses()
            mu = pm.Normal("mu", 0, 10)
            spread = pm.HalfNormal("spread", 1)
            z = pm.Normal("z", 0, 1, shape=85)
            slope = pm.Normal("slope", 0, 10)
            noise = pm.HalfNormal("noise", 1)
            at = mu + spread * z[county] + slope * floor
            pm.Normal("y", at, noise, observed=level)
        else:  # a rate that changes in a year: no gradient says when
            counts = np.random.default_rng(5).poisson(np.where(np.arange(111) < 40, 3.1, 0.9))
            when = pm.Uniform("when", 0, 111)
            rates = pm.Exponential("rates", 1.0, shape=2)
            rate = pt.where(np.arange(111) < pt.floor(when), rates[0], rates[1])
            pm.Poisson("y", rate, observed=counts)
    return made


def unconstrained(data):
    """Return the free variables of a posterior, chain by chain."""
    posterior = data.posterior
    return np.concatenate(
        [np.asarray(posterior[name]).reshape(*posterior[name].shape[:2], -1) for name in posterior],
        axis=2,
    )


def ours_of_pymc(kernel, density):
    """Return ours on the PyMC model."""
    from sortes.integrations.pymc import compile_model
    from sortes.integrations.pymc import sample as draw

    made = compile_model(model(density))
    draw(made, draws=5, warmup=5, rng=0)

    def go(n):
        data = draw(made, draws=500, warmup=500, chains=4, rng=n, num_threads=1)
        evaluations = int(data.sample_stats["n_evals"].sum())
        # As with PyMC below: without what makes variables of draws, which is the same for both.
        return unconstrained(data), evaluations, evaluations, data.posterior.attrs["sampling_time"]

    return go


def pymc(kernel, density):
    """Return PyMC's own slice sampler."""
    import pymc as pm

    made = model(density)
    with made:
        step = pm.Slice()
    few = {"schools": 250, "radon": 40, "change": 500}[density]

    def go(n):
        with made:
            data = pm.sample(
                draws=few, tune=few, chains=4, cores=1, step=step, random_seed=n,
                progressbar=False, compute_convergence_checks=False,
            )  # fmt: skip
        seconds = data.posterior.attrs.get("sampling_time")
        return unconstrained(data), 0, 0, seconds

    return go


TOOLS = {
    "sortes": sortes,
    "sortes.c": with_c,
    "sortes.built_in": built_in,
    "blackjax": blackjax,
    "emcee": emcee,
    "zeus": zeus,
    "pymc": pymc,
    "sortes.pymc": ours_of_pymc,
}


def main():
    """Serve a contender."""
    talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what tools print
    tool, kernel, density = sys.argv[1].split()[:3]
    began = time.perf_counter()
    go = TOOLS[tool](kernel, density)
    print(json.dumps({"compile": time.perf_counter() - began}), file=talk, flush=True)
    for n, _ in enumerate(sys.stdin):
        began = time.perf_counter()
        draws, done, used, seconds = go(n)
        seconds = seconds if seconds else time.perf_counter() - began
        worth = float(ess(draws).min())
        answer = {"seconds": seconds, "ess": worth, "done": done, "used": used}
        print(json.dumps(answer | {"draws": int(draws.shape[0] * draws.shape[1])}), file=talk,
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
