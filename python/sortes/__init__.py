"""Sampling for machine learning: exact in law, reproducible from a seed, fast.

Each family of samplers is a sub-package, imported at first use: ``from sortes.select import X``.
A few names of ``sortes.decode``, and what all families share, are found here.

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
from sortes._interrupt import Interrupted
from sortes._rng import Rng

if TYPE_CHECKING:
    from sortes import decode as decode
    from sortes import diffusion as diffusion
    from sortes import graph as graph
    from sortes import mcmc as mcmc
    from sortes import pool as pool
    from sortes import select as select
    from sortes import sequences as sequences
    from sortes.decode.penalties import penalize
    from sortes.decode.rules import Rules
    from sortes.decode.sampling import sample
    from sortes.decode.truncation import truncate

__all__ = [
    "Interrupted",
    "Rng",
    "Rules",
    "SortesError",
    "Stream",
    "__version__",
    "get_num_threads",
    "penalize",
    "sample",
    "set_num_threads",
    "truncate",
]

#: The families of samplers, each a sub-package with documentation, tests and benches of its name.
FAMILIES = ("decode", "sequences", "pool", "select", "graph", "mcmc", "diffusion")
__all__ += FAMILIES


if build_profile == "debug":
    warnings.warn(
        "sortes was built without optimisation and slow; use maturin develop --release",
        RuntimeWarning,
        stacklevel=2,
    )


#: The names of the first family that are also found here.
_OF_DECODE = ("Rules", "penalize", "sample", "truncate")


def __getattr__(name: str) -> Any:
    if name in FAMILIES:
        return importlib.import_module(f"sortes.{name}")
    if name in _OF_DECODE:
        value = getattr(importlib.import_module("sortes.decode"), name)
        globals()[name] = value
        return value
    from difflib import get_close_matches

    near = get_close_matches(name, __all__, 1)
    hint = f"; did you mean {near[0]!r}?" if near and not name.startswith("_") else ""
    raise AttributeError(f"module 'sortes' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return __all__
