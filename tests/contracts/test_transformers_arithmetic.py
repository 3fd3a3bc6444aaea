"""Arithmetic sampling inside ``generate``: the loop, the processor, and what they refuse."""

import signal

import numpy as np
import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
import sortes  # noqa: E402
from sortes import decode  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402

OFF = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
LOOP = {"custom_generate": ours.arithmetic_sample, "do_sample": True, "top_k": 0}
N = 16


@pytest.fixture(scope="module")
def model():
    return tiny_model.build(spread=0.15)


@pytest.fixture(scope="module")
def inputs():
    return tiny_model.prompts([5, 3])


def new_tokens(model, sequences, inputs):
    return sequences[:, inputs["input_ids"].shape[1] :]


def test_the_loop(model, inputs):
    asked = {**inputs, **LOOP, "max_new_tokens": 12, "num_return_sequences": N, "temperature": 0.8}
    out = model.generate(**asked, rng=3, return_dict_in_generate=True, output_logits=True)
    assert torch.equal(model.generate(**asked, rng=3), out.sequences)
    assert not torch.equal(model.generate(**asked, rng=4), out.sequences)
    texts = new_tokens(model, out.sequences, inputs).numpy()
    assert len(texts) == 2 * N
    # The first tokens of a prompt are those of a lattice.
    law = decode.distribution(out.logits[0][::N].numpy(), temperature=0.8)
    for p in range(2):
        counts = np.bincount(texts[p * N : (p + 1) * N, 0], minlength=128)
        assert np.abs(counts - N * law[p]).max() < 1 + 1e-4
    # Log-probabilities are those of the law; nothing comes after the end.
    assert out.logprobs.shape == texts.shape
    ended = np.zeros(2 * N, bool)
    for step, logits in enumerate(out.logits):
        ln_p = np.log(decode.distribution(logits.numpy(), temperature=0.8))
        got = out.logprobs[:, step].numpy()
        want = np.where(ended, 0, ln_p[np.arange(2 * N), texts[:, step]])
        assert got == pytest.approx(want, abs=1e-5)
        assert np.all(texts[ended, step] == tiny_model.PAD)
        ended |= texts[:, step] == tiny_model.EOS


def test_rules_of_the_configuration_and_ours(model, inputs):
    asked = {**inputs, **LOOP, "num_return_sequences": 8, "rng": 1}
    asked |= {"return_dict_in_generate": True, "output_scores": True}
    out = model.generate(**asked, max_new_tokens=6, top_n_sigma=1.0, top_p=0.9)
    texts = new_tokens(model, out.sequences, inputs)
    for step, scores in enumerate(out.scores):
        kept = scores > -torch.inf
        assert kept.sum(1).min() < 128
        alive = (texts[:, :step] != tiny_model.EOS).all(1)
        assert kept[alive].gather(1, texts[alive, step : step + 1]).all()
    xtc = model.generate(**asked, max_new_tokens=6, xtc_probability=0.5, xtc_threshold=0.01)
    texts = new_tokens(model, xtc.sequences, inputs)
    for step, scores in enumerate(xtc.scores):
        alive = (texts[:, :step] != tiny_model.EOS).all(1)
        assert (scores[alive].gather(1, texts[alive, step : step + 1]) > -torch.inf).all()


@pytest.mark.law
def test_first_two_tokens_have_the_law(model):
    inputs = tiny_model.prompts([4])
    asked = {**inputs, "max_new_tokens": 2, "min_new_tokens": 2, "num_return_sequences": 5_000}
    out = model.generate(**asked, **LOOP, rng=0, temperature=0.7)
    texts = new_tokens(model, out, inputs).numpy()
    with torch.no_grad():
        first = model(**inputs).logits[:, -1]
        longer = torch.cat([inputs["input_ids"].expand(128, -1), torch.arange(128)[:, None]], 1)
        second = model(longer).logits[:, -1]
    first[:, tiny_model.EOS] = second[:, tiny_model.EOS] = -torch.inf
    law = (first[0] / 0.7).double().softmax(0)[:, None] * (second / 0.7).double().softmax(1)
    counts = np.bincount(texts[:, 0] * 128 + texts[:, 1], minlength=128 * 128)
    expected = 5_000 * law.numpy().ravel()
    # Rounded counts: chance would miss some of them by far more.
    assert np.abs(counts - expected).max() < 1.1


def test_the_processor_does_the_same(model, inputs):
    asked = {**inputs, "max_new_tokens": 10, "num_return_sequences": N}
    want = model.generate(**asked, **LOOP, rng=5, temperature=0.8, min_p=0.02)
    processor = ours.ArithmeticLogitsProcessor(N, rng=5, temperature=0.8, min_p=0.02)
    got = model.generate(**asked, **OFF, logits_processor=[processor])
    assert torch.equal(got, want)
    # A second text begins anew, with other codes.
    again = model.generate(**asked, **OFF, logits_processor=[processor])
    assert not torch.equal(again, want)
    twin = ours.ArithmeticLogitsProcessor(N, rng=5, temperature=0.8, min_p=0.02)
    for text in (want, again):
        assert torch.equal(model.generate(**asked, **OFF, logits_processor=[twin]), text)


