"""Measure kernels on the examples of the papers that they are from, and print tables.

    pip install scipy
    python examples/measure_mcmc.py all

Without `all` everything is a hundredth as long, which shows that it runs. With it, it takes ten
minutes on one core.
"""

import sys

import numpy as np
from scipy import fft
from sortes.mcmc import (
    AdaptiveEllipticalSlice,
    AxialModes,
    EllipticalSlice,
    Funnel,
    GibbsianPolarSlice,
    HitAndRunSlice,
    HyperplaneDisk,
    LogisticRegression,
    Normal,
    StudentT,
    ess,
    sample,
)

IS_WHOLE = sys.argv[1:] == ["all"]


def length(n: int) -> int:
    """Return so many iterations, or a hundredth of them."""
    return n if IS_WHOLE else max(200, n // 100)


def iat(values: np.ndarray, most: int | None = None) -> float:
    """Return the integrated autocorrelation time by the rule of the notebooks."""
    n = len(values)
    power = np.abs(fft.rfft(values - values.mean(), fft.next_fast_len(2 * n, real=True))) ** 2
    rho = fft.irfft(power)[: (most or n // 2) + 1]
    rho /= rho[0]
    pairs = rho[2:-1:2] + rho[3::2]
    last = 1 + 2 * int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(rho) - 1
    return 1 + max(0.0, 2 * rho[1 : last + 1].sum())


def chain(logp, kernel, start, n, warmup=0, thin=1):
    """Return states of one chain, and evaluations of an iteration, as the notebooks count them.

    They evaluate the state that an iteration begins with once more.
    """
    options = {"chains": 1, "draws": n // thin, "warmup": warmup, "thin": thin}
    trace = sample(logp, kernel, start, **options, rng=1)
    return trace.draws[0], trace.stats["n_evals"].mean() / thin + 1


def elliptical(target, cov):
    """Return what is left of a target without a normal of mean zero, and the kernel."""
    cov = np.asarray(cov)
    given = {"scale": np.sqrt(cov)} if cov.ndim == 1 else {"cov": cov}
    kernel = {"prior_var": cov} if cov.ndim == 1 else {"prior_cov": cov}
    prior = Normal(np.zeros(len(cov)), **given)
    return lambda x: target(x) - prior(x), EllipticalSlice(**kernel)


def row(*cells):
    """Print a row of a table."""
    texts = [cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells]
    print(f"| {' | '.join(texts)} |", flush=True)


def head(title, *cells):
    """Print the head of a table."""
    print(f"\n{title}\n")
    row(*cells)
    row(*("---" for _ in cells))


def kernels(width):
    """Return the two kernels that take a target as it is."""
    return {
        "Gibbsian polar": GibbsianPolarSlice(width, tune=False),
        "hit-and-run": HitAndRunSlice(width, tune=False),
    }


def steps(x):
    """Return the mean length of a step."""
    return np.linalg.norm(np.diff(x, axis=0), axis=1).mean()


def cauchy():
    """Measure Cauchy's distribution in 100 dimensions, far from where the chain begins."""
    dim, n = 100, length(1_000_000)
    target = StudentT(dim)
    head("Cauchy, d = 100", "kernel", "evaluations", "IAT of log radius", "estimate of 0.25")
    runs = {name: (target, kernel) for name, kernel in kernels(100.0).items()}
    runs["elliptical"] = elliptical(target, np.ones(dim))
    for name, (logp, kernel) in runs.items():
        x, evaluations = chain(logp, kernel, np.ones(dim), n)
        radius = np.linalg.norm(x, axis=1)
        share = ((radius > 14.7721) & (x[:, 0] > 0)).mean()
        row(name, evaluations, iat(np.log(radius), n // 10), share)


def disk():
    """Measure a normal that is thin across a hyperplane, in 200 dimensions."""
    dim, n = 200, length(10_000)
    target = HyperplaneDisk(dim)
    start = np.append(np.ones(dim - 1), 1 - dim)
    start *= 10 / np.linalg.norm(start)
    head("Hyperplane disk, d = 200", "kernel", "evaluations", "IAT of radius", "mean step")
    runs = {name: (target, kernel) for name, kernel in kernels(20.0).items()}
    runs["elliptical, N(0, I)"] = elliptical(target, np.ones(dim))
    cov = np.cov(chain(target, kernels(20.0)["Gibbsian polar"], start, max(n, 1000))[0].T, ddof=0)
    runs["elliptical, empirical covariance"] = elliptical(target, cov)
    for name, (logp, kernel) in runs.items():
        x, evaluations = chain(logp, kernel, start, n)
        row(name, evaluations, iat(np.linalg.norm(x, axis=1)), steps(x))


def axes():
    """Measure two modes on each axis."""
    n = length(100_000)
    head("Axial modes", "kernel", "d", "evaluations", "mean dwelling time")
    for dim in (10, 100):
        target = AxialModes(dim)
        start = np.append(5.0, np.ones(dim - 1))
        runs = {name: (target, kernel) for name, kernel in kernels(10.0).items()}
        runs["elliptical, N(0, I)"] = elliptical(target, np.ones(dim))
        variance = (5 + dim / 10) ** 2 / dim
        runs["elliptical, tuned"] = elliptical(target, np.full(dim, variance))
        for name, (logp, kernel) in runs.items():
            x, evaluations = chain(logp, kernel, start, n)
            axis = np.abs(x).argmax(1)
            row(name, str(dim), evaluations, (n + 1) / ((axis[1:] != axis[:-1]).sum() + 1))


def funnel():
    """Measure Neal's funnel, for as many iterations as the notebooks make in a minute."""
    target, start = Funnel(10), np.append(2.0, np.zeros(9))
    columns = ("mean", "standard deviation", "0.1 %", "99.9 %")
    head("Funnel, d = 10", "kernel", "iterations", *columns)
    runs = {name: (target, kernel) for name, kernel in kernels(5.0).items()}
    runs["elliptical"] = elliptical(target, np.append(9.0, np.full(9, 70.0)))
    counts = dict(zip(runs, (339_398, 795_440, 294_179), strict=True))
    for name, (logp, kernel) in runs.items():
        n = length(counts[name])
        first = chain(logp, kernel, start, n)[0][:, 0]
        row(name, str(n), first.mean(), first.std(), *np.quantile(first, [0.001, 0.999]))
    name, n = "Gibbsian polar", length(17_000_000)
    first = chain(target, runs[name][1], start, n, thin=10)[0][:, 0]
    row(name, str(n), first.mean(), first.std(), *np.quantile(first, [0.001, 0.999]))


def logistic():
    """Measure logistic regression of made data, as large as the paper's, which no package ships."""
    generator = np.random.default_rng(5)
    rows, n = (58_101, length(5_000)) if IS_WHOLE else (581, 400)
    X = generator.normal(size=(rows, 55))
    X[:, 10:54] = generator.random((rows, 44)) < generator.uniform(0.002, 0.3, 44)
    X[:, :10] @= np.eye(10) + 0.3  # correlated numbers, and 44 indicators
    X[:, :54] = (X[:, :54] - X[:, :54].mean(0)) / (X[:, :54].std(0) + 1e-9)
    X[:, 54] = 1.0
    y = generator.random(rows) < 1 / (1 + np.exp(-X @ generator.normal(0, 0.3, 55)))
    target = LogisticRegression(X, y, prior_scale=0.1)
    start = generator.normal(0, 0.1, 55)
    runs = {name: (target, kernel) for name, kernel in kernels(0.01).items()}
    likelihood, kernel = elliptical(target, np.full(55, 0.01))
    runs["elliptical"] = likelihood, kernel
    runs['Gibbsian polar, adapt="full"'] = target, GibbsianPolarSlice(0.01, adapt="full")
    runs["adaptive elliptical"] = target, AdaptiveEllipticalSlice()
    head("Logistic regression, 58,101 rows, d = 55", "kernel", "evaluations", "IAT", "mean step")
    for name, (logp, kernel) in runs.items():
        x, evaluations = chain(logp, kernel, start, n // 2, warmup=n // 2)
        row(name, evaluations, iat(x[:, 1]), steps(x))


def volcano():
    """Measure effective draws an iteration of the example of the adaptive sampler's authors."""

    def logp(x):
        radius = np.linalg.norm(x - 1, axis=1)
        return radius - 0.5 * radius**2

    def rest(x):
        return logp(x) + 0.5 * (x**2).sum(1)

    head("Volcano", "kernel", "d", "effective draws an iteration", "evaluations")
    for name, density, kernel in (
        ("adaptive elliptical", logp, AdaptiveEllipticalSlice()),
        ("elliptical, N(0, I)", rest, EllipticalSlice(prior_var=1.0)),
    ):
        for dim in (2, 10, 50):
            n = length(5_000) * dim
            trace = sample(density, kernel, np.zeros(dim), chains=4, draws=n, warmup=n, rng=1)
            each = [np.median(ess(one[np.newaxis])) for one in trace.draws]
            row(name, str(dim), np.mean(each) / n, trace.stats["n_evals"].mean())


if __name__ == "__main__":
    for experiment in (cauchy, disk, axes, funnel, logistic, volcano):
        experiment()
