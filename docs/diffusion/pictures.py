"""The pictures of schedules, of the exact flow of a mixture, and of solvers that follow it."""

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes.diffusion import (
    GaussianMixture,
    Path,
    Plan,
    betas,
    plan,
    schedule,
    sigmas_ays,
    sigmas_gaussian,
)

TRAINED = np.cumprod(1 - betas(kind="scaled_linear"))


def schedules() -> plt.Figure:
    """The levels of twenty steps."""
    names = ("simple", "beta", "bong_tangent", "beta57", "karras", "exponential", "kl_optimal")
    levels = {name: schedule(20, name=name, alphas_cumprod=TRAINED) for name in names}
    levels["gaussian, c = 0.5"] = sigmas_gaussian(20, 0.03, 14.6, 0.5)
    levels["align your steps"] = sigmas_ays(20, model="sd15")
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for i, found in enumerate(reversed(levels.values())):
        inside = found[found > 0]
        axes.vlines(inside, i - 0.35, i + 0.35, color=pictures.COLOURS[i % 6], lw=1.6)
    axes.set(xscale="log", xlabel="noise over signal", yticks=range(len(levels)))
    axes.set_yticklabels(list(reversed(levels)))
    axes.invert_xaxis()
    axes.grid(axis="y", visible=False)
    return figure


def mixtures() -> plt.Figure:
    """A law at some levels, and where states go."""
    mixture = GaussianMixture([0.3, 0.7], [-1.2, 0.9], [0.35, 0.3])
    path = Path.vp(np.geomspace(20, 0.02, 60))
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    x = np.linspace(-3, 3, 200)
    for i, ratio in enumerate((20.0, 2.0, 1.0, 0.5, 0.02)):
        level = path.at_lambda(-np.log(ratio))
        color = pictures.COLOURS[i % 6]
        left.plot(x, np.exp(mixture.log_prob(x, level)), lw=1.4, color=color, label=f"{ratio:g}")
    left.set(xlabel="state", ylabel="density", ylim=(0, None))
    left.legend(title="noise over signal", fontsize=8, title_fontsize=8)
    start = mixture.quantile((np.arange(12) + 0.5) / 12, path[0])
    ways = np.array([mixture.ode_map(start, path[0], level) for level in path])
    for i, way in enumerate(ways.T):
        color = pictures.COLOURS[1] if way[-1] < -0.2 else pictures.COLOURS[0]
        right.plot(path.ratio, way, lw=1.2, color=color, alpha=0.5 + 0.5 * (i % 2))
    right.set(xscale="log", xlabel="noise over signal", ylabel="state")
    right.invert_xaxis()
    return figure


def _asked(denoise, x: np.ndarray, made: Plan) -> np.ndarray:
    """Where a plan asks the denoiser, and the result: its rows in plain NumPy."""
    known, ways = [], []
    for k in range(made.n_evaluations + 1):
        row = made.row(k)
        x = row.c * x + sum(w * d for w, d in zip(row.w, known, strict=False))
        ways.append(x)
        if k < made.n_evaluations:
            known.insert(0, denoise(x, made.levels[k]))
    return np.array(ways)[:, :, 0]


def trajectories() -> plt.Figure:
    """Where solvers ask in six evaluations, beside the exact flow."""
    mixture = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.3])
    fine = Path.vp(np.geomspace(20, 0.02, 40))
    start = np.array([[-1.1], [-0.62], [0.5], [1.6]])
    exact = np.array([mixture.ode_map(start, fine[0], level) for level in fine])[:, :, 0]
    runs = {"ddim": 6, "dpmpp_2s": 3, "dpmpp_2m": 6, "unipc": 6}
    figure, axes = plt.subplots(1, len(runs), figsize=(7, 2.4), sharey=True)
    for axis, (solver, steps), color in zip(axes, runs.items(), pictures.COLOURS, strict=False):
        made = plan(solver, Path.vp(np.geomspace(20, 0.02, steps + 1)))
        at = [*(level.ratio for level in made.levels), made.path.ratio[-1]]
        axis.plot(fine.ratio, exact, lw=1, color=pictures.GREY, alpha=0.6)
        for way in _asked(mixture.denoise, start, made).T:
            axis.plot(at, way, lw=1, color=color)
            pictures.dots(axis, np.array(at), way, size=4, color=color)
        axis.set(xscale="log", xticks=[10, 1, 0.1], title=solver)
        axis.title.set_fontsize(10)
        axis.invert_xaxis()
    axes[0].set(ylabel="state")
    figure.supxlabel("noise over signal", fontsize=10, color=pictures.GREY)
    return figure
