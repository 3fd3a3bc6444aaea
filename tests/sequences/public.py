"""Valid calls of what the family offers."""

import numpy as np
from decode.public import BESIDE as RULE_BESIDE
from decode.public import BIAS, NORMAL, V
from decode.public import VALUES as RULE_VALUES
from sortes.sequences import (
    ArithmeticCodes,
    DistinctSequences,
    DraftTree,
    DraftTreeBuilder,
    Estimate,
    PowerSequences,
    SuffixAutomaton,
    SuffixDrafts,
    TokenAutomaton,
    Vocabulary,
    sample_without_replacement,
)

#: How many times the tokens of each row are repeated, or with ``TALL`` how many times the rows are;
#: `public.resize` sets them.
SCALE: int = globals().get("SCALE", 1)
TALL: bool = globals().get("TALL", False)
HIGH, WIDE = (SCALE, 1) if TALL else (1, SCALE)
#: How many times the texts are: a model is asked about each, so that nobody wants millions.
TEXTS = min(HIGH, 10_000)
LOGITS = np.tile(NORMAL, (HIGH, WIDE))
LAW = {"logit_bias": BIAS, "mask": np.tile([np.arange(V) != 3, np.arange(V) < V], (HIGH, WIDE))}
#: Of the samples of many rows, or of one.
SAMPLES = np.log(np.tile([0.4, 0.3], (HIGH, WIDE)) / WIDE)
SAMPLES = SAMPLES if TALL else SAMPLES[0]
#: Laws of many rows, or of one.
SHARES = np.tile([0.9, 0.1], (HIGH, WIDE)) / WIDE
#: Of those of one row.
LOGPROBS = np.log(np.tile([0.4, 0.3], SCALE) / SCALE)
#: Rows of many texts, so that whatever acts is seen in one of them; fewer where they are long.
MANY = np.tile(LOGITS, (20 if SCALE == 1 else 1, 1))
#: A draft of one token of each text beside two rows of the target, and several drafts of each row:
#: likely ones, but for a token that the mask leaves out.
PLACES = MANY.reshape(len(MANY) // 2, 2, -1)
DRAFTING = 1.5 * MANY[::-1]
LIKELY = np.argsort(np.where(np.arange(V * WIDE) % V == 3, np.inf, -DRAFTING), 1)[:, 1:4]
DRAFT = {"draft_tokens": LIKELY[1::2, :1], "target_logits": PLACES, "rng": 0, "step": 1,
         "rows": np.arange(len(PLACES)) + 3}  # fmt: skip
BOTH = {"logit_bias": BIAS, "mask": np.tile(np.arange(V) != 3, WIDE)}
#: Tokens of which the third ends a text, and an expression that two tokens may leave open.
VOCABULARY = Vocabulary([b"a", b"b", None] * min(SCALE, 2**18), eos_token_id=2)
AUTOMATON = TokenAutomaton("a|[ab]{3,5}", VOCABULARY)
#: More text than the one that goes on.
CORPUS = SuffixAutomaton([[1, 2, 4], np.tile([1, 3], SCALE)])
#: Values that act: texts that end at once, or match.
VALUES = {**RULE_VALUES, "eos_token_id": [list(range(V))], "automaton": [AUTOMATON],
          "width": [100 * SCALE], "lengths": [0]}  # fmt: skip
BESIDE = {**RULE_BESIDE, "ensure_completion": {"automaton": AUTOMATON}}


def flat(prefixes):
    """A model of three tokens that are equally likely."""
    return np.zeros((len(prefixes), 3))


def skewed(prefixes):
    """A model of many tokens, whose law does not depend on what was drawn."""
    return np.tile(NORMAL[:1], (len(prefixes), WIDE))


SEARCH = {"max_new_tokens": 5 if TALL else 2, "eos_token_id": [2], "node_batch_size": 3,
          "logit_bias": {1: 0.5}, "rng": 0}  # fmt: skip


def drawn():
    """Three texts of the flat model, as if there were many like each."""
    few, less = sample_without_replacement(flat, 3, 2, rng=0), np.log(SCALE)
    return DistinctSequences(
        np.tile(few.tokens, (SCALE, 1)),
        np.tile(few.lengths, SCALE),
        np.tile(few.logprobs, SCALE) - less,
        np.repeat(few.perturbed, SCALE) - less,
        few.kappa - less,
        np.tile(few.complete, SCALE),
        np.tile(few.legal_logprobs, (SCALE, 1)),
    )


def weighted():
    """Two texts of two tokens with their weights, as if there were many like each."""
    tall = {"tokens": [[1, 2], [2, -1]], "lengths": [2, 1], "logprobs": [-2.0, -1.0]}
    columns = {name: np.concatenate([of] * SCALE) for name, of in tall.items()}
    shares = np.log(np.tile([0.75, 0.25], SCALE) / SCALE)
    ends, lineage = np.tile([False, True], SCALE), np.arange(2 * SCALE)[None]
    return PowerSequences(
        **columns, log_weights=shares, complete=ends, log_z=Estimate(-1.0, 0.5),
        resampled_at=np.array([1]), ancestors=lineage, acceptance=np.nan,
    )  # fmt: skip


class Letters:
    """A tokenizer of the kind of tiktoken: two letters and the end of a text."""

    n_vocab, eot_token, special_tokens_set = 3, 2, frozenset()

    def decode_single_token_bytes(self, token):
        """Return what a token stands for."""
        return [b"a", b"b", b""][token]


def codes():
    """Two codes for the logits of each prompt."""
    return ArithmeticCodes(HIGH, 2, rng=0)


#: A tree of drafted tokens, deep where data are high, and rows of logits for several texts.
NODES = 3 * SCALE if TALL else 3
CHAIN = DraftTree(np.arange(NODES) % 3, np.arange(NODES) - 1)
AFTER = np.tile(NORMAL[:1], (8, NODES, WIDE))
#: Two paths of two tokens for each of these texts.
DRAFTED = np.tile([[1, 2], [2, 0]], (8, 1, 1))
BEHIND = np.tile(NORMAL[:1], (8, 2, 3, WIDE))


def builder():
    """A tree of two nodes that may grow."""
    return DraftTreeBuilder(2, 2, 9).start([-0.5, -1.0], [1, 2], root_token=0)


CALLS = {
    "ArithmeticCodes": [
        {"n_prompts": 2 * SCALE, "n": 1, "codebook": "t5x", "token_order": "random", "rng": 0,
         "prompt_ids": np.arange(2 * SCALE) + 3},
        {"n_prompts": 2, "n": 2 * SCALE, "codes": np.tile([0.25, 0.5], SCALE), "rng": 0},
    ],
    "ArithmeticCodes.step": {
        "logits": LOGITS, **LAW, "finished": np.tile([False, True], HIGH), "pad_token_id": 3,
        "top_p": 0.9,
    },
    "ArithmeticCodes.copy": {},
    "ArithmeticCodes.to_bytes": {},
    "ArithmeticCodes.from_bytes": {"data": ArithmeticCodes(SCALE, 2, rng=0).to_bytes()},
    "DistinctSequences.mean": {"values": np.arange(3.0 * SCALE), "method": "threshold"},
    "DistinctSequences.weights": {"method": "unordered"},
    "DraftTree.from_paths": {"paths": np.tile([[1, 2], [1, -1]], (SCALE, 1)), "root_token": 3},
    "DraftTreeBuilder": {"top_k": 2, "depth": 1, "num_draft_tokens": 2, "score_threshold": -3.0},
    "DraftTreeBuilder.start": {"logprobs": NORMAL[0], "root_token": 3},
    "DraftTreeBuilder.frontier": {},
    "DraftTreeBuilder.expand": {"logprobs": np.tile(NORMAL[:2], (1, SCALE))},
    "DraftTreeBuilder.finish": {},
    "SequenceSearch": {"model": skewed, "num_samples": 2, "priority": "gumbel", **SEARCH},
    "SuffixAutomaton": {"texts": np.tile([[1, 2, 3], [1, 2, 4]], SCALE)},
    "SuffixAutomaton.count": {"tokens": np.tile([1, 2], SCALE)},
    "SuffixDrafts": {"tokens": np.tile([1, 2, 1], SCALE), "corpus": CORPUS},
    "SuffixDrafts.copy": {},
    "SuffixDrafts.draft": {"num_tokens": 3, "max_depth": 2, "min_prob": 1e-3},
    "SuffixDrafts.extend": {"tokens": np.tile([1, 2], SCALE)},
    "TokenAutomaton": {"pattern": "(ab)+", "vocabulary": VOCABULARY},
    "TokenAutomaton.advance": {"state": 1, "tokens": [0, 2]},
    "TokenAutomaton.allowed": {"state": 1},
    "TokenAutomaton.is_accepting": {"state": 1},
    "TokenAutomaton.mask": {"states": [1, 2], "max_tokens": 3},
    "TokenAutomaton.shortest": {"state": 1},
    "Vocabulary": {"tokens": [b"a", b"b", None] * min(SCALE, 2**18), "eos_token_id": 2},
    "Vocabulary.from_tokenizer": {"tokenizer": Letters(), "eos_token_id": 2},
    "Vocabulary.token": {"token_id": 0},
    "acceptance_rate": {"p": SHARES, "q": SHARES[..., ::-1]},
    "conditional_gumbel": {"logprobs": SAMPLES, "maximum": 1.0, "rng": 0},
    "distinct_mean": {"values": np.arange(2.0 * SCALE), "logprobs": LOGPROBS,
                      "kappa": -1.0 - np.log(SCALE), "method": "threshold"},
    "expected_accepted_tokens": {"alpha": np.linspace(0, 1, SCALE), "gamma": 3},
    "gumbel_topk": {"logits": LOGITS, "k": WIDE, "rng": 0},
    "log_survival": {"x": LOGPROBS},
    "optimal_acceptance": {"p": SHARES, "q": SHARES[..., ::-1], "k": 2},
    "PowerSequences.mean": {"values": np.arange(2.0 * SCALE)},
    "PowerSequences.pick": {"n": 20, "rng": 0},
    "power_sample": [
        {"model": skewed, "num_particles": 2 * TEXTS, "top_k": 2, **SEARCH},
        {"model": skewed, "num_particles": 4 * TEXTS, "alpha": 2.0, "proposal_temperature": 0.7,
         "ess_threshold": 0.9, "resampling": "ssp", **SEARCH},
        {"model": skewed, "num_particles": 2 * TEXTS, "method": "mcmc", "num_steps": 2,
         "num_blocks": 2, "proposal_temperature": 0.7, **SEARCH},
        {"model": skewed, "num_particles": 2 * TEXTS, "method": "exact", "max_nodes": 100_000,
         "top_k": 2, **SEARCH},
    ],
    "priority_sample": {"model": skewed, "num_samples": 9 * TEXTS, "priority": "sequence",
                        **{k: v for k, v in SEARCH.items() if k != "rng"}},
    "race_sample": {"logits": MANY, **BOTH, "rng": 0},
    "sample_without_replacement": {"model": skewed, "num_samples": 2 * TEXTS, **SEARCH},
    "self_normalized_weights": {"logprobs": SAMPLES, "kappa": -1.0},
    "stochastic_beam_search": {"model": skewed, "num_beams": 2 * TEXTS,
                               **{k: v for k, v in SEARCH.items() if k != "node_batch_size"}},
    "threshold_weights": {"logprobs": SAMPLES, "kappa": -1.0},
    "unordered_set_weights": {"logprobs": SAMPLES},
    "verify_multi": [
        {"drafts": LIKELY, "target_logits": MANY, "draft_logits": DRAFTING, **BOTH,
         "rng": 0, "method": method}
        for method in ("rrs", "optimal")
    ],
    "verify_tokens": [
        {**DRAFT, **BOTH, "method": "draw"},
        {**DRAFT, **BOTH, "method": "block", "draft_logits": DRAFTING[1::2, None]},
    ],
    "verify_paths": {
        "draft_tokens": DRAFTED, "target_logits": BEHIND, "draft_logits": BEHIND[:, :, :2] * 0.9,
        "logit_bias": BIAS, "mask": np.tile(np.arange(V) != 3, WIDE), "top_p": 0.99, "rng": 0,
    },
    "verify_tree": [
        {"tree": [CHAIN] * 8, "target_logits": AFTER, "logit_bias": BIAS, "top_p": 0.9, "rng": 0,
         "mask": np.tile(np.arange(V) != 3, WIDE)},
        {"tree": [CHAIN] * 8, "target_logits": AFTER, "draft_logits": AFTER * 0.5,
         "method": "traversal", "rng": 0},
    ],
    "arithmetic_codes": {"n": 3 * SCALE, "codebook": "stratified", "rng": 0},
}  # fmt: skip

MADE = {"ArithmeticCodes": codes, "DraftTreeBuilder": builder, "DistinctSequences": drawn,
        "SuffixAutomaton": lambda: CORPUS,
        "SuffixDrafts": lambda: SuffixDrafts(np.tile([1, 2, 1, 3, 1], SCALE), corpus=CORPUS),
        "PowerSequences": weighted, "TokenAutomaton": lambda: AUTOMATON,
        "Vocabulary": lambda: VOCABULARY}  # fmt: skip
#: How large the data are where memory is little, and where calls are long.
STARVED = {"wide": [40_000, 250_000], "tall": [50_000, 300_000]}
LONG = {"wide": [30_000, 250_000, 700_000], "tall": [30_000, 300_000, 900_000]}
