"""The pictures of decoding, from rows that SmolLM2-135M-Instruct gave."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sortes import decode

DATA = Path(__file__).parents[2] / "tests" / "data"


def _rows() -> np.ndarray:
    """The recorded rows, the surest first."""
    recorded = np.load(next(DATA.rglob("smollm_rows.npz")))
    return recorded["logits"][np.argsort(recorded["entropy"])].astype(np.float32)


def kept() -> plt.Figure:
    """How many tokens each rule keeps where the model is sure, and where it is not."""
    rows = _rows()
    entropy = decode.row_stats(rows).entropy
    rules = {
        "top_k": 50,
        "top_p": 0.9,
        "min_p": 0.05,
        "eta_cutoff": 3e-4,
        "top_h": 0.4,
        "top_n_sigma": 1,
    }
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for (name, value), marker in zip(rules.items(), "os^DvP", strict=True):
        count = decode.keep_mask(rows, **{name: value}).sum(1)
        axes.plot(entropy, count, marker=marker, lw=1, label=f"{name}={value:g}")
    axes.set(yscale="log", xlabel="entropy of the row, nats", ylabel="tokens kept, of 49,152")
    axes.legend()
    return figure


def drawn() -> plt.Figure:
    """How often a draw is an improbable token, by rule."""
    rows = _rows()
    p = decode.distribution(rows)
    order = np.argsort(p.ravel())
    rules = {
        "no rule": {},
        "top_k=50": {"top_k": 50},
        "top_p=0.9": {"top_p": 0.9},
        "min_p=0.05": {"min_p": 0.05},
        "eta_cutoff=3e-4": {"eta_cutoff": 3e-4},
    }
    bounds = np.geomspace(1e-7, 1, 71)
    below = np.searchsorted(p.ravel()[order], bounds)
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for name, rule in rules.items():
        law = decode.distribution(rows, **rule) / len(rows)
        share = np.concatenate([[0], law.ravel()[order].cumsum()])[below]
        axes.plot(bounds, np.where(share > 0, share, np.nan), label=name)
    axes.set(xscale="log", yscale="log", ylim=(1e-5, 1.2))
    axes.set(xlabel="probability x that the model gave", ylabel="share of draws below x")
    axes.legend()
    return figure
