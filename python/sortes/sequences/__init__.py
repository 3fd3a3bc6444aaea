"""Whole texts, several of them, drawn together.

`ArithmeticCodes` draws many texts in parallel, each an exact sample, all of them spread evenly over
what the model can say. `sample_without_replacement` and `priority_sample` find distinct ones:
drawn, or the surest first; with a `TokenAutomaton`, ones that match a regular expression.
`SuffixDrafts` guesses how a text goes on, for speculative decoding.
`power_sample` draws from a power of the law of whole texts, or given that they match.
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
from sortes.sequences.draft_trees import DraftTree, DraftTreeBuilder, Frontier
from sortes.sequences.gumbel import GumbelTopK, conditional_gumbel, gumbel_topk, log_survival
from sortes.sequences.power import PowerSequences, power_sample
from sortes.sequences.priority import PrioritySequences, priority_sample
from sortes.sequences.search import FoundSequence, SequenceSearch
from sortes.sequences.several import (
    VerifiedDraft,
    acceptance_rate,
    expected_accepted_tokens,
    optimal_acceptance,
    verify_multi,
)
from sortes.sequences.suffix_drafts import SuffixAutomaton, SuffixDrafts
from sortes.sequences.tree_verification import (
    VerifiedPath,
    VerifiedPaths,
    verify_paths,
    verify_tree,
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
    "DraftTree",
    "DraftTreeBuilder",
    "Estimate",
    "FoundSequence",
    "Frontier",
    "GumbelTopK",
    "PowerSequences",
    "PrioritySequences",
    "SequenceSearch",
    "SuffixAutomaton",
    "SuffixDrafts",
    "TokenAutomaton",
    "VerifiedDraft",
    "VerifiedPath",
    "VerifiedPaths",
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
    "power_sample",
    "priority_sample",
    "race_sample",
    "sample_without_replacement",
    "self_normalized_weights",
    "stochastic_beam_search",
    "threshold_weights",
    "unordered_set_weights",
    "verify_multi",
    "verify_paths",
    "verify_tokens",
    "verify_tree",
]
