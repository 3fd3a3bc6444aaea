"""Valid calls of what the family offers."""

import numpy as np
from decode.rules import OTHERS, SWITCHES
from sortes.decode import AdaptiveP, BasisAwareSampler, Mirostat

LOGITS = np.array([[0.5, 2.0, 1.0, -1.0], [3.0, 0.0, 1.0, 2.0]], np.float32)
MASK = np.array([[True, True, True, False], [True, True, True, True]])
BIAS = ([1, 2], [0.5, -0.5])
ROWS = np.array([0, 1], np.uint32)
TEXT = np.array([[0, 1, 0], [2, 2, 3]])
LAW = {"logit_bias": BIAS, "mask": MASK}
GIVEN = {**LAW, "rng": 0, "rows": ROWS}
#: A value of every argument.
RULES = {
    **{name: values.acts for name, values in SWITCHES.items()},
    **OTHERS,
    **{"order": "hf", "ties": "high", "top_p_boundary": "smallest", "sigma_ddof": 0},
    **{"p_less_normalized": True, "protected_ids": np.array([1, 2])},
}
W = np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, 1.0], [0.5, 0.5]])


def _bytes():
    return {"data": BasisAwareSampler(W, rank=1).to_bytes()}


CALLS = {
    "Rules": [RULES, {"top_p": np.array([0.5, 0.9]), "order": ["temperature", "top_p"]}],
    "sample": [
        {"logits": LOGITS, **GIVEN, "top_p": 0.9, "logprobs": 2},
        {"logits": LOGITS, "rng": 0, "top_p": 0.9},
    ],
    "draw": {"logits": LOGITS, "uniforms": np.array([0.2, 0.9]), **GIVEN, "top_p": 0.9},
    "truncate": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "keep_mask": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "cutoffs": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "distribution": {"logits": LOGITS, "logit_bias": BIAS, "mask": MASK, "top_p": 0.9},
    "row_stats": {"logits": LOGITS},
    "critical": {"logits": LOGITS, "rule": "top_p"},
    "penalize": {
        **{"logits": LOGITS, "input_ids": TEXT, "prompt_lengths": np.array([1, 1])},
        **{"repetition_penalty": 1.2, "frequency_penalty": 0.1, "presence_penalty": 0.1},
        **{"penalty_last_n": 2, "dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 1},
        **{"dry_penalty_last_n": 2, "dry_sequence_breakers": [3], "no_repeat_ngram_size": 2},
        **{"bad_words_ids": [[1, 2]], "logit_bias": BIAS, "min_new_tokens": 1, "eos_token_id": 3},
        **{"pad_token_id": 0, "attention_mask": np.ones((2, 3), int)},
    },
    "Mirostat": {"tau": np.array([2.0, 3.0]), "eta": 0.1},
    "AdaptiveP": {"target": np.array([0.5, 0.4]), "decay": 0.9},
    "AdaptiveP.sample": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "AdaptiveP.init": {"logits": LOGITS},
    "AdaptiveP.step": {"logits": LOGITS, "state": ([0.5, 0.4], [1.0, 2.0]), "rng": 0},
    "AdaptiveP.reorder": {"indices": np.array([1, 0])},
    "AdaptiveP.reset": {},
    "AdaptiveP.copy": {},
    "FIRE": {"fire_temperature": 20.0, "fire_top_k": 2, "positions": [0, 1]},
    "FIRE.rules": {"position": np.array([0, 3]), "top_p": 0.9},
    "FIRE.sample": {"logits": LOGITS, "position": np.array([0, 3]), **GIVEN, "top_p": 0.9},
    "BasisAwareSampler": {"W": W, "rank": 1},
    "BasisAwareSampler.from_features": {"features": np.c_[W, np.ones(4)]},
    "BasisAwareSampler.with_options": {"strict": True},
    "BasisAwareSampler.sample": {"logits": LOGITS, **GIVEN, "eta_cutoff": 0.5},
    "BasisAwareSampler.keep_mask": {"logits": LOGITS, **LAW, "eta_cutoff": 0.5},
    "BasisAwareSampler.cutoffs": {"logits": LOGITS, **LAW, "eta_cutoff": 0.5},
    "BasisAwareSampler.critical": {"logits": LOGITS, "ids": np.array([0, 1]), **LAW},
    "BasisAwareSampler.certificate": {"logits": LOGITS[0], "id": 0, "tau": 0.5},
    "BasisAwareSampler.copy": {},
    "BasisAwareSampler.to_bytes": {},
    "BasisAwareSampler.from_bytes": _bytes,
}


def _started(sampler):
    sampler.sample(LOGITS, rng=1)
    return sampler


MADE = {
    "AdaptiveP": lambda: _started(AdaptiveP(np.array([0.5, 0.4]))),
    "Mirostat": lambda: _started(Mirostat(np.array([2.0, 3.0]))),
}
