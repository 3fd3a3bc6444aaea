"""The k-means++ family."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["seed"]

_Points: TypeAlias = NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]
_Method: TypeAlias = (
    tuple[Literal["lazy", "random"]]
    | tuple[Literal["exact", "afkmc2"], int]
    | tuple[Literal["rejection"], int | None, str]
    | tuple[Literal["parallel"], float, int]
)

def seed(
    x: _Points,
    n_clusters: int,
    method: _Method,
    sample_weight: NDArray[np.float64] | None,
    stream: Stream,
    assign: bool,
    job: Job,
) -> tuple[
    NDArray[np.int64],
    tuple[int, int, int, int],
    tuple[NDArray[np.float64], NDArray[np.uint32]] | None,
]: ...
