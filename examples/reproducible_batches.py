"""The same tokens, whatever the threads, the batches, and the order in which texts finish."""

import numpy as np
import sortes

TEXTS, VOCABULARY, STEPS = 12, 32_000, 20
RULES = sortes.Rules(temperature=1.2, top_p=0.95)


def logits_of(text: int, step: int) -> np.ndarray:
    """Stand in for a model: the logits of one text at one position."""
    return np.random.default_rng([text, step]).normal(0, 3, VOCABULARY).astype(np.float32)


def generate(batches: list[list[int]], num_threads: int) -> dict[int, list[int]]:
    """Generate texts in batches; a text leaves its batch when it draws a token below 2,000."""
    texts: dict[int, list[int]] = {text: [] for text in range(TEXTS)}
    for batch in batches:
        alive = list(batch)
        for step in range(STEPS):
            if not alive:
                break
            tokens = sortes.sample(
                np.stack([logits_of(text, step) for text in alive]),
                RULES,
                rng=7,
                rows=np.array(alive, np.uint32),  # which text each row is
                step=step,
                num_threads=num_threads,
            )
            for text, token in zip(alive, tokens, strict=True):
                texts[text].append(int(token))
            alive = [text for text, token in zip(alive, tokens, strict=True) if token >= 2_000]
    return texts


def main() -> None:
    everything = list(range(TEXTS))
    whole = generate([everything], num_threads=1)
    print("lengths of the texts:", [len(text) for text in whole.values()])

    assert generate([everything], num_threads=4) == whole
    print("four threads: the same tokens")

    assert generate([[text] for text in everything], num_threads=1) == whole
    print("one text at a time: the same tokens")

    assert generate([everything[::-2], everything[-2::-2]], num_threads=2) == whole
    print("two batches, backwards: the same tokens")

    streams = [sortes.Stream(1000 + text) for text in everything]  # a seed for each request
    rows = np.stack([logits_of(text, 0) for text in everything])
    first = np.zeros(1, np.uint32)
    together = sortes.sample(rows, RULES, rng=streams, rows=np.zeros(TEXTS, np.uint32))
    alone = [
        sortes.sample(rows[text : text + 1], RULES, rng=streams[text], rows=first)[0]
        for text in everything
    ]
    assert np.array_equal(together, alone)
    print("a seed for each request: the same tokens, in any batch")


if __name__ == "__main__":
    main()
