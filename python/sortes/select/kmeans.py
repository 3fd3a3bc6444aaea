"""Centres for k-means: the k-means++ family."""

from __future__ import annotations

import math
import warnings
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
    TypedDict,
    Unpack,
    get_args,
    overload,
)

import numpy as np

from sortes import _core
from sortes._arrays import host, vector_of
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Domain, Positive, flag, one_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Method: TypeAlias = Literal["lazy", "exact", "rejection", "afkmc2", "parallel", "random"]
#: How many trials, steps of a chain or rounds have draws of their own.
TRIALS = Domain("[1, 2**31]", integer=True)
Trials: TypeAlias = Annotated[int, TRIALS]
ROUNDS = Domain("[0, 2**31]", integer=True)
Rounds: TypeAlias = Annotated[int, ROUNDS]

#: The method that each option belongs to.
_METHOD_OF = {
    "max_trials": "rejection",
    "fallback": "rejection",
    "chain_length": "afkmc2",
    "oversampling_factor": "parallel",
    "n_rounds": "parallel",
}
_Native: TypeAlias = "NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]"
_Centres: TypeAlias = "NDArray[np.floating[Any]]"


class SeedingStats(NamedTuple):
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

    def __eq__(self, other: object) -> bool:
        """Whether it is the same object: arrays have no single answer."""
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


class SeedingOptions(TypedDict, total=False):
    """The options of `kmeans_plusplus`, beside `return_stats`."""

    sample_weight: ArrayLike | None
    x_squared_norms: ArrayLike | None
    n_local_trials: Trials | None
    method: Method | None
    max_trials: Trials | None
    fallback: Literal["exact", "uniform"] | None
    chain_length: Trials | None
    oversampling_factor: Positive | None
    n_rounds: Rounds | None
    on_degenerate: Literal["warn", "raise"]
    random_state: Rng
    step: int
    num_threads: int | None
    progress: Progress


