"""Bad input: the message names the argument, and says what is wrong with it."""

import re

import numpy as np
import pytest
import sortes
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
from sortes.decode._table import PARAMETERS
from sortes.decode.rules import as_rules

ROWS = np.zeros((2, 5), np.float32)
FUNCTIONS = [truncate, keep_mask, cutoffs, distribution, sample]


def raises(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def bad_values(name):
    """Values outside the domain of a parameter, each with how the message begins."""
    domain, neutral = PARAMETERS[name].domain, PARAMETERS[name].neutral
    bad = [value for value in domain.bad_values() if value != neutral]
    must = f"in {domain}"
    if domain.integer and domain.text.endswith("inf)"):
        must = f"at least {domain.text[1:].split(',')[0]}"
    for value in bad:
        yield value, f"must be {must}, got "
    if domain.integer:
        for value in (1.5, np.nan, np.inf):
            yield value, "must be an integer, got "


@pytest.mark.parametrize("name", PARAMETERS)
def test_domains(name):
    for value, wrong in bad_values(name):
        with pytest.raises(ValueError, match=f"^{re.escape(f'{name}: {wrong}')}"):
            Rules(**{name: value})
        with pytest.raises(ValueError, match=f"^{re.escape(f'{name}: item 1 {wrong}')}"):
            Rules(**{name: np.array([PARAMETERS[name].neutral, value], np.float64)})
        for function in FUNCTIONS:
            with pytest.raises(ValueError, match=f"^{re.escape(f'{name}: {wrong}')}"):
                function(ROWS, **{name: value})


def test_values_of_a_domain_are_shown():
    with raises(ValueError, "top_p: must be in [0, 1], got 1.5"):
        Rules(top_p=1.5)
    with raises(ValueError, "min_p: must be in [0, 1], got nan"):
        Rules(min_p=np.nan)
    with raises(ValueError, "smoothing_curve: must be in [1, 3], got 0.5"):
        Rules(smoothing_factor=0.3, smoothing_curve=0.5)
    with raises(ValueError, "min_tokens_to_keep: must be at least 1, got 0"):
        Rules(min_tokens_to_keep=0)


@pytest.mark.parametrize("name", PARAMETERS)
def test_types_of_parameters(name):
    for value in ("0.5", {}, object()):
        with pytest.raises(TypeError, match=f"^{name}: must be a number, got "):
            Rules(**{name: value})
    with raises(TypeError, f"{name}: must hold numbers, got <U1"):
        Rules(**{name: ["a"]})
    with raises(ValueError, f"{name}: must be an array or lists of equal lengths"):
        Rules(**{name: [[1], [1, 2]]})
    with raises(ValueError, f"{name}: must be a number or have shape (B,), got (1, 2)"):
        Rules(**{name: [[1, 1]]})
    if name != "p_less":
        with raises(TypeError, f"{name}: must be a number, got True"):
            Rules(**{name: True})


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("name", PARAMETERS)
def test_lengths_of_parameters(backend, name, n):
    values = np.full(n, PARAMETERS[name].neutral)
    for function in FUNCTIONS:
        with raises(ValueError, f"{name}: has {n} values for 2 rows of logits"):
            backend(function, ROWS, **{name: values})


def test_order():
    known = "'hf', 'vllm', 'llama.cpp', 'joint'"
    with raises(ValueError, f"order: must be {known} or a sequence of rule names, got 'hff'"):
        Rules(order="hff")
    with pytest.raises(ValueError, match=r"^order: unknown rule 'top_q'; known: temperature, "):
        Rules(order=("top_k", "top_q"))
    for order in (7, None, ("top_k", 3)):
        wanted = "must be a name or a sequence of rule names"
        with raises(TypeError, f"order: {wanted}, got {order!r}"):
            Rules(order=order)
    with pytest.raises(TypeError, match=r"^order: must hold rule names, got <memory at"):
        Rules(order=memoryview(np.zeros((2, 2))))
    with raises(ValueError, "order: must contain 'typical', for typical_p is given"):
        Rules(typical_p=0.5, order=("top_k", "top_p"))
    with raises(ValueError, "order: must contain 'top_k' or 'top_k_top_p', for top_k is given"):
        Rules(top_k=5, order=())


def test_options():
    with raises(ValueError, "ties: must be 'high', 'low' or 'all', got 'none'"):
        Rules(ties="none")
    with pytest.raises(ValueError, match=r"^top_p_boundary: must be 'smallest', .*, got 'x'$"):
        Rules(top_p_boundary="x")
    with raises(ValueError, "sigma_ddof: must be in [0, 1], got 2"):
        Rules(sigma_ddof=2)
    with raises(TypeError, "ties: must be 'high', 'low' or 'all', got 1"):
        Rules(ties=1)
    with raises(TypeError, "sigma_ddof: must be an integer, got 0.5"):
        Rules(sigma_ddof=0.5)
    with raises(TypeError, "p_less_normalized: must be True or False, got 1"):
        Rules(p_less_normalized=1)
    with raises(TypeError, "protected_ids: must hold integers, got float64"):
        Rules(protected_ids=[0.5])
    with raises(ValueError, "protected_ids: item 0 must be in [0, 2**63), got -1"):
        Rules(protected_ids=[-1])
    for ids in ([[1]], 1):
        with pytest.raises(ValueError, match=r"^protected_ids: must have shape \(n,\), got "):
            Rules(protected_ids=ids)


def test_unknown_arguments():
    with raises(TypeError, "topp: is not a rule argument; did you mean top_p?"):
        Rules(topp=0.5)
    for function in FUNCTIONS:
        with raises(TypeError, "zzz: is not a rule argument"):
            function(ROWS, zzz=1)


def test_rules_and_arguments():
    for function in FUNCTIONS:
        with raises(TypeError, "rules: must be a sortes.Rules, got dict"):
            function(ROWS, {"top_p": 0.5})
        with raises(TypeError, "rules: already hold everything, but top_p is given as well"):
            function(ROWS, Rules(top_k=3), top_p=0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 300, 999])
