"""What a step of a sampler makes of states on the host."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, final

from numpy.typing import NDArray
from sortes._progress import Job

#: Factors of the first two states, and the array that their combination goes to.
_Second: TypeAlias = tuple[float, float, NDArray[Any]]

__all__ = ["Program", "combine", "spread"]

class _Row(Protocol):
    @property
    def factors(self) -> list[float]: ...
    @property
    def lags(self) -> Sequence[int]: ...
    @property
    def offset(self) -> float: ...
    @property
    def keeps(self) -> tuple[float, float] | None: ...

def combine(
    out: NDArray[Any],
    states: list[NDArray[Any]],
    factors: list[float],
    offset: float,
    kept: _Second | None,
    job: Job,
) -> None: ...
def spread(
    n: int,
    double: bool,
    addresses: tuple[int, int, int],
    shift: float,
    slope: float,
    job: Job,
) -> None: ...

@final
class Program:
    def __new__(cls, rows: Sequence[_Row], held: int) -> Program: ...
    def advance(
        self,
        k: int,
        n: int,
        double: bool,
        addresses: tuple[int, int, int, int],
        noises: list[int],
        job: Job,
    ) -> None: ...
