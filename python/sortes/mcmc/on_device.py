"""Chains on a device: all of them in lock step, in Torch operations that nothing waits for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import numpy as np

from sortes import _core, _philox
from sortes._arrays import host
from sortes._check import AtLeastOne, Count, count, flag, one_of, shown
from sortes._device import check_real, memory_errors
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Progress, reporter
from sortes._rng import Rng, as_stream
from sortes.mcmc.ellipses import EllipticalSlice
from sortes.mcmc.lines import HitAndRunSlice
from sortes.mcmc.polar import GibbsianPolarSlice

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from sortes.mcmc._machines import Machine

_MOST: Final = 2**32 - 1
#: Evaluations between looks at what the device has done, for which random numbers are made at once.
_BLOCK: Final = 32
#: Transitions that a chain can begin within these.
_SLOTS: Final = 10


class TorchLogp:
    """A density of Torch tensors, as `sample` calls it: points go up, log densities come back.

    Parameters
    ----------
    fn : callable
        A function of points, a tensor of shape (n, d), that returns a tensor of shape (n,). It is
        called in inference mode.
    device : str or torch.device, optional
        Where the points go: the CPU if None.
    dtype : torch.dtype, optional
        What they are: ``torch.float32`` if None.
    pad : bool, default True
        Whether there are always as many points as there have been at most, the last one repeated:
        one shape for compiled functions, and results that do not depend on who else asks.

    Raises
    ------
    ValueError
        If there is no such device.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    sample_on_device : Chains that stay on the device as well.

    Examples
    --------
    >>> import torch
    >>> from sortes.mcmc import Slice, TorchLogp, sample
    >>> logp = TorchLogp(lambda x: -x.abs().sum(1), dtype=torch.float64)
    >>> trace = sample(logp, Slice(2.0), [0.5], chains=64, draws=100, rng=0)
    >>> bool(abs(abs(trace.draws).mean() - 1) < 0.1)
    True
    """

    def __init__(
        self,
        fn: Callable[[torch.Tensor], torch.Tensor],
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        pad: bool = True,
    ) -> None:
        torch = require("torch", "TorchLogp")
        if not callable(fn):
            raise TypeError(f"fn: must be a function, got {shown(fn)}")
        self._fn, self._pad, self._rows = fn, flag(pad, "pad"), 0
        if not (device is None or isinstance(device, str | torch.device)):
            raise TypeError(f"device: must be a str or a torch.device, got {shown(device)}")
        try:
            self._device = torch.device("cpu" if device is None else device)
        except RuntimeError:
            raise ValueError(f"device: must be a device of torch, got {shown(device)}") from None
        self._dtype = torch.float32 if dtype is None else dtype
        if not (isinstance(self._dtype, torch.dtype) and self._dtype.is_floating_point):
            raise TypeError(f"dtype: must be one of floats, got {shown(dtype)}")

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log densities of points.

        Parameters
        ----------
        points : ndarray of float64, shape (n, d)
            The points.

        Returns
        -------
        ndarray of float64, shape (n,)
            Their log densities.

        Raises
        ------
        ValueError
            If the points have another shape, or the function returns one.
        TypeError
            If the points are no numbers, or the function returns no tensor.

        Examples
        --------
        >>> import numpy as np
        >>> TorchLogp(lambda x: -x.sum(1))(np.array([[1.0, 2.0]]))
        array([-3.])
        """
        import torch

        points = np.ascontiguousarray(host(points, "points"), np.float64)
        if points.ndim != 2 or not points.size:
            raise ValueError(f"points: must have shape (n, d), got {points.shape}")
        if not np.isfinite(points).all():
            at = np.argwhere(~np.isfinite(points))[0]
            raise ValueError(f"points: must be finite, got {points[tuple(at)]} at {at.tolist()}")
        n = len(points)
        self._rows = max(self._rows, n)
        if self._pad and n < self._rows:
            points = np.concatenate([points, np.repeat(points[-1:], self._rows - n, axis=0)])
        with torch.inference_mode():
            sent = torch.from_numpy(points).to(self._device, self._dtype)
            values = self._fn(sent)
            if not isinstance(values, torch.Tensor):
                raise TypeError(f"logp: must return a tensor, got {shown(values)}")
            if values.shape != sent.shape[:1]:
                raise ValueError(
                    f"logp: must return shape {tuple(sent.shape[:1])} for points of shape "
                    f"{tuple(sent.shape)}, got {tuple(values.shape)}"
                )
            return values[:n].to("cpu", torch.float64).numpy()


