"""Densities that are evaluated without Python."""

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["Target"]

@final
class Target:
    @staticmethod
    def standard_normal(dim: int) -> Target: ...
    @staticmethod
    def funnel(dim: int, scale: float) -> Target: ...
    @staticmethod
    def student_t(dim: int, df: float, constant: float) -> Target: ...
    @staticmethod
    def many_well(dim: int) -> Target: ...
    @staticmethod
    def hyperplane_disk(dim: int) -> Target: ...
    @staticmethod
    def axial_modes(dim: int) -> Target: ...
    @staticmethod
    def mixture(
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        scales: NDArray[np.float64],
        lower: bool,
    ) -> Target: ...
    @staticmethod
    def logistic(columns: NDArray[np.float64], scale: float) -> Target: ...
    @staticmethod
    def weighted(a: float, first: Target, b: float, second: Target) -> Target: ...
    def is_drawable(self) -> bool: ...
    def sample(self, n: int, stream: Stream, job: Job) -> NDArray[np.float64]: ...
    @staticmethod
    def at_address(
        address: int,
        user: int,
        dim: int,
        signature: Literal["scalar", "status", "grad", "batch", "stan"],
        conditional: tuple[int, int] | None,
    ) -> Target: ...
    def logp(self, x: NDArray[np.float64], job: Job) -> NDArray[np.float64]: ...
