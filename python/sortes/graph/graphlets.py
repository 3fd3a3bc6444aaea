"""How often small connected subgraphs occur, by walks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._check import AT_LEAST_1, AtLeastOne, Domain, flag, one_of, shown
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.graph.structure import Graph
from sortes.graph.walks import Coupling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

#: What a window counts for.
Estimator: TypeAlias = Literal["css", "plain"]
#: The law of a step.
Walk: TypeAlias = Literal["simple", "non_backtracking"]
#: Nodes of a graphlet, and of a state.
SIZE: Final = Domain("[3, 4]", integer=True)
STATE: Final = Domain("[1, 3]", integer=True)


class GraphletConcentration(NamedTuple):
    """How often graphlets occur, by their names.

    Attributes
    ----------
    concentrations : dict of Estimate
        The share of each type among all graphlets with as many nodes.
    counts : dict of Estimate
        How many there are of each.
    """

    concentrations: dict[str, Estimate]
    counts: dict[str, Estimate]


def graphlet_concentration(
    graph: Graph,
    k: Annotated[int, SIZE] = 3,
    d: Annotated[int, STATE] | None = None,
    *,
    num_steps: AtLeastOne,
    num_walkers: AtLeastOne = 16,
    replicates: AtLeastOne = 8,
    estimator: Estimator = "css",
    walk: Walk = "simple",
    coupling: Coupling = "repelling",
    start_together: bool = False,
    allow_missing: bool = False,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> GraphletConcentration:
    r"""Estimate how often connected subgraphs with three or four nodes occur.

    Parameters
    ----------
    graph : Graph
        The graph, undirected: each arc needs one back. Loops, parallel arcs and weights are left
        out with a warning.
    k : int, default 3
        How many nodes a graphlet has, 3 or 4.
    d : int, optional
        How many nodes a state of the walk has: below `k`, and by default ``k - 2``.
    num_steps : int
        How many moves each walker makes, at least ``k - d``.
    num_walkers : int, default 16
        How many coupled walkers an ensemble has.
    replicates : int, default 8
        How many independent ensembles there are. Standard errors come from how these differ: with
        1 they are NaN.
    estimator : {"css", "plain"}, default "css"
        What a window counts for: see the notes.
    walk : {"simple", "non_backtracking"}, default "simple"
        The law of a step: any neighbour of the state, or for ``k=3, d=1`` any but the one before.
    coupling : {"iid", "repelling"}, default "repelling"
        Whether the walkers of an ensemble repel each other: those in the same state share its
        neighbours as evenly as can be.
    start_together : bool, default False
        Whether the walkers of an ensemble start from one state, as in the paper on walks that
        repel, or each from its own, which has the smaller error.
    allow_missing : bool, default False
        Whether to go on where walks can never see a type of graphlets: with ``k=4, d=1`` no walk
        along arcs covers a star. That type is then left out.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts moves.

    Returns
    -------
    GraphletConcentration
        For each type its share and its number, with standard errors: of "wedge" and "triangle", or
        of "path4", "star4", "cycle4", "tailed_triangle", "diamond" and "clique4".

    Raises
    ------
    ValueError
        If an argument is out of its domain or does not go with the others, or an arc of the graph
        has no arc back.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the walkers.

    Warns
    -----
    UserWarning
        If loops, parallel arcs or weights are left out.

    Notes
    -----
    Graphlets are induced: a triangle is no wedge. A state is a connected set of `d` nodes; two are
    neighbours if they share all nodes but one. A window is ``k - d + 1`` states in a row, and shows
    the graphlet of the nodes that it covers, if these are `k`. Walkers start from the stationary
    law, where a window $s_1, \ldots, s_l$ has the chance $1 / (2E \, d(s_2) \cdots d(s_{l-1}))$,
    with $E$ the number of pairs of neighbours and $d(s)$ how many a state has. Divided by it,

    - "plain": a window counts for $d(s_2) \cdots d(s_{l-1}) / \alpha$, where a graphlet of its type
      has $\alpha$ windows;
    - "css": for the inverse of the sum of $1 / (d(s_2) \cdots d(s_{l-1}))$ over all windows that
      cover the same nodes: the expectation of the former given these nodes, and so never worse over
      one window.

    The mean over windows times $2E$ has the number of graphlets as its expectation, from the first
    window on. Shares are ratios of such means, with a bias that falls with the number of moves.
    With ``d=3`` the factor $2E$ is itself estimated, without bias, from as many proposals of starts
    as there are moves. Where walks have seen no graphlet, but there may be some, shares are NaN.

    References
    ----------
    Chen, Li, Wang and Lui, "A general framework for estimating graphlet statistics via random
    walk", PVLDB 10, 2016.

    Reid, Berger, Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854.

    Examples
    --------
    >>> import networkx as nx
    >>> from sortes.graph import Graph, graphlet_concentration
    >>> karate = Graph.from_networkx(nx.karate_club_graph(), weight=None)
    >>> found = graphlet_concentration(karate, num_steps=2000, rng=0)
    >>> round(found.concentrations["triangle"].value, 2)  # exactly 0.1027
    0.1
    >>> round(found.counts["triangle"].value)  # exactly 45
    45
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: must be a sortes.graph.Graph, got {shown(graph)}")
    k = SIZE.check(k, "k")
    d = k - 2 if d is None else STATE.check(d, "d")
    if d >= k:
        raise ValueError(f"d: must be below k, {k}, got {d}")
    steps = AT_LEAST_1.check(num_steps, "num_steps")
    if steps < k - d:
        raise ValueError(f"num_steps: must be at least k - d, {k - d}, got {steps}")
    walkers = AT_LEAST_1.check(num_walkers, "num_walkers")
    ensembles = AT_LEAST_1.check(replicates, "replicates")
    if walkers * ensembles > 2**48:
        raise ValueError(f"num_walkers: must be at most 2**48 in all, got {walkers}")
    one_of(estimator, "estimator", get_args(Estimator))
    one_of(walk, "walk", get_args(Walk))
    one_of(coupling, "coupling", get_args(Coupling))
    if walk == "non_backtracking" and (k, d) != (3, 1):
        raise ValueError(f"walk: 'non_backtracking' is for k=3 and d=1, got k={k} and d={d}")
    is_together = flag(start_together, "start_together")
    may_miss = flag(allow_missing, "allow_missing")
    is_missing = (k, d) == (4, 1)
    if is_missing and not may_miss:
        raise ValueError(
            "d: must be 2 or 3 for k=4, unless allow_missing: got 1, which sees no star"
        )
    if may_miss and not is_missing:
        raise ValueError(f"allow_missing: nothing is missing for k={k} and d={d}")
    ways = walk == "non_backtracking", coupling == "repelling", is_together
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "moves") as job:
        means, factors, has_graphlets, dropped = _core.graph.graphlets.count(
            graph._native, k, d, (walkers, steps, ensembles), estimator, ways, stream, job
        )
    _warn(dropped, graph.is_weighted)
    names = _core.graph.graphlets.names(k)
    table = means.reshape(ensembles, len(names))
    shares, counts = _shares(table, has_graphlets), _counts(table * factors[:, None])
    known = [name for name in names if not (is_missing and name == "star4")]
    return GraphletConcentration(
        {name: shares[names.index(name)] for name in known},
        {name: counts[names.index(name)] for name in known},
    )


