"""Weights that change between draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of, vector_of
from sortes._check import COUNT, Count
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes._state import Stateful
from sortes.select.weighted._size import Shape, shape_of, shaped, too_many

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


class DynamicWeights(Stateful):
    r"""Weights that change between draws.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); all may be zero. They are copied.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    The law of a draw is that of `choice`, on the weights as they are. A tree of sums with 64
    children to a node: an update costs one block of 64 additions a level, a draw one scan a level,
    that is four levels for a million weights. Sums are never corrected but always added up anew, so
    that no error builds up. (Sums below 1e-290 lose precision: scale such weights.) Threads may
    share an object.

    Examples
    --------
    >>> from sortes.select import DynamicWeights
    >>> weights = DynamicWeights([1, 0, 3])
    >>> weights.total
    4.0
    >>> weights.update(2, 0).sample(3, rng=0)
    array([0, 0, 0])
    >>> weights.pop(rng=0), weights.total
    (0, 0.0)
    """

    _native_class = _core.select.weighted.DynamicWeights
    _native: _core.select.weighted.DynamicWeights

    def __init__(
        self,
        weights: ArrayLike,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> None:
        with job_of(num_threads, progress, "weights") as job:
            self._native = self._native_class(vector_of(weights), job)

    def __len__(self) -> int:
        """Return the number of weights."""
        return len(self._native)

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return self._native.total

    @property
    def weights(self) -> NDArray[np.float64]:
        """A copy of the weights."""
        return self._native.weights()

    def update(
        self,
        indices: ArrayLike,
        weights: ArrayLike,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Self:
        """Change the weights of some items; of an item that comes twice, the last change counts.

        Parameters
        ----------
        indices : int or array_like of int, shape (m,)
            The items, in [0, n).
        weights : float or array_like, shape (m,)
            Their new weights, or one for all of them, in [0, inf).
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        DynamicWeights
            This object.

        Raises
        ------
        ValueError
            If an item is out of range, a weight negative or not finite, or the sum overflows;
            nothing is changed then, nor if Ctrl-C stops a long call.
        TypeError
            If the items are not integers, or the weights not numbers.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> DynamicWeights([1, 0, 3]).update(0, 2).update([1, 2], 5).weights
        array([2., 5., 5.])
        """
        items = host(indices, "indices", None)
        items = integers_of(items if items.ndim else items[np.newaxis], "indices")
        given = host(weights, "weights")
        changed = vector_of(given if given.ndim else np.full(items.size, given), double=True)
        with job_of(num_threads, progress, "changes") as job:
            self._native.update(items, changed, job)
        return self

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
            The indices.

        Raises
        ------
        ValueError
            If all weights are zero and something must be drawn, or `size` is negative.
        MemoryError
            If there is no memory for the draws.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> DynamicWeights([1, 0, 3]).sample(5, rng=0)
        array([2, 2, 2, 2, 2])
        """
        shape, stream = shape_of(size), as_stream(rng, step)
        with job_of(num_threads, progress, "draws") as job:
            drawn = self._native.sample(math.prod(shape), stream, job)
        return shaped(drawn, size, shape)

    @overload
    def pop(
        self, size: None = None, *, rng: Rng = None, step: int = 0, progress: Progress = None
    ) -> int: ...
    @overload
    def pop(
        self, size: Count, *, rng: Rng = None, step: int = 0, progress: Progress = None
    ) -> NDArray[np.int64]: ...
    def pop(
        self,
        size: Count | None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        progress: Progress = None,
    ) -> int | NDArray[np.int64]:
        """Draw distinct items one after the other, and set their weights to zero.

        Parameters
        ----------
        size : int, optional
            How many; without it, one, as an int.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of int64, shape (size,), or int
            The items in the order in which they were drawn: successive sampling.

        Raises
        ------
        ValueError
            If fewer weights are positive; those that are have been drawn then. (If Ctrl-C stops a
            long call, none have.)

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> weights = DynamicWeights([1, 0, 3])
        >>> sorted(weights.pop(2, rng=0).tolist()), weights.total
        ([0, 2], 0.0)
        """
        wanted = 1 if size is None else COUNT.check(size, "size")
        stream = as_stream(rng, step)
        with job_of(None, progress, "draws") as job:
            drawn = self._native.pop(wanted, stream, job)
        if drawn.size < wanted:
            raise too_many(wanted, drawn.size)
        return int(drawn[0]) if size is None else drawn
