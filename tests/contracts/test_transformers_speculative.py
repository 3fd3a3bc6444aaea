"""Speculative decoding inside ``generate``: the texts of plain decoding, whatever is drafted."""

import re
import signal
import warnings
from functools import partial

import numpy as np
import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes import Interrupted, Stream  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402
from sortes.integrations.transformers import _call_times, _draft_models, _trees  # noqa: E402
from sortes.sequences import SuffixAutomaton  # noqa: E402
from transformers.generation.utils import GenerateDecoderOnlyOutput  # noqa: E402

CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"
GREEDY = {"do_sample": False}
DRAWN = {"do_sample": True, "top_k": 0, "temperature": 0.6, "rng": 5}


@pytest.fixture(scope="module")
def model():
    return tiny_model.build(spread=0.3).double()


@pytest.fixture(autouse=True)
def _free_calls(monkeypatch):
    """Let calls cost the same for any number of positions, so that all of a draft is looked at."""
    monkeypatch.setattr(_draft_models.ModelDrafts, "_depth", lambda self, rows: 5)
    monkeypatch.setattr(
        _call_times.CallTimes, "of_widths", lambda self, widths: np.ones(len(widths))
    )


def plain(model, asked, **arguments):
    return model.generate(**asked, **arguments, custom_generate=ours.sample)


def spoken(model, asked, **arguments):
    return model.generate(**asked, **arguments, custom_generate=ours.speculative_sample)


class Oracle:
    """Drafts that mostly come true, as trees: what plain decoding says, and something else."""

    def __init__(self, texts, *, wrong=0.2, seed=0):
        self.texts, self.wrong = [text[text != tiny_model.PAD].tolist() for text in texts], wrong
        self.rng = np.random.default_rng(seed)

    def __call__(self, tokens, most):
        n = len(tokens)
        known = next((t for t in self.texts if t[:n] == tokens.tolist()), tokens.tolist())
        tree = type("Tree", (), {})()
        tree.tokens, tree.parents, at = [0], [-1], 0
        for token in known[n:]:
            tree.tokens += [int(self.rng.integers(3, 128)), token]
            tree.parents += [at, at]
            at = len(tree.tokens) - (2 if self.rng.random() < self.wrong else 1)
        return tree


ASKED = {
    "greedy": GREEDY,
    "drawn": DRAWN,
    "top-p": {**DRAWN, "top_p": 0.9},
    "coins": {**DRAWN, "xtc_probability": 0.5, "xtc_threshold": 0.05},
    "penalties": {**DRAWN, "repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
    "lengths": {**DRAWN, "min_new_tokens": 6, "eos_token_id": list(range(60, 90))},
    "words": {**GREEDY, "bad_words_ids": [[5], [7, 9]], "suppress_tokens": [11, 12]},
    "ends": {**DRAWN, "temperature": 1.0, "eos_token_id": list(range(60, 90))},
    "bias": {**DRAWN, "sequence_bias": {(9,): 4.0}, "renormalize_logits": True},
}


@pytest.mark.parametrize("lengths", [[5], [3, 7, 5]], ids=["one", "padded"])
@pytest.mark.parametrize("arguments", ASKED.values(), ids=ASKED.keys())
def test_the_text_is_that_of_plain_decoding(model, lengths, arguments):
    asked = {**tiny_model.prompts(lengths), "max_new_tokens": 24, **arguments}
    want = plain(model, asked)
    for draft in ("suffix", Oracle(want), ["suffix", Oracle(want)], lambda tokens, most: []):
        got = spoken(model, asked, draft=draft, return_dict_in_generate=True)
        assert torch.equal(got.sequences, want)
        if isinstance(draft, Oracle):
            assert got.model_calls < max(want.shape[1] - max(lengths), 2)
            assert (got.drafted >= got.accepted).all()
            assert got.accepted.sum() > 0 or got.model_calls == 1


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_both_ways_of_attention(attention):
    model = tiny_model.build(spread=0.3).double()
    model.set_attn_implementation(attention)
    # Without padding, for which eager attention gives NaN in float64.
    asked = {**tiny_model.prompts([9, 9]), "max_new_tokens": 20, **DRAWN}
    want = plain(model, asked)
    got = spoken(model, asked, draft=Oracle(want), return_dict_in_generate=True)
    assert torch.equal(got.sequences, want)
    assert got.accepted.sum() > 10


def test_rows_do_not_know_their_batch(model):
    inputs = tiny_model.prompts([6, 6, 6, 6])
    values = {"top_p": [0.9, 1.0, 0.5, 0.8], "temperature": [1.0, 0.5, 0.7, 0.9]}
    asked = {"max_new_tokens": 20, **DRAWN, **values}
    want = plain(model, {**inputs, **asked})
    assert torch.equal(spoken(model, {**inputs, **asked}, draft=Oracle(want)), want)
    streams = [Stream(i) for i in range(4)]
    whole = spoken(model, {**inputs, **asked, "rng": streams}, rows=[0] * 4, draft=Oracle(want))
    for row in range(4):
        own = {name: value[row : row + 1] for name, value in {**inputs, **values}.items()}
        alone = spoken(model, {**asked, **own}, rows=[row])
        assert torch.equal(alone[0], want[row, : alone.shape[1]])
        alone = spoken(model, {**asked, **own, "rng": streams[row : row + 1]}, rows=[0])
        assert torch.equal(alone[0], whole[row, : alone.shape[1]])


MODELS = {
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=128, n_embd=48, n_layer=2, n_head=3, n_positions=64)
    ),
    "qwen3": lambda: hf.Qwen3ForCausalLM(
        hf.Qwen3Config(
            **{"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96, "head_dim": 16},
            **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
        )
    ),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(
        hf.GPTNeoXConfig(
            **{"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96},
            **{"num_hidden_layers": 2, "num_attention_heads": 4},
        )
    ),
}
WITHOUT_TREES = {
    "gemma2": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(
            **{"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96, "head_dim": 16},
            **{"num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1},
            sliding_window=8,
        )
    ),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=128, hidden_size=48, num_hidden_layers=2)
    ),
    "bloom": lambda: hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=128, hidden_size=48, n_layer=2, n_head=3)
    ),
}


