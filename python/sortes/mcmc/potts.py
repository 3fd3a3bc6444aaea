"""Potts models: sites of several states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from sortes._arrays import host, numbers_of
from sortes._check import FINITE as FINITE_NUMBERS
from sortes._check import AtLeastOne, Count, Domain, Finite, real
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

_STATES: Final = Domain("[1, 256]", integer=True)


class PottsModel(SpinModel):
    r"""Sites with q states each on a graph, with couplings and fields.

    The law is $p(s) \propto e^{-\beta E(s)}$ with $E(s) = -\sum_{ij} J_{ij} [s_i = s_j] - \sum_i
    h_{i, s_i}$.

    Parameters
    ----------
    edges : array_like of int, shape (m, 2)
        Pairs of neighbours. Those given several times add up; a site is no neighbour of itself.
    q : int
        How many states a site has, 256 at most.
    J : float or array_like, shape (m,), default 1.0
        The couplings, finite.
    h : float or array_like, shape (q,) or (num_sites, q), default 0.0
        The fields of states, finite.
    beta : float, default 1.0
        The inverse temperature, finite.
    num_sites : int, optional
        How many sites there are: as many as `h` has, or one more than the largest in `edges`.

    Attributes
    ----------
    edges : ndarray of int64, shape (m, 2)
        The pairs of neighbours.
    J : ndarray of float64, shape (m,)
        The couplings.
    h : ndarray of float64, shape (num_sites, q)
        The fields.
    beta : float
        The inverse temperature.

    Raises
    ------
    ValueError
        If shapes do not fit, a site is out of range, an edge is a loop, or a number is not finite.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> from sortes.mcmc import PottsModel
    >>> model = PottsModel([[0, 1], [1, 2]], 3, beta=0.5)
    >>> model
    PottsModel(3 sites, 2 edges, 3 states, beta=0.5)
    >>> model.energy([2, 2, 0])
    -1.0
    """

    def __init__(
        self,
        edges: ArrayLike,
        q: AtLeastOne,
        J: ArrayLike = 1.0,
        h: ArrayLike = 0.0,
        *,
        beta: Finite = 1.0,
        num_sites: AtLeastOne | None = None,
    ) -> None:
        pairs = pairs_of(edges)
        self._q = int(_STATES.check(q, "q"))
        fields = host(h, "h", "iuf").astype(np.float64)
        if fields.ndim > 2 or (fields.ndim and fields.shape[-1] != self._q):
            raise ValueError(
                f"h: must be a number, or have shape ({self._q},) or (num_sites, {self._q}), got "
                f"{fields.shape}"
            )
        if fields.ndim:
            FINITE_NUMBERS.check_items(fields, "h")
        else:
            FINITE_NUMBERS.check(float(fields), "h")
        given = len(fields) if fields.ndim == 2 else None
        sites = sites_of(pairs, num_sites, given, "h")
        set_up(self, pairs, numbers_of(J, "J", FINITE_NUMBERS, rows=len(pairs)), beta)
        self.h = np.broadcast_to(fixed(fields), (sites, self._q))

    @classmethod
    def grid(
        cls,
        shape: Sequence[int],
        q: AtLeastOne,
        J: Finite = 1.0,
        h: ArrayLike = 0.0,
        *,
        periodic: bool | Sequence[bool] = True,
        beta: Finite = 1.0,
    ) -> PottsModel:
        """Make a rectangle of any dimension.

        Parameters
        ----------
        shape : sequence of int
            How many sites each axis has. Sites are numbered row by row.
        q : int
            How many states a site has, 256 at most.
        J : float, default 1.0
            The coupling of neighbours.
        h : float or array_like, shape (q,) or (num_sites, q), default 0.0
            The fields of states.
        periodic : bool or sequence of bool, default True
            Whether the last sites of an axis are neighbours of the first; ignored where an axis has
            two sites, which are neighbours anyway, or one.
        beta : float, default 1.0
            The inverse temperature.

        Returns
        -------
        PottsModel
            The model.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> from sortes.mcmc import PottsModel
        >>> PottsModel.grid((4, 6), 3)
        PottsModel(24 sites, 48 edges, 3 states, beta=1.0)
        """
        sizes, wraps = rectangle(shape, periodic)
        coupling = real(J, "J", FINITE_NUMBERS)
        model = cls((), q, h=h, beta=beta, num_sites=math.prod(sizes))
        on_grid(model, sizes, wraps, coupling)
        return model

    @property
    def q(self) -> int:
        """How many states a site has."""
        return self._q or 0

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
            States in [0, q).
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
            If a state is out of range, or the shape does not fit.
        TypeError
            If `spins` does not hold integers.

        Examples
        --------
        >>> from sortes.mcmc import PottsModel
        >>> PottsModel.grid((4, 4), 3).energy([2] * 16)
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
        r"""Draw states by Markov chains.

        Parameters
        ----------
        draws : int, default 1000
            Draws of each chain.
        method : {"gibbs", "swendsen_wang", "wolff"}
            How sites are updated, as in `IsingModel.sample`. Clusters need couplings that attract.
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
            Whether the trace holds the states of each draw, a byte each, or measurements alone.
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
            If an argument is out of its domain, or clusters are asked for couplings that repel.
        TypeError
            If an argument has the wrong type.
        MemoryError
            If there is no memory for the draws.
        Interrupted
            If Ctrl-C stops it and `on_interrupt` says so.

        Notes
        -----
        Heat bath draws $s_i = k$ with probability proportional to $e^{\beta (h_{ik} + \sum_j J_{ij}
        [s_j = k])}$. A bond whose ends agree is active with probability $1 - e^{-\beta J}$, and the
        state of a cluster $C$ is drawn with probability proportional to $e^{\beta \sum_{i \in C}
        h_{ik}}$; Wolff's update without fields takes one of the other states.

        Draws depend on the stream, the number of the chain, the update and the site alone.

        References
        ----------
        Swendsen and Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Physical
        Review Letters 58, 1987.

        Examples
        --------
        >>> from sortes.mcmc import PottsModel
        >>> model = PottsModel.grid((16, 16), 3, beta=1.2)
        >>> trace = model.sample(draws=200, method="swendsen_wang", rng=0)
        >>> bool(trace.magnetization.mean() > 0.8)
        True
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
