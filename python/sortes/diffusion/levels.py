"""Noise levels of which each state of a batch has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from sortes._check import integer, shown
from sortes.diffusion._states import batch_of, like, state_of, working
from sortes.diffusion.path import Level, level_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@final
class Levels:
    """The noise levels of a batch, one for each state: what a denoiser is asked about all at once.

    Its `alpha` and `sigma` multiply states, so that a denoiser written for one `Level` with these
    alone, such as ``x * level.alpha / (level.alpha**2 + level.sigma**2)``, works for both.

    Parameters
    ----------
    levels : sequence of Level, length B
        The level of each state.
    x : ndarray or tensor, shape (B, ...)
        The states, of which shape, dtype and device are taken; the numbers for half precision are
        float32.

    Raises
    ------
    ValueError
        If there is not one level for each state.
    TypeError
        If something is no level, or `x` holds no floating point numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Levels, Path
    >>> path = Path.flow([1.0, 0.5, 0.0])
    >>> both = Levels([path[0], path[1]], np.ones((2, 3)))
    >>> both.alpha * np.ones((2, 3))
    array([[0. , 0. , 0. ],
           [0.5, 0.5, 0.5]])
    >>> both[1]
    Level(alpha=0.5, sigma=0.5, t=0.5)
    """

    __slots__ = ("_columns", "_levels", "_x")

    def __init__(self, levels: Sequence[Level], x: NDArray[Any] | torch.Tensor) -> None:
        state = state_of(x)
        n, _ = batch_of(state)
        if not isinstance(levels, list | tuple | Levels):
            raise TypeError(f"levels: must be a sequence of Level, got {shown(levels)}")
        self._levels = tuple(level_of(level, "levels") for level in levels)
        if len(self._levels) != n:
            many = len(self._levels)
            raise ValueError(f"x: must hold a state for each of {many} levels, got {n} states")
        self._x = state
        self._columns: dict[str, NDArray[Any] | torch.Tensor] = {}

    @property
    def alpha(self) -> NDArray[Any] | torch.Tensor:
        """The factors of the data, of shape (B, 1, ...)."""
        return self._column("alpha")

    @property
    def sigma(self) -> NDArray[Any] | torch.Tensor:
        """The factors of the noise, of shape (B, 1, ...)."""
        return self._column("sigma")

    @property
    def ratio(self) -> NDArray[Any] | torch.Tensor:
        """What k-diffusion calls sigma, of shape (B, 1, ...); infinite for pure noise."""
        return self._column("ratio")

    @property
    def lam(self) -> NDArray[Any] | torch.Tensor:
        """The logarithms of alpha / sigma, of shape (B, 1, ...)."""
        return self._column("lam")

    @property
    def t(self) -> NDArray[Any] | torch.Tensor:
        """The times that the network is fed, of shape (B,)."""
        return self._column("t").reshape(-1)

    def _column(self, name: str) -> NDArray[Any] | torch.Tensor:
        """Return numbers of the levels in a shape that multiplies states, sent once."""
        if name not in self._columns:
            values = [getattr(level, name) for level in self._levels]
            self._columns[name] = column_of(values, self._x)
        return self._columns[name]

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self._levels)

    def __getitem__(self, i: int) -> Level:
        """Return the level of a state."""
        at, n = integer(i, "i"), len(self)
        if not -n <= at < n:
            raise IndexError(f"i: must be in [{-n}, {n}), got {shown(at)}")
        return self._levels[at]

    def __iter__(self) -> Iterator[Level]:
        """Go through the levels of the states."""
        return iter(self._levels)

    def __repr__(self) -> str:
        many = len(set(self._levels))
        return f"Levels(of {len(self)} states, {many} of them different)"


def column_of(values: Sequence[float], x: Any) -> Any:
    """Return a number of each state in a shape that multiplies states, where these are.

    Those of states of half precision are float32.
    """
    column = like(np.asarray(values, np.float64), working(x[:0]))
    return column.reshape(-1, *(1,) * (x.ndim - 1))
