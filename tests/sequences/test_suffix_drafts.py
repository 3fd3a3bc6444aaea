"""Drafts from text, beside a search through all of the text for each of them."""

import copy
import heapq
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sortes.sequences import SuffixAutomaton, SuffixDrafts

TOKENS = st.lists(st.integers(0, 2), max_size=40)


def occurrences(texts, string):
    """How often a string stands in texts."""
    n = len(string)
    return sum(text[i : i + n] == string for text in texts for i in range(len(text) - n + 1))


def longest(text, texts, *, ends):
    """The longest suffix of a text that stands in texts, or with `ends` also before its own end."""
    return next(
        n for n in range(len(text), -1, -1)
        if n == 0 or occurrences(texts, text[len(text) - n :]) > ends
    )  # fmt: skip


def contexts(text, texts, length):
    """The suffixes up to a length, by where they stand: of those at the same places the longest."""
    seen = set()
    for n in range(length, 0, -1):
        string = text[len(text) - n :]
        places = frozenset(
            (t, i + n) for t, other in enumerate(texts) for i in range(len(other) - n + 1)
            if other[i : i + n] == string
        )  # fmt: skip
        if places and places not in seen:
            seen.add(places)
            followers = {}
            for t, end in sorted(places):
                if end < len(texts[t]):
                    followers[texts[t][end]] = followers.get(texts[t][end], 0) + 1
            yield n, followers


def law(text, beginning, corpus, own_end):
    """The law of the next token behind a beginning, by prediction by partial matching."""
    whole = text + beginning
    levels = []
    for kind, texts in ((0, [text]), (1, corpus)):
        n = longest(whole, texts, ends=own_end if kind == 0 and not beginning else 0)
        levels += [(-length, kind, found) for length, found in contexts(whole, texts, n)]
    mass, out = 1.0, {}
    for length, _, found in sorted(levels, key=lambda level: level[:2]):
        if found:
            escape = 8 * len(found) / (-length) ** 1.5
            total = sum(found.values()) + escape
            for token, count in found.items():
                out.setdefault(token, (mass * count / total, count))
            mass *= escape / total
    return out


@settings(max_examples=150, deadline=None)
@given(TOKENS, st.lists(TOKENS, max_size=3), st.integers(1, 12), st.integers(1, 4))
def test_drafts_are_those_of_a_search_through_the_text(text, corpus, nodes, depth):
    drafts = SuffixDrafts(text, corpus=SuffixAutomaton(corpus) if corpus else None)
    own, beside = longest(text, [text], ends=1), longest(text, corpus, ends=0)
    assert drafts.match_length == max(own, beside)
    got = drafts.draft(nodes, max_depth=depth)
    # Best first: whatever the order of equals, the probabilities are the same.
    heap = [(-p, (t,)) for t, (p, _) in law(text, [], corpus, 1).items()]
    heapq.heapify(heap)
    want = []
    while heap and len(want) < nodes:
        p, path = heapq.heappop(heap)
        want.append(-p)
        if len(path) < depth:
            for token, (share, _) in law(text, list(path), corpus, 1).items():
                heapq.heappush(heap, (p * share, (*path, token)))
    np.testing.assert_allclose(np.exp(got.logprobs[1:]), want, rtol=1e-12)
    assert got.tokens[0] == (text[-1] if text else -1)
    for node in range(1, len(got)):
        path, at = [], int(got.parents[node])
        while at > 0:
            path.insert(0, int(got.tokens[at]))
            at = int(got.parents[at])
        share, count = law(text, path, corpus, 1)[int(got.tokens[node])]
        above = got.logprobs[got.parents[node]]
        assert np.exp(got.logprobs[node] - above) == pytest.approx(share, rel=1e-12)
        assert got.counts[node] == count


@settings(max_examples=100, deadline=None)
@given(st.lists(TOKENS, max_size=4), TOKENS)
def test_strings_are_counted(texts, string):
    automaton = SuffixAutomaton(texts)
    assert len(automaton) == sum(map(len, texts))
    for n in range(1, len(string) + 1):
        assert automaton.count(string[:n]) == occurrences(texts, string[:n])


@settings(max_examples=50, deadline=None)
@given(TOKENS, st.integers(0, 40))
def test_a_text_may_come_in_parts(text, cut):
    whole = SuffixDrafts(text).draft(20)
    parts = SuffixDrafts(text[:cut]).extend(text[cut:])
    for other in (parts, parts.copy(), copy.deepcopy(parts), pickle.loads(pickle.dumps(parts))):
        again = other.draft(20)
        assert np.array_equal(again.tokens, whole.tokens)
        assert np.array_equal(again.logprobs, whole.logprobs)


def test_equals_go_by_what_was_new_last():
    # 1 was followed by 5, 6 and 7, once each.
    draft = SuffixDrafts([1, 5, 1, 6, 1, 7, 1]).draft(3, max_depth=1)
    assert draft.tokens.tolist() == [1, 7, 6, 5]


def test_smaller_drafts_begin_larger_ones_and_least_probabilities_hold():
    text = SuffixDrafts(np.random.default_rng(0).integers(0, 4, 300))
    large = text.draft(50)
    assert len(large) == 51
    for nodes in (0, 1, 7, 30):
        assert np.array_equal(text.draft(nodes).tokens, large.tokens[: nodes + 1])
    least = text.draft(1000, min_prob=0.05)
    assert (np.exp(least.logprobs) >= 0.05).all()
    assert np.array_equal(least.tokens, text.draft(len(least) - 1).tokens)


def test_a_corpus_is_shared():
    corpus = SuffixAutomaton([[1, 2, 3, 4], [2, 3, 9]])
    assert pickle.loads(pickle.dumps(corpus)).count([2, 3]) == 2
    one, other = (SuffixDrafts([2], corpus=corpus).extend([3]) for _ in range(2))
    assert one.draft(2, max_depth=1).tokens.tolist() == [3, 9, 4]
    other.extend([4])
    assert one.draft(2, max_depth=1).tokens.tolist() == [3, 9, 4]
    assert copy.copy(corpus) is corpus
    assert repr(one) == "<SuffixDrafts of 2 tokens, corpus of 7 tokens>"


def test_repetition_takes_linear_time():
    text = SuffixDrafts(np.full(200_000, 7))
    draft = text.draft(8)
    assert text.match_length == 199_999
    assert draft.tokens.tolist() == [7] * 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SuffixDrafts([-1]), r"tokens: item 0 must be in \[0, 2\*\*32\), got -1"),
        (lambda: SuffixDrafts([[1]]), r"tokens: must have shape \(n,\)"),
        (lambda: SuffixDrafts([1], corpus=[[1]]), "corpus: must be a SuffixAutomaton"),
        (lambda: SuffixAutomaton("ab"), "texts: must be a sequence of arrays"),
        (lambda: SuffixAutomaton([[1], [2.5]]), r"texts: item 1: "),
        (lambda: SuffixDrafts([1]).draft(-1), "num_tokens: must be at least 0"),
        (lambda: SuffixDrafts([1]).draft(max_depth=0), "max_depth: must be in"),
        (lambda: SuffixDrafts([1]).draft(min_prob=2), "min_prob: must be in"),
    ],
)
def test_bad_values(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_draft_ends_where_nothing_is_likely_any_more():
    """Red if continuations of probability zero, which long texts have, are drafted."""
    draft = SuffixDrafts([1, 2, 1]).draft(1_000_000)
    assert 100 < len(draft.tokens) < 100_000
    assert np.isfinite(draft.logprobs).all()
