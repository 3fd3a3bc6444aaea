"""The loop: any plan, with a denoiser, on any device, with no wait for it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from sortes._check import flag, one_of, shown
from sortes._device import memory_errors
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Callback, Progress, reporter
from sortes._rng import Rng, refuse_randomness
from sortes.diffusion._steps import program_of, sums_for
from sortes.diffusion.noise import ImageNoise
from sortes.diffusion.path import Denoise, Level
from sortes.diffusion.plans import Plan

if TYPE_CHECKING:
    import torch

#: What callbacks are told: k-diffusion's words.
StepInfo = dict[str, Any]


@overload
def sample(
    denoiser: Denoise,
    x: torch.Tensor,
    plan: Plan,
    *,
    noise: torch.Tensor | Callable[[float, float], torch.Tensor] | None = None,
    rows: Sequence[int] | None = None,
    callback: Callable[[StepInfo], object] | None = None,
    return_trajectory: Literal[False] = False,
    check_finite: bool | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> torch.Tensor: ...
@overload
def sample(
    denoiser: Denoise,
    x: torch.Tensor,
    plan: Plan,
    *,
    noise: torch.Tensor | Callable[[float, float], torch.Tensor] | None = None,
    rows: Sequence[int] | None = None,
    callback: Callable[[StepInfo], object] | None = None,
    return_trajectory: Literal[True],
    check_finite: bool | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> tuple[torch.Tensor, list[torch.Tensor]]: ...
def sample(
    denoiser: Denoise,
    x: torch.Tensor,
    plan: Plan,
    *,
    noise: torch.Tensor | Callable[[float, float], torch.Tensor] | None = None,
    rows: Sequence[int] | None = None,
    callback: Callable[[StepInfo], object] | None = None,
    return_trajectory: bool = False,
    check_finite: bool | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]]:
    r"""Go from noise to data by a plan.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data at a state and a `Level`, a tensor of the shape of the state. It
        is called without gradients, with a state of the dtype of `x`. CFG++ calls its method
        ``guided`` instead, that of `Denoiser`, and ``ddpm_learned`` its method ``with_variance``.
    x : Tensor of floats, shape (B, ...)
        The states at the first level: normals times ``plan.init_sigma``.
    plan : Plan
        What each step combines.
    noise : Tensor, shape (draws, B, ...), or callable, optional
        The fresh noises, in the order in which they are added, at least ``plan.n_draws``; or a
        function of the ratios of noise to signal before and after a step, as k-diffusion calls it.
        Without it they come from `rng`.
    rows : sequence of int, shape (B,), optional
        The names of the images, 0 to B - 1 without it. The noise of an image depends on its name
        and the stream, not on its place, on the other images or on the device.
    callback : callable, optional
        Called after the first evaluation of each step with a dict: ``x``, ``i``, ``sigma``,
        ``sigma_hat`` and ``denoised``, k-diffusion's words. Sigmas are numbers on the host.
    return_trajectory : bool, default False
        Whether to return the states of all levels as well.
    check_finite : bool, optional
        Whether to warn once, at the end, if the result holds NaN or infinities. This waits for the
        device: if None, only states on the CPU are looked at.
    on_interrupt : {"raise", "return"}
        What Ctrl-C does: raise `sortes.Interrupted`, whose `partial` is what would be returned with
        the state of the last level that was reached, or return it.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations.

    Returns
    -------
    Tensor, or tuple of Tensor and list of Tensor
        The states at the last level, of the dtype and on the device of `x`; and those at all
        levels, the first and the last included.

    Raises
    ------
    ValueError
        If the denoiser or the noise has another shape than `x`, randomness is given to a plan
        without draws, or an argument is out of its domain.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    plan : Makes a plan.

    Notes
    -----
    The state is held in float32 where `x` is of half precision. Nothing in the loop waits for a
    device or copies from it. NaN that a network returns propagates, since looking for it would
    wait.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import Path, plan, sample
    >>> def denoiser(x, level):  # of standard normal data
    ...     return x * level.alpha / (level.alpha**2 + level.sigma**2)
    >>> path = Path.ve(np.append(np.geomspace(14.6, 0.03, 20), 0.0))
    >>> made = plan("dpmpp_2m", path)
    >>> x = torch.randn(10_000, 2) * made.init_sigma
    >>> abs(float(sample(denoiser, x, made).std()) - 1) < 0.05
    True
    """
    torch = require("torch", "torch")
    if not isinstance(plan, Plan):
        raise TypeError(f"plan: must be a Plan, got {shown(plan)}")
    if not callable(denoiser):
        raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
    if plan.guided and not callable(getattr(denoiser, "guided", None)):
        raise TypeError(
            f"denoiser: must have the method guided of Denoiser for {plan.solver}, "
            f"got {shown(denoiser)}"
        )
    check_state(x, torch)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback: must be callable, got {shown(callback)}")
    keeps = flag(return_trajectory, "return_trajectory")
    one_of(on_interrupt, "on_interrupt", ("raise", "return"))
    if check_finite is not None:
        flag(check_finite, "check_finite")
    with memory_errors("x: there is no memory for its samples"):
        draw = _draws(plan, x, noise, rows, rng, step, torch)
        asked: Any = denoiser
        if "learned" in plan._arrays:
            asked, draw = _learned(plan, denoiser, draw, x, torch)
        run = _Run(asked, plan, x, draw, torch, callback=callback, keeps=keeps)
        if not x.shape[0]:
            states = [x.clone() for _ in range(plan.n_steps + 1)]
            return (states[-1], states) if keeps else x.clone()
        stopped = False
        with reporter(progress) as report, torch.no_grad():
            try:
                run.go(report)
            except KeyboardInterrupt:
                if on_interrupt == "raise":
                    raise Interrupted(run.result()) from None
                stopped = True
        result: Any = run.result()
        looks = x.is_cpu if check_finite is None else check_finite
        if looks and not stopped:
            _report(run.state)
        return result  # type: ignore[no-any-return]


def _report(state: torch.Tensor) -> None:
    """Warn if a state is not finite; a sum says so unless it overflows."""
    if not math.isfinite(float(state.sum())) and not bool(state.isfinite().all()):
        many = int((~state.isfinite()).sum())
        warnings.warn(
            f"denoiser: {many} of {state.numel()} numbers of the result are not finite",
            RuntimeWarning,
            stacklevel=3,
        )


def check_state(x: Any, torch: Any, name: str = "x") -> None:
    """Refuse what is no dense tensor of floats with an axis."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name}: must be a tensor, got {shown(x)}")
    if not x.dtype.is_floating_point or x.dtype.itemsize < 2:
        raise TypeError(f"{name}: must hold floats, got {x.dtype}")
    if x.layout is not torch.strided or x.is_meta or x.is_nested:
        raise TypeError(f"{name}: must be a dense tensor, got {x.layout} on {x.device}")
    if x.ndim < 1:
        raise ValueError(f"{name}: must have shape (B, ...), got {tuple(x.shape)}")


