"""Centres for k-means: the k-means++ family."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

import numpy as np

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import POSITIVE, Positive, count, items, one_of
from sortes._progress import Progress, reporter
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Method: TypeAlias = Literal["lazy", "exact", "rejection", "afkmc2", "parallel", "random"]
#: How many trials, rounds or steps of a chain have draws of their own.
_NAMES = 2**31
_Native: TypeAlias = "NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]"


@dataclass(frozen=True)
class SeedingStats:
    """What a seeding cost and what came of it.

    Attributes
    ----------
    trials : int
        Points that were proposed as centres, accepted or not.
    distance_evaluations : int
        Squared distances computed, those between centres included. The textbook's k-means++ takes
        ``n_samples * n_clusters``.
    refreshes : int
        Passes that brought the bounds of all points up to date.
    degenerate : int
        Centres filled in because every point coincided with one.
    distances : ndarray of float64, shape (n_samples,)
        The squared distance of each point to its nearest centre.
    labels : ndarray of int64, shape (n_samples,)
        The nearest centre of each point, the first among equals.
    inertia : float
        The sum of the distances, weighted if there are weights: the cost of the seeding.
    """

    trials: int
    distance_evaluations: int
    refreshes: int
    degenerate: int
    distances: NDArray[np.float64]
    labels: NDArray[np.int64]
    inertia: float


@overload
def kmeans_plusplus(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = ...,
    x_squared_norms: object = ...,
    random_state: Rng = ...,
    n_local_trials: int | None = ...,
    method: Method | None = ...,
    max_trials: int | None = ...,
    fallback: Literal["exact", "uniform"] = ...,
    chain_length: int = ...,
    oversampling_factor: Positive = ...,
    n_rounds: int = ...,
    on_degenerate: Literal["warn", "raise"] = ...,
    return_stats: Literal[False] = ...,
    progress: Progress = ...,
    num_threads: int | None = ...,
) -> tuple[NDArray[Any], NDArray[np.int64]]: ...
@overload
def kmeans_plusplus(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = ...,
    x_squared_norms: object = ...,
    random_state: Rng = ...,
    n_local_trials: int | None = ...,
    method: Method | None = ...,
    max_trials: int | None = ...,
    fallback: Literal["exact", "uniform"] = ...,
    chain_length: int = ...,
    oversampling_factor: Positive = ...,
    n_rounds: int = ...,
    on_degenerate: Literal["warn", "raise"] = ...,
    return_stats: Literal[True],
    progress: Progress = ...,
    num_threads: int | None = ...,
) -> tuple[NDArray[Any], NDArray[np.int64], SeedingStats]: ...
def kmeans_plusplus(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = None,
    x_squared_norms: object = None,
    random_state: Rng = None,
    n_local_trials: int | None = 1,
    method: Method | None = None,
    max_trials: int | None = None,
    fallback: Literal["exact", "uniform"] = "exact",
    chain_length: int = 200,
    oversampling_factor: Positive = 2.0,
    n_rounds: int = 5,
    on_degenerate: Literal["warn", "raise"] = "warn",
    return_stats: bool = False,
    progress: Progress = None,
    num_threads: int | None = None,
) -> Any:
    r"""Draw initial centres for k-means.

    The signature of `sklearn.cluster.kmeans_plusplus`, and a few arguments more.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n_samples, n_features)
        The points, finite. C-contiguous float32 and float64 arrays are read in place, memory maps
        included; other dense numbers are copied, float16 as float32 and the rest as float64.
        Sparse matrices are read as SciPy's CSR, and a copy is sorted if need be.
    n_clusters : int
        How many centres, in [1, n_samples].
    sample_weight : array_like, shape (n_samples,), optional
        Non-negative weights, some of them positive. A point without weight becomes a centre only if
        all that have one are centres.
    x_squared_norms : object, optional
        Accepted for the sake of scikit-learn's signature; nothing is made of it.
    random_state : int, RandomState, Generator, Stream, ..., optional
        Where the draws come from: anything that `sortes` takes as ``rng``.
    n_local_trials : int or None
        Candidates for each centre, of which the best is kept: 1 is k-means++, more is greedy
        k-means++; None is scikit-learn's default, ``2 + int(log(n_clusters))``.
    method : {"lazy", "exact", "rejection", "afkmc2", "parallel", "random"}, optional
        How the centres are drawn; "lazy" by default, or "exact" if there are local trials.

        - "lazy": the law of k-means++, by rejection from bounds that tighten. The quickest.
        - "exact": the law of k-means++, or greedy k-means++, from the distances of all points.
        - "rejection": the law of k-means++, by rejection from the norms (RS-k-means++).
        - "afkmc2": approximately the law of k-means++, by Markov chains (AFK-MC2); a chain may end
          at a centre, which is then returned twice.
        - "parallel": few rounds of many candidates, then greedy k-means++ of these (k-means||).
        - "random": distinct points in proportion to their weights.
    max_trials : int, optional
        Of "rejection": how many proposals there are for a centre before the fallback; by default,
        as many as it takes.
    fallback : {"exact", "uniform"}
        What happens then: the exact law from all distances, or, as in the paper, any point that is
        no centre yet, which is an approximation.
    chain_length : int
        Of "afkmc2": proposals for each centre.
    oversampling_factor : float
        Of "parallel": expected candidates of a round, as a multiple of `n_clusters`.
    n_rounds : int
        Of "parallel": how many rounds.
    on_degenerate : {"warn", "raise"}
        What happens if there are fewer distinct points than centres: the rest is filled with points
        that are no centres yet, each as likely (those with weight first), and a warning; or a
        ``ValueError``. "afkmc2" cannot tell.
    return_stats : bool
        Whether to return distances, labels and counts as well, for one more (short) pass.
    progress : bool or callable, optional
        True shows a bar; a callable gets the centres drawn and the centres in all.
    num_threads : int, optional
        Threads for passes over the data; no result depends on it.

    Returns
    -------
    centers : ndarray, shape (n_clusters, n_features)
        The centres, of the dtype of `X`.
    indices : ndarray of int64, shape (n_clusters,)
        Which points they are, in the order of the draws.
    stats : SeedingStats
        With `return_stats`.

    Raises
    ------
    ValueError
        If an argument is outside its domain, a value of `X` is NaN, infinite, or so large that its
        square leaves the range of float64, or a sparse matrix has columns out of range.
    TypeError
        If `X` does not hold numbers.
    MemoryError
        If a sparse matrix has so many columns that there is no room for one dense row.

    Notes
    -----
    With :math:`D(x)` the squared distance of a point to the nearest of the centres so far, the next
    one is drawn with :math:`P(x) = w_x D(x) / \sum_y w_y D(y)` (Arthur and Vassilvitskii,
    "k-means++: the advantages of careful seeding", SODA 2007). The expected cost of the seeding is
    at most :math:`8 (\ln k + 2)` times the best possible one.

    "lazy" keeps an upper bound :math:`b(x) \ge D(x)` for each point, first the distance to the
    first centre. It proposes points with probability :math:`w b / \sum w b`, computes the distance,
    lowers the bound to it and accepts with probability :math:`D / b`: the accepted point has the
    law above, whatever bounds have been lowered before. Centres whose distance to the point's own
    is too large to matter are passed over (by the triangle inequality), and when trials have cost
    a fifth of what a pass over all bounds would, there is one. "exact" is the same with a pass for
    each centre. Distances of float32 data are computed in float32 and added up in lanes;
    there, differences below 1e-19 may count as zero.

    Shah, Agrawal and Jaiswal, "A new rejection sampling approach to k-means++ with improved
    trade-offs" (arXiv:2502.02085); Bachem, Lucic, Hassani and Krause, "Fast and provably good
    seedings for k-means" (NeurIPS 2016); Bahmani, Moseley, Vattani, Kumar and Vassilvitskii,
    "Scalable k-means++" (VLDB 2012).

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import kmeans_plusplus
    >>> X = np.array([[0.0], [0.1], [9.0], [9.1]])
    >>> centers, indices = kmeans_plusplus(X, 2, random_state=3)
    >>> sorted(indices // 2)  # one of each pair
    [np.int64(0), np.int64(1)]
    >>> np.array_equal(centers, X[indices])
    True
    """
    points, native = _points(X)
    n = points.shape[0]
    k = count(n_clusters, "n_clusters", 1)
    if k > n:
        raise ValueError(f"n_clusters: must be in [1, {n}], the number of points, got {k}")
    if n_local_trials is None:
        n_local_trials = 2 + int(math.log(k))
    local_trials = count(n_local_trials, "n_local_trials", 1, _NAMES)
    if method is None:
        method = "lazy" if local_trials == 1 else "exact"
    one_of(method, "method", get_args(Method))
    if local_trials > 1 and method != "exact":
        raise ValueError(
            f"n_local_trials: must be 1 for method {method!r}, got {local_trials}; "
            "greedy k-means++ is method 'exact'"
        )
    one_of(fallback, "fallback", ("exact", "uniform"))
    one_of(on_degenerate, "on_degenerate", ("warn", "raise"))
    oversampling = POSITIVE.check(oversampling_factor, "oversampling_factor") * k
    if oversampling == math.inf:
        reason = f"must be finite times n_clusters, got {oversampling_factor}"
        raise ValueError(f"oversampling_factor: {reason}")
    stream = as_stream(random_state, name="random_state")
    weights = None if sample_weight is None else _weights(sample_weight, n)
    with reporter(progress, "k-means++") as callback:
        indices, trials, evaluations, refreshes, degenerate = _core.select.kmeans.seed(
            native,
            weights,
            k,
            method,
            stream.key,
            local_trials=local_trials,
            max_trials=None if max_trials is None else count(max_trials, "max_trials", 1, _NAMES),
            uniform_fallback=fallback == "uniform",
            chain_length=count(chain_length, "chain_length", 1, _NAMES),
            oversampling=oversampling,
            rounds=count(n_rounds, "n_rounds", 0, _NAMES),
            progress=callback,
            num_threads=num_threads,
        )
    if degenerate:
        message = (
            f"X: has only {k - degenerate} distinct points of positive weight, fewer than "
            f"n_clusters = {k}"
        )
        if on_degenerate == "raise":
            raise ValueError(message)
        warnings.warn(f"{message}; the rest are repeated", RuntimeWarning, stacklevel=2)
    picked = points[indices]
    centers = picked if isinstance(picked, np.ndarray) else picked.toarray()
    if not return_stats:
        return centers, indices
    distances, labels = _core.select.kmeans.assign(native, indices, num_threads=num_threads)
    inertia = float(distances.sum() if weights is None else distances @ weights)
    stats = SeedingStats(
        trials, evaluations, refreshes, degenerate, distances, labels.astype(np.int64), inertia
    )
    return centers, indices, stats


def kmeans_plusplus_init(
    X: Any, n_clusters: int, random_state: Rng = None, **options: Any
) -> NDArray[Any]:
    """Draw initial centres, as a callable for ``init=`` of scikit-learn's estimators.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n_samples, n_features)
        The points.
    n_clusters : int
        How many centres.
    random_state : int, RandomState, Generator, Stream, ..., optional
        Where the draws come from.
    **options
        Other arguments of `kmeans_plusplus`, by way of `functools.partial`.

    Returns
    -------
    ndarray, shape (n_clusters, n_features)
        The centres.

    Raises
    ------
    ValueError
        As in `kmeans_plusplus`.

    Notes
    -----
    For a callable, ``n_init="auto"`` means ten runs of k-means: say ``n_init=1``. Scikit-learn does
    not hand its sample weights on to a callable; where they matter, call `kmeans_plusplus` and give
    the centres to ``init=``.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import kmeans_plusplus_init
    >>> kmeans_plusplus_init(np.eye(3), 2, random_state=0).shape
    (2, 3)

    ``KMeans(n_clusters=8, init=kmeans_plusplus_init, n_init=1).fit(X)``
    """
    options["return_stats"] = False
    centers, _ = kmeans_plusplus(X, n_clusters, random_state=random_state, **options)
    return np.asarray(centers)


def _points(X: Any) -> tuple[Any, _Native]:
    """Return the matrix, whose rows can be picked, and what the kernels read."""
    if hasattr(X, "tocsr"):
        X = X.tocsr()
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(_wider("X", X.dtype))
        _shape(X.shape)
        return X, (X.indptr, X.indices, X.data, X.shape[1])
    x = np.asarray(X)
    if x.dtype not in (np.float32, np.float64) or not x.dtype.isnative:
        x = x.astype(_wider("X", x.dtype))
    _shape(x.shape)
    # A memory map is no copy, but its class would slow down every access.
    x = np.ascontiguousarray(x).view(np.ndarray)
    return x, x


def _wider(name: str, dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    if dtype.kind not in "biuf":
        raise TypeError(f"{name}: must hold real numbers, got {dtype}")
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def _shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X: must have shape (n_samples, n_features), neither zero, got {shape}")


def _weights(weights: ArrayLike, n: int) -> NDArray[np.float64]:
    w = vector_of(weights, "sample_weight", double=True)
    if w.shape != (n,):
        raise ValueError(f"sample_weight: must have shape ({n},), got {w.shape}")
    items((w >= 0) & (w < np.inf), w, "sample_weight", "is negative or not finite")
    if not w.any():
        raise ValueError("sample_weight: must have a positive item, all are zero")
    return w
