"""Gibbs sampling: blocks of variables, each drawn given the others by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes._arrays import host
from sortes._check import POSITIVE, AtLeastOne, Count, count, flag, one_of, several, shown
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, reporter
from sortes._rng import Rng, as_stream
from sortes.mcmc._gibbs_runs import Run, beginnings
from sortes.mcmc.blocks import Block, MHBlock, State, label, names_of
from sortes.mcmc.trace import arviz_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


Scan: TypeAlias = Literal["systematic", "random", "permuted", "palindromic"]
#: A draw of a block, given the state.
Conditional: TypeAlias = Callable[[State, np.random.Generator], Any]

_MOST: Final = 2**32 - 1


class Gibbs:
    r"""Gibbs sampling: every block in turn is drawn given the others.

    Parameters
    ----------
    blocks : sequence of (name, conditional), MHBlock or Block
        ``conditional(state, generator)`` returns a draw of the variable given the others: `state`
        is a mapping of names to current values, which cannot be changed. A block of several
        variables has a tuple of names, and returns a tuple of values.
    order : {"systematic", "random", "permuted", "palindromic"}
        The blocks of a transition: all in order; as many as there are, each drawn; all in an order
        that is drawn; all in order and back, the last one once, which is reversible.
    weights : array_like, shape (blocks,), optional
        How often each block is drawn in random order: equally often unless given.

    Raises
    ------
    ValueError
        If there is no block, a name twice, or `weights` with another order.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    With exact conditionals the joint law stays as it is, whatever the order. A variable without a
    block keeps its value.

    References
    ----------
    Geman and Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of
    images", IEEE Transactions on Pattern Analysis and Machine Intelligence 6(6), 1984.

    Examples
    --------
    Two normals with correlation 0.8:

    >>> from sortes.mcmc import Gibbs
    >>> def given(other):
    ...     return lambda state, rng: 0.8 * state[other] + 0.6 * rng.normal()
    >>> gibbs = Gibbs([("x", given("y")), ("y", given("x"))])
    >>> found = gibbs.sample({"x": 0.0, "y": 0.0}, draws=2000, rng=0)
    >>> x, y = found.values["x"], found.values["y"]
    >>> bool(abs((x * y).mean() - 0.8) < 0.15)
    True
    """

    def __init__(
        self,
        blocks: Sequence[tuple[str | tuple[str, ...], Conditional] | MHBlock | Block],
        *,
        order: Scan = "systematic",
        weights: ArrayLike | None = None,
    ) -> None:
        self._blocks = []
        for i, block in enumerate(several(blocks, "blocks", "blocks")):
            self._blocks.append(_block_of(block, i))
        if not self._blocks:
            raise ValueError("blocks: must hold a block, got none")
        self._order = one_of(order, "order", get_args(Scan))
        n = len(self._blocks)
        self._cumulative = np.arange(1, n + 1) / n
        if weights is not None:
            if order != "random":
                raise ValueError(f"weights: must not be given with order={order!r}")
            shares = np.asarray(host(weights, "weights"), np.float64)
            if shares.shape != (n,):
                raise ValueError(f"weights: must have shape ({n},), got {shares.shape}")
            POSITIVE.check_items(shares, "weights")
            sums = np.cumsum(shares / shares.max())
            self._cumulative = sums / sums[-1]

    def __repr__(self) -> str:
        names = ", ".join(label(names) for names, _ in self._blocks)
        return f"Gibbs([{names}], order={self._order!r})"

    def sample(
        self,
        init: State | Sequence[State] | Callable[[np.random.Generator, int], State],
        *,
        draws: AtLeastOne = 1000,
        warmup: Count = 0,
        chains: AtLeastOne | None = None,
        thin: AtLeastOne = 1,
        vectorized: bool = False,
        on_interrupt: OnInterrupt = "return",
        rng: Rng = None,
        step: int = 0,
        progress: Progress = None,
    ) -> GibbsDraws:
        """Run chains of transitions.

        Parameters
        ----------
        init : mapping, sequence of mappings, or callable
            The value of each variable where all chains begin, or one mapping for each chain, or a
            function ``init(generator, chain)`` that returns one. Values are numbers, arrays, or
            any objects.
        draws : int, default 1000
            Draws of each chain.
        warmup : int, default 0
            Transitions before the first draw. Widths of a `Block` are tuned in these.
        chains : int, optional
            How many chains: as many as `init` has, or 4.
        thin : int, default 1
            Transitions for each draw; the state after the last of them is kept.
        vectorized : bool, default False
            Whether values have a leading axis of chains, and each function is called once for all.
            The order is then one that is not drawn.
        on_interrupt : {"return", "raise"}
            What Ctrl-C does: return what there is, with ``attrs["interrupted"]``, or raise
            `sortes.Interrupted`, which holds it.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts transitions.

        Returns
        -------
        GibbsDraws
            The draws of each variable.

        Raises
        ------
        ValueError
            If an argument is out of its domain, `init` lacks a variable, or a function returns NaN,
            infinity or another shape: the message names block, chain and transition.
        TypeError
            If an argument has the wrong type, or a function returns something that is no number
            where there was one.
        Interrupted
            If Ctrl-C stops it and `on_interrupt` says so.

        Notes
        -----
        Each chain has a generator of its own (one for all with `vectorized`), made of the stream
        and the number of the chain; orders and decisions have numbers of their own. Draws of a
        chain do not depend on the other chains.

        What an exception leaves is in its attribute ``trace``: the draws until then.

        Examples
        --------
        >>> from sortes.mcmc import Gibbs
        >>> gibbs = Gibbs([("x", lambda state, rng: "ab"[rng.integers(2)])])
        >>> gibbs.sample({"x": "a"}, draws=3, chains=1, rng=0).values["x"]
        [['a', 'a', 'b']]
        """
        draws, warmup = count(draws, "draws", 1), count(warmup, "warmup", 0, _MOST)
        thin = count(thin, "thin", 1, _MOST)
        if warmup + draws * thin > _MOST:
            raise ValueError(f"draws: must leave a chain less than 2**32 transitions, got {draws}")
        if chains is not None:
            chains = count(chains, "chains", 1, _MOST)
        vectorized = flag(vectorized, "vectorized")
        if vectorized and self._order in ("random", "permuted"):
            raise ValueError(f"vectorized: must be False with order={self._order!r}, got True")
        one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
        if progress is not None and not isinstance(progress, bool) and not callable(progress):
            reporter(progress)  # which says what is wrong with it
        stream = as_stream(rng, step)
        deciding, drawing, beginning, moving = stream.split(4)
        states = beginnings(init, chains, beginning, self._needed())
        run = Run(self, states, deciding, drawing, moving, vectorized=vectorized)
        attrs = {
            "key": stream.key,
            "step": stream.step,
            "sampler": repr(self),
            "warmup": warmup,
            "thin": thin,
        }
        interrupted: KeyboardInterrupt | None = None
        try:
            with reporter(progress, "transitions") as callback:
                run.go(warmup, draws, thin, callback)
        except KeyboardInterrupt as stop:
            interrupted = stop
        except Exception as error:
            error.trace = _draws_of(run, attrs, whole=False)  # type: ignore[attr-defined]
            raise
        found = _draws_of(run, attrs, whole=interrupted is None)
        if interrupted is not None and on_interrupt == "raise":
            raise Interrupted(found) from interrupted
        return found

    def _needed(self) -> list[str]:
        return [name for names, _ in self._blocks for name in names]

    def _is_drawn(self) -> bool:
        return self._order in ("random", "permuted")

    def _visits(self) -> int:
        """Return how many blocks a transition updates."""
        n = len(self._blocks)
        return 2 * n - 1 if self._order == "palindromic" else n

    def _scan(self, uniforms: NDArray[np.float64]) -> list[int]:
        """Return the blocks of a transition."""
        n = len(self._blocks)
        if self._order == "random":
            found = np.searchsorted(self._cumulative, uniforms, side="right")
            return [int(i) for i in np.minimum(found, n - 1)]
        turns = list(range(n))
        if self._order == "permuted":
            for top, u in zip(range(n - 1, 0, -1), uniforms, strict=False):
                other = min(int((top + 1) * u), top)
                turns[top], turns[other] = turns[other], turns[top]
        elif self._order == "palindromic":
            turns += turns[-2::-1]
        return turns


@dataclass(frozen=True, eq=False, repr=False)
class GibbsDraws:
    """The draws of several chains, from `Gibbs.sample`.

    Attributes
    ----------
    values : dict
        The draws of each variable: an array of shape (chains, n, ...), or where they are no
        numbers, a list of lists.
    acceptance : dict of ndarray, shape (chains,)
        For each `MHBlock`, the share of proposals that were taken, by the names of its variables
        with commas between.
    attrs : dict
        ``key`` and ``step`` of the stream, ``sampler``, ``warmup``, ``thin``, ``n_nan``, how many
        ratios and log densities were NaN, ``n_stuck``, how many updates of a `Block` reached its
        limit, ``interrupted``.

    Examples
    --------
    >>> from sortes.mcmc import Gibbs
    >>> gibbs = Gibbs([("x", lambda state, rng: rng.normal(size=3))])
    >>> gibbs.sample({"x": [0.0, 0.0, 0.0]}, draws=5, rng=0).values["x"].shape
    (4, 5, 3)
    """

    values: Mapping[str, Any]
    acceptance: Mapping[str, NDArray[np.float64]]
    attrs: Mapping[str, Any]

    def __repr__(self) -> str:
        names = ", ".join(self.values)
        return f"GibbsDraws({names})"

    def to_arviz(self) -> Any:
        """Return the numbers among the draws as ArviZ has them, as `Trace.to_arviz` does.

        Returns
        -------
        InferenceData or DataTree
            The draws of all variables that are numbers.

        Raises
        ------
        ImportError
            If ArviZ is not installed.

        Examples
        --------
        >>> from sortes.mcmc import Gibbs
        >>> gibbs = Gibbs([("x", lambda state, rng: rng.normal())])
        >>> found = gibbs.sample({"x": 0.0}, draws=5, rng=0)
        >>> data = found.to_arviz()  # doctest: +SKIP
        """
        numbers = {name: x for name, x in self.values.items() if isinstance(x, np.ndarray)}
        return arviz_of({"posterior": numbers}, has_warmup=False)


def _draws_of(run: Run, attrs: dict[str, Any], *, whole: bool) -> GibbsDraws:
    """Return what chains have kept."""
    values, acceptance, counts = run.found()
    return GibbsDraws(values, acceptance, {**attrs, **counts, "interrupted": not whole})


def _block_of(block: Any, i: int) -> tuple[tuple[str, ...], Any]:
    if isinstance(block, MHBlock | Block):
        return block._names, block
    if not isinstance(block, tuple | list) or len(block) != 2 or not callable(block[1]):
        raise TypeError(
            f"blocks: item {i} must be a name and a function, an MHBlock or a Block, got "
            f"{shown(block)}"
        )
    return names_of(block[0], f"blocks: item {i}"), block[1]
