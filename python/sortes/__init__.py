"""Sampling for machine learning: exact in law, reproducible from a seed, fast.

Each family of samplers is a sub-package, imported at first use; the names of ``sortes.decode``
are also found here.

Examples
--------
>>> import numpy as np
>>> import sortes
>>> sortes.Stream(7).uniforms(1) == sortes.Stream(7).uniforms(1)
array([ True])
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from sortes._core import (
    SortesError,
    Stream,
    __version__,
    build_profile,
    get_num_threads,
    set_num_threads,
)
from sortes._rng import Rng

if TYPE_CHECKING:
    from sortes import decode, select
    from sortes.decode.adaptive_p import AdaptiveP
    from sortes.decode.fire import FIRE
    from sortes.decode.mirostat import Mirostat
    from sortes.decode.penalties import penalize
    from sortes.decode.rules import RuleArgs, Rules
    from sortes.decode.sampling import SampleOutput, draw, sample
    from sortes.decode.stats import RowStats, critical, row_stats
    from sortes.decode.truncation import cutoffs, distribution, keep_mask, truncate

__all__ = [
    "FIRE",
    "AdaptiveP",
    "Mirostat",
    "Rng",
    "RowStats",
    "RuleArgs",
    "Rules",
    "SampleOutput",
    "SortesError",
    "Stream",
    "__version__",
    "critical",
    "cutoffs",
    "decode",
    "distribution",
    "draw",
    "get_num_threads",
    "keep_mask",
    "penalize",
    "row_stats",
    "sample",
    "select",
    "set_num_threads",
    "truncate",
]

#: The families of samplers, each a sub-package with documentation, tests and benches of its name.
FAMILIES = ("decode", "select")

if build_profile == "debug":
    warnings.warn(
        "sortes was built without optimisation and slow; use maturin develop --release",
        RuntimeWarning,
        stacklevel=2,
    )


def __getattr__(name: str) -> Any:
    if name in FAMILIES:
        return importlib.import_module(f"sortes.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'sortes' has no attribute {name!r}")
    value = getattr(importlib.import_module("sortes.decode"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
