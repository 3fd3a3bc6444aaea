"""What all sketches are, and what they give."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, cast

import numpy as np

from sortes import _core
from sortes._arrays import host, ids_of, vector_of
from sortes._check import ENTITY, FINITE, Entity
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of
from sortes._state import Stateful, bytes_of

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    Where: TypeAlias = ArrayLike | Callable[["SketchSample"], ArrayLike] | None


class SketchSample(NamedTuple):
    """The items that a sketch has kept, at most `k`.

    Attributes
    ----------
    ids : ndarray of int64, shape (m,)
        Which items.
    weights : ndarray of float64, shape (m,)
        Their weights, as they were given.
    adjusted_weights : ndarray of float64, shape (m,)
        What each stands for, ``weights / inclusion``. The sum over any part of the sample is an
        unbiased estimate of the sum of the weights of that part of the data.
    inclusion : ndarray of float64, shape (m,)
        The probability of being in the sample, given the threshold.
    values : ndarray of float64, shape (m,), or None
        Their values, if they had any.
    threshold : float
        The threshold of inclusion: the (k+1)-st key of a `BottomK`, infinite if there was none; the
        (k+1)-st priority of a `PrioritySample` or the ``tau`` of a `VarOpt`, zero if every item was
        kept.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    adjusted_weights: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    values: NDArray[np.float64] | None
    threshold: float


