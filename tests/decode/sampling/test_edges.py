"""Edges: extreme shapes and values, precisions, masks, outputs."""

import numpy as np
import pytest
from decode.rules import ALONE, SWITCHES
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
from sortes.decode._table import PARAMETERS, TABLE

SIZES = [1, 2, 3, 255, 256, 257, 1023, 1025, 16383, 16384, 16385]
RULES = {
    "none": {},
    "greedy": {"temperature": 0.0},
    "dynamic": {"temperature": 0.8, "dynatemp_range": 0.3},
    **ALONE,
}
rules = pytest.mark.parametrize("rule", RULES)


def logits_of(shape, seed=0, scale=3.0):
    return np.random.default_rng(seed).normal(size=shape, scale=scale).astype(np.float32)


def smallest_nucleus(logits, p, ties="high"):
    """The kept set of top-p by a sort in float64."""
    logits = logits.astype(np.float64)
    ids = np.arange(logits.size)
    order = np.lexsort((ids if ties == "low" else -ids, -logits))
    weights = np.exp(logits[order] - logits.max())
    before = np.cumsum(weights) - weights
    keep = np.zeros(logits.size, bool)
    keep[order[before < p * weights.sum()]] = True
    return keep


@rules
@pytest.mark.parametrize("size", SIZES)
def test_every_size(backend, size, rule):
    args = RULES[rule]
    x = logits_of((2, size), size)
    kept = backend(keep_mask, x, rng=1, **args)
    assert kept.any(axis=1).all()
    law = backend(distribution, x, **args)
    np.testing.assert_allclose(law.sum(1), 1, rtol=1e-12)
    assert ((law > 0) <= kept).all()
    if rule not in TABLE or "keeps_best" in TABLE[rule].flags:
        assert kept[[0, 1], x.argmax(1)].all()
    tokens = backend(sample, x, rng=1, **args)
    assert kept[[0, 1], tokens].all()
    if size == 1:
        assert tokens.tolist() == [0, 0]
    if rule == "greedy":
        assert tokens.tolist() == x.argmax(1).tolist()


@rules
def test_shifts_that_are_exact_change_nothing(backend, rule):
    x = np.round(logits_of((3, 300)) * 64) / 64
    wanted = backend(keep_mask, x, rng=2, **RULES[rule])
    for shift in (-3e4, 3e4):
        shifted = (x + np.float32(shift)).astype(np.float32)
        moved = backend(keep_mask, shifted, rng=2, **RULES[rule])
        if (shifted - np.float32(shift) == x).all():
            np.testing.assert_array_equal(moved, wanted)
        assert moved.any(axis=1).all()


@rules
def test_removed_tokens_stay_removed(backend, rule):
    x = logits_of((4, 400))
    gone = np.random.default_rng(1).random(x.shape) < 0.5
    masked = np.where(gone, -np.float32(np.inf), x)
    kept = backend(keep_mask, masked, rng=3, **RULES[rule])
    assert not (kept & gone).any()
    # What is gone might as well not be there, in its place among the ids.
    for row in range(4):
        alone = backend(keep_mask, x[row][~gone[row]], rng=3, rows=[row], **RULES[rule])
        np.testing.assert_array_equal(kept[row][~gone[row]], alone)
    np.testing.assert_array_equal(backend(keep_mask, x, mask=~gone, rng=3, **RULES[rule]), kept)


@rules
@pytest.mark.parametrize("ban", [-9999.0, np.finfo(np.float32).min])
def test_bans_may_be_written_as_numbers(backend, rule, ban):
    x = logits_of((4, 400))
    gone = np.random.default_rng(1).random(x.shape) < 0.5
    infinite, finite = (np.where(gone, np.float32(value), x) for value in (-np.inf, ban))
    kept = backend(keep_mask, finite, rng=3, **RULES[rule])
    wanted = backend(keep_mask, infinite, rng=3, **RULES[rule])
    np.testing.assert_array_equal(kept & ~gone, wanted)
    law = backend(distribution, finite, **RULES[rule])
    np.testing.assert_allclose(law, backend(distribution, infinite, **RULES[rule]), rtol=1e-12)


