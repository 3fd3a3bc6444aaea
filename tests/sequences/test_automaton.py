"""Which tokens may follow: against vectors, and against trying out every text."""

import contextlib
import copy
import itertools
import pickle
import re
import signal
import threading

import numpy as np
import pytest
import sortes
from sortes.sequences import TokenAutomaton, Vocabulary
from vectors import load

VECTORS = load("sequences/automaton.json")["automaton"]


def automaton_of(pattern, tokens):
    """The automaton over tokens, with one behind them that ends a text."""
    return TokenAutomaton(pattern, Vocabulary([*tokens, None], eos_token_id=len(tokens)))


@pytest.mark.parametrize("case", VECTORS, ids=lambda c: f"{c['regex']}-{len(c['tokens_hex'])}")
def test_vectors(case):
    tokens = [bytes.fromhex(token) for token in case["tokens_hex"]]
    end = len(tokens)
    if not any(state["allowed"] or state["eos"] for state in case["states"]):
        with pytest.raises(ValueError, match=r"^pattern: must match a text of the"):
            automaton_of(case["regex"], tokens)
        return
    automaton = automaton_of(case["regex"], tokens)
    for want in case["states"]:
        state = automaton.advance(automaton.start, want["prefix"])
        legal = [*want["allowed"], *([end] if want["eos"] else [])]
        assert automaton.allowed(state).tolist() == legal
        assert automaton.is_accepting(state) == want["eos"]
        assert bits(automaton.mask(state), end + 1) == legal


def bits(words, count):
    """The ids whose bit is set."""
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")[:count]).tolist()


LETTERS = ["a", "b", "c", "é", "🎉"]


def random_pattern(rng, depth=0):
    """A small regular expression over a few letters, in the syntax of Rust and of Python."""
    roll = rng.random()
    if depth == 3 or roll < 0.3:
        return str(rng.choice(LETTERS))
    if roll < 0.4:
        some = "".join(sorted(set(rng.choice(LETTERS, 2))))
        return f"[{'^' if rng.random() < 0.4 else ''}{some}]"
    inner = random_pattern(rng, depth + 1)
    if roll < 0.6:
        return inner + random_pattern(rng, depth + 1)
    if roll < 0.75:
        return f"(?:{inner}|{random_pattern(rng, depth + 1)})"
    return f"(?:{inner})" + str(rng.choice(["*", "?", "+", "{2}", "{1,3}", "{0,2}"]))


def random_tokens(rng):
    """Tokens of up to three letters, some cut within a character."""
    tokens = []
    for _ in range(rng.integers(2, 7)):
        text = "".join(rng.choice(LETTERS, rng.integers(1, 3))).encode()
        cut = rng.integers(len(text)) if rng.random() < 0.5 else 0
        tokens.append(text[cut:] if rng.random() < 0.5 else text[: len(text) - cut] or text)
    if rng.random() < 0.5:  # every byte, so that much is possible
        tokens += [bytes([byte]) for byte in "".join(LETTERS).encode()]
    return [bytes(token) for token in tokens]


def splits(text, tokens):
    """Every sequence of tokens that makes a text."""
    if not text:
        yield ()
    for i, token in enumerate(tokens):
        if text.startswith(token):
            yield from ((i, *path) for path in splits(text[len(token) :], tokens))


#: All texts of up to so many of the letters are tried; pieces of them can make other characters.
LONGEST = 5
TEXTS = ["".join(t) for n in range(LONGEST + 1) for t in itertools.product(LETTERS, repeat=n)]


@pytest.mark.parametrize("seed", range(150))
def test_every_text_is_tried(seed):
    rng = np.random.default_rng(seed)
    pattern = random_pattern(rng)
    tokens = sorted(set(random_tokens(rng)))
    matching = [text.encode() for text in TEXTS if re.fullmatch(pattern, text)]
    whole = {path for text in matching for path in splits(text, tokens)}
    beginnings = {path[:n] for path in whole for n in range(len(path) + 1)}
    try:
        automaton = automaton_of(pattern, tokens)
    except ValueError as error:
        assert str(error).startswith("pattern: must match a text of")  # noqa: PT017
        assert not whole
        return
    for path in sorted(beginnings, key=lambda path: (len(path), path))[:200]:
        text = b"".join(tokens[i] for i in path)
        state = automaton.advance(automaton.start, path)
        allowed = automaton.allowed(state).tolist()
        known = [i for i in range(len(tokens)) if (*path, i) in beginnings]
        assert set(known) <= set(allowed), (pattern, tokens, path)
        assert automaton.is_accepting(state) == (path in whole) == (len(tokens) in allowed)
        # What else is allowed takes a text that was not tried: the shortest way leads to one.
        for token in set(allowed) - {*known, len(tokens)}:
            after = automaton.advance(state, token)
            found = finished(automaton, after, tokens, text + tokens[token]).decode()
            assert re.fullmatch(pattern, found)
            assert len(found) > LONGEST or set(found) - set(LETTERS)
        shortest = min(len(more) - len(path) for more in whole if more[: len(path)] == path)
        assert automaton.shortest(state) <= shortest + 1
        found = finished(automaton, state, tokens, text).decode()
        assert re.fullmatch(pattern, found)
        is_other = len(found) > LONGEST or set(found) - set(LETTERS)
        assert is_other or automaton.shortest(state) == shortest + 1


