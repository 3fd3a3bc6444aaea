"""Speculative decoding by ``generate``: ours beside what transformers offers.

The model is a Llama of random weights whose texts soon repeat themselves, as edits and tables
repeat their prompts; a call is timed as a whole. What a real model makes of real tasks is measured
by ``examples/measure_speculative.py``.
"""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benches.turns import turns

V, TOKENS = 8_000, 64


@pytest.fixture(scope="module")
def model():
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
        tie_word_embeddings=True,
        eos_token_id=None,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def small(model):
    """The first layer of the model: a draft that mostly agrees."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = 1
    config.layer_types = None
    draft = LlamaForCausalLM(config).eval()
    draft.load_state_dict(model.state_dict(), strict=False)
    return draft


@pytest.mark.parametrize("batch", [1, 8])
def test_speculative(benchmark, model, small, batch):
    from sortes.integrations import transformers as ours

    prompt = torch.arange(1, 33).repeat(batch, 3)
    greedy = {
        "max_new_tokens": TOKENS,
        "do_sample": False,
        "attention_mask": torch.ones_like(prompt),
    }
    calls = [0]
    model.register_forward_pre_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))

    def call(**arguments):
        return lambda turn: model.generate(prompt, **greedy, **arguments)

    everybody = {
        "drafts from text": call(custom_generate=ours.speculative_sample),
        "trees of a draft model": call(custom_generate=ours.speculative_sample, draft_model=small),
    }
    peers = {"plain": call(custom_generate=ours.sample), "transformers": call()}
    if batch == 1:  # transformers takes one text
        peers["prompt look-up"] = call(prompt_lookup_num_tokens=10)
        peers["assisted generation"] = call(assistant_model=small)
    record = turns(
        benchmark,
        "Speculative decoding, with the model",
        {"texts": batch, "tokens of each": TOKENS, "V": V},
        everybody,
        peers,
        seconds=2,
        most=20,
    )
    per_call = {}
    for name, contender in {**everybody, **peers}.items():
        calls[0] = 0
        contender(0)
        per_call[name] = TOKENS / calls[0]
    record["more"] = {"tokens per call of the model": per_call}
