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


def steps_of(plan: Plan) -> list[Step]:
    """Return the steps of a plan, which are made once."""
    if not plan._steps:
        plan._steps[:] = _steps(plan)  # at once, for other threads
    return plan._steps


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
        keeps = (p, r) if k in needed else None
        steps.append(Step(level, arrays["step"][k], state, keeps, row, fresh))
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
        self._dtype, self._empty = x.dtype, torch.empty
        threads = 1 if x.numel() < self._ALONE else min(torch.get_num_threads(), 1024)
        self._job = (threads, None)
        self._combine = _core.diffusion.steps.combine

    def view(self, x: Any) -> Any:
        """Return a tensor in the form that sums take."""
        if x.dtype is not self._dtype:
            x = x.to(self._dtype)
        if x.requires_grad:
            x = x.detach()
        return x.numpy() if x.is_contiguous() else x.contiguous().numpy()

    def add(
        self, what: Sum, y: Any, d: Any, older: list[Any], noises: list[Any], kept: Kept = None
    ) -> tuple[Any, Any]:
        """Return a sum, and its view; the terms are views."""
        out = self._empty(y.shape, dtype=self._dtype)
        at = out.numpy()
        self._combine(at, [y, d, *older, *noises], what.factors, what.offset, kept, self._job)
        return out, at

    def within(self, x: Any, before: Any, limit: float) -> Any:
        """Say of each state whether its mean square difference from another is within a limit."""
        difference = (x.numpy() - before.numpy()).reshape(len(x), -1)
        return np.square(difference, dtype=np.float64).mean(1) <= limit

    def answers(self, several: list[Any]) -> list[bool]:
        """Return what `within` said, one state after the other."""
        found: list[bool] = np.concatenate(several).tolist()
        return found


class DeviceSums:
    """Sums in operations of Torch, for which nothing waits."""

    def __init__(self, x: Any, torch: Any) -> None:
        self._torch = torch

    def view(self, x: Any) -> Any:
        """Return a tensor in the form that sums take."""
        return x

    def add(
        self, what: Sum, y: Any, d: Any, older: list[Any], noises: list[Any], kept: Kept = None
    ) -> tuple[Any, Any]:
        """Return a sum, and its view."""
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
        return out, out

    def within(self, x: Any, before: Any, limit: float) -> Any:
        """Say of each state whether its mean square difference from another is within a limit."""
        return (x - before).square().reshape(len(x), -1).mean(1) <= limit

    def answers(self, several: list[Any]) -> list[bool]:
        """Return what `within` said, one state after the other: this waits for the device."""
        found: list[bool] = self._torch.cat(several).tolist()
        return found


#: What adds up.
Sums: TypeAlias = HostSums | DeviceSums


def sums_for(x: Any, torch: Any) -> Sums:
    """Return what adds up states like `x`, of float32 or float64."""
    kind = HostSums if x.is_cpu and not is_on_device(x) else DeviceSums
    return kind(x, torch)
