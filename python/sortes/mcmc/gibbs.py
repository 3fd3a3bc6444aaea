"""Gibbs sampling: blocks of variables, each drawn given the others by a function of the user's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy import random

from sortes._arrays import host
from sortes._check import POSITIVE, AtLeastOne, Count, count, flag, one_of, several, shown
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, reporter
from sortes._rng import Rng, as_stream
from sortes.mcmc.blocks import Block, Mover, State, Where, label, names_of
from sortes.mcmc.trace import arviz_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes import _core

Scan: TypeAlias = Literal["systematic", "random", "permuted", "palindromic"]
#: A draw of a block, given the state.
Conditional: TypeAlias = Callable[[State, np.random.Generator], Any]
#: A proposal for a block, and the log densities of going there and back.
Propose: TypeAlias = Callable[[State, np.random.Generator], tuple[Any, Any, Any]]

_MOST: Final = 2**32 - 1
_CHAINS: Final = 4
#: Seconds between reports of progress.
_WAKE: Final = 0.05


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
        states = _beginnings(init, chains, beginning, self._needed())
        run = _Run(self, states, deciding, drawing, moving, vectorized=vectorized)
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
            error.trace = run.found(attrs, whole=False)  # type: ignore[attr-defined]
            raise
        found = run.found(attrs, whole=interrupted is None)
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


class _Run:
    """Chains on their way."""

    def __init__(
        self,
        sampler: Gibbs,
        states: list[dict[str, Any]],
        deciding: _core.Stream,
        drawing: _core.Stream,
        moving: _core.Stream,
        *,
        vectorized: bool,
    ) -> None:
        self.sampler, self.chains, self.vectorized = sampler, len(states), vectorized
        self.numbers = {name: _is_number(value) for name, value in states[0].items()}
        if vectorized:
            for name, fine in self.numbers.items():
                if not fine:
                    raise TypeError(
                        f"init: {name!r} must hold numbers with vectorized=True, got "
                        f"{shown(states[0][name])}"
                    )
            states = [{name: np.stack([s[name] for s in states]) for name in states[0]}]
        self.states = states
        for state in states:
            for value in state.values():
                _lock(value)
        keys = drawing.split(len(states))
        self.generators = [random.Generator(random.Philox(key=child.key)) for child in keys]
        self.deciding = deciding
        self.kept: list[list[dict[str, Any]]] = []
        self.tried = [np.zeros(self.chains, np.int64) for _ in sampler._blocks]
        self.taken = [np.zeros(self.chains, np.int64) for _ in sampler._blocks]
        self.nans = self.warmup = 0
        streams = moving.split(len(sampler._blocks))
        self.movers = {
            i: Mover(block, stream, self.chains)
            for i, ((_, block), stream) in enumerate(zip(sampler._blocks, streams, strict=True))
            if isinstance(block, Block)
        }
        for mover in self.movers.values():
            for name in mover.block._names:
                if not self.numbers[name]:
                    value = states[0][name]
                    raise TypeError(f"init: {name!r} must hold numbers, got {shown(value)}")

    def go(self, warmup: int, draws: int, thin: int, callback: Any) -> None:
        """Make transitions; a draw is kept when all chains have it."""
        sampler, total, self.warmup = self.sampler, warmup + draws * thin, warmup
        visits, is_drawn = sampler._visits(), sampler._is_drawn()
        has_mh = any(isinstance(block, MHBlock) for _, block in sampler._blocks)
        fixed = None if is_drawn else sampler._scan(np.empty(0))
        need = visits * (is_drawn + has_mh)
        rows = range(self.chains)
        reported = time.monotonic()
        for t in range(total):
            at = self.deciding.advance(t)
            uniforms = [at.uniforms(need, row) for row in rows] if need else []
            fresh = []
            for c, (state, generator) in enumerate(zip(self.states, self.generators, strict=True)):
                own = np.array(uniforms) if self.vectorized and need else None
                u = own if own is not None else (uniforms[c] if need else np.empty(0))
                scan = sampler._scan(u[:visits]) if fixed is None else fixed
                fresh.append(self.transition(dict(state), generator, scan, u, visits, c, t))
            self.states = fresh
            if t >= warmup and (t - warmup + 1) % thin == 0:
                self.kept.append(fresh)
            if callback is not None and time.monotonic() - reported > _WAKE:
                callback((t + 1) * self.chains, total * self.chains)
                reported = time.monotonic()
        if callback is not None:
            callback(total * self.chains, total * self.chains)

    def transition(
        self,
        state: dict[str, Any],
        generator: np.random.Generator,
        scan: list[int],
        uniforms: NDArray[np.float64],
        visits: int,
        chain: int,
        t: int,
    ) -> dict[str, Any]:
        """Update blocks in turn, each given the state as it is by then."""
        view = MappingProxyType(state)
        for turn, i in enumerate(scan):
            names, block = self.sampler._blocks[i]
            where = Where(names, chain, t, vectorized=self.vectorized)
            if isinstance(block, MHBlock):
                u = uniforms[..., turn - visits]
                fresh = self.proposed(state, view, generator, i, block, u, where)
            elif isinstance(block, Block):
                fresh = self.moved(state, view, self.movers[i], where)
            else:
                fresh = self.checked(state, names, block(view, generator), where)
            state.update(fresh)
        return state

    def checked(
        self, state: dict[str, Any], names: tuple[str, ...], value: Any, where: Where
    ) -> dict[str, Any]:
        """Return new values by name, of the kind and the shape of those before."""
        if len(names) == 1:
            values = [value]
        elif isinstance(value, tuple | list) and len(value) == len(names):
            values = list(value)
        else:
            raise ValueError(where.says(f"must return {len(names)} values, got {shown(value)}"))
        fresh = {}
        for name, new in zip(names, values, strict=True):
            if not self.numbers[name]:
                fresh[name] = new
                continue
            try:
                array = np.array(new)
            except ValueError:
                array = np.array(None)
            if array.dtype.kind not in "biuf":
                raise TypeError(where.says(f"must return numbers for {name!r}, got {shown(new)}"))
            if array.shape != np.shape(state[name]):
                wanted = np.shape(state[name])
                raise ValueError(
                    where.says(f"must return shape {wanted} for {name!r}, got {array.shape}")
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(where.says(f"must return finite numbers, got {shown(new)}"))
            fresh[name] = _lock(array) if array.ndim else array[()]
        return fresh

    def moved(
        self, state: dict[str, Any], view: State, mover: Mover, where: Where
    ) -> dict[str, Any]:
        """Return where a kernel leads the variables of a block."""
        block, rows = mover.block, self.chains if self.vectorized else 1
        values = [np.asarray(state[name], np.float64) for name in block._names]
        flat = [value.reshape(rows, -1) for value in values]
        ends = np.cumsum([part.shape[1] for part in flat])

        def named(points: NDArray[np.float64]) -> dict[str, Any]:
            parts = np.split(points, ends[:-1], axis=1)
            shaped = [part.reshape(value.shape) for part, value in zip(parts, values, strict=True)]
            return {
                name: _lock(part.copy()) if part.ndim else part[()]
                for name, part in zip(block._names, shaped, strict=True)
            }

        def evaluate(points: NDArray[np.float64]) -> NDArray[np.float64]:
            asked = MappingProxyType({**state, **named(points)})
            found = self.logs(block._logp(asked), where, "logp").reshape(rows)
            if (found == np.inf).any():
                raise ValueError(where.says("logp must not be +inf"))
            return np.array(found)

        before = self.logs(block._logp(view), where, "logp").reshape(rows)
        if not np.isfinite(before).all():
            raise ValueError(
                where.says(f"logp must be finite at the state, got {shown(before.tolist())}")
            )
        chains = range(self.chains) if self.vectorized else [where.chain]
        points = np.concatenate(flat, axis=1)
        tunes = where.t < self.warmup
        return named(mover.move(chains, points, np.array(before), evaluate, tunes=tunes))

    def proposed(
        self,
        state: dict[str, Any],
        view: State,
        generator: np.random.Generator,
        i: int,
        block: MHBlock,
        uniform: Any,
        where: Where,
    ) -> dict[str, Any]:
        """Return what Metropolis and Hastings make of a proposal."""
        answer = block._propose(view, generator)
        if not isinstance(answer, tuple | list) or len(answer) != 3:
            raise ValueError(
                where.says(f"must propose a value and two log densities, got {shown(answer)}")
            )
        fresh = self.checked(state, block._names, answer[0], where)
        forward = self.logs(answer[1], where, "the log density of the proposal")
        backward = self.logs(answer[2], where, "the log density of the way back")
        if not np.isfinite(forward).all():
            raise ValueError(
                where.says(
                    f"the log density of the proposal must be finite, got {shown(answer[1])}"
                )
            )
        before = self.logs(block._logp(view), where, "logp")
        if not np.isfinite(before).all():
            raise ValueError(
                where.says(f"logp must be finite at the state, got {shown(before.tolist())}")
            )
        after = self.logs(block._logp(MappingProxyType({**state, **fresh})), where, "logp")
        for what, numbers in (("logp", after), ("the log density of the way back", backward)):
            if (numbers == np.inf).any():
                raise ValueError(where.says(f"{what} must not be +inf"))
        ratio = after - before + backward - forward
        self.nans += int(np.isnan(ratio).sum())
        # An exponential above minus the ratio; where that is zero, whatever the exponential.
        taken = (ratio >= 0) | (np.log1p(-np.asarray(uniform)) < ratio)
        at = slice(None) if self.vectorized else where.chain
        self.tried[i][at] += 1
        self.taken[i][at] += taken
        if taken.all():
            return fresh
        if not taken.any():
            return {}
        return {name: _lock(_either(taken, new, state[name])) for name, new in fresh.items()}

    def logs(self, value: Any, where: Where, what: str) -> NDArray[np.float64]:
        """Return a number, or one for each chain."""
        shape = (self.chains,) if self.vectorized else ()
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise TypeError(where.says(f"{what} must be a number, got {shown(value)}")) from None
        if array.shape != shape and not (self.vectorized and array.shape == ()):
            raise ValueError(where.says(f"{what} must have shape {shape}, got {array.shape}"))
        return np.broadcast_to(array, shape)

    def found(self, attrs: dict[str, Any], *, whole: bool) -> GibbsDraws:
        """Return what is kept."""
        values: dict[str, Any] = {}
        for name, is_number in self.numbers.items():
            if self.vectorized:
                first = np.asarray(self.states[0][name])
                rows = [kept[0][name] for kept in self.kept]
                values[name] = (
                    np.stack(rows, axis=1)
                    if rows
                    else np.empty((self.chains, 0, *first.shape[1:]), first.dtype)
                )
                continue
            each = [[kept[c][name] for kept in self.kept] for c in range(self.chains)]
            shape = np.shape(self.states[0][name]) if is_number else ()
            values[name] = (
                np.array(each).reshape(self.chains, len(self.kept), *shape) if is_number else each
            )
        acceptance = {}
        for i, (names, block) in enumerate(self.sampler._blocks):
            if isinstance(block, MHBlock):
                share = self.taken[i] / np.maximum(self.tried[i], 1)
                acceptance[",".join(names)] = np.where(self.tried[i] > 0, share, np.nan)
        movers = self.movers.values()
        more = {
            "n_nan": self.nans + sum(mover.nans for mover in movers),
            "n_stuck": sum(mover.stuck for mover in movers),
            "interrupted": not whole,
        }
        return GibbsDraws(values, acceptance, {**attrs, **more})


def _either(taken: NDArray[np.bool_], new: Any, old: Any) -> Any:
    """Return for each chain the one value or the other."""
    wide = taken.reshape(taken.shape + (1,) * (np.ndim(new) - 1))
    return np.where(wide, new, old)


def _lock(value: Any) -> Any:
    """Return an array that cannot be written to."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf"