_Draw = Callable[[int], Any]


def _draws(
    plan: Plan, x: Any, noise: Any, rows: Any, rng: Rng, step: int, torch: Any
) -> _Draw | None:
    """Return what makes the noise of a number, from what the caller gave."""
    if noise is not None:
        given = _brought(plan, x, noise, torch)
        refuse_randomness(rng, step, "noise, which replaces the draws")
        if rows is not None:
            raise ValueError("rows: must not be given with noise, which replaces the draws")
        if not plan.n_draws:
            raise ValueError(f"noise: must not be given for {plan.solver}, which draws none here")
        return given
    if not plan.n_draws:
        refuse_randomness(rng, step, f"a plan of {plan.solver} that draws nothing")
        if rows is not None:
            raise ValueError(f"rows: must not be given for {plan.solver}, which draws none here")
        return None
    half = x.dtype.itemsize < 4
    return ImageNoise(x.float() if half else x, rows=rows, rng=rng, step=step).draw


def _brought(plan: Plan, x: Any, noise: Any, torch: Any) -> _Draw:
    """Noise that the caller made."""
    if isinstance(noise, torch.Tensor):
        check_state(noise, torch, "noise")
        if noise.device != x.device:
            raise ValueError(f"noise: must be on {x.device}, got {noise.device}")
        if noise.shape[1:] != x.shape or len(noise) < plan.n_draws:
            wanted = (plan.n_draws, *x.shape)
            raise ValueError(f"noise: must have shape {wanted}, got {tuple(noise.shape)}")
        given: tuple[Any, ...] = noise.unbind()
        return given.__getitem__
    if not callable(noise):
        raise TypeError(f"noise: must be a tensor or a function, got {shown(noise)}")
    if plan.n_draws and np.isnan(plan._arrays["intervals"]).any():
        raise ValueError("noise: must be a tensor for churn, whose noise belongs to no interval")
    ratios = np.exp(-plan._arrays["intervals"].reshape(-1, 2)).tolist()

    def ask(number: int) -> Any:
        z = noise(*ratios[number])
        if not isinstance(z, torch.Tensor) or z.shape != x.shape:
            got = tuple(z.shape) if isinstance(z, torch.Tensor) else shown(z)
            raise ValueError(f"noise: must return a tensor of shape {tuple(x.shape)}, got {got}")
        if z.device != x.device:
            raise ValueError(f"noise: must return a tensor on {x.device}, got {z.device}")
        return z

    return ask