def test_torch_seeds_decide_without_an_rng(model, inputs):
    asked = {**inputs, "max_new_tokens": 6, "num_return_sequences": 4}
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        processor = [ours.ArithmeticLogitsProcessor(4)]
        texts = (
            model.generate(**asked, **LOOP),
            model.generate(**asked, **OFF, logits_processor=processor),
        )
        made.append(texts)
    assert all(map(torch.equal, made[0], made[1]))
    assert not any(map(torch.equal, made[0], made[2]))


REFUSED = {
    "temperature": ({"temperature": 0.7}, "temperature: generate"),
    "top_k": ({"top_k": 50}, "top_k: generate"),
    "top_p": ({"top_p": 0.9}, "top_p: generate"),
    "min_p": ({"min_p": 0.1}, "min_p: generate"),
    "greedy": ({"do_sample": False, "num_return_sequences": 1}, "do_sample: must be True"),
    "beams": ({"num_beams": 4}, "do_sample: must be True, without beams"),
    "another n": ({"num_return_sequences": 3}, "n: must divide the 6 rows"),
    "mixed up": ({"num_return_sequences": 2}, "n: rows must hold each prompt 4 times"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_settings_that_contradict_the_processor(model, inputs, settings, message):
    processor = ours.ArithmeticLogitsProcessor(4, temperature=0.7)
    asked = {**inputs, "max_new_tokens": 4, "num_return_sequences": 4, **OFF, **settings}
    with pytest.raises(ValueError, match=message):
        model.generate(**asked, logits_processor=[processor])


def test_assistants_are_refused(model):
    inputs = tiny_model.prompts([4])
    asked = {**inputs, "max_new_tokens": 4, "assistant_model": model}
    with pytest.raises(ValueError, match="do_sample: must be True, without beams"):
        model.generate(**asked, **OFF, logits_processor=[ours.ArithmeticLogitsProcessor(1)])
    with pytest.raises(ValueError, match="custom_generate: sortes draws one token"):
        model.generate(**asked, **LOOP)


BAD = {
    "greedy": ({"do_sample": False, "num_return_sequences": 1}, "do_sample: must be True"),
    "codebook": ({"codebook": "sobol"}, "codebook: must be"),
    "codes": ({"codes": [0.5, 1.5]}, "codes: item 1 must be in"),
    "order": ({"token_order": "best"}, "token_order: must be"),
    "on_interrupt": ({"on_interrupt": "ignore"}, "on_interrupt: must be"),
    "rule": ({"top_h": 7.0}, "top_h: must be in"),
}


@pytest.mark.parametrize(("settings", "message"), BAD.values(), ids=BAD)
def test_bad_settings_of_the_loop(model, inputs, settings, message):
    asked = {**inputs, **LOOP, "max_new_tokens": 4, "num_return_sequences": 2, **settings}
    with pytest.raises((ValueError, TypeError), match=message):
        model.generate(**asked)


class Interrupting(hf.generation.streamers.BaseStreamer):
    """A streamer in which Ctrl-C falls after some tokens."""

    def __init__(self, after):
        self.left, self.ended = after + 1, False  # the prompt is put as well

    def put(self, value):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def end(self):
        self.ended = True


@pytest.mark.parametrize("function", [ours.arithmetic_sample, ours.sample])
def test_ctrl_c_keeps_what_is_done(model, function):
    inputs = tiny_model.prompts([5])
    asked = {**inputs, "custom_generate": function, "do_sample": True, "max_new_tokens": 50}
    asked |= {"rng": 0, "return_dict_in_generate": True, "output_scores": True}
    streamer = Interrupting(after=3)
    with pytest.raises(sortes.Interrupted) as caught:
        model.generate(**asked, streamer=streamer, eos_token_id=-1)
    partial = caught.value.partial
    assert streamer.ended
    whole = model.generate(**asked, eos_token_id=-1)
    done = partial.sequences.shape[1]
    assert 5 < done < whole.sequences.shape[1]
    assert torch.equal(partial.sequences, whole.sequences[:, :done])
    assert len(partial.scores) == done - 5
    if function is ours.arithmetic_sample:
        assert torch.equal(partial.logprobs, whole.logprobs[:, : done - 5])
    streamer = Interrupting(after=3)
    kept = model.generate(**asked, streamer=streamer, eos_token_id=-1, on_interrupt="return")
    assert streamer.ended
    assert torch.equal(kept.sequences, partial.sequences)
    with pytest.raises(ValueError, match=r"^on_interrupt: must be"):
        model.generate(**asked, on_interrupt="stop")


def test_progress(model, inputs):
    seen = []
    asked = {**inputs, **LOOP, "num_return_sequences": 2, "eos_token_id": -1}
    model.generate(**asked, max_new_tokens=5, progress=lambda *told: seen.append(told))
    assert seen == [(i, 5) for i in range(1, 6)]
