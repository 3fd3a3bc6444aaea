"""Sixteen answers to one question, drawn apart and spread evenly, and how much they waver.

    python examples/diverse_answers.py

Asks SmolLM2-135M-Instruct several times over. A minute on two cores, and half a minute more the
first time.
"""

import sys
from collections import Counter

import numpy as np
import smollm
import torch
from sortes.integrations.transformers import arithmetic_sample, sample

QUESTION = "Name one animal that lives in the sea. Answer with one word."
N, TOKENS, RUNS = 16, 5, 6
WAYS = {
    "apart": {"custom_generate": sample},
    "evenly": {"custom_generate": arithmetic_sample},
}


def answers(model, tokenizer, seed: int, **way) -> list[str]:
    """Draw N answers."""
    inputs = smollm.chat(tokenizer, [QUESTION])
    texts = model.generate(
        **inputs, **way, rng=seed, num_return_sequences=N, max_new_tokens=TOKENS,
        do_sample=True, temperature=0.7, top_k=0,
    )  # fmt: skip
    new = texts[:, inputs["input_ids"].shape[1] :]
    return [text.strip(" .!\n").lower() for text in tokenizer.batch_decode(new, True)]


def main() -> None:
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", file=sys.stderr))
    print(f"{QUESTION} ({N} answers, {RUNS} times)\n")
    with torch.inference_mode():
        drawn = {
            name: [answers(model, tokenizer, seed, **way) for seed in range(RUNS)]
            for name, way in WAYS.items()
        }
    everything = Counter(answer for runs in drawn.values() for run in runs for answer in run)
    best = everything.most_common(1)[0][0]
    print(f"{'':12}{'different':>12}{f'{best!r} among {N}':>24}")
    for name, runs in drawn.items():
        different = np.mean([len(set(run)) for run in runs])
        count = np.array([run.count(best) for run in runs])
        print(f"{name:12}{different:12.1f}{count.mean():16.1f} +- {count.std(ddof=1):.1f}")
    print("\nA first run, spread evenly:")
    for answer, count in Counter(drawn["evenly"][0]).most_common():
        print(f"{count:4} {answer!r}")


if __name__ == "__main__":
    main()
