"""The draw has its law: frequencies, tails, tokens without weight."""

import numpy as np
import pytest
from decode.rules import PAIRS
from lawlib import assert_law, assert_same_law
from sortes.decode import distribution, draw, keep_mask, sample
from vectors import load

pytestmark = pytest.mark.law

GUMBEL = [c for c in load("decode/truncation.json")["cases"] if c["group"] == "gumbel_truncated"]

RULES = [
    {},
    *PAIRS,
    {"min_p": 0.05, "temperature": 2.0, "order": "vllm"},
    {"xtc_probability": 0.4, "xtc_threshold": 0.06},
    {"top_n_sigma": 1.0, "top_k": 9, "temperature": 1.5, "order": "llama.cpp"},
    {"mirostat_mu": 5.0, "dynatemp_range": 0.4},
    {"top_p": 0.8, "ties": "low", "smoothing_factor": 0.1},
]
rules = pytest.mark.parametrize("args", RULES, ids=[",".join(args) or "none" for args in RULES])


def draws(backend, logits, n, block=100_000, **args):
    """`n` tokens of one row, each with a stream of its own."""
    counts = np.zeros(logits.size, np.int64)
    for start in range(0, n, block):
        ids = np.arange(start, min(start + block, n))
        rows = np.broadcast_to(logits, (ids.size, logits.size))
        tokens = backend(sample, rows, rows=ids, **args)
        counts += np.bincount(tokens, minlength=logits.size)
    return counts


@rules
@pytest.mark.parametrize("size", [5, 64])
def test_frequencies(backend, args, size):
    """n = 400,000 on the CPU and 200,000 for Torch operations, which are slower there."""
    logits = np.random.default_rng(size).normal(size=size, scale=1.5).astype(np.float32)
    logits[1::4] = logits[0::4][: logits[1::4].size]  # ties
    counts = draws(backend, logits, 200_000 if backend.is_device else 400_000, rng=21, **args)
    assert_law(counts, backend(distribution, logits, **args))


@rules
def test_frequencies_of_long_rows(args):
    """n = 20,000: the walk goes through chunks, and a token may be rejected and drawn again."""
    n, size = 20_000, 5_000
    logits = np.random.default_rng(0).normal(size=size, scale=0.3).astype(np.float32)
    bins = np.arange(size) // 100
    law = np.bincount(bins, distribution(logits, **args))
    counts = []
    for seed, method in enumerate(("auto", "scan")):
        tokens = sample(
            np.broadcast_to(logits, (n, size)), rng=seed, rows=np.arange(n), method=method, **args
        )
        assert "xtc_probability" in args or keep_mask(logits, **args)[tokens].all()
        counts.append(np.bincount(bins[tokens], minlength=law.size))
        assert_law(counts[-1], law)
    assert_same_law(*counts)


def test_frequencies_of_long_rows_on_a_device(device):
    """n = 4,000."""
    logits = np.random.default_rng(0).normal(size=3000, scale=1.0).astype(np.float32)
    bins = np.arange(3000) // 150
    counts = draws(device, logits, 4000, block=200, rng=3, eta_cutoff=2e-3)
    law = device(distribution, logits, eta_cutoff=2e-3)
    assert_law(np.bincount(bins, counts).astype(np.int64), np.bincount(bins, law))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_the_map_from_uniforms(backend, temperature):
    """Tokens are those of the distribution function, but for uniforms at its jumps."""
    logits = np.random.default_rng(3).normal(size=4000, scale=2.0).astype(np.float32)
    args = {"temperature": temperature, "top_p": 0.95}
    through = np.cumsum(backend(distribution, logits, **args))
    u = np.random.default_rng(4).random(500)
    u = u[np.abs(u[:, None] - through).min(1) > 1e-6]
    tokens = backend(draw, np.broadcast_to(logits, (u.size, 4000)), u, **args)
    np.testing.assert_array_equal(tokens, np.searchsorted(through, u, side="right"))


def test_the_largest_uniform_draws_the_last_token(backend):
    logits = np.full((1, 3000), -1.0, np.float32)
    logits[0, 2500:] = -np.inf
    assert backend(draw, logits, [1 - 2.0**-53]).tolist() == [2499]
    assert backend(draw, logits, [0.0]).tolist() == [0]


def test_tokens_without_weight_are_never_drawn(backend):
    """n = 4,000,000 on the CPU, 200,000 for Torch operations."""
    logits = np.array([-np.inf, 0, -200, -np.inf, 1, -150, -np.inf, -300], np.float32)
    n = 200_000 if backend.is_device else 4_000_000
    counts = draws(backend, logits, n, block=500_000, rng=8)
    assert counts[[0, 2, 3, 5, 6, 7]].sum() == 0
    assert_law(counts[[1, 4]], np.array([1, np.e]) / (1 + np.e))


HEAD, TAIL = 0.999, 262_144


