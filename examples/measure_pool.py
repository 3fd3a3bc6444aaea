"""Ask SmolLM2-135M-Instruct sums, 256 times each, and write down its answers.

    python examples/measure_pool.py docs/pool/measured.json

Writes what docs/pool/pictures.py draws; some minutes on two cores.
"""

import json
import re
import sys
from pathlib import Path

import smollm
import torch
from smollm.answers import Answers
from sortes.sequences import ArithmeticCodes
from tqdm import tqdm

#: From one digit to three, some larger than others.
SUMS = [(a, b) for a in (2, 6, 9, 15, 38, 127) for b in (3, 7, 26, 45)]
SAMPLES, LENGTH, TEMPERATURE = 256, 10, 0.8


def answer(text):
    """Return the last number of a text; -1 if there is none."""
    numbers = re.findall(r"\d+", text.replace(",", ""))
    return int(numbers[-1][:9]) if numbers else -1


def main(path: Path) -> None:
    model, tokenizer = smollm.load(lambda message: print(message, file=sys.stderr))
    answers = []
    with torch.inference_mode():
        for a, b in tqdm(SUMS, unit="sum", disable=None):
            request = f"What is {a} + {b}? Answer with the number only."
            tree = Answers(model, tokenizer, request, {"temperature": TEMPERATURE}, LENGTH)
            nodes = tree.draw(ArithmeticCodes(SAMPLES, 1, rng=[a, b]))
            answers.append([answer(tree.text(node)) for node in nodes.tolist()])
    lines = ",\n".join(json.dumps(row) for row in answers)
    path.write_text(f'{{"sums": {json.dumps(SUMS)},\n"answers": [\n{lines}\n]}}\n', "utf-8")
    for (a, b), row in zip(SUMS, answers, strict=True):
        print(f"{a:4} + {b:2}: {row.count(a + b):4} of {SAMPLES} right")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
