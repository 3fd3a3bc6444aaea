"""Valid calls of what the family offers."""

import numpy as np
from decode.rules import OTHERS, SWITCHES
from sortes.decode import AdaptiveP, BasisAwareSampler, Mirostat, Rules

#: How many times each row is repeated, or with ``TALL`` how many times all are; `public.resize`
#: sets them.
SCALE: int = globals().get("SCALE", 1)
HIGH, WIDE = (SCALE, 1) if globals().get("TALL", False) else (1, SCALE)
V = 32  # tokens, before they are repeated
NORMAL = np.random.default_rng(0).normal(0, 2, (2, V)).astype(np.float32)
LOGITS = np.tile(NORMAL, (HIGH, WIDE))
MASK = np.tile([np.arange(V) != 3, np.arange(V) < V], (HIGH, WIDE))
BIAS = ([1, 2], [0.5, -0.5])
ROWS = np.arange(2 * HIGH).astype(np.uint32)
TEXT = np.tile([[0, 1, 0, 1, 2, 0, 1], [2, 2, 3, 2, 2, 3, 2]], (HIGH, WIDE))
UNIFORMS = np.tile([0.2, 0.9], HIGH)
TARGETS = np.tile([0.5, 0.4], HIGH)
TAUS = np.tile([2.0, 3.0], HIGH)
POSITIONS = np.tile([0, 3], HIGH)
LAW = {"logit_bias": BIAS, "mask": MASK}
GIVEN = {**LAW, "rng": 0, "rows": ROWS}
#: A value of every argument.
RULES = {
    **{name: values.acts for name, values in SWITCHES.items()},
    **OTHERS,
    **{"order": "hf", "ties": "high", "top_p_boundary": "smallest", "sigma_ddof": 0},
    **{"p_less_normalized": True, "protected_ids": np.array([1, 2])},
}
W = np.tile(np.random.default_rng(1).normal(size=(V, 2)), (WIDE, 1))
#: Values that act, and what some need beside them.
VALUES = {
    **{name: [v.acts] if v.strict is None else [v.acts, v.strict] for name, v in SWITCHES.items()},
    "order": ["vllm", "llama.cpp", ["temperature", "top_p"]],
    "protected_ids": [np.arange(V)],
    "rules": [Rules(top_k=1), Rules(top_p=0.1)],
    "rows": [5, 6, 7],
    "rng": [1, 2, 3, 4],
    "eta": [0.5],
    "decay": [0.5],
    "bad_words_ids": [[[5]]],
    "dry_sequence_breakers": [[1]],
    "prompt_lengths": [[5, 5]],
    "dry_base": [3.0],
    "attention_mask": [np.ones(TEXT.shape, int) * (TEXT != 2)],
    "mask": [np.arange(V) == 5],
    "logit_bias": [([0, 1], [9.0, -9.0])],
    "min_new_tokens": [9],
    "eos_token_id": [1],
}
THREE = np.full_like(NORMAL, -np.inf)
THREE[:, [0, 4, 9]] = 0.0, 0.0, -3.0
XTC = {"xtc_probability": 0.5, "xtc_threshold": 0.01}
DRY = {"no_repeat_ngram_size": 0, "dry_penalty_last_n": 0, "bad_words_ids": None}
BESIDE = {
    "smoothing_curve": {"smoothing_factor": 0.2},
    "dynatemp_exponent": {"dynatemp_range": 0.3},
    "xtc_threshold": {"xtc_probability": 1.0, "top_p": 1.0},
    "min_tokens_to_keep": {"min_p": 1.0},
    "protected_ids": {"xtc_probability": 1.0, "xtc_threshold": 0.01},
    "p_less_normalized": {"p_less": True, "top_p": 1.0},
    "sigma_ddof": {"top_n_sigma": 2.0, "rule": "top_n_sigma", "logits": THREE, "top_p": 1.0},
    "ties": {"top_p": 0.5, "rule": "top_p", "logits": 0 * NORMAL},
    **{name: XTC for name in ("rows", "rng", "step")},
    **{name: DRY for name in ("dry_multiplier", "dry_base", "dry_allowed_length")},
    "dry_sequence_breakers": DRY,
    "dry_penalty_last_n": {"no_repeat_ngram_size": 0},
    "scaled": {"temperature": 0.5},
    "AdaptiveP.sample rows": {"top_p": 1.0},
    "AdaptiveP.sample step": {"top_p": 1.0},
    "eos_token_id": {"min_new_tokens": 9},
    "pad_token_id": {"attention_mask": None, "prompt_lengths": None, "penalty_last_n": 0, **DRY},
    "order": {"temperature": 0.4, "top_p": 0.7},
}


