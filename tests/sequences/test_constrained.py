"""Distinct sequences that match a regular expression: against everything that may come."""

import re
from functools import partial

import numpy as np
import pytest
import sortes
from lawlib import assert_mean
from sequences.test_distinct import EOS, Random, texts
from sortes.sequences import (
    SequenceSearch,
    TokenAutomaton,
    Vocabulary,
    priority_sample,
    sample_without_replacement,
    stochastic_beam_search,
)

TOKENS = [None, b"a", b"b", b"ab", b"\xc3", b"\xa9"]
VOCABULARY = Vocabulary(TOKENS, eos_token_id=EOS)
PATTERN = "(ab|é)*a?b{0,2}"
AUTOMATON = TokenAutomaton(PATTERN, VOCABULARY)
SEARCHES = {
    "gumbel": partial(sample_without_replacement, rng=3),
    "token": priority_sample,
    "sequence": partial(priority_sample, priority="sequence"),
}
every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)


def text_of(tokens):
    return b"".join(TOKENS[token] or b"" for token in tokens)


def all_that_may_come(model, automaton, longest, *, completes=True, temperature=1.0, kept=None):
    """Every sequence: its log-probability, and the legal mass of each of its tokens.

    `kept(legal, row)` says which of the legal tokens a truncation leaves.
    """
    found, open_ = {}, [((), automaton.start, 0.0, ())]
    while open_:
        path, state, logprob, masses = open_.pop()
        row = model.row(path).astype(float) / temperature
        row -= np.log(np.exp(row).sum())
        left = longest - len(path) - 1
        after = {token: automaton.advance(state, token) for token in automaton.allowed(state)}
        legal = [t for t, s in after.items() if not completes or automaton.shortest(s) <= left]
        mass = np.log(np.exp(row[legal]).sum())
        taken = legal if kept is None else kept(np.array(legal), row)
        rest = np.log(np.exp(row[taken]).sum())
        for token in taken:
            longer = (*path, int(token))
            known = (logprob + row[token] - rest, (*masses, mass))
            if token == EOS or left == 0:
                found[longer] = known
            else:
                open_.append((longer, after[token], *known))
    return found


def check(found, want, model=None):
    """Everything came once, with its numbers."""
    assert sorted(texts(found)) == sorted(want)
    assert found.logprobs == pytest.approx([want[t][0] for t in texts(found)], abs=1e-6)
    for row, length, tokens in zip(found.legal_logprobs, found.lengths, texts(found), strict=True):
        assert row[:length] == pytest.approx(want[tokens][1], abs=1e-6)
        assert not row[length:].any()


@every_search
@pytest.mark.parametrize("completes", [True, False])
def test_everything_comes_once(search, completes):
    model = Random(1)
    want = all_that_may_come(model, AUTOMATON, 5, completes=completes)
    found = search(model, 10_000, 5, automaton=AUTOMATON, ensure_completion=completes)
    check(found, want)
    assert len(found.lengths) > 20
    for tokens, complete in zip(texts(found), found.complete, strict=True):
        assert complete == (tokens[-1] == EOS)
        if complete:
            assert re.fullmatch(PATTERN, text_of(tokens).decode())
    assert completes == found.complete.all()
    assert np.exp(found.logprobs).sum() == pytest.approx(1, abs=1e-6)


@every_search
def test_temperature_and_truncation(search):
    """The mass is that of the law at its temperature, before the truncation."""
    model = Random(2, spread=2.0)
    given = {"automaton": AUTOMATON, "temperature": 0.6}
    want = all_that_may_come(model, AUTOMATON, 4, temperature=0.6)
    found = search(model, 10_000, 4, **given)
    check(found, want)
    # Where only a temperature acts, masses and law make the law without an automaton.
    free = [model_logprob(model, tokens, 0.6) for tokens in texts(found)]
    assert found.logprobs + found.legal_logprobs.sum(1) == pytest.approx(free, abs=1e-6)
    top = all_that_may_come(
        model,
        AUTOMATON,
        4,
        temperature=0.6,
        kept=lambda legal, row: legal[np.argsort(row[legal])][-2:],
    )
    check(search(model, 10_000, 4, top_k=2, **given), top)


