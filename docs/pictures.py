"""Draws the pictures of the pages, small enough to be committed and the same on each run.

    python docs/pictures.py                  # all
    python docs/pictures.py decode/kept      # one

A function `name` in docs/<family>/pictures.py returns the figure that becomes
docs/<family>/name.svg. Text is grey and the ground transparent: one file serves the light
scheme and the dark one.
"""

import importlib.util
import inspect
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

DOCS = Path(__file__).parent
GREY = "#808080"
#: Told apart with the common kinds of colour blindness, and on white as on black.
COLOURS = ["#2a86c7", "#d55e00", "#009e73", "#cc79a7", "#c49a00", "#56b4e9"]
STYLE = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": GREY,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "legend.frameon": False,
    "legend.labelcolor": GREY,
    "lines.markersize": 4,
    "path.simplify": False,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "sortes",
    "text.color": GREY,
    "xtick.color": GREY,
    "xtick.minor.size": 0,
    "ytick.color": GREY,
    "ytick.minor.size": 0,
}


def dots(axes: Axes, x: np.ndarray, y: np.ndarray, *, size: float, **style: object) -> None:
    """Draw a cloud of round dots as one path, a fifth of the file that markers would make."""
    ends = np.full((2, len(x), 3), np.nan)
    ends[..., :2] = np.stack([x, y])[..., None]
    axes.plot(*ends.reshape(2, -1), lw=size, solid_capstyle="round", **style)


def map_axes(axes: Axes, title: str) -> None:
    """A square without ticks, for points in the plane."""
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.spines[:].set_visible(False)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure without dates and names, with coordinates of two decimals."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    short = re.sub(r"\d+\.\d{5,}", lambda found: f"{float(found[0]):.2f}", text.getvalue())
    # No reader needs to know which fonts would do instead of the first.
    short = re.sub(r"'DejaVu Sans'[^;\"]*", "sans-serif", short)
    path.write_text(re.sub(r" +$", "", short, flags=re.MULTILINE), encoding="utf-8")
    print(f"{path.relative_to(DOCS)}: {path.stat().st_size / 1000:.0f} kB")


def found() -> dict[str, Callable[[], plt.Figure]]:
    """What draws each picture, by <family>/<picture>."""
    drawers = {}
    for path in sorted(DOCS.glob("*/pictures.py")):
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_pictures", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, draw in inspect.getmembers(module, inspect.isfunction):
            if draw.__module__ == spec.name and not name.startswith("_"):
                drawers[f"{path.parent.name}/{name}"] = draw
    return drawers


def main(wanted: list[str]) -> None:
    """Draw the pictures that are named, or all."""
    drawers = found()
    for picture in wanted or drawers:
        with matplotlib.rc_context(STYLE):
            save(drawers[picture](), DOCS / f"{picture}.svg")


if __name__ == "__main__":
    matplotlib.use("Agg")
    main(sys.argv[1:])
