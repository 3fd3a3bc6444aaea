"""How many tokens each rule keeps, of a row where the model is sure and of one where it is not."""

import numpy as np
import sortes

VOCABULARY = 50_257
RULES = {
    "top_k": 50,
    "top_p": 0.95,
    "min_p": 0.05,
    "typical_p": 0.95,
    "epsilon_cutoff": 3e-4,
    "eta_cutoff": 3e-4,
    "top_h": 0.4,
    "top_n_sigma": 1.0,
    "top_a": 0.2,
    "tfs": 0.95,
    "p_less": True,
}


def logits_like(sharpness: float, rng: np.random.Generator) -> np.ndarray:
    """Make logits that fall with the logarithm of the rank, with some noise."""
    rank = rng.permutation(VOCABULARY) + 1
    return (-sharpness * np.log(rank) + rng.normal(0, 0.5, VOCABULARY)).astype(np.float32)


def main() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([logits_like(sharpness, rng) for sharpness in (2.5, 1.3, 0.7)])
    stats = sortes.decode.row_stats(rows)
    print("                       sure      unsure    at a loss")
    print("entropy (nats)   " + "".join(f"{h:12.2f}" for h in stats.entropy))
    law = sortes.decode.distribution(rows)
    for name, value in RULES.items():
        kept = sortes.decode.keep_mask(rows, **{name: value})
        mass = (law * kept).sum(1)
        cells = [f"{n:6d} {m:5.1%}" for n, m in zip(kept.sum(1), mass, strict=True)]
        print(f"{name + '=' + str(value):20}" + " ".join(cells))
    print("\nEach cell: tokens kept, and their mass before it is renormalised.")


if __name__ == "__main__":
    main()