def _learned(
    plan: Plan, denoiser: Any, draw: _Draw | None, x: Any, torch: Any
) -> tuple[Any, _Draw]:
    """Return a denoiser that notes its variance, and noise that has it."""
    ask = getattr(denoiser, "with_variance", None)
    if ask is None:
        raise TypeError(
            f"denoiser: must have the method with_variance for {plan.solver}, as a Denoiser has, "
            f"got {shown(denoiser)}"
        )
    # The factor of a noise is exp(shift + slope * what the network says).
    kind, scales = plan._arrays["learned"]
    if kind == "learned_range":  # from the least variance at -1 to the largest at 1
        slopes = shifts = [0.5 * scale for scale in scales]
    else:
        slopes, shifts = [0.5] * len(scales), [-math.log(scale) for scale in scales]
    spread = sums_for(x.float() if x.dtype.itemsize < 4 else x, torch).spread
    noted: Any = None

    def asked(x: Any, level: Level) -> Any:
        nonlocal noted
        data, noted = ask(x, level)
        return data

    def drawn(number: int) -> Any:
        return spread(draw(number), noted, shifts[number], slopes[number])  # type: ignore[misc]

    return asked, drawn


class _Run:
    """A run of a plan: what it holds, and what it has reached."""

    def __init__(
        self,
        denoiser: Any,
        plan: Plan,
        x: Any,
        draw: _Draw | None,
        torch: Any,
        *,
        callback: Callable[[StepInfo], object] | None,
        keeps: bool,
    ) -> None:
        self._denoiser, self._plan, self._draw, self._torch = denoiser, plan, draw, torch
        self._callback, self._keeps = callback, keeps
        self._asked = x.dtype
        half = x.dtype.itemsize < 4
        self.state = x.detach().to(torch.float32) if half else x.detach()
        self._trajectory: list[Any] = []

    def result(self) -> Any:
        """Return what the call returns, with the last state that was reached."""
        state = self.state.to(self._asked)
        if not self._keeps:
            return state
        return state, [*(x.to(self._asked) for x in self._trajectory), state]

    def go(self, report: Callback | None) -> None:
        """Make all steps."""
        ask = self._denoiser.guided if self._plan.guided else self._denoiser
        asked, levels = self._asked, self._plan.levels
        casts, total = self.state.dtype is not asked, len(levels)
        steps = self.evaluations()
        y, send = next(steps), steps.send
        for k, level in enumerate(levels):
            y = send((ask(y.to(asked) if casts else y, level), y))
            if report is not None:
                report(k + 1, total)

    def evaluations(self) -> Generator[Any, tuple[Any, Any], None]:
        """Yield the argument of each evaluation, and the result in the end.

        What is sent is the prediction, or with guidance both, and the argument, which others may
        have changed.
        """
        torch, plan, draw = self._torch, self._plan, self._draw
        watches, guided = self._keeps or self._callback is not None, plan.guided
        x = self.state.contiguous()
        sums = sums_for(x, torch)
        ready = sums.ready
        x = ready(x)
        shape, dtype, tensor, dense = x.shape, x.dtype, torch.Tensor, torch.strided
        steps, noises = program_of(plan).steps, plan._arrays["noises"]
        on_host, run = x.is_cpu, sums.run(plan, x)
        advance = run.advance

        def fits(d: Any) -> bool:
            """Whether a prediction can be used as it is."""
            return (
                type(d) is tensor
                and d.shape == shape
                and d.dtype is dtype
                and d.is_cpu is on_host
                and d.layout is dense
            )

        drawn: list[Any] = []
        added: list[Any] = []
        y, z = _begun(plan, x, draw)
        if z is not None:
            drawn.append(ready(z))
        # What is asked for once in an evaluation costs as much as the arithmetic of a small state.
        for k, (level, begins, state, _, row, fresh, lag) in enumerate(steps):
            d, given = yield y
            if given is not y:
                y = ready(given)
            if guided:
                data, d = _pair(d)
                if not fits(data):
                    data = _answer(data, x, torch)
            if not fits(d):
                d = _answer(d, x, torch)
            if guided:
                added = [ready(data - d), *added[:2]]
            d = ready(d)
            if begins >= 0:
                self.state = y  # where a corrector follows, as predicted
                if watches:
                    if state is not None:
                        self.state = run.state(k, y, d, [drawn[back] for back in state.backs])
                    self._show(begins, level, data if guided else d)
            if fresh >= 0:
                drawn.insert(0, ready(draw(fresh)))  # type: ignore[misc]
                del drawn[noises:]
            past = [drawn[back] for back in row.backs] if row.backs else []
            if lag >= 0:
                past.append(added[lag])
            y = advance(k, y, d, past)
        self.state = y
        yield y

    def _show(self, begins: int, level: Level, d: Any) -> None:
        """Show the state of a step to whoever asked for it."""
        if self._keeps:
            self._trajectory.append(self.state)
        if self._callback is not None:
            sigma = float(self._plan.path.ratio[begins])
            info = {"x": self.state, "i": begins, "sigma": sigma, "sigma_hat": level.ratio}
            self._callback({**info, "denoised": d})


