"""The tables of verification.md: how often drafts stand, by method, over many pairs of laws.

python docs/sequences/acceptance.py
"""

import numpy as np
from sortes.decode import sample
from sortes.sequences import (
    acceptance_rate,
    gumbel_topk,
    optimal_acceptance,
    race_sample,
    verify_multi,
    verify_tokens,
)

PAIRS, DRAWS, WIDTH, GAMMA = 200, 2_000, 6, 5


def main() -> None:
    """Print both tables."""
    rng = np.random.default_rng(0)
    pairs = rng.dirichlet(np.ones(WIDTH), (PAIRS, 2))
    target, draft = np.repeat(np.log(pairs), DRAWS, 0).transpose(1, 0, 2)

    head = "k | one draft | rrs | kseq | optimal | rrs, distinct"
    print(f"| {head} | optimum, independent | optimum, distinct |")
    print("|---|---|---|---|---|---|---|---|")
    for k in (2, 3, 4):
        independent = np.stack([sample(draft, rng=1, step=9 + i) for i in range(k)], 1)
        distinct = gumbel_topk(draft, k, rng=1).indices
        taken = [
            float(np.mean(verify_multi(drafts, target, draft, method=method, rng=2,
                                       replacement=replacement).accepted >= 0))
            for method, replacement, drafts in (
                ("rrs", True, independent), ("kseq", True, independent),
                ("optimal", True, independent), ("rrs", False, distinct),
            )
        ]  # fmt: skip
        one = acceptance_rate(pairs[:, 0], pairs[:, 1]).mean()
        best = [
            np.mean([optimal_acceptance(p, q, k, replacement=replacement) for p, q in pairs])
            for replacement in (True, False)
        ]
        print(f"| {k} |", " | ".join(f"{share:.3f}" for share in (one, *taken, *best)), "|")

    print("\n| method | tokens that stand, of 5 | of a draft that is given beforehand |")
    print("|---|---|---|")
    chains = rng.dirichlet(np.full(WIDTH, 0.5), (PAIRS * 10, GAMMA + 1))
    noise = rng.normal(0, 0.5, (PAIRS * 10, GAMMA, WIDTH))
    p = np.log(np.repeat(chains, DRAWS // 20, 0))
    q = p[:, :GAMMA] + np.repeat(noise, DRAWS // 20, 0)
    drawn = {
        how: np.stack([how(q[:, i], rng=3, step=i) for i in range(GAMMA)], 1)
        for how in (sample, race_sample)
    }
    best = q.argmax(-1)
    given = verify_tokens(best, p, rng=4).num_accepted.mean()
    for method in ("draw", "race", "token", "block"):
        tokens = drawn[race_sample if method == "race" else sample]
        beside = (q,) if method in ("token", "block") else ()
        seed = 3 if method == "race" else 4
        stand = verify_tokens(tokens, p, *beside, method=method, rng=seed).num_accepted.mean()
        print(f"| `{method}` | {stand:.2f} | {f'{given:.2f}' if method == 'draw' else ''} |")


if __name__ == "__main__":
    main()
