"""How often small subgraphs occur."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from .structure import Graph

__all__ = ["count", "names"]

def count(
    graph: Graph,
    k: int,
    d: int,
    sizes: tuple[int, int, int],
    estimator: str,
    ways: tuple[bool, bool, bool],
    stream: Stream,
    job: Job,
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool, list[int]]: ...
def names(k: int) -> list[str]: ...
