"""The pictures of selection, from synthetic data."""

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes import select


def inclusion() -> plt.Figure:
    """The chance to be in a weighted sample without replacement, beside a proportional one."""
    weights = np.geomspace(0.02, 1, 30)
    k, draws = 10, 20_000
    tables = [select.choice(weights, k, replace=False, rng=seed) for seed in range(draws)]
    chance = np.bincount(np.concatenate(tables), minlength=len(weights)) / draws
    pi, _ = select.inclusion_probabilities(weights, k)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    axes.plot(weights, k * weights / weights.sum(), "--", color=pictures.GREY, label="k w / W")
    axes.plot(weights, pi, "s", label="pivotal_sample(inclusion_probabilities(w, k))")
    axes.plot(weights, chance, "o", label="choice(w, k, replace=False)")
    axes.set(xlabel="weight w", ylabel=f"chance to be among k = {k}", ylim=(0, 1.7))
    axes.legend(loc="upper left")
    return figure


def error() -> plt.Figure:
    """The error of sketches against their size, and the standard error that they state."""
    rng = np.random.default_rng(0)
    weights = rng.pareto(1.5, 20_000) + 0.1
    ids, wanted = np.arange(len(weights)), lambda ids: ids % 5 == 0
    truth, sizes = weights[wanted(ids)].sum(), [100, 200, 400, 800, 1600, 3200]
    figure, axes = plt.subplots(figsize=(7, 3.4))
    sketches = {select.BottomK: "o", select.PrioritySample: "s", select.VarOpt: "^"}
    for kind, marker in sketches.items():
        made, stated = [], []
        for k in sizes:
            estimates = [
                kind(k, rng=seed).update(ids, weights).estimate(lambda s: wanted(s.ids))
                for seed in range(200)
            ]
            value, stderr = np.array(estimates).T
            made.append(np.sqrt(((value - truth) ** 2).mean()) / truth)
            stated.append(np.sqrt((stderr**2).mean()) / truth)
        (line,) = axes.plot(sizes, stated, lw=1)
        axes.plot(sizes, made, marker, color=line.get_color(), label=kind.__name__)
    axes.set(xscale="log", yscale="log", xlabel="items in the sketch, of 20,000")
    axes.set(xticks=sizes, xticklabels=sizes)
    axes.set(ylabel="error of the estimate, %", yticks=[0.02, 0.05, 0.1, 0.2])
    axes.set(yticklabels=[2, 5, 10, 20])
    axes.minorticks_off()
    axes.legend(title="points: error made; lines: error stated")
    return figure


def spread() -> plt.Figure:
    """Thirty units of a population in the plane, by three designs."""
    rng = np.random.default_rng(1)
    X = rng.random((300, 2))
    pi = np.full(len(X), 0.1)
    designs = {
        "poisson_sample": select.poisson_sample(pi, rng=4),
        "systematic_sample, left to right": select.systematic_sample(
            pi, order=np.argsort(X[:, 0]), rng=4
        ),
        'pivotal_sample, order="local"': select.pivotal_sample(pi, order="local", X=X, rng=4),
    }
    figure, panels = plt.subplots(1, 3, figsize=(7, 2.7))
    for axes, (title, sample) in zip(panels, designs.items(), strict=True):
        pictures.map_axes(axes, f"{title}: {len(sample)}")
        pictures.dots(axes, *X.T, size=2, color=pictures.GREY, alpha=0.8)
        pictures.dots(axes, *X[sample.indices].T, size=6, color=pictures.COLOURS[1])
    return figure


def seeding() -> plt.Figure:
    """Centres by k-means++ and by chance, on clusters of very different sizes."""
    rng = np.random.default_rng(0)
    sizes = [180, 90, 40, 20, 20, 15, 15, 10, 10]
    middles = np.stack(np.divmod(np.arange(9), 3), 1) + rng.normal(0, 0.08, (9, 2))
    X = np.concatenate([rng.normal(c, 0.09, (n, 2)) for c, n in zip(middles, sizes, strict=True)])
    figure, panels = plt.subplots(1, 2, figsize=(6, 3.1))
    for axes, method in zip(panels, ("random", "lazy"), strict=True):
        centers, _, stats = select.kmeans_plusplus(
            X, 9, method=method, random_state=3, return_stats=True
        )
        pictures.map_axes(axes, f'method="{method}": cost {stats.inertia:.0f}')
        pictures.dots(axes, *X.T, size=2, color=pictures.GREY, alpha=0.8)
        axes.plot(*centers.T, "X", ms=8, mew=0, color=pictures.COLOURS[1])
    return figure


def coverage() -> plt.Figure:
    """The share of the items that a run has used, with subsets that take turns and without."""
    n, keep, epochs = 1000, 0.1, 25
    figure, axes = plt.subplots(figsize=(7, 3))
    for replacement, marker in ((False, "o"), (True, "s")):
        sampler = select.RS2Sampler(n, keep=keep, replacement=replacement, rng=0)
        used = np.zeros(n, bool)
        share = []
        for _ in range(epochs):
            used[list(sampler)] = True
            share.append(used.mean())
        axes.plot(range(1, epochs + 1), share, marker, label=f"replacement={replacement}")
    T = np.arange(1, epochs + 1)
    axes.plot(T, 1 - (1 - keep) ** T, "--", color=pictures.GREY, label="1 - (1 - keep/n)^T")
    axes.set(xlabel="epochs T", ylabel="share of items used", ylim=(0, 1.05))
    axes.legend(loc="lower right")
    return figure
