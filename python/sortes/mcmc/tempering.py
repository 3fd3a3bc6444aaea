"""Tempered sequential Monte Carlo: particles from a prior to a posterior, and the evidence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy import random

from sortes import _core
from sortes._arrays import host
from sortes._check import AtLeastOne, count, flag, one_of, shown
from sortes._estimate import Estimate
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Callback, Progress, reporter
from sortes._rng import Rng, as_stream
from sortes.mcmc.compiled import CLogp
from sortes.mcmc.ellipses import AdaptiveEllipticalSlice, EllipticalSlice
from sortes.mcmc.kernels import AnyKernel, Single, kernel_of
from sortes.mcmc.polar import GibbsianPolarSlice
from sortes.mcmc.resampling import SHARE, Scheme, next_temperature
from sortes.mcmc.sampling import Density, _check_work, _drive, _evaluator
from sortes.mcmc.targets import Target

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

Path: TypeAlias = Literal["likelihood", "geometric"]

_PARTICLES: Final = 2048
_MOST: Final = 2**32 - 1


class Particles(NamedTuple):
    r"""Weighted draws, and the evidence, from `smc`.

    Attributes
    ----------
    draws : ndarray of float64, shape (n, d)
        The particles: an island after the other.
    log_weights : ndarray of float64, shape (n,)
        The logarithms of their weights, which sum to one; those of an island are equal.
    log_likelihood : ndarray of float64, shape (n,)
        Their log likelihoods; on the geometric path, the log density less that of the reference.
    log_z : Estimate
        The logarithm of the evidence $Z$, and its standard error from the spread of the islands.
    island_log_z : ndarray of float64, shape (islands,)
        That of each island. With fixed temperatures $E[e^{\log Z_r}] = Z$.
    temperatures : ndarray of float64, shape (steps + 1,)
        The inverse temperatures, from 0 to 1; an interrupted run ends below.
    ess : ndarray of float64, shape (steps,)
        What the particles were worth at each step, before they were drawn anew.
    ancestors : ndarray of int64, shape (steps, n)
        For each step and particle, the index of the one before that it comes from.
    n_evals : int
        How often the log likelihood was asked for, particle by particle.

    Examples
    --------
    >>> from sortes.mcmc import ManyWell, Normal, Slice, smc
    >>> wide = Normal([0, 0], scale=2)
    >>> found = smc(ManyWell(2), Slice(), wide, path="geometric", rng=0)
    >>> found.draws.shape, found.temperatures[-1]
    ((2048, 2), np.float64(1.0))
    >>> bool(abs(found.log_z.value - ManyWell(2).log_z) < 5 * found.log_z.stderr)
    True
    """

    draws: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    log_z: Estimate
    island_log_z: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    ess: NDArray[np.float64]
    ancestors: NDArray[np.int64]
    n_evals: int


def smc(
    logp: Density,
    kernel: AnyKernel,
    prior: Density | None = None,
    init: ArrayLike | Callable[[np.random.Generator, int], ArrayLike] | None = None,
    *,
    path: Path = "likelihood",
    num_particles: AtLeastOne | None = None,
    num_islands: AtLeastOne = 8,
    num_mcmc_steps: AtLeastOne = 5,
    temperatures: ArrayLike | None = None,
    target_ess: Annotated[float, SHARE] | None = None,
    resampling: Scheme = "systematic",
    vectorized: bool = True,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_interrupt: OnInterrupt = "return",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Particles:
    r"""Draw from a posterior by way of tempered ones, and estimate the evidence.

    Parameters
    ----------
    logp : callable, CLogp or built-in target
        The log likelihood, or with ``path="geometric"`` the log density of the target, which need
        not be normalised. Functions are called as `sample` calls them; -inf is a likelihood of
        zero.
    kernel : kernel or list of kernels
        How particles move. Unless it says ``tune=False``, its widths are set from the particles at
        each step. `EllipticalSlice` brings the prior along.
    prior : callable, CLogp or built-in target, optional
        The log density of the prior, or of the reference, normalised; for the evidence its constant
        counts. Needed unless the kernel has one.
    init : array_like, shape (n, d), or callable, optional
        Independent draws of the prior, or a function ``init(generator, n)`` that makes them. Drawn
        from the prior if that is built in.
    path : {"likelihood", "geometric"}
        Whether the law at inverse temperature $\beta$ is the prior times the likelihood to the
        power of $\beta$, or $f_0^{1-\beta} f^\beta$ for the reference $f_0$ and the target $f$.
    num_particles : int, optional
        How many particles: as many as `init` has, or 2048.
    num_islands : int, default 8
        In how many groups of equal size they are; none meets another. With one there is no standard
        error.
    num_mcmc_steps : int, default 5
        Transitions of each particle at each temperature.
    temperatures : array_like, shape (steps,), optional
        The inverse temperatures, increasing in (0, 1], of which the last is 1: chosen step by step
        unless given.
    target_ess : float, optional
        The effective sample size to keep where temperatures are chosen, as a share of the particles
        in (0, 1]: 0.5 unless given.
    resampling : {"multinomial", "stratified", "systematic", "residual", "ssp"}
        How particles are drawn anew, as in `resample`.
    vectorized : bool, default True
        Whether functions take many points at once, or one.
    max_evals_per_transition : int, default 10000
        The most evaluations of an update, as in `sample`.
    on_interrupt : {"return", "raise"}
        What Ctrl-C does: return the particles of the last temperature that was reached, or raise
        `sortes.Interrupted`, which holds them.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it. Python functions are called
        from the calling thread alone.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts transitions; the total is
        0 while temperatures are still to be chosen.

    Returns
    -------
    Particles
        The particles with their weights, the evidence with its standard error, and how they came.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a log density is NaN or +inf at a particle, all
        particles have a likelihood of zero, or no step of the temperature keeps `target_ess`.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    sample : Chains, for many draws of one law.

    Notes
    -----
    At each step particles get the weights $e^{(\beta' - \beta) \ell(x)}$, are drawn anew by them
    within their island, and move by the kernel at $\beta'$. The product of the mean weights of an
    island estimates $Z$. Islands are independent, given the temperatures and widths, so that the
    spread of their estimates is the standard error of the mean of all; it comes to a factor of
    about $1 + 1/\sqrt{2(R-1)}$ for $R$ islands. Estimates are unbiased for $Z$ where temperatures
    and widths are fixed; where they are chosen from the particles, the bias is of the order of one
    over their number.

    References
    ----------
    Del Moral, Doucet and Jasra, "Sequential Monte Carlo samplers", Journal of the Royal Statistical
    Society B 68(3), 2006.

    Vergé, Dubarry, Del Moral and Moulines, "On parallel implementation of sequential Monte Carlo
    methods: the island particle model", Statistics and Computing 25, 2015, arXiv:1306.3911.

    Examples
    --------
    The evidence of a normal mean, given one observation of 3 with standard deviation 1/2:

    >>> import numpy as np
    >>> from sortes.mcmc import Normal, Slice, smc
    >>> def log_likelihood(x):
    ...     return -2 * (x[:, 0] - 3) ** 2 - 0.5 * np.log(2 * np.pi / 4)
    >>> found = smc(log_likelihood, Slice(), Normal([0.0]), rng=0)
    >>> exact = -0.5 * 9 / 1.25 - 0.5 * np.log(2 * np.pi * 1.25)
    >>> bool(abs(found.log_z.value - exact) < 5 * found.log_z.stderr)
    True
    """
    if not (callable(logp) or isinstance(logp, CLogp)):
        raise TypeError(f"logp: must be a function, a CLogp or a target, got {shown(logp)}")
    kernel = kernel_of(kernel)
    if isinstance(kernel, GibbsianPolarSlice) and kernel._adapt is not None:
        raise ValueError(f"kernel: `adapt` must be None for particles, got {kernel._adapt!r}")
    if isinstance(kernel, AdaptiveEllipticalSlice):
        raise TypeError("kernel: must not be AdaptiveEllipticalSlice, which learns from a chain")
    own = isinstance(kernel, EllipticalSlice)
    if own and prior is not None:
        raise ValueError("prior: must not be given with EllipticalSlice, which has its own")
    if not own and not (callable(prior) or isinstance(prior, CLogp)):
        raise TypeError(f"prior: must be a function, a CLogp or a target, got {shown(prior)}")
    geometric = one_of(path, "path", get_args(Path)) == "geometric"
    if num_particles is not None:
        num_particles = count(num_particles, "num_particles", 1, _MOST)
    islands = count(num_islands, "num_islands", 1, _MOST)
    moves = count(num_mcmc_steps, "num_mcmc_steps", 1, _MOST)
    schedule = None if temperatures is None else _schedule(temperatures)
    if target_ess is not None:
        target_ess = SHARE.check(target_ess, "target_ess")
        if schedule is not None:
            raise ValueError("target_ess: must not be given with `temperatures`")
    one_of(resampling, "resampling", get_args(Scheme))
    limit = count(max_evals_per_transition, "max_evals_per_transition", 1, _MOST)
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    compiled = [isinstance(each, CLogp | Target) for each in (logp, prior) if each is not None]
    if not flag(vectorized, "vectorized") and all(compiled):
        raise ValueError("vectorized: must be True for compiled densities, got False")
    _check_work(num_threads, progress)
    start, moving, drawing = as_stream(rng, step).split(3)
    if init is not None and not callable(init):
        points = _given(init, num_particles)
    else:
        n = _PARTICLES if num_particles is None else num_particles
        points = _begun(init, n, logp, kernel, prior, start)
    if len(points) % islands:
        raise ValueError(f"num_islands: must divide {len(points)} particles, got {islands}")
    dim = points.shape[1]
    for name, density in (("logp", logp), ("prior", prior)):
        if isinstance(density, CLogp | Target) and density._dim != dim:
            raise ValueError(f"{name}: must have {dim} coordinates, as `init`, got {density._dim}")
    law = _Path(
        logp, kernel._prior(dim) if isinstance(kernel, EllipticalSlice) else prior,
        geometric=geometric, own=own, vectorized=vectorized,
    )  # fmt: skip
    run = _Run(law, kernel, points, islands, moves, limit, moving, drawing)
    interrupted: KeyboardInterrupt | None = None
    with reporter(progress, "transitions") as callback:
        steps = 0 if schedule is None else len(schedule)
        run.report(callback, steps * moves * len(points))
        try:
            while run.temperatures[-1] < 1:
                if schedule is None:
                    to = run.choose(0.5 if target_ess is None else target_ess)
                else:
                    to = float(schedule[len(run.temperatures) - 1])
                run.go(to, resampling, num_threads)
            run.finish()
        except KeyboardInterrupt as stop:
            interrupted = stop
    found = run.found()
    if interrupted is not None and on_interrupt == "raise":
        raise Interrupted(found) from interrupted
    return found


class _Path:
    """The laws between the prior and the posterior."""

    def __init__(
        self, logp: Any, prior: Any, *, geometric: bool, own: bool, vectorized: bool
    ) -> None:
        self.geometric, self.own = geometric, own
        self.logp = _evaluator(logp, vectorized or isinstance(logp, CLogp | Target))
        self.prior = _named(prior, vectorized)
        self.natives = None
        first = prior if isinstance(prior, _core.mcmc.targets.Target) else None
        if isinstance(prior, CLogp | Target):
            first = prior._target
        if isinstance(logp, CLogp | Target) and first is not None:
            self.natives = (first, logp._target)

    def power(self, at: float) -> float:
        """Return the power of the prior in what the kernel is told."""
        return (0.0 if self.own else 1.0) - (at if self.geometric else 0.0)

    def both(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the log prior and the log likelihood of points."""
        prior = self.prior(points)
        logp = self.logp(points)
        with np.errstate(invalid="ignore"):
            return prior, (logp - prior if self.geometric else logp)

    def target(self, at: float) -> Target | None:
        """Return the law at an inverse temperature, if it is one of the native side."""
        if self.natives is None:
            return None
        made = _Native.__new__(_Native)
        first, second = self.natives
        made._target = _core.mcmc.targets.Target.weighted(self.power(at), first, at, second)
        return made

    def function(self, at: float) -> Callable[[Floats], Floats]:
        """Return the same as a function of points."""
        power = self.power(at)

        def logp(points: Floats) -> Floats:
            if power == 0:
                return at * self.logp(points)
            first = power * self.prior(points)
            alive = first != -np.inf
            if alive.all():
                first += at * self.logp(points)
            elif alive.any():
                # Nobody asks for a likelihood where there is no prior.
                first[alive] += at * self.logp(points[alive])
            return first

        return logp

    def values(self, at: float, prior: Floats, likelihood: Floats) -> Floats:
        """Return the same from log priors and log likelihoods."""
        if self.geometric:
            likelihood = likelihood + prior
        power = self.power(at)
        return at * likelihood if power == 0 else power * prior + at * likelihood


class _Native(Target):
    """A density of the native side."""


class _Run:
    """Particles on their way."""

    def __init__(
        self,
        law: _Path,
        kernel: Single,
        points: Floats,
        islands: int,
        moves: int,
        limit: int,
        moving: _core.Stream,
        drawing: _core.Stream,
    ) -> None:
        self.law, self.kernel, self.points = law, kernel, points
        self.moves, self.limit = moves, limit
        self.moving, self.drawing = moving, drawing
        self.prior, self.likelihood = law.both(points)
        _check_start(points, self.prior, self.likelihood)
        kernel._check_init(points)
        self.log_z = np.zeros(islands)
        self.temperatures = [0.0]
        self.ess: list[float] = []
        self.ancestors: list[NDArray[np.int64]] = []
        self.n_evals, self.nans, self.stuck, self.done = len(points), 0, 0, 0
        self.callback: Callback | None = None
        self.total = 0

    def report(self, callback: Callback | None, total: int) -> None:
        """Say who is told of the transitions, and how many there are."""
        self.callback, self.total = callback, total

    def choose(self, share: float) -> float:
        """Return the next temperature."""
        at, finite = self.temperatures[-1], self.likelihood[self.likelihood > -np.inf]
        to = next_temperature(finite, at, target_ess=share)
        if to <= at:
            raise ValueError(
                f"target_ess: no step of the temperature beyond {at} keeps {share} of the particles"
            )
        return to

    def go(self, to: float, scheme: str, num_threads: int | None) -> None:
        """Weigh, draw anew and move; nothing is changed until all is done."""
        n, islands = len(self.points), len(self.log_z)
        steps = (to - self.temperatures[-1]) * self.likelihood
        rows = steps.reshape(islands, -1)
        top = rows.max(axis=1)
        alive = np.flatnonzero(top > -np.inf)
        if not alive.size:
            raise ValueError("logp: all particles have a likelihood of zero: more are needed")
        gain = np.full(islands, -np.inf)
        scaled = np.exp(rows[alive] - top[alive, np.newaxis])
        gain[alive] = top[alive] + np.log(scaled.mean(axis=1))
        log_z = self.log_z + gain
        if not (log_z > -np.inf).any():
            raise ValueError("logp: no island has any likelihood left: more particles are needed")
        weights = np.exp(steps - steps.max())
        ess = float(weights.sum() ** 2 / (weights**2).sum())
        # An island without likelihood has no weight from here on: it takes those of another.
        source = np.arange(islands)
        source[top == -np.inf] = alive[np.argmax(log_z[alive])]
        at = len(self.ess)
        drawn = _core.mcmc.resampling.resample(
            np.ascontiguousarray(rows[source]), n // islands, True, scheme,
            self.drawing.advance(at), (num_threads, None) if num_threads is not None else None,
        )  # fmt: skip
        ancestors = (drawn.reshape(islands, -1) + source[:, np.newaxis] * (n // islands)).ravel()
        points = self.points[ancestors]
        values = self.law.values(to, self.prior[ancestors], self.likelihood[ancestors])
        kernel = self.kernel._fit(points)
        sampler = _core.mcmc.engine.Sampler(
            kernel._native(points.shape[1], self.limit), points, values, self.moving.advance(at)
        )
        total = sampler.begin(0, 1, self.moves, False, False)
        target = self.law.target(to)
        told = self._told()
        if target is None:
            _drive(self.law.function(to), sampler, points.shape, total, told)
        else:
            job = None if num_threads is None and told is None else (num_threads, told)
            sampler.run(target._target, total, job)
        nans = int(sampler.nans().sum())
        _, draws, _, evaluations, _, stuck = sampler.take()
        points = draws.reshape(points.shape)
        prior, likelihood = self.law.both(points)
        self.points, self.prior, self.likelihood, self.log_z = points, prior, likelihood, log_z
        self.temperatures.append(to)
        self.ess.append(ess)
        self.ancestors.append(ancestors)
        self.n_evals += int(evaluations.sum()) + n
        self.nans += nans
        self.stuck += int(stuck.sum())
        self.done += total

    def _told(self) -> Callback | None:
        callback, before, whole = self.callback, self.done, self.total
        if callback is None:
            return None
        return lambda done, _: callback(before + done, whole)

    def finish(self) -> None:
        """Say that all is done, and what was amiss."""
        if self.callback is not None:
            self.callback(self.done, self.done)
        if self.nans:
            warnings.warn(
                f"logp: {self.nans} log densities were NaN; such points are never accepted",
                RuntimeWarning,
                stacklevel=3,
            )
        if self.stuck:
            warnings.warn(
                f"max_evals_per_transition: was reached by {self.stuck} moves, which end where "
                "they began; is the density flat or a point, or the width too small?",
                RuntimeWarning,
                stacklevel=3,
            )

    def found(self) -> Particles:
        """Return what there is."""
        n, islands = len(self.points), len(self.log_z)
        top = self.log_z.max()
        each = np.exp(self.log_z - top)
        spread = each.std(ddof=1) / each.mean() / np.sqrt(islands) if islands > 1 else np.nan
        log_weights = self.log_z - top - np.log(each.sum() * (n // islands))
        return Particles(
            self.points,
            np.repeat(log_weights, n // islands),
            self.likelihood,
            Estimate(float(top + np.log(each.mean())), float(spread)),
            self.log_z,
            np.array(self.temperatures),
            np.array(self.ess),
            np.array(self.ancestors, np.int64).reshape(-1, n),
            self.n_evals,
        )


def _named(prior: Any, vectorized: bool) -> Callable[[Floats], Floats]:
    """Return a prior as a function of points, whose errors bear its name."""
    if isinstance(prior, _core.mcmc.targets.Target):
        return lambda points: prior.logp(points, None)
    evaluate = _evaluator(prior, vectorized or isinstance(prior, CLogp | Target))
    if isinstance(prior, CLogp | Target):
        return evaluate

    def named(points: Floats) -> Floats:
        try:
            return evaluate(points)
        except (TypeError, ValueError) as error:
            if str(error).startswith("logp: must return"):
                raise type(error)("prior" + str(error).removeprefix("logp")) from None
            raise

    return named


def _schedule(temperatures: Any) -> Floats:
    """Return inverse temperatures that lead from zero to one."""
    array = host(temperatures, "temperatures")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"temperatures: must have shape (steps,), got {array.shape}")
    steps = np.array(array, np.float64)
    fine = (steps > 0) & (steps <= 1)
    if not fine.all():
        i = int(np.argmin(fine))
        raise ValueError(f"temperatures: item {i} must be in (0, 1], got {steps[i]}")
    if not (np.diff(steps) > 0).all():
        i = int(np.argmin(np.diff(steps) > 0)) + 1
        raise ValueError(f"temperatures: must increase, got {steps[i]} at {i} after {steps[i - 1]}")
    if steps[-1] != 1:
        raise ValueError(f"temperatures: must end at 1, got {steps[-1]}")
    return steps


def _given(init: Any, n: int | None) -> Floats:
    """Return the particles that the user has drawn."""
    array = host(init, "init")
    if array.ndim != 2 or not array.size or n not in (None, len(array)):
        wanted = "(n, d)" if n is None else f"({n}, d)"
        raise ValueError(f"init: must have shape {wanted}, got {array.shape}")
    points = np.array(array, np.float64, order="C")
    fine = np.isfinite(points)
    if not fine.all():
        at = np.argwhere(~fine)[0]
        raise ValueError(f"init: must be finite, got {points[tuple(at)]} at {at.tolist()}")
    return points


def _begun(
    init: Any, n: int, logp: Any, kernel: Single, prior: Any, stream: _core.Stream
) -> Floats:
    """Return draws of the prior."""
    if init is not None:
        generator = random.Generator(random.Philox(key=stream.key))
        return _given(init(generator, n), n)
    if isinstance(kernel, EllipticalSlice):
        dim = logp._dim if isinstance(logp, CLogp | Target) else kernel._dim()
        if dim is None:
            raise ValueError("init: must be given, since no argument says how many coordinates")
        target = kernel._prior(dim)
    elif isinstance(prior, Target) and prior._target.is_drawable():
        dim, target = prior._dim, prior._target
    else:
        raise ValueError("init: must be given, since nobody knows how to draw from the prior")
    return target.sample(n, stream, None).reshape(n, dim)


def _check_start(points: Floats, prior: Floats, likelihood: Floats) -> None:
    """Refuse what the first particles must not have."""
    fine = np.isfinite(prior)
    if not fine.all():
        i = int(np.argmin(fine))
        raise ValueError(f"prior: must be finite at the first particles, got {prior[i]} at {i}")
    fine = likelihood < np.inf  # NaN is not
    if not fine.all():
        i = int(np.argmin(fine))
        at = shown(points[i].tolist())
        raise ValueError(f"logp: must be in [-inf, inf), got {likelihood[i]} at {at}")
    if not (likelihood > -np.inf).any():
        raise ValueError("logp: is -inf at all first particles")
