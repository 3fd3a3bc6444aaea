"""PageRank by walks."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from .structure import Graph

__all__ = ["personal", "ranks"]

_Given = tuple[float, int, str, str, bool, str]

def ranks(
    graph: Graph,
    given: _Given,
    personalization: NDArray[np.float64] | None,
    replicates: int,
    normalize: bool,
    stream: Stream,
    job: Job,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def personal(
    graph: Graph,
    given: _Given,
    sources: NDArray[np.int64],
    most: int | None,
    stream: Stream,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
