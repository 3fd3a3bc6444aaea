"""Logits to tokens: truncation rules, penalties, the fused draw.

`sample` draws, `truncate` filters, `Rules` holds the parameters of every rule. `Mirostat`,
`AdaptiveP` and `FIRE` carry state from one token to the next; `penalize` subtracts what the
history costs; `BasisAwareSampler` truncates with knowledge of the output matrix.
"""

from sortes.decode.adaptive_p import AdaptiveP, AdaptivePState
from sortes.decode.basis_aware import (
    BasisAwareOutput,
    BasisAwareSampler,
    BasisOptions,
    Certificate,
)
from sortes.decode.fire import FIRE
from sortes.decode.mirostat import Mirostat, MirostatState
from sortes.decode.penalties import penalize
from sortes.decode.rules import RuleArgs, Rules
from sortes.decode.sampling import SampleOutput, draw, sample
from sortes.decode.stats import RowStats, critical, row_stats
from sortes.decode.truncation import cutoffs, distribution, keep_mask, truncate

__all__ = [
    "FIRE",
    "AdaptiveP",
    "AdaptivePState",
    "BasisAwareOutput",
    "BasisAwareSampler",
    "BasisOptions",
    "Certificate",
    "Mirostat",
    "MirostatState",
    "RowStats",
    "RuleArgs",
    "Rules",
    "SampleOutput",
    "critical",
    "cutoffs",
    "distribution",
    "draw",
    "keep_mask",
    "penalize",
    "row_stats",
    "sample",
    "truncate",
]
