"""Graphs that never change, from what other packages call a graph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of, vector_of
from sortes._check import COUNT, Domain, flag, several, shown
from sortes._progress import Progress, job_of
from sortes._state import bytes_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Edges that are converted between two looks at signals.
_BATCH: Final = 1 << 14
#: How many nodes there may be: ids are words of 32 bits.
NODES: Final = Domain("[0, 4294967287]", integer=True)


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A directed graph that never changes; an undirected edge is two arcs.

    It is made by one of the constructors `from_scipy`, `from_networkx`, `from_igraph`,
    `from_rustworkx`, `from_edge_index` and `from_csr`, once for many calls. Arcs are sorted by
    source and target; each remembers its position in the input, its edge id.

    Attributes
    ----------
    labels : tuple or None
        What the input calls the nodes, if not 0, 1, ...

    Notes
    -----
    Parallel arcs stay, each of them its own choice, unless ``coalesce=True`` makes one of them
    whose weight is their sum. Loops are ordinary arcs. Arcs of weight zero are left out. Weights
    that are all one are the same as none.

    A node takes 8 bytes and an arc 4; 4 more if the input was not sorted, and 24 more with weights,
    for the weight and a slot of the alias table of its node. There may be up to ``2**32 - 9``
    nodes, and as many arcs.

    Examples
    --------
    >>> from sortes.graph import Graph
    >>> graph = Graph.from_edge_index([[0, 1, 1], [1, 0, 2]])
    >>> graph
    Graph(num_nodes=3, num_edges=3)
    >>> graph.indices
    array([1, 0, 2])
    """

    _native: _core.graph.structure.Graph
    labels: tuple[Hashable, ...] | None = None
    _index: dict[Hashable, int] = field(default_factory=dict)

    @classmethod
    def from_csr(
        cls,
        indptr: ArrayLike,
        indices: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of compressed sparse rows.

        Parameters
        ----------
        indptr : array_like of int, shape (num_nodes + 1,)
            Where the arcs of each node begin, and the end of the last.
        indices : array_like of int, shape (num_edges,)
            Where arcs go, in any order within a row.
        weights : array_like, shape (num_edges,), optional
            The weights of arcs, in [0, inf); without them all are alike.
        coalesce : bool, default False
            Whether parallel arcs become one, whose weight is the sum of theirs.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph.

        Raises
        ------
        ValueError
            If `indptr` does not ascend from 0 to the number of arcs, an id is out of range, or a
            weight is negative, infinite or NaN: the first arc at fault is named.
        TypeError
            If an array does not hold integers, or weights no numbers.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> Graph.from_csr([0, 2, 3, 3], [2, 1, 0])
        Graph(num_nodes=3, num_edges=3)
        """
        starts, targets = integers_of(indptr, "indptr"), integers_of(indices, "indices")
        if not starts.size:
            raise ValueError("indptr: must have at least one item, got none")
        given = None if weights is None else vector_of(weights, "weights", double=True)
        how = _How(given, ("indices", "weights", "indptr"), coalesce, num_threads, progress)
        return cls(how.build(len(starts) - 1, (starts, targets), is_rows=True))

    @classmethod
    def from_edge_index(
        cls,
        edge_index: ArrayLike,
        num_nodes: Annotated[int, NODES] | None = None,
        *,
        weights: ArrayLike | None = None,
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of sources and targets, such as PyTorch Geometric has.

        Parameters
        ----------
        edge_index : array_like or tensor of int, shape (2, num_edges)
            Where arcs begin, and where they go; in any order, and as given: not symmetrised.
        num_nodes : int, optional
            How many nodes there are, by default one more than the largest id.
        weights : array_like, shape (num_edges,), optional
            The weights of arcs, in [0, inf); without them all are alike.
        coalesce : bool, default False
            Whether parallel arcs become one, whose weight is the sum of theirs.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph.

        Raises
        ------
        ValueError
            If `edge_index` has another shape, an id is out of range, or a weight is negative,
            infinite or NaN: the first arc at fault is named.
        TypeError
            If `edge_index` does not hold integers, or weights no numbers.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> pairs = [[0, 0, 2], [1, 1, 0]]
        >>> Graph.from_edge_index(pairs, weights=[1, 2, 3], coalesce=True).weights
        array([3., 3.])
        """
        pairs = _matrix_of_ids(edge_index, "edge_index")
        if num_nodes is None:
            nodes = max(int(pairs.max()) + 1, 0) if pairs.size else 0
        else:
            nodes = NODES.check(num_nodes, "num_nodes")
        given = None if weights is None else vector_of(weights, "weights", double=True)
        how = _How(given, ("edge_index", "weights", "graph"), coalesce, num_threads, progress)
        return cls(how.build(nodes, (pairs[0], pairs[1])))

    @classmethod
    def from_scipy(
        cls,
        matrix: Any,
        *,
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of a sparse matrix of SciPy.

        Parameters
        ----------
        matrix : sparse array or matrix, shape (num_nodes, num_nodes)
            Entry ``[i, j]`` is the weight of the arc from `i` to `j`. Stored zeros are no arcs; an
            edge id is the position of an entry in ``matrix.tocsr()``.
        coalesce : bool, default False
            Whether entries that are stored twice become one, their sum.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph.

        Raises
        ------
        ValueError
            If the matrix is not square, or an entry is negative, infinite or NaN: the first arc at
            fault is named.
        TypeError
            If it is no sparse matrix, or does not hold numbers.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> from scipy import sparse
        >>> from sortes.graph import Graph
        >>> Graph.from_scipy(sparse.eye_array(3))
        Graph(num_nodes=3, num_edges=3)
        """
        if not hasattr(matrix, "tocsr"):
            raise TypeError(f"matrix: must be a sparse matrix of SciPy, got {shown(matrix)}")
        rows = matrix.tocsr()
        if len(rows.shape) != 2 or rows.shape[0] != rows.shape[1]:
            raise ValueError(f"matrix: must be square, got shape {rows.shape}")
        starts, targets = rows.indptr, rows.indices
        if starts.dtype != targets.dtype or starts.dtype not in (np.int32, np.int64):
            starts, targets = starts.astype(np.int64), targets.astype(np.int64)
        given = vector_of(rows.data, "matrix", double=True)
        how = _How(given, ("matrix", "matrix", "matrix"), coalesce, num_threads, progress)
        arcs = np.ascontiguousarray(starts), np.ascontiguousarray(targets[: len(given)])
        return cls(how.build(rows.shape[0], arcs, is_rows=True))

    @classmethod
    def from_networkx(
        cls,
        graph: Any,
        *,
        weight: str | None = "weight",
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of one of NetworkX: directed or not, with parallel edges or without.

        Parameters
        ----------
        graph : networkx.Graph
            The graph. An undirected edge becomes two arcs with one edge id, its position in
            ``graph.edges``; a loop becomes one arc.
        weight : str, optional
            The attribute of edges that holds their weight; an edge without it has weight 1. None:
            no weights.
        coalesce : bool, default False
            Whether parallel arcs become one, whose weight is the sum of theirs.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph: node `i` is ``list(graph.nodes)[i]``, and `labels` holds the nodes.

        Raises
        ------
        ValueError
            If a weight is negative, infinite or NaN: the first arc at fault is named.
        TypeError
            If it is no graph of NetworkX, or a weight is no number.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> import networkx as nx
        >>> from sortes.graph import Graph
        >>> graph = Graph.from_networkx(nx.path_graph(["a", "b", "c"]))
        >>> graph.labels, graph.num_edges
        (('a', 'b', 'c'), 4)
        """
        if not all(hasattr(graph, name) for name in ("nodes", "edges", "is_directed")):
            raise TypeError(f"graph: must be a graph of NetworkX, got {shown(graph)}")
        if weight is not None and not isinstance(weight, str):
            raise TypeError(f"weight: must be a string or None, got {shown(weight)}")
        labels = tuple(graph.nodes)
        index = _numbered(labels)
        edges = list(graph.edges(data=weight, default=1.0) if weight is not None else graph.edges())
        pairs = _pairs([(index[edge[0]], index[edge[1]]) for edge in edges])
        given = None
        if weight is not None and edges:
            given = vector_of([edge[2] for edge in edges], "graph", double=True)
        how = _How(given, ("graph", "graph", "graph"), coalesce, num_threads, progress)
        native = how.of_edges(len(labels), pairs, is_directed=graph.is_directed())
        return cls(native, labels, index)

    @classmethod
    def from_igraph(
        cls,
        graph: Any,
        *,
        weights: str | ArrayLike | None = None,
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of one of igraph, directed or not.

        Parameters
        ----------
        graph : igraph.Graph
            The graph. An undirected edge becomes two arcs with one edge id, its index; a loop
            becomes one arc, though igraph itself counts it twice, and takes it twice as often.
        weights : str or array_like, shape (num_edges,), optional
            The attribute of edges that holds their weight, or the weights; without it all are
            alike.
        coalesce : bool, default False
            Whether parallel arcs become one, whose weight is the sum of theirs.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph.

        Raises
        ------
        ValueError
            If there is no such attribute, or a weight is negative, infinite or NaN: the first arc
            at fault is named.
        TypeError
            If it is no graph of igraph, or a weight is no number.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> class Path:  # what is read of an igraph.Graph
        ...     get_edgelist = lambda self: [(0, 1), (1, 2)]
        ...     is_directed = lambda self: False
        ...     vcount = lambda self: 3
        >>> Graph.from_igraph(Path())
        Graph(num_nodes=3, num_edges=4)
        """
        if not all(hasattr(graph, name) for name in ("get_edgelist", "vcount", "is_directed")):
            raise TypeError(f"graph: must be a graph of igraph, got {shown(graph)}")
        pairs = _pairs(graph.get_edgelist())
        given = None
        if isinstance(weights, str):
            if weights not in graph.es.attributes():
                raise ValueError(f"weights: must be an attribute of edges, got {weights!r}")
            given = vector_of(graph.es[weights], "weights", double=True)
        elif weights is not None:
            given = vector_of(weights, "weights", double=True)
        how = _How(given, ("graph", "weights", "graph"), coalesce, num_threads, progress)
        return cls(how.of_edges(graph.vcount(), pairs, is_directed=graph.is_directed()))

    @classmethod
    def from_rustworkx(
        cls,
        graph: Any,
        *,
        weight: Callable[[Any], float] | None = None,
        coalesce: bool = False,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Graph:
        """Make a graph of one of rustworkx, directed or not.

        Parameters
        ----------
        graph : rustworkx.PyGraph or rustworkx.PyDiGraph
            The graph. An undirected edge becomes two arcs with one edge id, its position in
            ``graph.edge_list()``; a loop becomes one arc.
        weight : callable, optional
            What makes a weight of what an edge holds; without it all are alike.
        coalesce : bool, default False
            Whether parallel arcs become one, whose weight is the sum of theirs.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Graph
            The graph: node `i` is ``graph.node_indices()[i]``. If nodes have been removed, `labels`
            holds these indices.

        Raises
        ------
        ValueError
            If a weight is negative, infinite or NaN: the first arc at fault is named.
        TypeError
            If it is no graph of rustworkx, or a weight is no number.
        MemoryError
            If there is no memory for the graph.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> class PyGraph:  # what is read of a rustworkx.PyGraph
        ...     edge_list = lambda self: [(0, 1), (1, 3)]
        ...     edges = lambda self: [2.0, 0.5]
        ...     node_indices = lambda self: [0, 1, 3]
        >>> graph = Graph.from_rustworkx(PyGraph(), weight=float)
        >>> graph.labels, graph.weights
        ((0, 1, 3), array([2. , 2. , 0.5, 0.5]))
        """
        if not all(hasattr(graph, name) for name in ("edge_list", "edges", "node_indices")):
            raise TypeError(f"graph: must be a graph of rustworkx, got {shown(graph)}")
        if weight is not None and not callable(weight):
            raise TypeError(f"weight: must be callable, got {shown(weight)}")
        nodes = np.array(list(graph.node_indices()), np.int64)
        pairs = np.searchsorted(nodes, _pairs(graph.edge_list()))
        given = None
        if weight is not None:
            given = vector_of([weight(edge) for edge in graph.edges()], "weight", double=True)
        how = _How(given, ("graph", "weight", "graph"), coalesce, num_threads, progress)
        is_directed = type(graph).__name__ == "PyDiGraph"
        native = how.of_edges(len(nodes), pairs, is_directed=is_directed)
        if len(nodes) and nodes[-1] != len(nodes) - 1:
            labels = tuple(nodes.tolist())
            return cls(native, labels, _numbered(labels))
        return cls(native)

    @property
    def num_nodes(self) -> int:
        """How many nodes there are."""
        return self._native.num_nodes

    @property
    def num_edges(self) -> int:
        """How many arcs there are: an undirected edge counts twice."""
        return self._native.num_arcs

    @property
    def is_weighted(self) -> bool:
        """Whether arcs have weights that are not all one."""
        return self._native.is_weighted

    @property
    def nbytes(self) -> int:
        """The bytes that the graph takes, without its labels."""
        return self._native.nbytes

    @property
    def indptr(self) -> NDArray[np.int64]:
        """Where the arcs of each node begin, and the end of the last: a copy."""
        return self._native.indptr()

    @property
    def indices(self) -> NDArray[np.int64]:
        """Where arcs go, in ascending order for each node: a copy."""
        return self._native.indices()

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights of arcs in the order of `indices`, ones if there are none: a copy."""
        return self._native.weights()

    @property
    def edge_ids(self) -> NDArray[np.int64]:
        """The positions of arcs in the input, in the order of `indices`: a copy."""
        return self._native.edge_ids()

    def index(self, labels: Iterable[Hashable]) -> NDArray[np.int64]:
        """Return the nodes of some labels.

        Parameters
        ----------
        labels : iterable
            What the input calls the nodes.

        Returns
        -------
        ndarray of int64
            Their ids, for ``start=``.

        Raises
        ------
        ValueError
            If there is no such label.
        TypeError
            If `labels` cannot be iterated over.

        Examples
        --------
        >>> import networkx as nx
        >>> from sortes.graph import Graph
        >>> Graph.from_networkx(nx.path_graph(["a", "b", "c"])).index(["c", "a"])
        array([2, 0])
        """
        wanted = several(labels, "labels", "labels of nodes")
        return np.array(self._nodes_of(wanted, "labels"), np.int64)

    def _nodes_of(self, labels: list[Any], name: str) -> list[int]:
        """Return the nodes of labels, which messages call `name`."""
        if self.labels is None:
            known = [COUNT.check(label, name) for label in labels]
            fine = [label < self.num_nodes for label in known]
        else:
            known = [self._index.get(label, -1) if _hashable(label) else -1 for label in labels]
            fine = [i >= 0 for i in known]
        if not all(fine):
            at = fine.index(False)
            raise ValueError(f"{name}: item {at} is no label of a node: {shown(labels[at])}")
        return known

    def labelled(self, nodes: ArrayLike) -> NDArray[Any]:
        """Return the labels of nodes, such as those of walks.

        Parameters
        ----------
        nodes : array_like of int
            Ids, of any shape; -1 is none.

        Returns
        -------
        ndarray of objects
            Their labels, in the shape of `nodes`; None where there is none.

        Raises
        ------
        ValueError
            If an id is out of range.
        TypeError
            If `nodes` does not hold integers.

        Examples
        --------
        >>> import networkx as nx
        >>> from sortes.graph import Graph
        >>> Graph.from_networkx(nx.path_graph(["a", "b", "c"])).labelled([[2, -1]])
        array([['c', None]], dtype=object)
        """
        array = host(nodes, "nodes", None)
        flat = integers_of(array.ravel(), "nodes", Domain(f"[-1, {self.num_nodes})", integer=True))
        names = np.empty(self.num_nodes + 1, object)
        names[:-1] = range(self.num_nodes) if self.labels is None else 0
        if self.labels is not None:
            for i, label in enumerate(self.labels):
                names[i] = label
        return names[flat].reshape(array.shape)

    def to_bytes(self) -> bytes:
        """Return the graph, without its labels, in a stable format.

        It has its kind, a version and a checksum.

        Returns
        -------
        bytes
            Little-endian words of eight bytes, the same on every machine.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> len(Graph.from_csr([0, 1, 1], [1]).to_bytes())
        80
        """
        return self._native.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Graph:
        """Return the graph that `to_bytes` has written.

        Parameters
        ----------
        data : bytes
            The state. It may come from anywhere: everything in it is checked.

        Returns
        -------
        Graph
            The graph, without labels. A pickle keeps them.

        Raises
        ------
        ValueError
            If the bytes are those of no graph, are corrupt, or have an unknown version.
        TypeError
            If `data` are no bytes.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> Graph.from_bytes(Graph.from_csr([0, 1, 1], [1]).to_bytes())
        Graph(num_nodes=2, num_edges=1)
        """
        return cls(_core.graph.structure.Graph.from_bytes(bytes_of(data)))

    def copy(self) -> Graph:
        """Return the graph itself, which never changes.

        Returns
        -------
        Graph
            The same object.

        Examples
        --------
        >>> from sortes.graph import Graph
        >>> graph = Graph.from_csr([0, 1, 1], [1])
        >>> graph.copy() is graph
        True
        """
        return self

    def __copy__(self) -> Graph:
        return self

    def __deepcopy__(self, memo: object) -> Graph:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.to_bytes(), self.labels)

    def __repr__(self) -> str:
        """Return what the graph holds."""
        weighted = ", is_weighted=True" if self.is_weighted else ""
        return f"Graph(num_nodes={self.num_nodes}, num_edges={self.num_edges}{weighted})"


def _restored(data: bytes, labels: tuple[Hashable, ...] | None) -> Graph:
    """Return the graph of a pickle."""
    native = _core.graph.structure.Graph.from_bytes(data)
    return Graph(native, labels, {} if labels is None else _numbered(labels))


def _numbered(labels: tuple[Hashable, ...]) -> dict[Hashable, int]:
    return {label: i for i, label in enumerate(labels)}


@dataclass(frozen=True)
class _How:
    """How a graph is made of arcs, whatever they come from."""

    weights: NDArray[np.float64] | None
    names: tuple[str, str, str]
    coalesce: bool
    num_threads: int | None
    progress: Progress

    def build(
        self,
        num_nodes: int,
        arcs: tuple[NDArray[Any], NDArray[Any]],
        *,
        is_rows: bool = False,
        numbers: NDArray[np.uint32] | None = None,
    ) -> _core.graph.structure.Graph:
        coalesce = flag(self.coalesce, "coalesce")
        weights = None if self.weights is None else np.require(self.weights, np.float64)
        with job_of(self.num_threads, self.progress, "arcs") as job:
            return _core.graph.structure.Graph(
                num_nodes, arcs, is_rows, numbers, weights, self.names, coalesce, job
            )

    def of_edges(
        self, num_nodes: int, pairs: NDArray[np.int64], *, is_directed: bool
    ) -> _core.graph.structure.Graph:
        """Make a graph of edges, which are two arcs with one number each if it is undirected."""
        pairs = pairs.reshape(-1, 2)
        if self.weights is not None and len(self.weights) != len(pairs):
            shape = f"({len(pairs)},), got ({len(self.weights)},)"
            raise ValueError(f"{self.names[1]}: must have shape {shape}")
        if is_directed:
            sources, targets = np.ascontiguousarray(pairs.T)
            return self.build(num_nodes, (sources, targets))
        numbers = np.arange(len(pairs), dtype=np.uint32)
        back = pairs[:, 0] != pairs[:, 1]
        both = np.concatenate([pairs, pairs[back, ::-1]])
        numbers = np.concatenate([numbers, numbers[back]])
        weights = self.weights
        if weights is not None:
            weights = np.concatenate([weights, weights[back]])
        sources, targets = np.ascontiguousarray(both.T)
        how = _How(weights, self.names, self.coalesce, self.num_threads, self.progress)
        return how.build(num_nodes, (sources, targets), numbers=numbers)


def _pairs(edges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Return pairs of nodes as an array, bit by bit: NumPy's conversion answers no Ctrl-C."""
    parts = [
        np.array(edges[first : first + _BATCH], np.int64) for first in range(0, len(edges), _BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 2), np.int64)


def _matrix_of_ids(x: Any, name: str) -> NDArray[Any]:
    """Return sources and targets as contiguous rows of int32 or int64."""
    array = host(x, name, None)
    if array.ndim != 2 or array.shape[0] != 2:
        raise ValueError(f"{name}: must have shape (2, num_edges), got {array.shape}")
    if not array.size:
        return np.empty((2, 0), np.int64)
    if array.dtype == np.int32 and array.dtype.isnative:
        return np.ascontiguousarray(array)
    return integers_of(array.ravel(), name).reshape(array.shape)


def _hashable(label: object) -> bool:
    try:
        hash(label)
    except TypeError:
        return False
    return True
