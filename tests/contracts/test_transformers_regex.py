"""Regular expressions inside ``generate``: the processor, and the searches."""

import re

import numpy as np
import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes.integrations import transformers as ours  # noqa: E402
from sortes.sequences import (  # noqa: E402
    TokenAutomaton,
    Vocabulary,
    priority_sample,
    sample_without_replacement,
)

PATTERN = "[a-f]{2,4}-[0-9]{1,3}"
OFF = {"do_sample": True, "top_k": 0}


@pytest.fixture(scope="module")
def model():
    return tiny_model.build(spread=0.4)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_model.tokenizer()


@pytest.fixture(scope="module")
def automaton(tokenizer):
    return TokenAutomaton(PATTERN, Vocabulary.from_tokenizer(tokenizer))


def texts_of(sequences, prompt):
    """The texts behind the prompt, to their ends."""
    found = []
    for row in sequences[:, prompt:].tolist():
        assert tiny_model.EOS in row
        at = row.index(tiny_model.EOS)
        # Beams of Transformers fill up with the end where the padding has the id 0.
        assert set(row[at + 1 :]) <= {tiny_model.PAD, tiny_model.EOS}
        found.append("".join(map(chr, row[:at])))
    return found


WAYS = {
    "greedy": {"do_sample": False},
    "sampling": OFF,
    "truncated": {"do_sample": True, "top_k": 2, "top_p": 0.9, "temperature": 1.5},
    "beams": {"do_sample": False, "num_beams": 4},
    "sampled beams": {"do_sample": True, "num_beams": 3, "top_k": 0, "num_return_sequences": 3},
    "several": {**OFF, "num_return_sequences": 4},
    "our loop": {**OFF, "custom_generate": ours.sample, "rng": 1, "min_p": 0.01},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_texts_match(model, automaton, way):
    inputs = tiny_model.prompts([5, 3, 9])
    processor = ours.RegexLogitsProcessor(automaton)
    for seed in range(3):
        torch.manual_seed(seed)
        out = model.generate(**inputs, **way, max_new_tokens=12, logits_processor=[processor])
        for text in texts_of(out, 9):
            assert re.fullmatch(PATTERN, text), text


def test_the_limit_is_kept(model, tokenizer):
    """A text that may go on for ever ends before the length does; or is cut, if that may be."""
    inputs = tiny_model.prompts([4])
    given = {"max_new_tokens": 7, **OFF}
    processor = ours.RegexLogitsProcessor("([a-z]{2};)+", tokenizer)
    for seed in range(10):
        torch.manual_seed(seed)
        out = model.generate(**inputs, **given, logits_processor=[processor])
        assert re.fullmatch("([a-z]{2};)+", texts_of(out, 4)[0])
    cut = ours.RegexLogitsProcessor("[a-z]{40}", tokenizer, ensure_completion=False)
    out = model.generate(**inputs, **given, logits_processor=[cut])
    assert re.fullmatch("[a-z]{7}", "".join(map(chr, out[0, 4:].tolist())))
    long = ours.RegexLogitsProcessor("[a-z]{7}", tokenizer)
    with pytest.raises(ValueError, match=r"^max_new_tokens: must leave at least 8 tokens"):
        model.generate(**inputs, **given, logits_processor=[long])


def test_assisted_generation(model, automaton):
    """Candidates that are rejected take the texts back by some tokens."""
    inputs = tiny_model.prompts([6])
    assistant = tiny_model.build(spread=0.4, seed=1)
    processor = ours.RegexLogitsProcessor(automaton)
    want = model.generate(
        **inputs, do_sample=False, max_new_tokens=12, logits_processor=[processor]
    )
    got = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=12,
        logits_processor=[processor],
        assistant_model=assistant,
    )
    assert torch.equal(got, want)


def test_sampling_has_the_masked_law(model, automaton):
    """A step of sampling is one of the masked row."""
    inputs = tiny_model.prompts([5])
    with torch.no_grad():
        logits = model(**inputs).logits[0, -1]
    processor = ours.RegexLogitsProcessor(automaton, prompt_length=5)
    scores = processor(inputs["input_ids"], logits[None])
    legal = automaton.allowed(automaton.start)
    assert torch.equal(scores[0, legal], logits[legal])
    assert torch.isneginf(scores).sum() == 128 - len(legal)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert processor(inputs["input_ids"], logits[None].to(dtype)).dtype is dtype


