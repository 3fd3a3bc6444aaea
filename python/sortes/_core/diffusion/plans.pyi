"""What each step of a solver combines."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["adams", "er_sde", "heun", "mixed", "one_step", "slopes", "stages", "statistics"]

_Given: TypeAlias = tuple[str, NDArray[np.float64], NDArray[np.float64]]
_Rows: TypeAlias = dict[str, Any]

def one_step(path: _Given, rule: str, eta: float, s_noise: float) -> _Rows: ...
def adams(
    path: _Given,
    orders: tuple[int, int, bool],
    second: str,
    published: bool,
    noise: tuple[Sequence[float], str | None, float],
    ends: tuple[str, bool, Sequence[int]],
) -> _Rows: ...
def stages(
    path: _Given,
    orders: Sequence[int],
    at: Sequence[float],
    weights: str,
    of_noise: bool,
    noise: tuple[float, str | None, float],
) -> _Rows: ...
def heun(
    path: _Given,
    frame: str,
    method: str,
    churn: tuple[float, float, float, float],
    noise: tuple[float, str],
) -> _Rows: ...
def slopes(
    path: _Given, frame: str, clock: str, numbers: Sequence[float], order: int, lower_final: str
) -> _Rows: ...
def er_sde(path: _Given, order: int, scale: str, published: bool, s_noise: float) -> _Rows: ...
def mixed(path: _Given, steps: Sequence[tuple[int, str, float, bool]]) -> _Rows: ...
def statistics(
    path: _Given, order: int, lower_final: str, tables: Mapping[str, Sequence[float]]
) -> _Rows: ...