def _begun(plan: Plan, x: Any, draw: _Draw | None) -> tuple[Any, Any]:
    """Return the first argument, the state or what churn makes of it, and its noise."""
    row = plan.row(0)
    y = x if row.c == 1 else x * row.c
    if not row.draws or draw is None:
        return y, None
    z = draw(0)
    return y.add(z, alpha=float(row.n[0])), z


def _pair(d: Any) -> tuple[Any, Any]:
    """Return the predictions with guidance and without condition."""
    if not isinstance(d, tuple) or len(d) != 2:
        raise TypeError(f"denoiser: guided must return a Guided, got {shown(d)}")
    return d


def _answer(d: Any, x: Any, torch: Any) -> Any:
    """Return what the denoiser said as a tensor of the state's dtype."""
    if not isinstance(d, torch.Tensor):
        raise TypeError(f"denoiser: must return a tensor, got {shown(d)}")
    if d.layout is not torch.strided:
        raise TypeError(f"denoiser: must return a dense tensor, got {d.layout}")
    if d.shape != x.shape:
        raise ValueError(f"denoiser: must return shape {tuple(x.shape)}, got {tuple(d.shape)}")
    if d.device != x.device or not d.dtype.is_floating_point:
        raise TypeError(f"denoiser: must return floats on {x.device}, got {d.dtype} on {d.device}")
    return d.to(x.dtype)
