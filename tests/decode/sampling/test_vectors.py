"""The recorded vectors: kept sets, laws, draws and statistics in float64, on every backend."""

import numpy as np
import pytest
from sortes.decode import (
    critical,
    cutoffs,
    distribution,
    draw,
    keep_mask,
    row_stats,
    sample,
    truncate,
)
from vectors import load

ALL = load("decode/truncation.json")["cases"]

# On eight equal tokens the recorded sums were rounded; these are the sets of exact arithmetic.
EXACT = {
    "tie-top_p-8-0.5-lenient": [3, 4, 5, 6, 7],
    "tie-top_p-8-0.5-exclude": [4, 5, 6, 7],
    "tie-top_p-8-0.25-lenient": [5, 6, 7],
    "tie-top_p-8-0.25-exclude": [6, 7],
    "tie-pless-8": [0, 1, 2, 3, 4, 5, 6, 7],
}

# What the recorded parameters are called in the interface; each rule with what turns it on.
NAMES = {
    "variant": "top_p_boundary",
    "n_sigma": "top_n_sigma",
    "ddof": "sigma_ddof",
    "normalized": "p_less_normalized",
    "mu": "mirostat_mu",
}
EPSILON = {"epsilon": "epsilon_cutoff", "eta": "eta_cutoff"}
ON = {"p_less": {"p_less": True}, "xtc_active": {"xtc_probability": 1.0}}
ORDER_NAMES = {"mirostat_v2": "mirostat", "xtc_active": "xtc"}


def cases(*groups, rule=None):
    chosen = [c for c in ALL if c["group"] in groups and rule in (None, c.get("rule"))]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[c["id"] for c in chosen])


def logits_of(case):
    return np.array(case["logits"], dtype=object).astype(np.float32)


def arguments(rule, params):
    renamed = {
        EPSILON.get(rule) if n == "epsilon" else NAMES.get(n, n): v for n, v in params.items()
    }
    return renamed | ON.get(rule, {})


def pipeline(steps):
    args = {"order": tuple(ORDER_NAMES.get(step["rule"], step["rule"]) for step in steps)}
    for step in steps:
        args |= arguments(step["rule"], {k: v for k, v in step.items() if k != "rule"})
    return args


def cubic(gen):
    ids = np.arange(gen["V"], dtype=np.uint64)
    x = ((ids * np.uint64(2654435761) + np.uint64(gen["seed"])) % np.uint64(2**32)) / 2.0**32
    return (gen["a"] * x * x * x - gen["b"]).astype(np.float32)


@cases("keep", "keep_finite")
def test_kept_sets(backend, case):
    logits, expect = logits_of(case), case["expect"]
    args = arguments(case["rule"], case["params"])
    finite = np.isfinite(logits)
    kept = backend(keep_mask, logits, **args)
    wanted = EXACT.get(case["id"], expect.get("keep", expect.get("keep_finite")))
    assert np.flatnonzero(kept & finite).tolist() == [i for i in wanted if finite[i]]

    truncated = backend(truncate, logits, filter_value=-1e4, **args)
    np.testing.assert_array_equal(truncated, np.where(kept | ~finite, logits, np.float32(-1e4)))
    ends = backend(cutoffs, logits, **args)
    np.testing.assert_array_equal(ends, [logits[kept].min(), logits[kept].max()])
    if "kept_probs" in expect and case["id"] not in EXACT:
        law = backend(distribution, logits, **args)
        np.testing.assert_allclose(law[expect["keep"]], expect["kept_probs"], rtol=1e-6)
        assert law[~kept].sum() == 0


