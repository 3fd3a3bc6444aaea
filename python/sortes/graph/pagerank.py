"""PageRank by walks: of all nodes with standard errors, and of single nodes as sparse rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, vector_of
from sortes._check import (
    AT_LEAST_1,
    NON_NEGATIVE,
    UNIT,
    AtLeastOne,
    Domain,
    Unit,
    flag,
    one_of,
    shown,
)
from sortes._device import to_host
from sortes._estimate import Estimates
from sortes._optional import require
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.structure import Graph
from sortes.graph.walks import Coupling, Termination

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_array

    from sortes._rng import Rng

#: What is counted of a walk.
Method: TypeAlias = Literal["visits", "endpoint"]
#: Where a surfer goes at a node without arcs.
DeadEnd: TypeAlias = Literal["restart", "uniform", "stay"]


def pagerank_mc(
    graph: Graph,
    alpha: Unit = 0.85,
    *,
    num_walks: AtLeastOne = 16,
    replicates: AtLeastOne = 2,
    personalization: ArrayLike | Mapping[Hashable, float] | None = None,
    dangling: DeadEnd = "restart",
    method: Method = "visits",
    normalize: bool = False,
    coupling: Coupling = "repelling",
    termination: Termination = "stratified",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Estimates:
    r"""Estimate the PageRank of all nodes, with standard errors.

    Parameters
    ----------
    graph : Graph
        The graph; arcs count by their weights.
    alpha : float, default 0.85
        The chance that a surfer goes on, in [0, 1).
    num_walks : int, default 16
        How many coupled walks an ensemble has.
    replicates : int, default 2
        How many independent ensembles there are for each node of the graph. Standard errors come
        from how these differ: with 1 they are NaN.
    personalization : array_like, shape (num_nodes,), or mapping, optional
        The law of starts, and with ``dangling="restart"`` of jumps, up to a factor: in [0, inf). A
        mapping gives it by the labels of nodes, and zero for all others, as in NetworkX; a graph
        without labels calls its nodes by their numbers. By default every node is as likely.
    dangling : {"restart", "uniform", "stay"}, default "restart"
        Where a surfer goes at a node without arcs: to a node drawn as its start was (as in
        NetworkX by default), to any node, or nowhere.
    method : {"visits", "endpoint"}, default "visits"
        What is counted: every node of a walk, or its last; see the notes.
    normalize : bool, default False
        Of "visits": whether to divide by the sum, so that ranks sum to one; then there is a bias
        that falls with the number of walks.
    coupling : {"iid", "repelling"}, default "repelling"
        Whether the walkers of an ensemble repel each other, as in `random_walks`.
    termination : {"iid", "antithetic", "stratified", "systematic"}, default "stratified"
        How the lengths of the walks of an ensemble depend on each other, as in `random_walks`.
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
    Estimates
        For each node its PageRank and the standard error. Without `normalize` the expectation is
        PageRank itself.

    Raises
    ------
    ValueError
        If an argument is out of its domain or does not go with the others.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the sums.

    See Also
    --------
    ppr : For surfers who start at single nodes, as sparse rows.

    Notes
    -----
    With $P$ the matrix of the simple walk and $v$ the law of starts,

    $$
    \pi = p \sum_{t \ge 0} (1 - p)^t \, v P^t, \qquad p = 1 - \alpha,
    $$

    is the law of the node at which a walk halts, whose number of moves is geometric. "endpoint"
    counts these nodes. "visits" counts every node of the walk, each for `p`: a walk says more, and
    the error is smaller.

    There are ``num_nodes * num_walks * replicates`` walks. Without `personalization` an ensemble
    starts from each node. Else the shares of all nodes are laid end to end and cut into pieces, one
    for each ensemble, in which an ordered pivotal sample gives the starts: every node has as many
    walks as its share, rounded. Replicates of an ensemble have the same law and are independent,
    and so are ensembles of different pieces: a sum over pieces of the squared differences of
    replicates estimates the variance without bias, whatever the coupling.

    Walks are counted in integers while they are in the cache, and are not kept: the memory is 32
    bytes for each node, and the result does not depend on threads.

    References
    ----------
    Fogaras, Rácz, Csalogány and Sarlós, "Towards scaling fully personalized PageRank", Internet
    Mathematics 2, 2005.

    Avrachenkov, Litvak, Nemirovsky and Osipova, "Monte Carlo methods in PageRank computation", SIAM
    Journal on Numerical Analysis 45, 2007.

    Reid, Berger, Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854.

    Examples
    --------
    >>> from sortes.graph import Graph, pagerank_mc
    >>> star = Graph.from_edge_index([[0, 1, 0, 2, 0, 3], [1, 0, 2, 0, 3, 0]])
    >>> ranks = pagerank_mc(star, num_walks=1000, rng=0)
    >>> ranks.value.round(2).tolist()  # exactly 0.48 and 0.17
    [0.48, 0.17, 0.17, 0.17]
    >>> bool((ranks.stderr < 0.002).all())
    True

    From some nodes alone, by what the input calls them:

    >>> import networkx as nx
    >>> path = Graph.from_networkx(nx.path_graph(["a", "b", "c"]))
    >>> ranks = pagerank_mc(path, 0.0, personalization={"a": 3, "c": 1}, rng=0)
    >>> ranks.value.tolist()
    [0.75, 0.0, 0.25]
    """
    given = _surfers(graph, alpha, num_walks, method, dangling, coupling, termination)
    count = AT_LEAST_1.check(replicates, "replicates")
    if flag(normalize, "normalize") and method == "endpoint":
        raise ValueError("normalize: is for method 'visits' alone, got 'endpoint'")
    law = None
    if personalization is not None:
        law = _law(graph, personalization)
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "walks") as job:
        ranks = _core.graph.pagerank.ranks(graph._native, given, law, count, normalize, stream, job)
    return Estimates(*ranks)


def ppr(
    graph: Graph,
    sources: ArrayLike,
    alpha: Unit = 0.85,
    *,
    num_walks: AtLeastOne = 1024,
    top_k: AtLeastOne | None = None,
    dangling: DeadEnd = "restart",
    method: Method = "visits",
    coupling: Coupling = "repelling",
    termination: Termination = "stratified",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> csr_array:
    """Estimate personalised PageRank, for surfers who start at each of some nodes.

    Parameters
    ----------
    graph : Graph
        The graph; arcs count by their weights.
    sources : array_like or tensor of int, shape (n,)
        The nodes, in [0, num_nodes).
    alpha : float, default 0.85
        The chance that a surfer goes on, in [0, 1).
    num_walks : int, default 1024
        How many walks start from each source: its ensemble.
    top_k : int, optional
        Keep the largest ranks of each source, so many: the lower node among equals. By default all
        nodes stay that a walk came to.
    dangling : {"restart", "uniform", "stay"}, default "restart"
        Where a surfer goes at a node without arcs: to its source, to any node, or nowhere.
    method : {"visits", "endpoint"}, default "visits"
        What is counted: every node of a walk, or its last, as in `pagerank_mc`.
    coupling : {"iid", "repelling"}, default "repelling"
        Whether the walkers of a source repel each other, as in `random_walks`.
    termination : {"iid", "antithetic", "stratified", "systematic"}, default "stratified"
        How the lengths of the walks of a source depend on each other, as in `random_walks`.
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
    scipy.sparse.csr_array of float64, shape (n, num_nodes)
        A row for each source. Without `top_k` its expectation is personalised PageRank.

    Raises
    ------
    ValueError
        If an argument is out of its domain or does not go with the others.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the rows.
    ImportError
        If SciPy is not installed.

    See Also
    --------
    pagerank_mc : For one law of starts, with standard errors.

    Notes
    -----
    Rows of different sources are independent. The time is that of the walks, ``num_walks / (1 -
    alpha)`` nodes for each source, whatever the size of the graph.

    Examples
    --------
    >>> from sortes.graph import Graph, ppr
    >>> star = Graph.from_edge_index([[0, 1, 0, 2, 0, 3], [1, 0, 2, 0, 3, 0]])
    >>> rows = ppr(star, [0, 1], top_k=2, rng=0)
    >>> rows.shape, rows.nnz
    ((2, 4), 4)
    >>> rows[[1]].indices  # the node in the middle, and the source
    array([0, 1])
    """
    given = _surfers(graph, alpha, num_walks, method, dangling, coupling, termination)
    inside = Domain(f"[0, {graph.num_nodes})", integer=True)
    if sources is None:
        raise TypeError("sources: must hold integers, got None")
    nodes = integers_of(to_host(sources), "sources", inside)
    most = None if top_k is None else AT_LEAST_1.check(top_k, "top_k")
    sparse = require("scipy.sparse", "scipy")
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "walks") as job:
        parts = _core.graph.pagerank.personal(graph._native, given, nodes, most, stream, job)
    indptr, indices, data = parts
    rows: csr_array = sparse.csr_array((data, indices, indptr), (len(nodes), graph.num_nodes))
    return rows


def _surfers(
    graph: Any,
    alpha: Any,
    num_walks: Any,
    method: Any,
    dangling: Any,
    coupling: Any,
    termination: Any,
) -> tuple[float, int, str, str, bool, str]:
    """Check what both are told of the walks."""
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: must be a sortes.graph.Graph, got {shown(graph)}")
    alpha = UNIT.check(alpha, "alpha")
    count = AT_LEAST_1.check(num_walks, "num_walks")
    one_of(dangling, "dangling", get_args(DeadEnd))
    one_of(method, "method", get_args(Method))
    is_repelling = one_of(coupling, "coupling", get_args(Coupling)) == "repelling"
    one_of(termination, "termination", get_args(Termination))
    if termination == "antithetic" and count % 2:
        raise ValueError(f"num_walks: must be even for termination 'antithetic', got {count}")
    return alpha, count, method, dangling, is_repelling, termination


def _law(graph: Graph, given: Any) -> NDArray[np.float64]:
    """Check a law of starts."""
    nodes = graph.num_nodes
    if isinstance(given, Mapping):
        law = _of_labels(graph, given)
    else:
        law = vector_of(to_host(given), "personalization", double=True)
        if len(law) != nodes:
            raise ValueError(f"personalization: must have shape ({nodes},), got ({len(law)},)")
        NON_NEGATIVE.check_items(law, "personalization")
    with np.errstate(over="ignore"):
        total = float(law.sum())
    if nodes and not 0 < total < np.inf:
        raise ValueError(f"personalization: the sum must be positive and finite, got {total}")
    return law


def _of_labels(graph: Graph, given: Mapping[Any, Any]) -> NDArray[np.float64]:
    """Return the law that a mapping gives by labels."""
    law = np.zeros(graph.num_nodes)
    for node, (label, weight) in zip(
        graph._nodes_of(list(given), "personalization"), given.items(), strict=True
    ):
        try:
            law[node] = NON_NEGATIVE.check(weight, "personalization")
        except (TypeError, ValueError) as error:
            fault = str(error).removeprefix("personalization: ")
            where = f"personalization: of {shown(label)}: {fault}"
            raise type(error)(where) from None
    return law
