"""Random features of nodes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from .structure import Graph

__all__ = ["of_visits", "of_walks", "series", "visits"]

def of_visits(
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    loads: NDArray[np.float64],
    series: tuple[Any, ...],
    is_wide: bool,
    is_single: bool,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]: ...
def of_walks(
    graph: Graph,
    walks: tuple[Any, ...],
    factors: NDArray[np.float64] | None,
    series: tuple[Any, ...],
    is_wide: bool,
    is_single: bool,
    stream: Stream,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]: ...
def series(series: tuple[Any, ...], job: Job) -> NDArray[np.float64]: ...
def visits(
    graph: Graph,
    walks: tuple[Any, ...],
    factors: NDArray[np.float64] | None,
    stream: Stream,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float64]]: ...
