"""Feynman-Kac correctors: powers, products and rewards of models, by weighted particles."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from sortes import _core, _philox
from sortes._arrays import host
from sortes._check import FINITE as _FINITE
from sortes._check import AtLeastOne, Domain, Finite, count, items, one_of, real, shown
from sortes._device import is_on_device, memory_errors, to_device
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Callback, Progress, reporter
from sortes._rng import Rng
from sortes.diffusion.loop import _answer, check_state
from sortes.diffusion.noise import ImageNoise
from sortes.diffusion.path import Denoise, Path

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

_SHARE: Final = Domain("[0, 1]")
_RATIO: Final = Domain("[0, inf]")
#: How ancestors are drawn on any device.
Comb: TypeAlias = Literal["systematic", "stratified"]
#: A level of noise over signal.
Ratio: TypeAlias = Annotated[float, _RATIO]


class WeightedSamples(NamedTuple):
    """What `fkc_sample` returns.

    Attributes
    ----------
    x : Tensor, shape (B, ...)
        The particles at the last level.
    log_weights : Tensor of float64, shape (B,)
        The logarithms of their weights, which compare between groups as well: means over all
        particles are weighted by their exponentials.
    ess : Tensor of float64, shape (N + 1, groups)
        The effective sample size at each level, as a share of the particles of the group; before
        they are resampled.

    Examples
    --------
    >>> import torch
    >>> from sortes.diffusion import Path, fkc_sample
    >>> path = Path.ve([8.0, 4.0, 2.0, 1.0, 0.0])
    >>> x = torch.ones(4, 2)
    >>> found = fkc_sample(lambda x, level: 0 * x, 1.0, x, path, rng=0)
    >>> found.log_weights
    tensor([0., 0., 0., 0.], dtype=torch.float64)
    """

    x: torch.Tensor
    log_weights: torch.Tensor
    ess: torch.Tensor


def fkc_sample(
    denoisers: Denoise | Sequence[Denoise],
    weights: Finite | Sequence[Finite],
    x: torch.Tensor,
    path: Path,
    *,
    reward: Callable[[torch.Tensor], torch.Tensor] | None = None,
    reward_scale: Finite | ArrayLike | None = None,
    groups: AtLeastOne = 1,
    ess_threshold: Annotated[float, _SHARE] = 0.5,
    interval: tuple[Ratio, Ratio] | None = None,
    method: Comb = "systematic",
    rows: Sequence[int] | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> WeightedSamples:
    r"""Draw from powers and products of diffusion models, tilted by a reward, with weights.

    The target at a level is proportional to $\prod_m q_m(x)^{w_m} e^{\beta r(x)}$, with $q_m$ the
    law of model $m$ there. Particles move by the score of the product, which alone would not reach
    it; weights make up for the difference.

    Parameters
    ----------
    denoisers : callable or sequence of callable
        The models, as `sample` calls them. One with a weight other than 1 is annealed.
    weights : float or sequence of float
        The powers $w_m$, of a positive sum: (1, 1) for a product, $(1 - \gamma, \gamma)$ for
        guidance with the unconditional model first.
    x : Tensor of floats, shape (B, ...)
        The particles at the first level, normals times
        ``path.sigma[0] / sum(weights)**0.5``: the law of the product where nothing but noise is
        left.
    path : Path
        The levels, of which the first must have some signal. Steps must be small: the laws hold in
        the limit.
    reward : callable, optional
        $r$, of data of shape (B, ...), ``x / alpha`` of a state: a differentiable function with
        results of shape (B,).
    reward_scale : float or array_like, shape (N + 1,), optional
        $\beta$ at the end, which grows from 0 by the same amount at each step; or at each level.
        1 without it.
    groups : int, default 1
        How many systems of particles there are, which know nothing of each other: consecutive parts
        of the batch of equal size.
    ess_threshold : float, default 0.5
        The effective sample size, as a share, below which a group is resampled, in [0, 1]; 0 for
        never.
    interval : tuple of two float, optional
        The ratios $\sigma / \alpha$, both inside, between which groups are resampled; everywhere
        without it. Weights are kept elsewhere.
    method : {"systematic", "stratified"}
        How ancestors are drawn: the same place in each of as many strata as there are particles, or
        a place of its own in each.
    rows : sequence of int, shape (B,), optional
        The names of the particles, 0 to B - 1 without it: the noise of a particle belongs to its
        name, the resampling of a group to that of its first.
    on_interrupt : {"raise", "return"}
        What Ctrl-C does: raise `sortes.Interrupted`, whose `partial` is what would be returned at
        the level that was reached, or return it.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts levels.

    Returns
    -------
    WeightedSamples
        The particles, their weights and what these were worth.

    Raises
    ------
    ValueError
        If the weights add up to no positive number, the batch is no multiple of the groups, the
        path begins with pure noise, or an argument is out of its domain.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    sample : One model, without weights.

    Notes
    -----
    In the variance $v = (\sigma / \alpha)^2$, with scores $s_m$ and $S = \sum_m w_m s_m$, particles
    follow $dx = (S + \tfrac{\beta}{2} \nabla r) |dv| + dW$ and log weights grow by
    $\left( \tfrac12 |S|^2 - \tfrac12 \sum_m w_m |s_m|^2 + \tfrac{\beta}{2} S \cdot \nabla r \right)
    |dv| + r \, d\beta$. Steps take the predictions of the data for linear in $\ln v$, which for one
    model of weight 1 is ``dpmpp_2m_sde_heun``; weights are integrated by the trapezoidal rule, so
    that a path that ends above clean data asks once more at its end. The logarithm of the mean
    weight of a group is kept when it is resampled. Nothing waits for a device. Log weights of many
    dimensions vary much: what `ess` says decides whether the means mean anything.

    References
    ----------
    Skreta, Akhound-Sadegh, Ohanesian and others, "Feynman-Kac correctors in diffusion: annealing,
    guidance, and product of experts", ICML 2025, arXiv:2503.02819.

    Examples
    --------
    The square of a normal law is a normal law of half the variance.

    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path, fkc_sample, noise_like
    >>> path = Path.ve(np.append(np.geomspace(20, 0.02, 100), 0))
    >>> one = GaussianMixture([1], [[0.5]], 1.0)
    >>> x = noise_like(torch.empty(10_000, 1), rng=1) * path.sigma[0] / 2**0.5
    >>> found = fkc_sample(one.denoise, 2.0, x, path, rng=2)
    >>> w = found.log_weights.softmax(0)
    >>> mean = float((w * found.x[:, 0]).sum())
    >>> variance = float((w * (found.x[:, 0] - mean) ** 2).sum())
    >>> abs(mean - 0.5) < 0.05, abs(variance - 0.5) < 0.05
    (True, True)
    """
    torch = require("torch", "diffusion")
    models = [denoisers] if callable(denoisers) else denoisers
    if not isinstance(models, list | tuple) or not all(callable(model) for model in models):
        raise TypeError(f"denoisers: must be callable, or several, got {shown(denoisers)}")
    powers = _powers(weights, len(models))
    check_state(x, torch)
    if not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
    if path.alpha[0] == 0:
        raise ValueError("path: must begin with some signal, got pure noise")
    many = count(groups, "groups", 1)
    if len(x) % many:
        raise ValueError(f"groups: must divide the {len(x)} particles of x, got {many}")
    share = real(ess_threshold, "ess_threshold", _SHARE)
    inside = _inside(path, interval)
    one_of(method, "method", ("systematic", "stratified"))
    one_of(on_interrupt, "on_interrupt", ("raise", "return"))
    tilt = _Tilt(reward, _scales(reward, reward_scale, path.n_steps))
    with memory_errors("x: there is no memory for its particles"):
        state = x.float() if x.dtype.itemsize < 4 else x
        noise = ImageNoise(state, rows=rows, rng=rng, step=step)
        combs = _combs(noise, many, method)
        run = _Particles(models, powers, x, path, tilt, noise, torch)
        run.split(many, share, inside, combs)
        with reporter(progress) as report, torch.no_grad():
            try:
                run.go(report)
            except KeyboardInterrupt:
                if on_interrupt == "raise":
                    raise Interrupted(run.result()) from None
                return run.result()
        found = run.result()
        if x.is_cpu and not is_on_device(x) and bool(found.log_weights.isnan().any()):
            warnings.warn(
                "denoisers: log weights are not finite, of all particles of a group",
                RuntimeWarning,
                stacklevel=2,
            )
        return found


def _powers(weights: Any, many: int) -> list[float]:
    """Return one weight for each model, of a positive sum."""
    given = host(weights, "weights")
    if given.ndim > 1 or given.size != many:
        raise ValueError(
            f"weights: must hold one for each of {many} denoisers, got shape {given.shape}"
        )
    values = given.astype(np.float64).reshape(-1)
    items(np.isfinite(values), values, "weights", "is not finite")
    if not values.sum() > 0:
        raise ValueError(
            "weights: must have a positive sum, for noise has no law of the product otherwise, "
            f"got {shown(float(values.sum()))}"
        )
    return [float(value) for value in values]


def _scales(reward: Any, scale: Any, n_steps: int) -> list[float]:
    """Return the factor of the reward at each level."""
    if reward is None:
        if scale is not None:
            raise ValueError("reward_scale: must not be given without reward")
        return [0.0] * (n_steps + 1)
    if not callable(reward):
        raise TypeError(f"reward: must be callable, got {shown(reward)}")
    given = host(1.0 if scale is None else scale, "reward_scale")
    if given.ndim == 0:
        most = real(given.item(), "reward_scale", _FINITE)
        return [most * i / n_steps for i in range(n_steps + 1)]
    if given.shape != (n_steps + 1,):
        raise ValueError(f"reward_scale: must have shape ({n_steps + 1},), got {given.shape}")
    values = given.astype(np.float64)
    items(np.isfinite(values), values, "reward_scale", "is not finite")
    return [float(value) for value in values]


def _inside(path: Path, interval: Any) -> list[bool]:
    """Return whether groups may be resampled at each level."""
    if interval is None:
        return [True] * len(path)
    if not isinstance(interval, tuple | list) or len(interval) != 2:
        raise TypeError(f"interval: must be a tuple of two levels, got {shown(interval)}")
    low, high = (real(end, "interval", _RATIO) for end in interval)
    if low >= high:
        raise ValueError(f"interval: must hold an interval, got {low} and {high}")
    return [low <= ratio <= high for ratio in path.ratio.tolist()]


def _combs(noise: ImageNoise, groups: int, method: str) -> Callable[[int], Any]:
    """Return what makes the places in the strata of each group, at a level."""
    images = noise._images
    each = images.batch // groups
    first = slice(None, None, each) if each else slice(0, 0)
    ids, keys = images.ids[first].astype(np.int64), images.keys[first]
    low = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    halves = low, (keys >> np.uint64(32)).astype(np.int64)
    teeth = np.arange(each)
    purpose = _core.PURPOSES["survivor"]

    def places(level: int) -> Any:
        many = 1 if method == "systematic" else each
        u = _philox.sequences(halves, ids, level, purpose, many)
        return to_device((teeth + u * _philox.ULP) / max(each, 1), images.like.device)

    return places


class _Tilt(NamedTuple):
    """A reward, and its factor at each level."""

    reward: Callable[[Any], Any] | None
    scales: list[float]

    def at(self, y: Any, torch: Any) -> tuple[Any, Any]:
        """Return the reward of data, and its gradient."""
        if self.reward is None:
            return None, None
        with torch.enable_grad():
            given = y.detach().requires_grad_()
            found = self.reward(given)
            if not isinstance(found, torch.Tensor) or found.shape != (len(y),):
                got = tuple(found.shape) if isinstance(found, torch.Tensor) else shown(found)
                raise ValueError(f"reward: must return shape ({len(y)},), got {got}")
            if not found.requires_grad:
                raise ValueError("reward: must be differentiable, got a result without a gradient")
            (gradient,) = torch.autograd.grad(found.sum(), given)
        return found.detach().double(), gradient


class _Particles:
    """Particles on their way: states over alpha, and log weights since the last resampling."""

    def __init__(
        self,
        models: Sequence[Any],
        powers: list[float],
        x: Any,
        path: Path,
        tilt: _Tilt,
        noise: ImageNoise,
        torch: Any,
    ) -> None:
        self._models, self._powers, self._path, self._tilt = models, powers, path, tilt
        self._noise, self._torch, self._asked = noise, torch, x.dtype
        half = x.dtype.itemsize < 4
        x = x.detach().to(torch.float32) if half else x.detach()
        self._y, self._level = x / float(path.alpha[0]), 0
        self._log_weights = torch.zeros(len(x), dtype=torch.float64, device=x.device)

    def split(
        self, groups: int, share: float, inside: list[bool], combs: Callable[[int], Any]
    ) -> None:
        """Cut the particles into groups."""
        self._groups, self._share, self._inside, self._combs = groups, share, inside, combs
        shape = (len(self._path), groups)
        device = self._y.device
        self._ess = self._torch.ones(shape, dtype=self._torch.float64, device=device)
        #: The logarithm of the mean weight that each group has lost by resampling.
        self._kept = self._torch.zeros(groups, dtype=self._torch.float64, device=device)

    def result(self) -> WeightedSamples:
        """Return the particles at the level that was reached."""
        x = self._y * float(self._path.alpha[self._level])
        each = len(x) // self._groups
        logs = self._log_weights + self._kept.repeat_interleave(each)
        return WeightedSamples(x.to(self._asked), logs, self._ess)

    def go(self, report: Callback | None) -> None:
        """Make all steps."""
        path, scales = self._path, self._tilt.scales
        variances, last = (path.ratio**2).tolist(), path.n_steps
        reward, gradient = self._tilt.at(self._y, self._torch)
        if reward is not None:
            self._log_weights += scales[0] * reward
        before = past = None
        for i in range(last + 1):
            v = variances[i]
            growth = mean = None
            if v > 0:
                mean, growth = self._ask(i, v, gradient)
            if before is not None:
                self._weigh(before, (v, growth, reward), scales[i] - scales[i - 1])
            if i == last:
                if self._groups and len(self._y):
                    self._ess[i] = self._shares(self._log_weights.view(self._groups, -1))[1]
                break
            parents = self._resampled(i)
            if parents is not None:
                self._y, mean, growth, reward, gradient, past = (
                    part if part is None else part.index_select(0, parents)
                    for part in (self._y, mean, growth, reward, gradient, past)
                )
            slope = None
            if past is not None:
                slope = (mean - past).div_(math.log(variances[i - 1] / v))
            self._move(i, (v, variances[i + 1]), mean, slope, gradient)
            before, past = (v, growth, reward), mean
            reward, gradient = self._tilt.at(self._y, self._torch)
            if report is not None:
                report(i + 1, last)

    def _ask(self, i: int, v: float, gradient: Any) -> tuple[Any, Any]:
        """Return the mean prediction of the models, and how fast log weights grow in ln v."""
        torch, level, y = self._torch, self._path[i], self._y
        x = y * level.alpha
        total = sum(self._powers)
        mean = torch.zeros_like(y)
        squares = torch.zeros_like(self._log_weights)
        for model, power in zip(self._models, self._powers, strict=True):
            d = model(x.to(self._asked), level)
            try:
                d = _answer(d, x, torch)
            except (TypeError, ValueError) as error:
                raise type(error)(str(error).replace("denoiser:", "denoisers:", 1)) from None
            mean.add_(d, alpha=power / total)
            squares += power * _square(d - y, torch)
        pull = (mean - y) * total  # the score of the product, times v
        growth = (_square(pull, torch) - squares) / (2 * v)
        scale = self._tilt.scales[i]
        if gradient is not None and scale:
            growth += 0.5 * scale * _rows(pull * gradient).sum(1, dtype=torch.float64)
        return mean, growth

    def _weigh(
        self, before: tuple[float, Any, Any], now: tuple[float, Any, Any], scale: float
    ) -> None:
        """Weigh a step by what was found at both of its ends."""
        (v, growth, reward), (end, growth_end, reward_end) = before, now
        if growth_end is None:  # to clean data: as if the rate in v were constant
            self._log_weights += growth
        else:
            self._log_weights += (growth + growth_end) * (0.5 * math.log(v / end))
        if reward is not None:
            self._log_weights += (reward + reward_end) * (0.5 * scale)

    def _shares(self, logs: Any) -> tuple[Any, Any]:
        """Return normalised weights of groups, and their effective sizes as shares."""
        weights = logs.softmax(1)
        return weights, 1 / (weights.square().sum(1) * max(logs.shape[1], 1))

    def _resampled(self, i: int) -> Any:
        """Return the parent of each particle; groups that are resampled forget their weights."""
        torch, logs = self._torch, self._log_weights.view(self._groups, -1)
        if not logs.numel():
            return None
        each = logs.shape[1]
        weights, ess = self._shares(logs)
        self._ess[i] = ess
        if not self._inside[i] or not self._share or (i == 0 and not self._tilt.scales[0]):
            return None
        due = ess < self._share
        ends = weights.cumsum(1)
        # The last end is one, so that no particle without weight is hit.
        parents = torch.searchsorted(ends / ends[:, -1:], self._combs(i), right=True)
        own = torch.arange(each, device=logs.device)
        parents = torch.where(due[:, None], parents.clamp(max=each - 1), own)
        means = logs.logsumexp(1) - math.log(each)
        self._kept += torch.where(due, means, 0.0)
        self._log_weights = torch.where(due[:, None], 0.0, logs).reshape(-1)
        first = torch.arange(self._groups, device=logs.device)[:, None] * each
        return (parents + first).reshape(-1)

    def _move(
        self, i: int, ends: tuple[float, float], mean: Any, slope: Any, gradient: Any
    ) -> None:
        """Step, with a prediction that is linear in ln v."""
        (v, end), total = ends, sum(self._powers)
        left = end / v
        y = mean.lerp(self._y, left**total)
        if slope is not None and end:
            y = y.add_(slope, alpha=-math.log(left) - (1 - left**total) / total)
        scale = self._tilt.scales[i]
        if gradient is not None and scale and end:
            y = y.add_(gradient, alpha=0.5 * scale * end * _integral(left, 1 - total))
        variance = end * _integral(left, 1 - 2 * total)
        if variance > 0:
            z: Any = self._noise._drawn("corrector", i)
            y = y.add_(z, alpha=math.sqrt(variance))
        self._y, self._level = y, i + 1


def _integral(left: float, power: float) -> float:
    """Return the integral of u**(power - 1) from 1 to 1 / left: of how a share of v spreads."""
    if not left:
        return 0.0
    distance = -math.log(left)
    return distance if power == 0 else math.expm1(power * distance) / power


def _rows(x: Any) -> Any:
    return x.flatten(1) if x.ndim > 1 else x[:, None]


def _square(x: Any, torch: Any) -> Any:
    """Return the squared length of each state."""
    return torch.linalg.vector_norm(_rows(x), dim=1, dtype=torch.float64) ** 2
