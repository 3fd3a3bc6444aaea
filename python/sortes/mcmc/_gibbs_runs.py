"""Chains of a Gibbs sampler on their way: states, visits to blocks, and what is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy import random

from sortes._check import several, shown
from sortes.mcmc.blocks import Block, MHBlock, Mover, State, Where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes import _core
    from sortes.mcmc.gibbs import Gibbs

_CHAINS: Final = 4
#: Seconds between reports of progress.
_WAKE: Final = 0.05


class Run:
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

    def found(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]], dict[str, int]]:
        """Return what is kept, shares of proposals that were taken, and counts."""
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
        }
        return values, acceptance, more


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


def beginnings(
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
