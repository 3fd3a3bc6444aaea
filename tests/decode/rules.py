"""Values of every rule argument: what all tests of all rules take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sortes.decode._table import TABLE

INF = np.inf
SHARES = [k / 64 for k in range(1, 64)]


class Values(NamedTuple):
    """Of a parameter that switches a rule on.

    Attributes
    ----------
    acts
        A value at which the rule does something to rows of normal logits.
    rows
        One value for each of four rows, in some of them off.
    beside
        Other arguments that go with `acts`.
    grid
        Values for properties of a rule that removes what is unlikely or atypical.
    grows
        Whether larger ones keep more.
    strict
        A value at which one token is left; none for rules with a minimum of their own.
    critical
        How the parameter compares with the critical value of a token that is kept.
    """

    acts: Any
    rows: Sequence[float]
    beside: Mapping[str, Any] = {}
    grid: Sequence[float] = ()
    grows: bool = False
    strict: float | None = None
    critical: Callable[..., Any] | None = None


SWITCHES = {
    "temperature": Values(0.8, [0.8, 0.0, 1.3, 1.0]),
    "dynatemp_range": Values(0.3, [0.0, 0.3, 0.0, 0.5], {"temperature": 0.8}),
    "smoothing_factor": Values(0.2, [0.2, 0.0, 0.1, 0.0], {"smoothing_curve": 1.5}),
    "top_n_sigma": Values(
        *(1.0, [2.0, 0.0, -1.0, 1.0]),
        grid=[k / 8 for k in range(1, 41)],
        grows=True,
        strict=1e-6,
        critical=np.greater_equal,
    ),
    "top_h": Values(*(0.5, [INF, 0.9, 0.5, 1.0]), grid=SHARES, grows=True),
    "top_k": Values(
        *(7, [0, 9, 20, 1]),
        grid=range(1, 41),
        grows=True,
        strict=1,
        critical=np.greater_equal,
    ),
    "top_p": Values(
        *(0.8, [0.9, 1.0, 0.5, 0.0]),
        grid=SHARES,
        grows=True,
        strict=1e-6,
        critical=np.greater,
    ),
    "min_p": Values(0.1, [0.0, 0.1, 0.02, 0.3], grid=SHARES, strict=1.0, critical=np.less_equal),
    "typical_p": Values(*(0.6, [0.9, 1.0, 0.7, 0.5]), grid=SHARES, grows=True, strict=1e-6),
    "epsilon_cutoff": Values(
        *(1e-3, [0.0, 1e-3, 0.1, 0.0]), grid=SHARES, strict=0.999, critical=np.less_equal
    ),
    "eta_cutoff": Values(
        *(2e-3, [2e-3, 0.0, 0.0, 0.1]), grid=SHARES, strict=0.999, critical=np.less_equal
    ),
    "tfs": Values(*(0.9, [1.0, 0.95, 0.9, 0.0]), grid=SHARES, grows=True, strict=0.0),
    "top_a": Values(0.2, [0.0, 0.1, 0.0, 2.0], grid=SHARES, strict=1e9, critical=np.less_equal),
    "p_less": Values(True, [0, 0, 1, 1], strict=1),
    "mirostat_mu": Values(
        *(6.0, [INF, 8.0, 3.0, 0.0]), grid=[k / 8 for k in range(81)], grows=True, strict=0.0
    ),
    "xtc_probability": Values(1.0, [0.0, 0.5, 0.9, 1.0], {"xtc_threshold": 0.01}),
}

#: Of parameters that go with others.
OTHERS = {
    "dynatemp_exponent": 1.2,
    "smoothing_curve": 1.5,
    "xtc_threshold": 0.02,
    "min_tokens_to_keep": 2,
}

#: The arguments of each rule alone, under the name that `order=` has for it.
ALONE = {
    rule.name: {
        name: value
        for parameter in rule.parameters[:1]
        for name, value in {
            parameter.name: SWITCHES[parameter.name].acts,
            **SWITCHES[parameter.name].beside,
        }.items()
    }
    for rule in TABLE.values()
    if rule.parameters
}

#: The arguments of each rule together with the next one.
PAIRS = [
    ALONE[one] | ALONE[other]
    for one, other in zip(ALONE, [*list(ALONE)[1:], "top_p"], strict=True)
    if one != "top_p"
]
