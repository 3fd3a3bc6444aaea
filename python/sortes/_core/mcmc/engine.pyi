"""Kernels, and chains of them."""

from collections.abc import Callable
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from sortes._core import Stream
from sortes._progress import Job

from .targets import Target

__all__ = ["Kernel", "Sampler", "tape_step"]

@final
class Kernel:
    @staticmethod
    def coordinate(
        widths: NDArray[np.float64],
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
        max_steps: int | None,
        doublings: int | None,
        order: Literal["systematic", "permuted", "random"],
        tune: bool,
        limit: int,
    ) -> Kernel: ...
    @staticmethod
    def ray(
        width: float,
        scale_tril: NDArray[np.float64] | None,
        max_steps: int | None,
        tune: bool,
        limit: int,
    ) -> Kernel: ...
    @staticmethod
    def elliptical(
        mean: NDArray[np.float64],
        sd: NDArray[np.float64] | None,
        scale_tril: NDArray[np.float64] | None,
        df: float | None,
        tune: bool,
        limit: int,
    ) -> Kernel: ...
    @staticmethod
    def adaptive(
        mean: NDArray[np.float64],
        sd: NDArray[np.float64] | None,
        scale_tril: NDArray[np.float64] | None,
        df: float,
        fixed: float,
        sweeps: float,
        first: int,
        limit: int,
    ) -> Kernel: ...
    @staticmethod
    def polar(
        width: float,
        center: NDArray[np.float64],
        scale_tril: NDArray[np.float64] | None,
        adapt: Literal["center", "diag", "full"] | None,
        refresh: bool,
        fresh: bool,
        tune: bool,
        limit: int,
    ) -> Kernel: ...
    @staticmethod
    def composite(parts: list[Kernel], chances: NDArray[np.float64] | None) -> Kernel: ...
    def by_conditionals(self) -> Kernel: ...

@final
class Sampler:
    def __new__(
        cls,
        kernel: Kernel,
        init: NDArray[np.float64],
        logp: NDArray[np.float64],
        stream: Stream,
    ) -> Sampler: ...
    def copy(self) -> Sampler: ...
    def inspect(
        self,
    ) -> tuple[
        NDArray[np.float64],
        NDArray[np.float64],
        list[int],
        list[int],
        list[int],
        NDArray[np.uint64],
        NDArray[np.uint64],
    ]: ...
    def pause(self, rest: bool) -> None: ...
    def begin(self, warmup: int, draws: int, thin: int, raises: bool, keeps: bool) -> int: ...
    def place(self, points: NDArray[np.float64], logp: NDArray[np.float64]) -> list[bool]: ...
    def run(self, target: Target, total: int, job: Job) -> None: ...
    def gather(self, out: NDArray[np.float64]) -> int: ...
    def scatter(self, logp: NDArray[np.float64]) -> int: ...
    def take(
        self,
    ) -> tuple[
        int,
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.uint32],
        NDArray[np.uint32],
        NDArray[np.bool_],
    ]: ...
    def names(self) -> list[str]: ...
    def nans(self) -> NDArray[np.uint64]: ...
    def widths(self) -> NDArray[np.float64]: ...

def tape_step(
    kernel: Kernel,
    logp: Callable[[NDArray[np.float64]], float],
    x0: NDArray[np.float64],
    uniforms: NDArray[np.float64],
    exponentials: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> tuple[list[float], float, list[int], int, bool, tuple[int, int, int]]: ...
