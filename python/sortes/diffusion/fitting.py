"""Plans and schedules that fit a denoiser: as near to a fine solver's results as few steps come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

import numpy as np

from sortes._check import (
    AT_LEAST_1,
    NON_NEGATIVE,
    AtLeastOne,
    Count,
    Domain,
    NonNegative,
    count,
    one_of,
    several,
    shown,
)
from sortes._device import memory_errors
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Progress, reporter
from sortes._rng import Rng
from sortes.diffusion._descent import Batch, Family, Knots, Rows, Schedules, descend
from sortes.diffusion._states import doubled
from sortes.diffusion.evolution import evolutionary_search
from sortes.diffusion.fitted import Fitted
from sortes.diffusion.loop import check_state
from sortes.diffusion.mixed import StepSpec, _checked, plan_from_steps
from sortes.diffusion.path import Denoise, Path
from sortes.diffusion.plans import Plan, plan
from sortes.diffusion.solvers import ORDER, SolverOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

_STEPS: Final = Domain("[1, 1000]", integer=True)
#: The order that rows keep.
_KEPT: Final = Domain("[0, 4]", integer=True)
#: How many steps descents have before the better half of them goes on.
_TRIAL: Final = 6
#: What the steps of a mixed plan are chosen from.
_POOL: Final = (
    *(StepSpec(order) for order in (1, 2, 3)),
    *(StepSpec(order, corrector=True) for order in (1, 2, 3)),
    *(StepSpec(order, "eps", clock) for order in (2, 3) for clock in ("lam", "rho")),
)


def fit_plan(
    denoiser: Denoise,
    x: torch.Tensor,
    path: Path,
    n: Annotated[int, _STEPS],
    *,
    history: AtLeastOne | None = None,
    order: Annotated[int, ORDER] = 2,
    keep_order: Annotated[int, _KEPT] = 0,
    ridge: NonNegative = 1e-6,
    target: torch.Tensor | None = None,
    max_iterations: Count = 60,
    batch_size: AtLeastOne | None = None,
    on_interrupt: OnInterrupt = "raise",
    progress: Progress = None,
) -> Fitted:
    r"""Fit levels and coefficients of `n` evaluations to a denoiser.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x : Tensor of floats, shape (B, ...)
        States at the first level, to fit to: noise of the law that later runs start from. A few
        hundred numbers for each coefficient are enough, images have more.
    path : Path
        A fine path. Its first level and its last are those of the result, whose other levels lie
        between the first and the last that has noise.
    n : int
        How many evaluations, each of a step, 1 to 1000.
    history : int, optional
        How many predictions a step combines; all that there are without it. A run holds as many.
    order : int, default 2
        The order of the classical rows, of exponential Adams, from which the fit starts.
    keep_order : int, default 0
        The order that the fitted rows keep, at most `order`; with 0 all coefficients are free.
    ridge : float, default 1e-6
        How strongly coefficients are drawn to the classical ones: the share by which the square of
        what each does is made larger.
    target : Tensor, shape (B, ...), optional
        Where the states should end. Without it, where ``dpmpp_3m`` ends on the fine path.
    max_iterations : int, default 60
        How many steps the descent has at most.
    batch_size : int, optional
        How many states are evaluated at once; all without it. The beginnings of the fit are
        compared on the first of these batches alone.
    on_interrupt : {"raise", "return"}
        Whether Ctrl-C raises `sortes.Interrupted`, whose ``partial`` is the best so far, or returns
        that. Before there is any, it is a ``KeyboardInterrupt``.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations of a batch,
        whose number is not known before.

    Returns
    -------
    Fitted
        The plan, of the solver "fitted", and its root mean square error on `x`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, there are no states, the fine path has fewer than `n`
        steps, or states, targets or predictions are not finite.
    TypeError
        If an argument has a wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    fit_schedule : Fits the levels of a solver alone.
    Fitted.save : Keeps the result.

    Notes
    -----
    First the levels are moved, with classical rows. Then each row is fitted by least squares to the
    states of the fine solver at its level, one after the other, from what the rows before it make.
    Then levels and rows move together by Levenberg and Marquardt's method, to where the last
    states are nearest to the target. Derivatives are differences, so that the denoiser needs none.
    Only sums of products are kept of them, in float64. For `n` evaluations and all of the history
    there are about $n^2 / 2$ coefficients, and a step of the descent asks the denoiser about
    $n^3 / 4$ times; nothing is random.

    A plan that was fitted to some guidance, condition or resolution is good for that: measure it on
    noise that it was not fitted to.

    References
    ----------
    Frankel et al., "S4S: solving for a fast diffusion model solver", ICML 2025, arXiv:2502.17423.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path
    >>> from sortes.diffusion import fit_plan, noise_like, plan, sample
    >>> law = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], 0.4)
    >>> sigmas = np.append(np.geomspace(10, 0.03, 50), 0.0)
    >>> path = Path.ve(sigmas)
    >>> x = 10 * torch.tensor(noise_like(np.empty((300, 1)), rng=0))
    >>> found = fit_plan(law.denoise, x, path, 4, max_iterations=10)
    >>> new = 10 * torch.tensor(noise_like(np.empty((300, 1)), rng=1))
    >>> fine = sample(law.denoise, new, plan("dpmpp_3m", path))
    >>> four = plan("dpmpp_2m", path.take([0, 17, 33, 49, 50]))
    >>> near = sample(law.denoise, new, found.plan) - fine
    >>> far = sample(law.denoise, new, four) - fine
    >>> bool(near.square().mean() < far.square().mean())
    True
    """
    steps = _STEPS.check(n, "n")
    points = steps if history is None else min(AT_LEAST_1.check(history, "history"), steps)
    classical = ORDER.check(order, "order")
    kept = _KEPT.check(keep_order, "keep_order")
    if kept > classical:
        raise ValueError(f"keep_order: must be at most order, {classical}, got {kept}")
    drawn = NON_NEGATIVE.check(ridge, "ridge")
    fit = _Fit(denoiser, x, path, steps, target, max_iterations, batch_size, on_interrupt)
    return fit.run(progress, lambda: fit.rows((points, classical, kept), drawn))


def fit_schedule(
    denoiser: Denoise,
    x: torch.Tensor,
    path: Path,
    n: Annotated[int, _STEPS],
    solver: str = "unipc",
    *,
    target: torch.Tensor | None = None,
    max_iterations: Count = 60,
    batch_size: AtLeastOne | None = None,
    on_interrupt: OnInterrupt = "raise",
    progress: Progress = None,
    **options: Unpack[SolverOptions],
) -> Fitted:
    r"""Fit the levels of a solver to a denoiser.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x : Tensor of floats, shape (B, ...)
        States at the first level, to fit to.
    path : Path
        A fine path. Its first level and its last are those of the result, whose other levels lie
        between the first and the last that has noise.
    n : int
        How many steps, 1 to 1000.
    solver : str, default "unipc"
        The solver, by any name that `plan` knows; it must draw no noise.
    target : Tensor, shape (B, ...), optional
        Where the states should end. Without it, where ``dpmpp_3m`` ends on the fine path.
    max_iterations : int, default 60
        How many steps the descent has at most.
    batch_size : int, optional
        How many states are evaluated at once; all without it. The beginnings of the fit are
        compared on the first of these batches alone.
    on_interrupt : {"raise", "return"}
        Whether Ctrl-C raises `sortes.Interrupted`, whose ``partial`` is the best so far, or returns
        that. Before there is any, it is a ``KeyboardInterrupt``.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations of a batch,
        whose number is not known before.
    **options : SolverOptions
        The options of the solver, as `plan` takes them.

    Returns
    -------
    Fitted
        The solver's plan on the levels, and its root mean square error on `x`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, the solver draws noise or is one of CFG++, there are no
        states, the fine path has too few steps, or states, targets or predictions are not finite.
    TypeError
        If an argument has a wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    fit_plan : Fits the coefficients as well.
    optimal_stepsize, ays_cost : Choose among given levels.

    Notes
    -----
    Levenberg and Marquardt's method on the gaps between the levels in lam, from several schedules,
    of which the best goes on. A step of the descent runs the solver `n` times.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path, fit_schedule
    >>> law = GaussianMixture([0.3, 0.7], [-1.2, 0.9], 0.4)
    >>> path = Path.ve(np.append(np.geomspace(10, 0.03, 50), 0.0))
    >>> x = 10 * torch.linspace(-2, 2, 100, dtype=torch.float64)
    >>> found = fit_schedule(law.denoise, x, path, 4, max_iterations=5)
    >>> found.plan, len(found.path)
    (Plan('unipc', n_steps=4, n_evaluations=4, n_draws=0), 5)
    """
    steps = _STEPS.check(n, "n")
    fit = _Fit(denoiser, x, path, steps, target, max_iterations, batch_size, on_interrupt)
    made = plan(solver, fit.coarse(), **options)
    if made.guided:
        raise ValueError(f"solver: must not be one of CFG++, got {solver!r}")
    if made.n_draws:
        raise ValueError(f"solver: must draw no noise, got {solver!r}, which draws some")
    return fit.run(progress, lambda: fit.levels(lambda levels: plan(solver, levels, **options)))


def fit_steps(
    denoiser: Denoise,
    x: torch.Tensor,
    path: Path,
    n: Annotated[int, _STEPS],
    *,
    pool: Sequence[StepSpec] | None = None,
    population: Annotated[int, Domain("[1, 1048576]", integer=True)] = 40,
    generations: Annotated[int, Domain("[1, 1048576]", integer=True)] = 20,
    target: torch.Tensor | None = None,
    max_iterations: Count = 20,
    batch_size: AtLeastOne | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> Fitted:
    r"""Search for levels and for the kind of each step that fit a denoiser.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x : Tensor of floats, shape (B, ...)
        States at the first level, to fit to.
    path : Path
        A fine path, of whose levels some are chosen.
    n : int
        How many steps, 1 to 1000.
    pool : sequence of StepSpec, optional
        What each step may be, without noise; ten kinds of orders 1 to 3 without it.
    population : int, default 40
        How many plans are tried in each generation.
    generations : int, default 20
        How many generations.
    target : Tensor, shape (B, ...), optional
        Where the states should end. Without it, where ``dpmpp_3m`` ends on the fine path.
    max_iterations : int, default 20
        How many steps has the descent that moves the levels of the best plan afterwards.
    batch_size : int, optional
        How many states are evaluated at once; all without it.
    on_interrupt : {"raise", "return"}
        Whether Ctrl-C raises `sortes.Interrupted`, whose ``partial`` is the best so far, or returns
        that. Before there is any, it is a ``KeyboardInterrupt``.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations of a batch,
        whose number is not known before.

    Returns
    -------
    Fitted
        The plan, of the solver "steps", and its root mean square error on `x`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a step of the pool draws noise, there are no states,
        the fine path has too few steps, or states, targets or predictions are not finite.
    TypeError
        If an argument has a wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    evolutionary_search : The search, for any measure of quality.
    plan_from_steps : Makes such plans.

    Notes
    -----
    The first generation holds every kind of the pool for all steps, on levels that are even in lam,
    so that the result is not worse than any of these.

    References
    ----------
    Liu et al., "A unified sampling framework for solver searching of diffusion probabilistic
    models", ICLR 2024, arXiv:2312.07243.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path, fit_steps
    >>> law = GaussianMixture([0.3, 0.7], [-1.2, 0.9], 0.4)
    >>> path = Path.ve(np.append(np.geomspace(10, 0.03, 20), 0.0))
    >>> x = 10 * torch.linspace(-2, 2, 50, dtype=torch.float64)
    >>> fit_steps(law.denoise, x, path, 3, generations=2, rng=0).plan
    Plan('steps', n_steps=3, n_evaluations=3, n_draws=0)
    """
    steps = _STEPS.check(n, "n")
    kinds = list(_POOL)
    if pool is not None:
        kinds = [
            _checked(one, f"item {i} ", "pool")
            for i, one in enumerate(several(pool, "pool", "StepSpecs"))
        ]
    if not len(kinds):
        raise ValueError("pool: must hold at least one StepSpec, got 0")
    for i, kind in enumerate(kinds):
        if kind.eta:
            raise ValueError(f"pool: item {i} must draw no noise, got eta={kind.eta}")
    fit = _Fit(denoiser, x, path, steps, target, max_iterations, batch_size, on_interrupt)
    search = {"population": population, "generations": generations, "rng": rng, "step": step}
    return fit.run(progress, lambda: fit.kinds(kinds, search))


class _Fit:
    """A fit: its states, and the best that it has found."""

    def __init__(
        self,
        denoiser: Any,
        x: Any,
        path: Any,
        n: int,
        target: Any,
        max_iterations: Any,
        batch_size: Any,
        on_interrupt: Any,
    ) -> None:
        torch = self._torch = require("torch", "torch")
        if not callable(denoiser):
            raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
        check_state(x, torch)
        if not x.numel():
            raise ValueError(f"x: must hold at least one state, got shape {tuple(x.shape)}")
        if not isinstance(path, Path):
            raise TypeError(f"path: must be a Path, got {shown(path)}")
        if path.n_steps < n + int(n > 1):
            raise ValueError(f"n: must be below the {path.n_steps} steps of the path, got {n}")
        if target is not None:
            check_state(target, torch, "target")
            if target.shape != x.shape or target.device != x.device:
                raise ValueError(
                    f"target: must have shape {tuple(x.shape)} on {x.device}, "
                    f"got {tuple(target.shape)} on {target.device}"
                )
        self._iterations = count(max_iterations, "max_iterations")
        chunk = len(x) if batch_size is None else AT_LEAST_1.check(batch_size, "batch_size")
        self._on_interrupt = one_of(on_interrupt, "on_interrupt", ("raise", "return"))
        for name, states in (("x", x), ("target", target)):
            if states is not None and not bool(states.isfinite().all()):
                at = tuple((~states.isfinite()).nonzero()[0].tolist())
                raise ValueError(f"{name}: item {at} is not finite: {float(states[at])}")
        self._given = (denoiser, x, path, min(chunk, len(x)))
        self._n, self._path, self._target = n, path, target
        self._knots = Knots(path, n)
        self._best: Fitted | None = None

    def coarse(self) -> Path:
        """Return some path of as many steps as asked for."""
        return self._knots.path(np.zeros(self._n - 1))

    def run(self, progress: Progress, search: Callable[[], None]) -> Fitted:
        """Run a search and return the best that it has found."""
        denoiser, x, path, chunk = self._given
        memory = memory_errors("x: there is no memory for its fit")
        with memory, self._torch.no_grad(), reporter(progress, "evaluations") as report:
            try:
                self._batch = Batch(denoiser, x, path, chunk, report, self._torch)
                self._aim()
                search()
            except KeyboardInterrupt:
                if self._best is None:
                    raise KeyboardInterrupt from None  # not that of a run
                if self._on_interrupt == "raise":
                    raise Interrupted(self._best) from None
        if self._best is None:
            raise ValueError("denoiser: returned numbers that are not finite")
        return self._best

    def _aim(self) -> None:
        """Find where the states should end."""
        batch = self._batch
        if self._target is None:
            fine = plan("dpmpp_3m", self._path)
            batch.targets = [batch.ran(fine, which) for which in range(len(batch.states))]
            if not all(bool(target.isfinite().all()) for target in batch.targets):
                raise ValueError("denoiser: returned numbers that are not finite")
            return
        like = batch.states[0]
        ends = self._target.detach().to(like.dtype)
        batch.targets = list(ends.split(len(like)))

    def _keep(self, made: Plan, cost: float) -> None:
        rmse = float(np.sqrt(cost))
        if np.isfinite(rmse) and (self._best is None or rmse < self._best.rmse):
            self._best = Fitted(made, rmse)

    def _descend(
        self, family: Family, batch: Batch, theta: Any, ridge: Any, iterations: int
    ) -> Any:
        """Return the best parameters that a descent on some states reaches, and their cost."""
        reached = None
        for reached in descend(family, batch, theta, ridge, iterations):
            if batch is self._batch:
                self._keep(family.plan(reached.theta), reached.cost)
        return reached

    def levels(self, make: Callable[[Path], Plan]) -> None:
        """Fit the levels of a solver."""

        def family(batch: Batch) -> Schedules:
            return Schedules(batch, self._knots, make)

        self._race(family, self._starts(), np.zeros(self._n - 1))

    def _race(self, made: Callable[[Batch], Family], starts: list[Any], ridge: Any) -> None:
        """Descend from several starts on the first states; the better half goes on, to the best.

        That one goes on with all states.
        """
        batch = self._batch.first()
        family = made(batch)
        left = self._iterations
        turn = _TRIAL
        while len(starts) > 1:
            turn = min(turn, left // 2)
            reached = [self._descend(family, batch, theta, ridge, turn) for theta in starts]
            reached.sort(key=lambda one: one.cost)
            starts = [one.theta for one in reached[: (len(starts) + 1) // 2]]
            best = family.plan(starts[0])
            self._keep(best, self._batch.cost(best))
            left, turn = left - turn, 2 * turn
        self._descend(made(self._batch), self._batch, starts[0], ridge, left)

    def _starts(self) -> list[NDArray[np.float64]]:
        """Return schedules to begin with: even in lam, of Karras, of normal data."""
        n, knots = self._n, self._knots
        if n == 1:
            return [np.zeros(0)]
        share = np.arange(1, n) / n
        low, high = np.exp(-knots.low), np.exp(-knots.high)
        karras = (low ** (1 / 7) + share * (high ** (1 / 7) - low ** (1 / 7))) ** 7
        data = doubled(self._batch.targets[0])
        spread = max(float(data.std(correction=0)), 1e-6)
        ends = np.arctan(low / spread), np.arctan(high / spread)
        normal = spread * np.tan(ends[0] + share * (ends[1] - ends[0]))
        lams = [knots.low + share * (knots.high - knots.low), -np.log(karras), -np.log(normal)]
        return [knots.numbers(lam) for lam in lams if (np.diff(lam) > 0).all()]

    def rows(self, form: tuple[int, int, int], ridge: float) -> None:
        """Fit levels and rows."""
        n, knots = self._n, self._knots

        def family(batch: Batch) -> Rows:
            return Rows(batch, knots, n, form)

        batch = self._batch.first()
        first = family(batch)
        classical = _Classical(first, n)
        starts = []
        for z in self._starts():
            turn = min(_TRIAL, self._iterations)
            theta = np.zeros(first.starts[-1])
            theta[: n - 1] = self._descend(classical, batch, z, np.zeros(n - 1), turn).theta
            starts += [theta, *self._in_turn(first, batch, theta, ridge)]
        self._race(family, starts, np.where(np.arange(len(theta)) < n - 1, 0.0, ridge))

    def _in_turn(self, family: Rows, batch: Batch, theta: Any, ridge: float) -> list[Any]:
        """Fit rows in turn, on the levels of the fine path that are nearest, if they differ."""
        n, knots, fine = self._n, self._knots, self._path.lam
        inner = np.flatnonzero((fine > knots.low) & (fine < knots.high))
        if not len(inner):
            return []
        places = inner[np.abs(fine[inner, None] - knots.lam(theta[: n - 1])).argmin(0)]
        if len(set(places.tolist())) < n - 1:
            return []
        near = theta.copy()
        near[: n - 1] = knots.numbers(fine[places])
        return [family.in_turn(near, self._passed(batch, places), ridge)]

    def _passed(self, batch: Batch, places: NDArray[np.int64]) -> list[list[Any]]:
        """Return the states of the fine solver at some levels, and the targets."""
        fine = plan("dpmpp_3m", self._path)
        wanted = set(places.tolist())
        out = []
        for which, target in enumerate(batch.targets):
            seen: list[Any] = []

            def watch(info: dict[str, Any], seen: list[Any] = seen) -> None:
                if info["i"] in wanted:
                    seen.append(info["x"].clone())

            batch.ran(fine, which, watch)
            out.append([*seen, target])
        return out

    def kinds(self, pool: Sequence[StepSpec], search: dict[str, Any]) -> None:
        """Fit levels and the kind of each step."""
        n, path, batch = self._n, self._path, self._batch

        def fitness(indices: Any, choices: Any) -> float:
            made = plan_from_steps([pool[i] for i in choices.tolist()], path.take(indices))
            cost = batch.cost(made)
            self._keep(made, cost)
            return cost

        even = np.round(np.linspace(0, path.n_steps, n + 1)).astype(np.int64)
        found = evolutionary_search(
            fitness, len(path), n, n_choices=len(pool), initial=[even], **search
        )
        steps = [pool[i] for i in found.choices.tolist()]
        family = Schedules(batch, self._knots, lambda levels: plan_from_steps(steps, levels))
        z = self._knots.numbers(path.lam[found.indices[1:-1]])
        self._descend(family, batch, z, np.zeros(n - 1), self._iterations)


class _Classical:
    """The classical rows, by their levels alone."""

    def __init__(self, family: Rows, n: int) -> None:
        self._family, self._n = family, n

    def _all(self, z: Any) -> Any:
        return np.concatenate([z, np.zeros(self._family.starts[-1] - len(z))])

    def plan(self, theta: Any) -> Plan:
        """Return the plan."""
        return self._family.plan(self._all(theta))

    def columns(self, theta: Any, which: int) -> tuple[Any, Any]:
        """Return residuals and their derivatives."""
        return self._family.columns(self._all(theta), which, rows=False)
