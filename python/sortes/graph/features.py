"""Random features of the nodes of a graph, whose products estimate kernels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from sortes import _core
from sortes._check import AT_LEAST_1, AtLeastOne, Domain, Positive, one_of, shown
from sortes._optional import require
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.series import POWER, Kernel, Series, SeriesOptions, series_of
from sortes.graph.structure import Graph
from sortes.graph.walks import MOVES, Coupling, Scheme, Termination, repulsion_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from scipy.sparse import csr_array

    from sortes._rng import Rng

#: By what an arc is chosen.
Proposal: TypeAlias = Literal["weighted", "uniform"]
#: What holds a sparse matrix.
Layout: TypeAlias = Literal["scipy", "torch"]
#: The chance to halt before a move.
HALT: Final = Domain("(0, 1)")

_WIDE: Final = 2**31
#: Rounds of the power iteration.
_ROUNDS: Final = 30


def graph_random_features(
    graph: Graph,
    *,
    kernel: Kernel | ArrayLike | None = None,
    d: Positive | None = None,
    p: Annotated[int, POWER] | None = None,
    c: Positive | None = None,
    sigma: Positive | None = None,
    modulation: ArrayLike | None = None,
    num_walks: AtLeastOne = 16,
    p_halt: Annotated[float, HALT] = 0.1,
    coupling: Coupling = "repelling",
    scheme: Scheme | None = None,
    transient: bool | None = None,
    termination: Termination = "stratified",
    proposal: Proposal = "weighted",
    layout: Layout = "scipy",
    dtype: DTypeLike = np.float64,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> csr_array | torch.Tensor:
    r"""Draw random features of all nodes: products of them estimate a kernel.

    The kernel is a power series :math:`K = \sum_k \alpha_k U^k` of :math:`U = c D^{-1/2} A
    D^{-1/2}`. For two nodes, the product of their features has the entry of `K` as its mean.

    Parameters
    ----------
    graph : Graph
        The graph, undirected: each edge two arcs of one weight. For others, `kernel_estimate`.
    kernel : str or array_like of float, shape (n,), optional
        "diffusion", the default, ``exp(U)``; "d_regularised_laplacian", ``(I - U)**-d``; "p_step",
        ``(I + U)**p``; "cosine", ``cos(U) + sin(U)``; or up to 256 terms of the series, the first
        of them positive.
    d : float, optional
        Of "d_regularised_laplacian": the power, positive; by default 2.
    p : int, optional
        Of "p_step": the power, at least 1; by default 2.
    c : float, optional
        The factor of the matrix, positive: by default 0.5, and 1 for a `modulation`. It must be
        below 1 for "d_regularised_laplacian" and for "p_step" with an odd `p`, below pi / 4 for
        "cosine", and below the least modulus of a root of the series for an array.
    sigma : float, optional
        In the place of `c`, the length scale of "diffusion", ``exp(-sigma**2 / 2 * L)``, or of
        "d_regularised_laplacian", ``(I + sigma**2 * L)**-d``, with the Laplacian ``L = I - U / c``.
    modulation : array_like of float, shape (n,), optional
        In the place of a kernel, what a visit counts at each step; later ones count nothing.
    num_walks : int, default 16
        How many walks start from each node.
    p_halt : float, default 0.1
        A walker halts with this probability before each move, in (0, 1).
    coupling : {"iid", "repelling"}, default "repelling"
        Whether the walkers of one node repel each other.
    scheme, transient
        Of "repelling", as in `random_walks`.
    termination : {"iid", "antithetic", "stratified", "systematic"}, default "stratified"
        How the lengths of the walks of one node depend on each other, as in `random_walks`.
    proposal : {"weighted", "uniform"}, default "weighted"
        Whether walkers choose arcs by weight, or all arcs of a node alike.
    layout : {"scipy", "torch"}, default "scipy"
        What holds the result: a ``csr_array``, or a sparse CSR tensor.
    dtype : dtype, default float64
        float32 or float64: how sums are stored, which are of float64.
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
    csr_array or sparse tensor, shape (num_nodes, num_nodes)
        The features, one row for each node, columns in ascending order.

    Raises
    ------
    ValueError
        If the series diverges: the message says what `c` must be below. If an argument is out of
        its domain, or does not go with another; if `num_walks` is odd for "antithetic" lengths.
    TypeError
        If an argument is of a wrong type.
    MemoryError
        If there is no memory for the features: up to ``num_walks / p_halt`` entries of each node,
        12 bytes each, or 8 of float32.
    ImportError
        If SciPy or Torch is not installed.

    Warns
    -----
    RuntimeWarning
        If features have an infinite variance: `c` is too large for `p_halt`.

    Notes
    -----
    A walk of node `i` leaves at each node `v` that it visits, its start included, the load
    :math:`\prod U_{xy} / (P_{xy} (1 - p_{halt}))` of its moves so far, times the modulation
    :math:`f_t` of the step, where :math:`f * f = \alpha`; the feature of `i` at `v` is the mean
    over walks. Its mean is :math:`\sum_t f_t (U^t)_{iv}` under every coupling. The walks are those
    of ``random_walks(graph, p_halt=p_halt, num_walks=num_walks, ...)`` for the same `rng`, cut
    where all later :math:`f_t` are zero.

    Off its diagonal, ``features @ features.T`` is unbiased; entry `i` of the diagonal is too large
    by the variance of the feature of `i`. `kernel_estimate` makes estimates without that bias.

    A node without arcs has the feature :math:`f_0` at itself.

    The variance is finite if the spectral radius of :math:`U_{ij}^2 / (P_{ij} (1 - p_{halt}))`,
    times the squared limit of :math:`f_{t+1} / f_t`, is below 1: with arcs chosen by weight and
    "d_regularised_laplacian", if ``c**2 < 1 - p_halt``.

    References
    ----------
    Choromanski, "Taming graph kernels with random features", ICML 2023, arXiv:2305.00156. Reid,
    Choromanski, Berger and Weller, "General graph random features", ICLR 2024, arXiv:2310.04859.
    Reid, Berger, Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.graph import Graph, graph_random_features
    >>> there, back = [0, 1, 2, 3], [1, 2, 3, 0]
    >>> ring = Graph.from_edge_index([there + back, back + there])
    >>> features = graph_random_features(ring, num_walks=4096, rng=0)
    >>> features.shape
    (4, 4)
    >>> U = 0.25 * np.array([[0, 1, 0, 1], [1, 0, 1, 0]] * 2)
    >>> K = np.eye(4) + U + U @ U / 2 + U @ U @ U / 6
    >>> bool(np.abs((features @ features.T).toarray() - K).max() < 0.01)
    True
    """
    series = series_of(SeriesOptions(kernel, d, p, c, sigma, modulation))
    walks = walks_of(graph, num_walks, p_halt, (coupling, scheme, transient), termination, proposal)
    form = form_of(layout, dtype)
    warn_if_infinite(series, walks)
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "nodes") as job:
        return drawn(walks, series, 0, form, stream, job)


def walk_visits(
    graph: Graph,
    *,
    walk_length: Annotated[int, MOVES] | None = None,
    num_walks: AtLeastOne = 16,
    p_halt: Annotated[float, HALT] = 0.1,
    coupling: Coupling = "repelling",
    scheme: Scheme | None = None,
    transient: bool | None = None,
    termination: Termination = "stratified",
    proposal: Proposal = "weighted",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Visits:
    """Draw walks from all nodes, and keep what they leave where they come.

    Features of any kernel follow without new walks, so that a modulation can be learned.

    Parameters
    ----------
    graph : Graph
        The graph.
    walk_length : int, optional
        How many moves a walk makes at most, in [0, 2**31).
    num_walks, p_halt
        As in `graph_random_features`.
    coupling, scheme, transient, termination, proposal
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
    Visits
        The visits, for each start in order of node and step.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `graph_random_features`; a visit takes 16 bytes.

    Examples
    --------
    >>> from sortes.graph import Graph, walk_visits
    >>> edge = Graph.from_edge_index([[0, 1], [1, 0]])
    >>> walk_visits(edge, num_walks=2, rng=0)
    Visits(num_nodes=2, num_visits=30)
    """
    most = None if walk_length is None else MOVES.check(walk_length, "walk_length")
    walks = walks_of(graph, num_walks, p_halt, (coupling, scheme, transient), termination, proposal)
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "nodes") as job:
        offsets, keys, loads = _core.graph.features.visits(
            walks.graph._native, walks.told(0, most), walks.factors, stream, job
        )
    return Visits(offsets, keys, loads)


@dataclass(frozen=True, eq=False, repr=False)
class Visits:
    """What walkers have left where they came; from `walk_visits`.

    Attributes
    ----------
    load : ndarray of float64, shape (n,)
        What the walks of a start have left at a node at a step, divided by their number. It does
        not depend on `c`.

    Notes
    -----
    With a modulation `f`, the feature of node `i` at `v` is the sum of ``f[t] * c**t * load`` over
    the visits from `i` at `v`.
    """

    _offsets: NDArray[np.int64]
    _keys: NDArray[np.uint64] = field(compare=False)
    load: NDArray[np.float64] = field(compare=False)

    @property
    def num_nodes(self) -> int:
        """How many nodes there are."""
        return len(self._offsets) - 1

    @property
    def start(self) -> NDArray[np.int64]:
        """Where the walks of each visit started: a new array."""
        return np.repeat(np.arange(self.num_nodes), np.diff(self._offsets))

    @property
    def node(self) -> NDArray[np.int64]:
        """The node of each visit: a new array."""
        return (self._keys >> np.uint64(32)).astype(np.int64)

    @property
    def step(self) -> NDArray[np.int64]:
        """How many moves led to each visit: a new array."""
        return (self._keys & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def features(
        self,
        *,
        kernel: Kernel | ArrayLike | None = None,
        d: Positive | None = None,
        p: Annotated[int, POWER] | None = None,
        c: Positive | None = None,
        sigma: Positive | None = None,
        modulation: ArrayLike | None = None,
        layout: Layout = "scipy",
        dtype: DTypeLike = np.float64,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> csr_array | torch.Tensor:
        """Return the features of a kernel: those of `graph_random_features`, to the last bit.

        Parameters
        ----------
        kernel, d, p, c, sigma, modulation
            As in `graph_random_features`.
        layout, dtype
            As in `graph_random_features`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        csr_array or sparse tensor, shape (num_nodes, num_nodes)
            The features, one row for each node.

        Raises
        ------
        ValueError, TypeError, MemoryError, ImportError
            As `graph_random_features`.

        Examples
        --------
        >>> from sortes.graph import Graph, graph_random_features, walk_visits
        >>> graph = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> visits = walk_visits(graph, rng=0)
        >>> new = visits.features(kernel="p_step")
        >>> old = graph_random_features(graph, kernel="p_step", rng=0)
        >>> (new != old).nnz
        0
        """
        series = series_of(SeriesOptions(kernel, d, p, c, sigma, modulation))
        form = form_of(layout, dtype)
        longest = int(self.step.max()) + 1 if len(self._keys) else 1
        with job_of(num_threads, progress, "nodes") as job:
            rows = _core.graph.features.of_visits(
                self._offsets,
                self._keys,
                self.load,
                series.terms_up_to(longest),
                self.num_nodes > _WIDE,
                form.is_single,
                job,
            )
        return form.matrix(self.num_nodes, rows)

    def __repr__(self) -> str:
        """Return how many visits there are."""
        return f"Visits(num_nodes={self.num_nodes}, num_visits={len(self._keys)})"


class WalksOfFeatures(NamedTuple):
    """Walks whose visits make features, once what was said of them has been checked.

    Attributes
    ----------
    graph : Graph
        What is walked.
    factors : ndarray or None
        What the load is multiplied by at each arc; see the native module.
    num_walks, p_halt, termination, repulsion
        What the native module is told.
    """

    graph: Graph
    factors: NDArray[np.float64] | None
    num_walks: int
    p_halt: float
    termination: str
    repulsion: tuple[str, bool, bool] | None

    def told(self, number: int, most: int | None) -> tuple[Any, ...]:
        """Return what the native module is told of one set of walks."""
        return number, *self[2:], most


class Form(NamedTuple):
    """What holds features."""

    layout: str
    is_single: bool

    def matrix(self, nodes: int, rows: tuple[Any, Any, Any]) -> Any:
        """Return a sparse matrix of offsets, columns and numbers."""
        offsets, columns, numbers = rows
        if self.layout == "torch":
            return as_tensor(offsets, columns, numbers, nodes)
        if offsets[-1] < _WIDE and columns.dtype == np.int32:
            offsets = offsets.astype(np.int32)
        elif columns.dtype == np.int32:
            columns = columns.astype(np.int64)
        matrix = require("scipy.sparse", "scipy").csr_array(
            (numbers, columns, offsets), shape=(nodes, nodes)
        )
        matrix.has_canonical_format = True
        return matrix


def as_tensor(
    offsets: NDArray[Any], columns: NDArray[Any], numbers: NDArray[Any], nodes: int
) -> Any:
    """Return rows of numbers as a sparse tensor of Torch."""
    torch = require("torch", "torch")
    offsets, columns = offsets.astype(np.int64), columns.astype(np.int64)
    parts = map(torch.from_numpy, (offsets, columns, numbers))
    with warnings.catch_warnings():  # that this layout is new, and that nobody checks it
        warnings.filterwarnings("ignore", "Sparse", UserWarning)
        return torch.sparse_csr_tensor(*parts, size=(nodes, nodes))


def form_of(layout: Any, dtype: Any) -> Form:
    """Check what is to hold features."""
    one_of(layout, "layout", ("scipy", "torch"))
    try:
        wanted = np.dtype(dtype)
    except Exception:  # whatever NumPy raises of what is none
        wanted = np.dtype(object)
    if dtype is None or wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"dtype: must be float32 or float64, got {shown(dtype)}")
    require("torch", "torch") if layout == "torch" else require("scipy.sparse", "scipy")
    return Form(layout, wanted.itemsize == 4)


def walks_of(
    graph: Any,
    num_walks: Any,
    p_halt: Any,
    coupling: tuple[Any, Any, Any],
    termination: Any,
    proposal: Any,
    *,
    is_reversed: bool = False,
) -> WalksOfFeatures:
    """Check what is said of walks; `is_reversed` are those along arcs from their ends."""
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: must be a sortes.graph.Graph, got {shown(graph)}")
    one_of(termination, "termination", ("iid", "antithetic", "stratified", "systematic"))
    one_of(proposal, "proposal", ("weighted", "uniform"))
    count = AT_LEAST_1.check(num_walks, "num_walks")
    halt = HALT.check(p_halt, "p_halt")
    name, scheme, transient = coupling
    repulsion = repulsion_of(name, scheme, None, transient)
    if termination == "antithetic" and count % 2:
        raise ValueError(f"num_walks: must be even for termination 'antithetic', got {count}")
    by_weight = graph.is_weighted and proposal == "weighted"
    if by_weight and scheme == "rotation":
        raise ValueError("scheme: must be 'auto' for arcs with weights, got 'rotation'")
    walked, factors = graph, None
    if is_reversed or (graph.is_weighted and not by_weight):
        walked, factors = _with_factors(graph, by_weight, is_reversed)
    return WalksOfFeatures(walked, factors, count, halt, termination, repulsion)


def _with_factors(
    graph: Graph, by_weight: bool, is_reversed: bool
) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph to walk, and the entries of the matrix over the chances of its arcs."""
    indptr, targets, weights = graph.indptr, graph.indices, graph.weights
    nodes = graph.num_nodes
    sources = np.repeat(np.arange(nodes), np.diff(indptr))
    roots = np.sqrt(np.bincount(sources, weights, nodes))
    if is_reversed:
        order = np.lexsort((sources, targets))
        sources, targets, weights = targets[order], sources[order], weights[order]
        indptr = np.append(0, np.cumsum(np.bincount(sources, minlength=nodes)))
    walked = Graph.from_csr(indptr, targets, weights if by_weight else None)
    below = roots[sources] * roots[targets]
    sums = np.bincount(sources, weights if by_weight else None, nodes)
    chances = (weights if by_weight else 1.0) / sums[sources]
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(below > 0, weights / below / chances, 0.0)
    return walked, factors


