"""Powers of whole texts in ``generate`` of Transformers."""

import numpy as np
import pytest
import torch
from sortes import Interrupted
from sortes.integrations.transformers import power_sample
from sortes.sequences import TokenAutomaton, Vocabulary
from sortes.sequences import power_sample as plain
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

V, END = 40, 7
PROMPT = torch.tensor([[1, 5, 9, 3]])
PLAIN = {"do_sample": True, "top_k": 0, "max_new_tokens": 8, "eos_token_id": END, "pad_token_id": 0}
SIZES = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.6,
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES)).eval().double()


def rows_of(model, prompt=PROMPT):
    """The model without a cache."""

    @torch.no_grad()
    def rows(prefixes):
        texts = [torch.cat([prompt[0], torch.from_numpy(prefix)]) for prefix in prefixes]
        return torch.stack([model(text[None]).logits[0, -1] for text in texts])

    return rows


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 4.0, "num_particles": 16},
        {"alpha": 2.0, "num_particles": 6, "proposal_temperature": 1.0, "ess_threshold": 1.0},
        {"method": "mcmc", "num_particles": 3, "num_steps": 3, "num_blocks": 2},
        {"method": "exact", "max_nodes": 4000, "alpha": 8.0},
    ],
    ids=lambda s: s.get("method", "smc"),
)
def test_the_texts_are_those_without_a_cache(model, settings):
    length = 4 if settings.get("method") == "exact" else 8
    out = model.generate(
        PROMPT, custom_generate=power_sample, **{**PLAIN, "max_new_tokens": length},
        num_samples=5, rng=3, return_dict_in_generate=True, **settings,
    )  # fmt: skip
    made = plain(rows_of(model), length, eos_token_id=END, rng=3, **settings)
    assert np.array_equal(out.particles.tokens, made.tokens)
    assert out.particles.log_weights == pytest.approx(made.log_weights, abs=1e-5)
    assert np.array_equal(out.particles.ancestors, made.ancestors)
    picked = made.pick(5, rng=3)
    assert out.sequences.shape[0] == 5
    assert torch.equal(out.sequences[:, :4], PROMPT.expand(5, -1))
    for row, i in zip(out.sequences[:, 4:].tolist(), picked, strict=True):
        n = made.lengths[i]
        assert row[:n] == made.tokens[i, :n].tolist()
        assert set(row[n:]) <= {0}
    assert out.logprobs.numpy() == pytest.approx(made.logprobs[picked], abs=1e-5)


def test_how_often_the_model_is_called(model):
    """Each token of each beginning is computed once."""
    out = model.generate(
        PROMPT, custom_generate=power_sample, **PLAIN, alpha=1.0, num_particles=16, rng=0,
        return_dict_in_generate=True,
    )  # fmt: skip
    made = out.particles
    assert out.model_calls == made.lengths.max()
    beginnings = {tuple(row[:k]) for row, n in zip(made.tokens.tolist(), made.lengths, strict=True)
                  for k in range(1, n)}  # fmt: skip
    assert out.model_positions == 4 + len(beginnings)


def test_sliding_windows():
    torch.manual_seed(1)
    config = MistralConfig(**SIZES, sliding_window=3)
    model = MistralForCausalLM(config).eval().double()
    out = model.generate(PROMPT, custom_generate=power_sample, **PLAIN, num_particles=5, rng=2,
                         return_dict_in_generate=True)  # fmt: skip
    made = plain(rows_of(model), 8, eos_token_id=END, num_particles=5, rng=2)
    assert np.array_equal(out.particles.tokens, made.tokens)


def test_matches(model):
    letters = [None if t == END else bytes([97 + t % 26]) for t in range(V)]
    automaton = TokenAutomaton("[a-m]{2,5}", Vocabulary(letters, eos_token_id=END))
    out = model.generate(
        PROMPT, custom_generate=power_sample, **PLAIN, alpha=1.0, automaton=automaton, rng=0,
        num_samples=4, return_dict_in_generate=True,
    )  # fmt: skip
    assert out.complete.all()
    assert out.particles.log_z.value < 0
    for row in out.sequences[:, 4:].tolist():
        text = row[: row.index(END)]
        assert 2 <= len(text) <= 5
        assert all(t % 26 < 13 for t in text)
    with pytest.raises(ValueError, match=r"^automaton: all 16 texts came to where the rules"):
        model.generate(
            PROMPT, custom_generate=power_sample, **{**PLAIN, "top_k": 1}, automaton=automaton,
            rng=0, logits_processor=[lambda ids, s: s.index_fill(1, torch.tensor([END]), 99.0)],
        )  # fmt: skip


def test_seeds(model):
    def text():
        return model.generate(PROMPT, custom_generate=power_sample, **PLAIN, alpha=0.5)

    torch.manual_seed(3)
    first, second = text(), text()
    torch.manual_seed(3)
    assert torch.equal(text(), first)
    assert not torch.equal(first, second)


def test_ctrl_c(model):
    endless = {**PLAIN, "eos_token_id": None}

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as interrupted:
        model.generate(PROMPT, custom_generate=power_sample, **endless, rng=0, progress=stop)
    assert interrupted.value.partial.shape[1] == 4 + 3
    part = model.generate(PROMPT, custom_generate=power_sample, **endless, rng=0, progress=stop,
                          on_interrupt="return")  # fmt: skip
    assert torch.equal(part, interrupted.value.partial)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"do_sample": False}, "do_sample: must be True"),
        ({"num_return_sequences": 2}, "num_return_sequences: must be 1"),
        ({"num_beams": 2}, "custom_generate: sortes draws one token"),
        ({"alpha": 0.0}, "alpha: must be in"),
        ({"num_particles": 0}, "num_particles: must be in"),
        ({"num_samples": 0}, "num_samples: must be at least 1"),
        ({"method": "mcmc", "ess_threshold": 0.5}, "ess_threshold: is not used"),
        ({"output_scores": True, "return_dict_in_generate": True}, "output_scores: a search has"),
        ({"max_cached_tokens": -1}, "max_cached_tokens: must be at least 0"),
    ],
)
def test_bad_settings(model, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        model.generate(PROMPT, custom_generate=power_sample, **{**PLAIN, "rng": 0, **arguments})


def test_the_law(model):
    """Two tokens of 40: sums over weighted particles, against all texts."""
    rows = rows_of(model)
    first = torch.log_softmax(rows([np.empty(0, np.int64)]), 1)[0].numpy()
    then = torch.log_softmax(rows([np.array([t]) for t in range(V)]), 1).numpy()
    log_z = np.log(np.exp(3 * (first[:, None] + then)).sum())  # no token ends a text
    made = model.generate(
        PROMPT, custom_generate=power_sample,
        **{**PLAIN, "max_new_tokens": 2, "eos_token_id": None}, alpha=3.0, num_particles=2000,
        rng=0, return_dict_in_generate=True,
    ).particles  # fmt: skip
    assert made.log_z.value == pytest.approx(log_z, abs=5 * made.log_z.stderr)
    assert made.log_z.stderr < 0.1
