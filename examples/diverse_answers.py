"""Sixteen ways to go on, drawn apart and spread evenly, and how much they waver.

    python examples/diverse_answers.py

Asks SmolLM2-135M-Instruct several times over. Half a minute on two cores, and as much again the
first time.
"""

import sys
from collections import Counter

import numpy as np
import smollm
import torch
from sortes.integrations.transformers import arithmetic_sample, sample

TEXT = "The animal that she loved most was the"
N, TOKENS, RUNS = 16, 3, 8
WAYS = {"apart": sample, "evenly": arithmetic_sample}


def first_words(model, tokenizer, way, seed: int) -> list[str]:
    """Draw N texts; the first word of each."""
    inputs = tokenizer([TEXT], return_tensors="pt")
    texts = model.generate(
        **inputs, custom_generate=way, rng=seed, num_return_sequences=N, max_new_tokens=TOKENS,
        do_sample=True, temperature=0.9, top_k=0,
    )  # fmt: skip
    new = tokenizer.batch_decode(texts[:, inputs["input_ids"].shape[1] :])
    return [(text.split() or [""])[0].strip(",.;\"'") for text in new]


def main() -> None:
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", file=sys.stderr))
    print(f"{TEXT} ... ({N} times, {RUNS} times over)\n")
    with torch.inference_mode():
        drawn = {
            name: [first_words(model, tokenizer, way, seed) for seed in range(RUNS)]
            for name, way in WAYS.items()
        }
    everything = Counter(word for runs in drawn.values() for run in runs for word in run)
    best = everything.most_common(1)[0][0]
    print(f"{'':10}{'different words':>16}{f'{best!r} among {N}':>20}")
    for name, runs in drawn.items():
        different = np.mean([len(set(run)) for run in runs])
        count = np.array([run.count(best) for run in runs])
        print(f"{name:10}{different:16.1f}{count.mean():13.1f} +- {count.std(ddof=1):.1f}")
    print("\nA run, spread evenly:", ", ".join(sorted(drawn["evenly"][0])))


if __name__ == "__main__":
    main()
