"""Several texts of a prompt by ``generate``: ours beside what transformers offers.

The model is a Llama of random weights, so small that the sampling and the search are seen: a call
is timed as a whole.
"""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benches.turns import turns

V, TOKENS = 32_000, 8


@pytest.fixture(scope="module")
def model():
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.5,  # so that it is nearly as sure as a trained one
        tie_word_embeddings=True,
        eos_token_id=None,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("texts", [8, 32])
def test_generate(benchmark, model, texts):
    from sortes.integrations import transformers as ours

    prompt = torch.arange(1, 33)[None]
    plain = {"max_new_tokens": TOKENS, "do_sample": False}
    drawn = {"max_new_tokens": TOKENS, "do_sample": True, "temperature": 0.3, "top_k": 0}

    def call(**arguments):
        return lambda turn: model.generate(prompt, **arguments)

    def own(name, **arguments):
        def seeded(turn):
            return model.generate(
                prompt, custom_generate=getattr(ours, name), rng=turn, **drawn, **arguments
            )

        return seeded

    searched = {"num_samples": texts}
    everybody = {
        "distinct_sample": own("distinct_sample", **searched),
        "stochastic_beam_sample": own("stochastic_beam_sample", **searched),
        "priority_sample": call(custom_generate=ours.priority_sample, **plain, **searched),
        "arithmetic_sample": own("arithmetic_sample", num_return_sequences=texts),
    }
    peers = {
        "num_return_sequences": call(**drawn, num_return_sequences=texts),
        "beam sampling": call(**drawn, num_beams=texts, num_return_sequences=texts),
    }
    contenders = {**everybody, **peers}
    record = turns(
        benchmark,
        "Several texts of a prompt, with the model",
        {"texts": texts, "tokens of each": TOKENS, "V": V},
        everybody,
        peers,
        seconds=2,
        most=20,
    )
    record["more"] = {
        "distinct texts": {
            name: len(set(map(tuple, contender(0).tolist())))
            for name, contender in contenders.items()
        }
    }
