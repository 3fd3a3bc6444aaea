"""Samples that merge, with unbiased estimates of sums."""

from __future__ import annotations

import hashlib
import operator
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from sortes import _core
from sortes._progress import reporter
from sortes._rng import as_key
from sortes.select._estimate import Estimate

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from sortes._progress import Callback
    from sortes._rng import Rng

    Where: TypeAlias = ArrayLike | Callable[["SketchSample"], ArrayLike] | None

#: Items that go through a native call at once where data come in pieces.
CHUNK = 2**19


class SketchSample(NamedTuple):
    """What a sketch has kept, at most `k` items.

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
        What decided: the (k+1)-st key of a `BottomK`, infinite if there was none; the (k+1)-st
        priority of a `PrioritySample` or the ``tau`` of a `VarOpt`, zero if every item was kept.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    adjusted_weights: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    values: NDArray[np.float64] | None
    threshold: float


class Sketch(ABC):
    """What all sketches do; make a `BottomK`, a `PrioritySample` or a `VarOpt`."""

    _kind: ClassVar[str]
    _native: _core.sketch.Sketch

    @abstractmethod
    def __init__(self) -> None: ...

    def update(
        self,
        ids: ArrayLike,
        weights: ArrayLike | None = None,
        values: ArrayLike | None = None,
        *,
        num_threads: int | None = None,
        progress: bool | Callback | None = None,
    ) -> Self:
        """Take a batch of items in.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
            Their names. Unsigned ones must be below 2**63; see `hash_ids` for strings.
        weights : array_like, shape (n,), optional
            Finite and not negative; ones if not given. Items of weight zero are counted, but never
            kept. Integers and float16 become float64; float32 is read in place.
        values : array_like, shape (n,), optional
            Finite numbers to find beside the ids in the sample, kept in float64. They come with
            every batch or with none.
        num_threads : int, optional
            How many threads look for candidates (`VarOpt` takes one at a time). The result does not
            depend on it.
        progress : bool or callable, optional
            Shows a bar, or is called as ``progress(done, total)``.

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
            On Ctrl-C in a batch of a million items or more. A beginning of the batch is taken; `n`
            says how much.
        """
        columns = (
            _ids(ids),
            None if weights is None else _numbers(weights, "weights"),
            None if values is None else _numbers(values, "values").astype(np.float64, copy=False),
        )
        with reporter(progress, type(self).__name__) as callback:
            self._native.update(*columns, num_threads=num_threads, progress=callback)
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
            then.
        TypeError
            If `other` is another kind of sketch.
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
        """Return the sample with its weights and probabilities."""
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
            If an array has not the shape of the sample.
        TypeError
            If `where` does not hold booleans.
        """
        sample = self.sample()
        inside = _of_sample(where, sample, "where", True)
        if inside.dtype != np.bool_:
            raise TypeError(f"where: must hold booleans, got {inside.dtype}")
        numbers = _of_sample(of, sample, "of", sample.weights)
        terms = numbers / sample.inclusion
        errors = np.sqrt(1 - sample.inclusion) * terms
        estimate = Estimate(float(terms[inside].sum()), _norm(errors[inside]))
        return self._sharpened(estimate, inside, errors) if of is None else estimate

    def _sharpened(
        self, estimate: Estimate, inside: NDArray[Any], errors: NDArray[Any]
    ) -> Estimate:
        """Use what a kind knows exactly about the sum of weights."""
        return estimate

    def copy(self) -> Self:
        """Return a sketch of the same state.

        A sketch that is not coordinated, and its copy, do not merge: they have drawn the same
        numbers.
        """
        return self._of(self._native.copy())

    def for_shard(self, shard: int) -> Self:
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
        """
        return self._of(self._native.for_shard(operator.index(shard)))

    def to_bytes(self) -> bytes:
        """Return the state in a stable format: little-endian, with a version and a checksum."""
        return self._native.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Make the sketch that `to_bytes` has written.

        Parameters
        ----------
        data : bytes
            The state. It may come from anywhere: everything in it is checked.

        Returns
        -------
        Sketch
            It goes on exactly as the one that was written would.

        Raises
        ------
        ValueError
            If the bytes are not those of such a sketch, are corrupt, or have an unknown version.
        """
        native = _core.sketch.Sketch.from_bytes(bytes(data))
        kind = getattr(cls, "_kind", native.kind)
        if native.kind != kind:
            raise ValueError(f"data: holds a sketch of kind {native.kind!r}, expected {kind!r}")
        return (cls if cls is not Sketch else _KINDS[kind])._of(native)

    @classmethod
    def _of(cls, native: _core.sketch.Sketch) -> Self:
        out = cls.__new__(cls)
        out._native = native
        return out

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

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.n} items: {len(self)} held, k={self.k}>"