def _bytes():
    return {"data": BasisAwareSampler(W, rank=1).to_bytes()}


CALLS = {
    "Rules": [RULES, {"top_p": np.array([0.5, 0.9]), "order": ["temperature", "top_p"]}],
    "sample": [
        {"logits": LOGITS, **GIVEN, "top_p": 0.9, "logprobs": 2},
        {"logits": LOGITS, "rng": 0, "top_p": 0.9},
    ],
    "draw": {"logits": LOGITS, "uniforms": UNIFORMS, **GIVEN, "top_p": 0.9, "logprobs": 2},
    "truncate": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "keep_mask": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "cutoffs": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "distribution": {"logits": LOGITS, "logit_bias": BIAS, "mask": MASK, "top_p": 0.9},
    "row_stats": {"logits": LOGITS},
    "critical": {"logits": LOGITS, "rule": "top_p"},
    "penalize": {
        **{"logits": LOGITS, "input_ids": TEXT, "prompt_lengths": np.ones(2 * HIGH, int)},
        **{"repetition_penalty": 1.2, "frequency_penalty": 0.1, "presence_penalty": 0.1},
        **{"penalty_last_n": 5, "dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 1},
        **{"dry_penalty_last_n": 5, "dry_sequence_breakers": [3], "no_repeat_ngram_size": 2},
        **{"bad_words_ids": [[1, 2]], "logit_bias": BIAS, "min_new_tokens": 1, "eos_token_id": 3},
        **{"pad_token_id": 0, "attention_mask": np.ones(TEXT.shape, int)},
    },
    "Mirostat": {"tau": TAUS, "eta": 0.1},
    "AdaptiveP": {"target": TARGETS, "decay": 0.9},
    "AdaptiveP.sample": {"logits": LOGITS, **GIVEN, "top_p": 0.9},
    "AdaptiveP.init": {"logits": LOGITS},
    "AdaptiveP.step": {"logits": LOGITS, "state": (TARGETS, TAUS), "rng": 0},
    "AdaptiveP.reorder": {"indices": np.arange(2 * HIGH)[::-1].copy()},
    "AdaptiveP.reset": {},
    "AdaptiveP.copy": {},
    "FIRE": {"fire_temperature": 20.0, "fire_top_k": 2, "positions": [0, 1]},
    "FIRE.rules": {"position": POSITIONS, "top_p": 0.9},
    "FIRE.sample": {"logits": LOGITS, "position": POSITIONS, **GIVEN, "top_p": 0.9, "logprobs": 1},
    "BasisAwareSampler": {"W": W, "rank": 1},
    "BasisAwareSampler.from_features": {"features": np.c_[W, np.ones(len(W))]},
    "BasisAwareSampler.with_options": {"strict": True},
    "BasisAwareSampler.sample": {"logits": LOGITS, **GIVEN, "eta_cutoff": 0.02, "details": True},
    "BasisAwareSampler.keep_mask": {"logits": LOGITS, **LAW, "eta_cutoff": 0.02},
    "BasisAwareSampler.cutoffs": {"logits": LOGITS, **LAW, "eta_cutoff": 0.02},
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
    "AdaptiveP": lambda: _started(AdaptiveP(TARGETS)),
    "Mirostat": lambda: _started(Mirostat(TAUS)),
}
#: How large the data are where memory is little, and where calls are long.
STARVED = {"wide": [40_000, 250_000], "tall": [50_000, 300_000]}
LONG = {"wide": [30_000, 250_000, 700_000], "tall": [30_000, 300_000, 900_000]}
