"""Record a few rows of a real model's logits, from sure to at a loss, for tests and benchmarks.

python examples/record_rows.py tests/data/decode/smollm_rows.npz
"""

import sys
from pathlib import Path

import numpy as np
import smollm
import torch

ROWS = 8
TEXTS = (
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return a - b\n",
    "Once upon a time there was a little girl who lived at the edge of a dark forest.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "My favourite dream is about an old lighthouse, where the keeper collects umbrellas.",
    "In the beginning nobody believed that the experiment could work, least of all Maria.",
)


def main(path: Path) -> None:
    model, tokenizer = smollm.load(lambda message: print(message, file=sys.stderr))
    rows, before = [], []
    with torch.inference_mode():
        for text in TEXTS:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            rows.append(model(ids).logits[0])
            before += [tokenizer.decode(ids[0, : n + 1]) for n in range(ids.shape[1])]
    logits = torch.cat(rows)
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    # Evenly spaced ranks of entropy: from the surest position to the least sure.
    picked = entropy.argsort()[torch.linspace(0, len(entropy) - 1, ROWS).long()]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        logits=logits[picked].to(torch.float16).numpy(),
        entropy=entropy[picked].double().numpy(),
        text=np.array([before[n] for n in picked]),
    )
    for n in picked:
        print(f"{entropy[n]:6.2f} nats after {before[n]!r}")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
