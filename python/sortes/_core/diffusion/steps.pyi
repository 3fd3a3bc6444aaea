"""What a step of a sampler makes of states on the host."""

from typing import Any, TypeAlias

from numpy.typing import NDArray
from sortes._progress import Job

#: Factors of the first two states, and the array that their combination goes to.
_Second: TypeAlias = tuple[float, float, NDArray[Any]]

__all__ = ["combine"]

def combine(
    out: NDArray[Any],
    states: list[NDArray[Any]],
    factors: list[float],
    offset: float,
    kept: _Second | None,
    job: Job,
) -> None: ...