def model_logprob(model, tokens, temperature):
    total = 0.0
    for i, token in enumerate(tokens):
        row = model.row(tokens[:i]).astype(float) / temperature
        total += row[token] - np.log(np.exp(row).sum())
    return total


def test_greedy_mass():
    """At temperature zero the mass is one where the model's own token is legal, and else none."""
    found = priority_sample(Random(3), 1, 6, automaton=AUTOMATON, temperature=0.0)
    for place, token in enumerate(texts(found)[0]):
        row = Random(3).row(texts(found)[0][:place])
        expected = 0.0 if row.argmax() == token else -np.inf
        assert found.legal_logprobs[0, place] == expected


@every_search
def test_the_batch_and_the_number_do_not_matter(search):
    for seed in range(6):
        model = Random(seed, spread=2.0)
        given = {"automaton": AUTOMATON}
        want = search(model, 40, 7, node_batch_size=1, **given)
        assert len(want.tokens) == 40
        for together, n, threads in ((4, 40, None), (64, 40, 3), (3, 11, 2)):
            got = search(model, n, 7, node_batch_size=together, num_threads=threads, **given)
            assert texts(got) == texts(want)[:n]
            assert np.array_equal(got.logprobs, want.logprobs[:n])
            width = got.legal_logprobs.shape[1]
            assert np.array_equal(got.legal_logprobs, want.legal_logprobs[:n, :width])


def test_beams_are_the_same():
    model = Random(4)
    drawn = sample_without_replacement(model, 12, 6, automaton=AUTOMATON, rng=4)
    beams = stochastic_beam_search(model, 12, 6, automaton=AUTOMATON, rng=4)
    assert texts(beams) == texts(drawn)
    assert beams.kappa == drawn.kappa
    assert np.array_equal(beams.legal_logprobs, drawn.legal_logprobs)
    cut = stochastic_beam_search(model, 200, 3, automaton=AUTOMATON, ensure_completion=False, rng=4)
    assert not cut.complete.all()


FREE = TokenAutomaton("(a|b|é)*", VOCABULARY)


class Mute(Random):
    """A model that gives no finite logit but one of an illegal token after some beginnings."""

    def row(self, prefix):
        row = super().row(prefix)
        rng = np.random.default_rng([self.seed, 2, *prefix])
        if len(prefix) and rng.random() < 0.4:
            legal = FREE.allowed(FREE.advance(FREE.start, prefix))
            row[legal] = -np.inf
            row[5 if 5 not in legal else 2] = 0.0
        return row


@every_search
def test_beginnings_that_come_to_nothing_are_discarded(search):
    """Whatever their number, and however few sequences are wanted."""
    given = {"automaton": FREE, "ensure_completion": False}
    model = Mute(3)
    everything = search(model, 10_000, 8, **given)
    assert 150 < len(everything.tokens) < 5000
    assert np.exp(everything.logprobs).sum() < 0.9  # what was discarded is missing
    for n, together in ((1, 1), (5, 16), (40, 3), (120, 16)):
        some = search(model, n, 8, node_batch_size=together, **given)
        assert texts(some) == texts(everything)[:n]
        assert np.array_equal(some.logprobs, everything.logprobs[:n])
    # A bias can do the same. Without `a`, only what begins with é or b is left.
    banned = {1: -np.inf, 3: -np.inf}
    found = search(Random(1), 10_000, 6, automaton=AUTOMATON, logit_bias=banned)
    assert found.complete.all()
    assert {text_of(tokens).decode() for tokens in texts(found)} == {
        *("", "b", "bb", "é", "éb", "ébb", "éé", "éé" + "b")
    }
    none = search(Random(1), 10, 6, automaton=TokenAutomaton("a+", VOCABULARY), logit_bias=banned)
    assert len(none.tokens) == 0