def _block_of(block: Any, i: int) -> tuple[tuple[str, ...], Any]:
    if isinstance(block, MHBlock | Block):
        return block._names, block
    if not isinstance(block, tuple | list) or len(block) != 2 or not callable(block[1]):
        raise TypeError(
            f"blocks: item {i} must be a name and a function, an MHBlock or a Block, got "
            f"{shown(block)}"
        )
    return names_of(block[0], f"blocks: item {i}"), block[1]


def _beginnings(
    init: Any, chains: int | None, stream: _core.Stream, needed: list[str]
) -> list[dict[str, Any]]:
    """Return the state in which each chain begins."""
    if callable(init) and not isinstance(init, Mapping):
        children = stream.split(_CHAINS if chains is None else chains)
        given = [
            init(random.Generator(random.Philox(key=child.key)), chain)
            for chain, child in enumerate(children)
        ]
    elif isinstance(init, Mapping):
        given = [init] * (_CHAINS if chains is None else chains)
    else:
        given = several(init, "init", "mappings")
        if not given or chains not in (None, len(given)):
            wanted = "a mapping" if chains is None else f"{chains} mappings"
            raise ValueError(f"init: must hold {wanted}, got {len(given)}")
    states = []
    for chain, state in enumerate(given):
        if not isinstance(state, Mapping):
            raise TypeError(f"init: must be a mapping of names to values, got {shown(state)}")
        for name in needed:
            if name not in state:
                raise ValueError(f"init: must have a value of {name!r}, got {shown(list(state))}")
        states.append({name: _value(value) for name, value in state.items()})
        for name, value in states[-1].items():
            _fits(name, value, states[0], chain)
    return states


def _value(value: Any) -> Any:
    """Return a value as states hold it: numbers as arrays or scalars of NumPy, and copies."""
    if isinstance(value, str | bytes) or not isinstance(
        value, bool | int | float | list | np.ndarray | np.generic
    ):
        return value
    try:
        array = np.array(value)
    except ValueError:
        return value
    return (array if array.ndim else array[()]) if array.dtype.kind in "biuf" else value


def _fits(name: str, value: Any, first: dict[str, Any], chain: int) -> None:
    if name not in first or len(first) == 0:
        raise ValueError(f"init: chain {chain} has {name!r}, which the first has not")
    if _is_number(value) != _is_number(first[name]):
        raise ValueError(f"init: {name!r} must be of one kind in all chains, got {shown(value)}")
    if not _is_number(value):
        return
    if np.shape(value) != np.shape(first[name]):
        shape = np.shape(first[name])
        raise ValueError(f"init: {name!r} must have shape {shape}, got {np.shape(value)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError(f"init: {name!r} must be finite, got {shown(value)}")
