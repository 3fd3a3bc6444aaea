"""Ising models: spins of -1 and 1."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._arrays import host, numbers_of
from sortes._check import FINITE as FINITE_NUMBERS
from sortes._check import AtLeastOne, Count, Finite, real, shown
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress
from sortes._rng import Rng
from sortes.mcmc._grids import pairs_of, rectangle
from sortes.mcmc._runs import Init
from sortes.mcmc.spins import (
    Method,
    Order,
    SpinModel,
    SpinTrace,
    fixed,
    on_grid,
    set_up,
    sites_of,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class IsingModel(SpinModel):
    r"""Spins of -1 and 1 on a graph, with couplings and fields.

    The law is $p(s) \propto e^{-\beta E(s)}$ with $E(s) = -\sum_{ij} J_{ij} s_i s_j - \sum_i h_i
    s_i$: neighbours with a positive coupling tend to agree.

    Parameters
    ----------
    edges : array_like of int, shape (m, 2)
        Pairs of neighbours. Those given several times add up; a site is no neighbour of itself.
    J : float or array_like, shape (m,), default 1.0
        The couplings, finite.
    h : float or array_like, shape (num_sites,), default 0.0
        The fields, finite.
    beta : float, default 1.0
        The inverse temperature, finite; below zero, everything is reversed.
    num_sites : int, optional
        How many sites there are: as many as `h` has, or one more than the largest in `edges`.

    Attributes
    ----------
    edges : ndarray of int64, shape (m, 2)
        The pairs of neighbours.
    J : ndarray of float64, shape (m,)
        The couplings.
    h : ndarray of float64, shape (num_sites,)
        The fields.
    beta : float
        The inverse temperature.
    labels : tuple or None
        What the graph or the quadratic model calls the sites, if not 0, 1, ...

    Raises
    ------
    ValueError
        If shapes do not fit, a site is out of range, an edge is a loop, or a number is not finite.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> from sortes.mcmc import IsingModel
    >>> model = IsingModel([[0, 1], [1, 2]], J=[1.0, -1.0], h=0.1)
    >>> model
    IsingModel(3 sites, 2 edges, beta=1.0)
    >>> round(model.energy([1, 1, -1]), 3)
    -2.1
    """

    labels: tuple[Hashable, ...] | None = None

    def __init__(
        self,
        edges: ArrayLike,
        J: ArrayLike = 1.0,
        h: ArrayLike = 0.0,
        *,
        beta: Finite = 1.0,
        num_sites: AtLeastOne | None = None,
    ) -> None:
        pairs = pairs_of(edges)
        fields = numbers_of(h, "h", FINITE_NUMBERS)
        given = len(fields) if fields.ndim else None
        sites = sites_of(pairs, num_sites, given, "h")
        set_up(self, pairs, numbers_of(J, "J", FINITE_NUMBERS, rows=len(pairs)), beta)
        self.h = np.broadcast_to(fixed(fields), (sites,))

    @classmethod
    def grid(
        cls,
        shape: Sequence[int],
        J: Finite = 1.0,
        h: Finite = 0.0,
        *,
        periodic: bool | Sequence[bool] = True,
        beta: Finite = 1.0,
    ) -> IsingModel:
        """Make a rectangle of any dimension, all of whose sites are alike.

        Parameters
        ----------
        shape : sequence of int
            How many sites each axis has. Sites are numbered row by row.
        J : float, default 1.0
            The coupling of neighbours.
        h : float, default 0.0
            The field.
        periodic : bool or sequence of bool, default True
            Whether the last sites of an axis are neighbours of the first; ignored where an axis has
            two sites, which are neighbours anyway, or one.
        beta : float, default 1.0
            The inverse temperature.

        Returns
        -------
        IsingModel
            The model. In two dimensions, where periodic axes have even lengths, heat bath in
            ``order="colored"`` works on 64 spins at once.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> from sortes.mcmc import IsingModel
        >>> IsingModel.grid((4, 6), beta=0.44)
        IsingModel(24 sites, 48 edges, beta=0.44)
        """
        sizes, wraps = rectangle(shape, periodic)
        coupling, field = real(J, "J", FINITE_NUMBERS), real(h, "h", FINITE_NUMBERS)
        model = cls((), h=field, beta=beta, num_sites=math.prod(sizes))
        on_grid(model, sizes, wraps, coupling)
        even = all(not wrap or size % 2 == 0 for size, wrap in zip(sizes, wraps, strict=True))
        if len(sizes) == 2 and even:
            model._lattice = ((sizes[0], sizes[1]), (wraps[0], wraps[1]), coupling, field)
        return model

    @classmethod
    def from_networkx(
        cls,
        graph: Any,
        *,
        weight: str | None = "weight",
        field: str | None = "field",
        beta: Finite = 1.0,
    ) -> IsingModel:
        """Make a model of a graph of NetworkX.

        Parameters
        ----------
        graph : networkx.Graph
            The graph, undirected.
        weight : str, optional
            The attribute of edges that holds their coupling; an edge without it has coupling 1.
        field : str, optional
            The attribute of nodes that holds their field; a node without it has field 0.
        beta : float, default 1.0
            The inverse temperature.

        Returns
        -------
        IsingModel
            The model: site `i` is ``list(graph.nodes)[i]``, and `labels` holds the nodes.

        Raises
        ------
        ValueError
            If the graph is directed, has a loop or no nodes, or a number is not finite.
        TypeError
            If it is no graph of NetworkX, or a coupling or a field is no number.

        Examples
        --------
        >>> import networkx as nx
        >>> from sortes.mcmc import IsingModel
        >>> IsingModel.from_networkx(nx.petersen_graph(), beta=0.5)
        IsingModel(10 sites, 15 edges, beta=0.5)
        """
        if not all(hasattr(graph, name) for name in ("nodes", "edges", "is_directed")):
            raise TypeError(f"graph: must be a graph of NetworkX, got {shown(graph)}")
        if graph.is_directed():
            raise ValueError(f"graph: must be undirected, got {shown(graph)}")
        for name, value in (("weight", weight), ("field", field)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name}: must be a string or None, got {shown(value)}")
        labels = tuple(graph.nodes)
        index = {label: i for i, label in enumerate(labels)}
        edges = list(graph.edges(data=weight, default=1.0) if weight else graph.edges())
        fields = [0.0] * len(labels)
        if field:
            fields = [data.get(field, 0.0) for _, data in graph.nodes(data=True)]
        pairs = [(index[edge[0]], index[edge[1]]) for edge in edges]
        couplings = [edge[2] for edge in edges] if weight else 1.0
        return _labelled(cls, "graph", pairs, couplings, fields, beta, labels)

    @classmethod
    def from_scipy(cls, matrix: Any, h: ArrayLike = 0.0, *, beta: Finite = 1.0) -> IsingModel:
        """Make a model of a sparse matrix of couplings.

        Parameters
        ----------
        matrix : sparse array or matrix, shape (n, n)
            The couplings, symmetric, without a diagonal: item (i, j) is that of sites i and j.
        h : float or array_like, shape (n,), default 0.0
            The fields.
        beta : float, default 1.0
            The inverse temperature.

        Returns
        -------
        IsingModel
            The model.

        Raises
        ------
        ValueError
            If the matrix is not square, not symmetric or has a diagonal, or a number is not finite.
        TypeError
            If it is no sparse matrix, or the wrong type.

        Examples
        --------
        >>> from scipy import sparse
        >>> from sortes.mcmc import IsingModel
        >>> IsingModel.from_scipy(sparse.csr_array([[0.0, 2.0], [2.0, 0.0]]))
        IsingModel(2 sites, 1 edges, beta=1.0)
        """
        if not hasattr(matrix, "tocoo") or not hasattr(matrix, "T"):
            raise TypeError(f"matrix: must be sparse, of SciPy, got {shown(matrix)}")
        rows, columns = (matrix.shape * 2)[:2]
        if len(matrix.shape) != 2 or rows != columns or not rows:
            raise ValueError(f"matrix: must be square, got shape {matrix.shape}")
        coo = matrix.tocsr().tocoo()
        if coo.dtype.kind not in "iufb":
            raise TypeError(f"matrix: must hold numbers, got {coo.dtype}")
        if len((coo != coo.T).nonzero()[0]):
            raise ValueError("matrix: must be symmetric")
        if coo.diagonal().any():
            raise ValueError("matrix: must have no diagonal: a site is no neighbour of itself")
        upper = coo.row < coo.col
        pairs = np.stack([coo.row[upper], coo.col[upper]], axis=1)
        values = host(coo.data[upper], "matrix")
        FINITE_NUMBERS.check_items(values, "matrix")
        return cls(pairs, values.astype(np.float64), h, beta=beta, num_sites=rows)

    @classmethod
    def from_bqm(cls, bqm: Any, *, beta: Finite = 1.0) -> IsingModel:
        """Make a model of a binary quadratic model of dimod.

        Parameters
        ----------
        bqm : dimod.BinaryQuadraticModel
            The model, of spins or of binary variables. Its energies have the opposite sign:
            ``J = -quadratic``, ``h = -linear``. A binary variable is 1 where the spin is.
        beta : float, default 1.0
            The inverse temperature.

        Returns
        -------
        IsingModel
            The model: site `i` is ``list(bqm.variables)[i]``, and `labels` holds these. Its
            energies differ from those of `bqm` by a constant.

        Raises
        ------
        ValueError
            If it has no variables, or a bias is not finite.
        TypeError
            If it is no such model.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> from sortes.mcmc import IsingModel
        >>> bqm = SimpleNamespace(  # what is read of a BinaryQuadraticModel
        ...     vartype=SimpleNamespace(name="SPIN"),
        ...     linear={"a": 0.5, "b": 0.0},
        ...     quadratic={("a", "b"): -1.0},
        ... )
        >>> model = IsingModel.from_bqm(bqm)
        >>> model.J, model.h, model.labels
        (array([1.]), array([-0.5, -0. ]), ('a', 'b'))
        """
        kind = getattr(getattr(bqm, "vartype", None), "name", None)
        if kind not in ("SPIN", "BINARY") or not hasattr(bqm, "quadratic"):
            raise TypeError(f"bqm: must be a BinaryQuadraticModel of dimod, got {shown(bqm)}")
        labels = tuple(bqm.linear)
        index = {label: i for i, label in enumerate(labels)}
        fields = numbers_of([-bias for bias in bqm.linear.values()], "bqm")
        pairs = [(index[i], index[j]) for i, j in bqm.quadratic]
        couplings = numbers_of([-bias for bias in bqm.quadratic.values()], "bqm")
        if kind == "BINARY":
            # x = (1 + s) / 2, so that b x y = b (s t + s + t + 1) / 4.
            couplings, fields = couplings / 4, fields / 2
            for ends in zip(*pairs, strict=True):
                np.add.at(fields, np.array(ends, np.int64), couplings)
        return _labelled(cls, "bqm", pairs, couplings, fields, beta, labels)

    def energy(
        self,
        spins: ArrayLike,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> float | NDArray[np.float64]:
        """Return the energy of states.

        Parameters
        ----------
        spins : array_like of int, shape (..., num_sites)
            Spins of -1 and 1.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        float or ndarray of float64, shape (...)
            The energies.

        Raises
        ------
        ValueError
            If a spin is neither -1 nor 1, or the shape does not fit.
        TypeError
            If `spins` does not hold integers.

        Examples
        --------
        >>> from sortes.mcmc import IsingModel
        >>> IsingModel.grid((4, 4)).energy([1] * 16)
        -32.0
        """
        return self._energy(spins, num_threads, progress)  # type: ignore[no-any-return]

    def sample(
        self,
        *,
        draws: AtLeastOne = 1000,
        method: Method = "gibbs",
        order: Order | None = None,
        init: Init = "random",
        clamped: Mapping[int, int] | None = None,
        warmup: Count = 100,
        chains: AtLeastOne | None = None,
        thin: AtLeastOne = 1,
        keep_spins: bool = True,
        on_interrupt: OnInterrupt = "return",
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> SpinTrace:
        r"""Draw spins by Markov chains.

        Parameters
        ----------
        draws : int, default 1000
            Draws of each chain.
        method : {"gibbs", "swendsen_wang", "wolff"}
            How spins are updated: each given its neighbours; all clusters at once; the cluster of
            one random site.
        order : {"colored", "sequential", "random"}, optional
            Of heat bath: all sites of a colour at once, the default; by index; or as many random
            sites as there are. None for clusters.
        init : "random" or array_like of int, shape (num_sites,) or (chains, num_sites)
            Where chains begin.
        clamped : mapping of int to int, optional
            Sites that stay, and their states, also against `init`; the others are drawn given
            these. Couplings with them are fields of the others, whatever the method; the energy is
            that of all sites, the magnetization that of the free ones.
        warmup : int, default 100
            Updates of each chain before the first draw.
        chains : int, optional
            How many chains: as many as `init` has, or 4.
        thin : int, default 1
            Updates for each draw, of which the last is kept. An update draws every site once; with
            ``"wolff"``, one cluster.
        keep_spins : bool, default True
            Whether the trace holds the spins of each draw, a byte each, or measurements alone.
        on_interrupt : {"return", "raise"}
            What Ctrl-C does: return what there is, or raise `sortes.Interrupted`, which holds it.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts updates.

        Returns
        -------
        SpinTrace
            The draws.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        TypeError
            If an argument has the wrong type.
        MemoryError
            If there is no memory for the draws.
        Interrupted
            If Ctrl-C stops it and `on_interrupt` says so.

        Notes
        -----
        Heat bath draws $s_i = 1$ with probability $1 / (1 + e^{-2 \beta F_i})$ for $F_i = h_i +
        \sum_j J_{ij} s_j$, by a uniform number of 53 bits. On a `grid` of two dimensions it has 64
        bits, and 64 spins are decided at once.

        A bond whose spins are as its coupling wants them is active with probability $1 - e^{-2
        |\beta J|}$. Swendsen and Wang's update gives each cluster of active bonds an orientation
        anew, $C$ as it is with probability $1 / (1 + e^{-2 \beta \sum_{i \in C} h_i s_i})$. Wolff's
        reverses the cluster of one site; where there are fields, a cluster in which the bond of a
        site to its field is active stays.

        Draws depend on the stream, the number of the chain, the update and the site alone.

        References
        ----------
        Swendsen and Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Physical
        Review Letters 58, 1987.

        Wolff, "Collective Monte Carlo updating for spin systems", Physical Review Letters 62, 1989.

        Examples
        --------
        >>> from sortes.mcmc import IsingModel
        >>> model = IsingModel.grid((16, 16), beta=0.6)
        >>> trace = model.sample(draws=200, method="swendsen_wang", rng=0)
        >>> round(float(abs(trace.magnetization).mean()), 2)  # Yang's is 0.973
        0.97
        """
        return self._sample(
            draws,
            method,
            order,
            init,
            clamped,
            warmup,
            chains,
            thin,
            keep_spins,
            on_interrupt,
            rng,
            step,
            num_threads,
            progress,
        )


def _labelled(
    cls: type[IsingModel],
    name: str,
    pairs: list[tuple[int, int]],
    couplings: Any,
    fields: Any,
    beta: float,
    labels: tuple[Hashable, ...],
) -> IsingModel:
    """Make a model of what another package calls one; messages name that."""
    if not labels:
        raise ValueError(f"{name}: must have at least one site, got none")
    for i, j in pairs:
        if i == j:
            raise ValueError(f"{name}: must have no loops, got one at {shown(labels[i])}")
    strengths = numbers_of(couplings, name)
    values = numbers_of(fields, name)
    for array in (np.atleast_1d(strengths), values):
        FINITE_NUMBERS.check_items(array, name)
    model = cls(pairs, strengths, values, beta=beta, num_sites=len(labels))
    if labels != tuple(range(len(labels))):
        model.labels = labels
    return model
