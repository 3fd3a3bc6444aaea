"""Walks of node2vec: a step depends on the node before."""

from __future__ import annotations

import weakref
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    TypedDict,
    Unpack,
    get_args,
    overload,
)

from sortes import _core
from sortes._arrays import integers_of
from sortes._check import POSITIVE, AtLeastOne, Positive, one_of
from sortes._device import to_host
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.structure import Graph
from sortes.graph.walks import MOVES, Dangling, Walks, request_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sortes._rng import Rng


class Node2vecOptions(TypedDict, total=False):
    """The options of `node2vec_walks` that do not decide what it returns."""

    dangling: Dangling
    dtype: DTypeLike | None
    rng: Rng
    step: int
    num_threads: int | None
    progress: Progress


@overload
def node2vec_walks(
    graph: Graph,
    start: torch.Tensor,
    walk_length: Annotated[int, MOVES] = 80,
    num_walks: AtLeastOne = 10,
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    return_edges: Literal[False] = False,
    **options: Unpack[Node2vecOptions],
) -> torch.Tensor: ...
@overload
def node2vec_walks(
    graph: Graph,
    start: torch.Tensor,
    walk_length: Annotated[int, MOVES] = 80,
    num_walks: AtLeastOne = 10,
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    return_edges: Literal[True],
    **options: Unpack[Node2vecOptions],
) -> Walks[torch.Tensor]: ...
@overload
def node2vec_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    walk_length: Annotated[int, MOVES] = 80,
    num_walks: AtLeastOne = 10,
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    return_edges: Literal[False] = False,
    **options: Unpack[Node2vecOptions],
) -> NDArray[Any]: ...
@overload
def node2vec_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    walk_length: Annotated[int, MOVES] = 80,
    num_walks: AtLeastOne = 10,
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    return_edges: Literal[True],
    **options: Unpack[Node2vecOptions],
) -> Walks[NDArray[Any]]: ...
def node2vec_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    walk_length: Annotated[int, MOVES] = 80,
    num_walks: AtLeastOne = 10,
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    dangling: Dangling = "stop",
    return_edges: bool = False,
    dtype: DTypeLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    r"""Draw the walks of node2vec.

    Parameters
    ----------
    graph : Graph
        The graph.
    start : array_like or tensor of int, shape (n,), optional
        The nodes that walks start from, in [0, num_nodes); by default every node once.
    walk_length : int, default 80
        How many moves a walk makes, in [0, 2**31).
    num_walks : int, default 10
        How many walks start from each entry of `start`.
    p : float, default 1.0
        Makes the way back rare: that arc has its weight times ``1 / p``.
    q : float, default 1.0
        Makes the way out rare: an arc to a node to which none goes from the node before has its
        weight times ``1 / q``.
    dangling : {"stop", "stay", "restart", "error"}, default "stop"
        What happens at a node without arcs, as in `random_walks`.
    return_edges : bool, default False
        Whether to return the edges as well.
    dtype : dtype, optional
        That of nodes, int32 or int64; by default int32 up to 2**31 nodes.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts walks.

    Returns
    -------
    ndarray or tensor of int, shape (n * num_walks, walk_length + 1)
        The nodes; with `return_edges`, `Walks`. Walk ``s * num_walks + k`` is the `k`-th from entry
        `s` of `start`; -1 stands after the end of a walk.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or ``dangling="error"`` and a walker comes to a node
        without arcs.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the walks.

    See Also
    --------
    random_walks : Walks whose step depends on the node alone.

    Notes
    -----
    At $v$, coming from $u$, the next node is $x$ with a probability in proportion to

    $$
    w_{vx} \cdot \begin{cases} 1/p & x = u \\ 1 & \text{there is an arc } u \to x \\
    1/q & \text{otherwise;} \end{cases}
    $$

    the first step is a simple one (Grover and Leskovec, 2016). The law is exact, for directed
    graphs, loops, parallel arcs and any `p` and `q`.

    No tables of pairs of nodes are made, which take memory in proportion to the sum of the squares
    of the degrees. An arc is proposed by its weight and accepted by its factor; a large factor for
    the way back is laid beside the proposals (as in Yang et al., 2019). After 64 refusals, which
    extreme `p` and `q` can cause, the law of the row is computed. With ``p = q = 1`` the walks are
    those of `random_walks` for the same `rng`, number for number.

    References
    ----------
    Grover and Leskovec, "node2vec: scalable feature learning for networks", KDD 2016,
    arXiv:1607.00653.

    Yang, Zhang, Wu, Chen and Wen, "KnightKing: a fast distributed graph random walk engine", SOSP
    2019.

    Examples
    --------
    >>> from sortes.graph import Graph, node2vec_walks
    >>> arcs = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> square = Graph.from_edge_index(arcs)
    >>> walks = node2vec_walks(square, walk_length=8, p=1e9, rng=0)
    >>> bool((walks[:, 2:] == walks[:, :-2]).any())  # never back
    False
    """
    factors = POSITIVE.check(p, "p"), POSITIVE.check(q, "q")
    request = request_of(
        graph,
        start,
        moves=(MOVES.check(walk_length, "walk_length"), None, None, "iid"),
        num_walks=num_walks,
        transition=("node2vec", *factors),
        repulsion=None,
        dangling=one_of(dangling, "dangling", get_args(Dangling)),
        return_edges=return_edges,
        dtype=dtype,
    )
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "walks") as job:
        return request.draw(stream, job)


