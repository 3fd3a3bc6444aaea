"""A table for many draws from the same weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args, overload

import numpy as np

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import one_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes._state import Stateful
from sortes.select.weighted._size import Shape, shape_of, shaped

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Precision = Literal["auto", "narrow", "wide"]


class AliasTable(Stateful):
    r"""A table for draws with replacement, in constant time each.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf), at least one of them positive.
    precision : {"auto", "narrow", "wide"}, default "auto"
        8 or 16 bytes per item. A narrow table has probabilities to $2^{-32} / n$; a wide one to
        $2^{-64} / n$ and the 53 bits of a weight. ``"auto"`` is narrow if the smallest positive
        weight then keeps 16 bits, that is, if it is $2^{-16}$ of the mean or more.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    Bucket `i` of `n` equal ones belongs to item `i` up to its threshold, and to its alias beyond;
    a draw takes one 64-bit word and reads one bucket (Walker 1977; filled by the sweep of
    Hübschle-Schneider and Sanders 2019). The table is computed in whole units, so that it is exact
    but for the conversion of each weight; the largest weight takes up what rounding leaves. A
    positive weight is never lost, and a weight of zero never gained. A table does not change; its
    bytes are 8 or 16 for each item.

    References
    ----------
    Walker, "An efficient method for generating discrete random variables with general
    distributions", ACM Transactions on Mathematical Software 3, 1977.

    Hübschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019,
    arXiv:1903.00227.

    Examples
    --------
    >>> from sortes.select import AliasTable
    >>> table = AliasTable([1, 0, 3])
    >>> table.sample(5, rng=0)
    array([2, 2, 0, 2, 2])
    >>> table.probabilities()
    array([0.25, 0.  , 0.75])
    """

    _native_class = _core.select.weighted.AliasTable
    _native: _core.select.weighted.AliasTable

    def __init__(
        self,
        weights: ArrayLike,
        *,
        precision: Precision = "auto",
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> None:
        one_of(precision, "precision", get_args(Precision))
        with job_of(num_threads, progress, "table") as job:
            self._native = self._native_class(vector_of(weights), precision, job)

    @property
    def precision(self) -> str:
        """``"narrow"`` (8 bytes per item) or ``"wide"`` (16)."""
        return self._native.precision

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._native)

    @overload
    def sample(
        self,
        size: None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int: ...
    @overload
    def sample(
        self,
        size: Shape,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> NDArray[np.int64]: ...
    def sample(
        self,
        size: Shape | None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int | NDArray[np.int64]:
        """Draw indices with replacement.

        Parameters
        ----------
        size : int or tuple of int, optional
            How many; without it, one, as an int.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of int64, shape `size`, or int
            The indices: those of `choice` with ``method="alias"``.

        Raises
        ------
        ValueError
            If `size` is negative.
        MemoryError
            If there is no memory for the draws.

        Examples
        --------
        >>> from sortes.select import AliasTable
        >>> AliasTable([1, 0, 3]).sample((2, 2), rng=0)
        array([[2, 2],
               [0, 2]])
        """
        shape, stream = shape_of(size), as_stream(rng, step)
        with job_of(num_threads, progress, "draws") as job:
            drawn = self._native.sample(math.prod(shape), stream, job)
        return shaped(drawn, size, shape)

    def probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each item, as the table has it.

        Returns
        -------
        ndarray of float64, shape (n,)
            The law of a draw.

        Examples
        --------
        >>> from sortes.select import AliasTable
        >>> AliasTable([1, 0, 3]).probabilities()
        array([0.25, 0.  , 0.75])
        """
        return self._native.probabilities()
