"""Truncation rules, the draw, and statistics of rows of logits.

Logits are 2-D: float32, float16 or float64, or the bits of bfloat16 as uint16. Functions write to
the arrays that they are given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = [
    "COMMON",
    "GREEDY",
    "RULES",
    "Exchange",
    "Rules",
    "critical",
    "cutoffs",
    "distribution",
    "keep_mask",
    "row_stats",
    "sample",
    "sample_details",
    "sample_plain",
    "sample_tensor",
    "truncate",
]

# Name, neutral value, domain, whether it is one of integers, whether it switches its rule on,
# whether values below the neutral one do not.
_Parameter: TypeAlias = tuple[str, float, str, bool, bool, bool]

RULES: Final[list[tuple[str, list[_Parameter], list[str], list[str]]]]
COMMON: Final[list[_Parameter]]
GREEDY: Final[float]

# Logits, whether they are bfloat16, rules, stream ids of the rows, bias, mask.
_Given: TypeAlias = tuple[
    NDArray[Any],
    bool,
    Rules,
    NDArray[np.uint32] | None,
    tuple[NDArray[np.int64], NDArray[np.float32]] | None,
    NDArray[Any] | None,
]
_Streams: TypeAlias = Stream | Sequence[Stream]

@final
class Exchange:
    """How tensors of one type are looked at and made."""

    @staticmethod
    def of(capsule: object) -> Exchange | None: ...

@final
class Rules:
    """Validated truncation rules."""

    def __new__(
        cls,
        params: Mapping[str, float | NDArray[np.float64]],
        order: Sequence[str],
        *,
        ties: str = ...,
        top_p_boundary: str = ...,
        sigma_ddof: int = 0,
        p_less_normalized: bool = False,
        protected_ids: NDArray[np.int64] | None = None,
    ) -> Rules: ...

def sample(
    given: _Given,
    streams: _Streams,
    uniforms: NDArray[np.float64] | None,
    method: str,
    out: NDArray[np.int64],
    job: Job,
) -> None: ...
def sample_plain(
    logits: NDArray[Any],
    bf16: bool,
    rules: Rules,
    stream: tuple[Stream, int],
    num_threads: int | None,
) -> NDArray[np.int64] | None: ...
def sample_tensor(
    exchange: Exchange,
    logits: Any,
    rules: Rules,
    stream: tuple[Stream, int],
    num_threads: int | None,
) -> Any: ...
def sample_details(
    given: _Given,
    streams: _Streams,
    uniforms: NDArray[np.float64] | None,
    method: str,
    processed: bool,
    out: tuple[NDArray[Any], ...],
    job: Job,
) -> None: ...
def truncate(
    given: _Given, streams: _Streams, fill: float, scaled: bool, out: NDArray[Any], job: Job
) -> None: ...
def keep_mask(given: _Given, streams: _Streams, out: NDArray[np.bool_], job: Job) -> None: ...
def cutoffs(given: _Given, streams: _Streams, out: NDArray[np.float64], job: Job) -> None: ...
def distribution(given: _Given, streams: _Streams, out: NDArray[np.float64], job: Job) -> None: ...
def row_stats(logits: tuple[NDArray[Any], bool], job: Job) -> tuple[NDArray[Any], ...]: ...
def critical(
    logits: tuple[NDArray[Any], bool],
    rule: str,
    sigma_ddof: int,
    ties: str,
    out: NDArray[np.float64],
    job: Job,
) -> None: ...