@pytest.mark.parametrize("kind", ["float32", "float16", "float64"])
def test_bad_rows(bad, place, kind):
    rows = np.zeros((3, 1000), kind)
    rows[1, place] = bad
    for function in [*FUNCTIONS, row_stats, lambda x: critical(x, rule="eta")]:
        with raises(ValueError, "logits: row 1: contains NaN or +inf"):
            function(rows)
    with raises(ValueError, "logits: row 1: contains NaN or +inf"):
        sample(rows, rng=0, top_p=0.5, logprobs=1)


def test_bad_rows_in_bfloat16():
    torch = pytest.importorskip("torch")
    rows = torch.zeros((3, 100), dtype=torch.bfloat16)
    rows[2, 7] = torch.nan
    for function in [*FUNCTIONS, row_stats]:
        with raises(ValueError, "logits: row 2: contains NaN or +inf"):
            function(rows)


def test_rows_without_a_finite_logit():
    rows = np.zeros((3, 5), np.float32)
    rows[2] = -np.inf
    for function in (sample, distribution):
        with raises(ValueError, "logits: row 2: no finite logit"):
            function(rows)
    for function in (sample, distribution):
        with raises(ValueError, "logits: row 0: no finite logit"):
            function(ROWS, mask=np.zeros(5, bool))
        with raises(ValueError, "logits: row 0: no finite logit"):
            function(ROWS, logit_bias=dict.fromkeys(range(5), -np.inf))


def test_a_banned_token_may_be_nan():
    rows = np.array([[np.nan, 1.0, 2.0]])
    assert sample(rows, mask=[False, True, False]).tolist() == [1]


def test_logits():
    for shape in ((), (2, 2, 2)):
        with raises(ValueError, f"logits: must have shape (V,) or (B, V), got {shape}"):
            sample(np.zeros(shape, np.float32))
    for shape in ((0,), (2, 0)):
        with raises(ValueError, f"logits: must have at least one column, got shape {shape}"):
            sample(np.zeros(shape, np.float32))
    wanted = "dtype must be float32, float16, bfloat16 or float64"
    with raises(TypeError, f"logits: {wanted}, got int64"):
        sample(np.zeros(3, np.int64))


