"""Masses that end at the threshold but for the last bits: no rounding decides what is kept."""

import numpy as np
import pytest
from decode.fifty_digits import EQUAL, RULES, cases
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
