#!/usr/bin/env bash
# Packages: transformers 5.24.0, torch 2.15.0; Python 3.10 or later.
#
# Behaviour: under continuous batching with `per_request_processors=True`, a request that switches
# top-k off with `top_k=0` gets greedy text, without a word; so does `top_k=-1`. `generate` takes
# `top_k=0` as "off". The cause is `max(top_k, min_tokens_to_keep)` in
# `ContinuousBatchingTopKLogitsWarper.prepare_tensor_args`, which makes 1 of it. A request that asks
# for `temperature=1` is refused with a TypeError, for 1 is no float.
#
# The guide of continuous batching says that `temperature`, `top_k` and `top_p` apply to each request
# on its own, and that requests with temperatures of 1 can be created where the configuration has
# another; it does not say how a request is to switch top-k off.
#
# Output seen:
#     tokens that top-k leaves of 128:  top_k=0: 1  top_k=-1: 1  top_k=1: 1  top_k=50: 50
#     engine: top_k=0 gives the greedy text: True  top_k=128 does: False
#     engine: temperature=1: logit_processor_kwargs['temperature'] has type int, expected float
#     generate: top_k=0 gives the greedy text: False
#
# Why it matters: clients of OpenAI-like servers send 0 or -1 for "off", and an int for a temperature.
# They get the opposite of what they ask for: the same greedy text from every request.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.24.0 torch==2.15.0 numpy accelerate

TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
from types import SimpleNamespace

import torch
import transformers as hf
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingTopKLogitsWarper,
)

logging.disable(logging.CRITICAL)
torch.manual_seed(0)
torch.set_num_threads(1)

# The processor alone: how many tokens it leaves.
warper = ContinuousBatchingTopKLogitsWarper(hf.TopKLogitsWarper(50))
left = {}
for top_k in (0, -1, 1, 50):
    state = SimpleNamespace(logit_processor_kwargs={"top_k": top_k})
    values = warper.prepare_tensor_args([SimpleNamespace(state=state)])
    left[top_k] = int(warper(torch.randn(1, 128), values).isfinite().sum())
counts = "  ".join(f"top_k={top_k}: {count}" for top_k, count in left.items())
print(f"tokens that top-k leaves of 128:  {counts}")

# The engine, on a model of random weights.
model = hf.LlamaForCausalLM(
    hf.LlamaConfig(
        vocab_size=128,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
    )
).eval()
prompt, length = [5, 6, 7, 8], 24
manager = model.init_continuous_batching(
    generation_config=hf.GenerationConfig(
        do_sample=True, temperature=0.9, top_k=50, eos_token_id=-1
    ),
    continuous_batching_config=hf.ContinuousBatchingConfig(
        per_request_processors=True, num_blocks=32, page_size=16, max_batch_tokens=64
    ),
)
asked = {"0": {"top_k": 0}, "128": {"top_k": 128}, "int": {"temperature": 1}}
manager.start()
for name, kwargs in asked.items():
    manager.add_request(prompt, request_id=name, max_new_tokens=length, **kwargs)
results = {}
for _ in range(120):
    result = manager.get_result(timeout=1)
    if result is not None and result.is_finished():
        results[result.request_id] = result
    if len(results) == len(asked):
        break
manager.stop(block=True, timeout=10)


def text(**asked):
    config = hf.GenerationConfig(max_new_tokens=length, eos_token_id=None, pad_token_id=0, **asked)
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    return model.generate(ids, attention_mask=mask, generation_config=config)[0, 4:].tolist()


greedy = text(do_sample=False)
off = results["0"].generated_tokens == greedy
wide = results["128"].generated_tokens == greedy
print(f"engine: top_k=0 gives the greedy text: {off}  top_k=128 does: {wide}")
print(f"engine: temperature=1: {results['int'].error}")
own = text(do_sample=True, temperature=0.9, top_k=0) == greedy
print(f"generate: top_k=0 gives the greedy text: {own}")

as_stated = (
    left == {0: 1, -1: 1, 1: 1, 50: 50}
    and off
    and not wide
    and "has type int, expected float" in str(results["int"].error)
    and not own
)
sys.exit(not as_stated)
PYTHON
