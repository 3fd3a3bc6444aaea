"""The pictures of the use of many samples, from synthetic problems and a real model's answers.

What SmolLM2-135M answered stands in measured.json, which examples/measure_pool.py writes.
"""

import json
from pathlib import Path

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes import pool


def _problems(count: int, rng: np.random.Generator) -> np.ndarray:
    """The chances of problems of very different difficulty."""
    return rng.beta(0.35, 2.2, count)


def passes() -> plt.Figure:
    """Three estimates of the same samples against k, with both standard errors."""
    rng, n = np.random.default_rng(0), 64
    p = _problems(164, rng)
    c = rng.binomial(n, p)[:, None]
    k = np.array([1, 2, 4, 8, 16, 32])
    figure, axes = plt.subplots(figsize=(7, 3.4))
    any_of_k, all_of_k = pool.pass_at_k(n, c, k), pool.pass_hat_k(n, c, k)
    answers = np.where(rng.random((164, n)) < p[:, None], 0, rng.integers(1, 5, (164, n)))
    votes = pool.majority_at_k(answers, 0, k)
    shown = {"pass_at_k": any_of_k, "majority_at_k": votes, "pass_hat_k": all_of_k}
    for (name, values), marker in zip(shown.items(), "os^", strict=True):
        value, stderr = pool.average(values)
        axes.errorbar(k, value, stderr, fmt=f"{marker}-", lw=1, capsize=3, label=name)
    rerun = pool.average(any_of_k, variances=pool.pass_at_k_variance(n, c, k))
    axes.errorbar(k, rerun.value, rerun.stderr, fmt="none", lw=4, color=pictures.COLOURS[4])
    axes.set(xscale="log", xlabel="samples k", ylabel="share of problems", ylim=(0, 0.8))
    axes.set(xticks=k, xticklabels=k)
    axes.minorticks_off()
    axes.legend(loc="upper left")
    return figure


def coverage() -> plt.Figure:
    """What 32 samples say of 10,000, by two fits, beside the truth."""
    rng, n = np.random.default_rng(4), 32
    p = _problems(400, rng)
    c = rng.binomial(n, p)
    seen, far = np.array([1, 2, 4, 8, 16, 32]), np.unique(np.geomspace(1, 10_000, 40).astype(int))
    value, stderr = pool.average(pool.pass_at_k(n, c[:, None], seen))
    figure, axes = plt.subplots(figsize=(7, 3.4))
    truth = 1 - np.exp(far[:, None] * np.log1p(-p)).mean(1)
    axes.plot(far, truth, "--", color=pictures.GREY, label="truth, of these problems")
    axes.plot(far, pool.coverage_fit(seen, value).predict(far), lw=1.5, label="coverage_fit")
    fit = pool.beta_binomial_fit(n, c).predict(far)
    (line,) = axes.plot(far, fit.value, lw=1.5, label="beta_binomial_fit")
    low, high = fit.value - 2 * fit.stderr, fit.value + 2 * fit.stderr
    axes.fill_between(far, low, high, alpha=0.2, lw=0, color=line.get_color())
    axes.errorbar(
        seen, value, 2 * stderr, fmt="o", color=pictures.COLOURS[2], label="pass_at_k, n = 32"
    )
    axes.set(xscale="log", xlabel="samples k", ylabel="share of problems solved", ylim=(0, 1))
    axes.legend(loc="lower right")
    return figure


def sums() -> plt.Figure:
    """What 32 answers to each sum say of 256, beside all of them."""
    asked = json.loads((Path(__file__).parent / "measured.json").read_text("utf-8"))
    right = np.array(asked["answers"]) == np.sum(asked["sums"], 1)[:, None]
    figure, axes = plt.subplots(figsize=(7, 3.4))
    k, many = 2 ** np.arange(9), right.shape[1]
    all_of_them = pool.average(pool.pass_at_k(many, right.sum(1)[:, None], k))
    axes.errorbar(
        k, *all_of_them, fmt="o", color=pictures.GREY, capsize=3, label="pass_at_k, n = 256"
    )
    n, few = 32, k[:6]
    c = right[:, :n].sum(1)
    value, _ = pool.average(pool.pass_at_k(n, c[:, None], few))
    axes.plot(few, value, "o", color=pictures.COLOURS[2], label="pass_at_k, the first 32 alone")
    axes.plot(k, pool.coverage_fit(few, value).predict(k), lw=1.5, label="coverage_fit of these")
    fit = pool.beta_binomial_fit(n, c).predict(k)
    (line,) = axes.plot(k, fit.value, lw=1.5, label="beta_binomial_fit of these")
    low, high = fit.value - 2 * fit.stderr, fit.value + 2 * fit.stderr
    axes.fill_between(k, low, high, alpha=0.2, lw=0, color=line.get_color())
    axes.set(xscale="log", xlabel="samples k", ylabel="share of sums solved", ylim=(0, 1))
    axes.set(xticks=k, xticklabels=k)
    axes.minorticks_off()
    axes.legend(loc="upper left")
    return figure


def distinct() -> plt.Figure:
    """The error of pass@1 from distinct samples beside independent ones, from flat to peaked."""
    rng, m, repeats = np.random.default_rng(1), 32, 1500
    exponents = np.array([0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 1.8])
    errors: dict[str, list[float]] = {
        "32 distinct": [],
        "32 independent": [],
        "64 independent": [],
    }
    for exponent in exponents:
        p = np.arange(1, 1001.0) ** -exponent
        p /= p.sum()
        right = np.random.default_rng(3).random(p.size) < 0.3
        truth = p[right].sum()
        keys = np.log(p) + rng.gumbel(size=(repeats, p.size))
        drawn = np.argpartition(-keys, m - 1, axis=1)[:, :m]
        value, _ = pool.pass_at_k_distinct(right[drawn], np.log(p)[drawn], 1)
        errors["32 distinct"].append(float(np.sqrt(np.mean((value - truth) ** 2))))
        for size in (32, 64):
            errors[f"{size} independent"].append(float(np.sqrt(truth * (1 - truth) / size)))
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for (name, made), style in zip(errors.items(), ("o-", "--", ":"), strict=True):
        axes.plot(exponents, made, style, label=f"{name} samples")
    axes.set(xlabel="exponent of the law of 1,000 sequences: flat to peaked", ylim=(0, 0.1))
    axes.set(ylabel="error of pass@1")
    axes.legend(loc="lower left")
    return figure


def verifier() -> plt.Figure:
    """What resampling is worth against the most attempts, for three prices of a wrong answer."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for loss, marker in ((0.0, "o"), (-0.7, "s"), (-1.0, "^")):
        worth = pool.resample_value([0.87, 0.13], [0.58, 0.42], 1.0, 0.75, loss, max_k=14)
        label = f"an accepted wrong answer: {loss:g}"
        (line,) = axes.plot(worth.value, f"{marker}-", lw=1, label=label)
        best = worth.optimal_k
        axes.plot(best, worth.value[best], "o", ms=12, mfc="none", color=line.get_color())
    axes.set(xlabel="at most K attempts", ylabel="value V(K)", ylim=(0, 0.8))
    axes.legend(loc="lower right")
    return figure
