"""Samples that merge, with unbiased estimates of sums."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import ENTITY, AtLeastOne, Count, Domain, Entity, count, flag, shown
from sortes._columns import array_of
from sortes._progress import Progress, reporter
from sortes._rng import as_stream
from sortes.select._sketch import Sketch, SketchSample, norm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

__all__ = [
    "BottomK",
    "PrioritySample",
    "Sketch",
    "SketchSample",
    "VarOpt",
    "hash_ids",
    "sketch_array",
]

#: Items that go through a native call at once where data come in pieces.
CHUNK = 2**19

#: How many items a sketch may hold.
SIZE = Domain("[1, 2**31)", integer=True)
Size: TypeAlias = Annotated[int, SIZE]

S = TypeVar("S", bound=Sketch)


class BottomK(Sketch):
    r"""Weighted sampling without replacement, as a sketch that merges.

    Parameters
    ----------
    k : int
        The largest number of items in the sample, in [1, 2**31).
    coordinated : bool, default True
        Whether the random number of an item is that of its id. Then an id counts once however often
        it comes (with its greatest weight), and samples of two versions of the data overlap as much
        as their laws allow. Otherwise every item offered is an item of its own.
    shard : int, default 0
        Which numbers to draw if not coordinated, in [0, 2**48); every sketch of one seed that must
        merge needs its own.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        Sketches that must merge need the same.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Sketches that
        must merge need the same.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range, or a coordinated sketch is given a shard.

    See Also
    --------
    PrioritySample : Smaller variance, merges as well.
    VarOpt : The smallest variance, exact totals, for items that come once.

    Notes
    -----
    The key of an item of weight $w$ is $E / w$ with an exponential $E$; the
    sample is the $k$ items of least key, in that order. Its law is that of drawing one after
    the other in proportion to what is left,

    $$
    P(i_1, \dots, i_k) = \prod_j \frac{w_{i_j}}{W - \sum_{l < j} w_{i_l}}.
    $$

    Given the $(k+1)$-st key $t$, item $i$ is kept with probability
    $p_i = 1 - e^{-w_i t}$. Adjusted weights $w_i / p_i$ are unbiased and
    uncorrelated, so that $\sum (1 - p_i) (f_i / p_i)^2$ over the part of the sample is an
    unbiased estimate of the variance of $\sum f_i / p_i$.

    Merging is exact: the state is that of one sketch of all the data, in whatever order and
    grouping sketches are merged. An item costs a random number and a comparison, a candidate a
    constant amount of work on average; memory is up to 150 bytes for each of `k`.

    References
    ----------
    Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import BottomK
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
        self,
        k: Size,
        *,
        coordinated: bool = True,
        shard: Entity = 0,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        self._native = _native(self._kind, k, coordinated, shard, as_stream(rng, step))