class DeviceDraws(NamedTuple):
    """The draws of chains on a device, from `sample_on_device`.

    Attributes
    ----------
    draws : Tensor, shape (chains, n, d)
        The draws of each chain, in order.
    logp : Tensor of float64, shape (chains, n)
        Their log densities.
    widths : Tensor of float64, shape (chains,)
        The widths after warm-up; NaN for a kernel without.
    n_evals : int
        How often the function was called, each time with a point of every chain.
    n_nan : int
        How many log densities of chains at work were NaN.
    n_stuck : int
        How many transitions ended at a limit, where they began.
    interrupted : bool
        Whether Ctrl-C ended them early.

    Examples
    --------
    >>> import torch
    >>> from sortes.mcmc import HitAndRunSlice, sample_on_device
    >>> def logp(x):
    ...     return -0.5 * (x**2).sum(1)
    >>> begin = torch.zeros(64, 3)
    >>> found = sample_on_device(logp, HitAndRunSlice(2.0), begin, draws=9, rng=0)
    >>> found.draws.shape, found.n_stuck, found.interrupted
    (torch.Size([64, 9, 3]), 0, False)
    """

    draws: torch.Tensor
    logp: torch.Tensor
    widths: torch.Tensor
    n_evals: int
    n_nan: int
    n_stuck: int
    interrupted: bool


