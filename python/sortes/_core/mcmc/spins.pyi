"""Spin models, and chains of them."""

from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["Machine", "Model", "Sampler", "random_states"]

@final
class Model:
    def __new__(
        cls,
        edges: NDArray[np.int64],
        couplings: NDArray[np.float64],
        fields: NDArray[np.float64],
        is_potts: bool,
        beta: float,
        job: Job,
    ) -> Model: ...
    def energy(self, states: NDArray[np.uint8], job: Job) -> NDArray[np.float64]: ...

@final
class Machine:
    def __new__(
        cls, weights: NDArray[Any], visible: NDArray[Any], hidden: NDArray[Any], job: Job
    ) -> Machine: ...

@final
class Sampler:
    @staticmethod
    def gibbs(
        model: Model,
        order: Literal["colored", "sequential", "random"],
        init: NDArray[np.uint8],
        plan: tuple[int, int, int, bool],
        stream: Stream,
        job: Job,
    ) -> Sampler: ...
    @staticmethod
    def clusters(
        model: Model,
        which: Literal["swendsen_wang", "wolff"],
        init: NDArray[np.uint8],
        plan: tuple[int, int, int, bool],
        stream: Stream,
        job: Job,
    ) -> Sampler: ...
    @staticmethod
    def lattice(
        shape: tuple[int, int],
        periodic: tuple[bool, bool],
        law: tuple[float, float, float],
        init: NDArray[np.uint8],
        plan: tuple[int, int, int, bool],
        stream: Stream,
        job: Job,
    ) -> Sampler: ...
    @staticmethod
    def machine(
        machine: Machine,
        clamped: NDArray[np.bool_],
        init: NDArray[np.uint8],
        plan: tuple[int, int, int, bool],
        stream: Stream,
        job: Job,
    ) -> Sampler: ...
    def run(self, job: Job) -> None: ...
    def take(
        self,
    ) -> tuple[
        int, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]
    ]: ...

def random_states(
    states: int, sites: int, chains: int, stream: Stream, job: Job
) -> NDArray[np.uint8]: ...
