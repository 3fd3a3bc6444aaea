"""Every mode of ``generate``: our scores are those of Transformers, along the same text."""

from functools import partial

import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes import decode  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402
from transformers.generation.candidate_generator import AssistedCandidateGenerator  # noqa: E402
from transformers.models.whisper.generation_whisper import WhisperGenerationMixin  # noqa: E402

#: Wider than the tokenizer, whose 128 tokens are those of ASCII.
PADDED = 136
RECORD = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
RULES = {"temperature": 0.7, "top_k": 20, "top_p": 0.9}


@pytest.fixture(scope="module")
def model():
    return tiny_model.build(PADDED)


@pytest.fixture
def along(monkeypatch):
    """Call something with our loop, then with Transformers' own and the tokens that we drew."""

    def call(function, loop=ours.sample, **theirs):
        drawn, draw = [], decode.sample

        def recording(logits, rules, **coins):
            tokens = draw(logits, rules, **coins)
            if rules.params.get("temperature") != 0:
                drawn.append(tokens)
            return tokens

        def replayed(p, num_samples):
            tokens = drawn.pop(0)[:, None]
            assert (p.gather(1, tokens) > 0).all()
            return tokens

        with monkeypatch.context() as patch:
            patch.setattr(decode, "sample", recording)
            got = function(custom_generate=loop, rng=0)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "multinomial", replayed)
            want = function(**theirs)
        assert not drawn
        return got, want

    return call


def assert_same_record(got, want):
    assert torch.equal(got.sequences, want.sequences)
    torch.testing.assert_close(got.logits, want.logits)
    torch.testing.assert_close(got.scores, want.scores, rtol=1e-6, atol=1e-6)