def sample_on_device(
    logp: Callable[[torch.Tensor], torch.Tensor],
    kernel: EllipticalSlice | HitAndRunSlice | GibbsianPolarSlice,
    init: torch.Tensor,
    *,
    draws: AtLeastOne = 1000,
    warmup: Count = 500,
    thin: AtLeastOne = 1,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_interrupt: OnInterrupt = "return",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> DeviceDraws:
    r"""Draw from a density of Torch by many chains on its device, in lock step.

    Parameters
    ----------
    logp : callable
        The log density: a function of a tensor of points, shape (chains, d), of the dtype and
        on the device of `init`, that returns a tensor of shape (chains,). With `EllipticalSlice`
        the log likelihood. Minus infinity means outside the support, NaN is never accepted, plus
        infinity is an error. It is called in inference mode, always with a point of every chain.
    kernel : EllipticalSlice, HitAndRunSlice or GibbsianPolarSlice
        The transitions.
    init : Tensor of floats, shape (chains, d)
        Where chains begin.
    draws : int, default 1000
        Draws of each chain.
    warmup : int, default 500
        Transitions of each chain before the first draw. Widths are tuned in these, not later.
    thin : int, default 1
        Transitions for each draw; the state after the last of them is kept.
    max_evals_per_transition : int, default 10000
        The most evaluations of an update, as in `sample`.
    on_interrupt : {"return", "raise"}
        What Ctrl-C does: return as many draws as every chain has, or raise `sortes.Interrupted`,
        which holds them.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts transitions.

    Returns
    -------
    DeviceDraws
        The draws as a tensor of the dtype of `init`, and what happened, on the same device.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a chain begins where the density is not finite, the
        function returns the wrong shape, or the density is plus infinity somewhere.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    sample : Chains of any kernel that nobody waits for, for densities of any kind.

    Notes
    -----
    Every chain has a question for each call of the density; one whose transition is over begins the
    next at once. Nothing of a step waits for the device: it is asked every 32 evaluations whether
    all is done. A chain can begin 10 transitions between these, for which directions are made in
    advance. States are float64, whatever the density takes. Draws depend on the stream and the
    number of the chain, not on other chains; they are others than those of `sample`.

    Meant for many chains, of a density that takes longer than the 140 to 320 small operations of a
    step.

    References
    ----------
    Murray, Adams and MacKay, "Elliptical slice sampling", AISTATS 2010, arXiv:1001.0175.

    Schär, Habeck and Rudolf, "Gibbsian polar slice sampling", ICML 2023, arXiv:2302.03945.

    Examples
    --------
    >>> import torch
    >>> from sortes.mcmc import GibbsianPolarSlice, sample_on_device
    >>> def cauchy(x):
    ...     return -0.5 * (1 + x.shape[1]) * torch.log1p((x**2).sum(1))
    >>> begin = torch.ones(256, 10, dtype=torch.float64)
    >>> kernel = GibbsianPolarSlice(10.0)
    >>> found = sample_on_device(cauchy, kernel, begin, draws=50, warmup=20, rng=0)
    >>> bool(0.45 < (found.draws[..., 0] > 0).double().mean() < 0.55)
    True
    """
    torch = require("torch", "sample_on_device")
    if not callable(logp):
        raise TypeError(f"logp: must be a function, got {shown(logp)}")
    if not isinstance(kernel, EllipticalSlice | HitAndRunSlice | GibbsianPolarSlice):
        raise TypeError(
            "kernel: must be an EllipticalSlice, HitAndRunSlice or GibbsianPolarSlice, got "
            f"{shown(kernel)}"
        )
    if isinstance(kernel, GibbsianPolarSlice) and kernel._adapt is not None:
        raise ValueError(f"kernel: `adapt` must be None on a device, got {kernel._adapt!r}")
    if isinstance(kernel, GibbsianPolarSlice) and kernel._fresh:
        raise ValueError("kernel: `fresh_direction` must be False on a device, got True")
    if not isinstance(init, torch.Tensor):
        raise TypeError(f"init: must be a tensor, got {shown(init)}")
    check_real(init, "init")
    if not init.is_floating_point():
        raise TypeError(f"init: must hold floats, got {init.dtype}")
    if init.ndim != 2 or not init.numel():
        raise ValueError(f"init: must have shape (chains, d), got {tuple(init.shape)}")
    plan = _Plan(
        count(warmup, "warmup", 0, _MOST), count(draws, "draws", 1), count(thin, "thin", 1, _MOST)
    )
    if plan.total > _MOST:
        raise ValueError(f"draws: must leave a chain less than 2**32 transitions, got {plan.total}")
    limit = count(max_evals_per_transition, "max_evals_per_transition", 1, _MOST)
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    stream = as_stream(rng, step)
    memory = memory_errors("draws: there is no memory for the chains")
    with torch.inference_mode(), reporter(progress, "transitions") as told, memory:
        chains = _Chains(torch, _checked(logp, init), kernel, init, plan, limit, stream)
        try:
            chains.run(told)
        except KeyboardInterrupt as stop:
            found = chains.found(whole=False)
            if on_interrupt == "raise":
                raise Interrupted(found) from stop
            return found
        found = chains.found(whole=True)
    _warn(found, plan.total * len(init))
    return found


class _Plan(NamedTuple):
    warmup: int
    draws: int
    thin: int

    @property
    def total(self) -> int:
        """How many transitions a chain makes."""
        return self.warmup + self.draws * self.thin


def _checked(
    logp: Callable[[torch.Tensor], torch.Tensor], init: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the density of float64 points, as float64."""
    import torch

    def evaluate(points: torch.Tensor) -> torch.Tensor:
        values = logp(points.to(init.dtype))
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"logp: must return a tensor, got {shown(values)}")
        if values.shape != points.shape[:1]:
            raise ValueError(
                f"logp: must return shape {tuple(points.shape[:1])} for points of shape "
                f"{tuple(points.shape)}, got {tuple(values.shape)}"
            )
        if values.device != points.device:
            raise ValueError(f"logp: must stay on {points.device}, got {values.device}")
        return values.to(torch.float64)

    return evaluate


class _Chains:
    """All chains, and what they have kept."""

    def __init__(
        self,
        torch: Any,
        logp: Callable[[torch.Tensor], torch.Tensor],
        kernel: Any,
        init: torch.Tensor,
        plan: _Plan,
        limit: int,
        stream: _core.Stream,
    ) -> None:
        from sortes.mcmc._machines import machine_of

        self.torch, self.logp, self.plan = torch, logp, plan
        n, d = init.shape
        x = init.to(torch.float64)
        value = self.logp(x)
        _check_start(x, value)
        self.machine: Machine = machine_of(kernel, x, value, limit, plan.warmup)
        self.dtype = init.dtype
        self.draws = torch.empty(n, plan.draws, d, dtype=init.dtype, device=init.device)
        self.kept = torch.empty(n, plan.draws, dtype=torch.float64, device=init.device)
        key = stream.split(1)[0].key
        self.key = (key & 0xFFFFFFFF, key >> 32)
        self.chain = torch.arange(n, device=init.device)
        #: Transitions that each chain has made and begun, and how many of its starts are used.
        self.made = torch.zeros(n, dtype=torch.int64, device=init.device)
        self.used = torch.zeros_like(self.made)
        self.idle = torch.ones(n, dtype=torch.bool, device=init.device)
        self.n_nan = torch.zeros((), dtype=torch.int64, device=init.device)
        self.n_stuck = torch.zeros_like(self.n_nan)
        self.at_infinity = torch.zeros_like(self.idle)
        self.evaluations = 1

    def run(self, told: Callable[[int, int], object] | None) -> None:
        """Make all transitions."""
        n, total = len(self.made), self.plan.total
        block = 0
        while True:
            done = int(self.made.clamp(max=total).sum())  # waits for the device
            self._check_infinity()
            if told is not None:
                told(done, n * total)
            if done == n * total:
                return
            if block * _BLOCK > _MOST:
                raise ValueError("draws: a chain has had 2**32 evaluations; are fewer enough?")
            uniforms = self._uniforms(block)
            starts = self._starts()
            # Chains that could not begin because they had no start left.
            self._begin(self.idle & (self.made < total), starts, uniforms[0])
            for u in uniforms[1:]:
                self._turn(u, starts)
            block += 1

    def _turn(self, u: torch.Tensor, starts: _Starts) -> None:
        """Ask about a point of each chain, and go on with the answers."""
        machine, torch, plan = self.machine, self.torch, self.plan
        value = self.logp(machine.point())
        self.evaluations += 1
        busy = ~self.idle
        self.n_nan += (busy & value.isnan()).sum()
        self.at_infinity |= busy & (value == torch.inf)
        done, stuck = machine.advance(value, u, busy, starts.of(self.used - 1))
        self.n_stuck += stuck.sum()
        machine.learn(done & (self.made < plan.warmup))
        # The state after the last of `thin` transitions is kept.
        after = self.made - plan.warmup
        at = torch.div(after, plan.thin, rounding_mode="floor").clamp(0, plan.draws - 1)
        keeps = done & (after >= 0) & (after % plan.thin == plan.thin - 1)
        old = self.draws[self.chain, at]
        self.draws[self.chain, at] = torch.where(keeps[:, None], machine.x.to(self.dtype), old)
        reported = machine.reported()
        self.kept[self.chain, at] = torch.where(keeps, reported, self.kept[self.chain, at])
        self.made += done
        self.idle |= done
        self._begin(done & (self.made < plan.total), starts, u)

    def _begin(self, wanted: torch.Tensor, starts: _Starts, u: torch.Tensor) -> None:
        """Begin transitions of chains that have a start left."""
        begins = wanted & (self.used < _SLOTS)
        self.machine.begin(begins, starts.of(self.used), u)
        self.used += begins
        self.idle &= ~begins

    def _uniforms(self, block: int) -> torch.Tensor:
        """Return a uniform of each chain for each evaluation of a block."""
        import torch

        turns = torch.arange(_BLOCK + 1, device=self.chain.device)[:, None] + block * (_BLOCK + 1)
        counter = (0, turns, self.chain[None], _core.PURPOSES["device_turn"] << 16)
        w0, w1, _, _ = _philox.block(self.key, counter)
        uniforms: torch.Tensor = (w1 << 21 | w0 >> 11).to(torch.float64) * _philox.ULP
        return uniforms

    def _starts(self) -> _Starts:
        """Return what the next transitions of each chain begin with."""
        torch, (n, d) = self.torch, self.machine.x.shape
        # A chain at work has used the start of its transition: it stays, as the first.
        first = self.made
        self.used = (~self.idle).to(torch.int64)
        rounds = (first[:, None] + torch.arange(_SLOTS, device=first.device)).reshape(-1, 1)
        chains = self.chain.repeat_interleave(_SLOTS)
        purpose = _core.PURPOSES["device_start"]
        normals = _philox.normals(self.key, chains, rounds, purpose, d)
        after = torch.arange(2, device=first.device)[None] + -(-d // 2)
        words = _philox.block(self.key, (after, rounds, chains[:, None], purpose << 16))
        bits = [words[low + 1] << 20 | words[low] >> 12 for low in (0, 2)]
        uniforms = (torch.cat(bits, 1).to(torch.float64) + 0.5) * (2 * _philox.ULP)
        return _Starts(self.chain, normals.reshape(n, _SLOTS, d), uniforms.reshape(n, _SLOTS, 4))

    def _check_infinity(self) -> None:
        if self.at_infinity.any():
            at = int(self.at_infinity.int().argmax())
            raise ValueError(f"logp: is +inf at a point of chain {at}")

    def found(self, *, whole: bool) -> DeviceDraws:
        """Return what there is."""
        n = self.plan.draws
        if not whole:
            made = int(self.made.min())
            n = max(0, made - self.plan.warmup) // self.plan.thin
        return DeviceDraws(
            self.draws[:, :n],
            self.kept[:, :n],
            self.machine.widths(),
            self.evaluations,
            int(self.n_nan),
            int(self.n_stuck),
            not whole,
        )


class _Starts(NamedTuple):
    """What transitions begin with, of all chains."""

    chain: torch.Tensor
    normals: torch.Tensor
    uniforms: torch.Tensor

    def of(self, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the normals and four uniforms of a start of each chain."""
        at = at.clamp(0, _SLOTS - 1)
        return self.normals[self.chain, at], self.uniforms[self.chain, at]


def _check_start(points: torch.Tensor, values: torch.Tensor) -> None:
    """Refuse to begin where the density is not finite."""
    fine = points.isfinite().all(1)
    if not fine.all():
        at = int((~fine).int().argmax())
        raise ValueError(f"init: must be finite, got {points[at].tolist()} at {at}")
    fine = values.isfinite()
    if not fine.all():
        at = int((~fine).int().argmax())
        value = values[at].item()
        if value == np.inf:
            raise ValueError(f"logp: is +inf at {points[at].tolist()}, where chain {at} begins")
        raise ValueError(
            f"init: the log density must be finite where chains begin, got {at}: {value}"
        )


def _warn(found: DeviceDraws, transitions: int) -> None:
    if found.n_nan:
        warnings.warn(
            f"logp: {found.n_nan} log densities were NaN; such points are never accepted",
            RuntimeWarning,
            stacklevel=3,
        )
    if found.n_stuck:
        warnings.warn(
            f"max_evals_per_transition: was reached by {found.n_stuck} of {transitions} "
            "transitions, which end where they began; is the density flat or a point, or the width "
            "too small?",
            RuntimeWarning,
            stacklevel=3,
        )
