"""Blocks of a Gibbs sampler, proposed or updated by slices, and what messages say of any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sortes import _core
from sortes._check import AtLeastOne, count, shown
from sortes.mcmc.kernels import AnyKernel, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

State: TypeAlias = Mapping[str, Any]
#: A proposal for a block, and the log densities of going there and back.
Propose: TypeAlias = Callable[[State, np.random.Generator], tuple[Any, Any, Any]]

_MOST: Final = 2**32 - 1


class MHBlock:
    r"""A block that is updated by Metropolis and Hastings' rule.

    Parameters
    ----------
    name : str or tuple of str
        The variable, or the variables that are proposed together.
    propose : callable
        ``propose(state, generator)`` returns a new value (a tuple of values for several variables),
        the log density $q(x \to x')$ of proposing it, and that of the way back, $q(x' \to x)$.
        Symmetric proposals may return zeros.
    logp : callable
        ``logp(state)``: the joint log density, or anything that differs from it by terms without
        the block.

    Raises
    ------
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The proposal is taken with probability $\min(1, e^a)$, where
    $a = \ell(x') - \ell(x) + q(x' \to x) - q(x \to x')$. If $a$ is NaN or minus infinity, it is
    not. With ``vectorized=True`` all of these have a leading axis of chains.

    References
    ----------
    Hastings, "Monte Carlo sampling methods using Markov chains and their applications", Biometrika
    57(1), 1970.

    Examples
    --------
    >>> from sortes.mcmc import Gibbs, MHBlock
    >>> def propose(state, rng):
    ...     return state["x"] + rng.normal(), 0.0, 0.0
    >>> block = MHBlock("x", propose, lambda state: -abs(state["x"]))
    >>> found = Gibbs([block]).sample({"x": 0.0}, draws=100, rng=0)
    >>> found.values["x"].shape
    (4, 100)
    """

    def __init__(
        self, name: str | tuple[str, ...], propose: Propose, logp: Callable[[State], Any]
    ) -> None:
        self._names = names_of(name, "name")
        for argument, function in (("propose", propose), ("logp", logp)):
            if not callable(function):
                raise TypeError(f"{argument}: must be a function, got {shown(function)}")
        self._propose, self._logp = propose, logp

    def __repr__(self) -> str:
        return f"MHBlock({label(self._names)})"


class Block:
    r"""A block that is updated by a kernel of `sample`.

    Parameters
    ----------
    name : str or tuple of str
        The variable, or the variables that move together: numbers or arrays of them, which become
        one vector, in this order.
    kernel : kernel or list of kernels
        The transition: any that may stand in a list, such as `Slice`, `HitAndRunSlice` and
        `GibbsianPolarSlice` without `adapt`.
    logp : callable
        ``logp(state)``: the joint log density, or anything that differs from it by terms without
        the block. Minus infinity and NaN are never accepted, plus infinity is an error.
    max_evals_per_transition : int, default 10000
        The most evaluations of an update, as in `sample`.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    A visit is one transition of the kernel, which leaves the law of the block given the others as
    it is. Widths are tuned in the warm-up of `Gibbs.sample`, which is none unless asked for. With
    ``vectorized=True`` `logp` is called with the points of all chains, as often as the chain that
    asks most.

    References
    ----------
    Neal, "Slice sampling", Annals of Statistics 31(3), 2003, section 4.

    Examples
    --------
    >>> from sortes.mcmc import Block, Gibbs, Slice
    >>> block = Block("x", Slice(2.0), lambda state: -abs(state["x"]))
    >>> found = Gibbs([block]).sample({"x": 0.0}, draws=1000, rng=0)
    >>> bool(0.85 < abs(found.values["x"]).mean() < 1.15)
    True
    """

    def __init__(
        self,
        name: str | tuple[str, ...],
        kernel: AnyKernel,
        logp: Callable[[State], Any],
        *,
        max_evals_per_transition: AtLeastOne = 10_000,
    ) -> None:
        self._names = names_of(name, "name")
        self._kernel = part_of(kernel, "kernel")
        if not callable(logp):
            raise TypeError(f"logp: must be a function, got {shown(logp)}")
        self._logp = logp
        limit = count(max_evals_per_transition, "max_evals_per_transition", 1, _MOST)
        self._limit = limit

    def __repr__(self) -> str:
        return f"Block({label(self._names)}, {self._kernel!r})"


class Mover:
    """The kernels of a block, one for each chain, which go on where its variables are."""

    def __init__(self, block: Block, stream: _core.Stream, chains: int) -> None:
        self.block, self.streams = block, stream.split(chains)
        self.samplers: list[_core.mcmc.engine.Sampler | None] = [None] * chains
        self.native: _core.mcmc.engine.Kernel | None = None
        self.nans = self.stuck = 0

    def move(
        self,
        chains: Sequence[int],
        points: NDArray[np.float64],
        logp: NDArray[np.float64],
        evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        *,
        tunes: bool,
    ) -> NDArray[np.float64]:
        """Return where a transition leads chains from points of these log densities.

        `evaluate` takes a point of each of the chains.
        """
        if self.native is None:
            self.native = self.block._kernel._native(points.shape[1], self.block._limit)
        running: list[tuple[int, _core.mcmc.engine.Sampler]] = []
        for row, chain in enumerate(chains):
            at, value = points[row : row + 1], logp[row : row + 1]
            sampler = self.samplers[chain]
            if sampler is None:
                self.block._kernel._check_init(at)
                sampler = _core.mcmc.engine.Sampler(self.native, at, value, self.streams[chain])
                self.samplers[chain] = sampler
            elif not sampler.place(at, value)[0]:
                self.stuck += 1
                continue
            sampler.begin(int(tunes), int(not tunes), 1, False, True)
            running.append((row, sampler))
        asked = points.copy()
        while True:
            busy = [(row, s) for row, s in running if s.gather(asked[row : row + 1])]
            if not busy:
                break
            values = evaluate(asked.copy())
            for row, sampler in busy:
                sampler.scatter(values[row : row + 1])
        found = points.copy()
        for row, sampler in running:
            self.nans += int(sampler.nans().sum())
            _, draws, _, _, _, stuck = sampler.take()
            found[row] = draws
            self.stuck += int(stuck.sum())
        return found


@dataclass(frozen=True)
class Where:
    """What a message says of the place of a fault."""

    names: tuple[str, ...]
    chain: int
    t: int
    vectorized: bool

    def says(self, fault: str) -> str:
        """Return a message of the fault and its place."""
        chain = "all chains" if self.vectorized else f"chain {self.chain}"
        return f"blocks: {label(self.names)} in {chain}, transition {self.t}: {fault}"


def label(names: tuple[str, ...]) -> str:
    """Return names of variables as messages have them."""
    return repr(names[0]) if len(names) == 1 else repr(names)


def names_of(name: Any, argument: str) -> tuple[str, ...]:
    """Return the names of the variables of a block."""
    names = name if isinstance(name, tuple) else (name,)
    if not names or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{argument}: must be a name or a tuple of names, got {shown(name)}")
    if len(set(names)) < len(names):
        raise ValueError(f"{argument}: must not hold a name twice, got {shown(name)}")
    return names
