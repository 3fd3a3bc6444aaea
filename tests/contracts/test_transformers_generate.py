"""Our decoding loop inside ``generate``: what Transformers does, but for the draw."""

import inspect
from functools import partial

import numpy as np
import pytest
import tiny_model
from lawlib import assert_law

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes import Stream, decode  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402
from transformers.generation.utils import GenerateDecoderOnlyOutput  # noqa: E402

EOS = tiny_model.EOS
CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"
SAMPLE = {"custom_generate": ours.sample, "do_sample": True}


@pytest.fixture(scope="module")
def model():
    return tiny_model.build()


@pytest.fixture(scope="module")
def inputs():
    return tiny_model.prompts([6, 6, 6])


class Tokens(hf.generation.streamers.BaseStreamer):
    """A streamer that keeps what it is given."""

    def __init__(self):
        self.got, self.ended = [], False

    def put(self, value):
        self.got.append(value)

    def end(self):
        self.ended = True


GREEDY = {
    "plain": {},
    "without a cache": {"use_cache": False},
    "static cache": {"cache_implementation": "static", "disable_compile": True},
    "chunks": {"prefill_chunk_size": 2},
    "penalties": {"repetition_penalty": 1.8, "no_repeat_ngram_size": 2},
    "lengths": {"min_new_tokens": 9, "eos_token_id": [2, 60, 61, 62, 63, 64, 65]},
    "words": {"bad_words_ids": [[5], [7, 9]], "suppress_tokens": [11, 12]},
    "two texts": {"num_return_sequences": 1, "sequence_bias": {(9,): 4.0}},
    "normalised": {"renormalize_logits": True},
}


