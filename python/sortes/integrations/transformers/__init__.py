"""Rules and draws for ``generate`` of Hugging Face Transformers.

`sample` is a ``custom_generate`` function that owns the draw, and `arithmetic_sample` one that
spreads the texts of a prompt evenly; `distinct_sample`, `stochastic_beam_sample` and
`priority_sample` give texts that are never the same, `power_sample` ones from a power of their law.
`RegexLogitsProcessor` makes texts match a
regular expression. The warpers are logits processors with the names and arguments of Transformers'
own, for ``logits_processor=[...]``.
"""

from contextlib import suppress

from sortes._optional import require

require("transformers", extra="transformers")

from sortes.integrations.transformers._arithmetic import (  # noqa: E402
    ArithmeticLogitsProcessor,
    arithmetic_sample,
)
from sortes.integrations.transformers._config import from_generation_config  # noqa: E402
from sortes.integrations.transformers._distinct import (  # noqa: E402
    distinct_sample,
    priority_sample,
    stochastic_beam_sample,
)
from sortes.integrations.transformers._draw import SortesDrawProcessor  # noqa: E402
from sortes.integrations.transformers._generate import sample  # noqa: E402
from sortes.integrations.transformers._power import power_sample  # noqa: E402
from sortes.integrations.transformers._regex import RegexLogitsProcessor  # noqa: E402
from sortes.integrations.transformers._speculative import speculative_sample  # noqa: E402
from sortes.integrations.transformers._warpers import (  # noqa: E402
    DRYLogitsWarper,
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    FIRELogitsWarper,
    MinPLogitsWarper,
    PLessLogitsWarper,
    SortesLogitsWarper,
    TemperatureLogitsWarper,
    TopALogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopNSigmaLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
    XTCLogitsWarper,
)

with suppress(ModuleNotFoundError):  # Transformers 5.0 has no values for single requests
    from sortes.integrations.transformers._batching import register

    register()

__all__ = [
    "ArithmeticLogitsProcessor",
    "DRYLogitsWarper",
    "EpsilonLogitsWarper",
    "EtaLogitsWarper",
    "FIRELogitsWarper",
    "MinPLogitsWarper",
    "PLessLogitsWarper",
    "RegexLogitsProcessor",
    "SortesDrawProcessor",
    "SortesLogitsWarper",
    "TemperatureLogitsWarper",
    "TopALogitsWarper",
    "TopHLogitsWarper",
    "TopKLogitsWarper",
    "TopNSigmaLogitsWarper",
    "TopPLogitsWarper",
    "TypicalLogitsWarper",
    "XTCLogitsWarper",
    "arithmetic_sample",
    "distinct_sample",
    "from_generation_config",
    "power_sample",
    "priority_sample",
    "sample",
    "speculative_sample",
    "stochastic_beam_sample",
]
