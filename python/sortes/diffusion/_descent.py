"""Nonlinear least squares: levels and coefficients that end near a fine solver's results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from sortes import _core
from sortes.diffusion._states import doubled
from sortes.diffusion._states import products as inner
from sortes.diffusion.loop import _answer, sample
from sortes.diffusion.path import Path, _restored
from sortes.diffusion.plans import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

#: By how much a parameter is moved to see what it does, in float32 and in float64: the share of
#: what it acts on.
_MOVED: Final = {4: 2e-3, 8: 1e-5}
#: The least gap between levels that a descent begins with, as a share of all.
_GAP: Final = 1e-4
#: How strongly steps are drawn in at first; how much less after each that helps, more after others.
_DAMPING: Final = (1e-2, 0.2, 4.0)
#: How often a step is drawn in before the descent ends; and it ends after this many steps of which
#: each helped by less than this share.
_TRIES: Final = 8
_SLOW: Final = 3
_LITTLE: Final = 1e-3


class Batch:
    """The states of a fit, where they should end, and what is asked about them."""

    def __init__(
        self, denoiser: Any, x: Any, path: Path, chunk: int, report: Any, torch: Any
    ) -> None:
        self.path, self.torch, self._denoiser, self._report = path, torch, denoiser, report
        self._asked = x.dtype
        state = x.detach()
        self.states = list(
            (state.to(torch.float32) if x.dtype.itemsize < 4 else state).split(chunk)
        )
        self.targets: list[Any] = []
        self.numbers = x.numel()
        self.moved = _MOVED[self.states[0].dtype.itemsize]
        self._asked_before = count(1)

    def first(self) -> Batch:
        """Return the first part of it: itself if there is one part."""
        if len(self.states) == 1:
            return self
        part = copy(self)
        part.states, part.targets = self.states[:1], self.targets[:1]
        part.numbers = part.states[0].numel()
        return part

    def data(self, x: Any, level: Any) -> Any:
        """Ask the denoiser."""
        d = self._denoiser(x.to(self._asked), level)
        asked = next(self._asked_before)
        if self._report is not None:
            self._report(asked, 0)
        return _answer(d, x, self.torch)

    def ran(self, plan: Plan, which: int, callback: Any = None) -> Any:
        """Return where a plan ends from some states."""
        x = self.states[which]
        return sample(self.data, x, plan, callback=callback, check_finite=False)

    def cost(self, plan: Plan) -> float:
        """Return the mean square of how far a plan ends from the targets."""
        total = 0.0
        for which, target in enumerate(self.targets):
            total += float(doubled(self.ran(plan, which) - target).square().sum())
        return total / self.numbers if math.isfinite(total) else math.inf


class Knots:
    """Levels of a run between two ends, by numbers without bounds.

    The gaps in lam are the softmax of these numbers and a zero.
    """

    def __init__(self, path: Path, n: int) -> None:
        lam = path.lam
        finite = lam[np.isfinite(lam)]
        self._path, self._n = path, n
        self._is_clean = lam[-1] == np.inf
        # A run from pure noise may ask a little above the first level of the path that has signal.
        self.low = float(lam[0]) if lam[0] > -np.inf else float(finite[0]) - 1.0
        self.high = float(finite[-1])

    def lam(self, z: Doubles) -> Doubles:
        """Return the levels between the first and the last."""
        gaps = np.exp(np.append(z, 0.0) - max(0.0, float(z.max(initial=0.0))))
        inner: Doubles = self.low + (self.high - self.low) * np.cumsum(gaps / gaps.sum())[:-1]
        return inner

    def numbers(self, lam: Doubles) -> Doubles:
        """Return the numbers of levels between the first and the last."""
        gaps = np.diff(np.concatenate([[self.low], lam, [self.high]]))
        # A level at an end has no number; one close by has.
        logs = np.log(np.maximum(gaps, _GAP * (self.high - self.low)))
        z: Doubles = logs[:-1] - logs[-1]
        return z

    def slopes(self, z: Doubles) -> Doubles:
        """Return how each level, a row, moves with each number."""
        gaps = np.exp(np.append(z, 0.0) - max(0.0, float(z.max(initial=0.0))))
        shares = (gaps / gaps.sum())[:-1]
        below = np.tril(np.ones((len(z), len(z))))
        moved: Doubles = (self.high - self.low) * (below - np.cumsum(shares)[:, None]) * shares
        return moved

    def path(self, z: Doubles) -> Path:
        """Return the path through the levels."""
        return self.through(self.lam(z))

    def through(self, lam: Doubles) -> Path:
        """Return the path through given levels between the first and the last."""
        path = self._path
        levels = [path[0], *(path.at_lambda(v) for v in lam.tolist()), path[-1]]
        a, s, t = np.array(levels, np.float64).T
        return _restored(a, s, t, path.kind, path._clock)


class Family(Protocol):
    """Plans by parameters."""

    def plan(self, theta: Doubles) -> Plan:
        """Return the plan."""

    def columns(self, theta: Doubles, which: int) -> tuple[Any, Any]:
        """Return how far some states end from their targets, and how parameters change that."""


class Schedules:
    """A solver on levels that move."""

    def __init__(self, batch: Batch, knots: Knots, make: Callable[[Path], Plan]) -> None:
        self._batch, self._knots, self._make = batch, knots, make

    def plan(self, theta: Doubles) -> Plan:
        """Return the solver's plan on the levels."""
        return self._make(self._knots.path(theta))

    def columns(self, theta: Doubles, which: int) -> tuple[Any, Any]:
        """Return residuals and their derivatives, by differences."""
        batch, moved = self._batch, self._batch.moved
        end = batch.ran(self.plan(theta), which)
        columns = []
        for i in range(len(theta)):
            other = theta.copy()
            other[i] += moved
            columns.append((batch.ran(self.plan(other), which) - end) / moved)
        return end - batch.targets[which], columns


