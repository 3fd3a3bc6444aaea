"""Distinct texts inside ``generate``: against enumeration, and what is refused."""

import signal

import numpy as np
import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
import sortes  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402
from sortes.sequences import sample_without_replacement  # noqa: E402

DRAWN = [ours.distinct_sample, ours.stochastic_beam_sample]
ALL = [*DRAWN, ours.priority_sample]
OFF = {"do_sample": True, "top_k": 0}
SIZE = 12


@pytest.fixture(scope="module")
def model():
    return tiny_model.build(SIZE, spread=0.4)


@pytest.fixture(scope="module")
def inputs():
    return tiny_model.prompts([5], SIZE)


def named(function):
    return function.__name__


@pytest.fixture(scope="module")
def law(model, inputs):
    """Every text of at most three tokens and its log-probability, one forward at a time."""
    texts, open_ = {}, [((), 0.0)]
    while open_:
        prefix, logprob = open_.pop()
        ids = torch.cat([inputs["input_ids"], torch.tensor([prefix], dtype=torch.long)], 1)
        with torch.no_grad():
            logp = model(ids).logits[0, -1].double().log_softmax(0).numpy()
        for token in range(SIZE):
            longer = ((*prefix, token), logprob + logp[token])
            if token == tiny_model.EOS or len(longer[0]) == 3:
                texts[longer[0]] = longer[1]
            else:
                open_.append(longer)
    return texts


def texts_of(sequences, prompt):
    """The tokens behind the prompt, to their ends."""
    found = []
    for row in sequences[:, prompt:].tolist():
        at = row.index(tiny_model.EOS) + 1 if tiny_model.EOS in row else len(row)
        assert all(token == tiny_model.PAD for token in row[at:])
        found.append(tuple(row[:at]))
    return found


@pytest.mark.parametrize("function", ALL, ids=named)
def test_every_text_comes_once(model, inputs, law, function):
    out = model.generate(
        **inputs,
        **OFF,
        custom_generate=function,
        num_samples=10_000,
        max_new_tokens=3,
        return_dict_in_generate=True,
        **({"rng": 0} if function in DRAWN else {}),
    )
    found = texts_of(out.sequences, 5)
    assert sorted(found) == sorted(law)
    assert out.logprobs.numpy() == pytest.approx([law[text] for text in found], abs=1e-4)
    assert out.complete.tolist() == [text[-1] == tiny_model.EOS for text in found]
    if function in DRAWN:
        assert out.kappa == -np.inf
        assert np.all(np.diff(out.perturbed.numpy()) <= 0)
    else:
        assert np.isnan(out.priorities.numpy()[0])


@pytest.mark.parametrize("function", DRAWN, ids=named)
def test_draws_are_those_of_the_family(model, inputs, function):
    def logits(prefixes):
        rows = []
        for prefix in prefixes:
            ids = torch.cat([inputs["input_ids"], torch.from_numpy(prefix)[None]], 1)
            with torch.no_grad():
                rows.append(model(ids).logits[0, -1])
        return torch.stack(rows)

    given = {"temperature": 0.7, "top_p": 0.95}
    want = sample_without_replacement(
        logits, 12, 6, top_p=0.95, temperature=0.7, eos_token_id=tiny_model.EOS, rng=3
    )
    seen = []
    out = model.generate(
        **inputs,
        **OFF,
        **given,
        custom_generate=function,
        num_samples=12,
        max_new_tokens=6,
        rng=3,
        return_dict_in_generate=True,
        on_sequence=seen.append,
    )
    found = texts_of(out.sequences, 5)
    rows = zip(want.tokens, want.lengths, strict=True)
    assert found == [tuple(row[:length].tolist()) for row, length in rows]
    assert out.kappa == pytest.approx(want.kappa, abs=1e-3)
    assert [tuple(one.tokens.tolist()) for one in seen] == found
    # Without a cache, in batches of another size, behind padding.
    plain = model.generate(
        input_ids=torch.cat([torch.full((1, 2), tiny_model.PAD), inputs["input_ids"]], 1),
        attention_mask=torch.tensor([[0, 0, 1, 1, 1, 1, 1]]),
        **OFF,
        **given,
        custom_generate=function,
        num_samples=12,
        max_new_tokens=6,
        rng=3,
        use_cache=False,
    )
    assert texts_of(plain, 7) == found