def test_bans_count_in_no_average(backend):
    x = logits_of((4, 400))
    gone = np.random.default_rng(1).random(x.shape) < 0.5
    infinite, finite = (np.where(gone, np.float32(value), x) for value in (-np.inf, -9999.0))
    for args in (
        {"p_less": True, "p_less_normalized": True},
        {"top_n_sigma": 1.0, "sigma_ddof": 1},
        {"dynatemp_range": 0.5, "dynatemp_exponent": 2.0},
    ):
        law = backend(distribution, infinite, **args)
        np.testing.assert_allclose(backend(distribution, finite, **args), law, rtol=1e-12)
    deviations = backend(critical, infinite, rule="top_n_sigma")
    got = backend(critical, finite, rule="top_n_sigma")
    np.testing.assert_allclose(got[~gone], deviations[~gone], rtol=1e-12)


@pytest.mark.parametrize("size", [4, 32, 60, 100])
def test_top_h_takes_its_whole_share_of_equals(backend, size):
    x = np.full(size, np.log(1 / size), np.float32)
    for quarters in (1, 2, 3):
        kept = backend(keep_mask, x, top_h=quarters / 4)
        assert kept.sum() == size * quarters // 4


@rules
def test_one_token_left(backend, rule):
    x = np.full((2, 300), -np.inf, np.float32)
    x[0, 0] = x[1, 299] = -1e30
    assert np.argwhere(backend(keep_mask, x, rng=0, **RULES[rule])).tolist() == [[0, 0], [1, 299]]
    assert backend(sample, x, rng=0, **RULES[rule]).tolist() == [0, 299]


@rules
def test_nothing_left(backend, rule):
    x = np.full((2, 30), -np.inf, np.float32)
    assert not backend(keep_mask, x, rng=0, **RULES[rule]).any()
    filled = backend(truncate, x, rng=0, filter_value=-1.0, **RULES[rule])
    np.testing.assert_array_equal(filled, x)
    assert np.isnan(backend(cutoffs, x, rng=0, **RULES[rule])).all()


def test_a_mask_that_bans_everything_leaves_nothing(backend):
    x = logits_of((2, 30))
    banned = backend(truncate, x, mask=np.zeros(30, bool))
    assert (banned == -np.inf).all()


