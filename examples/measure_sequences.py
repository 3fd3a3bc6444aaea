"""Measure the samplers of whole sequences on the answers of SmolLM2-135M-Instruct to ten requests.

    python examples/measure_sequences.py docs/sequences/measured.json

Writes what docs/sequences/pictures.py draws, and prints the main figures; a quarter of an hour on
two cores. Answers have at most eight tokens. For each request:

- variance: of the mean of a score over N answers, by how they are drawn (temperature 0.5, top-p
  0.9);
- distinct: how many of N answers differ, in the same law;
- positions: what the model reads until n answers differ (temperature 0.5, no rule);
- quality: how likely and how different 16 answers are (temperatures from 0.3 to 1.2, top-p 0.9).
"""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import smollm
import torch
from smollm.answers import Answers
from sortes import sequences
from sortes.sequences import ArithmeticCodes
from tqdm import tqdm

#: What is asked, and what is looked for in an answer.
REQUESTS = {
    "Is the Moon larger than the Earth? Answer yes or no.": r"\bno\b",
    "What is 7 times 8?": r"56",
    "Name a colour. Answer with one word.": r"red|blue|green|yellow|orange|purple|pink",
    "Finish the sentence: I drink my coffee with": r"milk|cream",
    "Suggest a name for a dog. Answer with the name only.": r"^\w+\.?$",
    "Translate to French: good morning": r"bonjour",
    "Is this review positive or negative? The food was cold and the waiter was rude.": r"negative",
    "Which planet is closest to the Sun?": r"venus",
    "Write the first line of a poem about the sea.": r"\bsea\b",
    "What should I cook tonight? Answer with the name of a dish.": r"sorry",
}
LENGTH = 8
SIZES = (1, 2, 4, 8, 16, 32, 64)
TEMPERATURES = (0.3, 0.5, 0.8, 1.2)
#: What an answer is worth: its log-probability per token in the model itself, its characters, and
#: whether it has what is looked for.
SCORES = ("log-probability", "length", "found")
CODEBOOKS = ("independent", "lattice", "stratified", "t5x")
#: How often N texts are drawn for a variance, and for the other means.
RUNS, FEW = 400, 6
#: Samples after which nobody waits for another answer that differs.
PATIENCE = 4096
#: Numbers that are held at once.
HELD = 2**25


# Texts of a request: nodes of its tree.