class Sketch(Stateful, ABC):
    """What all sketches do; make a `BottomK`, a `PrioritySample` or a `VarOpt`."""

    _kind: ClassVar[str]
    _native_class = _core.select.sketch.Sketch
    _native: _core.select.sketch.Sketch

    @abstractmethod
    def __init__(self) -> None: ...

    def update(
        self,
        ids: ArrayLike,
        weights: ArrayLike | None = None,
        values: ArrayLike | None = None,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Self:
        """Take a batch of items in.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
            Their ids, in [-2**63, 2**64): of those above 2**63 - 1 the bits count, as
            ``ids.view(numpy.int64)`` gives them. See `hash_ids` for strings.
        weights : array_like, shape (n,), optional
            In [0, inf); ones if not given. Items of weight zero are counted, but never kept. Half
            precision becomes float32 and integers float64; float32 is read in place. Weights below
            2**-1018 (3.6e-307) are at the limit of what keys can tell apart: `BottomK` and
            `PrioritySample` draw them all alike, still with unbiased estimates; in a `VarOpt` of
            nothing but such weights, probabilities are as exact as these weights are.
        values : array_like, shape (n,), optional
            Finite numbers to find beside the ids in the sample, kept in float64. They come with
            every batch or with none.
        num_threads : int, optional
            How many threads to use at most; results never depend on it. (`VarOpt` uses one.)
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Sketch
            This sketch.

        Raises
        ------
        ValueError
            If a weight is negative or not finite, a value is not finite, or lengths differ. Nothing
            is taken then.
        TypeError
            If `ids` are not integers, or weights not numbers.
        KeyboardInterrupt
            On Ctrl-C in a long call. A beginning of the batch is taken; `n` says how much.

        Examples
        --------
        >>> from sortes.select import VarOpt
        >>> VarOpt(10, rng=0).update([7, 8], [1.0, 0.0]).update([9])
        <VarOpt of 3 items: 2 held, k=10>
        """
        columns = (
            ids_of(ids),
            None if weights is None else vector_of(weights),
            None if values is None else vector_of(values, "values", double=True),
        )
        with job_of(num_threads, progress, type(self).__name__) as job:
            self._native.update(*columns, job)
        return self

    def merge(self, other: Self) -> Self:
        """Take in everything that another sketch has seen.

        Parameters
        ----------
        other : Sketch
            A sketch of the same kind. It does not change. The smaller `k` of both remains. An empty
            sketch changes nothing.

        Returns
        -------
        Sketch
            This sketch.

        Raises
        ------
        ValueError
            If the seeds of coordinated sketches differ; if sketches that are not coordinated have
            drawn from the same shard of one seed; if only one of them has values. Nothing changes
            then, nor if Ctrl-C stops a long call.
        TypeError
            If `other` is another kind of sketch.

        Examples
        --------
        >>> from sortes.select import BottomK
        >>> left = BottomK(3, rng=0).update([1, 2])
        >>> right = BottomK(3, rng=0).update([2, 3])
        >>> left.merge(right)
        <BottomK of 4 items: 3 held, k=3>
        """
        if type(other) is not type(self):
            raise TypeError(f"other: must be a {type(self).__name__}, got {type(other).__name__}")
        self._native.merge(other._native)
        return self

    def __or__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return self.copy().merge(other)

    def sample(self) -> SketchSample:
        """Return the sample with its weights and probabilities.

        Returns
        -------
        SketchSample
            Ids, weights, adjusted weights, inclusion probabilities, values and the threshold.

        Examples
        --------
        >>> from sortes.select import VarOpt
        >>> VarOpt(1, rng=0).update([7, 8], [1.0, 3.0]).sample().adjusted_weights
        array([4.])
        """
        return SketchSample(*self._native.sample())

    def estimate(self, where: Where = None, *, of: Where = None) -> Estimate:
        """Estimate a sum over a part of the data.

        Parameters
        ----------
        where : array_like of bool, shape (m,), or callable, optional
            Which items of the sample belong to the part; or a function that says so, of the
            `SketchSample`. All by default.
        of : array_like, shape () or (m,), or callable, optional
            The numbers whose sum is sought: one for each item of the sample, one for all (1 counts
            items), or a function of the `SketchSample`. The weights by default.

        Returns
        -------
        Estimate
            The value and its standard error.

        Raises
        ------
        ValueError
            If an array has not the shape of the sample, or `of` a number that is not finite.
        TypeError
            If `where` does not hold booleans, or `of` numbers.

        Notes
        -----
        With the inclusion probabilities $p_i$, the estimate of a sum of $f_i$ is the sum of
        $f_i / p_i$ over the sampled part, and that of its variance the sum of
        $(1 - p_i) (f_i / p_i)^2$; a `VarOpt` knows more of sums of weights.

        Examples
        --------
        >>> from sortes.select import VarOpt
        >>> sketch = VarOpt(50, rng=0).update(range(100))
        >>> sketch.estimate()
        Estimate(value=100.0, stderr=0.0)
        >>> value, stderr = sketch.estimate(lambda sample: sample.ids < 30)
        >>> abs(value - 30) < 3 * stderr
        True
        """
        sample = self.sample()
        inside = _of_sample(where, sample, "where", True, "b", "booleans")
        numbers = _of_sample(of, sample, "of", sample.weights, "fiub", "numbers")
        with np.errstate(over="ignore"):  # what is beyond the range is infinite
            terms = numbers / sample.inclusion
            estimate = float(terms[inside].sum())
        errors = np.sqrt(1 - sample.inclusion) * terms
        if of is not None:
            return Estimate(estimate, norm(errors[inside]))
        if where is None and (total := self._native.total) is not None:
            return Estimate(total, 0.0)
        return Estimate(estimate, self._error_of_weights(errors, inside))

    def _error_of_weights(self, errors: NDArray[Any], inside: NDArray[Any]) -> float:
        """Return the standard error of a sum of weights; a kind may know better than this."""
        return norm(errors[inside])

    def for_shard(self, shard: Entity) -> Self:
        """Return an empty sketch like this one, for another shard of the data.

        Parameters
        ----------
        shard : int
            In [0, 2**48). Sketches that are not coordinated draw the numbers of their shard, so
            that each must have its own; for a coordinated one any will do.

        Returns
        -------
        Sketch
            Same kind, same `k`, same seed, no items.

        Raises
        ------
        ValueError
            If the shard is out of range.

        Examples
        --------
        >>> from sortes.select import VarOpt
        >>> first = VarOpt(10, rng=0)
        >>> second = first.for_shard(1)
        >>> first.update([1, 2]).merge(second.update([3])).total
        3.0
        """
        return self._of(self._native.for_shard(ENTITY.check(shard, "shard")))

    def has_drawn(self, shard: Entity) -> bool:
        """Return whether this sketch holds draws of a shard.

        Parameters
        ----------
        shard : int
            In [0, 2**48).

        Returns
        -------
        bool
            True if a sketch of that shard cannot be merged in: its numbers are used. Always False
            for a coordinated sketch.

        Raises
        ------
        ValueError
            If the shard is out of range.

        Examples
        --------
        >>> from sortes.select import VarOpt
        >>> sketch = VarOpt(10, rng=0, shard=3).update([1, 2])
        >>> sketch.has_drawn(3), sketch.has_drawn(4)
        (True, False)
        """
        return self._native.has_drawn(ENTITY.check(shard, "shard"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the sketch whose state `to_bytes` has written.

        Parameters
        ----------
        data : bytes
            The state. It may come from anywhere: everything in it is checked.

        Returns
        -------
        Sketch
            It goes on exactly as the one that was written would. ``Sketch.from_bytes`` takes the
            bytes of any kind.

        Raises
        ------
        ValueError
            If the bytes are not those of such a sketch, are corrupt, or have an unknown version.
        TypeError
            If `data` are no bytes.

        Examples
        --------
        >>> from sortes.select import Sketch, VarOpt
        >>> Sketch.from_bytes(VarOpt(10, rng=0).update([1, 2]).to_bytes())
        <VarOpt of 2 items: 2 held, k=10>
        """
        native = cls._native_class.from_bytes(bytes_of(data))
        kind = getattr(cls, "_kind", native.kind)
        if native.kind != kind:
            raise ValueError(f"data: must be a sketch of kind {kind!r}, got {native.kind!r}")
        kinds = {known._kind: known for known in Sketch.__subclasses__()}
        return cast("Self", (kinds[kind] if cls is Sketch else cls)._of(native))

    @property
    def k(self) -> int:
        """The largest number of items in the sample."""
        return self._native.k

    @property
    def n(self) -> int:
        """How many items were offered: repeated ones and those of weight zero count."""
        return self._native.n

    @property
    def coordinated(self) -> bool:
        """Whether an item draws the number of its id, the same in every sketch of one seed."""
        return self._native.coordinated

    def __len__(self) -> int:
        return len(self._native)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return type(self) is type(other) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.n} items: {len(self)} held, k={self.k}>"


def norm(x: NDArray[Any]) -> float:
    """Return the root of the sum of squares, which may be beyond the range themselves.

    Examples
    --------
    >>> round(norm(np.array([3e200, 4e200])) / 1e200, 12)
    5.0
    """
    return math.hypot(*x.tolist())


def _of_sample(
    x: Any, sample: SketchSample, name: str, default: Any, kinds: str, what: str
) -> NDArray[Any]:
    """Return one entry for each item of the sample."""
    given = default if x is None else x(sample) if callable(x) else x
    array = host(given, name, None if kinds == "b" else kinds)
    if array.ndim and array.shape != sample.ids.shape:
        raise ValueError(f"{name}: must have shape {sample.ids.shape}, got {array.shape}")
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name}: must hold {what}, got dtype {array.dtype}")
    if array.dtype.kind == "f":
        FINITE.check_items(array, name)
    return np.broadcast_to(array, sample.ids.shape)
