"""The pictures of whole sequences, from language models that can be enumerated."""

import json
import runpy
from pathlib import Path

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes.sequences import ArithmeticCodes, sample_without_replacement

TESTS = Path(__file__).parents[2] / "tests"
VECTORS = json.loads((TESTS / "data" / "sequences" / "arithmetic.json").read_text("utf-8"))
TableModel = runpy.run_path(str(TESTS / "sequences" / "models.py"))["TableModel"]
SPREADS = {
    "lattice": ("var_lattice", "s"),
    "stratified": ("var_stratified", "^"),
    "t5x": ("var_lattice_n_plus_1", "D"),
}


def variance() -> plt.Figure:
    """The variance of a mean over N texts, by how their codes are spread."""
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True)
    titles = {"C": "any probabilities", "A": "multiples of 1/64"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        (moments,) = (m for m in VECTORS["moments"] if m["lm"] == name)
        model, cases = TableModel.of(VECTORS, name), moments["cases"]
        values = np.array([moments["f"][",".join(map(str, text))] for text in model.texts])
        sizes = [case["n"] for case in cases]
        axes.plot(sizes, [case["var_iid"] for case in cases], "--", color=pictures.GREY)
        axes.annotate("independent", (sizes[2], cases[2]["var_iid"]), (3, 4), color=pictures.GREY,
                      textcoords="offset points")  # fmt: skip
        for codebook, (exact, marker) in SPREADS.items():
            (line,) = axes.plot(sizes, [case[exact] for case in cases], lw=1)
            measured = [_measured(model, values, codebook, n) for n in sizes]
            axes.plot(sizes, measured, marker, color=line.get_color(), label=codebook)
        axes.set(title=title, xscale="log", yscale="log", xlabel="texts N")
        axes.set(xticks=sizes, xticklabels=sizes)
        axes.minorticks_off()
    panels[0].set(ylabel="variance of the mean")
    panels[1].legend(title="lines: exact; points: drawn", loc="lower left")
    return figure


def distinct() -> plt.Figure:
    """The error of a mean from distinct texts, beside independent ones."""
    model = TableModel.random(np.random.default_rng(3), 5, 4, 1.0)
    logits = dict(zip(model.prefixes, model.logits, strict=True))
    values = {text: float(np.prod(np.add(text, 1)) ** 0.5) for text in model.texts}
    truth = sum(p * values[text] for text, p in zip(model.texts, model.law, strict=True))
    spread = sum(p * values[text] ** 2 for text, p in zip(model.texts, model.law, strict=True))
    sizes, searches = [2, 4, 8, 16, 32, 64], 300

    def rows(prefixes: list[np.ndarray]) -> np.ndarray:
        return np.stack([logits[",".join(map(str, prefix))] for prefix in prefixes])

    errors: dict[str, list[float]] = {"self_normalized": [], "unordered": [], "threshold": []}
    for n in sizes:
        drawn = [
            sample_without_replacement(rows, n, 4, eos_token_id=0, rng=seed)
            for seed in range(searches)
        ]
        for method, found in errors.items():
            means = []
            for one in drawn:
                pairs = zip(one.tokens, one.lengths, strict=True)
                texts = [tuple(map(int, tokens[:length])) for tokens, length in pairs]
                means.append(one.mean([values[text] for text in texts], method=method).value)
            found.append(float(np.sqrt(np.mean((np.array(means) - truth) ** 2))))
    figure, axes = plt.subplots(figsize=(7, 3.4))
    independent = np.sqrt((spread - truth**2) / np.array(sizes))
    axes.plot(sizes, independent, "--", color=pictures.GREY, label="independent samples")
    for (method, found), marker in zip(errors.items(), "os^", strict=True):
        axes.plot(sizes, found, marker, ls="-", lw=1, label=method)
    axes.set(xscale="log", yscale="log", xlabel=f"texts, of {len(model.texts)}")
    axes.set(xticks=sizes, xticklabels=sizes, ylabel="error of the mean")
    axes.minorticks_off()
    axes.legend()
    return figure


def _measured(model: TableModel, values: np.ndarray, codebook: str, n: int) -> float:
    """The variance over many prompts."""
    prompts = 4_000
    drawn = model.draw(ArithmeticCodes(prompts, n, codebook=codebook, rng=n))
    return float(values[drawn].reshape(prompts, n).mean(1).var())