MODES = {
    "greedy": {"do_sample": False},
    "greedy, penalties": {
        **{"do_sample": False, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    },
    "greedy, normalised": {"do_sample": False, "renormalize_logits": True},
    "sampling": {},
    "sampling, all tokens": {"top_k": 0},
    "sampling, rules": RULES,
    "sampling, more rules": {"top_k": 0, "min_p": 0.05, "typical_p": 0.9, "eta_cutoff": 1e-3},
    "sampling, normalised": {**RULES, "renormalize_logits": True},
    "sampling, penalties": {**RULES, "repetition_penalty": 1.3, "suppress_tokens": [9, 130]},
    "sampling, texts": {"top_h": 0.8, "top_k": 0, "num_return_sequences": 2},
    "sampling, static cache": {**RULES, "cache_implementation": "static", "disable_compile": True},
}


# Transformers says that penalties do not see a prompt of embeddings.
@pytest.mark.filterwarnings("ignore:Passing `.*` with `inputs_embeds`")
@pytest.mark.parametrize("by_embeddings", [False, True], ids=["ids", "embeddings"])
@pytest.mark.parametrize("asked", MODES.values(), ids=MODES.keys())
def test_the_record_along_one_text(model, along, asked, by_embeddings):
    inputs = tiny_model.prompts([6, 4, 6], PADDED)
    if by_embeddings:
        inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
    asked = {"do_sample": True, "max_new_tokens": 7, **inputs, **RECORD, **asked}
    got, want = along(partial(model.generate, **asked))
    assert_same_record(got, want)
    transitions = [
        model.compute_transition_scores(record.sequences, record.scores, normalize_logits=True)
        for record in (got, want)
    ]
    torch.testing.assert_close(*transitions, rtol=1e-5, atol=1e-5)


def test_an_encoder_and_a_decoder(along):
    config = hf.T5Config(
        **{"vocab_size": 128, "d_model": 32, "d_kv": 16, "d_ff": 64},
        **{"num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0},
    )
    torch.manual_seed(0)
    t5 = hf.T5ForConditionalGeneration(config).eval()
    asked = {**tiny_model.prompts([6, 6]), **RECORD, **RULES, "max_new_tokens": 6}
    assert_same_record(*along(partial(t5.generate, do_sample=True, **asked)))


@pytest.mark.parametrize("do_sample", [False, True])
def test_stop_strings_of_a_tokenizer_narrower_than_the_logits(model, along, do_sample):
    tokenizer = tiny_model.tokenizer()
    assert len(tokenizer) < model.config.vocab_size
    asked = {**tiny_model.prompts([6], PADDED), **RECORD, "max_new_tokens": 12}
    asked["do_sample"] = do_sample
    plain, _ = along(partial(model.generate, **asked))
    stop = tokenizer.decode(plain.sequences[0, 9:11])
    bound = partial(ours.sample, tokenizer=tokenizer)
    generate = partial(model.generate, **asked, stop_strings=[stop, "never"])
    got, want = along(generate, bound, tokenizer=tokenizer)
    assert_same_record(got, want)
    assert got.sequences.shape[1] < plain.sequences.shape[1]


@pytest.mark.parametrize("do_sample", [False, True])
def test_beams_under_our_warpers(model, do_sample):
    asked = {**tiny_model.prompts([6, 4], PADDED), "max_new_tokens": 6, "num_beams": 3}
    asked |= {"do_sample": do_sample, "return_dict_in_generate": True, "output_scores": True}
    warper = ours.SortesLogitsWarper(**RULES, min_tokens_to_keep=2)  # beams keep two, they say
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    theirs = hf.LogitsProcessorList(
        [
            hf.TemperatureLogitsWarper(0.7),
            hf.TopKLogitsWarper(20, min_tokens_to_keep=2),
            hf.TopPLogitsWarper(0.9, min_tokens_to_keep=2),
        ]
    )
    torch.manual_seed(3)
    got = model.generate(**asked, **off, logits_processor=[warper])
    torch.manual_seed(3)
    # Without sampling, generate has no warpers of its own.
    want = model.generate(**asked, **(RULES if do_sample else {"logits_processor": theirs}))
    assert torch.equal(got.sequences, want.sequences)
    torch.testing.assert_close(got.scores, want.scores, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got.sequences_scores, want.sequences_scores)


def whisper():
    config = hf.WhisperConfig(
        **{"vocab_size": 200, "d_model": 16, "num_mel_bins": 4, "init_std": 0.3},
        **{"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16},
        **{"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16},
        **{"max_source_positions": 1500, "max_target_positions": 40},
        **{"pad_token_id": 99, "bos_token_id": 98, "eos_token_id": 98},
        **{"decoder_start_token_id": 85, "suppress_tokens": None, "begin_suppress_tokens": None},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = hf.WhisperForConditionalGeneration(config).eval()
    settings = model.generation_config
    settings.no_timestamps_token_id, settings.prev_sot_token_id = 100, 86
    settings.is_multilingual, settings.max_initial_timestamp_index = False, 0
    settings.forced_decoder_ids, settings.max_length = None, 30
    return model


def test_the_fallback_of_whisper(along, monkeypatch):
    passes = []
    average = WhisperGenerationMixin._retrieve_avg_logprobs

    def seen(scores, tokens, temperature):
        passes.append((temperature, float(average(scores, tokens, temperature))))
        return average(scores, tokens, temperature)

    monkeypatch.setattr(WhisperGenerationMixin, "_retrieve_avg_logprobs", staticmethod(seen))
    model = whisper()
    features = torch.randn(1, 4, 4000, generator=torch.Generator().manual_seed(0))

    def listen(rng=None, **loop):
        asked = {"rng": rng} if loop else {}
        model.generate(
            **{"input_features": features, "attention_mask": torch.ones(1, 4000)},
            **{"return_timestamps": True, "condition_on_prev_tokens": False},
            **{"temperature": (0.0, 0.4, 0.8), "logprob_threshold": -0.5, "max_new_tokens": 10},
            **{**asked, **loop},
        )
        result, passes[:] = list(passes), []
        return result

    got, want = along(listen)
    assert [temperature for temperature, _ in got[:3]] == [0.0, 0.4, 0.8]
    assert [temperature for temperature, _ in got] == [temperature for temperature, _ in want]
    for (_, mine), (_, theirs) in zip(got, want, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)


class Drafts:
    """What an assistant drafted: the scores that it drew from, and how much of it was kept."""

    def __init__(self, monkeypatch):
        self.first_scores, self.kept, self.drafted = None, 0, 0
        get = AssistedCandidateGenerator.get_candidates
        update = AssistedCandidateGenerator.update_candidate_strategy

        def get_candidates(generator, input_ids, *args, **kwargs):
            ids, scores = get(generator, input_ids, *args, **kwargs)
            if self.first_scores is None:
                self.first_scores = scores[0, 0]
            return ids, scores

        def update_candidate_strategy(generator, input_ids, scores, num_matches):
            self.kept += num_matches
            self.drafted += scores.shape[1] - 1
            return update(generator, input_ids, scores, num_matches)

        for function in (get_candidates, update_candidate_strategy):
            monkeypatch.setattr(AssistedCandidateGenerator, function.__name__, function)


def assisted(model, *processors, **asked):
    torch.manual_seed(0)
    return model.generate(
        **{**tiny_model.prompts([6], PADDED), **RECORD, "top_k": 0, **asked},
        do_sample=True,
        max_new_tokens=40,
        eos_token_id=None,
        assistant_model=model,
        logits_processor=list(processors),
    )


def test_an_assistant_under_our_warper_drafts_at_the_temperature(model, monkeypatch):
    drafts = Drafts(monkeypatch)
    assisted(model, ours.TemperatureLogitsWarper(0.5))
    raw = model(**tiny_model.prompts([6], PADDED)).logits[0, -1]
    torch.testing.assert_close(drafts.first_scores, raw / 0.5, rtol=1e-4, atol=1e-4)
    # The assistant is the model itself, so that every draft is right.
    assert drafts.kept == drafts.drafted > 20


def test_transformers_applies_its_own_temperature_twice_to_a_draft(model, monkeypatch):
    """Once from the processors and once from the configuration; docs/integrations.md says so."""
    drafts = Drafts(monkeypatch)
    assisted(model, temperature=0.5)
    raw = model(**tiny_model.prompts([6], PADDED)).logits[0, -1]
    torch.testing.assert_close(drafts.first_scores, raw / 0.5 / 0.5, rtol=1e-4, atol=1e-4)
    assert drafts.kept < 0.8 * drafts.drafted


@pytest.mark.parametrize("by_ours", [False, True], ids=["their warpers", "our warper"])
def test_assisted_scores(model, by_ours):
    """The model's own scores are right either way, so that the law of the text is."""
    warper = ours.SortesLogitsWarper(**RULES)
    record = assisted(model, warper) if by_ours else assisted(model, **RULES)
    for logits, scores in zip(record.logits, record.scores, strict=True):
        torch.testing.assert_close(warper(None, logits), scores, rtol=1e-6, atol=1e-6)