def test_texts_outside_of_generate(automaton):
    ids, scores = torch.tensor([[1, 5], [1, 9]]), torch.zeros(2, 130)

    def allowed(text, processor):
        return [row.isfinite().nonzero()[:, 0].tolist() for row in processor(text, scores)]

    processor = ours.RegexLogitsProcessor(automaton)
    letters = list(b"abcdef")
    assert allowed(ids, processor) == [letters, letters]
    longer = torch.cat([ids, torch.tensor([[97, 98], [100, 100]])], 1)
    # The whole text, token by token or at once.
    assert allowed(longer[:, :3], processor) == [letters, letters]
    assert allowed(longer, processor) == [[45, *letters]] * 2
    assert allowed(torch.cat([longer.flip(0), torch.tensor([[45], [102]])], 1), processor) == [
        list(b"0123456789"),
        [45, *letters],
    ]
    assert allowed(longer, processor) == [[45, *letters]] * 2
    # What cannot match any more, and what has ended, may only end.
    astray = torch.tensor([[1, 5, 65, 97], [1, 9, 2, 0]])
    assert allowed(astray, processor) == [[2], [2]]
    assert allowed(ids[:, :1], processor) == [letters, letters]  # another text
    known = ours.RegexLogitsProcessor(automaton, prompt_length=2)
    assert allowed(longer, known) == [[45, *letters]] * 2
    with pytest.raises(ValueError, match=r"^prompt_length: must be at most the length of the tex"):
        known(ids[:, :1], scores)
    with pytest.raises(
        ValueError, match=r"^automaton: has a vocabulary of 128 tokens, but the row"
    ):
        processor(ids[:, :1], torch.zeros(2, 127))


def test_what_is_refused(model, automaton, tokenizer):
    make = ours.RegexLogitsProcessor
    with pytest.raises(TypeError, match=r"^pattern: must be a string or a TokenAutomaton, got 3"):
        make(3, tokenizer)
    with pytest.raises(TypeError, match=r"^tokenizer: must be a tokenizer"):
        make("a")
    with pytest.raises(ValueError, match=r"^tokenizer: must not be given with an automaton"):
        make(automaton, tokenizer)
    with pytest.raises(ValueError, match=r"^eos_token_id: must not be given with an automaton"):
        make(automaton, eos_token_id=2)
    with pytest.raises(ValueError, match=r"^pattern: must match a text of the vocabulary's tok"):
        make("é", tokenizer)
    with pytest.raises(ValueError, match=r"^eos_token_id: generate\(\) must end texts by those"):
        model.generate(
            **tiny_model.prompts([4]),
            max_new_tokens=9,
            eos_token_id=3,
            logits_processor=[make(automaton)],
        )
    several = make("a", tokenizer, eos_token_id=[2, 3])
    assert several.automaton.vocabulary.eos_token_ids == (2, 3)


SEARCHES = {
    "distinct": (ours.distinct_sample, OFF, {"rng": 3}),
    "beams": (ours.stochastic_beam_sample, OFF, {"rng": 3}),
    "priority": (ours.priority_sample, {"do_sample": False}, {}),
}


@pytest.mark.parametrize(("function", "mode", "more"), SEARCHES.values(), ids=SEARCHES)
def test_searches(model, automaton, function, mode, more):
    inputs = tiny_model.prompts([5])

    def logits(prefixes):
        rows = []
        for prefix in prefixes:
            ids = torch.cat([inputs["input_ids"], torch.from_numpy(prefix)[None]], 1)
            with torch.no_grad():
                rows.append(model(ids).logits[0, -1])
        return torch.stack(rows)

    out = model.generate(
        **inputs,
        **mode,
        **more,
        custom_generate=function,
        automaton=automaton,
        num_samples=12,
        max_new_tokens=9,
        return_dict_in_generate=True,
    )
    search = sample_without_replacement if more else priority_sample
    want = search(logits, 12, 9, automaton=automaton, **more)
    found = texts_of(out.sequences, 5)
    assert len(set(found)) == 12
    assert all(re.fullmatch(PATTERN, text) for text in found)
    width = want.tokens.shape[1]
    assert np.array_equal(
        out.sequences[:, 5 : 5 + width].numpy(), np.where(want.tokens < 0, 0, want.tokens)
    )
    assert out.complete.all()
    assert out.logprobs.numpy() == pytest.approx(want.logprobs, abs=1e-3)
    assert out.legal_logprobs.numpy() == pytest.approx(want.legal_logprobs, abs=1e-3)
    with pytest.raises(
        ValueError, match=r"^eos_token_id: must be those of the automaton's vocabulary, \[2\]"
    ):
        model.generate(
            **inputs,
            **mode,
            custom_generate=function,
            automaton=automaton,
            max_new_tokens=9,
            eos_token_id=[2, 3],
        )
    cut = model.generate(
        **inputs,
        **mode,
        **more,
        custom_generate=function,
        automaton=automaton,
        ensure_completion=False,
        num_samples=3,
        max_new_tokens=3,
    )
    assert cut.shape == (3, 8)


def test_a_search_that_begins_anew(model, tokenizer):
    """Bans by another processor leave beginnings without a way on; what comes is the same."""
    automaton = TokenAutomaton("([a-j][k-t])*", Vocabulary.from_tokenizer(tokenizer))
    inputs = tiny_model.prompts([5])

    def ban(ids, scores):
        """Whatever follows most of the letters."""
        for row, last in zip(scores, ids[:, -1].tolist(), strict=True):
            if 97 <= last < 107 and last % 4:
                row[107:117] = -torch.inf
        return scores

    def found(n):
        out = model.generate(
            **inputs,
            custom_generate=ours.priority_sample,
            do_sample=False,
            automaton=automaton,
            logits_processor=[ban],
            num_samples=n,
            max_new_tokens=5,
        )
        return texts_of(out, 5)

    everything = found(2000)
    assert 100 < len(everything) < 2000
    assert found(20) == everything[:20]