def finished(automaton, state, tokens, text):
    """Follow a shortest way to the end; the text there."""
    while (left := automaton.shortest(state)) > 1:
        state, text = next(
            (after, text + tokens[token])
            for token in automaton.allowed(state).tolist()
            if token < len(tokens)
            and automaton.shortest(after := automaton.advance(state, token)) == left - 1
        )
    return text


def test_a_match_that_comes_late_is_no_dead_end():
    """What outlines-core 0.2.14 loses: the token `a` behind "ab"."""
    automaton = automaton_of("(ab)+", [b"a", b"b", b"ab"])
    state = automaton.advance(automaton.start, 2)
    assert automaton.allowed(state).tolist() == [0, 2, 3]
    automaton = automaton_of("(ab)+", [b"a", b"b"])
    state = automaton.advance(automaton.start, [0, 1, 0, 1])
    assert automaton.allowed(state).tolist() == [0, 2]


def test_masks_are_those_that_sample_takes():
    tokens = [b"%d" % i for i in range(100)]
    automaton = automaton_of("[0-9]{3}|7", tokens)
    states = [automaton.start, automaton.advance(automaton.start, 5), automaton.end]
    assert automaton.mask(states).shape == (3, 4)
    wide = automaton.mask(np.array(states), width=161)
    assert wide.shape == (3, 6)
    assert not wide[:, 4:].any()
    assert np.array_equal(wide[:, :4], automaton.mask(states))
    for state, row in zip(states, wide, strict=True):
        assert bits(row, 161) == automaton.allowed(state).tolist()
        assert np.array_equal(automaton.mask(state, width=161), row)
        assert np.array_equal(automaton.mask(np.int64(state)), automaton.mask(state))
    logits = np.random.default_rng(0).normal(0, 1, (3, 161)).astype(np.float32)
    for seed in range(20):
        drawn = sortes.sample(logits, mask=wide, rng=seed)
        assert all(t in automaton.allowed(s) for t, s in zip(drawn, states, strict=True))
    assert automaton.mask([]).shape == (0, 4)
    assert np.array_equal(automaton.mask(states, num_threads=3), automaton.mask(states))


def test_no_token_is_a_whole_character():
    vocabulary = Vocabulary([b"\xc3", b"\xa9", None, None], eos_token_id=2)
    automaton = TokenAutomaton("é", vocabulary)
    state = automaton.start
    for allowed in ([0], [1], [2]):
        assert automaton.allowed(state).tolist() == allowed
        state = automaton.advance(state, allowed[0])


def test_equal_tokens_and_those_without_text():
    tokens = Vocabulary([b"a", None, b"a", b"", b"</s>", b"a"], eos_token_id=[5, 4])
    automaton = TokenAutomaton("a+", tokens)
    assert tokens.eos_token_ids == (4, 5)
    assert [tokens.token(i) for i in range(6)] == [b"a", None, b"a", None, b"</s>", b"a"]
    assert automaton.allowed(automaton.start).tolist() == [0, 2]
    state = automaton.advance(automaton.start, 2)
    assert automaton.allowed(state).tolist() == [0, 2, 4, 5]
    end = automaton.advance(state, 5)
    assert end == automaton.end
    assert automaton.allowed(end).tolist() == [4, 5]
    assert automaton.advance(end, [4, 5]) == end
    assert automaton.is_accepting(end)
    assert automaton.shortest(end) == 0
    with pytest.raises(ValueError, match=r"^tokens: item 0 may not follow, got 0"):
        automaton.advance(end, 0)


def test_copies_and_pickles():
    automaton = automaton_of("é[ab]?", [b"a", b"\xc3", b"\xa9"])
    assert copy.copy(automaton) is automaton is copy.deepcopy(automaton)
    tokens = automaton.vocabulary
    assert copy.copy(tokens) is tokens is copy.deepcopy(tokens)
    again, other = pickle.loads(pickle.dumps((automaton, automaton_of("a", [b"a"]))))
    assert again.pattern == automaton.pattern
    assert [again.vocabulary.token(i) for i in range(4)] == [b"a", b"\xc3", b"\xa9", None]
    for path in ([], [1], [1, 2], [1, 2, 0]):
        state = again.advance(again.start, path)
        assert again.allowed(state).tolist() == automaton.allowed(state).tolist()
    assert other.vocabulary is not again.vocabulary
    same = pickle.loads(pickle.dumps([automaton, TokenAutomaton("a", tokens)]))
    assert same[0].vocabulary is same[1].vocabulary
    assert repr(automaton) == "<TokenAutomaton 'é[ab]?', 4 states, 4 tokens>"
    assert repr(tokens) == "<Vocabulary of 4 tokens, eos_token_ids=(3,)>"