def test_logits_on_a_device(device):
    for shape in ((), (2, 2, 2)):
        with raises(ValueError, f"logits: must have shape (V,) or (B, V), got {shape}"):
            device(sample, np.zeros(shape, np.float32))
    for shape in ((0,), (2, 0)):
        with raises(ValueError, f"logits: must have at least one column, got shape {shape}"):
            device(sample, np.zeros(shape, np.float32))
    wanted = "dtype must be float32, float16, bfloat16 or float64"
    with raises(TypeError, f"logits: {wanted}, got torch.int64"):
        device(sample, np.zeros(3, np.int64))


def test_bias(backend):
    for ids in ([5], [-1]):
        with raises(ValueError, f"logit_bias: id {ids[0]} is outside a vocabulary of 5 tokens"):
            backend(sample, ROWS, logit_bias=dict.fromkeys(ids, 1.0))
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^logit_bias: item 0 is NaN, or not below"):
            backend(sample, ROWS, logit_bias={0: value})
    with raises(TypeError, "logit_bias: must map ids to numbers, or be (ids, values)"):
        backend(sample, ROWS, logit_bias=3)
    with raises(TypeError, "logit_bias: must hold integers, got float64"):
        backend(sample, ROWS, logit_bias={0.5: 1.0})
    with raises(ValueError, "logit_bias: got (2,) ids and (1,) values"):
        backend(sample, ROWS, logit_bias=([0, 1], [1.0]))


def test_mask(backend):
    with raises(TypeError, "mask: must be bool or packed uint32 bits, got dtype int64"):
        backend(sample, ROWS, mask=np.ones(5, np.int64))
    with raises(ValueError, "mask: must have one or two dimensions, got shape (1, 1, 5)"):
        backend(sample, ROWS, mask=np.ones((1, 1, 5), bool))
    for shape in ((4,), (3, 5), (2, 4)):
        with pytest.raises(ValueError, match=r"^mask: must have shape \(2, 5\), got "):
            backend(sample, ROWS, mask=np.ones(shape, bool))
    wide = np.zeros((2, 70), np.float32)
    for words in (2, 4):  # of a tokenizer that is smaller than the logits, or larger
        with pytest.raises(ValueError, match=r"^mask: must have shape \(2, 3\), got "):
            backend(sample, wide, mask=np.full((2, words), -1, np.int32))


def test_rows_and_step(backend):
    for function in (sample, truncate, keep_mask, cutoffs):
        coin = {} if function is sample else {"xtc_probability": 0.5}
        with raises(ValueError, "rows: must have shape (2,), got (3,)"):
            backend(function, ROWS, rows=[0, 1, 2], **coin)
        with raises(TypeError, "rows: must hold integers, got float64"):
            backend(function, ROWS, rows=[0.5, 1.0], **coin)
        for bad, rows in enumerate(([-1, 0], [0, 2**32])):
            message = f"rows: item {bad} must be in [0, 2**32), got {rows[bad]}"
            with raises(ValueError, message):
                backend(function, ROWS, rows=rows, **coin)
        for step in (-1, 2**32):
            with pytest.raises(ValueError, match=r"^step: must be in \[0, "):
                backend(function, ROWS, step=step, **coin)


def test_rng(backend):
    with raises(ValueError, "rng: must be non-negative, got -1"):
        backend(sample, ROWS, rng=-1)
    with raises(ValueError, "rng: must hold one stream for each of 2 rows, got 3"):
        backend(sample, ROWS, rng=[sortes.Stream(i) for i in range(3)])


def test_uniforms(backend):
    for u in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match=r"^uniforms: item 1 must be in \[0, 1\), got "):
            backend(draw, ROWS, [0.5, u])
    with raises(ValueError, "uniforms: must be a number or have shape (2,), got (3,)"):
        backend(draw, ROWS, [0.5, 0.5, 0.5])