@pytest.mark.parametrize("lengths", [[5], [3, 7, 5]], ids=["one", "padded"])
@pytest.mark.parametrize("arguments", GREEDY.values(), ids=GREEDY.keys())
def test_greedy_is_greedy(model, lengths, arguments):
    asked = {**tiny_model.prompts(lengths), "max_new_tokens": 12, **arguments}
    want = model.generate(**asked, do_sample=False)
    assert torch.equal(model.generate(**asked, custom_generate=ours.sample), want)
    cold = model.generate(**asked, **SAMPLE, temperature=0, rng=1)
    assert torch.equal(cold, want)
    single = model.generate(**asked, **SAMPLE, top_k=1)
    assert torch.equal(single, want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(model, inputs, dtype):
    half = tiny_model.build(spread=0.1).to(dtype)
    want = half.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert torch.equal(half.generate(**inputs, max_new_tokens=8, **SAMPLE, temperature=0), want)


def test_the_draw_reads_the_models_own_logits(model, inputs, monkeypatch):
    half = tiny_model.build().bfloat16()
    seen, given = [], []
    draw = decode.sample
    monkeypatch.setattr(decode, "sample", lambda x, *a, **k: (seen.append(x), draw(x, *a, **k))[1])
    handle = half.register_forward_hook(lambda *call: given.append(call[-1].logits))
    half.generate(**inputs, max_new_tokens=4, **SAMPLE, temperature=0.8, top_p=0.9)
    handle.remove()
    assert [x.dtype for x in seen] == [torch.bfloat16] * 4
    assert [x.data_ptr() for x in seen] == [x.data_ptr() for x in given]


def test_embeddings_as_a_prompt(model, inputs):
    asked = {
        "inputs_embeds": model.get_input_embeddings()(inputs["input_ids"]),
        "attention_mask": inputs["attention_mask"],
        "max_new_tokens": 6,
    }
    want = model.generate(**asked, do_sample=False)
    assert torch.equal(model.generate(**asked, custom_generate=ours.sample), want)


def test_a_cache_is_taken_up(model, inputs):
    first = model.generate(
        **inputs, max_new_tokens=4, custom_generate=ours.sample, return_dict_in_generate=True
    )
    asked = {
        "input_ids": first.sequences,
        "attention_mask": torch.ones_like(first.sequences),
        "max_new_tokens": 4,
        "custom_generate": ours.sample,
    }
    assert first[CACHE].get_seq_length() == first.sequences.shape[1] - 1
    resumed = model.generate(**asked, **{CACHE: first[CACHE]})
    assert torch.equal(resumed, model.generate(**asked))


def test_an_encoder_and_a_decoder(inputs):
    config = hf.T5Config(
        **{"vocab_size": 128, "d_model": 32, "d_kv": 16, "d_ff": 64},
        **{"num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0},
    )
    torch.manual_seed(0)
    t5 = hf.T5ForConditionalGeneration(config).eval()
    asked = {
        **inputs,
        "max_new_tokens": 6,
        "return_dict_in_generate": True,
        "output_attentions": True,
        "output_hidden_states": True,
    }
    t5.set_attn_implementation("eager")
    want = t5.generate(**asked, do_sample=False)
    got = t5.generate(**asked, custom_generate=ours.sample)
    assert type(got) is type(want)
    assert torch.equal(got.sequences, want.sequences)
    same_states(got, want)


def same_states(got, want):
    assert got.keys() == want.keys()
    for name in want:
        if name not in ("sequences", CACHE, "scores"):
            torch.testing.assert_close(got[name], want[name])


def test_the_record_is_the_record(model, inputs):
    model.set_attn_implementation("eager")
    asked = {
        **inputs,
        "max_new_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.8,
        "return_dict_in_generate": True,
        "output_scores": True,
        "output_logits": True,
        "output_attentions": True,
        "output_hidden_states": True,
    }
    got = model.generate(**asked, **SAMPLE, rng=4)
    bare = model.generate(**inputs, **SAMPLE, max_new_tokens=5, temperature=0.7, top_p=0.8, rng=4)
    assert torch.equal(got.sequences, bare)  # asking for a record changes nothing

    # Force theirs along our text: what it records on the way must be what we recorded.
    class Forced(hf.LogitsProcessor):
        def __call__(self, input_ids, scores):
            forced = torch.full_like(scores, -torch.inf)
            return forced.scatter_(1, got.sequences[:, input_ids.shape[1], None], 0.0)

    want = model.generate(
        **{**asked, "temperature": 1.0, "top_p": 1.0}, logits_processor=[Forced()], do_sample=True
    )
    same_states(got, want)
    assert torch.equal(got.sequences, want.sequences)
    warpers = [hf.TemperatureLogitsWarper(0.7), hf.TopKLogitsWarper(50), hf.TopPLogitsWarper(0.8)]
    for logits, scores in zip(got.logits, got.scores, strict=True):
        theirs = hf.LogitsProcessorList(warpers)(None, logits)
        torch.testing.assert_close(scores, theirs, rtol=1e-6, atol=0)
    transitions = model.compute_transition_scores(got.sequences, got.scores, normalize_logits=True)
    assert transitions.isfinite().all()


@pytest.mark.parametrize("normalises", [False, True])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_scores_of_greedy_text_are_those_of_generate(model, inputs, penalty, normalises):
    asked = {
        **inputs,
        "do_sample": False,
        "max_new_tokens": 5,
        "repetition_penalty": penalty,
        "renormalize_logits": normalises,
        "return_dict_in_generate": True,
        "output_scores": True,
    }
    want, got = model.generate(**asked), model.generate(**asked, custom_generate=ours.sample)
    assert torch.equal(got.sequences, want.sequences)
    torch.testing.assert_close(got.scores, want.scores)


def test_renormalised_scores_are_log_probabilities(model, inputs):
    asked = {**inputs, **SAMPLE, "max_new_tokens": 4, "return_dict_in_generate": True}
    asked |= {"output_scores": True, "renormalize_logits": True, "rng": 0, "temperature": 0.7}
    for scores in model.generate(**asked, top_k=5).scores:
        assert (scores.isfinite().sum(1) == 5).all()
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(len(scores)))


@pytest.mark.parametrize("arguments", [{}, {"repetition_penalty": 1.2}], ids=["bare", "penalty"])
def test_one_seed_one_text(model, inputs, arguments):
    asked = {**inputs, **SAMPLE, "max_new_tokens": 12, "top_k": 0, **arguments}
    text = model.generate(**asked, rng=0)
    assert torch.equal(model.generate(**asked, rng=0), text)
    assert not torch.equal(model.generate(**asked, rng=1), text)
    assert torch.equal(
        model.generate(**asked, rng=Stream(5)), model.generate(**asked, rng=Stream(5))
    )


def test_without_a_seed_torch_decides(model, inputs):
    asked = {**inputs, **SAMPLE, "max_new_tokens": 12}
    torch.manual_seed(3)
    first, second = model.generate(**asked), model.generate(**asked)
    assert not torch.equal(first, second)
    hf.set_seed(3)
    assert torch.equal(model.generate(**asked), first)


def test_rows_do_not_know_their_batch(model, inputs):
    asked = {**SAMPLE, "max_new_tokens": 12, "min_p": 0.01, "rng": 9}
    whole = model.generate(**inputs, **asked)
    for row in range(3):
        alone = model.generate(
            **{k: v[row : row + 1] for k, v in inputs.items()}, **asked, rows=[row]
        )
        assert torch.equal(alone[0], whole[row, : alone.shape[1]])
        assert (whole[row, alone.shape[1] :] == tiny_model.PAD).all()
    seeds = [Stream(k) for k in (11, 12, 13)]
    by_seed = model.generate(**inputs, **{**asked, "rng": seeds}, rows=[0, 0, 0])
    last = model.generate(
        **{k: v[2:] for k, v in inputs.items()}, **{**asked, "rng": seeds[2:]}, rows=[0]
    )
    assert torch.equal(last[0], by_seed[2, : last.shape[1]])


def test_streaming(model, inputs):
    one = {k: v[:1] for k, v in inputs.items()}
    streamer = Tokens()
    text = model.generate(**one, **SAMPLE, max_new_tokens=7, rng=0, streamer=streamer)
    assert torch.equal(torch.cat([piece.flatten() for piece in streamer.got]), text[0])
    assert streamer.ended


def test_streaming_text(model, inputs):
    tokenizer = tiny_model.tokenizer()
    one = {k: v[:1] for k, v in inputs.items()}
    streamer = hf.TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=30)
    text = model.generate(**one, **SAMPLE, max_new_tokens=7, rng=0, streamer=streamer)
    assert "".join(streamer) == tokenizer.decode(text[0, 6:])


