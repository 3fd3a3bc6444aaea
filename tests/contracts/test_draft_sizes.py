"""How much of a draft is looked at: what is learned of calls and of drafts."""

import numpy as np
import pytest

pytest.importorskip("transformers")

from sortes.integrations.transformers._call_times import CallTimes
from sortes.integrations.transformers._draft_sizes import Acceptance, best_part, best_width
from sortes.integrations.transformers._drafts import Draft

#: The token 5 behind the text, or 6; behind 5 come 7 and then 8.
DRAFT = Draft([1, 5, 6, 7, 8], [-1, 0, 0, 1, 3], [1.0, 0.65, 0.25, 0.6, 0.5])
#: Twelve tokens, each of which comes with probability 0.3 behind the last.
LONG = Draft(list(range(13)), list(range(-1, 12)), [0.3**n for n in range(13)])


def test_learns_from_what_came_and_no_further():
    """Red if a token counts as refused of which nobody knows yet whether it comes."""
    came, then_not = Acceptance().of_text(), Acceptance().of_text()
    before = came.probs(DRAFT)
    assert before == sorted(before[:2], reverse=True) + before[2:]
    came.add(DRAFT, [5])
    then_not.add(DRAFT, [5, 9])
    assert came.probs(DRAFT)[1] > before[1]
    assert then_not.probs(DRAFT)[3] < came.probs(DRAFT)[3]
    refused = Acceptance().of_text()
    refused.add(DRAFT, [6])
    assert refused.probs(DRAFT)[1] < before[1]


def test_learns_from_drafts_that_nobody_looked_at():
    """Red if only the part of a draft counts that went into the call: it would stay unused."""
    times, acceptance = CallTimes(0.1), Acceptance().of_text()
    for _ in range(60):
        acceptance.add(DRAFT, [2])
    assert best_width([acceptance.probs(DRAFT)], times) == 1
    for _ in range(60):
        acceptance.add(DRAFT, [5, 7, 8, 3])
    assert best_width([acceptance.probs(DRAFT)], times) >= 4
    assert best_part(DRAFT, acceptance.probs(DRAFT), 4).tokens == [1, 5, 7, 8]


def test_some_tokens_of_a_copy_make_long_drafts_and_some_others_none():
    """Red if what a draft says is believed for long, or if only many tokens make drafts longer."""
    times, acceptance = CallTimes(0.1), Acceptance().of_text()
    at_first = best_width([acceptance.probs(LONG)], times)
    acceptance.add(LONG, [1, 2, 3, 4, 99])
    assert best_width([acceptance.probs(LONG)], times) > at_first > 1
    for _ in range(6):
        acceptance.add(LONG, [99])
    assert best_width([acceptance.probs(LONG)], times) == 1
    acceptance.add(LONG, [1, 2, 3, 4, 99])
    assert best_width([acceptance.probs(LONG)], times) > 3


def test_probabilities_are_those_of_bayes_rule():
    """Red if the powers of different nodes are taken apart: they are one for all of a path."""
    acceptance = Acceptance().of_text()
    likely = 0.97 * 0.3 ** np.array([0.05, 0.12, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0])
    joint = np.mean(likely**2)
    assert acceptance.probs(LONG)[2] == pytest.approx(joint, rel=1e-12)
    acceptance.add(LONG, [1])
    weights = 0.99 * likely / likely.sum() + 0.01 / 8
    assert acceptance.probs(LONG)[1] == pytest.approx(weights @ likely, rel=1e-12)


def test_of_siblings_one_comes():
    """Red if the draft's probabilities are raised for each of the tokens of a place."""
    acceptance = Acceptance().of_text()
    for _ in range(9):
        acceptance.add(DRAFT, [5, 7, 8])
    probs = acceptance.probs(DRAFT)
    assert probs[1] > 0.8
    assert probs[1] + probs[2] < 1


@pytest.mark.parametrize("last", [0.0, 1e-310, 1e-200])
def test_paths_that_nearly_cannot_be(last):
    """Red if zeros are divided by: long drafts of a flat law have products that end there."""
    draft = Draft([1, 5, 6, 7], [-1, 0, 1, 2], [1.0, last, last, last])
    acceptance = Acceptance().of_text()
    with np.errstate(all="raise", under="ignore"):
        for _ in range(5):
            acceptance.add(draft, [5, 6, 7, 9])
        assert np.isfinite(acceptance.probs(draft)).all()
    assert best_width([acceptance.probs(draft)], CallTimes(0.1)) >= 1


def test_texts_begin_with_what_is_known_of_others():
    """Red if each text begins anew, or if texts of a batch share what they are like."""
    kind = Acceptance()
    first, other = kind.of_text(), kind.of_text()
    before = other.probs(LONG)
    for _ in range(30):
        first.add(LONG, [1, 2, 3, 99])
    assert other.probs(LONG) == before
    assert kind.of_text().probs(LONG)[1] > before[1]


def test_what_was_dear_once_is_tried_again():
    """Red if calls for one token leave what is known of wider ones as it is."""
    times = CallTimes(0.1)
    for _ in range(10):
        times.add(1, 1.0)
    for _ in range(50):
        times.add(4, 8.0)
    probs = [[1.0, 0.9, 0.81, 0.73]]
    assert best_width(probs, times) == 1
    for _ in range(400):
        times.add(1, 1.0)
    assert best_width(probs, times) == 4


def test_widths_that_are_faster_than_smaller_ones_are_found():
    """Red if times are a line: a call for 16 may take less than one for 12."""
    times = CallTimes(0.1)
    for width, seconds in {1: 0.05, 8: 0.12, 12: 0.15, 16: 0.1}.items():
        for _ in range(20):
            times.add(width, seconds)
    got = times.of_widths(np.array([1, 8, 12, 16, 64]))
    np.testing.assert_allclose(got[:4], [0.05, 0.12, 0.15, 0.1], rtol=0.05)
    assert 0.1 < got[4] < 0.6
    assert best_width([0.9 ** np.arange(20)], times) in (15, 16)
