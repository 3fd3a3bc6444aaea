"""Whole texts, several of them, drawn together.

`ArithmeticCodes` draws many texts in parallel, each an exact sample, all of them spread evenly over
what the model can say. `sample_without_replacement` and `priority_sample` find distinct ones:
drawn, or the surest first; with a `TokenAutomaton`, ones that match a regular expression.
`verify_tokens` and `verify_multi` verify drafts.
`gumbel_topk` draws distinct items, and `threshold_weights` and its like turn sums over them into
estimates. The family stands on `sortes.decode`, whose rules it takes.
"""

from sortes._estimate import Estimate
from sortes.sequences.arithmetic import ArithmeticCodes, ArithmeticOutput, arithmetic_codes
from sortes.sequences.automaton import TokenAutomaton
from sortes.sequences.distinct import (
    DistinctSequences,
    sample_without_replacement,
    stochastic_beam_search,
)
from sortes.sequences.gumbel import GumbelTopK, conditional_gumbel, gumbel_topk, log_survival
from sortes.sequences.priority import PrioritySequences, priority_sample
from sortes.sequences.search import FoundSequence, SequenceSearch
from sortes.sequences.several import (
    VerifiedDraft,
    acceptance_rate,
    expected_accepted_tokens,
    optimal_acceptance,
    verify_multi,
)
from sortes.sequences.verify import VerifiedTokens, race_sample, verify_tokens
from sortes.sequences.vocabulary import Vocabulary
from sortes.sequences.weights import (
    distinct_mean,
    self_normalized_weights,
    threshold_weights,
    unordered_set_weights,
)

__all__ = [
    "ArithmeticCodes",
    "ArithmeticOutput",
    "DistinctSequences",
    "Estimate",
    "FoundSequence",
    "GumbelTopK",
    "PrioritySequences",
    "SequenceSearch",
    "TokenAutomaton",
    "VerifiedDraft",
    "VerifiedTokens",
    "Vocabulary",
    "acceptance_rate",
    "arithmetic_codes",
    "conditional_gumbel",
    "distinct_mean",
    "expected_accepted_tokens",
    "gumbel_topk",
    "log_survival",
    "optimal_acceptance",
    "priority_sample",
    "race_sample",
    "sample_without_replacement",
    "self_normalized_weights",
    "stochastic_beam_search",
    "threshold_weights",
    "unordered_set_weights",
    "verify_multi",
    "verify_tokens",
]