def test_the_end_of_a_text(model, inputs):
    plain = model.generate(**inputs, **SAMPLE, max_new_tokens=30, top_k=0, rng=2, eos_token_id=-1)
    assert plain.shape == (3, 36)
    new = plain[:, 6:]
    ends = sorted({int(new[0, 4]), int(new[1, 9])})
    text = model.generate(**inputs, **SAMPLE, max_new_tokens=30, top_k=0, rng=2, eos_token_id=ends)
    for row in range(3):
        at = np.flatnonzero(np.isin(new[row], ends))
        length = at[0] + 1 if at.size else 30
        assert torch.equal(text[row, 6 : 6 + length], new[row, :length])
        assert (text[row, 6 + length :] == tiny_model.PAD).all()
    longest = max(int(np.flatnonzero(np.r_[np.isin(row, ends), True])[0]) + 1 for row in new)
    assert text.shape[1] == 6 + min(longest, 30)


def test_stop_strings(model, inputs):
    one = {k: v[:1] for k, v in inputs.items()}
    asked = {**one, **SAMPLE, "max_new_tokens": 20, "rng": 0, "top_k": 0}
    text = model.generate(**asked)
    stop = "".join(map(chr, text[0, 9:11]))
    criteria = hf.StopStringCriteria(tiny_model.tokenizer(), [stop])
    stopped = model.generate(**asked, stopping_criteria=[criteria])
    assert torch.equal(stopped, text[:, : stopped.shape[1]])
    assert stopped.shape[1] <= 11


