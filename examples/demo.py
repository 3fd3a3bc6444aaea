"""Text from a real language model, decoded by transformers' own rules and by ours.

    python examples/demo.py

Prints texts, what they are like, and tokens per second; plots go to demo-output/. Two or three
minutes on two cores, and half a minute more the first time.
"""

import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import matplotlib
import numpy as np
import smollm
import sortes
import torch
from smollm.pipelines import PIPELINES, WAYS, arguments
from smollm.timing import timed_generate
from tqdm import tqdm

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OUTPUT = Path("demo-output")
REQUEST = "Tell me a short story about a lighthouse keeper and a lost letter."
SAMPLES, STEPS = 8, 48
SPEED_STEPS = 32
ROUNDS = {1: 2, 16: 1}


def main() -> None:
    began = time.perf_counter()
    OUTPUT.mkdir(exist_ok=True)
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", flush=True))
    print(f"SmolLM2-135M-Instruct, vocabulary {model.config.vocab_size:,}; request: {REQUEST}\n")
    with torch.inference_mode():
        write(model, tokenizer)
        race(model, tokenizer)
    names = ", ".join(sorted(path.name for path in OUTPUT.glob("*.png")))
    print(f"\nPlots in {OUTPUT}/: {names}. {time.perf_counter() - began:.0f} s in all.")


def write(model, tokenizer) -> None:
    """Generate several texts with each pipeline and say what they are like."""
    inputs = smollm.chat(tokenizer, [REQUEST] * SAMPLES)
    prompt = inputs["input_ids"].shape[1]
    recorded, lines = {}, []
    for pipeline, rules in PIPELINES.items():
        out = model.generate(
            **inputs, **arguments(pipeline, "our draw"), rng=7, max_new_tokens=STEPS,
            eos_token_id=-1, return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        tokens = out.sequences[:, prompt:]
        text = tokenizer.decode(tokens[0], skip_special_tokens=True)
        print(f"{pipeline}:\n    {' '.join(text.split())}", flush=True)
        recorded[pipeline] = law = laws(torch.stack(out.logits, 1), tokens, rules)
        distinct = "".join(f"{distinct_ngrams(tokens, n):11.1%}" for n in (1, 2, 3))
        surprise = law["logprob"].mean()
        kept = np.median(law["kept"])
        lines.append(f"{pipeline:12}{distinct}{surprise:16.2f}{kept:14.0f}")
    print(f"\n{SAMPLES} texts of {STEPS} tokens each")
    print("              distinct 1-, 2- and 3-grams   mean log-prob.   median kept")
    print("\n".join(lines), flush=True)
    plot_kept(recorded)
    plot_probability(recorded)


def laws(logits: torch.Tensor, tokens: torch.Tensor, rules: dict) -> dict[str, np.ndarray]:
    """Return, for every drawn token, what the model thought of it and what it was drawn from."""
    rows = logits.flatten(0, 1)
    stats = sortes.decode.row_stats(rows)
    logit = rows.gather(1, tokens.reshape(-1, 1))[:, 0].double()
    return {
        "entropy": np.asarray(stats.entropy),
        "logprob": np.asarray(logit - stats.lse),
        "kept": np.asarray(sortes.decode.keep_mask(rows, **rules)).sum(1),
    }


def distinct_ngrams(tokens: torch.Tensor, n: int) -> float:
    """Return the share of n-grams, over all texts, that are different."""
    grams = [tuple(gram) for gram in tokens.unfold(1, n, 1).flatten(0, 1).tolist()]
    return len(set(grams)) / len(grams)


def race(model, tokenizer) -> None:
    """Time all pipelines in turns, transformers' own and ours."""
    runs = {("greedy", ""): {"do_sample": False}}
    runs |= {(p, way): arguments(p, way) for p in PIPELINES for way in WAYS}
    speeds = {}
    print()
    for batch, rounds in ROUNDS.items():
        inputs = smollm.chat(tokenizer, [REQUEST] * batch)
        timings = defaultdict(list)
        timed_generate(model, inputs, 2, do_sample=False)  # warms up
        plan = [key for _ in range(rounds) for key in runs]
        for key in tqdm(plan, desc=f"timing, batch {batch}", leave=False, disable=None):
            timings[key].append(timed_generate(model, inputs, SPEED_STEPS, **runs[key]))
        speeds[batch] = {k: median(t.tokens_per_second for t in v) for k, v in timings.items()}
        outside = {k: 1e3 * median(s for t in v for s in t.outside[1:]) for k, v in timings.items()}
        greedy = speeds[batch]["greedy", ""]
        print(f"batch {batch}, {torch.get_num_threads()} threads: greedy {greedy:.1f} tokens/s,"
              f" {outside['greedy', '']:.2f} ms a step outside the model")  # fmt: skip
        print(" " * 12 + "".join(f"{way:>26}" for way in WAYS))
        for pipeline in PIPELINES:
            cells = [(speeds[batch][pipeline, w], outside[pipeline, w]) for w in WAYS]
            print(f"{pipeline:12}" + "".join(f"{s:12.1f}/s {o:8.2f} ms" for s, o in cells))
    plot_speeds(speeds)


def plot_kept(recorded: dict) -> None:
    """How many tokens each rule keeps, against how unsure the model is."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for pipeline, law in recorded.items():
        axes.scatter(law["entropy"], law["kept"], s=9, alpha=0.5, label=pipeline)
    axes.set(xlabel="entropy of the model's law (nats)", ylabel="tokens kept", yscale="log")
    axes.set_title("Tokens kept, at every step of the texts")
    axes.legend(frameon=False)
    save(figure, "kept.png")


def plot_probability(recorded: dict) -> None:
    """How likely the drawn tokens were."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for pipeline, law in recorded.items():
        axes.ecdf(np.exp(law["logprob"]), label=pipeline)
    axes.set(xlabel="probability under the model", ylabel="share of drawn tokens", xscale="log")
    axes.set_title("Probability of the drawn tokens")
    axes.legend(frameon=False)
    save(figure, "probability.png")


def plot_speeds(speeds: dict) -> None:
    """Tokens per second, relative to greedy decoding, of every pipeline."""
    figure, panels = plt.subplots(
        1, len(speeds), figsize=(10, 4), sharey=True, layout="constrained"
    )
    place = np.arange(len(PIPELINES))
    for axes, (batch, speed) in zip(panels, speeds.items(), strict=True):
        for n, way in enumerate(WAYS):
            heights = [speed[p, way] for p in PIPELINES]
            bars = axes.bar(place + (n - 1) * 0.27, np.array(heights) / speed["greedy", ""], 0.25)
            bars.set_label(way)
            axes.bar_label(bars, [f"{h:.0f}" for h in heights], fontsize=7)
        axes.axhline(1, color="grey", linewidth=0.8)
        axes.set_title(f"batch {batch}: tokens per second")
        axes.set_xticks(place, PIPELINES)
    panels[0].set_ylabel("relative to greedy decoding")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(WAYS))
    save(figure, "speed.png")


def save(figure, name: str) -> None:
    figure.savefig(OUTPUT / name, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(f"\ninterrupted; finished plots are in {OUTPUT}/") from None
