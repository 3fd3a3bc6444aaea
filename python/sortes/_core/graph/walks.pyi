"""Walks, alone, coupled, or with a memory of the node before."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from .structure import Graph

__all__ = ["walk"]

def walk(
    graph: Graph,
    starts: tuple[NDArray[np.int64] | None, int, int],
    num_walks: int,
    moves: tuple[int | None, float | None, NDArray[np.float64] | None, str],
    transition: tuple[str, float, float],
    repulsion: tuple[str, bool, bool] | None,
    dangling: str,
    wide: bool,
    edges: bool,
    stream: Stream,
    job: Job,
) -> tuple[NDArray[Any], NDArray[np.int64] | None, NDArray[np.int64] | None]: ...
