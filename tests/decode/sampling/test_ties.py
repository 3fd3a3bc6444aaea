"""Masses that end at the threshold but for the last bits: no rounding decides what is kept."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from decode.fifty_digits import EQUAL, RULES, Row, cases, typical
from scipy.special import logsumexp, softmax
from sortes.decode import keep_mask


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("rule", RULES)
def test_kept_sets_are_those_of_the_logits(backend, rule, temperature):
    rows, nearest = cases(rule, temperature)
    # Numbers are equal or well apart, so that float64 is enough to tell which.
    assert nearest > 10 * EQUAL
    name, _, _, beside = RULES[rule]
    wrong = 0
    for x, values, wanted in rows:
        args = {name: values, "temperature": temperature, "order": "vllm", **beside}
        wrong += (backend(keep_mask, x, **args) != wanted).any(1).sum()
    assert wrong == 0


@pytest.mark.parametrize("ban", [-np.inf, -9999.0])
@pytest.mark.parametrize("rule", RULES)
def test_kept_sets_of_rows_too_long_to_list(backend, rule, ban):
    name, _, _, beside = RULES[rule]
    for x, values, wanted in cases(rule, 0.7)[0]:
        few, size = x[:60], x.shape[1]
        ids = np.random.default_rng(size).choice(9000, size, replace=False)
        ids.sort()
        long = np.full((len(few), 9000), ban, np.float32)
        long[:, ids] = few
        args = {name: values[:60], "temperature": 0.7, "order": "vllm", **beside}
        np.testing.assert_array_equal(backend(keep_mask, long, **args)[:, ids], wanted[:60])


def test_typical_tokens_equally_far_on_both_sides(backend):
    """Two tokens, one likelier and one less likely than the entropy says, as far from it."""
    x = np.sort(np.random.default_rng(3).normal(size=(6000, 6)), axis=1).astype(np.float32)
    for _ in range(100):
        p = softmax(x.astype(np.float64), axis=1)
        centre = (p * np.log(p)).sum(1) + logsumexp(x.astype(np.float64), axis=1)
        x[:, 0] = 2 * centre - x[:, 5]
    x = x[x[:, 0] < x[:, 1]][:400]
    # The four between them come first. If the likelier of the two is next, the other goes.
    p = softmax(x.astype(np.float64), axis=1)
    values = 1 - p[:, 5] - p[:, 0] / 2
    with localcontext(Context(prec=50)):
        sets = [
            typical(Row(row, 1.0), Decimal(value))
            for row, value in zip(x, values.tolist(), strict=True)
        ]
    wanted = np.array([np.isin(np.arange(6), list(kept)) for kept in sets])
    assert len(x) == 400
    assert 0.2 < wanted[:, 0].mean() < 0.8
    np.testing.assert_array_equal(backend(keep_mask, x, typical_p=values), wanted)
