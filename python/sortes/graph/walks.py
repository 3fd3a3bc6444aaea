"""Walks on graphs: of many laws, on their own or coupled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, vector_of
from sortes._check import (
    AT_LEAST_1,
    NON_NEGATIVE,
    PROBABILITY,
    AtLeastOne,
    Domain,
    Probability,
    flag,
    one_of,
    shown,
)
from sortes._device import to_host
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.structure import Graph

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sortes._rng import Rng

#: The law of a step.
Transition: TypeAlias = Literal["simple", "lazy", "mh", "max_degree", "non_backtracking", "restart"]
#: Whether walkers of one start repel each other.
Coupling: TypeAlias = Literal["iid", "repelling"]
#: How the lengths of the walks of one start depend on each other.
Termination: TypeAlias = Literal["iid", "antithetic", "stratified", "systematic"]
#: What happens at a node without arcs.
Dangling: TypeAlias = Literal["stop", "stay", "restart", "error"]
#: How walkers that meet share the arcs of a node.
Scheme: TypeAlias = Literal["auto", "rotation"]
#: Which walkers repel each other.
Scope: TypeAlias = Literal["start", "all"]
#: How many moves, and the chance to halt before each.
MOVES: Final = Domain("[0, 2**31)", integer=True)
HALT: Final = Domain("(0, 1]")

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")

#: The largest number of nodes whose ids are int32 by default.
_NARROW: Final = 2**31
#: What a transition takes, and its default.
_NUMBERS: Final = {"restart": ("alpha", 0.15), "lazy": ("beta", 0.5)}


class Walks(NamedTuple, Generic[Array]):
    """Walks that are equally long, and the edges that they took.

    Attributes
    ----------
    nodes : array or tensor of int, shape (n_walks, walk_length + 1)
        The nodes, the start first; -1 after the end of a walk.
    edges : array or tensor of int64, shape (n_walks, walk_length)
        The edge ids of the moves; -1 where a walker stayed, jumped, or had ended.
    """

    nodes: Array
    edges: Array


class RaggedWalks(NamedTuple, Generic[Array]):
    """Walks of different lengths, one after the other.

    Attributes
    ----------
    nodes : array or tensor of int, shape (n,)
        The nodes: walk `w` is ``nodes[offsets[w]:offsets[w + 1]]``, the start first.
    offsets : array or tensor of int64, shape (n_walks + 1,)
        Where each walk begins, and the end of the last.
    edges : array or tensor of int64, shape (n,), or None
        With ``return_edges=True`` the edge ids of the moves that led to `nodes`: -1 at starts, and
        where a walker stayed or jumped.
    """

    nodes: Array
    offsets: Array
    edges: Array | None


class WalkOptions(TypedDict, total=False):
    """The options of `random_walks` that do not decide what it returns."""

    num_walks: AtLeastOne
    transition: Transition
    alpha: Probability | None
    beta: Probability | None
    coupling: Coupling
    scheme: Scheme | None
    scope: Scope | None
    transient: bool | None
    dangling: Dangling | None
    dtype: DTypeLike | None
    rng: Rng
    step: int
    num_threads: int | None


class CallOptions(WalkOptions, total=False):
    """The same for a call that returns all at once."""

    progress: Progress


@overload
def random_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> torch.Tensor: ...
@overload
def random_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[True],
    **options: Unpack[CallOptions],
) -> Walks[torch.Tensor]: ...
@overload
def random_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT],
    length_law: None = None,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[CallOptions],
) -> RaggedWalks[torch.Tensor]: ...
@overload
def random_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    walk_length: None = None,
    p_halt: None = None,
    length_law: ArrayLike,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[CallOptions],
) -> RaggedWalks[torch.Tensor]: ...
@overload
def random_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[False] = False,
    **options: Unpack[CallOptions],
) -> NDArray[Any]: ...
@overload
def random_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[True],
    **options: Unpack[CallOptions],
) -> Walks[NDArray[Any]]: ...
@overload
def random_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT],
    length_law: None = None,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[CallOptions],
) -> RaggedWalks[NDArray[Any]]: ...
@overload
def random_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    walk_length: None = None,
    p_halt: None = None,
    length_law: ArrayLike,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[CallOptions],
) -> RaggedWalks[NDArray[Any]]: ...
def random_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT] | None = None,
    length_law: ArrayLike | None = None,
    num_walks: AtLeastOne = 1,
    transition: Transition = "simple",
    alpha: Probability | None = None,
    beta: Probability | None = None,
    coupling: Coupling = "iid",
    scheme: Scheme | None = None,
    scope: Scope | None = None,
    transient: bool | None = None,
    termination: Termination = "iid",
    dangling: Dangling | None = None,
    return_edges: bool = False,
    dtype: DTypeLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    r"""Draw random walks.

    Parameters
    ----------
    graph : Graph
        The graph.
    start : array_like or tensor of int, shape (n,), optional
        The nodes that walks start from, in [0, num_nodes); by default every node once.
    walk_length : int, optional
        How many moves a walk makes, in [0, 2**31). With `p_halt`, how many at most.
    p_halt : float, optional
        In (0, 1]: a walker halts with this probability before each move. The number of moves is
        then geometric, with mean ``(1 - p_halt) / p_halt``.
    length_law : array_like of float, shape (m,), optional
        The chances of 0, 1, ..., m - 1 moves, whose sum is 1 up to 1e-6, by which they are divided.
    num_walks : int, default 1
        How many walks start from each entry of `start`: its ensemble.
    transition : str, default "simple"
        The law of a step: "simple", "lazy", "mh", "max_degree", "non_backtracking" or "restart";
        see the notes.
    alpha : float, optional
        Of "restart": the chance of a jump to the start, by default 0.15.
    beta : float, optional
        Of "lazy": the chance to stay, by default 0.5.
    coupling : {"iid", "repelling"}, default "iid"
        Whether walkers that meet repel each other: then they share the arcs of their node as evenly
        as can be, while each of them alone still makes a simple random walk. For the transition
        "simple".
    scheme : {"auto", "rotation"}, optional
        Of "repelling": how they share. "auto", the default, deals arcs without replacement, or by
        ordered pivotal sampling where they have weights. "rotation" is what was published as code,
        for graphs without weights: its pair laws depend on the order of arcs, and can be worse than
        independence.
    scope : {"start", "all"}, optional
        Of "repelling": whether the walkers of one entry of `start` repel each other, the default,
        or all of the call do.
    transient : bool, optional
        Of "repelling": whether only those repel each other that have been together from the start;
        by default all do that meet.
    termination : {"iid", "antithetic", "stratified", "systematic"}, default "iid"
        How the lengths of an ensemble depend on each other, if they are random; see the notes.
    dangling : {"stop", "stay", "restart", "error"}, optional
        What happens at a node without arcs: the walk ends, the default; the walker stays there (the
        default of "lazy"), or jumps to its start; or a ``ValueError``. With "mh" and "max_degree" a
        walker stays there by their law.
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
        The nodes of walks of a fixed length; walk ``s * num_walks + k`` is the `k`-th from entry
        `s` of `start`. After the end of a walk stands -1. With `return_edges`, `Walks`; with
        `p_halt` or `length_law`, `RaggedWalks`.

    Raises
    ------
    ValueError
        If an argument is out of its domain or does not go with the others, or ``dangling="error"``
        and a walker comes to a node without arcs.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the walks; `iter_walks` gives them in parts.

    See Also
    --------
    iter_walks : The same walks in parts.
    node2vec_walks : Walks whose step depends on the node before.

    Notes
    -----
    With $w_{uv}$ the weight of the arc from $u$ to $v$, $s_u$ the sum of a node's weights and $d_u$
    the number of its arcs (loops not counted in "mh" and "max_degree"), a step goes from $u$ to $v$
    with the probability

    ==================  ===========================================  ==========================
    transition          law of a step                                in the long run
    ==================  ===========================================  ==========================
    "simple"            $w_{uv} / s_u$                               $s_u$
    "lazy"              stay with `beta`, else simple                $s_u$
    "mh"                $\min(1/d_u, 1/d_v)$, else stay              uniform
    "max_degree"        $1 / \max d$, else stay                      uniform
    "non_backtracking"  as simple among arcs that do not lead back;  uniform over arcs
                        back if there are no others
    "restart"           to the start with `alpha`, else simple       personalised PageRank
    ==================  ===========================================  ==========================

    where the last column is for connected undirected graphs. "mh" and "max_degree" are for graphs
    without weights; "non_backtracking" is not uniform with weights.

    *Repelling.* The `k` walkers of an ensemble that are at a node with `d` arcs take each arc
    $\lfloor k/d \rfloor$ or $\lceil k/d \rceil$ times: a uniform subset of arcs is taken once more,
    and a uniform permutation says who takes which. With weights, arc `j` is taken $\lfloor k w_j /
    s \rfloor$ or $\lceil k w_j / s \rceil$ times. Each walker alone makes a simple walk, so that
    means over single walks keep their expectation; over one step, no sum over walkers at a node has
    a larger variance than with independent walkers. Of several steps that is not true of every
    function.

    *Lengths.* A walk of $L$ moves has $P(L \ge l) = (1 - p)^l$. "antithetic": walkers `i` and ``i +
    num_walks / 2`` halt by one uniform at each move, of which the second reads the other half.
    "stratified": lengths are quantiles of a uniform in each of `num_walks` strata, dealt to walkers
    at random; "systematic": of the same one in each. They are independent of where walkers go, and
    each length alone has its law.

    A step takes one draw of 64 bits, `(word * d) >> 64` for the arc, and with weights a slot of an
    alias table, whose chances are rounded to ``2**-32``. Walkers are moved in blocks, in lock step,
    so that they wait for memory together.

    References
    ----------
    Reid, Berger, Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854.

    Reid, Choromanski and Weller, "Quasi-Monte Carlo graph random features", NeurIPS 2023,
    arXiv:2305.12470.

    Chauvet, "On a characterization of ordered pivotal sampling", Bernoulli 18, 2012.

    Examples
    --------
    >>> from sortes.graph import Graph, random_walks
    >>> arcs = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> square = Graph.from_edge_index(arcs)
    >>> walks = random_walks(square, walk_length=5, rng=0)
    >>> walks.shape, walks[:, 0]
    ((4, 6), array([0, 1, 2, 3], dtype=int32))

    Two walkers from one node that repel each other part at once:

    >>> pair = random_walks(
    ...     square, [0], walk_length=1, num_walks=2, coupling="repelling", rng=0
    ... )
    >>> sorted(pair[:, 1].tolist())
    [1, 3]

    Of random lengths:

    >>> walks = random_walks(square, p_halt=0.25, termination="stratified", rng=0)
    >>> len(walks.offsets), walks.nodes[walks.offsets[:-1]]
    (5, array([0, 1, 2, 3], dtype=int32))
    """
    request = _request(
        graph,
        start,
        moves=(walk_length, p_halt, length_law, termination),
        num_walks=num_walks,
        transition=(transition, alpha, beta),
        repulsion=(coupling, scheme, scope, transient),
        dangling=dangling,
        return_edges=return_edges,
        dtype=dtype,
    )
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "walks") as job:
        return request.draw(stream, job)


@overload
def iter_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[False] = False,
    **options: Unpack[WalkOptions],
) -> Iterator[torch.Tensor]: ...
@overload
def iter_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[True],
    **options: Unpack[WalkOptions],
) -> Iterator[Walks[torch.Tensor]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT],
    length_law: None = None,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[WalkOptions],
) -> Iterator[RaggedWalks[torch.Tensor]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: torch.Tensor,
    *,
    batch_size: AtLeastOne,
    walk_length: None = None,
    p_halt: None = None,
    length_law: ArrayLike,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[WalkOptions],
) -> Iterator[RaggedWalks[torch.Tensor]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[False] = False,
    **options: Unpack[WalkOptions],
) -> Iterator[NDArray[Any]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES],
    p_halt: None = None,
    length_law: None = None,
    termination: Literal["iid"] = "iid",
    return_edges: Literal[True],
    **options: Unpack[WalkOptions],
) -> Iterator[Walks[NDArray[Any]]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT],
    length_law: None = None,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[WalkOptions],
) -> Iterator[RaggedWalks[NDArray[Any]]]: ...
@overload
def iter_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    batch_size: AtLeastOne,
    walk_length: None = None,
    p_halt: None = None,
    length_law: ArrayLike,
    termination: Termination = "iid",
    return_edges: bool = False,
    **options: Unpack[WalkOptions],
) -> Iterator[RaggedWalks[NDArray[Any]]]: ...
def iter_walks(
    graph: Graph,
    start: ArrayLike | None = None,
    *,
    batch_size: AtLeastOne,
    walk_length: Annotated[int, MOVES] | None = None,
    p_halt: Annotated[float, HALT] | None = None,
    length_law: ArrayLike | None = None,
    num_walks: AtLeastOne = 1,
    transition: Transition = "simple",
    alpha: Probability | None = None,
    beta: Probability | None = None,
    coupling: Coupling = "iid",
    scheme: Scheme | None = None,
    scope: Scope | None = None,
    transient: bool | None = None,
    termination: Termination = "iid",
    dangling: Dangling | None = None,
    return_edges: bool = False,
    dtype: DTypeLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
) -> Any:
    """Draw the walks of `random_walks` in parts, for results beyond memory.

    Parameters
    ----------
    graph, start
        As in `random_walks`.
    batch_size : int
        How many entries of `start` make a part, which has `num_walks` walks of each.
    walk_length, p_halt, length_law, num_walks
        As in `random_walks`.
    transition, alpha, beta
        As in `random_walks`.
    coupling, scheme, scope, transient
        As in `random_walks`; but `scope` must be "start".
    termination, dangling, return_edges, dtype
        As in `random_walks`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.

    Yields
    ------
    ndarray, tensor, Walks or RaggedWalks
        What `random_walks` returns, part by part: together the same bytes. The offsets of each part
        of `RaggedWalks` begin with 0.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `random_walks`: at the call, not at the first part.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.graph import Graph, iter_walks, random_walks
    >>> ring = Graph.from_edge_index([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])
    >>> parts = list(iter_walks(ring, batch_size=2, walk_length=3, rng=0))
    >>> [len(part) for part in parts]
    [2, 2, 1]
    >>> whole = random_walks(ring, walk_length=3, rng=0)
    >>> np.array_equal(np.concatenate(parts), whole)
    True
    """
    size = AT_LEAST_1.check(batch_size, "batch_size")
    if scope == "all":
        raise ValueError("scope: must be 'start' where walks come in parts, got 'all'")
    request = _request(
        graph,
        start,
        moves=(walk_length, p_halt, length_law, termination),
        num_walks=num_walks,
        transition=(transition, alpha, beta),
        repulsion=(coupling, scheme, scope, transient),
        dangling=dangling,
        return_edges=return_edges,
        dtype=dtype,
    )
    stream = as_stream(rng, step)
    with job_of(num_threads, None) as job:
        request.part(0, 0).draw(stream, job)  # a number of threads that is refused is so now
        return (request.part(at, size).draw(stream, job) for at in range(0, request.starts, size))


class Request(NamedTuple):
    """Walks to be drawn, once everything that was said of them has been checked."""

    graph: Graph
    start: NDArray[np.int64] | None
    like: Any
    starts: int
    first: int
    num_walks: int
    moves: tuple[int | None, float | None, NDArray[np.float64] | None, str]
    transition: tuple[str, float, float]
    repulsion: tuple[str, bool, bool] | None
    dangling: str
    is_wide: bool
    return_edges: bool

    def part(self, first: int, count: int) -> Request:
        """Return the walks of some entries of `start`."""
        count = min(count, self.starts - first)
        start = None if self.start is None else self.start[first : first + count]
        return self._replace(start=start, first=first, starts=count)

    def draw(self, stream: _core.Stream, job: Any) -> Any:
        """Return the walks."""
        nodes, edges, offsets = _core.graph.walks.walk(
            self.graph._native,
            (self.start, self.first, self.starts),
            self.num_walks,
            self.moves,
            self.transition,
            self.repulsion,
            self.dangling,
            self.is_wide,
            self.return_edges,
            stream,
            job,
        )
        if offsets is not None:
            given = None if edges is None else self._give(edges)
            return RaggedWalks(self._give(nodes), self._give(offsets), given)
        length = self.moves[0] or 0
        walks = self._give(nodes.reshape(-1, length + 1))
        if edges is None:
            return walks
        return Walks(walks, self._give(edges.reshape(len(walks), length)))

    def _give(self, array: NDArray[Any]) -> Any:
        """Return an array in the form of `start`."""
        if not _is_tensor(self.like):
            return array
        import torch

        return torch.from_numpy(array).to(self.like.device)


def request_of(
    graph: Any,
    start: Any,
    *,
    moves: tuple[Any, Any, Any, Any],
    num_walks: Any,
    transition: tuple[str, float, float],
    repulsion: tuple[str, bool, bool] | None,
    dangling: str,
    return_edges: Any,
    dtype: Any,
) -> Request:
    """Check what all kinds of walks are told; the law of a step has been checked."""
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: must be a sortes.graph.Graph, got {shown(graph)}")
    nodes = graph.num_nodes
    given = None
    if start is not None:
        inside = Domain(f"[0, {nodes})", integer=True)
        given = integers_of(to_host(start), "start", inside)
    is_wide = nodes > _NARROW
    if dtype is not None:
        is_wide = _wide(dtype)
        if not is_wide and nodes > _NARROW:
            raise ValueError(f"dtype: must be int64 for {nodes} nodes, got int32")
    return Request(
        graph,
        given,
        start,
        nodes if given is None else len(given),
        0,
        AT_LEAST_1.check(num_walks, "num_walks"),
        moves,
        transition,
        repulsion,
        dangling,
        is_wide,
        flag(return_edges, "return_edges"),
    )


def _request(
    graph: Any,
    start: Any,
    *,
    moves: tuple[Any, Any, Any, Any],
    num_walks: Any,
    transition: tuple[Any, Any, Any],
    repulsion: tuple[Any, Any, Any, Any],
    dangling: Any,
    return_edges: Any,
    dtype: Any,
) -> Request:
    """Check what `random_walks` is told."""
    name = one_of(transition[0], "transition", get_args(Transition))
    if dangling is not None:
        one_of(dangling, "dangling", get_args(Dangling))
        if name in ("mh", "max_degree"):
            raise ValueError(f"dangling: must not be given for transition {name!r}")
    request = request_of(
        graph,
        start,
        moves=_moves(*moves),
        num_walks=num_walks,
        transition=(name, _number(transition), 0.0),
        repulsion=repulsion_of(*repulsion),
        dangling=dangling or ("stay" if name == "lazy" else "stop"),
        return_edges=return_edges,
        dtype=dtype,
    )
    if graph.is_weighted and name in ("mh", "max_degree"):
        known = "a graph without weights"
        raise ValueError(f"transition: {name!r} is for {known}, got one with weights")
    if request.repulsion is not None:
        if name != "simple":
            reason = f"must be 'simple' for coupling 'repelling', got {name!r}"
            raise ValueError(f"transition: {reason}")
        if graph.is_weighted and request.repulsion[0] == "rotation":
            raise ValueError("scheme: must be 'auto' for a graph with weights, got 'rotation'")
    if request.moves[3] == "antithetic" and request.num_walks % 2:
        raise ValueError(
            f"num_walks: must be even for termination 'antithetic', got {request.num_walks}"
        )
    return request


def _moves(
    walk_length: Any, p_halt: Any, length_law: Any, termination: Any
) -> tuple[int | None, float | None, NDArray[np.float64] | None, str]:
    """Check how many moves walks make."""
    one_of(termination, "termination", get_args(Termination))
    most = None if walk_length is None else MOVES.check(walk_length, "walk_length")
    if p_halt is not None:
        p_halt = HALT.check(p_halt, "p_halt")
    if length_law is not None:
        if most is not None or p_halt is not None:
            other = "p_halt" if most is None else "walk_length"
            raise ValueError(f"length_law: must not be given with {other}")
        if termination == "antithetic":
            raise ValueError("termination: 'antithetic' is for p_halt, got a length_law")
        law = vector_of(length_law, "length_law", double=True)
        if not law.size:
            raise ValueError("length_law: must have at least one item, got none")
        NON_NEGATIVE.check_items(law, "length_law")
        total = float(law.sum())
        if not abs(total - 1) <= 1e-6:
            raise ValueError(f"length_law: must sum to 1, got a sum of {total!r}")
        return None, None, law, termination
    if most is None and p_halt is None:
        raise ValueError("walk_length: must be given, or p_halt or length_law, got None")
    if p_halt is None and termination != "iid":
        reason = "must be 'iid' for walks of a fixed length"
        raise ValueError(f"termination: {reason}, got {termination!r}")
    return most, p_halt, None, termination


def _number(transition: tuple[str, Any, Any]) -> float:
    """Check what a transition takes beside its name."""
    name, *given = transition
    number = 0.0
    for (owner, (argument, default)), value in zip(_NUMBERS.items(), given, strict=True):
        if value is not None:
            default = PROBABILITY.check(value, argument)
            if name != owner:
                raise ValueError(f"{argument}: is for transition {owner!r} alone, got {name!r}")
        if name == owner:
            number = default
    return number


def repulsion_of(
    coupling: Any, scheme: Any, scope: Any, transient: Any
) -> tuple[str, bool, bool] | None:
    """Check who repels whom."""
    one_of(coupling, "coupling", get_args(Coupling))
    if scheme is not None:
        one_of(scheme, "scheme", get_args(Scheme))
    if scope is not None:
        one_of(scope, "scope", get_args(Scope))
    if transient is not None:
        flag(transient, "transient")
    if coupling == "repelling":
        return scheme or "auto", scope == "all", bool(transient)
    for argument, value in (("scheme", scheme), ("scope", scope), ("transient", transient)):
        if value is not None:
            raise ValueError(f"{argument}: is for coupling 'repelling' alone, got {coupling!r}")
    return None


def _wide(dtype: Any) -> bool:
    """Whether nodes are to be int64."""
    try:
        wanted = np.dtype(dtype)
    except Exception:  # whatever NumPy raises of what is none
        wanted = np.dtype(object)
    if wanted not in (np.dtype(np.int32), np.dtype(np.int64)):
        raise TypeError(f"dtype: must be int32 or int64, got {shown(dtype)}")
    return bool(wanted.itemsize == 8)


def _is_tensor(x: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)
