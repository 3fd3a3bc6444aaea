"""Valid calls of what the family offers."""

import numpy as np
from decode.public import BESIDE as BESIDE
from decode.public import LAW, LOGITS, NORMAL
from decode.public import VALUES as RULE_VALUES
from sortes.sequences import ArithmeticCodes, sample_without_replacement

LOGPROBS = np.log([0.4, 0.3])
#: Values that act: texts that end at once.
VALUES = {**RULE_VALUES, "eos_token_id": [list(range(32))]}


def flat(prefixes):
    """A model of three tokens that are equally likely."""
    return np.zeros((len(prefixes), 3))


def skewed(prefixes):
    """A model of many tokens, whose law does not depend on what was drawn."""
    return np.tile(NORMAL[:1], (len(prefixes), 1))


SEARCH = {"max_new_tokens": 2, "eos_token_id": [2], "node_batch_size": 3, "logit_bias": {1: 0.5},
          "rng": 0}  # fmt: skip


def drawn():
    """Three texts of the flat model."""
    return sample_without_replacement(flat, 3, 2, rng=0)


DONE = np.array([False, True])

CALLS = {
    "ArithmeticCodes": [
        {"n_prompts": 2, "n": 1, "codebook": "t5x", "token_order": "random", "rng": 0,
         "prompt_ids": np.array([3, 4])},
        {"n_prompts": 2, "n": 2, "codes": np.array([0.25, 0.5]), "rng": 0},
    ],
    "ArithmeticCodes.step": {
        "logits": LOGITS, **LAW, "finished": DONE, "pad_token_id": 3, "top_p": 0.9
    },
    "ArithmeticCodes.copy": {},
    "ArithmeticCodes.to_bytes": {},
    "ArithmeticCodes.from_bytes": {"data": ArithmeticCodes(1, 2, rng=0).to_bytes()},
    "DistinctSequences.mean": {"values": np.arange(3.0), "method": "threshold"},
    "DistinctSequences.weights": {"method": "unordered"},
    "SequenceSearch": {"model": skewed, "num_samples": 2, "priority": "gumbel", **SEARCH},
    "conditional_gumbel": {"logprobs": LOGPROBS, "maximum": 1.0, "rng": 0},
    "distinct_mean": {"values": np.arange(2.0), "logprobs": LOGPROBS, "kappa": -1.0,
                      "method": "threshold"},
    "gumbel_topk": {"logits": LOGITS, "k": 1, "rng": 0},
    "log_survival": {"x": LOGPROBS},
    "priority_sample": {"model": skewed, "num_samples": 9, "priority": "sequence",
                        **{k: v for k, v in SEARCH.items() if k != "rng"}},
    "sample_without_replacement": {"model": skewed, "num_samples": 2, **SEARCH},
    "self_normalized_weights": {"logprobs": LOGPROBS, "kappa": -1.0},
    "stochastic_beam_search": {"model": skewed, "num_beams": 2,
                               **{k: v for k, v in SEARCH.items() if k != "node_batch_size"}},
    "threshold_weights": {"logprobs": LOGPROBS, "kappa": -1.0},
    "unordered_set_weights": {"logprobs": LOGPROBS},
    "arithmetic_codes": {"n": 3, "codebook": "stratified", "rng": 0},
}  # fmt: skip

MADE = {"ArithmeticCodes": lambda: ArithmeticCodes(1, 2, rng=0), "DistinctSequences": drawn}
