"""The pictures of whole sequences: of language models that can be enumerated, and of a real one.

What SmolLM2-135M gave stands in measured.json, which examples/measure_sequences.py writes.
"""

import json
import runpy
from pathlib import Path

import numpy as np
import pictures
from matplotlib import pyplot as plt
from sortes import Stream
from sortes.sequences import ArithmeticCodes, power_sample, sample_without_replacement

MEASURED = json.loads((Path(__file__).parent / "measured.json").read_text("utf-8"))
TESTS = Path(__file__).parents[2] / "tests"
VECTORS = json.loads((TESTS / "data" / "sequences" / "arithmetic.json").read_text("utf-8"))
REFERENCE = runpy.run_path(str(TESTS / "sequences" / "tree_reference.py"))
MODELS = runpy.run_path(str(TESTS / "sequences" / "models.py"))
TableModel = MODELS["TableModel"]
chain = runpy.run_path(str(TESTS / "sequences" / "chains.py"))["chain"]
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


def power() -> plt.Figure:
    """How far texts are from a power of the law: chains by transitions, picks by particles."""
    alpha = 4.0
    model = MODELS["toy"](0, 1.5)
    law = model.law**alpha / (model.law**alpha).sum()
    figure, (chains, particles) = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
    steps = np.unique(np.geomspace(1, 1000, 40).astype(int))
    ways = {"ours": (False, "-"), "as released": (True, "--")}
    for label, (released, style) in ways.items():
        _, first, moves = chain(model, alpha, released=released)
        after = np.array([first @ np.linalg.matrix_power(moves, n) for n in steps])
        lost = after[:, len(law) :].sum(1)
        off = 0.5 * (np.abs(after[:, : len(law)] - law).sum(1) + lost)
        chains.plot(steps, off, style, label=label)
    chains.set(xscale="log", yscale="log", xlabel="transitions", ylabel="total variation")
    chains.set(ylim=(1e-3, 1.1))
    chains.legend()

    sizes, off = [1, 4, 16, 64], []
    number = {text: i for i, text in enumerate(model.texts)}
    for n in sizes:
        shares, runs = np.zeros(len(law)), int(4000 / n**0.5)
        for stream in Stream(n).split(runs):
            made = power_sample(model.behind, 4, eos_token_id=0, num_particles=n, rng=stream)
            rows = zip(made.tokens.tolist(), made.lengths, strict=True)
            which = [number[tuple(row[:length])] for row, length in rows]
            shares += np.bincount(which, made.weights, len(law)) / runs
        off.append(0.5 * np.abs(shares - law).sum())
    particles.plot(sizes, off, "o-", lw=1, label="a pick of N")
    first = chain(model, alpha)[1]
    tokens = 0.5 * np.abs(first - law).sum()
    particles.axhline(tokens, ls="--", color=pictures.GREY)
    particles.annotate("tokens at temperature 1/4", (1, tokens), (4, 4), color=pictures.GREY,
                       textcoords="offset points", fontsize=8)  # fmt: skip
    particles.set(xscale="log", xlabel="particles N")
    particles.set(xticks=sizes, xticklabels=sizes)
    particles.minorticks_off()
    particles.legend(loc="lower left")
    return figure


def answers() -> plt.Figure:
    """The variance of mean scores of a real model's answers, as a share of independent ones'."""
    figure, panels = plt.subplots(1, 3, figsize=(7, 3.2), sharex=True, sharey=True)
    for number, (axes, score) in enumerate(zip(panels, MEASURED["scores"], strict=True)):
        axes.axhline(1, ls="--", color=pictures.GREY)
        for codebook, (_, marker) in SPREADS.items():
            of_each = _shares(codebook, number)
            sizes = list(of_each[0])
            shares = np.array([list(shares.values()) for shares in of_each])
            (line,) = axes.plot(sizes, np.exp(np.log(shares).mean(0)), f"{marker}-", lw=1.5)
            line.set_label(codebook)
            if codebook == "lattice":
                axes.plot(sizes, shares.T, lw=0.5, alpha=0.5, color=line.get_color())
        axes.set(title=score, xscale="log", yscale="log", xlabel="answers N")
        axes.set(xticks=sizes, xticklabels=sizes)
        axes.minorticks_off()
        axes.set_title(score, fontsize=10)
    panels[0].set(ylabel="variance, independent = 1", yticks=[0.03, 0.1, 0.3, 1])
    panels[0].set_yticklabels(["0.03", "0.1", "0.3", "1"])
    panels[0].legend(loc="lower left", fontsize=8)
    return figure


def cost() -> plt.Figure:
    """How many answers of a real model differ: among N, and for what it has to read."""
    figure, (among, read) = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
    sizes = MEASURED["sizes"]
    for (way, marker), style in zip(
        {"stochastic beams": "D", "priority": "o", "arithmetic": "s", "nucleus": "^"}.items(),
        ("-", "--", "-", "-"),
        strict=True,
    ):
        means = np.mean([made[way] for made in MEASURED["distinct"]], 0)
        among.plot(sizes, means, marker + style, lw=1, label=way)
    among.set(xlabel="answers N", ylabel="answers that differ", xscale="log", yscale="log")
    ways = {
        "without replacement": "D",
        "priority": "o",
        "sampling, prefixes shared": "v",
        "sampling": "^",
    }
    for (way, marker), number in zip(ways.items(), (0, 1, 4, 3), strict=True):
        costs = np.median([np.array(made[way])[:, 1] for made in MEASURED["positions"]], 0)
        colour = pictures.COLOURS[number]
        read.plot(costs[1:], sizes[1:], f"{marker}-", lw=1, label=way, color=colour)
    read.set(xlabel="positions that the model reads, median", xscale="log")
    read.set(xticks=[10, 30, 100, 300], xticklabels=["10", "30", "100", "300"])
    for axes in (among, read):
        axes.set(yticks=sizes, yticklabels=sizes)
        axes.minorticks_off()
        axes.legend(fontsize=8)
    among.set(xticks=sizes, xticklabels=sizes)
    return figure


