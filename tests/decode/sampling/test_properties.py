"""What holds for all logits: invariances, nesting, agreement of the functions."""

import numpy as np
import pytest
from decode.rules import SHARES, SWITCHES
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sortes.decode import critical, cutoffs, distribution, keep_mask, sample, truncate
from sortes.decode._table import READERS, TABLE

# Multiples of 1/16 up to 30: shifts and ties are exact.
values = st.one_of(st.integers(-480, 480).map(lambda k: k / 16), st.just(-np.inf))
rows = hnp.arrays(np.float32, st.integers(1, 40), elements=values).filter(
    lambda x: np.isfinite(x).any()
)
distinct = st.lists(st.integers(-480, 480), min_size=1, max_size=40, unique=True).map(
    lambda ks: np.array(ks, np.float32) / 16
)
shares = st.sampled_from(SHARES)

GRIDS = {name: values for name, values in SWITCHES.items() if values.grid}
RULES = {name: st.sampled_from(values.grid) for name, values in GRIDS.items()}
one_rule = st.sampled_from(sorted(RULES)).flatmap(
    lambda name: RULES[name].map(lambda value: {name: value})
)


@given(rows, one_rule)
def test_something_is_always_kept(backend, x, rule):
    kept = backend(keep_mask, x, **rule)
    assert kept.any()
    assert not kept[x == -np.inf].any()
    if all("keeps_best" in TABLE[reader].flags for name in rule for reader in READERS[name]):
        assert kept[x == x.max()].any()


@given(rows, one_rule, st.integers(-1000, 1000))
def test_shifts_change_nothing(backend, x, rule, shift):
    moved = (x + np.float32(shift)).astype(np.float32)
    np.testing.assert_array_equal(backend(keep_mask, moved, **rule), backend(keep_mask, x, **rule))


@given(distinct, one_rule, st.randoms(use_true_random=False))
def test_rules_do_not_see_the_order_of_ids(backend, x, rule, random):
    order = np.array(random.sample(range(x.size), x.size))
    kept, moved = backend(keep_mask, x, **rule), backend(keep_mask, x[order], **rule)
    np.testing.assert_array_equal(moved, kept[order])


@given(rows, st.sampled_from(["top_k", "min_p"]), st.data())
def test_absolute_cuts_are_idempotent(backend, x, name, data):
    rule = {name: data.draw(RULES[name])}
    once = backend(truncate, x, **rule)
    np.testing.assert_array_equal(backend(truncate, once, **rule), once)


@pytest.mark.parametrize("name", GRIDS)
@given(data=st.data(), x=rows)
def test_kept_sets_are_nested(backend, name, data, x):
    a, b = sorted((data.draw(RULES[name]), data.draw(RULES[name])))
    less, more = (a, b) if GRIDS[name].grows else (b, a)
    fewer, others = (backend(keep_mask, x, **{name: value}) for value in (less, more))
    assert not (fewer & ~others).any()


@given(rows, shares, st.integers(1, 32).map(lambda k: k / 8))
def test_min_p_is_a_cut_in_logits(backend, x, min_p, temperature):
    cut = x.max() + temperature * np.log(min_p)
    assume(np.abs(x[np.isfinite(x)] - cut).min() > 1e-5)
    kept = backend(keep_mask, x, min_p=min_p, temperature=temperature)
    np.testing.assert_array_equal(kept, x >= cut)


@given(rows, RULES["top_n_sigma"], st.integers(1, 32).map(lambda k: k / 8))
def test_top_n_sigma_ignores_temperature(backend, x, n, temperature):
    np.testing.assert_array_equal(
        backend(keep_mask, x, top_n_sigma=n, temperature=temperature),
        backend(keep_mask, x, top_n_sigma=n),
    )


@given(rows, one_rule, one_rule)
def test_the_functions_agree(backend, x, one, other):
    args = one | other
    kept = backend(keep_mask, x, **args)
    left = backend(truncate, x, **args)
    np.testing.assert_array_equal(left, np.where(kept, x, -np.float32(np.inf)))
    np.testing.assert_array_equal(backend(cutoffs, x, **args), [x[kept].min(), x[kept].max()])
    law = backend(distribution, x, **args)
    weights = np.where(kept, np.exp(x.astype(np.float64) - x[kept].max()), 0)
    np.testing.assert_allclose(law, weights / weights.sum(), rtol=1e-9, atol=1e-300)
    drawn = backend(sample, x, rng=1, logprobs=0, **args)
    assert kept[drawn.tokens]
    whole = np.exp(x.astype(np.float64) - x[kept].max()).sum()
    np.testing.assert_allclose(drawn.mass, weights.sum() / whole, rtol=1e-6)


@given(rows, rows, one_rule)
def test_batches_are_rows(backend, x, y, rule):
    size = min(x.size, y.size)
    both = np.stack([x[:size], y[:size]])
    assume(np.isfinite(both).any(axis=1).all())
    kept = backend(keep_mask, both, **rule)
    for row in range(2):
        np.testing.assert_array_equal(kept[row], backend(keep_mask, both[row], **rule))


CRITICAL = [rule.name for rule in TABLE.values() if "critical" in rule.flags]


@pytest.mark.parametrize("rule", CRITICAL)
@given(data=st.data(), x=distinct)
def test_critical_parameters_decide(backend, rule, data, x):
    (name,) = (parameter.name for parameter in TABLE[rule].parameters)
    decides = SWITCHES[name].critical
    assume(x.size > 1)
    parameter = data.draw(RULES[name])
    value = backend(critical, x, rule=rule)
    clear = np.abs(value - parameter) > 1e-6 * (rule != "top_k")
    wanted = decides(parameter, value) | (x == x.max())
    kept = backend(keep_mask, x, **{name: parameter})
    np.testing.assert_array_equal(
        kept[clear | (rule == "top_k")], wanted[clear | (rule == "top_k")]
    )
