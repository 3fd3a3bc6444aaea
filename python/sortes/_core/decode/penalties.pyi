"""Penalties from the tokens so far."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEUTRAL", "penalize", "subtractions"]

NEUTRAL: Final[dict[str, float]]

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
    progress: Callable[[int, int], object] | None = None,
) -> None: ...
def subtractions(
    vocabulary: int,
    history: History,
    params: Mapping[str, float | NDArray[np.float64]],
    lists: TokenLists,
    /,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
