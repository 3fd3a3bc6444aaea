"""Penalties from the tokens so far."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

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
    bf16: bool,
    history: History,
    params: Mapping[str, float | NDArray[np.float64]],
    lists: TokenLists,
    job: Job,
) -> None: ...
def subtractions(
    vocabulary: int,
    history: History,
    params: Mapping[str, float | NDArray[np.float64]],
    lists: TokenLists,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