@cases("keep")
def test_statistics(backend, case):
    logits, expect = logits_of(case), case["expect"]
    stats = backend(row_stats, logits)
    np.testing.assert_allclose(stats.lse, expect["lse"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(stats.entropy, expect["entropy"], rtol=1e-6, atol=1e-9)
    finite = logits[np.isfinite(logits)].astype(np.float64)
    assert (stats.max, stats.n_finite) == (finite.max(), finite.size)
    assert stats.argmax == np.argmax(logits)
    np.testing.assert_allclose(stats.mean, finite.mean(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(stats.std, finite.std(), rtol=1e-9, atol=1e-9)
    p = np.exp(finite - expect["lse"])
    np.testing.assert_allclose(stats.collision, (p**2).sum(), rtol=1e-6)


@cases("batch")
def test_parameters_row_by_row(backend, case):
    kept = backend(keep_mask, logits_of(case), **case["params"])
    assert [np.flatnonzero(row).tolist() for row in kept] == case["expect"]["keep"]


@cases("generated")
def test_large_vocabularies(backend, case):
    logits, expect = cubic(case["gen"]), case["expect"]
    stats = backend(row_stats, logits)
    np.testing.assert_allclose(stats.lse, expect["lse"], rtol=1e-7)
    np.testing.assert_allclose(stats.entropy, expect["entropy"], rtol=1e-6)
    np.testing.assert_allclose(stats.collision, expect["collision"], rtol=1e-6)
    assert stats.argmax == expect["argmax"]
    for rule in expect["rules"]:
        args = arguments(rule["rule"], rule["params"])
        kept = backend(keep_mask, logits, **args)
        assert kept.sum() == rule["keep_count"], rule
        if "kept_mass" in rule:
            drawn = backend(sample, logits, rng=0, logprobs=0, **args)
            np.testing.assert_allclose(drawn.mass, rule["kept_mass"], rtol=1e-6)
    u = case["draw"]["u"]
    rows = np.broadcast_to(logits, (len(u), logits.size))
    assert backend(draw, rows, u).tolist() == case["draw"]["token"]


@cases("pipeline")
def test_pipelines(backend, case):
    args, expect = pipeline(case["steps"]), case["expect"]
    logits = logits_of(case)
    assert np.flatnonzero(backend(keep_mask, logits, **args)).tolist() == expect["keep"]
    law = backend(distribution, logits, **args)
    np.testing.assert_allclose(law[expect["keep"]], expect["probs"], rtol=1e-6)
    peer = case["id"].split("-")[1]
    named = args | {"order": {"llamacpp": "llama.cpp"}.get(peer, peer)}
    np.testing.assert_array_equal(backend(distribution, logits, **named), law)


@cases("joint")
def test_joint_order(backend, case):
    logits, params = logits_of(case), case["params"]
    joint = backend(keep_mask, logits, order="joint", **params)
    first = backend(keep_mask, logits, **params)
    assert np.flatnonzero(joint).tolist() == case["expect"]["joint"]
    assert np.flatnonzero(first).tolist() == case["expect"]["top_k_first"]


@cases("draw")
def test_draws(backend, case):
    logits, u = logits_of(case), case["u"]
    rows = np.broadcast_to(logits, (len(u), logits.size))
    assert backend(draw, rows, u, **pipeline(case["steps"])).tolist() == case["expect"]["token"]


@cases("scalar", rule="dynamic_temperature")
def test_dynamic_temperature(backend, case):
    logits, params = logits_of(case), case["params"]
    law = backend(
        distribution,
        logits,
        temperature=(params["low"] + params["high"]) / 2,
        dynatemp_range=(params["high"] - params["low"]) / 2,
        dynatemp_exponent=params["exponent"],
    )
    best, least = logits.argmax(), logits.argmin()
    temperature = (logits[best] - logits[least]) / np.log(law[best] / law[least])
    np.testing.assert_allclose(temperature, case["expect"]["temperature"], rtol=1e-6)


@cases("transform", rule="quadratic")
def test_smoothing(backend, case):
    smooth = backend(truncate, logits_of(case), **case["params"])
    np.testing.assert_allclose(smooth, case["expect"]["logits"], rtol=1e-6, atol=1e-6)


@cases("critical")
def test_critical(backend, case):
    logits = logits_of(case)
    for rule, values in case["expect"].items():
        name = rule.removesuffix("_mass_before")
        np.testing.assert_allclose(
            backend(critical, logits, rule=name), values, rtol=1e-6, atol=1e-9, err_msg=rule
        )
    rank = [1 + (logits > own).sum() for own in logits]
    assert backend(critical, logits, rule="top_k").tolist() == rank


@cases("distribution", rule="xtc")
def test_xtc_law(backend, case):
    law = backend(distribution, logits_of(case), **case["params"])
    np.testing.assert_allclose(law, case["expect"]["probs"], rtol=1e-6)


@cases("logprobs")
def test_logprobs(backend, case):
    logits, expect = logits_of(case), case["expect"]
    # Row r allows token r alone; raw log-probabilities are those of the logits as given.
    rows = np.tile(logits, (logits.size, 1))
    allowed = np.eye(logits.size, dtype=bool)
    n = case["params"]["top_logprobs"]
    drawn = backend(sample, rows, mask=allowed, rng=0, logprobs=n)
    assert drawn.tokens.tolist() == list(range(logits.size))
    assert drawn.rank.tolist() == expect["rank"]
    assert (drawn.top_ids == expect["top_ids"]).all()
    np.testing.assert_allclose(drawn.logprob, expect["logprobs"], rtol=1e-6)
    np.testing.assert_allclose(
        drawn.top_logprobs[0], np.array(expect["logprobs"])[expect["top_ids"]], rtol=1e-6
    )