class BottomK(Sketch):
    r"""Weighted sampling without replacement, as a sketch that merges.

    Parameters
    ----------
    k : int
        The largest number of items in the sample, in [1, 2**31).
    rng : None, int, Generator, Stream, ...
        Where random numbers come from. Sketches that are to merge need the same.
    coordinated : bool
        Whether the number of an item is that of its id. Then an id counts once however often it
        comes (with its greatest weight), and samples of two versions of the data overlap as much as
        their laws allow. Otherwise every item offered is an item of its own.
    shard : int
        Which numbers to draw if not coordinated, in [0, 2**48); every sketch of one seed that is to
        be merged needs its own.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range.

    See Also
    --------
    PrioritySample : Smaller variance, merges as well.
    VarOpt : The smallest variance, exact totals, for items that come once.

    Notes
    -----
    The key of an item of weight :math:`w` is :math:`E / w` with an exponential :math:`E`; the
    sample is the :math:`k` items of least key, in that order. Its law is that of drawing one after
    the other in proportion to what is left,

    .. math:: P(i_1, \dots, i_k) = \prod_j \frac{w_{i_j}}{W - \sum_{l < j} w_{i_l}} .

    Given the :math:`(k+1)`-st key :math:`t`, item :math:`i` is kept with probability
    :math:`p_i = 1 - e^{-w_i t}`. Adjusted weights :math:`w_i / p_i` are unbiased and
    uncorrelated, so that :math:`\sum (1 - p_i) (f_i / p_i)^2` over the part of the sample is an
    unbiased estimate of the variance of :math:`\sum f_i / p_i`.

    Merging is exact: the state is that of one sketch of all the data, in whatever order and
    grouping sketches are merged. An item costs a random number and a comparison, a candidate a
    constant amount of work on average; memory is up to 150 bytes for each of `k`.

    Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.sketches import BottomK
    >>> ids, weights = np.arange(1000), np.arange(1000.0)
    >>> whole = BottomK(100, rng=0).update(ids, weights)
    >>> left = BottomK(100, rng=0).update(ids[:300], weights[:300])
    >>> right = BottomK(100, rng=0).update(ids[300:], weights[300:])
    >>> left | right == whole
    True
    >>> value, stderr = whole.estimate(lambda sample: sample.ids % 2 == 0)
    >>> bool(abs(value - weights[::2].sum()) < 3 * stderr)
    True
    """

    _kind = "bottom_k"

    def __init__(
        self, k: int, *, rng: Rng = None, coordinated: bool = True, shard: int = 0
    ) -> None:
        self._native = _native(self._kind, k, rng, None if coordinated else shard)


class PrioritySample(Sketch):
    r"""Priority sampling: nearly the least variance, and it merges.

    Parameters
    ----------
    k : int
        The largest number of items in the sample, in [1, 2**31).
    rng : None, int, Generator, Stream, ...
        Where random numbers come from. Sketches that are to merge need the same.
    coordinated : bool
        Whether the number of an item is that of its id, as in `BottomK`.
    shard : int
        Which numbers to draw if not coordinated, as in `BottomK`.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range.

    See Also
    --------
    BottomK : The law of drawing one after the other.
    VarOpt : The smallest variance, exact totals, for items that come once.

    Notes
    -----
    The priority of an item of weight :math:`w` is :math:`w / u` with a uniform :math:`u`; the
    sample is the :math:`k` items of greatest priority, in that order. Given the :math:`(k+1)`-st
    priority :math:`\tau`, item :math:`i` is kept with probability
    :math:`p_i = \min(1, w_i / \tau)` and stands for :math:`\max(w_i, \tau)`. These are
    unbiased and uncorrelated, and the variance of a sum of weights is estimated without bias by
    :math:`\sum \tau \max(0, \tau - w_i)` over the part of the sample. The sum of variances at
    :math:`k + 1` is at most that of the best sample of :math:`k` items (Szegedy, "The DLT priority
    sampling is essentially optimal", STOC 2006).

    Merging and cost are those of `BottomK`.

    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", Journal
    of the ACM 54 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.sketches import PrioritySample
    >>> sketch = PrioritySample(2, rng=0).update([10, 20, 30], [1.0, 1.0, 1e9])
    >>> 30 in sketch.sample().ids
    True
    """

    _kind = "priority"

    def __init__(
        self, k: int, *, rng: Rng = None, coordinated: bool = True, shard: int = 0
    ) -> None:
        self._native = _native(self._kind, k, rng, None if coordinated else shard)


