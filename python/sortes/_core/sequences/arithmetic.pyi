"""Many texts from codes that are spread evenly."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from ..decode.sampling import _Given

__all__ = ["ArithmeticCodes"]

@final
class ArithmeticCodes:
    """Codes of several prompts, as far as they have been read."""

    def __new__(
        cls,
        prompts: tuple[int, NDArray[np.uint32] | None],
        n: int,
        codebook: str,
        codes: NDArray[np.float64] | None,
        order: str,
        stream: Stream,
    ) -> ArithmeticCodes: ...
    def step(
        self,
        given: _Given,
        finished: NDArray[np.bool_] | None,
        pad: int,
        out: NDArray[np.int64],
        logprobs: NDArray[np.float64] | None,
        job: Job,
    ) -> None: ...
    def thresholds(self, rows: int, vocabulary: int) -> NDArray[np.float64]: ...
    def narrow(
        self,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        thresholds: NDArray[np.float64],
        finished: NDArray[np.bool_] | None,
        vocabulary: int,
    ) -> None: ...
    def arrangement(self, vocabulary: int) -> NDArray[np.int64]: ...
    def streams(self) -> list[Stream]: ...
    def codes(self) -> NDArray[np.float64]: ...
    def copy(self) -> ArithmeticCodes: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> ArithmeticCodes: ...
    def __len__(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def codebook(self) -> str: ...
    @property
    def token_order(self) -> str: ...
