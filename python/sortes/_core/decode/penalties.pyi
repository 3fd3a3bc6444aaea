"""Penalties and the adaptive-p transform over rows."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray

__all__ = ["adaptive_p", "penalize", "subtractions"]

@type_check_only
class History(TypedDict):
    """The tokens so far: row r is ``input_ids[offsets[r]:offsets[r + 1]]``."""

    input_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    prompt_lengths: NDArray[np.int64]

@type_check_only
class TokenLists(TypedDict):
    """Token lists that all rows share."""

    logit_bias: Sequence[tuple[int, float]]
    bad_words: Sequence[Sequence[int]]
    breakers: Sequence[Sequence[int]]
    eos: Sequence[int]

def penalize(
    x: NDArray[Any] | None,
    out: NDArray[Any],
    history: History,
    params: Mapping[str, float | NDArray[np.float64]],
    lists: TokenLists,
    /,
    *,
    bf16: bool,
    num_threads: int | None = None,
) -> None: ...
def subtractions(
    vocabulary: int,
    history: History,
    params: Mapping[str, float | NDArray[np.float64]],
    lists: TokenLists,
    /,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
def adaptive_p(
    x: NDArray[np.float32],
    targets: NDArray[np.float64],
    /,
    *,
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
