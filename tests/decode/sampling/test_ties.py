"""Masses that end at the threshold but for the last bits: no rounding decides what is kept."""

from decimal import Decimal

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
