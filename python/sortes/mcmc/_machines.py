"""Slice samplers as machines in Torch operations: one call advances all chains by an evaluation.

A machine never branches on values: what a chain does is a matter of masks. `begin` starts
transitions of some chains, `point` is what all ask about, and `advance` goes on with the answers.
The steps are those of the kernels of the native module.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch

from sortes.mcmc._settings import spread
from sortes.mcmc.ellipses import EllipticalSlice
from sortes.mcmc.lines import HitAndRunSlice
from sortes.mcmc.polar import GibbsianPolarSlice

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Normals and four uniforms of the beginning of a transition, of each chain.
Start: TypeAlias = tuple[torch.Tensor, torch.Tensor]

_EPSILON = float(np.finfo(np.float64).eps)
#: As good as no limit, in floats.
_ENDLESS = float("inf")


class Machine(Protocol):
    """The states of all chains, and what they ask."""

    x: torch.Tensor

    def begin(self, begins: torch.Tensor, start: Start, u: torch.Tensor) -> None:
        """Begin transitions of some chains."""

    def point(self) -> torch.Tensor:
        """Return what every chain asks about."""

    def advance(
        self, value: torch.Tensor, u: torch.Tensor, busy: torch.Tensor, start: Start
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Go on with the answers; return which transitions are over, and which at a limit."""

    def learn(self, of: torch.Tensor) -> None:
        """Learn from the transitions of some chains that are over."""

    def reported(self) -> torch.Tensor:
        """Return the log densities of the states."""

    def widths(self) -> torch.Tensor:
        """Return the widths in use."""


def machine_of(
    kernel: EllipticalSlice | HitAndRunSlice | GibbsianPolarSlice,
    x: torch.Tensor,
    value: torch.Tensor,
    limit: int,
    warmup: int,
) -> Machine:
    """Return the machine of a kernel, at states with these log densities."""
    kernel._check_init(x.cpu().numpy())
    if isinstance(kernel, EllipticalSlice):
        return _Elliptical(kernel, x, value, limit)
    if isinstance(kernel, HitAndRunSlice):
        return _Ray(kernel, x, value, limit, warmup)
    return _Polar(kernel, x, value, limit, warmup)


def _tensor(array: NDArray[np.float64], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)


class _Bracket:
    """A slice on a circle: angles from a bracket that shrinks towards zero, where the state is."""

    def __init__(self, like: torch.Tensor) -> None:
        self.low, self.high = torch.zeros_like(like), torch.zeros_like(like)
        self.angle = torch.zeros_like(like)

    def begin(self, of: torch.Tensor, u: torch.Tensor) -> None:
        """Cut the circle at a first angle."""
        where, first = torch.where, math.tau * u
        self.low = where(of, first - math.tau, self.low)
        self.high = where(of, first, self.high)
        self.angle = where(of, first, self.angle)

    def shrink(self, of: torch.Tensor, u: torch.Tensor) -> None:
        """Leave out what lies behind the angle, and take another."""
        where = torch.where
        self.low = where(of & (self.angle < 0), self.angle, self.low)
        self.high = where(of & (self.angle >= 0), self.angle, self.high)
        self.angle = where(of, self.low + u * (self.high - self.low), self.angle)


_LEFT, _RIGHT, _PROPOSAL = 0, 1, 2


