"""From logits to tokens: one call, its options, and what else it can tell."""

import numpy as np
import sortes


def main() -> None:
    # Two rows over a small vocabulary; a real one has 30,000 to 260,000 tokens.
    words = ["the", "a", "his", "her", "that", "blue", "gherkin", "£", "\x00"]
    p = np.array(
        [
            [0.62, 0.21, 0.07, 0.06, 0.03, 0.008, 0.0012, 0.0005, 0.0003],
            [0.16, 0.15, 0.14, 0.14, 0.13, 0.12, 0.10, 0.05, 0.01],
        ]
    )
    logits = np.log(p).astype(np.float32)

    rules = sortes.Rules(temperature=0.9, eta_cutoff=0.01)
    for row, kept in enumerate(sortes.decode.keep_mask(logits, rules)):
        names = [word for word, keep in zip(words, kept, strict=True) if keep]
        print(f"row {row}: eta keeps {len(names)} of {len(words)}: {names}")

    for step in range(3):
        out = sortes.sample(logits, rules, rng=7, step=step, logprobs=2)
        for row, token in enumerate(out.tokens):
            print(
                f"step {step}, row {row}: {words[token]!r:>9}  ln p = {out.logprob[row]:6.3f}, "
                f"rank {out.rank[row]}, kept mass {out.mass[row]:.4f}"
            )

    law = sortes.decode.distribution(logits, rules)
    draws = sortes.sample(np.repeat(logits[:1], 100_000, axis=0), rules, rng=1)
    print("\n     word   law    100,000 draws")
    for word, exact, drawn in zip(words, law[0], np.bincount(draws, minlength=9), strict=True):
        print(f"{word!r:>9}  {exact:.4f}  {drawn / 100_000:.4f}")


if __name__ == "__main__":
    main()