def test_logprobs(backend):
    with raises(ValueError, "logprobs: must be at least 0, got -1"):
        backend(sample, ROWS, logprobs=-1)
    with raises(TypeError, "logprobs: must be an integer, got 0.5"):
        backend(sample, ROWS, logprobs=0.5)
    with raises(ValueError, "logprobs_mode: must be 'raw' or 'processed', got 'x'"):
        backend(sample, ROWS, logprobs=1, logprobs_mode="x")
    with raises(ValueError, "method: must be 'auto' or 'scan', got 'x'"):
        backend(sample, ROWS, method="x")


def test_critical(backend):
    with pytest.raises(ValueError, match=r"^rule: must be 'top_n_sigma', .*, got 'typical'$"):
        backend(critical, ROWS, rule="typical")
    with raises(ValueError, "sigma_ddof: must be in [0, 1], got 2"):
        backend(critical, ROWS, rule="top_n_sigma", sigma_ddof=2)
    with raises(ValueError, "ties: must be 'high', 'low' or 'all', got 'x'"):
        backend(critical, ROWS, rule="top_p", ties="x")


def test_out():
    with pytest.raises(ValueError, match=r"^out: must have shape \(2,\), got "):
        sample(ROWS, out=np.zeros(3, np.int64))
    with pytest.raises(TypeError, match=r"^out: dtype must be int64, got "):
        sample(ROWS, out=np.zeros(2))
    with pytest.raises(ValueError, match=r"^out: must have shape \(2, 5\), got "):
        truncate(ROWS, out=np.zeros((2, 4), np.float32))
    with pytest.raises(TypeError, match=r"^out: dtype must be float32, got "):
        truncate(ROWS, out=np.zeros((2, 5)))
    with raises(ValueError, "out: must be C-contiguous"):
        truncate(ROWS, out=np.zeros((5, 2), np.float32).T)
    read_only = np.zeros(2, np.int64)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match=r"^out: is read-only"):
        sample(ROWS, out=read_only)


def test_out_on_a_device(device):
    torch = pytest.importorskip("torch")
    with raises(ValueError, "out: must have shape (2,), got (3,)"):
        device(sample, ROWS, out=device.convert(np.zeros(3, np.int64)))
    with raises(TypeError, "out: dtype must be torch.int64, got torch.float32"):
        device(sample, ROWS, out=device.convert(np.zeros(2, np.float32)))
    with pytest.raises(TypeError, match=r"^out: must be a tensor on "):
        device(sample, ROWS, out=torch.zeros(2, device="meta"))


def test_tensors_without_values():
    torch = pytest.importorskip("torch")
    for given in (
        {"mask": torch.ones(5, dtype=torch.bool, device="meta")},
        {"rows": torch.arange(2, device="meta")},
        {"logit_bias": (torch.arange(2, device="meta"), [0.0, 1.0])},
    ):
        (name,) = given
        with pytest.raises(TypeError, match=rf"^{name}: must be on the CPU, got a tensor on meta"):
            sample(ROWS, **given)


@pytest.mark.parametrize("threads", [0, -1])
def test_threads(threads):
    with pytest.raises(ValueError, match=r"^num_threads: "):
        sample(ROWS, num_threads=threads)


def test_keywords_that_cannot_change_are_compiled_once_and_others_each_time():
    torch = pytest.importorskip("torch")
    known = as_rules(None, {"top_k": 1, "order": "hf"})
    assert as_rules(None, {"top_k": 1, "order": "hf"}) is known
    assert as_rules(None, {"top_k": 1, "order": "vllm"}) is not known
    logits = np.tile(np.array([3.0, 2.0, 1.0], np.float32), (2, 1))
    for k in (np.ones(2), torch.ones(2)):
        assert keep_mask(logits, top_k=k).sum() == 2
        k += 1
        assert keep_mask(logits, top_k=k).sum() == 4
    order = ["top_k", "temperature"]
    assert as_rules(None, {"order": order}).order == ("top_k", "temperature")
    order.reverse()
    assert as_rules(None, {"order": order}).order == ("temperature", "top_k")