def head_and_tail():
    logits = np.zeros(TAIL + 1, np.float32)
    logits[0] = np.log(HEAD * TAIL / (1 - HEAD))
    return logits


def float32_gumbel_hits(n, seed):
    """How often a race of float32 Gumbel noise ends in the tail.

    The largest of `TAIL` uniforms is drawn by inversion and put on the grid of float32 uniforms,
    multiples of 2**-24: what `-log(-log(torch.rand(...)))` makes of it.
    """
    rng = np.random.default_rng(seed)
    grid = np.float32(2.0**-24)
    head = np.floor(rng.random(n) * 2**24).astype(np.float32) * grid
    tail = np.floor(rng.random(n) ** (1 / TAIL) * 2**24).astype(np.float32) * grid
    with np.errstate(divide="ignore"):
        head, tail = (-np.log(-np.log(u)) for u in (head, tail))
    return int((tail > head + head_and_tail()[0]).sum())


@pytest.mark.slow
def test_the_tail_is_drawn():
    """n = 100,000: 100 draws are expected in the tail, and float32 Gumbel noise makes none."""
    n = 100_000
    logits = head_and_tail()
    counts = np.zeros(2, np.int64)
    tokens = np.concatenate(
        [
            sample(np.broadcast_to(logits, (5000, TAIL + 1)), rng=2, rows=np.arange(5000) + start)
            for start in range(0, n, 5000)
        ]
    )
    counts = np.bincount(tokens > 0, minlength=2)
    assert_law(counts, [HEAD, 1 - HEAD])
    # Over the tail as well: its tokens are equal.
    eighths = np.bincount((tokens[tokens > 0] - 1) * 2 // TAIL, minlength=2)
    assert abs(int(eighths[0]) - int(eighths[1])) < 5 * np.sqrt(counts[1])

    hits = float32_gumbel_hits(n, seed=2)
    assert hits == 0
    with pytest.raises(AssertionError, match=r"binomial|chi-square"):
        assert_law(np.array([n - hits, hits]), [HEAD, 1 - HEAD])


def test_the_tail_is_there_for_every_uniform(backend):
    logits = head_and_tail()
    into = np.linspace(0.01, 0.99, 20)  # how far into the tail
    u = HEAD + (1 - HEAD) * into
    tokens = backend(draw, np.broadcast_to(logits, (20, logits.size)), u)
    # The head's weight is a float32 exponential: a relative error of 1e-7 there is 1e-4 here.
    np.testing.assert_allclose((tokens - 1) / TAIL, into, atol=3e-4)


def conditioned_law(logits, largest):
    """The law of the Gumbel race whose noise is conditioned to be at most `largest`.

    Zheng et al., "Masked Diffusion Models are Secretly Time-Agnostic Masked Models and Exploit
    Inaccurate Categorical Sampling", arXiv:2409.02908.
    """
    order = np.argsort(logits, kind="stable")
    x = logits[order].astype(np.float64)
    n, e = x.size, np.exp(-largest)
    z = np.cumsum(np.exp(x[::-1]))[::-1]  # z[j] = sum of exp(x) from j on
    j = np.arange(n)
    upper = np.exp(-z * np.exp(-x) * e + (n - j) * e)
    below = np.concatenate([[-np.inf], x[:-1]])
    with np.errstate(over="ignore"):
        lower = np.where(j > 0, np.exp(-z * np.exp(-below) * e + (n - j) * e), 0.0)
    # Token i may have won while the noise of the j smallest could not have: a telescoping sum.
    steps = np.cumsum((upper - lower) / z)
    p = np.empty(n)
    p[order] = np.exp(x) * steps
    return p


def conditioned_race(logits, largest, n, seed):
    """Simulate it: Gumbel noise below `largest`, by inversion."""
    u = np.random.default_rng(seed).random((n, logits.size)) * np.exp(-np.exp(-largest))
    winners = np.argmax(logits - np.log(-np.log(u)), axis=1)
    return np.bincount(winners, minlength=logits.size)


@pytest.mark.parametrize("case", GUMBEL, ids=[case["id"] for case in GUMBEL])
def test_noise_that_is_cut_off_has_another_law(backend, case):
    """n = 200,000: the race with bounded noise follows its formula; we follow the softmax."""
    logits, largest = np.array(case["logits"], np.float32), case["params"]["M"]
    law = conditioned_law(logits, largest)
    np.testing.assert_allclose(law, case["expect"]["truncated"], rtol=1e-9)
    race = conditioned_race(logits, largest, 200_000, seed=6)
    assert_law(race, law / law.sum())

    exact = np.array(case["expect"]["exact"])
    assert_law(draws(backend, logits, 200_000, rng=6), exact / exact.sum())
    if np.abs(exact - law).max() > 0.01:
        with pytest.raises(AssertionError, match="chi-square"):
            assert_law(race, exact / exact.sum())
