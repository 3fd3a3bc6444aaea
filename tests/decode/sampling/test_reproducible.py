"""A draw depends on its own row, parameters, seed, id and step: on nothing else."""

import copy
import pickle

import numpy as np
import pytest
import sortes
from sortes.decode import Rules, cutoffs, distribution, keep_mask, row_stats, sample, truncate

BATCH = 12
RULES = [
    {},
    {"temperature": 0.7, "top_p": 0.9},
    {"eta_cutoff": 2e-3},
    {"typical_p": 0.9},
    {"top_k": 50, "xtc_probability": 0.5, "xtc_threshold": 0.01},
    {"temperature": np.linspace(0, 2, BATCH), "min_p": np.linspace(0, 0.2, BATCH)},
    {"top_h": 0.6, "tfs": 0.99},
    {"dynatemp_range": 0.5, "smoothing_factor": 0.1, "p_less": True},
]
rules = pytest.mark.parametrize("args", RULES, ids=[",".join(r) or "none" for r in RULES])


def logits_of(size, seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, size), scale=2.5).astype(np.float32)


def rows_of(args, index):
    """The parameters of some rows."""
    return {k: v[index] if isinstance(v, np.ndarray) else v for k, v in args.items()}


@rules
@pytest.mark.parametrize("size", [500, 20_000, 140_000])
def test_threads(args, size):
    x = logits_of(size)
    one = sample(x, rng=3, num_threads=1, **args)
    law = distribution(x[:2], num_threads=1, **rows_of(args, slice(2)))
    kept = truncate(x, rng=3, num_threads=1, **args)
    for threads in (2, 7):
        assert (sample(x, rng=3, num_threads=threads, **args) == one).all()
        some = distribution(x[:2], num_threads=threads, **rows_of(args, slice(2)))
        assert (some == law).all()
        assert (truncate(x, rng=3, num_threads=threads, **args) == kept).all()
        # A single row is split over the threads.
        first = sample(x[:1], rng=3, num_threads=threads, **rows_of(args, slice(1)))
        assert first[0] == one[0]


def test_statistics_on_threads():
    x = logits_of(140_000)
    one = row_stats(x, num_threads=1)
    for threads in (2, 7):
        for got, wanted in zip(row_stats(x, num_threads=threads), one, strict=True):
            assert (got == wanted).all()


@rules
def test_slices_and_permutations(backend, args):
    x, ids = logits_of(3000), np.arange(100, 100 + BATCH)
    whole = backend(sample, x, rng=5, rows=ids, step=4, **args)
    for cut in (1, 5, 11):
        parts = [
            backend(sample, x[part], rng=5, rows=ids[part], step=4, **rows_of(args, part))
            for part in (slice(cut), slice(cut, None))
        ]
        assert (np.concatenate(parts) == whole).all()
    order = np.random.default_rng(0).permutation(BATCH)
    mixed = backend(sample, x[order], rng=5, rows=ids[order], step=4, **rows_of(args, order))
    assert (mixed == whole[order]).all()


def test_rows_count_from_zero(backend):
    x = logits_of(300)
    wanted = backend(sample, x, rng=1)
    assert (backend(sample, x, rng=1, rows=np.arange(BATCH)) == wanted).all()
    assert (backend(sample, x, rng=1, rows=np.arange(BATCH, dtype=np.uint32)) == wanted).all()


def test_steps_rows_and_seeds_differ(backend):
    x = np.zeros((BATCH, 100_000), np.float32)
    x = x[:, :5000]
    seen = {tuple(backend(sample, x, rng=s, step=t)) for s in range(3) for t in range(3)}
    assert len(seen) == 9
    assert len(set(backend(sample, x, rng=0))) > BATCH - 3
    same = backend(sample, x, rng=0, rows=np.full(BATCH, 7))
    assert len(set(same)) == 1


def test_a_stream_carries_its_step(backend):
    x, stream = logits_of(500), sortes.Stream(8)
    at_five = backend(sample, x, rng=stream, step=5)
    assert (backend(sample, x, rng=stream.advance(5)) == at_five).all()
    assert (backend(sample, x, rng=stream.advance(2), step=3) == at_five).all()


def test_a_seed_for_each_row(backend):
    x = logits_of(500)
    streams = [sortes.Stream(i) for i in range(BATCH)]
    zero = np.zeros(BATCH, np.uint32)
    whole = backend(sample, x, rng=streams, rows=zero)
    for row in range(BATCH):
        alone = backend(sample, x[row : row + 1], rng=streams[row])
        assert alone[0] == whole[row]


def test_a_step_for_each_row(backend):
    x = logits_of(500)
    streams = [sortes.Stream(5, step=3 * i) for i in range(BATCH)]
    args = {"xtc_probability": 0.5, "xtc_threshold": 0.001}
    whole = backend(sample, x, rng=streams, step=2, **args)
    for row in range(BATCH):
        alone = backend(sample, x[row], rng=streams[row], rows=[row], step=2, **args)
        assert alone == whole[row]
    there = backend(sample, x, rng=streams, rows=backend.convert(np.arange(BATCH)), step=2, **args)
    assert (there == whole).all()


