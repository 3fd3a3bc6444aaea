"""Sites with few states on a graph, and chains that draw them: what all spin models share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import FINITE as FINITE_NUMBERS
from sortes._check import Domain, one_of, real
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, job_of
from sortes._rng import Rng, as_stream
from sortes.mcmc._clamped import FreePart, clamped_of, free_part, joined
from sortes.mcmc._grids import grid_edges
from sortes.mcmc._runs import Init, chained, chains_of, finished, plan_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._core.mcmc.spins import Model, Sampler

#: How spins are updated, and in which order by heat bath.
Method: TypeAlias = Literal["gibbs", "swendsen_wang", "wolff"]
Order: TypeAlias = Literal["colored", "sequential", "random"]

_SITES: Final = Domain("[1, 4294967295]", integer=True)
_STATES: Final = Domain("[1, 256]", integer=True)


class SpinTrace(NamedTuple):
    """The draws of several chains of a spin model.

    Attributes
    ----------
    spins : ndarray, shape (chains, n, num_sites)
        The states of all sites, draw by draw: int8 of -1 and 1, or uint8 of a Potts model. With
        ``keep_spins=False`` n is 0.
    last : ndarray, shape (chains, num_sites)
        The states at the end, from which another call may go on (``init=``).
    energy : ndarray of float64, shape (chains, n)
        The energy of each draw.
    magnetization : ndarray of float64, shape (chains, n)
        The mean spin. Of a Potts model with q states $(q f - 1) / (q - 1)$, where f is the share of
        the most frequent state. Of the free sites, where others are clamped.
    interrupted : bool
        Whether Ctrl-C ended the chains early. `last` is then in the middle of an update.

    Examples
    --------
    >>> from sortes.mcmc import IsingModel
    >>> trace = IsingModel.grid((8, 8), beta=0.3).sample(draws=10, chains=2, rng=0)
    >>> trace.spins.shape, trace.energy.shape, trace.interrupted
    ((2, 10, 64), (2, 10), False)
    """

    spins: NDArray[Any]
    last: NDArray[Any]
    energy: NDArray[np.float64]
    magnetization: NDArray[np.float64]
    interrupted: bool


class SpinModel:
    """What both models have."""

    J: NDArray[np.float64]
    h: NDArray[np.float64]
    beta: float
    #: Pairs of neighbours; or the lengths of axes and which wrap: pairs are then made when asked.
    _edges: NDArray[np.int64] | tuple[list[int], list[bool]]
    #: The states of a site of a Potts model.
    _q: int | None = None
    _built: Model | None = None
    #: Rows and columns, where they wrap, J and h: where all sites are alike.
    _lattice: tuple[tuple[int, int], tuple[bool, bool], float, float] | None = None

    @property
    def num_sites(self) -> int:
        """How many sites there are."""
        return len(self.h)

    @property
    def edges(self) -> NDArray[np.int64]:
        """The pairs of neighbours, shape (m, 2)."""
        return grid_edges(*self._edges) if isinstance(self._edges, tuple) else self._edges

    def __repr__(self) -> str:
        states = "" if self._q is None else f", {self._q} states"
        name = type(self).__name__
        return f"{name}({self.num_sites} sites, {len(self.J)} edges{states}, beta={self.beta})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}

    def _native(self, job: Any = None) -> Model:
        """Return the model that kernels read; it is made when it is first needed."""
        if self._built is None:
            self._built = _core.mcmc.spins.Model(
                self.edges,
                np.ascontiguousarray(self.J),
                np.ascontiguousarray(self.h.reshape(self.num_sites, -1)),
                self._q is not None,
                self.beta,
                job,
            )
        return self._built

    def _states(self, spins: Any, name: str) -> NDArray[np.uint8]:
        """Return given states as kernels have them, of any shape with sites as the last axis."""
        array = host(spins, name, "iu")
        if not array.ndim or array.shape[-1] != self.num_sites:
            raise ValueError(f"{name}: must have shape (..., {self.num_sites}), got {array.shape}")
        if self._q is None:
            fine, values = abs(array) == 1, "-1 or 1"
        else:
            fine, values = (array >= 0) & (array < self._q), f"in [0, {self._q})"
        if not fine.all():
            at = tuple(int(i) for i in np.argwhere(~fine)[0])
            item = at[0] if len(at) == 1 else at
            raise ValueError(f"{name}: item {item} must be {values}, got {array[at]}")
        states = array > 0 if self._q is None else array
        return np.ascontiguousarray(states, np.uint8)

    def _energy(self, spins: Any, num_threads: int | None, progress: Progress) -> Any:
        states = self._states(spins, "spins")
        rows = states.reshape(-1, self.num_sites)
        with job_of(num_threads, progress, "states") as job:
            energies = self._native(job).energy(rows, job)
        return float(energies[0]) if states.ndim == 1 else energies.reshape(states.shape[:-1])

    def _shown(self, states: NDArray[np.uint8]) -> NDArray[Any]:
        """Return states of kernels as users see them, in the same memory."""
        if self._q is not None:
            return states
        spins = states.view(np.int8)
        spins *= 2
        spins -= 1
        return spins

    def _sample(
        self,
        draws: int,
        method: Method,
        order: Order | None,
        init: Init,
        clamped: Mapping[int, int] | None,
        warmup: int,
        chains: int | None,
        thin: int,
        keep_spins: bool,
        on_interrupt: OnInterrupt,
        rng: Rng,
        step: int,
        num_threads: int | None,
        progress: Progress,
    ) -> SpinTrace:
        if clamped is not None:
            held, stay = clamped_of(clamped, self.num_sites, self._q)
            if len(held):
                one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
                part = free_part(self.edges, self.J, self.h, held, stay)
                if not isinstance(init, str):
                    init = self._shown(self._states(init, "init"))[..., part.sites]
                trace = self._alike(part)._sample(
                    draws,
                    method,
                    order,
                    init,
                    None,
                    warmup,
                    chains,
                    thin,
                    keep_spins,
                    "return",
                    rng,
                    step,
                    num_threads,
                    progress,
                )
                trace = trace._replace(
                    spins=joined(trace.spins, part.sites, held, stay),
                    last=joined(trace.last, part.sites, held, stay),
                    energy=trace.energy + part.energy,
                )
                if trace.interrupted and on_interrupt == "raise":
                    raise Interrupted(trace)
                return trace
        plan = plan_of(draws, warmup, thin, keep_spins, "keep_spins")
        one_of(method, "method", get_args(Method))
        if order is not None:
            one_of(order, "order", get_args(Order))
            if method != "gibbs":
                raise ValueError(f"order: must be None for clusters, got {order!r}")
        one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
        if method != "gibbs" and self._q is not None:
            bad = self.beta * self.J < 0
            if bad.any():
                raise ValueError(
                    "method: clusters of a Potts model need couplings that attract, got "
                    f"J = {self.J[bad][0]} with beta = {self.beta}"
                )
        given = None
        if isinstance(init, str):
            one_of(init, "init", ["random"])
        else:
            given = chained(self._states(init, "init"), chains)
        stream = as_stream(rng, step)
        native = _core.mcmc.spins
        with job_of(num_threads, progress, "updates") as job:
            sites = self.num_sites
            if given is None:
                n = chains_of(chains)
                flat = native.random_states(self._q or 2, sites, n, stream, job)
                given = flat.reshape(n, sites)
            sampler: Sampler
            if method != "gibbs":
                sampler = native.Sampler.clusters(
                    self._native(job), method, given, plan, stream, job
                )
            elif self._lattice is not None and order in (None, "colored"):
                shape, periodic, coupling, field = self._lattice
                law = (coupling, field, self.beta)
                sampler = native.Sampler.lattice(shape, periodic, law, given, plan, stream, job)
            else:
                sampler = native.Sampler.gibbs(
                    self._native(job), order or "colored", given, plan, stream, job
                )
            trace, stop = finished(sampler, job, lambda: self._trace(sampler, len(given)))
        if stop is None:
            return trace  # type: ignore[no-any-return]
        trace = trace._replace(interrupted=True)
        if on_interrupt == "raise":
            raise Interrupted(trace) from stop
        return trace  # type: ignore[no-any-return]

    def _alike(self, part: FreePart) -> SpinModel:
        """Return a model of the same kind and temperature, of free sites."""
        model = SpinModel()
        set_up(model, part.edges, part.couplings, self.beta)
        model.h, model._q = fixed(part.fields), self._q
        return model

    def _trace(self, sampler: Sampler, chains: int) -> SpinTrace:
        n, states, last, energy, magnetization = sampler.take()
        kept = n if states.size else 0
        return SpinTrace(
            self._shown(states.reshape(chains, kept, self.num_sites)),
            self._shown(last.reshape(chains, self.num_sites)),
            energy.reshape(chains, n),
            magnetization.reshape(chains, n),
            False,
        )


def sites_of(pairs: NDArray[np.int64], num_sites: Any, given: int | None, name: str) -> int:
    """Return how many sites there are, and refuse pairs of others."""
    if num_sites is None:
        sites = given if given is not None else int(pairs.max(initial=-1)) + 1
        _SITES.check(sites, "num_sites" if given is None else name)
    else:
        sites = int(_SITES.check(num_sites, "num_sites"))
        if given not in (None, sites):
            raise ValueError(f"{name}: must have a row for each of {sites} sites, got {given}")
    bad = (pairs < 0) | (pairs >= sites)
    if bad.any():
        at = int(np.argmax(bad.any(axis=1)))
        raise ValueError(
            f"edges: row {at}: must hold sites in [0, {sites}), got {pairs[at].tolist()}"
        )
    return sites


def fixed(array: Any) -> NDArray[Any]:
    """Return a copy that cannot be written to."""
    copy = np.array(array, order="C")  # which nobody else holds
    copy.flags.writeable = False
    return copy


def set_up(model: SpinModel, pairs: NDArray[np.int64], J: NDArray[np.float64], beta: Any) -> None:
    """Give a model its pairs, couplings and temperature."""
    model._edges = fixed(pairs)
    model.J = np.broadcast_to(fixed(J), (len(pairs),))
    model.beta = real(beta, "beta", FINITE_NUMBERS)


def on_grid(model: SpinModel, sizes: list[int], wraps: list[bool], coupling: float) -> None:
    """Give a model the pairs of a rectangle, which are made when asked for."""
    sites = math.prod(sizes)
    bonds = [
        sites if wrap else sites // size * (size - 1)
        for size, wrap in zip(sizes, wraps, strict=True)
    ]
    model._edges = (sizes, wraps)
    model.J = np.broadcast_to(fixed(coupling), (sum(bonds),))