def quality() -> plt.Figure:
    """How likely and how different sixteen answers of a real model are, by temperature."""
    figure, panels = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True)
    ways = {"stochastic beams": "D", "priority": "o", "arithmetic": "s", "nucleus": "^"}
    results = {
        way: np.mean([[of[way] for of in made] for made in MEASURED["quality"]], 0) for way in ways
    }
    for axes, column in zip(panels, (1, 2), strict=True):
        for way, marker in ways.items():
            axes.plot(*results[way][:, [0, column]].T, f"{marker}-", lw=1, label=way)
        axes.set(xlabel="mean log-probability per token")
    panels[0].set(ylabel="different answers, share")
    panels[1].set(ylabel="different bigrams, share")
    panels[0].legend()
    return figure


def _shares(codebook: str, score: int) -> list[dict[int, float]]:
    """Of each request whose score varies: by N, the variance as a share of independent answers'."""
    return [
        {
            int(n): cell["variance"][score] * int(n) / made["variance of one"][score]
            for n, cell in made["of N"][codebook].items()
        }
        for made in MEASURED["variance"]
        if made["variance of one"][score] > 0
    ]


def _measured(model: TableModel, values: np.ndarray, codebook: str, n: int) -> float:
    """The variance over many prompts."""
    prompts = 4_000
    drawn = model.draw(ArithmeticCodes(prompts, n, codebook=codebook, rng=n))
    return float(values[drawn].reshape(prompts, n).mean(1).var())


def draft_tree() -> plt.Figure:
    """A tree of words, the path that was taken, and the token that follows."""
    words = ["the", "cat", "dog", "sat", "is", "ran", "on", "down", "asleep", "the", "a", "to"]
    parents = [-1, 0, 0, 1, 1, 2, 3, 3, 4, 6, 6, 5]
    taken, after = [0, 1, 3, 6], "my"
    depths, heights, leaves = [0], dict.fromkeys(range(len(words)), 0.0), 0
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)

    def place(node: int) -> float:
        nonlocal leaves
        below = [place(child) for child, parent in enumerate(parents) if parent == node]
        leaves += not below
        heights[node] = float(np.mean(below)) if below else -float(leaves)
        return heights[node]

    place(0)
    figure, axes = plt.subplots(figsize=(7, 3))
    for node, parent in enumerate(parents):
        colour = pictures.COLOURS[0] if node in taken else pictures.GREY
        if parent >= 0:
            x, y = [depths[parent], depths[node]], [heights[parent], heights[node]]
            axes.plot(x, y, color=colour, lw=2.5 if node in taken else 1)
        axes.plot(depths[node], heights[node], "o", ms=9, color=colour)
        is_leaf = node not in parents
        xytext, ha = ((9, -3), "left") if is_leaf else ((0, 9), "center")
        axes.annotate(f"{node}  {words[node]}", (depths[node], heights[node]), color=colour,
                      textcoords="offset points", xytext=xytext, ha=ha)  # fmt: skip
    end, right = taken[-1], depths[taken[-1]] + 1
    axes.plot([depths[end], right], [heights[end], heights[end]], ":", color=pictures.COLOURS[1])
    axes.annotate(after, (right, heights[end]), (6, -3), textcoords="offset points",
                  color=pictures.COLOURS[1])  # fmt: skip
    axes.set(xlabel="depth", xticks=range(right + 1), yticks=[], xlim=(-0.3, right + 0.4))
    axes.margins(y=0.2)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    return figure


def paths() -> plt.Figure:
    """Tokens of a call from three paths, beside one, by how good the draft is."""
    pair_of, law_of = REFERENCE["Pair"], REFERENCE["law_of"]
    shares = [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9]
    gains: dict[str, list[float]] = {"grouped": [], "greedy": []}
    for share in shares:
        ratios: dict[str, list[float]] = {name: [] for name in gains}
        for seed in range(4):
            pair = pair_of(np.random.default_rng(seed), 3, 2, sharp=1 + seed % 3).closer(share)
            tokens = {}
            for name, count in (("one", 1), *((name, 3) for name in gains)):
                sizes = REFERENCE["plan" if name == "grouped" else "greedy"]
                drafts = REFERENCE["iid_paths"](pair, count, 2)
                verified = lambda *a, s=sizes: REFERENCE["verified_paths"](*a, s)  # noqa: E731
                tokens[name] = 1 + law_of(pair, drafts, verified, 3)[1]
            for name, found in ratios.items():
                found.append(tokens[name] / tokens["one"])
        for name, found in gains.items():
            found.append(float(np.mean(ratios[name])))
    figure, axes = plt.subplots(figsize=(7, 3.2))
    axes.axhline(1, ls="--", color=pictures.GREY)
    for (name, found), marker in zip(gains.items(), "os", strict=True):
        axes.plot(shares, found, marker, ls="-", lw=1.5, label=name)
    axes.set(xlabel="share of the target in the draft", ylabel="tokens of a call, one path = 1")
    axes.legend()
    return figure