class _Line:
    """The slice sampler of one number, by stepping out (Neal 2003, section 4)."""

    def __init__(self, like: torch.Tensor, max_steps: int | None, lower: float, limit: int) -> None:
        self.max_steps = max_steps
        self.lower, self.limit = lower, limit
        zero = torch.zeros_like(like)
        self.x0, self.level, self.width = zero, zero, zero
        self.low, self.high, self.asked = zero, zero, zero
        self.left, self.right = zero, zero
        self.phase = torch.full_like(like, _PROPOSAL, dtype=torch.int8)
        self.evaluations = torch.zeros_like(like, dtype=torch.int64)
        self.widened, self.shrunk = zero, zero

    def begin(
        self,
        of: torch.Tensor,
        x0: torch.Tensor,
        level: torch.Tensor,
        width: torch.Tensor,
        first: tuple[torch.Tensor, torch.Tensor],
        u: torch.Tensor,
    ) -> torch.Tensor:
        """Begin updates by an offset and a share of the steps; return which are stuck."""
        where = torch.where
        self.x0, self.level = where(of, x0, self.x0), where(of, level, self.level)
        self.width = where(of, width, self.width)
        low = x0 - width * first[0]
        self.high = where(of, low + width, self.high)
        self.low = where(of, low.clamp(min=self.lower), self.low)
        if self.max_steps is None:
            left = right = torch.full_like(x0, _ENDLESS)
        else:
            left = (self.max_steps * first[1]).floor()
            right = (self.max_steps - 1 - left).clamp(min=0)
        self.left, self.right = where(of, left, self.left), where(of, right, self.right)
        self.evaluations = where(of, 0, self.evaluations)
        self.widened, self.shrunk = where(of, 0.0, self.widened), where(of, 0.0, self.shrunk)
        self.phase = where(of, _LEFT, self.phase)
        return self._ask(of, u)

    def _ask(self, of: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """Find the next question of some chains, from their phase on; return which are stuck."""
        where = torch.where
        # An end that may not move is not asked about.
        stays = of & (self.phase == _LEFT) & ~((self.left > 0) & (self.low > self.lower))
        self.phase = where(stays, _RIGHT, self.phase)
        stays = of & (self.phase == _RIGHT) & ~(self.right > 0)
        self.phase = where(stays, _PROPOSAL, self.phase)
        proposes = of & (self.phase == _PROPOSAL)
        size = self.high - self.low
        scale = torch.maximum(self.low.abs(), self.high.abs())
        collapsed = proposes & (size <= 4 * _EPSILON * scale)
        inside = self.low + u * size
        ends = where(self.phase == _LEFT, self.low, self.high)
        self.asked = where(of, where(proposes, inside, ends), self.asked)
        stuck = of & (self.evaluations >= self.limit) | collapsed | of & ~self.asked.isfinite()
        self.evaluations = self.evaluations + (of & ~stuck)
        return stuck

    def advance(
        self, of: torch.Tensor, value: torch.Tensor, u: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Go on with log densities; return which have found a number, and which are stuck."""
        where = torch.where
        inside = value > self.level
        left, right = of & (self.phase == _LEFT), of & (self.phase == _RIGHT)
        proposal = of & (self.phase == _PROPOSAL)
        # An end inside moves on, one outside stays.
        self.low = where(left & inside, (self.low - self.width).clamp(min=self.lower), self.low)
        self.high = where(right & inside, self.high + self.width, self.high)
        self.left, self.right = (
            self.left - (left & inside).double(),
            self.right - (right & inside).double(),
        )
        self.widened = self.widened + ((left | right) & inside)
        self.phase = where(left & ~inside, _RIGHT, self.phase)
        self.phase = where(right & ~inside, _PROPOSAL, self.phase)
        # A proposal outside becomes an end.
        missed = proposal & ~inside
        self.low = where(missed & (self.asked < self.x0), self.asked, self.low)
        self.high = where(missed & (self.asked >= self.x0), self.asked, self.high)
        self.shrunk = self.shrunk + missed
        found = proposal & inside
        return found, self._ask(of & ~found, u)


class _Widths:
    """Widths that warm-up brings to where intervals grow as often as they shrink.

    The rule is that of Karamanis and Beutler (2021), as in the native module.
    """

    #: Transitions of a block; blocks in a row that need no change, and how close that is.
    BLOCK, SETTLED, CLOSE, RANGE = 20, 5, 0.05, 1e10

    def __init__(self, like: torch.Tensor, width: float, tunes: bool) -> None:
        self.initial, self.tunes = width, tunes
        zero = torch.zeros_like(like)
        self.width = torch.full_like(like, width)
        self.widened, self.shrunk, self.transitions, self.settled = zero, zero, zero, zero

    def learn(self, of: torch.Tensor, widened: torch.Tensor, shrunk: torch.Tensor) -> None:
        """Count transitions, and change widths at the end of a block."""
        if not self.tunes:
            return
        where = torch.where
        of = of & (self.settled < self.SETTLED)
        self.widened = self.widened + where(of, widened, 0.0)
        self.shrunk = self.shrunk + where(of, shrunk, 0.0)
        self.transitions = self.transitions + of
        ends = of & (self.transitions >= self.BLOCK)
        both = (self.widened + self.shrunk).clamp(min=1)
        share = where(self.widened > 0, self.widened / both, 0.25)
        is_close = (share - 0.5).abs() < self.CLOSE
        self.settled = where(ends, where(is_close, self.settled + 1, 0.0), self.settled)
        least, most = self.initial / self.RANGE, self.initial * self.RANGE
        wanted = (self.width * 2 * share).clamp(least, most)
        self.width = where(ends, wanted, self.width)
        self.widened = where(ends, 0.0, self.widened)
        self.shrunk = where(ends, 0.0, self.shrunk)
        self.transitions = where(ends, 0.0, self.transitions)


def _exponential(u: torch.Tensor) -> torch.Tensor:
    return -u.log()


class _Elliptical:
    """Elliptical slice sampling (Murray, Adams and MacKay 2010)."""

    def __init__(
        self, kernel: EllipticalSlice, x: torch.Tensor, value: torch.Tensor, limit: int
    ) -> None:
        dim = x.shape[1]
        kernel._native(dim, limit)  # which refuses what does not fit
        self.x, self.value, self.limit = x, value, limit
        self.mean = _tensor(spread(kernel._mean, dim, "prior_mean"), x)
        self.tril = None if kernel._tril is None else _tensor(kernel._tril, x)
        sd = np.ones(dim) if kernel._sd is None else spread(kernel._sd, dim, "prior_var")
        self.sd = _tensor(sd, x)
        diagonal = self.sd if self.tril is None else self.tril.diagonal()
        self.constant = -(diagonal.log() + 0.5 * math.log(math.tau)).sum()
        self.axis = torch.zeros_like(x)
        self.level = torch.zeros_like(value)
        self.bracket = _Bracket(value)
        self.evaluations = torch.zeros_like(value, dtype=torch.int64)

    def begin(self, begins: torch.Tensor, start: Start, u: torch.Tensor) -> None:
        del u
        where, (z, uniforms) = torch.where, start
        axis = z * self.sd if self.tril is None else z @ self.tril.T
        self.axis = where(begins[:, None], axis, self.axis)
        self.level = where(begins, self.value - _exponential(uniforms[:, 0]), self.level)
        self.bracket.begin(begins, uniforms[:, 1])
        self.evaluations = where(begins, 1, self.evaluations)

    def point(self) -> torch.Tensor:
        angle = self.bracket.angle[:, None]
        return self.mean + (self.x - self.mean) * angle.cos() + self.axis * angle.sin()

    def advance(
        self, value: torch.Tensor, u: torch.Tensor, busy: torch.Tensor, start: Start
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del start
        where = torch.where
        found = busy & (value > self.level)
        self.x = where(found[:, None], self.point(), self.x)
        self.value = where(found, value, self.value)
        stuck = busy & ~found & (self.evaluations >= self.limit)
        goes_on = busy & ~found & ~stuck
        self.bracket.shrink(goes_on, u)
        self.evaluations = self.evaluations + goes_on
        return found | stuck, stuck

    def learn(self, of: torch.Tensor) -> None:
        """There is nothing to learn."""

    def reported(self) -> torch.Tensor:
        away = self.x - self.mean
        if self.tril is None:
            away = away / self.sd
        else:
            away = torch.linalg.solve_triangular(self.tril, away.T, upper=False).T
        return self.value + self.constant - 0.5 * (away * away).sum(1)

    def widths(self) -> torch.Tensor:
        return torch.full_like(self.value, math.nan)


class _Ray:
    """Hit-and-run: a slice along a line in a direction that is drawn (MacKay 2003)."""

    def __init__(
        self,
        kernel: HitAndRunSlice,
        x: torch.Tensor,
        value: torch.Tensor,
        limit: int,
        warmup: int,
    ) -> None:
        kernel._native(x.shape[1], limit)
        self.x, self.value = x, value
        self.tril = None if kernel._tril is None else _tensor(kernel._tril, x)
        self.line = _Line(value, kernel._max_steps, -_ENDLESS, limit)
        tunes = kernel._tune and kernel._max_steps != 1 and warmup > 0
        self.tuned = _Widths(value, kernel._width, tunes)
        self.direction = torch.zeros_like(x)

    def begin(self, begins: torch.Tensor, start: Start, u: torch.Tensor) -> None:
        where, (z, uniforms) = torch.where, start
        direction = z / z.norm(dim=1, keepdim=True)
        if self.tril is not None:
            direction = direction @ self.tril.T
        self.direction = where(begins[:, None], direction, self.direction)
        level = self.value - _exponential(uniforms[:, 0])
        first = uniforms[:, 1], uniforms[:, 2]
        # A line is never stuck at its beginning: its interval has the width.
        self.line.begin(begins, torch.zeros_like(level), level, self.tuned.width, first, u)

    def point(self) -> torch.Tensor:
        return self.x + self.line.asked[:, None] * self.direction

    def advance(
        self, value: torch.Tensor, u: torch.Tensor, busy: torch.Tensor, start: Start
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del start
        where, at = torch.where, self.point()
        found, stuck = self.line.advance(busy, value, u)
        self.x = where(found[:, None], at, self.x)
        self.value = where(found, value, self.value)
        return found | stuck, stuck

    def learn(self, of: torch.Tensor) -> None:
        self.tuned.learn(of, self.line.widened, self.line.shrunk)

    def reported(self) -> torch.Tensor:
        return self.value

    def widths(self) -> torch.Tensor:
        return self.tuned.width


class _Polar:
    """Gibbsian polar slice sampling (Schär, Habeck and Rudolf 2023)."""

    def __init__(
        self,
        kernel: GibbsianPolarSlice,
        x: torch.Tensor,
        value: torch.Tensor,
        limit: int,
        warmup: int,
    ) -> None:
        dim = x.shape[1]
        if dim < 2:
            raise ValueError("init: must have at least 2 coordinates, got 1")
        kernel._native(dim, limit)
        self.x, self.value, self.limit = x, value, limit
        self.center = _tensor(spread(kernel._center, dim, "center"), x)
        self.tril = None if kernel._tril is None else _tensor(kernel._tril, x)
        self.refreshes, self.power = kernel._refresh, dim - 1
        away = x - self.center
        if self.tril is not None:
            away = torch.linalg.solve_triangular(self.tril, away.T, upper=False).T
        self.radius = away.norm(dim=1)
        if (self.radius < 1e-10 * kernel._width).any():
            raise ValueError("init: must not be at the center of the kernel: move `center`")
        self.direction = away / self.radius[:, None]
        self.axis = torch.zeros_like(x)
        self.level = torch.zeros_like(value)
        self.bracket = _Bracket(value)
        self.line = _Line(value, None, 0.0, limit)
        self.tuned = _Widths(value, kernel._width, kernel._tune and warmup > 0)
        self.is_radial = torch.zeros_like(value, dtype=torch.bool)
        self.directions = torch.zeros_like(value, dtype=torch.int64)
        #: Whether the direction of the transition was given up.
        self.lost = torch.zeros_like(self.is_radial)

    def _jacobian(self, radius: torch.Tensor) -> torch.Tensor:
        log_radius: torch.Tensor = radius.log()
        return self.power * log_radius

    def _proposal(self) -> torch.Tensor:
        angle = self.bracket.angle[:, None]
        proposal = self.direction * angle.cos() + self.axis * angle.sin()
        return torch.nn.functional.normalize(proposal, dim=1)

    def _at(self, radius: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        turned = direction if self.tril is None else direction @ self.tril.T
        return self.center + radius[:, None] * turned

    def begin(self, begins: torch.Tensor, start: Start, u: torch.Tensor) -> None:
        del u
        where, (z, uniforms) = torch.where, start
        level = self._jacobian(self.radius) + self.value - _exponential(uniforms[:, 0])
        self.level = where(begins, level, self.level)
        axis = z - (z * self.direction).sum(1, keepdim=True) * self.direction
        axis = axis / axis.norm(dim=1, keepdim=True)
        self.axis = where(begins[:, None], axis, self.axis)
        self.bracket.begin(begins, uniforms[:, 1])
        self.is_radial = self.is_radial & ~begins
        self.lost = self.lost & ~begins
        self.directions = where(begins, 1, self.directions)

    def point(self) -> torch.Tensor:
        where = torch.where
        direction = where(self.is_radial[:, None], self.direction, self._proposal())
        # Nothing has the radius zero: there the answer does not count.
        radius = where(self.is_radial & (self.line.asked > 0), self.line.asked, self.radius)
        return self._at(radius, direction)

    def advance(
        self, value: torch.Tensor, u: torch.Tensor, busy: torch.Tensor, start: Start
    ) -> tuple[torch.Tensor, torch.Tensor]:
        where, uniforms = torch.where, start[1]
        turning, radial = busy & ~self.is_radial, busy & self.is_radial

        # The direction.
        found = turning & (value + self._jacobian(self.radius) > self.level)
        self.direction = where(found[:, None], self._proposal(), self.direction)
        self.value = where(found, value, self.value)
        lost = turning & ~found & (self.directions >= self.limit)
        goes_on = turning & ~found & ~lost
        self.bracket.shrink(goes_on, u)
        self.directions = self.directions + goes_on
        self.lost = self.lost | lost

        # The radius, of those that had one in question.
        asked = self.line.asked
        total = where(asked > 0, value + self._jacobian(asked), -math.inf)
        settled, stuck = self.line.advance(radial, total, u)
        self.radius = where(settled, asked, self.radius)
        self.value = where(settled, value, self.value)

        # The radius, of those whose direction is settled now.
        begins = found | lost
        if self.refreshes:
            level = self._jacobian(self.radius) + self.value - _exponential(uniforms[:, 3])
            self.level = where(begins, level, self.level)
        first = uniforms[:, 2], uniforms[:, 2]
        self.is_radial = self.is_radial | begins
        stuck = stuck | self.line.begin(begins, self.radius, self.level, self.tuned.width, first, u)
        done = settled | stuck
        x = self._at(self.radius, self.direction)
        self.x = where(done[:, None], x, self.x)
        return done, done & (stuck | self.lost)

    def learn(self, of: torch.Tensor) -> None:
        self.tuned.learn(of, self.line.widened, self.line.shrunk)

    def reported(self) -> torch.Tensor:
        return self.value

    def widths(self) -> torch.Tensor:
        return self.tuned.width