class Rows:
    """One evaluation for each step, and rows of coefficients near those of a classical solver."""

    def __init__(self, batch: Batch, knots: Knots, n: int, form: tuple[int, int, int]) -> None:
        self._batch, self._knots, self._n, self._form = batch, knots, n, form
        widths = [len(self._row(self._knots.path(np.zeros(n - 1)), k)[1]) for k in range(n)]
        #: Where the parameters of each row are, behind those of the levels.
        self.starts = np.cumsum([n - 1, *widths])

    def _row(self, path: Path, k: int) -> tuple[Doubles, Doubles]:
        given = (path.kind, path.alpha, path.sigma)
        base, directions = _core.diffusion.fitting.row(given, self._form, k)
        return base, directions.reshape(-1, len(base))

    def rows(self, path: Path, theta: Doubles) -> list[tuple[Doubles, Doubles]]:
        """Return each row and the directions in which its parameters move it."""
        out = []
        for k in range(self._n):
            base, directions = self._row(path, k)
            part = theta[self.starts[k] : self.starts[k + 1]]
            out.append((base + part @ directions, directions))
        return out

    def plan(self, theta: Doubles) -> Plan:
        """Return the plan of the rows."""
        path = self._knots.path(theta[: self._n - 1])
        return plan_of_rows(path, [row for row, _ in self.rows(path, theta)])

    def in_turn(self, theta: Doubles, states: list[list[Any]], ridge: float) -> Doubles:
        """Fit one row after the other to states of a fine solver at the levels.

        `states` are, for each part of the batch, where each row should end.
        """
        batch, theta = self._batch, theta.copy()
        path = self._knots.path(theta[: self._n - 1])
        levels = [*path]
        ys = list(batch.states)
        history: list[list[Any]] = [[] for _ in ys]
        for k in range(self._n):
            base, directions = self._row(path, k)
            width = len(base)
            sums = np.zeros((width + 1, width + 1))
            for which, y in enumerate(ys):
                history[which].insert(0, batch.data(y, levels[k]))
                del history[which][width - 1 :]
                sums += products([y, *history[which], states[which][k]], batch.torch)
            gram = np.ascontiguousarray(sums[:-1, :-1]).ravel()
            right = np.ascontiguousarray(sums[:-1, -1])
            row = _core.diffusion.fitting.fitted(base, directions.ravel(), gram, right, ridge)
            # The parameters of the row, of which it is a combination.
            if len(directions):
                steps = np.linalg.lstsq(directions.T, row - base, rcond=None)[0]
                theta[self.starts[k] : self.starts[k + 1]] = steps
            ys = [combined(row, [y, *past]) for y, past in zip(ys, history, strict=True)]
        return theta

    def columns(self, theta: Doubles, which: int, *, rows: bool = True) -> tuple[Any, Any]:
        """Return residuals and their derivatives: by differences, but for the last row.

        Without `rows`, those by the levels alone.
        """
        batch, n = self._batch, self._n
        path = self._knots.path(theta[: n - 1])
        made = self.rows(path, theta)
        plain = [row for row, _ in made]
        ys, ms = self._run(path, plain, [batch.states[which]], [])
        end = ys[-1]
        columns = []
        lam = self._knots.lam(theta[: n - 1])
        by_level = []
        for k in range(1, n):
            # A level changes its own evaluation and the rows from the one that leads there.
            other = lam.copy()
            room = (lam[k] if k < n - 1 else self._knots.high) - lam[k - 1]
            small = min(batch.moved, 0.25 * room)
            other[k - 1] += small
            moved = self._knots.through(other)
            changed = [row for row, _ in self.rows(moved, theta)]
            begun = [
                *ys[:k],
                combined(changed[k - 1], [ys[k - 1], *_newest(ms[:k], changed[k - 1])]),
            ]
            later, _ = self._run(moved, changed, begun, ms[:k])
            by_level.append((later[-1] - end) / small)
        for slopes in self._knots.slopes(theta[: n - 1]).T:
            columns.append(combined(slopes, by_level))
        for k, (_, directions) in enumerate(made if rows else []):
            parts = [ys[k], *_newest(ms[: k + 1], directions[0])] if len(directions) else []
            for direction in directions:
                way = combined(direction, parts)
                if k == n - 1:
                    columns.append(way)
                    continue
                size = float(way.square().mean().sqrt())
                small = batch.moved * float(ys[k + 1].square().mean().sqrt()) / max(size, 1e-30)
                begun = [*ys[: k + 1], ys[k + 1] + small * way]
                later, _ = self._run(path, plain, begun, ms[: k + 1])
                columns.append((later[-1] - end) / small)
        return end - batch.targets[which], columns

    def _run(
        self, path: Path, rows: list[Doubles], ys: list[Any], ms: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Go on from some states and predictions to the end."""
        ys, ms = list(ys), list(ms)
        for k in range(len(ys) - 1, self._n):
            ms.append(self._batch.data(ys[k], path[k]))
            ys.append(combined(rows[k], [ys[k], *_newest(ms, rows[k])]))
        return ys, ms


def _newest(ms: list[Any], row: Doubles) -> list[Any]:
    """Return the predictions that a row combines, the newest first."""
    return ms[::-1][: len(row) - 1]


def combined(factors: Doubles, parts: list[Any]) -> Any:
    """Return a linear combination of tensors."""
    out = parts[0] * float(factors[0])
    for factor, part in zip(factors[1:].tolist(), parts[1:], strict=True):
        if factor:
            out.add_(part, alpha=factor)
    return out


#: How many numbers of each tensor are multiplied at once.
_CHUNK: Final = 1 << 16


def products(parts: list[Any], torch: Any) -> Doubles:
    """Return the products of tensors with each other, summed in float64, on the host."""
    flat = [part.reshape(-1) for part in parts]
    total: Any = 0.0
    for start in range(0, flat[0].numel(), _CHUNK):
        some = doubled(torch.stack([part[start : start + _CHUNK] for part in flat]))
        total = total + inner(some, some)
    found: Doubles = total.cpu().numpy()
    return found


class Reached(NamedTuple):
    """Parameters, and the mean square that they reach."""

    theta: Doubles
    cost: float


def descend(
    family: Family, batch: Batch, theta: Doubles, ridge: Doubles, iterations: int
) -> Iterator[Reached]:
    """Yield better and better parameters: Levenberg and Marquardt's method.

    `ridge` draws each parameter to zero, in units of the mean square of its derivatives.
    """
    cost = batch.cost(family.plan(theta))
    yield Reached(theta, cost)
    damping, shrink, grow = _DAMPING
    slow = 0
    for _ in range(iterations if len(theta) else 0):
        gram = np.zeros((len(theta) + 1, len(theta) + 1))
        for which in range(len(batch.states)):
            residual, columns = family.columns(theta, which)
            gram += products([*columns, residual], batch.torch)
        gram /= batch.numbers
        if not np.isfinite(gram).all():
            return
        # In units of each parameter's own effect.
        squares = np.maximum(np.diag(gram)[:-1], 1e-30 * max(1.0, float(np.trace(gram))))
        scale = np.sqrt(squares)
        normal, right = gram[:-1, :-1] / np.outer(scale, scale), gram[:-1, -1] / scale
        weight = ridge * squares
        before, penalty = cost, float(weight @ theta**2)
        for _ in range(_TRIES):
            system = normal + np.diag(damping + ridge)
            other = theta - np.linalg.solve(system, right + ridge * theta * scale) / scale
            now = _cost(family, batch, other)
            if now + float(weight @ other**2) < cost + penalty:
                theta, cost = other, now
                damping = max(damping * shrink, 1e-9)
                break
            damping *= grow
        else:
            return
        yield Reached(theta, cost)
        slow = slow + 1 if before - cost < _LITTLE * before else 0
        if slow >= _SLOW:
            return


def _cost(family: Family, batch: Batch, theta: Doubles) -> float:
    try:
        made = family.plan(theta)
    except ValueError:  # levels that no longer differ
        return math.inf
    return batch.cost(made)


def plan_of_rows(path: Path, rows: list[Doubles], name: str = "fitted") -> Plan:
    """Return the plan of rows of one evaluation each: of the state, then of predictions."""
    n = len(rows)
    history = max(len(row) - 1 for row in rows)
    w = np.zeros((n + 1, history))
    for k, row in enumerate(rows):
        w[k + 1, : len(row) - 1] = row[1:]
    arrays: dict[str, Any] = {
        "history": history,
        "noises": 0,
        "c": np.array([1.0, *(row[0] for row in rows)]),
        "w": w,
        "n": np.zeros((n + 1, 0)),
        "offset": np.zeros(n + 1),
        "fresh": np.zeros(n + 1, bool),
        "intervals": np.zeros(0),
        "index": np.arange(n),
        "lam": path.lam[:-1].copy(),
        "mix": np.tile([0.0, 1.0], (n, 1)),
        "step": np.arange(n),
        "state_c": np.ones(n),
        "state_w": np.zeros((n, history)),
        "state_n": np.zeros((n, 0)),
    }
    return Plan._of(name, path, arrays)