def test_threads_share_an_automaton():
    rng = np.random.default_rng(0)
    tokens = {bytes(rng.integers(97, 107, rng.integers(1, 6)).tolist()) for _ in range(5000)}
    tokens = [*sorted(tokens), b"x"]
    want = automaton_of("([a-j]{3}x?)+[a-c]{2,9}", tokens)
    states = np.arange(want.start, want.end)
    masks = want.mask(states)
    shared = automaton_of(want.pattern, tokens)
    found = {}

    def look(name):
        found[name] = shared.mask(states), [shared.shortest(state) for state in states.tolist()]

    threads = [threading.Thread(target=look, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = [want.shortest(state) for state in states.tolist()]
    assert all(np.array_equal(mask, masks) and steps == counts for mask, steps in found.values())


def test_many_states_are_not_all_kept():
    """The masks that are kept have a limit; the others are made anew, and are the same."""
    rng = np.random.default_rng(1)
    tokens = sorted(
        {bytes(rng.integers(0, 256, rng.integers(1, 4)).tolist()) for _ in range(100_000)}
    )
    automaton = automaton_of("(?s).{0,1300}", tokens)
    states = np.arange(automaton.start, automaton.end)
    assert states.size * len(tokens) / 8 > 64 * 2**20
    last = states[-20:]
    first, again = automaton.mask(states)[-20:], automaton.mask(last)
    assert np.array_equal(first, again)


TOKENS = Vocabulary([b"a", b"b", None], eos_token_id=2)
AUTOMATON = TokenAutomaton("[ab]", TOKENS)
BAD = {
    "no string": (lambda: TokenAutomaton(b"a", TOKENS), TypeError, "pattern: must be a string"),
    "surrogate": (lambda: TokenAutomaton("\ud800", TOKENS), ValueError, "pattern: must have no"),
    "no tokens": (lambda: TokenAutomaton("a", [b"a"]), TypeError, "vocabulary: must be a Voc"),
    "syntax": (
        lambda: TokenAutomaton("a(b", TOKENS),
        ValueError,
        r'pattern: must be a regular expression: unclosed group \(at byte 1\), got "a\(b"',
    ),
    "look": (
        lambda: TokenAutomaton("(?<=a)b", TOKENS),
        ValueError,
        "pattern: must be a regular expression: look-around",
    ),
    "nothing": (
        lambda: TokenAutomaton("[a&&b]", TOKENS),
        ValueError,
        "pattern: must match some text",
    ),
    "other": (
        lambda: TokenAutomaton("abc", TOKENS),
        ValueError,
        "pattern: must match a text of the vocabulary's tokens, of which none do",
    ),
    "large": (
        lambda: TokenAutomaton("(a|b)*a(a|b){40}", TOKENS),
        ValueError,
        "pattern: the states of its automaton must take at most 64 MiB, got more",
    ),
    "long": (lambda: TokenAutomaton("a" * 200_000, TOKENS), ValueError, "pattern: must have at"),
    "state": (lambda: AUTOMATON.allowed(0), ValueError, r"state: must be in \[1, 3\], got 0"),
    "states": (
        lambda: AUTOMATON.mask([1, 4]),
        ValueError,
        r"states: item 1 must be in \[1, 3\], got 4",
    ),
    "one": (lambda: AUTOMATON.mask(4), ValueError, r"states: must be in \[1, 3\], got 4"),
    "width": (lambda: AUTOMATON.mask(1, width=2), ValueError, "width: must be at least the 3"),
    "token": (lambda: AUTOMATON.advance(1, 7), ValueError, "tokens: item 0 may not follow, got 7"),
    "words": (lambda: AUTOMATON.advance(1, "a"), TypeError, "tokens: "),
    "text": (lambda: Vocabulary(["a"], eos_token_id=0), TypeError, "tokens: item 0 must be bytes"),
    "bytes": (lambda: Vocabulary(b"ab", eos_token_id=0), TypeError, "tokens: must hold bytes"),
    "end": (
        lambda: Vocabulary([b"a"], eos_token_id=1),
        ValueError,
        "eos_token_id: must be below the 1 tokens, got 1",
    ),
    "ends": (lambda: Vocabulary([b"a"], eos_token_id=[]), ValueError, "eos_token_id: must hold"),
    "huge": (
        lambda: Vocabulary([b"a" * 65_536], eos_token_id=0),
        ValueError,
        r"tokens: item 0 must have less than 2\*\*16 bytes, got 65536",
    ),
    "no token": (lambda: TOKENS.token(3), ValueError, "token_id: must be below 3, got 3"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_ctrl_c_stops_an_automaton_that_grows():
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        grow_for_ever()
    timer.cancel()


def grow_for_ever():
    while True:
        with contextlib.suppress(ValueError):
            TokenAutomaton("(a|b)*a(a|b){40}", TOKENS)
