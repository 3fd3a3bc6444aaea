"""FIRE: exact laws, draws, mixed batches, bad input."""

import numpy as np
import pytest
from lawlib import assert_law
from sortes.decode import FIRE, distribution, sample
from vectors import load

CASES = [
    case
    for case in load("decode/truncation.json")["cases"]
    if case["group"] == "distribution" and case["rule"] == "fire"
]
PLACES = {"first": 0, "later": 1}


def parts(case):
    params = dict(case["params"])
    fire = FIRE(params.pop("fire_temperature"), params.pop("fire_top_k"))
    return fire, params, np.array(case["logits"], np.float32)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    fire, rules, logits = parts(case)
    for name, position in PLACES.items():
        law = distribution(logits, **fire.rules(position, **rules))
        np.testing.assert_allclose(law, case["expect"][name], rtol=1e-6, atol=1e-12)


@pytest.mark.law
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_law_of_draws(case):
    n = 250_000
    fire, rules, row = parts(case)
    logits = np.broadcast_to(row, (2 * n, len(row)))
    position = np.arange(2 * n) % 2
    tokens = fire.sample(logits, position, rng=0, **rules)
    for name, place in PLACES.items():
        counts = np.bincount(tokens[position == place], minlength=len(row))
        p = np.array(case["expect"][name])
        assert_law(counts, p / p.sum())


def test_a_mixed_batch_is_its_rows():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (6, 40)).astype(np.float32)
    fire = FIRE(20.0, 8, positions=(0, 3))
    assert repr(fire) == "FIRE(20.0, 8, positions=(0, 3))"
    position = np.array([0, 1, 2, 3, 4, 0])
    rules = {
        "temperature": np.linspace(0.5, 1.5, 6),
        "top_p": 0.7,
        "top_k": 12,
        "min_p": 0.02,
        "typical_p": 0.9,
        "epsilon_cutoff": 1e-3,
        "eta_cutoff": 1e-3,
        "top_a": 0.01,
        "top_n_sigma": 2.0,
        "top_h": 0.9,
        "tfs": 0.99,
        "p_less": True,
        "mirostat_mu": 9.0,
        "xtc_probability": 0.5,
        "xtc_threshold": 0.05,
        "smoothing_factor": 0.1,
    }
    mixed = distribution(logits, **fire.rules(position, **rules))
    for r, row in enumerate(logits):
        own = {name: np.broadcast_to(value, (6,))[r].item() for name, value in rules.items()}
        own = {"temperature": 20.0, "top_k": 8} if r in (0, 3, 5) else own
        np.testing.assert_allclose(mixed[r], distribution(row, **own), rtol=1e-12)


def test_a_rule_that_is_none_stays_off():
    fire = FIRE()
    position = np.array([0, 1])
    mixed = fire.rules(position, top_h=None, mirostat_mu=None, order="vllm")
    assert mixed["top_h"] is None
    assert mixed["mirostat_mu"] is None
    assert mixed["order"] == "vllm"
    np.testing.assert_array_equal(mixed["temperature"], [30.0, 1.0])
    np.testing.assert_array_equal(mixed["top_k"], [16, 0])


def test_later_positions_are_those_of_sample():
    logits = np.random.default_rng(1).normal(0, 3, (50, 40)).astype(np.float32)
    fire = FIRE()
    np.testing.assert_array_equal(
        fire.sample(logits, 5, rng=1, step=5, top_p=0.8), sample(logits, rng=1, step=5, top_p=0.8)
    )
    heated = fire.sample(logits, 0, rng=1, top_p=0.1)
    assert (heated != logits.argmax(1)).mean() > 0.8
    assert fire.sample(logits[0], 0, rng=1).shape == ()
    best = np.sort(logits, axis=1)[:, -16]
    assert (logits[np.arange(50), heated] >= best).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FIRE(0.0), ValueError, r"fire_temperature: must be in \(0, inf\), got 0.0"),
        (
            lambda: FIRE(np.inf),
            ValueError,
            r"fire_temperature: must be in \(0, inf\), got inf",
        ),
        (
            lambda: FIRE(np.nan),
            ValueError,
            r"fire_temperature: must be in \(0, inf\), got nan",
        ),
        (lambda: FIRE(fire_top_k=0), ValueError, "fire_top_k: must be at least 1, got 0"),
        (lambda: FIRE(fire_top_k=1.5), TypeError, "fire_top_k: must be an integer, got 1.5"),
        (lambda: FIRE(positions=(0, -1)), ValueError, "positions: must be at least 0, got -1"),
        (lambda: FIRE(positions=5), TypeError, "positions: must hold integers, got 5"),
        (lambda: FIRE(positions=(0.5,)), TypeError, "positions: must be an integer, got 0.5"),
        (lambda: FIRE().rules(0.5), TypeError, "position: must be an integer, got 0.5"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
