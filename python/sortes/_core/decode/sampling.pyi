"""Truncation rules, the draw, and statistics of rows of logits.

Logits are 2-D: float32, float16 or float64, or the bits of bfloat16 as uint16 with ``bf16=True``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Rules",
    "critical",
    "cutoffs",
    "distribution",
    "keep_mask",
    "row_stats",
    "sample",
    "truncate",
]

@final
class Rules:
    """Validated truncation rules."""

    def __new__(
        cls,
        params: Mapping[str, float | NDArray[np.float64]],
        order: Sequence[str],
        *,
        ties: str = "high",
        top_p_boundary: str = "smallest",
        sigma_ddof: int = 0,
        p_less_normalized: bool = False,
        protected_ids: NDArray[np.int64] | None = None,
    ) -> Rules: ...

def sample(
    x: NDArray[Any],
    rules: Rules,
    keys: int | NDArray[np.uint64],
    rows: NDArray[np.uint32] | None,
    step: int,
    *,
    bf16: bool = False,
    uniforms: NDArray[np.float64] | None = None,
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    mask: NDArray[Any] | None = None,
    method: str = "auto",
    details: int = ...,
    processed: bool = False,
    out: Any = None,
    num_threads: int | None = None,
) -> Any: ...
def truncate(
    x: NDArray[Any],
    rules: Rules,
    keys: int | NDArray[np.uint64],
    rows: NDArray[np.uint32] | None,
    step: int,
    *,
    bf16: bool = False,
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    mask: NDArray[Any] | None = None,
    fill: float = ...,
    out: Any = None,
    num_threads: int | None = None,
) -> NDArray[Any]: ...
def keep_mask(
    x: NDArray[Any],
    rules: Rules,
    keys: int | NDArray[np.uint64],
    rows: NDArray[np.uint32] | None,
    step: int,
    *,
    bf16: bool = False,
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    mask: NDArray[Any] | None = None,
    out: Any = None,
    num_threads: int | None = None,
) -> NDArray[np.bool_]: ...
def cutoffs(
    x: NDArray[Any],
    rules: Rules,
    keys: int | NDArray[np.uint64],
    rows: NDArray[np.uint32] | None,
    step: int,
    *,
    bf16: bool = False,
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    mask: NDArray[Any] | None = None,
    out: Any = None,
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
def distribution(
    x: NDArray[Any],
    rules: Rules,
    keys: int | NDArray[np.uint64],
    rows: NDArray[np.uint32] | None,
    step: int,
    *,
    bf16: bool = False,
    bias: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    mask: NDArray[Any] | None = None,
    out: Any = None,
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
def row_stats(
    x: NDArray[Any], *, bf16: bool = False, num_threads: int | None = None
) -> tuple[NDArray[Any], ...]: ...
def critical(
    x: NDArray[Any],
    name: str,
    *,
    bf16: bool = False,
    sigma_ddof: int = 0,
    ties: str = "high",
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