def test_stop_strings_need_a_tokenizer_of_ours(model, inputs):
    """Transformers drops its own on the way to a callable; docs/integrations.md says so."""
    tokenizer = tiny_model.tokenizer()
    asked = {**inputs, **SAMPLE, "max_new_tokens": 20, "rng": 0, "top_k": 0}
    with pytest.raises(ValueError, match=r"^tokenizer: is needed for stop_strings"):
        model.generate(**asked, stop_strings="a", tokenizer=tokenizer)
    config = hf.GenerationConfig(stop_strings="a")
    with pytest.raises(ValueError, match="could not locate a tokenizer"):
        model.generate(**asked, tokenizer=tokenizer, generation_config=config)
    bound = partial(ours.sample, tokenizer=tokenizer)
    for bad, error in ((["a", 3], TypeError), (3, TypeError), ("", ValueError), ([], ValueError)):
        with pytest.raises(error, match=r"^stop_strings: must "):
            model.generate(**{**asked, "custom_generate": bound}, stop_strings=bad)
    text = model.generate(**asked)
    stop = "".join(map(chr, text[0, 9:11]))
    one = {**asked, **{k: v[:1] for k, v in inputs.items()}, "custom_generate": bound}
    stopped = model.generate(**one, stop_strings=stop)
    assert torch.equal(stopped, text[:1, : stopped.shape[1]])
    assert stopped.shape[1] <= 11
    # The strings may be bound as well.
    one["custom_generate"] = partial(bound, stop_strings=[stop])
    assert torch.equal(model.generate(**one), stopped)


def law_of(model, prompt, steps, warpers):
    """The law of the next tokens: every continuation, one axis for each step."""
    vocabulary = model.config.vocab_size
    law = torch.ones(1, dtype=torch.float64)
    texts = prompt
    for _ in range(steps):
        with torch.no_grad():
            logits = model(texts).logits[:, -1]
        p = warpers(texts, logits).double().softmax(-1)
        law = (law[:, None] * p).flatten()
        tokens = torch.arange(vocabulary).repeat(len(texts))[:, None]
        texts = torch.cat([texts.repeat_interleave(vocabulary, 0), tokens], 1)
    return law.numpy()


LAWS = [
    {"top_k": 0},
    {"temperature": 0.6, "top_k": 5},
    {"temperature": 1.4, "top_k": 0, "top_p": 0.8, "min_p": 0.02},
    {"top_k": 0, "eta_cutoff": 0.05, "repetition_penalty": 1.3},
]


@pytest.mark.law
@pytest.mark.parametrize("arguments", LAWS, ids=str)
def test_the_law_of_three_tokens(arguments):
    small = tiny_model.build(8, spread=0.35)
    n, prompt = 30_000, torch.tensor([[1, 5, 7]])
    config, _ = small._prepare_generation_config(None, do_sample=True, **arguments)
    warpers = small._get_logits_processor(config, 3, logits_processor=[], device="cpu")
    law = law_of(small, prompt, 3, warpers)
    text = small.generate(
        input_ids=prompt.expand(n, -1),
        attention_mask=torch.ones((n, 3)),
        **SAMPLE,
        **arguments,
        max_new_tokens=3,
        eos_token_id=None,
        rng=6,
    )
    cells = (text[:, 3:] * torch.tensor([64, 8, 1])).sum(-1)
    assert_law(np.bincount(cells, minlength=512), law)


EXTRA = {
    "top_n_sigma": 1.0,
    "top_a": 0.3,
    "tfs": 0.9,
    "p_less": True,
    "xtc_probability": 0.5,
    "smoothing_factor": 0.3,
    "dynatemp_range": 0.4,
    "mirostat_mu": 5.0,
    "top_h": 0.6,
}


@pytest.mark.parametrize(("name", "value"), EXTRA.items(), ids=EXTRA.keys())
def test_every_rule_by_keyword(model, inputs, name, value):
    asked = {**inputs, **SAMPLE, "max_new_tokens": 6, "rng": 0, "top_k": 0, name: value}
    text = model.generate(**asked)
    # The same rules, drawn from the same coins outside the loop.
    for step in range(text.shape[1] - 6):
        with torch.no_grad():
            logits = model(text[:, : 6 + step]).logits[:, -1]
        want = decode.sample(logits, rng=0, step=step, **{name: value})
        alive = ~(text[:, 6 : 6 + step] == EOS).any(-1)
        assert torch.equal(text[alive, 6 + step], want[alive])