def warn_if_infinite(series: Series, walks: WalksOfFeatures) -> None:
    """Warn where the variance of features is infinite."""
    if series.growth == 0.0 or not walks.graph.num_edges:
        return
    # Where arcs are taken by weight, the matrix is similar to that of the walk, times this.
    radius = (series.growth * series.c) ** 2
    if walks.factors is not None:
        radius *= _radius(walks.graph, walks.factors)
    if radius >= 1.0 - walks.p_halt:
        better = f"a p_halt below {1 - radius:.4g} or " if radius < 1 else ""
        found = radius / (1.0 - walks.p_halt)
        warnings.warn(
            f"c: features have an infinite variance: the spectral radius of their second moments"
            f" is {found:.4g}, not below 1; take {better}a smaller c",
            RuntimeWarning,
            stacklevel=3,
        )


def _radius(graph: Graph, factors: NDArray[np.float64]) -> float:
    """Return the spectral radius of the second moments of the factors of a move, by iteration."""
    nodes, indptr, targets = graph.num_nodes, graph.indptr, graph.indices
    sources = np.repeat(np.arange(nodes), np.diff(indptr))
    weights = graph.weights
    entries = factors**2 * weights / np.bincount(sources, weights, nodes)[sources]
    x, radius = np.ones(nodes), 0.0
    for _ in range(_ROUNDS):
        # Half of the identity, so that a bipartite graph does not swing.
        y = 0.5 * x + 0.5 * np.bincount(sources, entries * x[targets], nodes)
        radius = float(np.linalg.norm(y) / np.linalg.norm(x))
        x = y / np.linalg.norm(y)
    return max(2 * radius - 1, 0.0)


def drawn(
    walks: WalksOfFeatures,
    series: Series,
    number: int,
    form: Form,
    stream: _core.Stream,
    job: Any,
) -> Any:
    """Return one set of features; sets of different numbers are independent."""
    rows = _core.graph.features.of_walks(
        walks.graph._native,
        walks.told(number, None),
        walks.factors,
        series.terms_up_to(_longest(walks.p_halt)),
        walks.graph.num_nodes > _WIDE,
        form.is_single,
        stream,
        job,
    )
    return form.matrix(walks.graph.num_nodes, rows)


def _longest(p_halt: float) -> int:
    """Return how many nodes no walk ever has: its chance is below the least number there is."""
    return int(min(750.0 / -np.log1p(-p_halt), 2.0**31 - 2)) + 1
