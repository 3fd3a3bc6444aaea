"""The chance that k samples vote for the right answer."""

from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_mean
from sortes.pool import majority_at_k


def worth(votes, ties):
    """What the right answer, 0, wins."""
    counts = Counter(votes)
    most = max(counts.values())
    tied = [answer for answer, count in counts.items() if count == most]
    if 0 not in tied:
        return 0.0
    return 1 / len(tied) if ties == "split" else float(len(tied) == 1)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.sampled_from(["split", "lose"]))
def test_all_subsets(answers, ties):
    k = np.arange(1, len(answers) + 1)
    means = [np.mean([worth(s, ties) for s in combinations(answers, int(i))]) for i in k]
    np.testing.assert_allclose(majority_at_k(answers, 0, k, ties=ties), means, atol=1e-13)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.data())
def test_weights_are_draws_with_replacement(answers, data):
    n = len(answers)
    weights = np.array(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)), float)
    p = weights / weights.sum()
    for ties in ("split", "lose"):
        for k in range(1, 5):
            expected = sum(
                np.prod(p[list(drawn)]) * worth([answers[i] for i in drawn], ties)
                for drawn in product(range(n), repeat=k)
            )
            value = majority_at_k(answers, 0, k, weights=weights, ties=ties)
            assert value == pytest.approx(expected, abs=1e-13)


def test_splitting_a_tie_is_taking_the_first_answer():
    answers, k = [0, 0, 1, 1, 2], 4
    first = [Counter(order[:k]).most_common(1)[0][0] == 0 for order in permutations(answers)]
    assert majority_at_k(answers, 0, k) == pytest.approx(np.mean(first), abs=1e-14)


def test_one_vote_is_pass_at_1_and_all_votes_are_the_vote():
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 5, (20, 31))
    chances = majority_at_k(answers, 2, [1, 31])
    np.testing.assert_allclose(chances[:, 0], (answers == 2).mean(1), atol=1e-14)
    counts = np.stack([(answers == a).sum(1) for a in range(5)], 1)
    most = counts.max(1, keepdims=True)
    expected = (counts[:, 2] == most[:, 0]) / (counts == most).sum(1)
    np.testing.assert_allclose(chances[:, 1], expected, atol=1e-14)


def test_the_right_answer_of_each_problem():
    answers = np.array([[5, 5, 7], [7, 7, 5]])
    assert majority_at_k(answers, [5, 5], 3).tolist() == [1.0, 0.0]
    assert majority_at_k(answers, [7, 99], 1).tolist() == pytest.approx([1 / 3, 0.0])
    assert isinstance(majority_at_k(answers[0], 5, 1), float)
    with pytest.raises(ValueError, match=r"^correct: must be an integer or have shape \(2,\)"):
        majority_at_k(answers, [5, 5, 5], 1)
    with pytest.raises(ValueError, match=r"^k: must be at most the number of samples, 3, got 4"):
        majority_at_k(answers, 5, 4)
    with pytest.raises(ValueError, match=r"^ties: must be 'split' or 'lose', got 'win'"):
        majority_at_k(answers, 5, 1, ties="win")


def test_many_samples_are_exact_too():
    """Two answers: the hypergeometric law decides; with weights, the binomial one."""
    stats = pytest.importorskip("scipy.stats")
    answers = np.repeat([0, 1], [520, 480])
    for k in (1, 101, 500):
        law = stats.hypergeom(1000, 520, k)
        expected = law.sf(k // 2) + 0.5 * (law.pmf(k // 2) if k % 2 == 0 else 0)
        assert majority_at_k(answers, 0, k) == pytest.approx(expected, abs=1e-12)
    law = stats.binom(999, 0.52)
    value = majority_at_k([0, 1], 0, 999, weights=[0.52, 0.48])
    assert value == pytest.approx(law.sf(499), abs=1e-12)


@pytest.mark.law
def test_votes_of_fresh_samples():
    """20,000 pools of 15 samples of a model with four answers, k = 5, against 5 fresh samples."""
    rng = np.random.default_rng(1)
    p = [0.4, 0.35, 0.15, 0.1]
    truth = sum(
        np.prod([p[a] for a in votes]) * worth(votes, "split")
        for votes in product(range(4), repeat=5)
    )
    assert_mean(majority_at_k(rng.choice(4, (20_000, 15), p=p), 0, 5), truth)
