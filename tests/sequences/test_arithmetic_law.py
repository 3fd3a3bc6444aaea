"""The law of arithmetic sampling: exact marginals, rounded counts, exact variances, any length."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lawlib import assert_law, assert_mean
from sequences.models import TableModel
from sortes.sequences import ArithmeticCodes, arithmetic_codes
from vectors import load

VECTORS = load("sequences/arithmetic.json")
CODEBOOKS = {
    "lattice": "var_lattice",
    "stratified": "var_stratified",
    "t5x": "var_lattice_n_plus_1",
}
ORDERS = ["id", "probability", "random"]
REPLICATES = 20_000


@functools.cache
def model_and_values(name):
    model = TableModel.of(VECTORS, name)
    (moments,) = (m for m in VECTORS["moments"] if m["lm"] == name)
    values = np.array([moments["f"][",".join(map(str, text))] for text in model.texts])
    law = np.array([moments["leaves"][",".join(map(str, text))] for text in model.texts])
    assert model.law == pytest.approx(law, rel=1e-5)
    return model, values, {case["n"]: case for case in moments["cases"]}


@pytest.mark.law
@pytest.mark.parametrize("name", ["A", "C"])
@pytest.mark.parametrize("codebook", CODEBOOKS)
@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_moments(name, codebook, n):
    """The mean over `n` texts is unbiased, and has the variance of the vectors."""
    model, values, cases = model_and_values(name)
    codes = ArithmeticCodes(REPLICATES, n, codebook=codebook, rng=n)
    means = values[model.draw(codes)].reshape(REPLICATES, n).mean(1)
    mean, variance = cases[n]["mean"], cases[n][CODEBOOKS[codebook]]
    assert_mean(means, mean, variance)
    assert_mean((means - mean) ** 2, variance)


@pytest.mark.law
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codebook", [*CODEBOOKS, "explicit"])
def test_every_text_is_an_exact_sample(backend, codebook, order):
    """Text by text, whatever its place among the codes."""
    model, _, _ = model_and_values("C")
    draws, n = 100_000, 3 if codebook != "explicit" else 1
    spread = {"codebook": codebook}
    if codebook == "explicit":
        spread = {"codes": np.random.default_rng(0).random((draws, 1))}
    codes = ArithmeticCodes(draws // n, n, token_order=order, rng=0, **spread)
    step = lambda logits, **given: backend(codes.step, logits, waits=True, **given)  # noqa: E731
    drawn = model.draw(codes, step).reshape(-1, n)
    for place in range(n):
        assert_law(np.bincount(drawn[:, place], minlength=len(model.texts)), model.law)


@pytest.mark.law
def test_one_code_is_ordinary_sampling():
    model, _, _ = model_and_values("A")
    drawn = model.draw(ArithmeticCodes(100_000, 1, rng=3))
    assert_law(np.bincount(drawn, minlength=len(model.texts)), model.law)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(2, 6),
    max_len=st.integers(1, 4),
    spread=st.sampled_from([0.0, 0.5, 2.0, 6.0]),
    n=st.integers(1, 300),
    order=st.sampled_from(["id", "probability"]),
)
def test_counts_of_a_lattice_are_rounded(seed, size, max_len, spread, n, order):
    """Every beginning of probability P comes floor(n P) or ceil(n P) times."""
    model = TableModel.random(np.random.default_rng(seed), size, max_len, spread)
    drawn = model.draw(ArithmeticCodes(1, n, token_order=order, rng=seed))
    counts = np.bincount(drawn, minlength=len(model.texts))
    slack = 1e-4  # weights are float32
    assert np.abs(counts - n * model.law).max() < 1 + slack
    for beginning, p in model.beginnings.items():
        came = sum(
            count
            for text, count in zip(model.texts, counts, strict=True)
            if text[: len(beginning)] == beginning
        )
        assert abs(came - n * p) < 1 + slack


def test_texts_of_a_lattice_are_rounded_in_a_random_order():
    """The order is another one at each step, but the same for all texts."""
    model = TableModel.random(np.random.default_rng(5), 5, 3, 1.0)
    for seed in range(20):
        drawn = model.draw(ArithmeticCodes(1, 100, token_order="random", rng=seed))
        counts = np.bincount(drawn, minlength=len(model.texts))
        assert np.abs(counts - 100 * model.law).max() < 1 + 1e-4


def test_a_stratified_text_comes_at_most_twice():
    model = TableModel.random(np.random.default_rng(8), 6, 4, 0.0)
    n = 200
    assert model.law.max() > 1 / n  # the end comes early
    for seed in range(20):
        drawn = model.draw(ArithmeticCodes(1, n, codebook="stratified", rng=seed))
        counts = np.bincount(drawn, minlength=len(model.texts))
        assert counts[n * model.law < 1].max() <= 2


LENGTH = 400
COIN = np.zeros(2, np.float32)


def flips(codes):
    """A text of fair coins for each code."""
    logits = np.broadcast_to(COIN, (len(codes), 2))
    return np.stack([codes.step(logits) for _ in range(LENGTH)], 1)


def assert_fair(tokens):
    """A runs test, and more: four flips in a row are any of sixteen."""
    words = tokens[:, : tokens.shape[1] // 4 * 4].reshape(-1, 4) @ [8, 4, 2, 1]
    assert_law(np.bincount(words, minlength=16), np.full(16, 1 / 16))
    changes = np.abs(np.diff(tokens, axis=1)).sum(1)  # runs less one: binomial
    assert_mean(changes, (tokens.shape[1] - 1) / 2, (tokens.shape[1] - 1) / 4)


@pytest.mark.law
def test_codes_are_never_used_up():
    tokens = flips(ArithmeticCodes(1_000, 1, rng=0))
    for part in (tokens[:, :100], tokens[:, 300:]):
        assert_fair(part)
    spread = flips(ArithmeticCodes(1, 10_000, rng=1))
    assert len(np.unique(spread, axis=0)) == 10_000
    given = flips(ArithmeticCodes(1_000, 1, codes=arithmetic_codes(1_000, rng=3)[:, None], rng=2))
    assert_fair(given[:, 300:])


@pytest.mark.law
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_in_floating_point_are(dtype):
    """What the published decoders do, and why ours has integers."""
    code = np.random.default_rng(0).random(1_000).astype(dtype)
    tokens = np.empty((1_000, LENGTH), np.int64)
    half = dtype(0.5)
    for position in range(LENGTH):
        tokens[:, position] = code >= half
        code = (code - half * tokens[:, position].astype(dtype)) / half
    assert_fair(tokens[:, :20])
    with pytest.raises(AssertionError):
        assert_fair(tokens[:, 300:])
    assert not tokens[:, 300:].any()


@pytest.mark.law
def test_xtc_acts_on_all_texts_of_a_prompt():
    prompts, n = 2_000, 4
    codes = ArithmeticCodes(prompts, n, rng=0)
    logits = np.broadcast_to(np.log(np.float32([0.5, 0.3, 0.2])), (prompts * n, 3))
    rules = {"xtc_probability": 0.5, "xtc_threshold": 0.25}
    best = (codes.step(logits, **rules).reshape(prompts, n) == 0).any(1)
    # Where it acts the best token never comes; where not, in two texts of four.
    assert_law(np.bincount(best, minlength=2), [0.5, 0.5])
    again = (codes.step(logits, **rules).reshape(prompts, n) == 0).any(1)
    assert_law(np.bincount(2 * best + again, minlength=4), np.full(4, 0.25))
