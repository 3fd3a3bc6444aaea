#!/usr/bin/env bash
# Packages: transformers 5.24.0, torch 2.15.0; Python 3.10 or later.
#
# Behaviour: assisted generation divides the assistant's logits twice by the temperature of `generate`:
# `temperature=0.5` drafts at 0.25. The main model's own logits are divided once. The candidate
# generator is given the prepared list of processors, which holds the temperature already, and the
# configuration, from which the assistant's own `generate` adds it again.
#
# Output seen:
#     temperature 1.0: drafts at 1.00, 103 of 103 drafted tokens are accepted
#     temperature 0.5: drafts at 0.25, 133 of 281 drafted tokens are accepted
#     temperature 0.5, given as a processor: drafts at 0.50, 128 of 128 drafted tokens are accepted
#
# The assistant is the model itself here, so that every draft at the right temperature is accepted.
# Speculative sampling corrects the law of the text: it stays right, and only time is lost.
#
# Why it matters: drafts that are colder than the model are refused more often, and an assistant that is
# refused costs more than it saves. A user who lowers the temperature sees the gain go away, or, above
# 1, an assistant hotter than was asked for. Related: pull request 40976 of the project.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.24.0 torch==2.15.0 numpy

TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
import transformers as hf
from transformers.generation.candidate_generator import AssistedCandidateGenerator

torch.manual_seed(0)
torch.set_num_threads(1)
model = hf.LlamaForCausalLM(
    hf.LlamaConfig(
        vocab_size=128,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        pad_token_id=None,
        bos_token_id=1,
        eos_token_id=None,
        initializer_range=0.3,
    )
).eval()
model.generation_config.eos_token_id = None
prompt = torch.tensor([[5, 6, 7, 8]])

first_draft, accepted, drafted = [], 0, 0
get = AssistedCandidateGenerator.get_candidates
update = AssistedCandidateGenerator.update_candidate_strategy


def seen_get(self, *args, **kwargs):
    ids, scores = get(self, *args, **kwargs)
    if scores is not None:  # None where the text has no room left
        first_draft.append(scores[0, 0].detach())
    return ids, scores


def seen_update(self, input_ids, scores, num_matches):
    global accepted, drafted
    accepted, drafted = accepted + num_matches, drafted + scores.shape[1] - 1
    return update(self, input_ids, scores, num_matches)


AssistedCandidateGenerator.get_candidates = seen_get
AssistedCandidateGenerator.update_candidate_strategy = seen_update

logits = model(prompt).logits[0, -1].detach()


def draft(**asked):
    """The temperature of the first draft, and the share of all drafts that is accepted."""
    global accepted, drafted
    first_draft.clear()
    accepted = drafted = 0
    for seed in range(4):
        torch.manual_seed(seed)
        model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            assistant_model=model,
            do_sample=True,
            top_k=0,
            max_new_tokens=50,
            **asked,
        )
    temperature = float(logits @ logits / (logits @ first_draft[0]))
    return temperature, accepted, drafted


plain = draft(temperature=1.0)
own = draft(temperature=0.5)
processor = draft(
    temperature=1.0, logits_processor=hf.LogitsProcessorList([hf.TemperatureLogitsWarper(0.5)])
)
for title, (temperature, some, every) in {
    "temperature 1.0": plain,
    "temperature 0.5": own,
    "temperature 0.5, given as a processor": processor,
}.items():
    print(f"{title}: drafts at {temperature:.2f}, {some} of {every} drafted tokens are accepted")

as_stated = (
    abs(own[0] - 0.25) < 1e-3
    and abs(processor[0] - 0.5) < 1e-3
    and own[1] < 0.8 * own[2]
    and processor[1] == processor[2]
)
sys.exit(not as_stated)
PYTHON
