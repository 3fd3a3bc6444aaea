"""DPM-Solver with steps that it chooses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np

from sortes._check import (
    AtLeastOne,
    Domain,
    NonNegative,
    Positive,
    count,
    real,
    shown,
)
from sortes._device import memory_errors
from sortes._interrupt import Interrupted
from sortes._optional import require
from sortes._progress import Progress, reporter
from sortes._rng import Rng, refuse_randomness
from sortes.diffusion.loop import _answer, check_state
from sortes.diffusion.noise import ImageNoise
from sortes.diffusion.path import Denoise, Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

_POSITIVE: Final = Domain("(0, inf)")
_NON_NEGATIVE: Final = Domain("[0, inf)")
_ORDER: Final = Domain("[2, 3]", integer=True)
_SAFETY: Final = Domain("(0, 1]")


class AdaptiveRun(NamedTuple):
    """What `sample_adaptive` returns.

    Attributes
    ----------
    x : Tensor, shape (B, ...)
        The states at the last level.
    lam : ndarray of float64, shape (n_accepted + 1,)
        The logarithms of signal to noise that its steps went through.
    n_evaluations : int
        How often the denoiser was asked.
    n_rejected : int
        How many steps were made again with a shorter one.

    Examples
    --------
    >>> import torch
    >>> from sortes.diffusion import Path, sample_adaptive
    >>> def denoiser(x, level):
    ...     return x / (1 + level.sigma**2)
    >>> x = 10 * torch.ones(1, 4)
    >>> found = sample_adaptive(denoiser, x, Path.ve([10.0, 0.1]))
    >>> len(found.lam) > 3, round(float(found.x[0, 0]))
    (True, 1)
    """

    x: torch.Tensor
    lam: NDArray[np.float64]
    n_evaluations: int
    n_rejected: int


def sample_adaptive(
    denoiser: Denoise,
    x: torch.Tensor,
    path: Path,
    *,
    order: Annotated[int, _ORDER] = 3,
    rtol: NonNegative = 0.05,
    atol: Positive = 0.0078,
    h_init: Positive = 0.05,
    accept_safety: Annotated[float, _SAFETY] = 0.81,
    eta: NonNegative = 0.0,
    s_noise: NonNegative = 1.0,
    max_evaluations: AtLeastOne = 10_000,
    rows: Sequence[int] | None = None,
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> AdaptiveRun:
    r"""Go from noise to data by DPM-Solver 12 or 23, whose steps follow an estimate of the error.

    It is ``dpm_adaptive`` of k-diffusion and ComfyUI. After each step it waits for the device, and
    all images take the steps that the batch needs.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x : Tensor of floats, shape (B, ...)
        The states at the first level, which must have some signal.
    path : Path
        Its first level and its last are where it begins and ends. If the last is clean, the last
        before it is where the steps end, and one more evaluation makes the data.
    order : int, default 3
        Evaluations of a step, 2 or 3.
    rtol : float, default 0.05
        The relative tolerance.
    atol : float, default 0.0078
        The absolute one.
    h_init : float, default 0.05
        The first step, in the logarithm of signal to noise.
    accept_safety : float, default 0.81
        How much shorter the next step may be if a step is accepted, in (0, 1].
    eta : float, default 0.0
        The share of fresh noise, as that of ``euler_ancestral``.
    s_noise : float, default 1.0
        A factor of that noise.
    max_evaluations : int, default 10000
        More of these are an error: tolerances that no step keeps.
    rows : sequence of int, shape (B,), optional
        The names of the images, as in `sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations; their number
        is not known before.

    Returns
    -------
    AdaptiveRun
        The states, and the steps.

    Raises
    ------
    ValueError
        If an argument is out of its domain, the path begins with pure noise or has one level with
        noise, or the tolerance is not reached.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it; its `partial` is what was reached.

    References
    ----------
    Lu et al., "DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around
    10 steps", NeurIPS 2022, arXiv:2206.00927.

    Examples
    --------
    >>> import torch
    >>> from sortes.diffusion import Path, sample_adaptive
    >>> def denoiser(x, level):
    ...     return x / (1 + level.sigma**2)
    >>> x = 10 * torch.randn(1, 4, dtype=torch.float64)
    >>> path = Path.ve([10.0, 0.1])
    >>> tight = sample_adaptive(denoiser, x, path, rtol=1e-3, atol=1e-4)
    >>> torch.allclose(tight.x, x * (1.01 / 101) ** 0.5, atol=1e-2)
    True
    """
    torch = require("torch", "torch")
    if not callable(denoiser):
        raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
    check_state(x, torch)
    if not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
    points = _ORDER.check(order, "order")
    tolerances = real(rtol, "rtol", _NON_NEGATIVE), real(atol, "atol", _POSITIVE)
    h = real(h_init, "h_init", _POSITIVE)
    safety = real(accept_safety, "accept_safety", _SAFETY)
    share = real(eta, "eta", _NON_NEGATIVE)
    factor = real(s_noise, "s_noise", _NON_NEGATIVE)
    most = count(max_evaluations, "max_evaluations", 1)
    finite = path.lam[np.isfinite(path.lam)]
    if path.lam[0] == -np.inf or len(finite) < 2:
        raise ValueError("path: must begin and end with a level that has signal and noise")
    draw = None
    if share and factor:
        state = x.float() if x.dtype.itemsize < 4 else x
        draw = ImageNoise(state, rows=rows, rng=rng, step=step).draw
    else:
        refuse_randomness(rng, step, "eta=0, for which nothing is drawn")
        if rows is not None:
            raise ValueError("rows: must not be given with eta=0, for which nothing is drawn")
    half = x.dtype.itemsize < 4
    run = _Adaptive(denoiser, path, x.detach().to(torch.float32) if half else x.detach(), x.dtype)
    run.lam, run.passed = float(finite[0]), [float(finite[0])]
    memory = memory_errors("x: there is no memory for its samples")
    with memory, reporter(progress) as report, torch.no_grad():
        try:
            if x.numel():
                controller = _Controller(h, 1.5 if share else points, safety)
                run.go(
                    float(finite[-1]),
                    controller,
                    tolerances,
                    points,
                    (share, factor, draw),
                    most,
                    report,
                )
        except KeyboardInterrupt:
            raise Interrupted(run.result()) from None
    return run.result()


class _Controller:
    """A step that follows the error: longer after small ones, at most by a factor of 2.6."""

    def __init__(self, h: float, order: float, safety: float) -> None:
        self.h, self._order, self._safety = h, order, safety

    def accepts(self, error: float) -> bool:
        """Set the next step by the error of the last, and say whether that one holds."""
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / self._order) - 1)
        self.h *= factor
        return factor >= self._safety


class _Adaptive:
    """What has been reached."""

    def __init__(self, denoiser: Denoise, path: Path, x: torch.Tensor, asked: Any) -> None:
        self._denoiser, self._path, self._asked = denoiser, path, asked
        self.x, self.lam = x, 0.0
        self.passed: list[float] = []
        self.evaluations = self.rejected = 0
        self._slope: Any = None

    def result(self) -> AdaptiveRun:
        """Return what was reached."""
        x = self.x.to(self._asked)
        return AdaptiveRun(x, np.array(self.passed), self.evaluations, self.rejected)

    def _data(self, x: Any, level: Any) -> Any:
        import torch

        self.evaluations += 1
        return _answer(self._denoiser(x.to(self._asked), level), x, torch)

    def _noise(self, x: Any, level: Any) -> Any:
        return x.sub(self._data(x, level), alpha=level.alpha).div_(level.sigma)

    def go(
        self,
        end: float,
        controller: _Controller,
        tolerances: tuple[float, float],
        order: int,
        noise: tuple[float, float, Any],
        most: int,
        report: Any,
    ) -> None:
        """Make steps until the end."""
        import torch

        rtol, atol = tolerances
        eta, s_noise, draw = noise
        before = self.x
        drawn = 0
        while self.lam < end - 1e-9:
            if self.evaluations >= most:
                raise ValueError(
                    f"max_evaluations: {most} did not suffice, at lam {self.lam} of {end}"
                )
            target = min(end, self.lam + controller.h)
            down, up = target, 0.0
            level = self._path.at_lambda(target)
            if eta:
                kept = math.exp(self.lam - target)
                up = min(1.0, eta * math.sqrt((1 - kept) * (1 + kept)))
                down = min(end, target - 0.5 * math.log1p(-up * up)) if up < 1 else end
                up = math.sqrt(max(0.0, -math.expm1(2 * (target - down))))
            low, high = self._pair(down, order)
            scale = (rtol * torch.maximum(low.abs(), before.abs())).clamp_min(atol)
            error = float(torch.linalg.vector_norm((low - high) / scale)) / math.sqrt(low.numel())
            if not math.isfinite(error):
                raise ValueError(f"denoiser: returned what is not finite, at lam {self.lam}")
            if controller.accepts(error):
                # From the level below to that of the step: signal grows or falls with its kind.
                scaled = level.alpha / self._path.at_lambda(down).alpha
                before = low * scaled
                self.x = high * scaled
                if up:
                    self.x = self.x.add(draw(drawn), alpha=level.sigma * up * s_noise)
                    drawn += 1
                self.lam, self._slope = target, None
                self.passed.append(target)
            else:
                self.rejected += 1
            if report is not None:
                report(self.evaluations, 0)
        if self._path.lam[-1] == np.inf:
            last = self._path.at_lambda(end)
            self.x = self._data(self.x, last) * float(self._path.alpha[-1])
            self.passed.append(math.inf)

    def _pair(self, target: float, order: int) -> tuple[Any, Any]:
        """Return the state at a level by two methods, of which the second is of higher order."""
        h, path = target - self.lam, self._path
        start, end = path.at_lambda(self.lam), path.at_lambda(target)
        if self._slope is None:  # that of a refused step still holds
            self._slope = self._noise(self.x, start)
        e = self._slope

        def moved(level: Any, share: float) -> Any:
            return (self.x * (level.alpha / start.alpha)).add(
                e, alpha=-level.sigma * math.expm1(share * h)
            )

        grown = math.expm1(h)
        if order == 2:
            middle = path.at_lambda(self.lam + h / 2)
            rise = self._noise(moved(middle, 0.5), middle) - e
            low = moved(end, 1.0)
            return low, low.add(rise, alpha=-end.sigma * grown)
        first, second = path.at_lambda(self.lam + h / 3), path.at_lambda(self.lam + 2 * h / 3)
        rise = self._noise(moved(first, 1 / 3), first) - e
        part = math.expm1(2 * h / 3) / (2 * h / 3) - 1
        arg = moved(second, 2 / 3).add(rise, alpha=-second.sigma * 2 * part)
        later = self._noise(arg, second) - e
        base = moved(end, 1.0)
        low = base.add(rise, alpha=-end.sigma * 1.5 * grown)
        return low, base.add(later, alpha=-end.sigma * 1.5 * (grown / h - 1))