class VarOpt(Sketch):
    r"""A sample of exactly `k` items with the least variance and the exact total.

    Parameters
    ----------
    k : int
        The number of items in the sample, in [1, 2**31).
    rng : None, int, Generator, Stream, ...
        Where random numbers come from.
    shard : int
        Which numbers to draw, in [0, 2**48); every sketch of one seed that is to be merged needs
        its own.

    Attributes
    ----------
    total : float
        The exact sum of all weights, up to the rounding of the result.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range.

    See Also
    --------
    BottomK : Counts repeated ids once; its merge does not depend on order.

    Notes
    -----
    Item :math:`i` is in the sample with probability :math:`p_i = \min(1, w_i / \tau)` and then
    stands for :math:`\max(w_i, \tau)`, where :math:`\sum_i \min(1, w_i / \tau) = k`; no
    other sample of :math:`k` items has a smaller variance, averaged over subsets of any size.
    The adjusted weights add up to the total, whatever was drawn, and are never positively
    correlated. Hence :math:`\sum \tau (\tau - w_i)` over the part of the sample, and the
    same over the rest, both bound the variance of a sum of weights from above, in expectation;
    `estimate` returns the smaller one. It is zero for the whole.

    The law does not depend on how data are cut into batches, and the random number of an item is
    that of its place in the stream. A merge takes the items of the other sketch in with their
    adjusted weights: inclusion probabilities and the total are those of one sketch of all the data,
    but the joint law of several items, and the items themselves, depend on the order of merging.
    An id that comes twice is two items.

    An item costs a random number and a few operations; one that is kept while most are not,
    constant work; one above the threshold :math:`O(\log k)`.

    Cohen, Duffield, Kaplan, Lund and Thorup, "Stream sampling for variance-optimal estimation of
    subset sums", arXiv:0803.0473.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.sketches import VarOpt
    >>> sketch = VarOpt(10, rng=0).update(np.arange(1000), np.arange(1000.0))
    >>> len(sketch), sketch.total
    (10, 499500.0)
    >>> value, stderr = sketch.estimate()
    >>> round(value), stderr
    (499500, 0.0)
    """

    _kind = "var_opt"

    def __init__(self, k: int, *, rng: Rng = None, shard: int = 0) -> None:
        self._native = _native(self._kind, k, rng, shard)

    @property
    def total(self) -> float:
        """The exact sum of all weights."""
        total = self._native.total
        assert total is not None
        return total

    def _sharpened(
        self, estimate: Estimate, inside: NDArray[Any], errors: NDArray[Any]
    ) -> Estimate:
        if inside.all():
            return Estimate(self.total, 0.0)
        # The rest of the total errs by as much.
        return Estimate(estimate.value, min(estimate.stderr, _norm(errors[~inside])))


_KINDS: dict[str, Any] = {kind._kind: kind for kind in (BottomK, PrioritySample, VarOpt)}


def hash_ids(names: Iterable[str | bytes]) -> NDArray[np.int64]:
    """Turn strings into ids for a sketch, the same on every machine.

    Parameters
    ----------
    names : iterable of str or bytes
        What to hash; strings are encoded as UTF-8.

    Returns
    -------
    ndarray of int64, shape (n,)
        Their BLAKE2b digests of eight bytes, little-endian. Among a million names, two share an id
        with a probability of 3e-8.

    Raises
    ------
    TypeError
        If something is neither a string nor bytes.

    Examples
    --------
    >>> from sortes.select.sketches import hash_ids
    >>> hash_ids(["a", b"a", "b"])
    array([3405396810240292928, 3405396810240292928, 8453121595177857668])
    """
    digests = bytearray()
    for i, name in enumerate(names):
        if not isinstance(name, str | bytes):
            raise TypeError(f"names: item {i} must be a string or bytes, got {type(name).__name__}")
        raw = name.encode() if isinstance(name, str) else bytes(name)
        digests += hashlib.blake2b(raw, digest_size=8).digest()
    return np.frombuffer(bytes(digests), "<i8").astype(np.int64)