#: One letter, then x; behind a the model has no x.
X = TokenAutomaton(
    "[abcde]x", Vocabulary([None, b"a", b"b", b"c", b"d", b"e", b"x"], eos_token_id=0)
)
LETTERS_OF_X = np.array([0.3, 0.3, 0.2, 0.15, 0.05])


def without_ax(prefixes):
    rows = np.full((len(prefixes), 7), -np.inf)
    for row, prefix in zip(rows, prefixes, strict=True):
        if len(prefix) == 0:
            row[1:6] = np.log(LETTERS_OF_X)
        elif len(prefix) == 1:
            row[1 if prefix[0] == 1 else 6] = 0.0
        else:
            row[0] = 0.0
    return rows


@pytest.mark.law
@pytest.mark.parametrize("search", [sample_without_replacement, stochastic_beam_search])
def test_threshold_weights_where_beginnings_are_discarded(search):
    """Unbiased for every text: the threshold is the value of a text, never of a beginning that will
    come to nothing. 5000 searches for three of four texts."""
    weights = np.zeros((5000, 5))
    for step, row in enumerate(weights):
        found = search(without_ax, 3, 3, automaton=X, rng=1, step=step)
        row[found.tokens[:, 0] - 1] = found.weights(method="threshold")
    assert not weights[:, 0].any()
    for letter, p in enumerate(LETTERS_OF_X[1:], 1):
        assert_mean(weights[:, letter], p)


def test_the_threshold_does_not_depend_on_the_batch():
    for step in range(40):
        search = partial(sample_without_replacement, Mute(3), 5, 8, rng=1, step=step)
        given = {"automaton": FREE, "ensure_completion": False}
        kappa = {search(node_batch_size=together, **given).kappa for together in (1, 2, 16)}
        beams = stochastic_beam_search(Mute(3), 5, 8, rng=1, step=step, **given)
        longer = sample_without_replacement(Mute(3), 6, 8, rng=1, step=step, **given)
        assert kappa == {beams.kappa} == {longer.perturbed[5]}


@pytest.fixture(scope="module")
def many_tokens():
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b'abcdefghijklmnopqrstuvwxyz0123456789" .,', np.uint8)
    made = {bytes(rng.choice(letters, rng.integers(1, 5)).tolist()) for _ in range(40_000)}
    return Vocabulary([None, *sorted(made)], eos_token_id=0)


BIAS = {17: 2.0, 15_000: 5.0, 5: -np.inf}


@pytest.mark.parametrize(
    ("pattern", "dtype", "bias"),
    [
        ("(?s).*", np.float32, None),
        ("(?s).*", np.float64, BIAS),
        ("[0-9]{1,3}", np.float16, None),
        ("[0-9]{1,3}", np.float32, BIAS),
        ('[^"]*x?', np.float32, None),
        ('[^"]*x?', np.float16, BIAS),
        ("[a-z]+", np.float64, None),
        ("[a-z]+", np.float32, BIAS),
    ],
)
def test_long_rows(many_tokens, pattern, dtype, bias):
    """Masks that leave few tokens, most of them, or nearly all."""
    automaton = TokenAutomaton(pattern, many_tokens)
    width = len(many_tokens) + 77  # more logits than tokens
    rows = np.random.default_rng(1).normal(0, 3, (2, width)).astype(dtype)

    def model(prefixes):
        return rows[[min(len(prefix), 1) for prefix in prefixes]]

    given = {"automaton": automaton, "ensure_completion": False, "temperature": 0.7}
    found = sample_without_replacement(model, 60, 2, logit_bias=bias, rng=0, **given)
    exact = rows.astype(np.float32).astype(float)
    for token, value in (bias or {}).items():
        exact[:, token] += value
    exact /= 0.7
    logp = exact - np.log(np.exp(exact).sum(1, keepdims=True))
    assert len(set(texts(found))) == 60
    for text, logprob, masses in zip(
        texts(found), found.logprobs, found.legal_logprobs, strict=True
    ):
        total, state = 0.0, automaton.start
        for place, token in enumerate(text):
            legal = automaton.allowed(state)
            mass = np.log(np.exp(logp[place, legal]).sum())
            assert masses[place] == pytest.approx(mass, abs=2e-6)
            total += logp[place, token] - mass
            state = automaton.advance(state, token)
        assert logprob == pytest.approx(total, abs=1e-4)
    taken = priority_sample(model, 30, 1, logit_bias=bias, **given)
    legal = automaton.allowed(automaton.start)
    best = legal[np.lexsort((legal, -exact[0, legal]))][:30]
    assert np.array_equal(taken.tokens[:, 0], best)


