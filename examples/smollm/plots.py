"""The plots of the demo."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from smollm.pipelines import PIPELINES, WAYS
from smollm.turns import Steps

matplotlib.use("Agg")
from matplotlib import pyplot as plt

plt.rcParams |= {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 140,
}
# Two palettes that colour-blind readers can tell apart.
OF_PIPELINES = dict(zip(PIPELINES, ("#0072b2", "#e69f00", "#009e73", "#cc79a7"), strict=True))
OF_WAYS = dict(zip(WAYS, ("#b8b8b8", "#7fb8da", "#0072b2"), strict=True))


def kept(path: Path, laws: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """How many tokens each rule keeps, against how unsure the model is."""
    figure, panels = plt.subplots(1, len(laws), figsize=(10, 3.4), sharex=True, sharey=True)
    for axes, (pipeline, law) in zip(panels, laws.items(), strict=True):
        for other in laws.values():
            axes.scatter(other["entropy"], other["kept"], s=5, color="#dddddd", linewidths=0)
        colour = OF_PIPELINES[pipeline]
        axes.scatter(law["entropy"], law["kept"], s=9, color=colour, alpha=0.6, linewidths=0)
        axes.set(title=pipeline, yscale="log")
    figure.suptitle("Tokens kept at each step of the texts", x=0.01, ha="left")
    panels[0].set_ylabel("tokens kept")
    figure.supxlabel("entropy of the model's distribution, nats", fontsize=10)
    _save(figure, path)


def probability(path: Path, laws: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """How likely the drawn tokens were."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for pipeline, law in laws.items():
        axes.ecdf(np.exp(law["logprob"]), label=pipeline, color=OF_PIPELINES[pipeline])
    axes.set(xscale="log", xlim=(None, 1), ylim=(0, 1), title="Probability of the drawn tokens")
    axes.set(xlabel="probability under the model, at most", ylabel="share of the drawn tokens")
    axes.legend(loc="upper left")
    _save(figure, path)


def counts(path: Path, expected: Mapping[str, float], runs: Mapping[str, Sequence]) -> None:
    """How often each answer came in each run, beside how often it comes on average."""
    figure, axes = plt.subplots(figsize=(9, 3.6))
    place = np.arange(len(expected))
    for n, (name, counters) in enumerate(runs.items()):
        colour = list(OF_PIPELINES.values())[1 - n]
        for i, counter in enumerate(counters):
            at = place + (n - 0.5) * 0.4 + (i - len(counters) / 2 + 0.5) * 0.05
            times = [counter[text] for text in expected]
            label = name if i == 0 else None
            axes.plot(times, at, "o", ms=5, color=colour, alpha=0.8, label=label)
    axes.vlines(expected.values(), place - 0.42, place + 0.42, color="black", label="on average")
    axes.set_yticks(place, [" ".join(text.split()) for text in expected])
    axes.invert_yaxis()
    axes.set(title="How often each of the surest answers came", xlabel="among the answers of a run")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    _save(figure, path)


def speed(path: Path, races: Sequence[Steps]) -> None:
    """Time outside the model, of greedy decoding and of every pipeline in every way.

    Tokens per second are written on the bars and not plotted: the model's own time hides the rest.
    """
    figure, panels = plt.subplots(
        len(races), 1, figsize=(9, 3.5 * len(races)), sharex=True, squeeze=False
    )
    title = "Time of a step outside the model, and the tokens per second that follow"
    figure.suptitle(title, x=0.01, ha="left")
    place = np.arange(len(PIPELINES))
    for axes, race in zip(panels[:, 0], races, strict=True):
        for n, way in enumerate(WAYS):
            heights = [race.outside_ms((p, way)) for p in PIPELINES]
            bars = axes.bar(place + (n - 1) * 0.29, heights, 0.27, color=OF_WAYS[way], label=way)
            labels = [_figures(race, (p, way), "\n") for p in PIPELINES]
            white = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0}
            axes.bar_label(bars, labels, fontsize=8, padding=4, color="#333333", bbox=white)
        line = {"color": "black", "linewidth": 1, "linestyle": "--", "label": "greedy decoding"}
        axes.axhline(race.outside_ms("greedy"), zorder=1.5, **line)
        axes.set_title(
            f"Batch {race.batch}: {_short(race.model_ms)} ms a step in the model; "
            f"greedy decoding {_figures(race, 'greedy', ', ')}"
        )
        axes.set_ylabel("ms a step")
        axes.set_xticks(place, PIPELINES, fontsize=11)
        axes.margins(y=0.15)
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", length=0, labelbottom=True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    _save(figure, path)


def _figures(race: Steps, call, between: str) -> str:
    return f"{_short(race.outside_ms(call))} ms{between}{_short(race.tokens_per_second(call))}/s"


def _short(x: float) -> str:
    """Write a positive number with three digits, or all before the point."""
    return f"{x:.{max(0, 2 - math.floor(math.log10(x)))}f}"


def _save(figure, path: Path) -> None:
    plt.close(figure)
    # Renamed when complete, so that an interruption leaves no half of a plot behind.
    half = path.with_stem(f".{path.stem}")
    figure.savefig(half)
    half.replace(path)