def test_no_step_is_step_zero(backend):
    x = logits_of(500)
    assert (backend(sample, x, rng=4) == backend(sample, x, rng=4, step=0)).all()
    assert (backend(sample, x, rng=4) != backend(sample, x, rng=4, step=3)).any()


def test_generators_advance(backend):
    x = logits_of(5000)
    draws = [backend(sample, x, rng=np.random.default_rng(1)) for _ in range(2)]
    assert (draws[0] == draws[1]).all()
    generator = np.random.default_rng(1)
    assert (backend(sample, x, rng=generator) == draws[0]).all()
    assert (backend(sample, x, rng=generator) != draws[0]).any()


def test_no_seed_is_a_new_seed(backend):
    x = logits_of(5000)
    assert (backend(sample, x) != backend(sample, x)).any()


def test_the_coin_of_xtc_is_the_row_s_own(backend):
    x = np.tile(logits_of(100)[:1], (BATCH, 1))
    args = {"xtc_probability": 0.5, "xtc_threshold": 0.01, "rng": 9, "step": 2}
    kept = backend(keep_mask, x, **args)
    assert len({tuple(row) for row in kept}) == 2
    for row in range(BATCH):
        assert (backend(keep_mask, x[:1], rows=[row], **args)[0] == kept[row]).all()
    # The draw and the mask see one coin.
    tokens = backend(sample, x, **args)
    assert kept[np.arange(BATCH), tokens].all()
    ends = backend(cutoffs, x, **args)
    best = np.where(kept, x, -np.inf).max(1)
    np.testing.assert_array_equal(ends[:, 1], best)


def test_scan_is_the_map_from_uniforms():
    x = logits_of(50_000)
    once = sample(x, rng=2, eta_cutoff=2e-3, method="scan")
    assert (once == sample(x, rng=2, eta_cutoff=2e-3, method="scan", num_threads=1)).all()


def test_compiled_rules_are_the_arguments(backend):
    x = logits_of(400)
    for args in RULES:
        compiled = Rules(**args)
        wanted = backend(sample, x, rng=1, **args)
        assert (backend(sample, x, compiled, rng=1) == wanted).all()
        for again in (pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)):
            assert (backend(sample, x, again, rng=1) == wanted).all()
            assert again.order == compiled.order
            assert again.params.keys() == compiled.params.keys()


def test_rules_show_what_is_on():
    rules = Rules(temperature=1.0, top_k=-1, top_p=[0.5, 1], top_h=None, min_p=None, order="vllm")
    assert list(rules.params) == ["top_p"]
    assert rules.order[:4] == ("smoothing", "top_n_sigma", "temperature", "min_p")
    assert repr(Rules(top_p=0.5, order="vllm")) == "Rules(top_p=0.5, order='vllm')"
    assert Rules().params == {}
    with pytest.raises(AttributeError):
        rules.params = {}
    with pytest.raises(TypeError):
        rules.params["top_p"] = 0.1
    with pytest.raises(ValueError, match="read-only"):
        rules.params["top_p"][0] = 0.1
    given = np.array([0.5, 0.6])
    held = Rules(top_p=given)
    given[0] = 9.0
    assert held.params["top_p"].tolist() == [0.5, 0.6]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ">f4"])
@pytest.mark.parametrize("rng", [7, sortes.Stream(3).advance(2)])
def test_the_short_way_of_plain_calls_leads_to_the_same_tokens(dtype, rng):
    torch = pytest.importorskip("torch")
    logits = 2 * np.random.default_rng(0).standard_normal((3, 1000))
    logits = logits.astype(np.float32).astype(dtype)
    rules = sortes.Rules(top_p=0.9)
    for step in (0, 5):
        for x in (logits, logits[0], logits[:, ::2], logits[:0]):
            names = np.arange(len(x)) if x.ndim == 2 else 0
            expected = sortes.sample(x, rules, rng=rng, step=step, rows=names)  # the long way
            found = sortes.sample(x, rules, rng=rng, step=step)
            assert found.dtype == np.int64
            assert found.shape == x.shape[:-1]
            np.testing.assert_array_equal(found, expected)
            if x.dtype.isnative:
                tensor = sortes.sample(torch.from_numpy(x), rules, rng=rng, step=step)
                assert tensor.dtype is torch.int64
                np.testing.assert_array_equal(tensor.numpy(), expected)
                half = torch.from_numpy(x).bfloat16()
                longer = sortes.sample(half, rules, rng=rng, step=step, rows=names)
                assert torch.equal(sortes.sample(half, rules, rng=rng, step=step), longer)
