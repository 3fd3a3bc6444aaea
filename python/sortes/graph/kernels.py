"""Estimates of kernels of graphs, as products of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np

from sortes._arrays import host, integers_of
from sortes._check import FINITE, AtLeastOne, Domain, Positive, flag, several, shown
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.features import (
    HALT,
    Proposal,
    drawn,
    form_of,
    walks_of,
    warn_if_infinite,
)
from sortes.graph.series import POWER, Kernel, SeriesOptions, series_of
from sortes.graph.structure import Graph
from sortes.graph.walks import Coupling, Scheme, Termination

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from scipy.sparse import csc_array, csr_array

    from sortes._rng import Rng

#: How many pairs of sets of features make an estimate.
STITCHES: Final = Domain("[1, 64]", integer=True)
#: Rows of a kernel that are made at once.
_ROWS: Final = 256


def kernel_estimate(
    graph: Graph,
    *,
    kernel: Kernel | ArrayLike | None = None,
    d: Positive | None = None,
    p: Annotated[int, POWER] | None = None,
    c: Positive | None = None,
    sigma: Positive | None = None,
    modulation: ArrayLike | None = None,
    independent: bool = False,
    stitching: Annotated[int, STITCHES] = 1,
    num_walks: AtLeastOne = 16,
    p_halt: Annotated[float, HALT] = 0.1,
    coupling: Coupling = "repelling",
    scheme: Scheme | None = None,
    transient: bool | None = None,
    termination: Termination = "stratified",
    proposal: Proposal = "weighted",
    dtype: DTypeLike = np.float64,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> KernelEstimate:
    r"""Estimate a kernel of a graph, directed or not, by products of features.

    Parameters
    ----------
    graph : Graph
        The graph.
    kernel, d, p, c, sigma, modulation
        As in `graph_random_features`.
    independent : bool, default False
        Whether the two sides of the product have walks of their own. Then every entry is unbiased,
        but the estimate may have negative eigenvalues. Otherwise it has none, and its diagonal is
        too large. A directed graph always has walks of its own for each side.
    stitching : int, default 1
        The degree of stitching, in [1, 64]: how many pairs of sets of features are multiplied, each
        for the root of that degree of the kernel; see the notes.
    num_walks, p_halt
        As in `graph_random_features`: of each set of features.
    coupling, scheme, transient, termination, proposal, dtype
        As in `graph_random_features`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    KernelEstimate
        The estimate, for products with vectors.

    Raises
    ------
    ValueError, TypeError, MemoryError, ImportError
        As `graph_random_features`.

    Warns
    -----
    RuntimeWarning
        As `graph_random_features`.

    Notes
    -----
    Stitching of degree :math:`l` (GRFs++) multiplies :math:`2 l` sets of features, each for the
    modulation whose :math:`2 l`-fold convolution is the kernel. The walks of a set then need not
    reach as far: those of the next set go on where they ended.

    With ``independent=True`` the estimate is :math:`\Phi_1 \Phi_2^T \Phi_3 \Phi_4^T \cdots`, of
    :math:`2 l` independent sets, and its mean with its transpose: every entry is unbiased. Without
    it, it is :math:`\Psi \Psi^T` with :math:`\Psi = \Phi_1 \cdots \Phi_l`, and has no negative
    eigenvalues. For ``stitching=1`` only its diagonal is biased; for more, all of it is: its mean
    is :math:`E[\Psi \Psi^T]`, which exceeds the kernel by the covariance of the rows of
    :math:`\Psi`, that is by the order of ``1 / num_walks``.

    On a directed graph ``independent`` sets are used whatever is said, those of even number walk
    arcs from their ends, and the estimate is not symmetric, as the kernel is not.

    References
    ----------
    Choromanski, Dubey, Sehanobish and Reid, "Computationally-efficient graph modeling with refined
    graph random features", arXiv:2510.07716: stitching.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.graph import Graph, kernel_estimate
    >>> path = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> estimate = kernel_estimate(path, num_walks=64, rng=0)
    >>> np.allclose(estimate @ np.ones(3), estimate.toarray().sum(1))
    True
    """
    own = flag(independent, "independent")
    degree = STITCHES.check(stitching, "stitching")
    form = form_of("scipy", dtype)
    series = series_of(SeriesOptions(kernel, d, p, c, sigma, modulation), 2 * degree)
    coupled = (coupling, scheme, transient)
    walks = walks_of(graph, num_walks, p_halt, coupled, termination, proposal)
    sides = [walks, walks]
    if not _is_symmetric(graph):
        own = True
        sides[1] = walks_of(
            graph, num_walks, p_halt, coupled, termination, proposal, is_reversed=True
        )
    for side in {id(side): side for side in sides}.values():
        warn_if_infinite(series, side)
    stream = as_stream(rng, step)
    features = []
    for number in range(2 * degree if own else degree):
        with job_of(num_threads, progress, "nodes") as job:
            features.append(drawn(sides[number % 2], series, number, form, stream, job))
    return KernelEstimate(features, independent=own, symmetric=sides[0] is sides[1])


class KernelEstimate:
    """An estimate of a kernel, which is multiplied with vectors and never made.

    It has what ``scipy.sparse.linalg`` asks of a linear operator, so that its solvers take it.

    Parameters
    ----------
    features : sequence of csr_array, shape (num_nodes, num_nodes)
        Features of `graph_random_features`: one set, or what `kernel_estimate` stitches.
    independent : bool, default False
        Whether sets of odd and even number are the two sides of products: then there are as many of
        both. Otherwise each set is both.
    symmetric : bool, default True
        With `independent`: whether the estimate is the mean of the product and its transpose.

    Attributes
    ----------
    features : tuple of csr_array
        The features.
    shape : tuple of int
        ``(num_nodes, num_nodes)``.
    dtype : dtype
        float64.
    is_mean : bool
        Whether the estimate is the mean of the product of `factors` and its transpose.

    Raises
    ------
    ValueError
        If `features` are of different or no shape, or their number is odd for `independent`.
    TypeError
        If `features` are no sparse arrays, or an option is no truth value.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import cg
    >>> from sortes.graph import Graph, KernelEstimate, graph_random_features
    >>> path = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> estimate = KernelEstimate([graph_random_features(path, rng=0)])
    >>> x, info = cg(estimate, estimate @ np.array([1.0, 2.0, 3.0]))
    >>> x.round(3).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(
        self, features: Sequence[Any], *, independent: bool = False, symmetric: bool = True
    ) -> None:
        self.features = tuple(several(features, "features", "sparse arrays of features"))
        self._is_independent = flag(independent, "independent")
        self.is_mean = flag(symmetric, "symmetric") and self._is_independent
        for one in self.features:
            if not hasattr(one, "tocsr"):
                raise TypeError(f"features: must hold sparse arrays, got {shown(one)}")
            if one.shape != self.features[0].shape or one.shape[0] != one.shape[1]:
                raise ValueError(f"features: must all be square and alike, got {one.shape}")
        if not self.features:
            raise ValueError("features: must have at least one item, got none")
        if self._is_independent and len(self.features) % 2:
            count = len(self.features)
            raise ValueError(f"features: must be even in number if independent, got {count}")
        self.shape: tuple[int, int] = self.features[0].shape
        self.dtype = np.dtype(np.float64)

    @property
    def factors(self) -> list[csr_array | csc_array]:
        """The sparse arrays that are multiplied, the first on the left."""
        if self._is_independent:
            return [one.T if i % 2 else one for i, one in enumerate(self.features)]
        return [*self.features, *(one.T for one in reversed(self.features))]

    def __matmul__(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the product with a vector or a matrix."""
        x = self._columns(x)
        out = x
        for one in reversed(self.factors):
            out = one @ out
        if self.is_mean:
            out = 0.5 * (out + self._back(x))
        return np.asarray(out, np.float64)

    def _columns(self, x: ArrayLike) -> NDArray[np.float64]:
        """Check what the estimate is to be multiplied with."""
        x = np.require(host(x, "x"), np.float64)
        if x.ndim not in (1, 2) or x.shape[0] != self.shape[0]:
            wanted = f"({self.shape[0]},) or ({self.shape[0]}, k)"
            raise ValueError(f"x: must have shape {wanted}, got {x.shape}")
        FINITE.check_items(x, "x")
        return x

    def _back(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the product of the transpose of the chain."""
        for one in self.factors:
            x = one.T @ x
        return x

    def matvec(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the product with a vector.

        Parameters
        ----------
        x : array_like of float, shape (num_nodes,)
            The vector.

        Returns
        -------
        ndarray of float64, shape (num_nodes,)
            The product.

        Raises
        ------
        ValueError
            If `x` has another shape, or an item that is not finite.
        TypeError
            If `x` does not hold numbers.

        Examples
        --------
        >>> from sortes.graph import Graph, kernel_estimate
        >>> loop = Graph.from_edge_index([[0], [0]])
        >>> kernel_estimate(loop, kernel="p_step", rng=0).matvec([2.0]).shape
        (1,)
        """
        return self @ x

    def rmatvec(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the product of the transpose with a vector.

        Parameters
        ----------
        x : array_like of float, shape (num_nodes,)
            The vector.

        Returns
        -------
        ndarray of float64, shape (num_nodes,)
            The product.

        Raises
        ------
        ValueError
            If `x` has another shape, or an item that is not finite.
        TypeError
            If `x` does not hold numbers.

        Examples
        --------
        >>> from sortes.graph import Graph, kernel_estimate
        >>> arc = Graph.from_edge_index([[0, 1, 1], [1, 0, 1]])
        >>> kernel_estimate(arc, rng=0).rmatvec([1.0, 0.0]).shape
        (2,)
        """
        if self.is_mean or not self._is_independent:
            return self @ x
        return self._back(self._columns(x))

    def toarray(self, rows: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the estimate, or some rows of it, as a dense array.

        Parameters
        ----------
        rows : array_like of int, shape (n,), optional
            The nodes whose rows are wanted, in [0, num_nodes); by default all.

        Returns
        -------
        ndarray of float64, shape (n, num_nodes)
            The rows.

        Raises
        ------
        ValueError, TypeError
            If a row is out of range, or no integer.

        Examples
        --------
        >>> from sortes.graph import Graph, kernel_estimate
        >>> path = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> kernel_estimate(path, rng=0).toarray([2, 0]).shape
        (2, 3)
        """
        nodes = self.shape[0]
        wanted = np.arange(nodes)
        if rows is not None:
            wanted = integers_of(rows, "rows", Domain(f"[0, {nodes})", integer=True))
        out = np.empty((len(wanted), nodes))
        for begin in range(0, len(wanted), _ROWS):
            part = wanted[begin : begin + _ROWS]
            out[begin : begin + _ROWS] = self._rows(part)
        return out

    def _rows(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return some rows."""
        # Rows stay sparse up to the middle, and are dense from there on.
        chain = self.factors
        out = chain[0].tocsr()[rows].toarray().astype(np.float64, copy=False)
        for one in chain[1:]:
            out = out @ one
        if self.is_mean:
            back = chain[-1].T.tocsr()[rows].toarray().astype(np.float64, copy=False)
            for one in chain[-2::-1]:
                back = back @ one.T
            out = 0.5 * (out + back)
        return np.asarray(out)

    def diagonal(self) -> NDArray[np.float64]:
        """Return the diagonal.

        Returns
        -------
        ndarray of float64, shape (num_nodes,)
            The estimates of the entries of the diagonal.

        Examples
        --------
        >>> from sortes.graph import Graph, kernel_estimate
        >>> path = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> estimate = kernel_estimate(path, rng=0)
        >>> bool(abs(estimate.diagonal() - estimate.toarray().diagonal()).max() < 1e-12)
        True
        """
        chain = self.factors
        if len(chain) == 2:
            product = chain[0].tocsr().multiply(chain[1].T.tocsr()).sum(1)
            return np.asarray(product, np.float64).ravel()
        out = np.empty(self.shape[0])
        for begin in range(0, len(out), _ROWS):
            rows = np.arange(begin, min(begin + _ROWS, len(out)))
            out[rows] = self._rows(rows)[np.arange(len(rows)), rows]
        return out

    def __repr__(self) -> str:
        """Return what the estimate is made of."""
        return f"KernelEstimate(num_nodes={self.shape[0]}, num_sets={len(self.features)})"


def _is_symmetric(graph: Graph) -> bool:
    """Whether there is an arc back, of the same weight, for each arc."""
    indptr, targets, weights = graph.indptr, graph.indices, graph.weights
    sources = np.repeat(np.arange(graph.num_nodes), np.diff(indptr))
    there = np.lexsort((weights, targets, sources))
    back = np.lexsort((weights, sources, targets))
    return bool(
        np.array_equal(sources[there], targets[back])
        and np.array_equal(targets[there], sources[back])
        and np.array_equal(weights[there], weights[back])
    )