def test_one_by_one():
    search = SequenceSearch(Random(5), 5, 6, automaton=AUTOMATON, rng=1)
    whole = sample_without_replacement(Random(5), 5, 6, automaton=AUTOMATON, rng=1)
    for i, found in enumerate(search):
        assert tuple(found.tokens) == texts(whole)[i]
        assert np.array_equal(found.legal_logprobs, whole.legal_logprobs[i, : len(found.tokens)])
    free = next(SequenceSearch(Random(5), 1, 4, rng=1))
    assert not free.legal_logprobs.any()


def test_the_limit_is_used():
    """Long texts are begun as long as they can be finished, and no longer."""
    automaton = TokenAutomaton("(ab){3}|b", VOCABULARY)
    for longest, ways in ((2, 1), (4, 2), (5, 5), (7, 9)):
        found = priority_sample(Random(0), 100, longest, automaton=automaton)
        assert found.complete.all()
        assert len(found.tokens) == ways
    with pytest.raises(ValueError, match=r"^max_new_tokens: must be at least 2, as the shortest"):
        priority_sample(Random(0), 100, 1, automaton=automaton)


def no_model(prefixes):
    raise AssertionError("it must not be called")


BAD = {
    "no automaton": (
        lambda: priority_sample(no_model, 1, 1, automaton="a+"),
        TypeError,
        r"automaton: must be TokenAutomaton\(pattern, .*, got 'a\+'",
    ),
    "flag": (
        lambda: priority_sample(no_model, 1, 9, automaton=AUTOMATON, ensure_completion=1),
        TypeError,
        "ensure_completion: must be True or False",
    ),
    "nothing to complete": (
        lambda: priority_sample(no_model, 1, 9, ensure_completion=False),
        ValueError,
        "ensure_completion: must be True without an automaton",
    ),
    "another end": (
        lambda: priority_sample(no_model, 1, 9, automaton=AUTOMATON, eos_token_id=[0, 1]),
        ValueError,
        r"eos_token_id: must be those of the automaton's vocabulary, \[0\], got \[0, 1\]",
    ),
    "narrow": (
        lambda: priority_sample(Random(size=5), 1, 9, automaton=AUTOMATON),
        ValueError,
        "automaton: has a vocabulary of 6 tokens, but the rows have 5 logits",
    ),
    "nan": (
        lambda: priority_sample(lambda p: np.full((len(p), 6), np.nan), 1, 9, automaton=AUTOMATON),
        ValueError,
        "model: logits: row 0: contains NaN",
    ),
    "nan elsewhere": (
        lambda: priority_sample(lambda p: [[0.0] * 4 + [np.nan]], 1, 9, automaton=LETTERS),
        ValueError,
        "model: logits: row 0: contains NaN",
    ),
    "nothing at all": (
        lambda: priority_sample(lambda p: np.full((len(p), 6), -np.inf), 1, 9, automaton=AUTOMATON),
        ValueError,
        "model: logits: row 0: no finite logit",
    ),
}
LETTERS = TokenAutomaton("a", Vocabulary([None, b"a"], eos_token_id=0))


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_the_same_end_may_be_given():
    model = Random(1)
    want = priority_sample(model, 5, 6, automaton=AUTOMATON)
    got = priority_sample(model, 5, 6, automaton=AUTOMATON, eos_token_id=EOS)
    assert texts(got) == texts(want)
    assert isinstance(sortes.sequences.TokenAutomaton, type)