class PrioritySample(Sketch):
    r"""Priority sampling: nearly the least variance, and it merges.

    Parameters
    ----------
    k : int
        The largest number of items in the sample, in [1, 2**31).
    coordinated : bool, default True
        Whether the random number of an item is that of its id, as in `BottomK`.
    shard : int, default 0
        Which numbers to draw if not coordinated, as in `BottomK`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        Sketches that must merge need the same.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Sketches that
        must merge need the same.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range, or a coordinated sketch is given a shard.

    See Also
    --------
    BottomK : The law of drawing one after the other.
    VarOpt : The smallest variance, exact totals, for items that come once.

    Notes
    -----
    The priority of an item of weight $w$ is $w / u$ with a uniform $u$; the
    sample is the $k$ items of greatest priority, in that order. Given the $(k+1)$-st
    priority $\tau$, item $i$ is kept with probability
    $p_i = \min(1, w_i / \tau)$ and stands for $\max(w_i, \tau)$. These are
    unbiased and uncorrelated, and the variance of a sum of weights is estimated without bias by
    $\sum \tau \max(0, \tau - w_i)$ over the part of the sample. The sum of variances at
    $k + 1$ is at most that of the best sample of $k$ items (Szegedy 2006).

    Merging and cost are those of `BottomK`.

    References
    ----------
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", Journal
    of the ACM 54, 2007.

    Szegedy, "The DLT priority sampling is essentially optimal", STOC 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import PrioritySample
    >>> sketch = PrioritySample(2, rng=0).update([10, 20, 30], [1.0, 1.0, 1e9])
    >>> 30 in sketch.sample().ids
    True
    """

    _kind = "priority"

    def __init__(
        self,
        k: Size,
        *,
        coordinated: bool = True,
        shard: Entity = 0,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        self._native = _native(self._kind, k, coordinated, shard, as_stream(rng, step))


class VarOpt(Sketch):
    r"""A sample of exactly `k` items with the least variance and the exact total.

    Parameters
    ----------
    k : int
        The number of items in the sample, in [1, 2**31).
    shard : int, default 0
        Which numbers to draw, in [0, 2**48); every sketch of one seed that must merge needs its
        own.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        Sketches that must merge need the same.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Sketches that
        must merge need the same.

    Raises
    ------
    ValueError
        If `k` or `shard` is out of range.

    See Also
    --------
    BottomK : Counts repeated ids once; its merge does not depend on order.

    Notes
    -----
    Item $i$ is in the sample with probability $p_i = \min(1, w_i / \tau)$ and then
    stands for $\max(w_i, \tau)$, where $\sum_i \min(1, w_i / \tau) = k$; no
    other sample of $k$ items has a smaller variance, averaged over subsets of any size.
    The adjusted weights add up to the total, whatever was drawn, and are never positively
    correlated. Hence $\sum \tau (\tau - w_i)$ over the part of the sample, and the
    same over the rest, both bound the variance of a sum of weights from above, in expectation.
    `estimate` uses the smaller one, unless a single item makes up more than half of both together:
    then that over the part. The total has no error.

    The law does not depend on how data are cut into batches, and the random number of an item is
    that of its place in the stream. A merge takes the items of the other sketch in with their
    adjusted weights: inclusion probabilities and the total are those of one sketch of all the data,
    but the joint law of several items, and the items themselves, depend on the order of merging.
    An id that comes twice is two items.

    An item costs a random number and a few operations; one that is kept while most are not,
    constant work; one above the threshold $O(\log k)$.

    References
    ----------
    Cohen, Duffield, Kaplan, Lund and Thorup, "Stream sampling for variance-optimal estimation of
    subset sums", SODA 2009, arXiv:0803.0473.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import VarOpt
    >>> sketch = VarOpt(10, rng=0).update(np.arange(1000), np.arange(1000.0))
    >>> len(sketch), sketch.total
    (10, 499500.0)
    >>> value, stderr = sketch.estimate()
    >>> round(value), stderr
    (499500, 0.0)
    """

    _kind = "var_opt"

    def __init__(self, k: Size, *, shard: Entity = 0, rng: Rng = None, step: int = 0) -> None:
        self._native = _native(self._kind, k, False, shard, as_stream(rng, step))

    @property
    def total(self) -> float:
        """The exact sum of all weights."""
        total = self._native.total
        assert total is not None
        return total

    def _error_of_weights(self, errors: NDArray[Any], inside: NDArray[Any]) -> float:
        whole, largest = norm(errors), float(errors.max(initial=0.0))
        if largest > 0.71 * whole:
            # One item has more than half of the variance: that it is inside, or outside, says
            # nothing of how far it could have gone the other way.
            return norm(errors[inside])
        # The rest of the total errs by as much.
        return min(norm(errors[inside]), norm(errors[~inside]))


def hash_ids(names: Iterable[str | bytes | UUID]) -> NDArray[np.int64]:
    """Turn strings into ids for a sketch, the same on every machine.

    Parameters
    ----------
    names : iterable of str, bytes or UUID
        The strings to hash; those of Python are encoded as UTF-8, and of UUIDs the 16 bytes count.
        Columns of pandas, polars and Arrow are iterables, too.

    Returns
    -------
    ndarray of int64, shape (n,)
        Their BLAKE2b digests of eight bytes, little-endian. Among a million names, two share an id
        with a probability of 3e-8.

    Raises
    ------
    TypeError
        If something is neither a string nor bytes, or `names` is a single one.
    ValueError
        If a string is not valid Unicode, or missing in a column.

    Examples
    --------
    >>> from sortes.select import hash_ids
    >>> hash_ids(["a", b"a", "b"])
    array([3405396810240292928, 3405396810240292928, 8453121595177857668])
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f"names: must be several strings, got {shown(names)}")
    if (column := array_of(names, "names", numbers=False)) is not None:
        names = column.tolist()
    digests = bytearray()
    for i, name in enumerate(names):
        if not isinstance(name, str | bytes | UUID):
            raise TypeError(f"names: item {i} must be a string or bytes, got {shown(name)}")
        try:
            if isinstance(name, str):
                raw = name.encode()
            else:
                raw = name.bytes if isinstance(name, UUID) else name
        except UnicodeEncodeError as error:
            raise ValueError(f"names: item {i} has no UTF-8 encoding: {error}") from None
        digests += hashlib.blake2b(raw, digest_size=8).digest()
    return np.frombuffer(bytes(digests), "<i8").astype(np.int64)


def sketch_array(
    weights: ArrayLike | None,
    sketch: S,
    *,
    ids: ArrayLike | None = None,
    values: ArrayLike | None = None,
    start: Count = 0,
    chunk: AtLeastOne = CHUNK,
    num_threads: int | None = None,
    progress: Progress = None,
) -> S:
    """Take an array in piece by piece, one that is larger than memory as well.

    Parameters
    ----------
    weights : array_like, shape (n,), or None
        The weights, for instance a ``numpy.memmap``. ``None`` means ones, and needs `ids`.
    sketch : Sketch
        Takes the items in.
    ids : array_like of int, shape (n,), optional
        Their ids; the indices 0, 1, ... by default.
    values : array_like, shape (n,), optional
        Numbers to find in the sample.
    start : int, default 0
        Where to begin: after an interruption, the number of items that were taken.
    chunk : int, default 524288
        How many items are read at a time.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

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
    TypeError
        If `sketch` is no sketch, or as in `Sketch.update`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import VarOpt, sketch_array
    >>> weights = np.ones(1_000_000, np.float32)
    >>> sketch_array(weights, VarOpt(100, rng=0), chunk=1000).total
    1000000.0
    """
    check_sketch(sketch)
    columns = {"ids": ids, "weights": weights, "values": values}
    given = {
        name: host(x, name, None if name == "ids" else "biuf")
        for name, x in columns.items()
        if x is not None
    }
    if ids is None and weights is None:
        raise ValueError("weights: must be given where ids are not")
    n = next(iter(given.values())).size
    for name, column in given.items():
        if column.shape != (n,):
            wanted = "(n,)" if column.ndim != 1 else f"({n},)"
            raise ValueError(f"{name}: must have shape {wanted}, got {column.shape}")
    start, chunk = count(start, "start", 0, n), count(chunk, "chunk", 1)
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


def check_sketch(sketch: Any) -> None:
    """Refuse what is no sketch.

    Examples
    --------
    >>> check_sketch(None)
    Traceback (most recent call last):
    TypeError: sketch: must be a BottomK, a PrioritySample or a VarOpt, got None
    """
    if not isinstance(sketch, Sketch):
        raise TypeError(
            f"sketch: must be a BottomK, a PrioritySample or a VarOpt, got {shown(sketch)}"
        )


def _native(
    kind: str, k: int, coordinated: bool, shard: int, stream: _core.Stream
) -> _core.select.sketch.Sketch:
    k, shard = SIZE.check(k, "k"), ENTITY.check(shard, "shard")
    if flag(coordinated, "coordinated") and shard != 0:
        raise ValueError(f"shard: must be 0 for a coordinated sketch, got {shard}")
    return _core.select.sketch.Sketch(kind, k, stream, None if coordinated else shard)
