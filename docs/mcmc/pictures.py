"""The pictures of chains, on the eight schools (Rubin 1981): effects of coaching, with errors."""

import functools

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes.mcmc import Slice, Trace, rhat, sample

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
NAMES = {"mean": (), "log_spread": (), "school": (8,)}


def _logp(x: np.ndarray, centred: bool) -> np.ndarray:
    """The log density of the mean, the logarithm of the spread, and the schools."""
    mean, log_spread, z = x[:, :1], x[:, 1:2], x[:, 2:]
    spread = np.exp(log_spread)
    schools = z if centred else mean + spread * z
    prior = -0.5 * (mean / 5) ** 2 - np.log1p((spread / 5) ** 2) + log_spread
    deviations = (z - mean) / spread if centred else z
    within = -0.5 * deviations**2 - (log_spread if centred else 0.0)
    return prior[:, 0] + (within - 0.5 * ((EFFECTS - schools) / ERRORS) ** 2).sum(axis=1)


@functools.cache
def _chains(centred: bool) -> Trace:
    def logp(x: np.ndarray) -> np.ndarray:
        return _logp(x, centred)

    return sample(logp, Slice(2.0), np.zeros(10), draws=1000, var_names=NAMES, rng=0)


def _panels() -> tuple[plt.Figure, list[tuple[plt.Axes, np.ndarray]]]:
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True)
    found = []
    for each, (title, centred) in zip(
        axes, {"schools themselves": True, "their deviations": False}.items(), strict=True
    ):
        values = _chains(centred).variables()["log_spread"]
        each.set_title(f"{title}, R-hat {rhat(values):.2f}", fontsize=10)
        found.append((each, values))
    return figure, found


def chains() -> plt.Figure:
    """Every fourth draw of the logarithm of the spread, chain by chain."""
    figure, panels = _panels()
    for axes, values in panels:
        for chain, color in zip(values, pictures.COLOURS, strict=False):
            axes.plot(np.arange(0, 1000, 4), chain[::4], lw=0.6, color=color)
        axes.set(xlabel="draw")
    panels[0][0].set(ylabel="log spread between schools")
    return figure


def ranks() -> plt.Figure:
    """How often the draws of a chain have each rank among those of all."""
    figure, panels = _panels()
    for axes, values in panels:
        order = values.ravel().argsort().argsort().reshape(values.shape)
        for chain, color in zip(order, pictures.COLOURS, strict=False):
            counts, edges = np.histogram(chain, bins=20, range=(0, order.size))
            axes.stairs(counts, edges, lw=1.2, color=color)
        axes.axhline(order.shape[1] / 20, color=pictures.GREY, ls="--", lw=1)
        axes.set(xlabel="rank among all draws")
    panels[0][0].set(ylabel="draws of a chain", ylim=(0, None))
    return figure