def test_rules_row_by_row(model, inputs):
    cold = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    text = model.generate(
        **inputs, **SAMPLE, max_new_tokens=8, rng=0, temperature=[0.0, 2.0, 0.0], top_k=[5, 0, 0]
    )
    width = min(text.shape[1], cold.shape[1])
    assert torch.equal(text[[0, 2], :width], cold[[0, 2], :width])


def test_several_texts_for_a_prompt(model, inputs):
    text = model.generate(**inputs, **SAMPLE, num_return_sequences=4, max_new_tokens=8, rng=0)
    assert text.shape[0] == 12
    assert len({tuple(row.tolist()) for row in text}) == 12


def test_processors_of_the_user_run_first(model, inputs):
    class Only(hf.LogitsProcessor):
        def __call__(self, input_ids, scores):
            assert scores.dtype == torch.float32
            scores[:, [t for t in range(128) if t not in (40, 41)]] = -torch.inf
            return scores

    text = model.generate(**inputs, **SAMPLE, max_new_tokens=6, rng=0, logits_processor=[Only()])
    assert set(text[:, 6:].flatten().tolist()) <= {40, 41}
    # Their own warper given by the user stays where the user put it.
    one = model.generate(
        **inputs, **SAMPLE, max_new_tokens=6, logits_processor=[hf.TopKLogitsWarper(1)], top_k=0
    )
    assert torch.equal(one, model.generate(**inputs, max_new_tokens=6, do_sample=False))


def test_our_processors_in_our_loop(model, inputs):
    processors = [ours.DRYLogitsWarper(), ours.XTCLogitsWarper(0.5, rng=0)]
    asked = {**inputs, **SAMPLE, "max_new_tokens": 6, "rng": 0}
    model.generate(**asked, logits_processor=processors, top_k=0)
    with pytest.warns(UserWarning, match="top_k=50 after XTCLogitsWarper"):
        model.generate(**asked, logits_processor=processors)


REFUSED = [
    ({"num_beams": 2}, "^custom_generate: .* beam_sample"),
    ({"prompt_lookup_num_tokens": 3}, "^custom_generate: .* assisted_generation"),
    ({"synced_gpus": True}, "^synced_gpus: "),
    ({"top_n_sigma": 1.0, "do_sample": False}, "^do_sample: must be True with top_n_sigma"),
    ({"top_p": 1.5}, "^top_p: must be in "),
    ({"xtc_probability": -1.0}, "^xtc_probability: must be in "),
    ({"rng": -1}, "^rng: must be non-negative"),
    (
        {"watermarking_config": hf.WatermarkingConfig()},
        "^watermarking_config: ",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[str(a) for a, _ in REFUSED])
def test_what_the_loop_refuses(model, inputs, arguments, message):
    asked = {**inputs, **SAMPLE, "max_new_tokens": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        model.generate(**asked)


def test_an_assistant_is_refused(model, inputs):
    one = {k: v[:1] for k, v in inputs.items()}
    with pytest.raises(ValueError, match=r"^custom_generate: .* assisted_generation"):
        model.generate(**one, **SAMPLE, max_new_tokens=3, assistant_model=tiny_model.build())


def test_unknown_arguments_are_still_typos(model, inputs):
    with pytest.raises(ValueError, match="top_q"):
        model.generate(**inputs, **SAMPLE, max_new_tokens=3, top_q=1)


@pytest.mark.cuda
def test_on_the_gpu(inputs):
    model = tiny_model.build().cuda()
    asked = {k: v.cuda() for k, v in inputs.items()} | {"max_new_tokens": 8}
    want = model.generate(**asked, do_sample=False)
    assert torch.equal(model.generate(**asked, **SAMPLE, temperature=0), want)
    text = model.generate(**asked, **SAMPLE, top_p=0.9, rng=0)
    assert torch.equal(model.generate(**asked, **SAMPLE, top_p=0.9, rng=0), text)
    assert text.is_cuda


def test_every_rule_argument_is_in_the_signature():
    parameters = inspect.signature(ours.sample).parameters
    assert set(decode.RuleArgs.__annotations__) <= parameters.keys()
