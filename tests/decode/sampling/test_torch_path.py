"""Tensors on a device: what differs from the kernels, and what must not."""

import importlib

import numpy as np
import pytest
import sortes
from decode.rules import SWITCHES
from sortes import _core, _philox
from sortes.decode import (
    Rules,
    critical,
    cutoffs,
    distribution,
    draw,
    keep_mask,
    row_stats,
    sample,
    truncate,
)
from sortes.decode._table import rules_with

torch = pytest.importorskip("torch")

EVERY_RULE = {name: values.rows for name, values in SWITCHES.items()}
EVERY_RULE["min_tokens_to_keep"] = [1, 2, 3, 4]


def rows(shape=(4, 300), seed=0):
    return np.random.default_rng(seed).normal(size=shape, scale=3.0).astype(np.float32)


@pytest.mark.parametrize("order", ["hf", "vllm", "llama.cpp", "joint"])
@pytest.mark.parametrize("name", EVERY_RULE)
def test_one_rule_agrees_with_the_kernels(device, name, order):
    x = rows(seed=len(name))
    rules = Rules(**{name: EVERY_RULE[name]}, order=order, xtc_threshold=0.02)
    assert_agreement(device, x, rules)


@pytest.mark.parametrize("seed", range(20))
def test_random_rules_agree_with_the_kernels(device, seed):
    rng = np.random.default_rng(seed)
    names = rng.choice(list(EVERY_RULE), 4, replace=False)
    args = {name: rng.permutation(EVERY_RULE[name]) for name in names}
    args["order"] = ["hf", "vllm", "llama.cpp", "joint"][seed % 4]
    args["ties"] = ["high", "low", "all"][seed % 3]
    args["top_p_boundary"] = ["smallest", "lenient", "ties_all", "exclude"][seed // 5]
    assert_agreement(device, rows(seed=seed), Rules(**args, xtc_threshold=0.02))


def assert_agreement(device, x, rules):
    args = {"rng": 7, "step": 3}
    np.testing.assert_array_equal(device(keep_mask, x, rules, **args), keep_mask(x, rules, **args))
    np.testing.assert_allclose(device(distribution, x, rules), distribution(x, rules), rtol=1e-6)
    np.testing.assert_array_equal(device(cutoffs, x, rules, **args), cutoffs(x, rules, **args))
    np.testing.assert_allclose(
        device(truncate, x, rules, **args), truncate(x, rules, **args), rtol=1e-6
    )
    for mode in ("raw", "processed"):
        asked = {"logprobs": 3, "logprobs_mode": mode, "method": "scan"}
        ours = device(sample, x, rules, **args, **asked)
        for got, wanted in zip(ours, sample(x, rules, **args, **asked), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


def test_statistics_agree_with_the_kernels(device):
    x = rows()
    x[1, ::2] = -np.inf
    x[2] = -np.inf
    for got, wanted in zip(device(row_stats, x), row_stats(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    for rule in rules_with("critical"):
        for ties in ("high", "low", "all"):
            got, wanted = (
                device(critical, x, rule=rule, ties=ties),
                critical(x, rule=rule, ties=ties),
            )
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-12, err_msg=rule)


def test_philox_known_answers():
    key = (0xA4093822, 0x299F31D0)
    counter = (0x243F6A88, 0x85A308D3, np.array([0x13198A2E]), 0x03707344)
    words = [int(word[0]) for word in _philox.block(key, counter)]
    assert words == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    top = 2**32 - 1
    words = _philox.block((top, top), (top, top, np.array([top]), top))
    assert [int(w[0]) for w in words] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("key", [0, 1, 0x0123456789ABCDEF, 2**64 - 1])
@pytest.mark.parametrize("step", [0, 9, 2**32 - 1])
def test_uniforms_are_those_of_the_streams(key, step):
    ids = np.array([0, 1, 77, 2**31, 2**32 - 1])
    plain = _core.PURPOSES["uniform"]
    halves = (key & 0xFFFFFFFF, key >> 32)
    wanted = [_core.Stream(key, step).uniforms(1, row=int(i))[0] for i in ids]
    assert (_philox.draws(halves, ids, step, plain) * _philox.ULP).tolist() == wanted
    there = _philox.draws(halves, torch.from_numpy(ids), step, plain)
    assert (there.double() * _philox.ULP).tolist() == wanted


@pytest.mark.parametrize("xtc", [0.0, 0.5])
def test_a_seed_gives_the_tokens_of_the_cpu(device, xtc):
    x = np.tile(rows((1, 50)), (2000, 1))
    args = {"temperature": 1.5, "xtc_probability": xtc, "xtc_threshold": 0.05, "step": 11}
    for rng in (5, sortes.Stream(9, 2), np.random.SeedSequence(3), [1, 2]):
        wanted = sample(x, rng=rng, method="scan", **args)
        assert (device(sample, x, rng=rng, **args) == wanted).all()
    streams = [sortes.Stream(i) for i in range(2000)]
    wanted = sample(x, rng=streams, rows=np.zeros(2000, np.uint32), method="scan", **args)
    zeros = np.zeros(2000, np.uint32)
    assert (device(sample, x, rng=streams, rows=zeros, **args) == wanted).all()


def test_row_ids_may_be_on_the_device(device):
    x, ids = rows((5, 60)), np.array([4, 0, 9, 9, 2**31])
    wanted = sample(x, rng=1, rows=ids, method="scan")
    assert (device(sample, x, rng=1, rows=device.convert(ids)) == wanted).all()
    for bad, error in (((3,), ValueError), ((5, 1), ValueError)):
        with pytest.raises(error, match=r"^rows: must have shape \(5,\), got "):
            device(sample, x, rows=device.convert(np.zeros(bad, np.int64)))
    with pytest.raises(TypeError, match=r"^rows: must be integers, got dtype "):
        device(sample, x, rows=device.convert(np.zeros(5)))


def test_uniforms_may_be_on_the_device(device):
    x, u = rows((5, 60)), np.linspace(0, 0.99, 5)
    assert (device(draw, x, device.convert(u)) == draw(x, u)).all()


@pytest.mark.parametrize("name", EVERY_RULE)
def test_parameters_may_be_on_the_device(device, name):
    x, values = rows(), np.array(EVERY_RULE[name], np.float64)
    there = device.convert(values)
    with device.watched():
        rules = Rules(**{name: there}, xtc_threshold=0.02)
        short = Rules(**{name: there[:3]}, xtc_threshold=0.02)
    assert torch.is_tensor(rules.params[name])
    wanted = Rules(**{name: values}, xtc_threshold=0.02)
    assert (device(keep_mask, x, rules, rng=1) == keep_mask(x, wanted, rng=1)).all()
    with pytest.raises(TypeError, match=f"^{name}: is on another device than the logits$"):
        keep_mask(x, rules)
    with pytest.raises(ValueError, match=f"^{name}: has 3 values for 4 rows of logits$"):
        device(keep_mask, x, short)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", [None, *EVERY_RULE])
def test_rows_that_cannot_be_drawn_from_are_marked(device, bad, name):
    x = rows()
    x[1, 17] = bad
    x[2] = -np.inf
    args = {} if name is None else {name: EVERY_RULE[name]}
    good = sample(x[[0, 3]], rng=1, rows=[0, 3], method="scan") if name is None else None
    drawn = device(sample, x, rng=1, logprobs=2, **args)
    assert (drawn.tokens[1:3] == -1).all()
    assert (drawn.tokens[[0, 3]] >= 0).all()
    assert good is None or (drawn.tokens[[0, 3]] == good).all()
    assert np.isnan(drawn.logprob[1:3]).all()
    assert np.isnan(drawn.mass[1:3]).all()
    assert (drawn.rank[1:3] == -1).all()
    assert (drawn.top_ids[1:3] == -1).all()
    assert np.isfinite(drawn.logprob[[0, 3]]).all()

    kept = device(keep_mask, x, rng=1, **args)
    assert not kept[1:3].any()
    assert kept[[0, 3]].any(axis=1).all()
    cut = device(truncate, x, rng=1, **args)
    assert np.isnan(cut[1]).all()
    assert (cut[2] == -np.inf).all()
    assert np.isnan(device(cutoffs, x, rng=1, **args)[1:3]).all()
    law = device(distribution, x, **args)
    assert np.isnan(law[1:3]).all()
    np.testing.assert_allclose(law[[0, 3]].sum(1), 1, rtol=1e-12)


def test_statistics_of_bad_rows(device):
    x = rows()
    x[1, 17] = np.nan
    stats = device(row_stats, x)
    assert (stats.argmax[1], stats.n_finite[1]) == (-1, -1)
    assert np.isnan(stats.lse[1])
    assert np.isnan(device(critical, x, rule="top_p")[1]).all()


def test_zero_weights_are_never_drawn_where_sums_waver(device):
    """A device adds in parallel: a running sum may rise without a weight, or fall back."""
    beyond = importlib.import_module("sortes.decode._torch").first_beyond
    weights = torch.tensor([[0.5, 0.0, 0.5, 0.0]])
    through = torch.tensor([[0.5, 0.5 + 1e-16, 1.0 - 1e-16, 1.0]], dtype=torch.float64)
    for target, wanted in ((0.25, 0), (0.5, 2), (0.9, 2), (1.0, 2)):
        assert beyond(weights, through, torch.tensor([[target]])).item() == wanted
    assert beyond(weights * 0, through, torch.tensor([[0.5]])).item() == -1


def test_arrays_of_every_kind_are_parameters():
    x = rows((2, 40))
    wanted = keep_mask(x, top_p=[0.3, 0.8])
    for values in (
        (0.3, 0.8),
        np.array([0.3, 0.8]),
        torch.tensor([0.3, 0.8], dtype=torch.float64),
        torch.tensor([0.3, 0.8], dtype=torch.float64, requires_grad=True),
    ):
        assert (keep_mask(x, top_p=values) == wanted).all()
    half = torch.tensor([0.25, 0.75], dtype=torch.bfloat16)
    assert (keep_mask(x, top_p=half) == keep_mask(x, top_p=[0.25, 0.75])).all()
    assert (keep_mask(x, top_k=torch.tensor([1, 2])).sum(1) == [1, 2]).all()


def test_gradients_are_left_behind(device):
    x = device.convert(rows()).requires_grad_()
    with device.watched():
        assert not truncate(x).requires_grad
        assert not sample(x, rng=0).requires_grad
