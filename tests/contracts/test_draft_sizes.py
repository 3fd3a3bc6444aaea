"""How much of a draft is looked at: what is learned of calls and of drafts."""

import pytest

pytest.importorskip("transformers")

from sortes.integrations.transformers._draft_sizes import (
    Acceptance,
    CallTimes,
    best_part,
    best_width,
)
from sortes.integrations.transformers._drafts import Draft

#: The token 5 behind the text, or 6; behind 5 come 7 and then 8.
DRAFT = Draft([1, 5, 6, 7, 8], [-1, 0, 0, 1, 3], [1.0, 0.65, 0.25, 0.6, 0.5])


def test_learns_from_what_came_and_no_further():
    """Red if a token counts as refused of which nobody knows yet whether it comes."""
    acceptance = Acceptance()
    before = acceptance.probs(DRAFT)
    acceptance.add(DRAFT, [5])
    once = acceptance.probs(DRAFT)
    assert once[1] > before[1]
    assert once[2] < before[2]
    assert once[3] / once[1] == pytest.approx(before[3] / before[1])
    acceptance.add(DRAFT, [5, 9])
    assert acceptance.probs(DRAFT)[3] / acceptance.probs(DRAFT)[1] < before[3] / before[1]


def test_learns_from_drafts_that_nobody_looked_at():
    """Red if only the part of a draft counts that went into the call: it would stay unused."""
    times, acceptance = CallTimes(0.1), Acceptance()
    for _ in range(60):
        acceptance.add(DRAFT, [2])
    assert best_width([acceptance.probs(DRAFT)], times) == 1
    for _ in range(60):
        acceptance.add(DRAFT, [5, 7, 8, 3])
    assert best_width([acceptance.probs(DRAFT)], times) == 4
    assert best_part(DRAFT, acceptance.probs(DRAFT), 4).tokens == [1, 5, 7, 8]


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