@overload
def kmeans_plusplus(
    X: Any,
    n_clusters: AtLeastOne,
    *,
    return_stats: Literal[False] = ...,
    **options: Unpack[SeedingOptions],
) -> tuple[_Centres, NDArray[np.int64]]: ...
@overload
def kmeans_plusplus(
    X: Any,
    n_clusters: AtLeastOne,
    *,
    return_stats: Literal[True],
    **options: Unpack[SeedingOptions],
) -> tuple[_Centres, NDArray[np.int64], SeedingStats]: ...
def kmeans_plusplus(
    X: Any,
    n_clusters: AtLeastOne,
    *,
    sample_weight: ArrayLike | None = None,
    x_squared_norms: ArrayLike | None = None,
    n_local_trials: Trials | None = 1,
    method: Method | None = None,
    max_trials: Trials | None = None,
    fallback: Literal["exact", "uniform"] | None = None,
    chain_length: Trials | None = None,
    oversampling_factor: Positive | None = None,
    n_rounds: Rounds | None = None,
    on_degenerate: Literal["warn", "raise"] = "warn",
    return_stats: bool = False,
    random_state: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> tuple[_Centres, NDArray[np.int64]] | tuple[_Centres, NDArray[np.int64], SeedingStats]:
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
    x_squared_norms : array_like, shape (n_samples,), optional
        Accepted for the sake of scikit-learn's signature; only its shape is looked at.
    n_local_trials : int or None, default 1
        Candidates for each centre, of which the best is kept: 1 is k-means++, more is greedy
        k-means++, for "exact" alone; None is scikit-learn's default,
        ``2 + int(log(n_clusters))``.
    method : {"lazy", "exact", "rejection", "afkmc2", "parallel", "random"}, optional
        How the centres are drawn, see the table below; "lazy" by default, or "exact" if there are
        local trials.
    max_trials : int, optional
        Of "rejection": the proposals for a centre before the fallback; by default, as many as it
        takes.
    fallback : {"exact", "uniform"}, optional
        Of "rejection" with `max_trials`: what happens then, by default the exact law from all
        distances; or, as in the paper, any point that is no centre yet, which is an approximation.
    chain_length : int, optional
        Of "afkmc2": proposals for each centre, by default 200.
    oversampling_factor : float, optional
        Of "parallel": expected candidates of a round, as a multiple of `n_clusters`; by default 2.
    n_rounds : int, optional
        Of "parallel": how many rounds, by default 5.
    on_degenerate : {"warn", "raise"}, default "warn"
        What happens if there are fewer distinct points than centres: the rest is filled with points
        that are no centres yet, each as likely (those with weight first), and a warning; or a
        ``ValueError``. "afkmc2" cannot tell.
    return_stats : bool, default False
        Whether to return distances, labels and counts as well, for one more (short) pass.
    random_state : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts centres.

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
        If an argument is outside its domain or not one of the method's, a value of `X` is NaN,
        infinite, or so large that its square leaves the range of float64, or a sparse matrix has
        columns out of range.
    TypeError
        If `X` does not hold numbers, or is masked.
    MemoryError
        If there is no memory for the distances, or for one dense row of a sparse matrix.

    Notes
    -----
    With $D(x)$ the squared distance of a point to the nearest of the centres so far, the next one
    is drawn with $P(x) = w_x D(x) / \sum_y w_y D(y)$ (Arthur and Vassilvitskii, 2007). The expected
    cost of the seeding is at most $8 (\ln k + 2)$ times the best possible one.

    ===========  ============================================  =================================
    method       law                                           options
    ===========  ============================================  =================================
    "lazy"       k-means++, by rejection from bounds that      none
                 tighten: the quickest
    "exact"      k-means++, or greedy k-means++, from the      `n_local_trials`
                 distances of all points
    "rejection"  k-means++, by rejection from the norms        `max_trials`, `fallback`
                 (RS-k-means++; Shah et al., 2025)
    "afkmc2"     approximately k-means++, by Markov chains     `chain_length`
                 (AFK-MC2; Bachem et al., 2016); a chain may
                 end at a centre, which comes twice then
    "parallel"   few rounds of many candidates, then greedy    `oversampling_factor`, `n_rounds`
                 k-means++ of these (k-means||; Bahmani et
                 al., 2012)
    "random"     distinct points in proportion to their        none
                 weights
    ===========  ============================================  =================================

    "lazy" keeps an upper bound $b(x) \ge D(x)$ for each point, first the distance to the first
    centre. It proposes points with probability $w b / \sum w b$, computes the distance, lowers the
    bound to it and accepts with probability $D / b$: the accepted point has the law above, whatever
    bounds have been lowered before. Centres whose distance to the point's own is too large to
    matter are passed over (by the triangle inequality), and when trials have cost a fifth of what a
    pass over all bounds would, there is one. "exact" is the same with a pass for each centre.
    Distances of float32 data are computed in float32 and added up in lanes; there, differences
    below 1e-19 may count as zero.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Shah, Agrawal and Jaiswal, "A new rejection sampling approach to k-means++ with improved
    trade-offs", 2025, arXiv:2502.02085.

    Bachem, Lucic, Hassani and Krause, "Fast and provably good seedings for k-means", NIPS 2016.

    Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, "Scalable k-means++", VLDB 2012.

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
    k = AT_LEAST_1.check(n_clusters, "n_clusters")
    given = {
        "max_trials": max_trials,
        "fallback": fallback,
        "chain_length": chain_length,
        "oversampling_factor": oversampling_factor,
        "n_rounds": n_rounds,
    }
    how = _method(method, n_local_trials, k, given)
    weights = None
    if sample_weight is not None:
        weights = vector_of(sample_weight, "sample_weight", double=True)
    if x_squared_norms is not None:
        norms = vector_of(x_squared_norms, "x_squared_norms")
        if norms.shape != (points.shape[0],):
            expected = f"({points.shape[0]},)"
            raise ValueError(f"x_squared_norms: must have shape {expected}, got {norms.shape}")
    one_of(on_degenerate, "on_degenerate", ("warn", "raise"))
    return_stats = flag(return_stats, "return_stats")
    stream = as_stream(random_state, step, name="random_state")
    with job_of(num_threads, progress, "k-means++") as job:
        indices, counts, nearest = _core.select.kmeans.seed(
            native, k, how, weights, stream, return_stats, job
        )
    if degenerate := counts[-1]:
        message = (
            f"X: has only {k - degenerate} distinct points of positive weight, fewer than "
            f"n_clusters = {k}"
        )
        if on_degenerate == "raise":
            raise ValueError(message)
        warnings.warn(f"{message}; the rest are repeated", RuntimeWarning, stacklevel=2)
    picked = points[indices]
    centers = picked if isinstance(picked, np.ndarray) else picked.toarray()
    if nearest is None:
        return centers, indices
    distances, labels = nearest
    inertia = float(distances.sum() if weights is None else distances @ weights)
    stats = SeedingStats(*counts, distances, labels.astype(np.int64), inertia)
    return centers, indices, stats


def kmeans_plusplus_init(
    X: Any, n_clusters: AtLeastOne, **options: Unpack[SeedingOptions]
) -> _Centres:
    """Draw initial centres, as a callable for ``init=`` of scikit-learn's estimators.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n_samples, n_features)
        The points.
    n_clusters : int
        How many centres.
    **options
        Other arguments of `kmeans_plusplus`: scikit-learn gives `random_state`, users the others by
        way of `functools.partial`.

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
    centers, _ = kmeans_plusplus(X, n_clusters, **options)
    return centers


def _method(method: Any, n_local_trials: Any, k: int, given: dict[str, Any]) -> Any:
    """Return the name of the method and its options; refuse those of others."""
    if n_local_trials is None:
        n_local_trials = 2 + int(math.log(k))
    local_trials = TRIALS.check(n_local_trials, "n_local_trials")
    if method is None:
        method = "lazy" if local_trials == 1 else "exact"
    one_of(method, "method", get_args(Method))
    if local_trials > 1 and method != "exact":
        raise ValueError(
            f"n_local_trials: must be 1 for method {method!r}, got {local_trials}; "
            "greedy k-means++ is method 'exact'"
        )
    for name, value in given.items():
        if value is not None and method != (owner := _METHOD_OF[name]):
            raise ValueError(f"{name}: is for method {owner!r} alone, got method {method!r}")
    if method == "exact":
        return method, local_trials
    if method == "rejection":
        fallback = "exact" if given["fallback"] is None else given["fallback"]
        one_of(fallback, "fallback", ("exact", "uniform"))
        if given["max_trials"] is not None:
            return method, TRIALS.check(given["max_trials"], "max_trials"), fallback
        if given["fallback"] is not None:
            raise ValueError("fallback: must not be given without max_trials")
        return method, None, fallback
    if method == "afkmc2":
        return method, TRIALS.check(_or(given["chain_length"], 200), "chain_length")
    if method == "parallel":
        factor = POSITIVE.check(_or(given["oversampling_factor"], 2.0), "oversampling_factor")
        if factor * k == math.inf:
            reason = f"must be finite times n_clusters, got {factor}"
            raise ValueError(f"oversampling_factor: {reason}")
        return method, factor * k, ROUNDS.check(_or(given["n_rounds"], 5), "n_rounds")
    return (method,)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _points(X: Any) -> tuple[Any, _Native]:
    """Return the matrix, whose rows can be picked, and what the kernels read."""
    if hasattr(X, "tocsr"):
        X = X.tocsr()
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(_wider(X.dtype))
        _check_shape(X.shape)
        return X, (X.indptr, X.indices, X.data, X.shape[1])
    x = host(X, "X")
    if x.dtype not in (np.float32, np.float64) or not x.dtype.isnative:
        x = x.astype(_wider(x.dtype))
    _check_shape(x.shape)
    x = np.ascontiguousarray(x)
    return x, x


def _wider(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    if dtype.kind not in "biuf":
        raise TypeError(f"X: must hold numbers, got {dtype}")
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"X: must have shape (n_samples, n_features), neither zero, got {shape}")