@overload
def random_walk(
    rowptr: torch.Tensor,
    col: torch.Tensor,
    start: torch.Tensor,
    walk_length: Annotated[int, MOVES],
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
) -> torch.Tensor: ...
@overload
def random_walk(
    rowptr: ArrayLike,
    col: ArrayLike,
    start: ArrayLike,
    walk_length: Annotated[int, MOVES],
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
) -> NDArray[Any]: ...
def random_walk(
    rowptr: ArrayLike,
    col: ArrayLike,
    start: ArrayLike,
    walk_length: Annotated[int, MOVES],
    p: Positive = 1.0,
    q: Positive = 1.0,
    *,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
) -> Any:
    """Draw walks of node2vec, with the arguments of the native operator of torch-cluster.

    It stands in the place of ``torch.ops.torch_cluster.random_walk``, and has the law of node2vec.

    Parameters
    ----------
    rowptr : array_like or tensor of int, shape (num_nodes + 1,)
        Where the arcs of each node begin, and the end of the last.
    col : array_like or tensor of int, shape (num_edges,)
        Where arcs go.
    start : array_like or tensor of int, shape (n,)
        The nodes that walks start from.
    walk_length : int
        How many moves a walk makes, in [0, 2**31).
    p : float, default 1.0
        Makes the way back rare.
    q : float, default 1.0
        Makes the way out rare.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.

    Returns
    -------
    ndarray or tensor of int64, shape (n, walk_length + 1)
        The nodes, on the device of `start`. At a node without arcs a walker stays.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the graph or the walks.

    See Also
    --------
    node2vec_walks : The same for a `Graph`.
    sortes.integrations.torch_geometric.Node2Vec : Embeddings trained on such walks.

    Notes
    -----
    The graph of the tensors of the last call is kept as long as they are, so that a call for each
    batch of a training does not make it again; other arrays make a graph at each call.

    Examples
    --------
    >>> from sortes.graph import random_walk
    >>> random_walk([0, 1, 2, 2], [1, 2], [0, 2], 3)
    array([[0, 1, 2, 2],
           [2, 2, 2, 2]])
    """
    if start is None:
        raise TypeError("start: must hold integers, got None")
    factors = POSITIVE.check(p, "p"), POSITIVE.check(q, "q")
    request = request_of(
        _graph(rowptr, col, num_threads),
        start,
        moves=(MOVES.check(walk_length, "walk_length"), None, None, "iid"),
        num_walks=1,
        transition=("node2vec", *factors),
        repulsion=None,
        dangling="stay",
        return_edges=False,
        dtype="int64",
    )
    stream = as_stream(rng, step)
    with job_of(num_threads, None) as job:
        return request.draw(stream, job)


#: The graph of the last tensors: what they were, and how often they had been written to.
_LAST: Final[list[tuple[Any, Any, tuple[Any, Any], Graph]]] = []


def _graph(rowptr: Any, col: Any, num_threads: int | None) -> Graph:
    versions = getattr(rowptr, "_version", None), getattr(col, "_version", None)
    for known_rowptr, known_col, known, graph in _LAST[-1:]:
        if known_rowptr() is rowptr and known_col() is col and known == versions:
            return graph
    pointers, targets = integers_of(to_host(rowptr), "rowptr"), integers_of(to_host(col), "col")
    if not pointers.size:
        raise ValueError("rowptr: must have at least one item, got none")
    with job_of(num_threads, None) as job:
        native = _core.graph.structure.Graph(
            len(pointers) - 1,
            (pointers, targets),
            True,
            None,
            None,
            ("col", "col", "rowptr"),
            False,
            job,
        )
    graph = Graph(native)
    if None not in versions:
        _LAST[:] = [(weakref.ref(rowptr), weakref.ref(col), versions, graph)]
    return graph
