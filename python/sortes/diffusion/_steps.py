"""Plans for tensors: what each step adds up, and what adds it up on the host and on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from sortes import _core
from sortes._device import is_on_device

if TYPE_CHECKING:
    from sortes.diffusion.path import Level
    from sortes.diffusion.plans import Plan


class Sum(NamedTuple):
    """A combination: of the last argument, the last prediction, older ones, and noises."""

    #: The factors of the argument, of the prediction, of older predictions and of noises.
    factors: list[float]
    #: How many evaluations ago the older predictions were made.
    lags: tuple[int, ...]
    #: How many draws ago the noises were drawn.
    backs: tuple[int, ...]
    #: What is added.
    offset: float


class Step(NamedTuple):
    """An evaluation, what is kept of it, and the row after it."""

    level: Level
    #: The step that begins here, or -1.
    begins: int
    #: Its state, unless it is the argument.
    state: Sum | None
    #: The factors of the argument and of the prediction in what later rows need, if they do.
    keeps: tuple[float, float] | None
    #: The next argument.
    row: Sum
    #: The number of the fresh noise of the row, or -1.
    fresh: int
    #: How many evaluations ago the guidance was asked for that the row adds as a last term, or -1.
    guidance: int


class Program(NamedTuple):
    """The steps of a plan, and its rows for the native module."""

    steps: list[Step]
    native: Any


def program_of(plan: Plan) -> Program:
    """Return the steps of a plan, which are made once."""
    if not plan._program:
        steps = _steps(plan)
        rows = [_Row(s.row.factors, s.row.lags, s.row.offset, s.keeps) for s in steps]
        native = _core.diffusion.steps.Program(rows, plan._arrays["history"])
        plan._program[:] = [Program(steps, native)]  # at once, for other threads
    return plan._program[0]


class _Row(NamedTuple):
    """A row as the native module takes it."""

    factors: list[float]
    lags: tuple[int, ...]
    offset: float
    keeps: tuple[float, float] | None


def _steps(plan: Plan) -> list[Step]:
    arrays = {
        name: values.tolist() if isinstance(values, np.ndarray) else values
        for name, values in plan._arrays.items()
    }
    total, held = len(plan.levels), arrays["history"]
    needed = {
        k - lag
        for shift, name in ((0, "state_w"), (-1, "w"))
        for k in range(total)
        for lag in range(1, held)
        if arrays[name][k - shift][lag]
    }
    draw = int(arrays["fresh"][0])
    steps = []
    for k, level in enumerate(plan.levels):
        p, r = arrays["mix"][k]

        def made(c: float, w: Any, n: Any, offset: float, p: float = p, r: float = r) -> Sum:
            """Fold what the newest prediction is made of into the factors of its parts."""
            lags = tuple(lag for lag in range(1, len(w)) if w[lag])
            backs = tuple(back for back, factor in enumerate(n) if factor)
            older = [*(w[lag] for lag in lags), *(n[back] for back in backs)]
            return Sum([c + w[0] * p, w[0] * r, *older], lags, backs, offset)

        state = None
        if arrays["step"][k] >= 0:
            state = made(arrays["state_c"][k], arrays["state_w"][k], arrays["state_n"][k], 0.0)
            if state == ([1.0, 0.0], (), (), 0.0):
                state = None
        fresh = -1
        if arrays["fresh"][k + 1]:
            fresh, draw = draw, draw + 1
        row = made(*(arrays[name][k + 1] for name in ("c", "w", "n", "offset")))
        guidance = -1
        if plan.guided and arrays["apart"][k + 1]:
            guidance = arrays["apart_lag"][k + 1]
            row = row._replace(factors=[*row.factors, arrays["apart"][k + 1]])
        keeps = (p, r) if k in needed else None
        steps.append(Step(level, arrays["step"][k], state, keeps, row, fresh, guidance))
    return steps


#: Where a combination of the argument and the prediction goes, and its factors.
Kept: TypeAlias = "tuple[float, float, Any] | None"


class HostSums:
    """Sums on the CPU, by the native module: one pass over memory.

    Each number is computed alone, in one order: it does not depend on the batch.
    """

    #: Below this a second thread is not worth waking.
    _ALONE = 1 << 16

    def __init__(self, x: Any, torch: Any) -> None:
        self._torch, self._dtype, self._empty = torch, x.dtype, torch.empty
        threads = 1 if x.numel() < self._ALONE else min(torch.get_num_threads(), 1024)
        self._job = (threads, None)
        self._combine = _core.diffusion.steps.combine

    def ready(self, x: Any) -> Any:
        """Return a tensor of numbers that lie one after the other in the memory of the host."""
        if x.dtype is not self._dtype:
            x = x.to(self._dtype)
        # A view of the negative, such as the imaginary part of a conjugate, holds other numbers.
        return x if x.is_contiguous() and not x.is_neg() else x.resolve_neg().contiguous()

    def view(self, x: Any) -> Any:
        """Return a tensor in the form that `add` takes."""
        return self.ready(x).detach().numpy()

    def run(self, plan: Plan, x: Any) -> HostRun:
        """Return what makes the steps of a plan."""
        return HostRun(plan, x, self)

    def add(
        self, what: Sum, y: Any, d: Any, older: list[Any], noises: list[Any], kept: Kept = None
    ) -> Any:
        """Return a sum of views."""
        out = self._empty(y.shape, dtype=self._dtype)
        states = [y, d, *older, *noises]
        self._combine(out.numpy(), states, what.factors, what.offset, kept, self._job)
        return out

    def spread(self, noise: Any, said: Any, shift: float, slope: float) -> Any:
        """Return noise times ``exp(shift + slope * said)``."""
        noise, said = self.ready(noise), self.ready(said)
        out = self._torch.empty_like(noise)
        at = (out.data_ptr(), said.data_ptr(), noise.data_ptr())
        double = self._dtype is self._torch.float64
        _core.diffusion.steps.spread(out.numel(), double, at, shift, slope, self._job)
        return out

    def within(self, x: Any, before: Any, limit: float) -> Any:
        """Say of each state whether its mean square difference from another is within a limit."""
        difference = (x.numpy() - before.numpy()).reshape(len(x), -1)
        return np.square(difference, dtype=np.float64).mean(1) <= limit

    def answers(self, several: list[Any]) -> list[bool]:
        """Return what `within` said, one state after the other."""
        found: list[bool] = np.concatenate(several).tolist()
        return found


class HostRun:
    """A run of a plan on the CPU: the addresses of its states, and what is kept of them."""

    def __init__(self, plan: Plan, x: Any, sums: HostSums) -> None:
        self._sums, torch = sums, sums._torch
        self._program, self._held = program_of(plan), plan._arrays["history"]
        self._advance = self._program.native.advance
        self._like = torch.empty_like
        self._n, self._double = x.numel(), x.dtype is torch.float64
        self._job = sums._job
        self._memory, self._slots = None, 0
        if any(step.keeps for step in self._program.steps):
            self._memory = torch.empty((self._held, *x.shape), dtype=x.dtype)
            self._slots = self._memory.data_ptr()

    def advance(self, k: int, y: Any, d: Any, noises: list[Any]) -> Any:
        """Return what row `k` makes of the argument, the prediction and noises, all ready."""
        out = self._like(y)
        at = (out.data_ptr(), y.data_ptr(), d.data_ptr(), self._slots)
        past = [z.data_ptr() for z in noises] if noises else noises
        self._advance(k, self._n, self._double, at, past, self._job)
        return out

    def state(self, k: int, y: Any, d: Any, noises: list[Any]) -> Any:
        """Return the state of the step that begins at evaluation `k`."""
        what, view = self._program.steps[k].state, self._sums.view
        if what is None:
            return y
        older = [view(self._memory[(k - lag) % self._held]) for lag in what.lags]  # type: ignore[index]
        return self._sums.add(what, view(y), view(d), older, [view(z) for z in noises])


class DeviceSums:
    """Sums in operations of Torch, for which nothing waits."""

    def __init__(self, x: Any, torch: Any) -> None:
        self._torch = torch

    def ready(self, x: Any) -> Any:
        """Return a tensor as sums take it: as it is."""
        return x

    def view(self, x: Any) -> Any:
        """Return a tensor as sums take it: as it is."""
        return x

    def run(self, plan: Plan, x: Any) -> DeviceRun:
        """Return what makes the steps of a plan."""
        return DeviceRun(plan, x, self)

    def add(
        self, what: Sum, y: Any, d: Any, older: list[Any], noises: list[Any], kept: Kept = None
    ) -> Any:
        """Return a sum."""
        torch = self._torch
        if kept is not None:
            p, r, slot = kept
            if p:
                torch.mul(y, p, out=slot).add_(d, alpha=r)
            else:
                torch.mul(d, r, out=slot)
        of_y, of_d, *factors = what.factors
        if of_y == 0:
            out = d.clone() if of_d == 1 else torch.mul(d, of_d)
        elif of_d == 0:
            out = torch.mul(y, of_y)
        elif abs(of_y + of_d - 1) <= 4e-16:
            out = torch.lerp(d, y, of_y)
        else:
            out = torch.mul(y, of_y).add_(d, alpha=of_d)
        for term, factor in zip([*older, *noises], factors, strict=True):
            out.add_(term, alpha=factor)
        if what.offset:
            out.add_(what.offset)
        return out

    def spread(self, noise: Any, said: Any, shift: float, slope: float) -> Any:
        """Return noise times ``exp(shift + slope * said)``."""
        said = said.to(noise.dtype)
        return self._torch.mul(said, slope).add_(shift).exp_().mul_(noise)

    def within(self, x: Any, before: Any, limit: float) -> Any:
        """Say of each state whether its mean square difference from another is within a limit."""
        return (x - before).square().reshape(len(x), -1).mean(1) <= limit

    def answers(self, several: list[Any]) -> list[bool]:
        """Return what `within` said, one state after the other: this waits for the device."""
        found: list[bool] = self._torch.cat(several).tolist()
        return found


class DeviceRun:
    """A run of a plan in operations of Torch."""

    def __init__(self, plan: Plan, x: Any, sums: DeviceSums) -> None:
        self._sums, self._steps = sums, program_of(plan).steps
        self._held, self._slots = plan._arrays["history"], []
        if any(step.keeps for step in self._steps):
            shape = (self._held, *x.shape)
            memory = sums._torch.empty(shape, dtype=x.dtype, device=x.device)
            self._slots = memory.unbind()

    def advance(self, k: int, y: Any, d: Any, noises: list[Any]) -> Any:
        """Return what row `k` makes of the argument, the prediction and noises."""
        step = self._steps[k]
        kept = (*step.keeps, self._slots[k % self._held]) if step.keeps else None
        return self._sums.add(step.row, y, d, self._older(k, step.row), noises, kept)

    def state(self, k: int, y: Any, d: Any, noises: list[Any]) -> Any:
        """Return the state of the step that begins at evaluation `k`."""
        what = self._steps[k].state
        return y if what is None else self._sums.add(what, y, d, self._older(k, what), noises)

    def _older(self, k: int, what: Sum) -> list[Any]:
        return [self._slots[(k - lag) % self._held] for lag in what.lags]


#: What adds up.
Sums: TypeAlias = HostSums | DeviceSums


def sums_for(x: Any, torch: Any) -> Sums:
    """Return what adds up states like `x`, of float32 or float64."""
    kind = HostSums if x.is_cpu and not is_on_device(x) else DeviceSums
    return kind(x, torch)