def test_the_first_of_priorities_is_greedy(model, inputs):
    greedy = {"do_sample": False, "max_new_tokens": 8}
    want = model.generate(**inputs, **greedy)
    for priority in ("token", "sequence"):
        got = model.generate(
            **inputs,
            **greedy,
            custom_generate=ours.priority_sample,
            num_samples=5,
            priority=priority,
        )
        assert torch.equal(got[:1, : want.shape[1]], want)
        assert len(set(texts_of(got, 5))) == 5


def test_processors_see_each_text(model, inputs):
    """A penalty depends on the tokens of its own beginning."""
    asked = {**inputs, "max_new_tokens": 5, "do_sample": False, "no_repeat_ngram_size": 1}
    out = model.generate(**asked, custom_generate=ours.priority_sample, num_samples=20)
    for text in texts_of(out, 5):
        new = [token for token in text if token != tiny_model.EOS]
        assert len(set(new)) == len(new)
        assert not set(new) & set(inputs["input_ids"][0].tolist())
    assert texts_of(out[:1], 5) == texts_of(model.generate(**asked), 5)


def test_torch_seeds_decide_without_an_rng(model, inputs):
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(
            model.generate(
                **inputs,
                **OFF,
                custom_generate=ours.distinct_sample,
                num_samples=6,
                max_new_tokens=5,
            )
        )
    assert torch.equal(made[0], made[1])
    assert made[0].shape != made[2].shape or not torch.equal(made[0], made[2])


BAD = {
    "greedy": ({"do_sample": False}, "do_sample: must be True"),
    "beams": ({"num_beams": 2}, "custom_generate: sortes draws one token"),
    "returned": ({"num_return_sequences": 2}, "num_return_sequences: must be 1"),
    "samples": ({"num_samples": 0}, "num_samples: must be at least 1"),
    "batch": ({"node_batch_size": 0}, "node_batch_size: must be at least 1"),
    "interrupt": ({"on_interrupt": "stop"}, "on_interrupt: must be"),
    "callback": ({"on_sequence": 3}, "on_sequence: must be callable"),
    "time": ({"max_time": 1.0}, "stopping_criteria: a search cannot stop by MaxTimeCriteria"),
    "rule": ({"top_h": 7.0}, "top_h: must be in"),
}


@pytest.mark.parametrize(("settings", "message"), BAD.values(), ids=BAD)
def test_settings_that_contradict(model, inputs, settings, message):
    asked = {**inputs, **OFF, "custom_generate": ours.distinct_sample, "max_new_tokens": 3}
    with pytest.raises((ValueError, TypeError), match=rf"^{message}"):
        model.generate(**{**asked, "num_samples": 2, **settings})


@pytest.mark.parametrize("function", ALL, ids=named)
def test_prompts_and_streamers_are_refused(model, function):
    two = tiny_model.prompts([4, 4], SIZE)
    asked = {**OFF, "custom_generate": function, "max_new_tokens": 3}
    with pytest.raises(ValueError, match=r"^input_ids: must hold one prompt, got 2"):
        model.generate(**two, **asked)
    streamer = hf.TextStreamer(tiny_model.tokenizer())
    with pytest.raises(ValueError, match=r"^streamer: is not supported"):
        model.generate(**tiny_model.prompts([4], SIZE), **asked, streamer=streamer)


def test_priorities_refuse_chance(model, inputs):
    asked = {**inputs, **OFF, "custom_generate": ours.priority_sample, "max_new_tokens": 3}
    with pytest.raises(ValueError, match=r"^rules: must not act at random"):
        model.generate(**asked, xtc_probability=0.5, xtc_threshold=0.1)
    with pytest.raises(ValueError, match=r"^priority: must be"):
        model.generate(**asked, priority="gumbel")


@pytest.mark.parametrize("function", ALL, ids=named)
def test_ctrl_c_keeps_what_is_found(model, inputs, function):
    asked = {**inputs, **OFF, "custom_generate": function, "max_new_tokens": 6, "num_samples": 9}
    asked |= {"rng": 0} if function in DRAWN else {}

    def stop(done, total):
        assert total == 9
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    whole = texts_of(model.generate(**asked), 5)
    with pytest.raises(sortes.Interrupted) as caught:
        model.generate(**asked, progress=stop)
    found = texts_of(caught.value.partial, 5)
    assert len(found) >= 4
    assert found == whole[: len(found)]
    kept = model.generate(**asked, progress=stop, on_interrupt="return")
    assert texts_of(kept, 5) == found
