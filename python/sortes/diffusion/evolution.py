"""Which levels of a fine path to visit, and how, by evolution: for any measure of quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import integers_of
from sortes._check import (
    PROBABILITY,
    AtLeastOne,
    Domain,
    Probability,
    count,
    one_of,
    several,
    shown,
)
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, reporter
from sortes._rng import Rng, as_stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Of levels and of choices.
_MANY: Final = Domain("[2, 65536]", integer=True)
_CHOICES: Final = Domain("[1, 65536]", integer=True)
_PEOPLE: Final = Domain("[1, 1048576]", integer=True)
_GENERATIONS: Final = Domain("[1, 1048576]", integer=True)
#: How many children are made for each that is wanted, where most have been there before.
_TRIES: Final = 16


class Evolved(NamedTuple):
    """What an evolution has found.

    Attributes
    ----------
    indices : ndarray of int64, shape (k + 1,)
        The levels, increasing, the first and the last among them.
    choices : ndarray of int64, shape (k,)
        The choice of each step; zeros if there is nothing to choose.
    cost : float
        What `fitness` said of them.
    n_evaluated : int
        How often it was asked.
    """

    indices: NDArray[np.int64]
    choices: NDArray[np.int64]
    cost: float
    n_evaluated: int


def evolutionary_search(
    fitness: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    n_levels: Annotated[int, _MANY],
    k: AtLeastOne,
    *,
    n_choices: Annotated[int, _CHOICES] = 1,
    population: Annotated[int, _PEOPLE] = 50,
    n_parents: Annotated[int, _PEOPLE] = 10,
    mutation: Probability = 0.5,
    generations: Annotated[int, _GENERATIONS] = 20,
    initial: Sequence[ArrayLike] = (),
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> Evolved:
    """Search for levels, and a choice for each step, that cost least.

    Parameters
    ----------
    fitness : callable
        ``fitness(indices, choices)`` returns the cost, the lower the better: a distance from a fine
        solver, an FID. `indices` are k + 1 levels of int64, `choices` k numbers in
        ``[0, n_choices)``. Infinite: not possible. It is never asked twice about the same.
    n_levels : int
        How many levels there are, 2 to 65536.
    k : int
        How many steps, in [1, n_levels - 1].
    n_choices : int, default 1
        How many choices each step has.
    population : int, default 50
        How many are tried in each generation.
    n_parents : int, default 10
        How many of the best of all have children.
    mutation : float, default 0.5
        How likely a child changes: one level moves between its neighbours, or one choice changes.
    generations : int, default 20
        How many generations, the first among them.
    initial : sequence of array_like of int, optional
        Levels that the first generation tries, with each choice for all steps; the rest of it is
        drawn uniformly.
    on_interrupt : {"raise", "return"}
        Whether Ctrl-C raises `sortes.Interrupted`, whose ``partial`` is the best so far, or returns
        that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts what was tried.

    Returns
    -------
    Evolved
        The best of all that were tried; of equal ones the first.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or `fitness` returns NaN or minus infinity, or nothing
        that is possible was found.
    TypeError
        If an argument has a wrong type, or `fitness` returns no number.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    Notes
    -----
    The best stay as parents as long as no child is better. A child has levels of two parents, of
    which as many as needed are drawn, and for each step the choice of one of them.

    References
    ----------
    Li et al., "AutoDiffusion: training-free optimization of time steps and architectures for
    automated diffusion model acceleration", ICCV 2023, arXiv:2309.10438.

    Examples
    --------
    >>> from sortes.diffusion import evolutionary_search
    >>> def fitness(indices, choices):
    ...     return float(((indices[1:] - indices[:-1]) ** 2).sum())
    >>> found = evolutionary_search(fitness, 13, 4, rng=0)
    >>> found.indices, found.cost
    (array([ 0,  3,  6,  9, 12]), 36.0)
    """
    if not callable(fitness):
        raise TypeError(f"fitness: must be callable, got {shown(fitness)}")
    levels = _MANY.check(n_levels, "n_levels")
    steps = count(k, "k", 1, levels - 1)
    choices = _CHOICES.check(n_choices, "n_choices")
    people, parents = _PEOPLE.check(population, "population"), _PEOPLE.check(n_parents, "n_parents")
    change = PROBABILITY.check(mutation, "mutation")
    rounds = _GENERATIONS.check(generations, "generations")
    given = [
        (*_inner(one, i, levels, steps), *[choice] * steps)
        for i, one in enumerate(several(initial, "initial", "levels"))
        for choice in range(choices)
    ]
    one_of(on_interrupt, "on_interrupt", ("raise", "return"))
    stream = as_stream(rng, step)
    key = int(
        _core.diffusion.noise.keys(
            np.array([stream.key], np.uint64), np.array([stream.step], np.uint32), None
        )[0]
    )
    species = (levels, steps, choices, change)
    run = _Evolution(fitness, species, key)
    with reporter(progress, "tried") as report:
        try:
            for generation in range(rounds):
                if not run.live(generation, people, parents, given, report, rounds * people):
                    break
        except KeyboardInterrupt:
            if run.best is None:
                raise
            if on_interrupt == "raise":
                raise Interrupted(run.result()) from None
    if run.best is None:
        raise ValueError(f"fitness: must be finite for some levels, got inf for {run.asked}")
    return run.result()


def _inner(one: Any, i: int, levels: int, steps: int) -> list[int]:
    """Return the inner ones of levels that the user gave."""
    name = f"initial: item {i}"
    at = integers_of(one, name, Domain(f"[0, {levels})", integer=True))
    if len(at) != steps + 1 or at[0] != 0 or at[-1] != levels - 1 or not (np.diff(at) > 0).all():
        raise ValueError(
            f"{name} must hold {steps + 1} levels that increase from 0 to {levels - 1}, "
            f"got {shown(at.tolist())}"
        )
    inner: list[int] = at[1:-1].tolist()
    return inner


class _Evolution:
    """What has been tried, and what was best."""

    def __init__(self, fitness: Any, species: tuple[int, int, int, float], key: int) -> None:
        self._fitness, self._species, self._key = fitness, species, key
        self._costs: dict[tuple[int, ...], float] = {}
        self._elite: list[tuple[float, int, tuple[int, ...]]] = []
        self.best: tuple[float, int, tuple[int, ...]] | None = None

    @property
    def asked(self) -> int:
        """How often the fitness was asked."""
        return len(self._costs)

    def result(self) -> Evolved:
        """Return the best so far."""
        cost, _, genome = self.best  # type: ignore[misc]
        return Evolved(*self._parts(genome), cost, self.asked)

    def _parts(self, genome: tuple[int, ...]) -> tuple[Any, Any]:
        levels, steps = self._species[:2]
        inner = genome[: steps - 1]
        return np.array([0, *inner, levels - 1], np.int64), np.array(genome[steps - 1 :], np.int64)

    def live(
        self,
        generation: int,
        people: int,
        parents: int,
        given: list[tuple[int, ...]],
        report: Any,
        total: int,
    ) -> bool:
        """Try a generation; say whether there was anything new to try."""
        new = self._new(generation, people, given if generation == 0 else [])
        for genome in new:
            cost = _number(self._fitness(*self._parts(genome)))
            self._costs[genome] = cost
            if cost < math.inf:
                self._elite.append((cost, self.asked, genome))
                self.best = (
                    self._elite[-1] if self.best is None else min(self.best, self._elite[-1])
                )
            if report is not None:
                report(self.asked, total)
        self._elite = sorted(self._elite)[:parents]
        return bool(new)

    def _new(
        self, generation: int, people: int, given: list[tuple[int, ...]]
    ) -> list[tuple[int, ...]]:
        """Return genomes that have not been there, in the order in which they were made."""
        width = 2 * self._species[1] - 1
        new = dict.fromkeys(given)
        elite = np.array([genome for *_, genome in self._elite], np.uint32).ravel()
        for turn in range(_TRIES):
            if len(new) >= people:
                break
            made = _core.diffusion.fitting.children(
                self._species, elite, (self._key, generation), (turn * people, people), None
            )
            for genome in map(tuple, made.reshape(-1, width).tolist()):
                if genome not in self._costs and len(new) < people:
                    new.setdefault(genome)
        return list(new)


def _number(cost: Any) -> float:
    try:
        value = float(cost)
    except (TypeError, ValueError):
        raise TypeError(f"fitness: must return a number, got {shown(cost)}") from None
    if not value > -math.inf:
        raise ValueError(f"fitness: must return a number or inf, got {value}")
    return value