def _shares(means: NDArray[np.float64], has_graphlets: bool) -> list[Estimate]:
    """Return ratios of means over ensembles, with standard errors by linearisation."""
    total = means.sum()
    if not has_graphlets:
        return [Estimate(0.0, 0.0)] * means.shape[1]
    if not total > 0:
        return [Estimate(np.nan, np.nan)] * means.shape[1]
    shares = means.sum(0) / total
    residuals = (means - shares * means.sum(1, keepdims=True)) * (len(means) / total)
    return [
        Estimate(float(share), _error(column))
        for share, column in zip(shares, residuals.T, strict=True)
    ]


def _counts(counts: NDArray[np.float64]) -> list[Estimate]:
    """Return means over ensembles."""
    return [Estimate(float(column.mean()), _error(column)) for column in counts.T]


def _error(values: NDArray[np.float64]) -> float:
    """Return the standard error of a mean."""
    if len(values) < 2:
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _warn(dropped: Any, is_weighted: bool) -> None:
    """Warn of what was left out of the graph."""
    loops, parallel = dropped
    named = [
        f"{loops} loop{'s' * (loops > 1)}" * (loops > 0),
        f"{parallel} parallel arc{'s' * (parallel > 1)}" * (parallel > 0),
        "weights" * is_weighted,
    ]
    if any(named):
        said = ", ".join(filter(None, named))
        warnings.warn(f"graph: left out for graphlets: {said}", UserWarning, stacklevel=3)
