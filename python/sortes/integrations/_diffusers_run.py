"""A run of a plan that a pipeline drives, one evaluation at a time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from sortes._check import FINITE, shown
from sortes._device import check_real
from sortes._optional import require
from sortes.diffusion.loop import _Run, check_state
from sortes.diffusion.path import Level, Path
from sortes.diffusion.plans import plan
from sortes.integrations._diffusers_levels import Training

#: What times usually are.
_PLAIN: Final = (torch.int64, torch.float32)
_randn_tensor: Any = require("diffusers.utils.torch_utils", extra="diffusers").randn_tensor


class Runner:
    """A plan on chosen levels, and how far the pipeline has come with it."""

    def __init__(
        self, training: Training, path: Path, solver: str, options: Mapping[str, Any]
    ) -> None:
        self.training, self.path, self._solver, self._options = training, path, solver, options
        self._plan = made = plan(solver, path, **options)
        if made.guided:
            raise ValueError(
                "solver: must not be CFG++, whose second prediction a pipeline does not hand on, "
                f"got {solver!r}"
            )
        first = made.row(0)
        if first.c != 1 or first.draws:
            raise ValueError(
                "solver_options: s_churn must leave the first step alone (s_tmax), since the "
                f"network is asked before it could act, got {options['s_churn']}"
            )
        #: The entries of `times` with which steps begin, and what the network is fed.
        self.starts: list[int] = np.flatnonzero(made._arrays["step"] >= 0).tolist()
        self.asked = [training.asked(level) for level in made.levels]
        self.times = [at.t for at in self.asked]
        self._state = torch.empty(0)
        self.restart()

    def restart(self) -> None:
        """Forget how far the pipeline has come."""
        self.step_index: int | None = None
        self.begin_index: int | None = None
        self._steps: Generator[torch.Tensor, tuple[Any, Any], None] | None = None
        self._noise: tuple[Any, Any] = (None, None)
        self._returned: _Returned | None = None

    @property
    def is_own(self) -> bool:
        """Whether the solver chooses its own levels."""
        return self._plan.n_steps != self.path.n_steps

    @property
    def order(self) -> int:
        """How many entries make a step, as most do."""
        if self.is_own:
            return 1
        if len(self.starts) == 1:
            return len(self.times)
        return int(np.bincount(np.diff(self.starts)).argmax())

    def level(self, index: int) -> Level:
        """Return the level of an entry, or the last one after all."""
        levels = self._plan.levels
        return levels[index] if index < len(levels) else self._plan.path[-1]

    def index(self, timestep: Any) -> int:
        """Return the entry that comes next, which the time must be where the host knows it."""
        running = self._steps is not None
        asked = _on_host(timestep, wait=not running and self.begin_index is None)
        if running and self.step_index is not None:
            index = self.step_index
        elif self.begin_index is not None or asked is None:
            index = self.begin_index or 0
        else:
            index = self._found(asked)
        if asked is not None and not _equal(asked, self.times[index]):
            raise ValueError(
                f"timestep: must be {self.times[index]}, entry {index} of timesteps, got {asked}"
            )
        return index

    def step(
        self, output: torch.Tensor, timestep: Any, sample: torch.Tensor, noise: tuple[Any, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next argument of the network, and the prediction of the data."""
        y = self._held(sample)
        index = self.index(timestep)
        if self._steps is None:
            self._begin(index, y)
        assert self._steps is not None
        self._noise = noise
        _, keep, take, _ = self.asked[index]
        d = output if output.dtype is y.dtype else output.to(y.dtype)
        if keep:
            d = torch.mul(y, keep).add_(d, alpha=take)
        d = self.training.clipped(d)
        try:
            state = self._steps.send((d, y))
        except BaseException:
            self._steps = None
            raise
        self.step_index = index + 1
        if self.step_index == len(self.times):
            self._steps = None
        if sample.dtype is state.dtype:
            return state, d
        found = state.to(sample.dtype)
        self._returned = _Returned.of(found, state)
        return found, d.to(sample.dtype)

    def _found(self, asked: float) -> int:
        """Return the entry of a time with which a step begins."""
        nearest = min(self.starts, key=lambda start: abs(asked - self.times[start]))
        if not _equal(asked, self.times[nearest]):
            raise ValueError(
                f"timestep: must be one of timesteps with which a step begins, got {asked}"
            )
        return nearest

    def _begin(self, index: int, y: torch.Tensor) -> None:
        """Begin a run at an entry, with the plan of what is left."""
        rest = self._plan
        if index:
            step = self.starts.index(index)
            if self.is_own:
                raise ValueError(
                    f"begin_index: must be 0 for {self._solver}, which chooses its own levels, "
                    f"got {index}"
                )
            options = dict(self._options)
            if "disable_corrector" in options:
                left = np.asarray(options["disable_corrector"]) - step
                options["disable_corrector"] = left[left >= 0].tolist()
            rest = plan(self._solver, _rest(self.path, step), **options)
            if rest.levels != self._plan.levels[index:]:
                raise ValueError(
                    "begin_index: must be 0 for a solver whose first steps are made otherwise, "
                    f"got {index}"
                )
        run = _Run(None, rest, y, self._draw, torch, callback=None, keeps=False)
        self._steps = run.evaluations()
        next(self._steps)

    def _draw(self, number: int) -> torch.Tensor:
        """Return the noise of the step that is being made."""
        generator, given = self._noise
        like = self._state
        drawn: torch.Tensor = (
            given.to(like)
            if given is not None
            else _randn_tensor(
                like.shape, generator=generator, device=like.device, dtype=like.dtype
            )
        )
        return drawn

    def _held(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the state in the precision in which it is held."""
        half = sample.dtype.itemsize < 4
        y = sample.float() if half else sample
        if self._steps is not None:
            before = self._state
            if (y.shape, y.dtype, y.device) != (before.shape, before.dtype, before.device):
                raise ValueError(
                    f"sample: must be as in the step before, {tuple(before.shape)} of "
                    f"{before.dtype} on {before.device}, got {tuple(y.shape)} of {y.dtype} "
                    f"on {y.device}"
                )
            if half and self._returned is not None and self._returned.is_still(sample):
                y = self._returned.state
        self._state = y
        return y


@dataclass
class _Returned:
    """What the last step returned, and the state of which it is the rounding."""

    sample: torch.Tensor
    state: torch.Tensor
    version: int

    @classmethod
    def of(cls, sample: torch.Tensor, state: torch.Tensor) -> _Returned | None:
        if sample.is_inference():  # whose changes cannot be seen
            return None
        return cls(sample, state, sample._version)

    def is_still(self, sample: torch.Tensor) -> bool:
        """Whether it is that tensor, unchanged."""
        return sample is self.sample and sample._version == self.version


def check_noise(generator: Any, given: Any, sample: torch.Tensor) -> None:
    """Refuse what no noise can come from."""
    if given is not None:
        check_state(given, torch, "variance_noise")
        if given.shape != sample.shape:
            raise ValueError(
                f"variance_noise: must have shape {tuple(sample.shape)}, got {tuple(given.shape)}"
            )
    each = generator if isinstance(generator, list) else [generator]
    for one in each:
        if one is not None and not isinstance(one, torch.Generator):
            raise TypeError(f"generator: must be a Generator or a list of them, got {shown(one)}")
    if isinstance(generator, list) and len(generator) not in (1, len(sample)):
        raise ValueError(
            f"generator: must hold one for each of {len(sample)} images, got {len(generator)}"
        )


def check_time(timestep: Any) -> None:
    """Refuse what is no time."""
    if isinstance(timestep, torch.Tensor):
        if timestep.ndim == 0 and timestep.dtype in _PLAIN and timestep.is_cpu:
            return
        check_real(timestep, "timestep")
        if timestep.ndim > 1 or not timestep.numel():
            raise ValueError(f"timestep: must have shape (), got {tuple(timestep.shape)}")
    else:
        FINITE.check(timestep, "timestep")


def _on_host(timestep: Any, *, wait: bool) -> float | None:
    """Return a time that the host knows, or may wait for."""
    if not isinstance(timestep, torch.Tensor):
        return None if timestep is None else float(timestep)
    if not timestep.is_cpu and not wait:
        return None
    return float(timestep if timestep.ndim == 0 else timestep[0])


def _equal(asked: float, time: float) -> bool:
    """Whether a time is that of an entry, up to the rounding of float32."""
    return abs(asked - time) <= 1e-5 * max(abs(time), 1.0)


def _rest(path: Path, step: int) -> Path:
    """Return what is left of a path."""
    rest = Path(path.alpha[step:], path.sigma[step:], path.t[step:], kind=path.kind)
    rest._clock = path._clock
    return rest
