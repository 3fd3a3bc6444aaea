"""pass@k of independent samples from distinct ones: unbiased, and worth more than its size."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_mean
from sortes.pool import pass_at_k, pass_at_k_distinct
from vectors import load

UNORDERED = load("pool/passk.json")["unordered_set"]


@pytest.mark.parametrize("case", UNORDERED, ids=lambda case: str(case["set"]))
def test_one_sample_is_the_unordered_set_estimate(case):
    """The weight of a sample is the estimate where it alone is right."""
    logs = np.log(case["probs"])[case["set"]]
    for i, weight in enumerate(case["weights"]):
        right = np.arange(len(logs)) == i
        assert pass_at_k_distinct(right, logs, 1).value == pytest.approx(weight, abs=1e-9)


def sets_of(p, m):
    """The chance of every set of m draws without replacement."""
    chances = {}
    for order in permutations(range(len(p)), m):
        chance, left = 1.0, 1.0
        for i in order:
            chance *= p[i] / left
            left -= p[i]
        key = tuple(sorted(order))
        chances[key] = chances.get(key, 0.0) + chance
    return chances


def conditional(p, right, chosen, k):
    """The chance that the first m distinct draws are these, and the first k draws wrong."""
    wrong = [i for i in chosen if not right[i]]
    missed = 0.0
    for drawn in product(wrong, repeat=k):
        left = [i for i in chosen if i not in drawn]
        # The rest must come before anything outside.
        inside = sum(p[i] for i in left)
        outside = 1 - sum(p[i] for i in chosen)
        rest = 0.0
        for order in permutations(left):
            chance, mass = 1.0, inside
            for i in order:
                chance *= p[i] / (mass + outside)
                mass -= p[i]
            rest += chance
        missed += np.prod([p[i] for i in drawn]) * rest
    return missed


@pytest.mark.parametrize("p", [[0.4, 0.3, 0.2, 0.1], [0.9, 0.05, 0.03, 0.01, 0.01]])
def test_enumerated(p):
    """The estimate is the conditional chance, and unbiased; so is the variance before its clip."""
    right = np.arange(len(p)) % 2 == 1
    pi = sum(np.array(p)[right])
    for m in (2, 3, len(p)):
        chances = sets_of(p, m)
        for k in range(1, m + 1):
            mean = 0.0
            for chosen, chance in chances.items():
                logs = np.log(p)[list(chosen)]
                value, stderr = pass_at_k_distinct(right[list(chosen)], logs, k)
                expected = 1 - conditional(p, right, chosen, k) / chance
                assert value == pytest.approx(expected, abs=1e-11)
                assert np.isnan(stderr) == (2 * k > m)
                mean += chance * value
            assert mean == pytest.approx(1 - (1 - pi) ** k, abs=1e-11)


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.floats(-1e6, -60), st.data())
def test_where_nothing_repeats_it_is_pass_at_k(right, log_p, data):
    n = len(right)
    k = data.draw(st.integers(1, n))
    value, _ = pass_at_k_distinct(right, np.full(n, log_p), k)
    assert value == pytest.approx(pass_at_k(n, sum(right), k), abs=1e-12)


def test_where_the_samples_are_everything_it_is_exact():
    p = np.array([0.5, 0.25, 0.125, 0.125])
    right = np.array([False, False, True, False])
    value, stderr = pass_at_k_distinct(right, np.log(p), [1, 2, 4])
    np.testing.assert_allclose(value, 1 - 0.875 ** np.array([1, 2, 4]))
    assert stderr[:2].tolist() == [0, 0]


def test_unlike_probabilities_lose_nothing():
    """One sample is nearly everything, and others as rare as whole texts are."""
    logs = np.array([np.log1p(-1e-6), -20.0, -300.0, -3000.0])
    value, _ = pass_at_k_distinct([False, True, True, True], logs, [1, 4])
    assert (value >= 0).all()
    assert value[0] == pytest.approx(1e-6, rel=1e-3)
    assert value[1] == pytest.approx(4e-6, rel=1e-3)


def test_input():
    right, logs = np.array([[1, 0], [0, 0]]), np.log([[0.5, 0.2], [0.3, 0.3]])
    value, stderr = pass_at_k_distinct(right, logs, [1, 2])
    assert value.shape == stderr.shape == (2, 2)
    assert pass_at_k_distinct(right == 1, logs, 1).value.tolist() == value[:, 0].tolist()
    for bad, message in [
        ((right, logs, 3), "k: must be at most the number of samples, 2, got 3"),
        ((right * 2, logs, 1), r"correct: item \(0, 0\) must be 0 or 1, got: 2"),
        ((right[0], logs, 1), r"correct: must have the shape of logprobs, \(2, 2\), got \(2,\)"),
        ((right, -logs, 1), r"logprobs: row 0: item 0 must be in \(-inf, 0\], got 0.69"),
        ((right, np.zeros((2, 2)), 1), "logprobs: row 0: distinct samples cannot have a mass of 2"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            pass_at_k_distinct(*bad)


# The models: laws over sequences that can be enumerated, and which of these are right.


def tree(temperature, branches=6, depth=4, seed=5):
    """The leaves of a random language model with a vocabulary of six, at a temperature."""
    rng, p = np.random.default_rng(seed), np.ones(1)
    for _ in range(depth):
        step = rng.dirichlet(np.ones(branches), size=len(p)) ** (1 / temperature)
        p = (p[:, None] * (step / step.sum(1, keepdims=True))).ravel()
    return p


def zipf(exponent, size=1000):
    p = np.arange(1, size + 1.0) ** -exponent
    return p / p.sum()


MODELS = {"tree, cold": tree(0.35), "zipf 1.5": zipf(1.5), "zipf 2": zipf(2.0)}


def distinct_draws(p, m, rng, repeats):
    """Sets of m draws without replacement: the largest perturbed log-probabilities."""
    keys = np.log(p) + rng.gumbel(size=(repeats, p.size))
    return np.argpartition(-keys, m - 1, axis=1)[:, :m]


@pytest.mark.law
@pytest.mark.parametrize("name", MODELS)
def test_32_distinct_samples_err_no_more_than_64_independent(name):
    """Root mean square errors of pass@1 and pass@4, from 4,000 sets each.

    So it is where 32 distinct draws are worth at least 64 independent ones: where it takes that
    many to see 33 different sequences. In a uniform model of more than 63 sequences it does not:
    the variance without replacement, (1 - 31 / (L - 1)) / 32, exceeds 1 / 64 from L = 64 on.
    """
    p, rng, repeats = MODELS[name], np.random.default_rng(7), 4000
    right = np.random.default_rng(3).random(p.size) < 0.3
    truth, k = p[right].sum(), np.array([1, 4])
    drawn = distinct_draws(p, 32, rng, repeats)
    ours, stated = pass_at_k_distinct(right[drawn], np.log(p)[drawn], k)
    theirs = pass_at_k(64, rng.binomial(64, truth, repeats)[:, None], k)
    expected = 1 - (1 - truth) ** k
    for j in range(2):
        assert_mean(ours[:, j], expected[j])
        error = np.square(ours[:, j] - expected[j]).mean()
        assert error <= np.square(theirs[:, j] - expected[j]).mean()
        # The stated variance is right on average, but for its clip.
        assert 0.8 * error <= np.square(stated[:, j]).mean() <= 1.6 * error


def test_the_variance_of_a_uniform_model_is_that_of_a_survey():
    """Every set of 4 of 7 sequences: (1 - pi) pi / m (1 - (m - 1) / (L - 1))."""
    from itertools import combinations

    right = np.arange(7) < 3
    logs = np.full(4, -np.log(7))
    values = [
        pass_at_k_distinct(right[list(chosen)], logs, 1).value
        for chosen in combinations(range(7), 4)
    ]
    assert np.var(values) == pytest.approx(3 / 7 * 4 / 7 / 4 * (1 - 3 / 6), rel=1e-9)