@rules
def test_values_at_the_ends_of_float32(backend, rule):
    tiny = np.finfo(np.float32).smallest_subnormal
    for x in (
        np.array([0.0, tiny, -tiny, 2 * tiny, -0.0], np.float32),
        np.array([3e38, -3e38, 0.0, 2.9e38, -np.inf], np.float32),
        np.array([-3e38, -3.1e38, -3.2e38, -3.3e38, -np.inf], np.float32),
    ):
        kept = backend(keep_mask, x, rng=0, **RULES[rule])
        assert kept.any()
        law = backend(distribution, x, **RULES[rule])
        assert np.isfinite(law).all()
        np.testing.assert_allclose(law.sum(), 1, rtol=1e-12)
        assert kept[backend(sample, x, rng=0, **RULES[rule])]


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1e3, 1e39, 1e300])
def test_extreme_temperatures(backend, temperature):
    x = np.array([0.0, 1.0, 1.0 + 1e-6, -np.inf, -3e4], np.float32)
    law = backend(distribution, x, temperature=temperature)
    with np.errstate(over="ignore"):
        exact = np.exp((x - x.max()).astype(np.float64) / temperature)
    np.testing.assert_allclose(law, exact / exact.sum(), rtol=1e-6, atol=1e-12)
    rows = np.broadcast_to(x, (2000, 5))
    tokens = backend(sample, rows, rng=0, temperature=temperature)
    assert (np.bincount(tokens, minlength=5)[exact == 0] == 0).all()
    assert (np.bincount(tokens, minlength=5)[law > 0.05] > 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("temperature", [1e-6, 3e-4, 0.1, 1.0, 30.0, 1e39])
def test_scaled_logits_have_the_law_of_the_draw(backend, dtype, temperature):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    of_numpy = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    kind = of_numpy if backend.name == "numpy" else dtype
    x = np.array([[22.0, 21.0, 3.0, -100.0, -np.inf], [-9.0, -9.5, -7.0, -60000.0, 0.0]])
    args = {"dtype": kind, "temperature": temperature, "top_k": 4}
    left = backend(truncate, x, scaled=True, **args).astype(np.float64)
    assert not np.isnan(left).any()
    assert not (left == np.inf).any()
    weights = np.exp(left - left.max(1, keepdims=True))
    law = backend(distribution, x, **args)
    # The quotients of half precision are rounded to it.
    rough = {"float16": 5e-2, "bfloat16": 0.3}.get(dtype, 1e-5)
    np.testing.assert_allclose(weights / weights.sum(1, keepdims=True), law, atol=rough)
    filled = backend(truncate, x, scaled=True, filter_value=-7.5, **args)
    assert (filled[0, 4], filled[1, 3]) == (-np.inf, -7.5)


def test_scaled_logits_are_quotients(backend):
    x = logits_of((3, 400))
    for temperature in (0.7, [0.7, 1.0, 2.0]):
        args = {"temperature": temperature, "top_p": 0.9}
        plain = backend(truncate, x, **args)
        t = np.broadcast_to(np.asarray(temperature, np.float32), 3)[:, None]
        np.testing.assert_array_equal(backend(truncate, x, scaled=True, **args), plain / t)
    greedy = backend(truncate, x, scaled=True, temperature=0.0)
    assert (np.isfinite(greedy).sum(1) == 1).all()
    np.testing.assert_array_equal(greedy.max(1), x.max(1))
    law = backend(distribution, x, dynatemp_range=0.5)
    left = backend(truncate, x, scaled=True, dynatemp_range=0.5).astype(np.float64)
    weights = np.exp(left - left.max(1, keepdims=True))
    np.testing.assert_allclose(weights / weights.sum(1, keepdims=True), law, rtol=1e-4)


def test_what_is_banned_stays_banned(backend):
    x = logits_of((2, 30))
    x[0, 3] = -np.inf
    allowed = np.ones(30, bool)
    allowed[5] = False
    args = {"mask": allowed, "logit_bias": {7: -np.inf}, "top_k": 5, "filter_value": -4.0}
    left = backend(truncate, x, **args)
    assert (left[:, [5, 7]] == -np.inf).all()
    assert left[0, 3] == -np.inf
    assert ((left == -4.0).sum(1) == [22, 23]).all()


def test_smoothing_is_exact_beside_an_offset(backend):
    d = np.random.default_rng(1).normal(0, 2, 300)
    for offset in (0.0, 300.0, 1e4):
        x = (offset + d).astype(np.float32)
        exact = -0.5 * (x.astype(np.float64) - x.max()) ** 2
        law = np.exp(exact) / np.exp(exact).sum()
        got = backend(distribution, x, smoothing_factor=0.5)
        assert np.abs(got - law).sum() / 2 < 1e-6
        shown = backend(truncate, x, smoothing_factor=0.5)
        np.testing.assert_allclose(shown, x.max() + exact, rtol=1e-6)
        ends = backend(cutoffs, x, smoothing_factor=0.5)
        np.testing.assert_array_equal(ends, [shown.min(), shown.max()])


def test_greedy_takes_the_lowest_id(backend):
    x = np.zeros((3, 1000), np.float32)
    x[1, [500, 700]] = 1.0
    x[2, [999]] = 1.0
    for temperature in (0.0, 1e-8):
        assert backend(sample, x, temperature=temperature).tolist() == [0, 500, 999]
    mixed = backend(sample, x, temperature=[0.0, 1.0, 0.0], rng=0)
    assert mixed[[0, 2]].tolist() == [0, 999]


def test_an_empty_batch(backend):
    x = np.zeros((0, 9), np.float32)
    assert backend(sample, x).shape == (0,)
    assert backend(truncate, x, top_p=0.5).shape == (0, 9)
    assert backend(keep_mask, x, typical_p=0.5).shape == (0, 9)
    assert backend(distribution, x, top_k=3).shape == (0, 9)
    assert backend(cutoffs, x).shape == (0, 2)
    assert backend(critical, x, rule="top_p").shape == (0, 9)
    assert backend(row_stats, x).lse.shape == (0,)
    drawn = backend(sample, x, logprobs=2)
    assert drawn.top_ids.shape == (0, 2)


def test_one_row_has_no_batch_axis(backend):
    x = logits_of(9)
    assert backend(sample, x, rng=0).shape == ()
    assert backend(draw, x, 0.5).shape == ()
    assert backend(truncate, x, top_p=0.5).shape == (9,)
    assert backend(cutoffs, x).shape == (2,)
    assert backend(row_stats, x).max.shape == ()
    drawn = backend(sample, x, rng=0, logprobs=2)
    assert drawn.top_ids.shape == (2,)
    assert drawn.mass.shape == ()


PRECISIONS = ["float32", "float16", "bfloat16", "float64"]


@pytest.mark.parametrize("ties", ["high", "low"])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_precisions_and_ties(backend, dtype, ties):
    """Half precision makes hundreds of equal logits; top-p counts them to the token."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    of_numpy = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    kind = of_numpy if backend.name == "numpy" else dtype
    x = logits_of((3, 5000), scale=2.0)
    wide = x.astype(of_numpy).astype(np.float32)
    for p in (0.1, 0.5, 0.9, 0.999):
        kept = backend(keep_mask, x, dtype=kind, top_p=p, ties=ties)
        for row in range(3):
            np.testing.assert_array_equal(kept[row], smallest_nucleus(wide[row], p, ties))
    every = backend(keep_mask, x, dtype=kind, top_p=0.5, ties="all")
    for row in range(3):
        least = wide[row][smallest_nucleus(wide[row], 0.5)].min()
        np.testing.assert_array_equal(every[row], wide[row] >= least)


@rules
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_read_as_float32(backend, dtype, rule):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    wide = logits_of((3, 700)).astype(kind).astype(np.float32)
    given = {"dtype": kind if backend.name == "numpy" else dtype}
    args = RULES[rule]
    np.testing.assert_array_equal(
        backend(keep_mask, wide, rng=5, **args), backend(keep_mask, wide, rng=5, **args, **given)
    )
    np.testing.assert_array_equal(
        backend(sample, wide, rng=5, **args), backend(sample, wide, rng=5, **args, **given)
    )
    narrow = backend(truncate, wide, rng=5, **args, **given).astype(np.float32)
    exact = backend(truncate, wide, rng=5, **args).astype(kind).astype(np.float32)
    np.testing.assert_array_equal(narrow, exact)


@pytest.mark.parametrize("fill", [-1e9, -1e300])
def test_filter_values_are_rounded_to_the_type(backend, fill):
    x = logits_of(9)
    got = backend(truncate, x, dtype="float16", top_k=2, filter_value=fill)
    assert (got == -np.inf).sum() == 7
    kept = backend(truncate, x, top_k=2, filter_value=fill)
    with np.errstate(over="ignore"):
        assert (kept == np.float32(fill)).sum() == 7


def test_float64_keeps_its_values(backend):
    x = np.array([0.1, 0.2, 0.3])
    kept = backend(truncate, x, top_k=2)
    assert kept.dtype == np.float64
    np.testing.assert_array_equal(kept, [-np.inf, 0.2, 0.3])


def test_strides(backend):
    wide = logits_of((6, 40))
    for x in (wide[::2], wide[:, ::2], wide[::-1], wide.T, np.broadcast_to(wide[0], (4, 40))):
        wanted = backend(sample, np.ascontiguousarray(x), rng=4, top_p=0.9)
        if backend.name == "numpy":
            np.testing.assert_array_equal(sample(x, rng=4, top_p=0.9), wanted)
    if backend.name == "torch-cpu":
        import torch

        t = torch.from_numpy(wide)
        for x in (t[::2], t[:, ::2], t.T, t[:1].expand(4, 40)):
            wanted = backend(sample, x.contiguous().numpy(), rng=4, top_p=0.9)
            np.testing.assert_array_equal(sample(x, rng=4, top_p=0.9).numpy(), wanted)


def test_masks(backend):
    x = logits_of((3, 70))
    allowed = np.random.default_rng(5).random((3, 70)) < 0.3
    wanted = np.where(allowed, x, -np.float32(np.inf))
    # Engines fill their words with ones: those behind the vocabulary mean nothing.
    padded = (np.pad(allowed, ((0, 0), (0, 26)), constant_values=one) for one in (True, False))
    full, words = (np.packbits(p, axis=1, bitorder="little").view(np.uint32) for p in padded)
    for mask in (allowed, words, full, words.view(np.int32), np.asfortranarray(allowed)):
        np.testing.assert_array_equal(backend(truncate, x, mask=mask), wanted)
    for mask in (allowed[0], allowed[:1], words[0], words[:1]):
        one = np.where(allowed[0], x, -np.float32(np.inf))
        np.testing.assert_array_equal(backend(truncate, x, mask=mask), one)
    if backend.name != "numpy":
        for mask in (allowed, words.view(np.int32), full.view(np.int32)):
            there = backend.convert(mask)
            np.testing.assert_array_equal(backend(truncate, x, mask=there), wanted)


def test_biases(backend):
    x = logits_of((2, 20))
    for bias in ({3: 2.5, 0: -np.inf}, ([3, 0], [2.5, -np.inf])):
        wanted = x.copy()
        wanted[:, 3] += np.float32(2.5)
        wanted[:, 0] = -np.inf
        np.testing.assert_array_equal(backend(truncate, x, logit_bias=bias), wanted)
    np.testing.assert_array_equal(backend(truncate, x, logit_bias={}), x)


def test_outputs_are_written_where_asked(backend):
    x = logits_of((3, 50))
    logits = backend.convert(x)
    wanted = backend(truncate, x, top_k=4)
    tokens = backend(sample, x, rng=1)
    place, ids = backend.convert(np.zeros_like(x)), backend.convert(np.zeros(3, np.int64))
    with backend.watched():
        assert truncate(logits, top_k=4, out=place) is place
        assert sample(logits, rng=1, out=ids) is ids
        assert sample(logits, rng=1, out=ids, logprobs=1).tokens is ids
        assert truncate(logits, top_k=4, out=logits) is logits
    for got in (place, logits):
        np.testing.assert_array_equal(backend.to_numpy(got, got), wanted)
    np.testing.assert_array_equal(backend.to_numpy(ids, ids), tokens)


def test_outputs_of_one_row(backend):
    x = logits_of(50)
    logits = backend.convert(x)
    place, token = backend.convert(np.zeros_like(x)), backend.convert(np.zeros((), np.int64))
    with backend.watched():
        truncate(logits, top_k=4, out=place)
        sample(logits, rng=1, out=token)
    np.testing.assert_array_equal(backend.to_numpy(place, place), backend(truncate, x, top_k=4))
    assert backend.to_numpy(token, token) == backend(sample, x, rng=1)


def test_bfloat16_output():
    torch = pytest.importorskip("torch")
    x = torch.randn(2, 30).bfloat16()
    place = torch.zeros_like(x)
    truncate(x, top_k=3, out=place)
    assert torch.equal(place, truncate(x, top_k=3))
    assert place.isfinite().sum() >= 6


def test_logprobs_after_the_rules(backend):
    x = logits_of((4, 60))
    args = {"top_k": 3, "temperature": 0.5}
    drawn = backend(sample, x, rng=2, logprobs=5, logprobs_mode="processed", **args)
    law = backend(distribution, x, **args)
    every = np.arange(4)
    np.testing.assert_allclose(
        drawn.logprob, np.log(law[every, drawn.tokens]), rtol=1e-6, atol=1e-9
    )
    assert (drawn.top_ids[:, 3:] == -1).all()
    assert (drawn.top_logprobs[:, 3:] == -np.inf).all()
    best = np.argsort(-x, axis=1)[:, :3]
    np.testing.assert_array_equal(drawn.top_ids[:, :3], best)
    np.testing.assert_allclose(
        drawn.top_logprobs[:, :3], np.log(law[every[:, None], best]), rtol=1e-6, atol=1e-9
    )
    whole = np.exp((x.astype(np.float64) - x.max(1, keepdims=True)) / 0.5)
    np.testing.assert_allclose(
        drawn.mass, whole[every[:, None], best].sum(1) / whole.sum(1), rtol=1e-6
    )


def test_the_best_of_equals_come_in_the_order_of_ids(backend):
    x = np.zeros((1, 300), np.float32)
    x[0, 250] = 1.0
    drawn = backend(sample, x, rng=0, logprobs=4)
    assert drawn.top_ids.tolist() == [[250, 0, 1, 2]]
    assert drawn.rank.tolist() == [300 if drawn.tokens[0] != 250 else 1]


def test_more_logprobs_than_tokens(backend):
    drawn = backend(sample, logits_of((2, 3)), rng=0, logprobs=5)
    assert drawn.top_ids.shape == (2, 5)
    assert (drawn.top_ids[:, 3:] == -1).all()
    assert (drawn.top_logprobs[:, 3:] == -np.inf).all()


def test_protected_ids(backend):
    x = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))
    args = {"xtc_probability": 1.0, "xtc_threshold": 0.15}
    assert backend(keep_mask, x, **args).tolist() == [[False, False, True, True]]
    for ids, acts in (([1], False), ([2], True), ([3, 99], True), ([], True), ([0, 3], False)):
        kept = backend(keep_mask, x, protected_ids=ids, **args)
        assert kept.all() == (not acts)


STRICT = {name: values.strict for name, values in SWITCHES.items() if values.strict is not None}


@pytest.mark.parametrize("name", STRICT)
def test_min_tokens_to_keep(backend, name):
    x = logits_of((2, 100), scale=20.0)
    likely = np.argsort(-x, axis=1)
    if name == "typical_p":
        p = np.exp(x.astype(np.float64) - backend(row_stats, x).lse[:, None])
        surprise = -np.log(p)
        likely = np.argsort(np.abs(surprise - (p * surprise).sum(1, keepdims=True)), axis=1)
    one = backend(keep_mask, x, **{name: STRICT[name]})
    assert np.flatnonzero(one[0]).tolist() == [likely[0, 0]]
    kept = backend(keep_mask, x, min_tokens_to_keep=[3, 500], **{name: STRICT[name]})
    assert sorted(np.flatnonzero(kept[0])) == sorted(likely[0, :3])
    assert kept[1].all()


@pytest.mark.parametrize("name", SWITCHES)
def test_rules_turn_on_and_off_row_by_row(backend, name):
    x = logits_of((2, 200))
    args = {name: SWITCHES[name].acts, **SWITCHES[name].beside}
    neutral = {of: PARAMETERS[of].neutral for of in args}
    both = {of: [args[of], neutral[of]] for of in args}
    law = backend(distribution, x, **both)
    np.testing.assert_allclose(law[0], backend(distribution, x[0], **args), rtol=1e-12)
    np.testing.assert_allclose(law[1], backend(distribution, x[1]), rtol=1e-12)
