"""Laws of verified texts beside transformers': its set-up of a default top-k, and shared noise.

transformers' figures are printed beside ours (``-s`` shows them).
"""

from pathlib import Path

import numpy as np
import pytest
from lawlib import assert_law
from sortes.decode import distribution, sample
from sortes.sequences import verify_tokens

torch = pytest.importorskip("torch")
utils = pytest.importorskip("transformers.generation.utils")
ROWS = next(Path(__file__).parents[1].glob("data/**/smollm_rows.npz"))
DRAWS = 200_000


def distance(a, b):
    return 0.5 * float(np.abs(a - b).sum())


def committed(p, q_drawn, q_said):
    """The law of the first token of speculative sampling, if the draft is drawn from one law and
    another is said to be it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        accept = np.where(q_drawn > 0, np.minimum(1, p / q_said), 0)
    left = np.maximum(p - q_said, 0)
    left = left / left.sum() if left.sum() > 0 else p
    return q_drawn * accept + (1 - (q_drawn * accept).sum()) * left


def test_a_default_top_k_on_one_side_only():
    """transformers #47932: the draft is drawn after top-k 50, its raw law goes to the verifier.

    Rows of SmolLM2-135M; the draft has another row of it mixed in. With one set of rules for both
    the law is that of the target.
    """
    with np.load(ROWS) as file:
        rows = file["logits"].astype(np.float32)
    theirs, ours = [], []
    for i in range(min(12, len(rows))):
        target = rows[i]
        draft = (0.8 * rows[i] + 0.2 * rows[(i + 1) % len(rows)]).astype(np.float32)
        p, q = distribution(target, top_k=50), distribution(draft, top_k=50)
        theirs.append(distance(p, committed(p, q, distribution(draft))))
        ours.append(distance(p, committed(p, q, q)))
    print(f"total variation to the target, top_k=50, {len(theirs)} rows of SmolLM2-135M: "
          f"q raw up to {max(theirs):.3f}, mean {np.mean(theirs):.3f}; "
          f"rules on both at most {max(ours):.1e}")  # fmt: skip
    assert max(theirs) > 0.05
    assert max(ours) < 1e-6
    # And what is drawn: the worst row, in 256 groups of tokens.
    worst = int(np.argmax(theirs))
    target = rows[worst]
    draft = (0.8 * target + 0.2 * rows[(worst + 1) % len(rows)]).astype(np.float32)
    top = np.sort(np.concatenate([np.argsort(-target)[:400], np.argsort(-draft)[:400]]))
    top = np.unique(top)
    target, draft = target[top], draft[top]
    n = 40_000
    p = distribution(target, top_k=50)
    beside = np.broadcast_to(draft, (n, 1, len(top)))
    tokens = sample(beside[:, 0], top_k=50, rng=1)[:, None]
    found = verify_tokens(tokens, np.broadcast_to(target, (n, 2, len(top))), beside, top_k=50,
                          method="token", rng=1)  # fmt: skip
    assert_law(np.bincount(found.tokens[:, 0], minlength=len(top)), p)


def test_transformers_own_verifier():
    """Its function with the law that was drawn from is lossless too; with the raw one it is not."""
    rng = np.random.default_rng(5)
    target = rng.normal(size=12).astype(np.float32)
    draft = (target + 0.5 * rng.normal(size=12)).astype(np.float32)
    p, q = distribution(target, top_k=4), distribution(draft, top_k=4)
    raw = distribution(draft)
    n, torch_logits = 4_000, lambda law: torch.tensor(np.log(np.maximum(law, 1e-30)))[None, None]
    torch.manual_seed(0)
    tokens = rng.choice(12, n, p=q / q.sum())
    counts = {}
    for name, said in (("processed", q), ("raw", raw)):
        counts[name] = np.zeros(12, np.int64)
        new_logits = torch.cat([torch_logits(p)] * 2, 1)
        for token in tokens:
            text, _ = utils._speculative_sampling(
                torch.tensor([[0, token]]), torch_logits(said), 1, new_logits
            )
            counts[name][int(text[0, 0])] += 1
    off = {name: distance(count / n, p) for name, count in counts.items()}
    exact = distance(committed(p, q, raw), p)
    print(f"transformers' _speculative_sampling, {n} tokens: off by {off['processed']:.3f} with "
          f"the law drawn from, {off['raw']:.3f} with the raw one ({exact:.3f})")  # fmt: skip
    assert exact > 0.05
    assert off["raw"] > 0.6 * exact
    assert off["processed"] < 0.03
    beside = np.broadcast_to(draft, (DRAWS, 1, 12))
    drafted = sample(beside[:, 0], top_k=4, rng=2)[:, None]
    for method in ("token", "block"):
        found = verify_tokens(drafted, np.broadcast_to(target, (DRAWS, 2, 12)), beside, top_k=4,
                              method=method, rng=2)  # fmt: skip
        assert_law(np.bincount(found.tokens[:, 0], minlength=12), p)


def test_noise_that_a_draft_shares_with_its_verifier():
    """vLLM #47386: the noise that drew a token drew what replaces it. Its rule, in float64, is off.

    Here one seed may draft and verify: the numbers differ by purpose.
    """
    rng = np.random.default_rng(1)
    p, q = np.array([0.1, 0.45, 0.25, 0.2]), np.array([0.6, 0.25, 0.05, 0.1])
    noise = rng.exponential(size=(DRAWS, 4))
    tokens = (noise / q).argmin(1)
    accept = rng.random(DRAWS) * q[tokens] < p[tokens]
    with np.errstate(divide="ignore"):
        again = (noise / np.maximum(p - q, 0)).argmin(1)
    off = distance(np.bincount(np.where(accept, tokens, again), minlength=4) / DRAWS, p)
    print(f"noise of the draft used again: off by {off:.4f}")
    assert off > 0.01
    for seed in (0, 1):
        logits = np.log(np.stack([q, p]))
        drafted = sample(np.broadcast_to(logits[0], (DRAWS, 4)), rng=seed)[:, None]
        for method in ("token", "block"):
            found = verify_tokens(drafted, np.broadcast_to(logits[1], (DRAWS, 2, 4)),
                                  np.broadcast_to(logits[0], (DRAWS, 1, 4)), method=method,
                                  rng=seed)  # fmt: skip
            assert_law(np.bincount(found.tokens[:, 0], minlength=4), p)
