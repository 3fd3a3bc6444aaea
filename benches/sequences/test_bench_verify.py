"""Verification of drafts beside plain draws, beside a read of the rows, and beside transformers."""

import numpy as np
import pytest
import torch
from sortes.decode import distribution, sample
from sortes.sequences import (
    acceptance_rate,
    gumbel_topk,
    optimal_acceptance,
    verify_multi,
    verify_tokens,
)

from benches.turns import peer, processor, turns

V, GAMMA, TEXTS = 151_936, 5, 4
RULES = {"no rule": {}, "top-k 50": {"top_k": 50}, "top-p 0.9": {"top_p": 0.9}}
PASSES = 2.5  # times a read of both models' rows


def cases(rules, noise=0.3):
    """Drafts of texts, the target's rows and the draft's, and the target's own tokens."""
    rng = np.random.default_rng(0)
    for text in range(TEXTS):
        target = (2.5 * rng.normal(size=(GAMMA + 1, V))).astype(np.float32)
        draft = (target[:GAMMA] + noise * rng.normal(size=(GAMMA, V))).astype(np.float32)
        drawn = [sample(draft[i], rng=text, step=i, **rules) for i in range(GAMMA)]
        plain = [sample(target[i], rng=text, step=i, **rules) for i in range(GAMMA)]
        yield target, draft, np.array(drawn), np.array(plain)


def transformers_verifier(module):
    """The function of transformers' assisted generation: the laws after the rules as logits."""

    def verify(target, draft, drawn):
        ids = torch.from_numpy(drawn)[None]
        return module._speculative_sampling(ids, draft[None], GAMMA, target[None])

    return verify


@pytest.mark.parametrize("name", RULES)
def test_by_drawing(benchmark, name):
    """All of the draft stands: as many draws as plain decoding makes."""
    rules, texts = RULES[name], list(cases(RULES[name]))

    def ours(turn):
        target, _, _, plain = texts[turn % TEXTS]
        return verify_tokens(plain, target, rng=turn % TEXTS, num_threads=1, **rules)

    def draws(turn):
        target = texts[turn % TEXTS][0]
        return [
            sample(target[i], rng=turn % TEXTS, step=i, num_threads=1, **rules)
            for i in range(GAMMA + 1)
        ]

    assert np.array_equal(ours(1).tokens, draws(1))
    turns(benchmark, "Verification by drawing", {"V": V, "rules": name}, {"sortes": ours}, {},
          yardsticks={"decode.sample": draws}, goal={"decode.sample": 1.0}, clock=processor,
          seconds=0.3)  # fmt: skip


@pytest.mark.parametrize("method", ["token", "block"])
@pytest.mark.parametrize("name", RULES)
def test_of_sampled_drafts(benchmark, name, method):
    rules, texts = RULES[name], list(cases(RULES[name]))
    tensors = [tuple(map(torch.from_numpy, text[:2])) for text in texts]

    def ours(turn):
        target, draft, drawn, _ = texts[turn % TEXTS]
        return verify_tokens(drawn, target, draft, method=method, rng=turn, num_threads=1, **rules)

    def reads(turn):
        target, draft, *_ = texts[turn % TEXTS]
        return target.max(1), draft.max(1)

    def draws(turn):
        return [sample(rows, rng=turn, num_threads=1, **rules) for rows in texts[turn % TEXTS][:2]]

    others = {}
    if not rules:  # its function takes rows that rules have been applied to

        def made(module):
            verify = transformers_verifier(module)
            return lambda turn: verify(*tensors[turn % TEXTS], texts[turn % TEXTS][2])

        others["transformers"] = peer("transformers.generation.utils", made)
    turns(benchmark, "Verification of sampled drafts",
          {"V": V, "gamma": GAMMA, "rules": name, "method": method}, {"sortes": ours}, others,
          yardsticks={"read of the rows": reads, "decode.sample of the rows": draws},
          goal={"read of the rows": PASSES}, clock=processor, seconds=0.3)  # fmt: skip


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("name", ["top-k 50", "no rule"])
def test_several_drafts(benchmark, name, k):
    """Time of each scheme, and how often it accepts beside the optimum."""
    rules, texts = RULES[name], list(cases(RULES[name], 1.0))

    def drafts_of(method, turn, n=1):
        draft = np.broadcast_to(texts[turn % TEXTS][1][0], (n, V))
        if method == "rrs":
            kept = np.log(np.maximum(distribution(draft[0], **rules), 1e-300))
            return gumbel_topk(np.broadcast_to(kept, (n, V)), k, rng=turn).indices
        return np.stack([sample(draft, rng=turn, step=9 + i, **rules) for i in range(k)], 1)

    def verified(method, turn, drafts):
        target, draft, *_ = texts[turn % TEXTS]
        shape = (len(drafts), V)
        return verify_multi(drafts, np.broadcast_to(target[0], shape),
                            np.broadcast_to(draft[0], shape), method=method, rng=turn,
                            num_threads=1, **rules)  # fmt: skip

    ready = {m: [drafts_of(m, t) for t in range(TEXTS)] for m in ("rrs", "kseq", "optimal")}

    def verifying(method):
        return lambda turn: verified(method, turn % TEXTS, ready[method][turn % TEXTS])

    laws = [
        (distribution(text[0][0], **rules), distribution(text[1][0], **rules)) for text in texts
    ]
    n = 100

    def rate(method):
        found = [verified(method, t, drafts_of(method, t, n)) for t in range(TEXTS)]
        return float(np.mean([one.accepted >= 0 for one in found]))

    accepted = {method: rate(method) for method in ready}
    record = turns(benchmark, "Several drafts", {"V": V, "rules": name, "k": k},
                   {method: verifying(method) for method in ready}, {}, clock=processor,
                   seconds=0.2)  # fmt: skip
    record["more"] = {
        "accepted": {
            **accepted,
            "one draft": float(np.mean([acceptance_rate(p, q) for p, q in laws])),
            "optimum": float(np.mean([optimal_acceptance(p, q, k) for p, q in laws])),
        }
    }