def made(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build().double().eval()
    for value in model.parameters():
        value.data *= 4  # surer of its next token
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())
def test_models_that_know_trees(build):
    model = made(build)
    asked = {**tiny_model.prompts([4, 9]), "max_new_tokens": 20, **DRAWN}
    want = plain(model, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        got = spoken(model, asked, draft=Oracle(want), return_dict_in_generate=True)
    assert torch.equal(got.sequences, want)
    assert got.accepted.sum() > 10


@pytest.mark.parametrize("build", WITHOUT_TREES.values(), ids=WITHOUT_TREES.keys())
def test_other_models_are_asked_token_by_token(build):
    model = made(build)
    asked = {**tiny_model.prompts([9, 9]), "max_new_tokens": 12, **DRAWN}
    want = plain(model, asked)
    with pytest.warns(UserWarning, match="speculative_sample: .*texts are drawn token by token"):
        got = spoken(model, asked, draft=Oracle(want), return_dict_in_generate=True)
    assert torch.equal(got.sequences, want)
    assert got.model_calls == 12
    assert got.accepted.tolist() == [0, 0]


@pytest.mark.parametrize(
    "arguments",
    [{"use_cache": False}, {"cache_implementation": "static", "disable_compile": True}],
    ids=["no cache", "static"],
)
def test_other_caches(model, arguments):
    asked = {**tiny_model.prompts([6, 6]), "max_new_tokens": 8, **DRAWN, **arguments}
    want = plain(model, asked)
    with pytest.warns(UserWarning, match="token by token"):
        assert torch.equal(spoken(model, asked), want)


def test_positions_of_the_caller(model):
    inputs = tiny_model.prompts([6])
    asked = {**inputs, "max_new_tokens": 8, **DRAWN, "position_ids": torch.arange(6)[None] + 3}
    want = plain(model, asked)
    with pytest.warns(UserWarning, match="position_ids are given; texts are drawn token by token"):
        assert torch.equal(spoken(model, asked), want)


def test_a_model_that_ignores_the_mask_is_found_out(monkeypatch):
    model = tiny_model.build().double()
    forward = model.model.forward

    def deaf(*args, attention_mask=None, **kwargs):
        mask = attention_mask if attention_mask is None or attention_mask.ndim == 2 else None
        return forward(*args, attention_mask=mask, **kwargs)

    monkeypatch.setattr(model.model, "forward", deaf)
    assert not _trees._knows_trees(model)
    monkeypatch.undo()
    assert _trees._knows_trees(model)


class Whole(hf.LogitsProcessor):
    """A processor that wants to see the batch as it is."""

    def __init__(self, rows):
        self.rows, self.lengths = rows, []

    def __call__(self, input_ids, scores):
        assert len(input_ids) == self.rows
        self.lengths.append(input_ids.shape[1])
        return scores.roll(1, 0) * 0.1 + scores  # the other texts matter


def test_who_sees_the_batch_sees_what_plain_decoding_shows(model):
    asked = {**tiny_model.prompts([6, 6, 6]), "max_new_tokens": 16, **DRAWN}
    want = plain(model, asked, logits_processor=[Whole(3)])
    seen = Whole(3)
    got = spoken(
        model, asked, draft=Oracle(want, wrong=0), logits_processor=[seen],
        return_dict_in_generate=True,
    )  # fmt: skip
    assert torch.equal(got.sequences, want)
    assert seen.lengths == list(range(6, 6 + len(seen.lengths)))
    assert got.model_calls < 16


def test_a_regular_expression(model):
    letters = [None] * 3 + [bytes([token]) for token in range(3, 128)]
    from sortes.sequences import TokenAutomaton, Vocabulary

    automaton = TokenAutomaton("[a-f]{12}[0-9]{4}", Vocabulary(letters, eos_token_id=2))
    asked = {**tiny_model.prompts([6, 4]), "max_new_tokens": 20, **DRAWN}
    want = plain(model, asked, logits_processor=[ours.RegexLogitsProcessor(automaton)])
    got = spoken(
        model, asked, draft=Oracle(want), logits_processor=[ours.RegexLogitsProcessor(automaton)]
    )
    assert torch.equal(got, want)
    for text in got[:, 6:].tolist():
        assert re.fullmatch("[a-f]{12}[0-9]{4}\x02\x00*", "".join(map(chr, text)))


def test_stop_strings(model):
    tokenizer = tiny_model.tokenizer()
    asked = {**tiny_model.prompts([6, 4, 5]), "max_new_tokens": 30, **DRAWN, "temperature": 1.2}
    stops = {"stop_strings": ["a", "b", "X", "0", "q", "R"]}
    want = model.generate(
        **asked, **stops, custom_generate=partial(ours.sample, tokenizer=tokenizer)
    )
    speculative = partial(ours.speculative_sample, tokenizer=tokenizer)
    got = model.generate(**asked, **stops, draft=Oracle(want), custom_generate=speculative)
    assert torch.equal(got, want)


class Tokens(hf.generation.streamers.BaseStreamer):
    """A streamer that keeps what it is given."""

    def __init__(self):
        self.got, self.ended = [], False

    def put(self, value):
        self.got.append(value)

    def end(self):
        self.ended = True


@pytest.mark.parametrize("lengths", [[5], [3, 7]], ids=["one", "two"])
def test_streamers_and_progress(model, lengths):
    asked = {**tiny_model.prompts(lengths), "max_new_tokens": 15, **DRAWN}
    want, shown = Tokens(), []
    text = plain(model, asked, streamer=want)
    got = Tokens()
    again = spoken(
        model, asked, streamer=got, draft=Oracle(text), progress=lambda *n: shown.append(n)
    )
    assert torch.equal(again, text)
    assert got.ended
    assert all(map(torch.equal, got.got, want.got))
    assert len(got.got) == len(want.got)
    assert shown[-1] == (text.shape[1] - max(lengths), 15)


def test_the_record_is_that_of_plain_decoding(model):
    asked = {**tiny_model.prompts([6]), "max_new_tokens": 12, **DRAWN, "top_p": 0.9}
    asked |= {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    want = plain(model, asked)
    got = spoken(model, asked, draft=Oracle(want.sequences))
    assert torch.equal(got.sequences, want.sequences)
    torch.testing.assert_close(got.scores, want.scores)
    torch.testing.assert_close(got.logits, want.logits)
    for layer, other in zip(got[CACHE].layers, want[CACHE].layers, strict=True):
        torch.testing.assert_close(layer.keys, other.keys)
        torch.testing.assert_close(layer.values, other.values)


def test_a_cache_is_taken_up_and_given_back(model):
    asked = {**tiny_model.prompts([3, 7]), **DRAWN, "return_dict_in_generate": True}
    first = spoken(model, asked, max_new_tokens=6)
    whole = {
        "input_ids": first.sequences,
        "attention_mask": torch.cat(
            [asked["attention_mask"], torch.ones_like(first.sequences[:, 7:])], 1
        ),
    }
    assert first[CACHE].get_seq_length() == first.sequences.shape[1] - 1
    resumed = spoken(model, {**whole, **GREEDY}, max_new_tokens=5, **{CACHE: first[CACHE]})
    assert torch.equal(resumed, plain(model, {**whole, **GREEDY}, max_new_tokens=5))


def test_the_context_is_never_left():
    model = made(MODELS["gpt2"])
    asked = {**tiny_model.prompts([50]), "max_new_tokens": 14, **GREEDY}  # 64 positions
    want = plain(model, asked)
    assert torch.equal(spoken(model, asked, draft=lambda tokens, most: [5] * 1000), want)
    assert torch.equal(spoken(model, asked, num_draft_tokens=1000), want)


def test_interruption(model):
    asked = {**tiny_model.prompts([6, 4]), "max_new_tokens": 30, **DRAWN}
    want = plain(model, asked)
    calls = []

    def stops(tokens, most):
        calls.append(0)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return []

    with pytest.raises(Interrupted) as caught:
        spoken(model, asked, draft=stops)
    part = caught.value.partial
    assert 6 < part.shape[1] < want.shape[1]
    assert torch.equal(part, want[:, : part.shape[1]])
    calls.clear()
    assert torch.equal(spoken(model, asked, draft=stops, on_interrupt="return"), part)


def test_a_corpus(model):
    asked = {**tiny_model.prompts([6]), "max_new_tokens": 20, **DRAWN}
    want = plain(model, asked)
    corpus = SuffixAutomaton([want[0]])
    got = spoken(model, asked, corpus=corpus, return_dict_in_generate=True)
    assert torch.equal(got.sequences, want)
    assert got.model_calls <= 4
    assert got.accepted.item() >= 16


@pytest.mark.parametrize("draft", ["greedy", "tree", ["suffix", "tree"]], ids=str)
@pytest.mark.parametrize("asked", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_a_draft_model(model, draft, asked):
    small = tiny_model.build(spread=0.3).double()
    small.lm_head.weight.data += 0.02 * torch.randn(
        small.lm_head.weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double
    )
    for lengths in ([5], [3, 7, 5]):
        given = {**tiny_model.prompts(lengths), "max_new_tokens": 24, **asked}
        want = plain(model, given)
        got = spoken(model, given, draft=draft, draft_model=small, return_dict_in_generate=True)
        assert torch.equal(got.sequences, want)
        assert got.accepted.sum() > (8 if asked is GREEDY else 3)


def test_races_give_one_text_with_any_draft(model):
    small = tiny_model.build(spread=0.3).double()
    asked = {**tiny_model.prompts([3, 7, 5]), "max_new_tokens": 20, **DRAWN}
    alone = spoken(model, asked, verification="race", draft=lambda tokens, most: [])
    assert torch.equal(spoken(model, asked, verification="race"), alone)
    got = spoken(model, asked, verification="race", draft_model=small, return_dict_in_generate=True)
    assert torch.equal(got.sequences, alone)
    # The draft is the model: it says the same, all of it.
    assert got.accepted.sum() == got.drafted.sum() > 30
    assert not torch.equal(alone, plain(model, asked))


@pytest.mark.parametrize("verification", ["token", "block"])
def test_sampled_drafts(model, verification):
    small = tiny_model.build(spread=0.3).double()
    given = {"verification": verification, "draft_model": small, "num_draft_tokens": 4}
    asked = {**tiny_model.prompts([3, 7, 5]), "max_new_tokens": 20, **DRAWN}
    got = spoken(model, asked, **given, return_dict_in_generate=True)
    assert torch.equal(spoken(model, asked, **given), got.sequences)
    # All of a draft of the same law stands.
    assert got.accepted.sum() >= 0.95 * got.drafted.sum()
    row = {name: value[1:2] for name, value in tiny_model.prompts([3, 7, 5]).items()}
    alone = spoken(model, {**asked, **row}, **given, rows=[1])
    assert torch.equal(alone[0], got.sequences[1, : alone.shape[1]])


BAD = {
    "draft": ({"draft": "lookup"}, "draft: must be 'suffix', 'greedy'"),
    "no draft": ({"draft": []}, "draft: must not be empty"),
    "token": ({"draft": lambda tokens, most: [1, 500]}, r"draft: item 2 must be in \[0, 128\)"),
    "floats": ({"draft": lambda tokens, most: [0.5]}, "draft: must be a list of integers"),
    "corpus": ({"corpus": [[1]]}, "corpus: must be a SuffixAutomaton"),
    "large": ({"corpus": SuffixAutomaton([[500]])}, r"corpus: tokens must be in \[0, 128\)"),
    "unused": ({"corpus": SuffixAutomaton([[5]]), "draft": len}, "corpus: needs draft='suffix'"),
    "size": ({"num_draft_tokens": 0}, "num_draft_tokens: must be at least 1"),
    "way": ({"verification": "hope"}, "verification: must be 'draw', 'race'"),
    "no model": ({"draft": "tree"}, "draft_model: must be given"),
    "sampled": ({"draft": "sample"}, "draft: must not be 'sample'"),
    "verified": ({"verification": "block"}, "draft: must be 'sample'"),
    "attentions": (
        {"output_attentions": True, "return_dict_in_generate": True},
        "output_attentions: is not supported",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_values(model, arguments, message):
    asked = {**tiny_model.prompts([6]), "max_new_tokens": 4, **DRAWN}
    with pytest.raises((ValueError, TypeError), match=message):
        spoken(model, asked, **arguments)


def test_other_tokens_are_refused(model):
    asked = {**tiny_model.prompts([6]), "max_new_tokens": 4, **DRAWN}
    with pytest.raises(ValueError, match="draft_model: must have the model's 128 tokens, got 96"):
        spoken(model, asked, draft_model=tiny_model.build(96))
    with pytest.raises(TypeError, match="draft_model: must be a PreTrainedModel"):
        spoken(model, asked, draft_model="small")
