"""A draw asks about its token alone: its law, and its tokens, are those of the kept set."""

import numpy as np
import pytest
from decode.fifty_digits import RULES, cases
from lawlib import assert_law
from sortes.decode import distribution, keep_mask, sample

ARGS = [
    {"top_p": 0.9},
    {"top_p": 0.4},
    {"temperature": 0.7, "top_p": 0.95, "min_p": 0.01},
    {"temperature": 1.8, "top_p": 0.8, "min_p": 1e-3},
    {"typical_p": 0.9},
    {"temperature": 1.3, "typical_p": 0.5},
    {"top_p": 0.97, "typical_p": 0.6, "top_p_boundary": "exclude"},
    {"min_p": 1e-5, "top_p": 0.7, "order": "vllm", "ties": "low"},
]
args_of = pytest.mark.parametrize("args", ARGS, ids=[",".join(args) for args in ARGS])


def in_steps(size, step, seed=0):
    """Logits with many equals, so that the rules cut between some."""
    logits = np.random.default_rng(seed).normal(size=size, scale=1.5)
    return (np.round(logits / step) * step).astype(np.float32)


@pytest.mark.law
@args_of
def test_frequencies(args):
    """n = 20,000; the tokens at the boundary, which are told apart by their ids, are a bin."""
    n, logits = 20_000, in_steps(9_000, 0.4)
    law = distribution(logits, **args)
    kept = keep_mask(logits, **args)
    ends = logits == logits[kept].min()
    bins = np.where(ends, 100, np.arange(9_000) // 100)
    tokens = sample(np.broadcast_to(logits, (n, 9_000)), rows=np.arange(n), rng=1, **args)
    assert kept[tokens].all()
    assert np.unique(tokens[ends[tokens]]).size > 3
    assert_law(np.bincount(bins[tokens], minlength=101), np.bincount(bins, law, minlength=101))


@args_of
@pytest.mark.parametrize("step", [0.5, 1e-3, 1e-7])
def test_tokens_are_those_of_whoever_asks_for_more(args, step):
    """Log-probabilities need the kept set itself, from which the same token is drawn."""
    for size, n in ((9_000, 300), (140_000, 20)):
        rows = np.broadcast_to(in_steps(size, step), (n, size))
        tokens = sample(rows, rows=np.arange(n), rng=2, **args)
        found = sample(rows, rows=np.arange(n), rng=2, logprobs=0, **args)
        np.testing.assert_array_equal(tokens, found.tokens)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.startswith(("top_p", "typical"))])
def test_masses_that_end_at_the_threshold(rule):
    """No rounding decides whether a token is drawn."""
    name, _, _, beside = RULES[rule]
    for x, values, wanted in cases(rule, 0.7)[0]:
        few, size = x[:40], x.shape[1]
        long = np.full((len(few), 9000), -9999.0, np.float32)
        ids = np.random.default_rng(size).choice(9000, size, replace=False)
        ids.sort()
        long[:, ids] = few
        args = {name: values[:40], "temperature": 0.7, "order": "vllm", **beside}
        drawn = np.zeros(wanted[:40].shape, bool)
        for step in range(20):
            tokens = sample(long, rng=3, step=step, **args)
            found = sample(long, rng=3, step=step, logprobs=0, **args)
            np.testing.assert_array_equal(tokens, found.tokens)
            drawn[np.arange(len(few)), np.searchsorted(ids, tokens)] = True
        assert not (drawn & ~wanted[:40]).any()