def sketch_array(
    weights: ArrayLike | None,
    sketch: Sketch,
    *,
    ids: ArrayLike | None = None,
    values: ArrayLike | None = None,
    start: int = 0,
    chunk: int = CHUNK,
    num_threads: int | None = None,
    progress: bool | Callback | None = None,
) -> Sketch:
    """Take an array in piece by piece, one that is larger than memory as well.

    Parameters
    ----------
    weights : array_like, shape (n,), or None
        The weights, for instance a ``numpy.memmap``. ``None`` means ones, and needs `ids`.
    sketch : Sketch
        Takes the items in.
    ids : array_like of int, shape (n,), optional
        Their names; the positions 0, 1, ... by default.
    values : array_like, shape (n,), optional
        Numbers to find in the sample.
    start : int
        Where to begin: after an interruption, the number of items that were taken.
    chunk : int
        How many items are read at a time.
    num_threads : int, optional
        As in `Sketch.update`.
    progress : bool or callable, optional
        Shows a bar, or is called as ``progress(done, total)``.

    Returns
    -------
    Sketch
        `sketch`. After Ctrl-C it holds all that came before; if it was empty, go on with
        ``start=sketch.n``.

    Raises
    ------
    ValueError
        If lengths differ, `start` or `chunk` is out of range, or as in `Sketch.update`; pieces that
        came before are taken then.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.sketches import VarOpt, sketch_array
    >>> weights = np.ones(1_000_000, np.float32)
    >>> sketch_array(weights, VarOpt(100, rng=0), chunk=1000).total
    1000000.0
    """
    columns = {"ids": ids, "weights": weights, "values": values}
    given = {name: _array(x, name) for name, x in columns.items() if x is not None}
    if ids is None and weights is None:
        raise ValueError("weights: must be given where ids are not")
    n = len(next(iter(given.values())))
    for name, column in given.items():
        if len(column) != n:
            raise ValueError(f"{name}: expected shape ({n},), got {column.shape}")
    start, chunk = operator.index(start), operator.index(chunk)
    if not 0 <= start <= n:
        raise ValueError(f"start: must be in [0, {n}], got {start}")
    if chunk < 1:
        raise ValueError(f"chunk: must be positive, got {chunk}")
    with reporter(progress, "sketch_array") as callback:
        for low in range(start, n, chunk):
            high = min(low + chunk, n)
            part = {name: column[low:high] for name, column in given.items()}
            sketch.update(
                part.get("ids", np.arange(low, high)),
                part.get("weights"),
                part.get("values"),
                num_threads=num_threads,
            )
            if callback is not None:
                callback(high, n)
    return sketch


def _native(kind: str, k: int, rng: Rng, shard: int | None) -> _core.sketch.Sketch:
    shard = None if shard is None else operator.index(shard)
    return _core.sketch.Sketch(kind, operator.index(k), as_key(rng), shard)


def _array(x: Any, name: str) -> NDArray[Any]:
    """Return `x` as an array of one dimension, without a copy where there is no need."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if not x.is_cpu:
            raise TypeError(f"{name}: must be on the CPU, got a tensor on {x.device}")
        x = x.detach()
        x = (x.float() if x.dtype is torch.bfloat16 else x).numpy()
    array = np.asarray(x)
    if array.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {array.shape}")
    return array


def _ids(ids: Any) -> NDArray[np.int64]:
    array = _array(ids, "ids")
    if array.dtype.kind not in "iu" and array.size:
        hint = "; hash_ids turns strings into ids" if array.dtype.kind in "OUST" else ""
        raise TypeError(f"ids: must be integers, got {array.dtype}{hint}")
    if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
        i = int(np.argmax(array >= 2**63))
        raise ValueError(
            f"ids: item {i} is above 2**63 - 1: {array[i]}; ids.view(numpy.int64) keeps its bits"
        )
    return np.require(array, np.int64, ["C", "A"])


def _numbers(x: Any, name: str) -> NDArray[Any]:
    array = _array(x, name)
    if array.dtype.kind not in "fiu" and array.size:
        raise TypeError(f"{name}: must be numbers, got {array.dtype}")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    return np.require(array, dtype, ["C", "A"])


def _of_sample(x: Any, sample: SketchSample, name: str, default: Any) -> NDArray[Any]:
    """Return one entry for each item of the sample."""
    array = np.asarray(default if x is None else x(sample) if callable(x) else x)
    if array.ndim and array.shape != sample.ids.shape:
        raise ValueError(f"{name}: expected shape {sample.ids.shape}, got {array.shape}")
    return np.broadcast_to(array, sample.ids.shape)


def _norm(x: NDArray[Any]) -> float:
    """Return the root of the sum of squares, which may be beyond the range themselves."""
    scale = float(np.abs(x).max(initial=0.0))
    return scale * float(np.sqrt(np.sum((x / scale) ** 2))) if scale > 0 else 0.0
