"""Distinct texts of a small model: drawn without replacement, and the surest first.

python examples/distinct_texts.py
"""

import numpy as np
from sortes.sequences import priority_sample, sample_without_replacement

WORDS = ["<end>", "the", "cat", "dog", "sleeps", "runs", "away"]
#: What may follow a word, and how likely: a model would compute it from the whole beginning.
FOLLOWS = {
    "": {"the": 1.0},
    "the": {"cat": 0.6, "dog": 0.4},
    "cat": {"sleeps": 0.7, "runs": 0.3},
    "dog": {"runs": 0.6, "sleeps": 0.4},
    "sleeps": {"<end>": 1.0},
    "runs": {"away": 0.5, "<end>": 0.5},
    "away": {"<end>": 1.0},
}


def model(prefixes: list[np.ndarray]) -> np.ndarray:
    """Return a row of logits for each beginning."""
    logits = np.full((len(prefixes), len(WORDS)), -np.inf)
    for row, prefix in zip(logits, prefixes, strict=True):
        last = WORDS[prefix[-1]] if len(prefix) else ""
        for word, p in FOLLOWS[last].items():
            row[WORDS.index(word)] = np.log(p)
    return logits


def show(tokens: np.ndarray, length: int) -> str:
    """Return a text as words."""
    return " ".join(WORDS[token] for token in tokens[:length] if token)


def main() -> None:
    end = WORDS.index("<end>")
    drawn = sample_without_replacement(model, 4, 10, eos_token_id=end, rng=0)
    print("four draws without replacement, and their weights")
    for text in zip(drawn.tokens, drawn.lengths, drawn.weights(), strict=True):
        print(f"  {show(*text[:2]):20} {text[2]:.3f}")
    mean = drawn.mean(drawn.lengths - 1)
    print(f"  words in a text: {mean.value:.2f} +- {mean.stderr:.2f}\n")

    taken = priority_sample(model, 4, 10, eos_token_id=end)
    print("the four surest, and their probabilities")
    for text in zip(taken.tokens, taken.lengths, np.exp(taken.logprobs), strict=True):
        print(f"  {show(*text[:2]):20} {text[2]:.3f}")


if __name__ == "__main__":
    main()