def drawn(answers, codebook, n, runs, seed):
    """Draw `n` answers by codes, `runs` times; a row of nodes for each run."""
    kept, most = [], max(1, HELD // (answers.width * n))
    for first in range(0, runs, most):
        count, rng = min(most, runs - first), [seed, n, first]
        if codebook == "independent":
            codes = ArithmeticCodes(count * n, 1, rng=rng)
        else:
            codes = ArithmeticCodes(count, n, codebook=codebook, rng=rng)
        kept.append(answers.draw(codes).reshape(count, n))
    return np.concatenate(kept)


def searched(answers, way, n, seed):
    """Find `n` distinct answers; their nodes."""
    limits = {"max_new_tokens": answers.length, "eos_token_id": answers.end}
    if way == "priority":
        found = sequences.priority_sample(answers.rows, n, **limits)
    else:
        ways = {
            "without replacement": sequences.sample_without_replacement,
            "stochastic beams": sequences.stochastic_beam_search,
        }
        found = ways[way](answers.rows, n, **limits, rng=seed)
    texts = zip(found.tokens, found.lengths, strict=True)
    return [answers.find(tokens[:length]) for tokens, length in texts]


# The experiments.


def variance(answers, pattern):
    """Return the variance of the mean of N scores with its standard error, by codebook and N."""

    def scores(node):
        text = answers.text(node)
        found = re.search(pattern, text, re.IGNORECASE) is not None
        return answers.logprobs[node] / answers.depths[node], len(text), found

    out, one = {}, []
    for number, codebook in enumerate(CODEBOOKS):
        out[codebook] = {}
        for n in SIZES[2:]:
            nodes, at = np.unique(drawn(answers, codebook, n, RUNS, number), return_inverse=True)
            values = np.array([scores(node) for node in nodes.tolist()], float)[at]
            values = values.reshape(RUNS, n, len(SCORES))
            means = values.mean(1)
            squares = (means - means.mean(0)) ** 2
            error = squares.std(0) / np.sqrt(RUNS)
            out[codebook][n] = {"variance": means.var(0, ddof=1), "error": error}
            if codebook == "independent":
                one.append(values.reshape(-1, len(SCORES)))
    one = np.concatenate(one)
    return {"mean": one.mean(0), "variance of one": one.var(0), "of N": out}


def distinct(answers):
    """Return how many of N answers differ."""

    def of(codebook, n):
        return np.mean([len(set(run)) for run in drawn(answers, codebook, n, FEW, 7).tolist()])

    ways = {"nucleus": "independent", "arithmetic": "lattice"}
    out = {way: [of(codebook, n) for n in SIZES] for way, codebook in ways.items()}
    for way in ("stochastic beams", "priority"):
        out[way] = [len(searched(answers, way, n, 7)) for n in SIZES]
    return out


def positions(answers):
    """Return what it takes until n answers differ: [texts, positions, calls of the model].

    A position is a token behind the prompt that the model reads: of a text of T tokens T - 1, for
    the prompt gives the first. Samples come in batches of 64, but count up to the one that is the
    n-th to differ; with prefixes shared each beginning is read once.
    """
    sampled = [until_distinct(answers, seed) for seed in range(FEW)]
    reached = [run["reached"] for run in sampled]
    out = {"prompt": answers.prompt, "reached": min(reached)}
    for way in ("sampling", "sampling, prefixes shared"):
        out[way] = np.mean([run[way] for run in sampled], 0)[np.array(SIZES) - 1]
    for way in ("without replacement", "stochastic beams", "priority"):
        out[way] = []
        for n in SIZES:
            answers.expanded = answers.calls = 0
            texts = [len(searched(answers, way, n, seed)) for seed in range(FEW)]
            read = answers.expanded / FEW - 1  # the first row is the prompt's
            out[way].append([np.mean(texts), read, answers.calls / FEW])
    return out


def until_distinct(answers, seed):
    """Draw answers until 64 differ, or for as long as the patience lasts."""
    seen, read, costs = set(), set(), {"sampling": [], "sampling, prefixes shared": []}
    texts = tokens = 0
    while texts < PATIENCE and len(seen) < 64:
        calls = LENGTH * (1 + texts // 64)
        for node in answers.draw(ArithmeticCodes(64, 1, rng=[seed, texts])).tolist():
            texts, tokens = texts + 1, tokens + answers.depths[node] - 1
            read.update(answers.path(node)[:-1])
            if node not in seen and len(seen) < 64:
                seen.add(node)
                for cost, positions in zip(costs.values(), (tokens, len(read)), strict=True):
                    cost.append([texts, positions, calls])
    # Who gave up has spent at least this much.
    for cost, positions in zip(costs.values(), (tokens, len(read)), strict=True):
        cost += [[texts, positions, calls]] * (64 - len(seen))
    return {"reached": len(seen), **costs}


def quality(answers, n=16):
    """Return how likely `n` answers are, and how different, by way."""
    runs = {
        "nucleus": drawn(answers, "independent", n, FEW, 11).tolist(),
        "arithmetic": drawn(answers, "lattice", n, FEW, 11).tolist(),
        "stochastic beams": [searched(answers, "stochastic beams", n, seed) for seed in range(FEW)],
        "priority": [searched(answers, "priority", n, 0)],
    }
    return {way: np.mean([likeness(answers, run) for run in of], 0) for way, of in runs.items()}


def likeness(answers, nodes):
    """Return the mean log-probability of a token, and the shares of different texts and bigrams."""
    likely = np.mean([answers.logprobs[node] / answers.depths[node] for node in nodes])
    texts = [[answers.tokens[at] for at in answers.path(node)] for node in nodes]
    bigrams = [pair for text in texts for pair in pairwise(text)]
    return likely, len(set(nodes)) / len(nodes), len(set(bigrams)) / max(len(bigrams), 1)


# All of it.


def measure(model, tokenizer):
    """Return the results of all experiments, request by request."""

    def answers(request, width, **rules):
        return Answers(model, tokenizer, request, rules, LENGTH, width)

    data = {
        "requests": list(REQUESTS), "sizes": SIZES, "scores": SCORES, "temperatures": TEMPERATURES,
        "variance": [], "distinct": [], "positions": [], "quality": [],
    }  # fmt: skip
    bar = tqdm(REQUESTS.items(), unit="request", disable=None)
    for request, pattern in bar:
        bar.set_description(request[:24])
        nucleus = answers(request, 2**10, temperature=0.5, top_p=0.9)
        data["variance"].append(variance(nucleus, pattern))
        data["distinct"].append(distinct(nucleus))
        data["positions"].append(positions(answers(request, None, temperature=0.5)))
        trees = (answers(request, 2**14, temperature=t, top_p=0.9) for t in TEMPERATURES)
        data["quality"].append([quality(tree) for tree in trees])
    return data


def plain(value):
    """Return what JSON can say, with five digits of each number."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def report(data):
    """Print the main figures."""
    print("Variance of the mean of 16 scores, as a share of that of independent answers")
    at = "16"
    for number, score in enumerate(data["scores"]):
        print(f"\n{score:28}" + "".join(f"{name:>18}" for name in CODEBOOKS))
        for request, made in zip(data["requests"], data["variance"], strict=True):
            one = made["variance of one"][number] / int(at)
            cells = [made["of N"][codebook][at] for codebook in CODEBOOKS]
            shares = [
                f"{cell['variance'][number] / one:8.3f} +- {cell['error'][number] / one:.3f}"
                if one > 0
                else "-"
                for cell in cells
            ]
            print(f"{request[:26]:28}" + "".join(f"{share:>18}" for share in shares))

    print("\nDistinct answers among N, mean over the requests")
    print(" " * 28 + "".join(f"{n:8}" for n in data["sizes"]))
    for way in data["distinct"][0]:
        means = np.mean([made[way] for made in data["distinct"]], 0)
        print(f"{way:28}" + "".join(f"{mean:8.1f}" for mean in means))

    print("\nTexts and positions behind the prompt until 64 answers differ")
    ways = [way for way, cost in data["positions"][0].items() if isinstance(cost, list)]
    print(" " * 28 + "".join(f"{way:>28}" for way in ways))
    for request, made in zip(data["requests"], data["positions"], strict=True):
        cells = [f"{made[way][-1][0]:.0f}, {made[way][-1][1]:.0f}" for way in ways]
        note = "" if made["reached"] == 64 else f"  {made['reached']} found by sampling"
        print(f"{request[:26]:28}" + "".join(f"{cell:>28}" for cell in cells) + note)


def main(path: Path) -> None:
    model, tokenizer = smollm.load(lambda message: print(message, file=sys.stderr))
    with torch.inference_mode():
        data = plain(measure(model, tokenizer))
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(part)}" for key, part in data.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    report(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
