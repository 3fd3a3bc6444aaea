"""ParaDiGMS: many steps of a plan at once, refined until they agree with one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sortes._check import NON_NEGATIVE as _NON_NEGATIVE
from sortes._check import AtLeastOne, NonNegative, count, one_of, real, shown
from sortes._device import memory_errors, to_device
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Progress, reporter
from sortes._rng import Rng
from sortes.diffusion._steps import Step, program_of, sums_for
from sortes.diffusion.levels import Levels
from sortes.diffusion.loop import _answer, _begun, _draws, check_state
from sortes.diffusion.path import Level
from sortes.diffusion.plans import Plan

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class ParallelRun(NamedTuple):
    """What `paradigms` returns.

    Attributes
    ----------
    x : Tensor, shape (B, ...)
        The states at the last level.
    n_iterations : ndarray of int64, shape (B,)
        How many calls of the denoiser each image took part in: its latency. The largest is how
        many calls there were.
    n_evaluations : ndarray of int64, shape (B,)
        How many states of each image were asked about: its work. One step after the other takes
        ``plan.n_evaluations``.

    Examples
    --------
    >>> import torch
    >>> from sortes.diffusion import Path, paradigms, plan
    >>> made = plan("ddim", Path.flow([1.0, 0.8, 0.6, 0.4, 0.2, 0.0]))
    >>> x = torch.ones(1, 3)
    >>> found = paradigms(lambda x, level: 0 * x + 0.3, x, made)
    >>> found.n_iterations, found.n_evaluations
    (array([4]), array([12]))
    """

    x: torch.Tensor
    n_iterations: NDArray[np.int64]
    n_evaluations: NDArray[np.int64]


def paradigms(
    denoiser: Callable[[Any, Any], Any],
    x: torch.Tensor,
    plan: Plan,
    *,
    window: AtLeastOne | None = None,
    tol: NonNegative = 0.1,
    noise: torch.Tensor | Callable[[float, float], torch.Tensor] | None = None,
    rows: Sequence[int] | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> ParallelRun:
    r"""Go from noise to data by a plan, many steps at once: fewer, larger calls of the model.

    A window of steps is guessed, all of them are evaluated in one call, and the guess is improved
    by adding up what each step would change (Picard iteration) until the first of them no longer
    move; the window then slides on.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data at states and their `Levels`, a level for each state; with
        ``window=1`` it is given a `Level`. It must treat each state alone.
    x : Tensor of floats, shape (B, ...)
        The states at the first level: normals times ``plan.init_sigma``.
    plan : Plan
        What each step combines, of any solver.
    window : int, optional
        How many evaluations of an image are made at once, at least 1; all of them without it. A
        call is of at most ``window * B`` states.
    tol : float, default 0.1
        How far a state may move in an iteration and still count as settled: the mean of the
        squares of its change is at most ``tol**2`` times the variance of the noise that ancestral
        sampling would add there. With 0, until nothing moves.
    noise : Tensor, shape (draws, B, ...), or callable, optional
        As in `sample`.
    rows : sequence of int, shape (B,), optional
        The names of the images, as in `sample`.
    on_interrupt : {"raise", "return"}
        What Ctrl-C does: raise `sortes.Interrupted`, whose `partial` is what would be returned with
        the last settled state of each image, or return it.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts steps of all images.

    Returns
    -------
    ParallelRun
        The states, of the dtype and on the device of `x`, and what they took.

    Raises
    ------
    ValueError
        If the denoiser or the noise has another shape than the states, randomness is given to a
        plan without draws, or an argument is out of its domain.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    See Also
    --------
    sample : One step after the other.

    Notes
    -----
    With ``window=1`` the result is that of `sample`, to the bit; with a tolerance that falls to
    zero it tends to it, for plans with noise too, since the noise of a step is drawn once, by the
    name of the image and the number of the addition. At least one step settles in each iteration,
    so that there are never more than `sample` makes. Each image has a window of its own: what
    becomes of it does not depend on the batch. The device is waited for once in each iteration.
    Memory is that of about four to six windows of batches, noise included, beside the model's.

    References
    ----------
    Shih, Belkhale, Ermon, Sadigh and Anari, "Parallel sampling of diffusion models", NeurIPS 2023,
    arXiv:2305.16317.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path, paradigms, plan, sample
    >>> mixture = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
    >>> made = plan("ddpm", Path.vp(np.geomspace(20, 0.05, 101)))
    >>> x = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    >>> found = paradigms(mixture.denoise, x, made, tol=1e-4, rng=7)
    >>> one_by_one = sample(mixture.denoise, x, made, rng=7)
    >>> torch.allclose(found.x, one_by_one, atol=1e-3)
    True
    >>> bool(found.n_iterations.max() < 60)
    True
    """
    torch = require("torch", "diffusion")
    if not isinstance(plan, Plan):
        raise TypeError(f"plan: must be a Plan, got {shown(plan)}")
    if "learned" in plan._arrays:
        raise ValueError(f"plan: must have noise of known variance, got {plan.solver}")
    if plan.guided:
        raise ValueError(f"plan: must take one prediction in each evaluation, got {plan.solver}")
    if not callable(denoiser):
        raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
    check_state(x, torch)
    many = plan.n_evaluations
    width = many if window is None else min(count(window, "window", 1), many)
    tolerance = real(tol, "tol", _NON_NEGATIVE)
    one_of(on_interrupt, "on_interrupt", ("raise", "return"))
    with memory_errors("x: there is no memory for its windows"):
        draw = _draws(plan, x, noise, rows, rng, step, torch)
        if not x.numel():
            return ParallelRun(x.clone(), *np.zeros((2, len(x)), np.int64))
        run = _Windows(denoiser, plan, x, draw, (width, tolerance), torch)
        with reporter(progress) as report, torch.no_grad():
            try:
                while run.active:
                    run.iterate()
                    if report is not None:
                        report(sum(run.begins), many * len(x))
            except KeyboardInterrupt:
                if on_interrupt == "raise":
                    raise Interrupted(run.result()) from None
        return run.result()


class _Group(NamedTuple):
    """The images that are asked about at one evaluation of the plan."""

    k: int
    images: list[int]


class _Windows:
    """The windows of all images, each as far as it is.

    The states and the predictions of evaluation k stand in row k modulo the length of a ring.
    """

    def __init__(
        self,
        denoiser: Any,
        plan: Plan,
        x: Any,
        draw: Callable[[int], Any] | None,
        settings: tuple[int, float],
        torch: Any,
    ) -> None:
        self._denoiser, self._plan, self._draw, self._torch = denoiser, plan, draw, torch
        self._width, tol = settings
        self._asked = x.dtype
        x = x.detach().to(torch.float32) if x.dtype.itemsize < 4 else x.detach()
        self._steps = program_of(plan).steps
        self._sums = sums_for(x, torch)
        #: The number of the newest noise when a row is added up.
        self._newest = _newest(plan, self._steps)
        self._limits = [tol * tol * variance for variance in _variances(plan)]
        self._noises: dict[int, Any] = {}
        n, size = len(x), self._width + 1
        self._ring = size + (plan._arrays["history"] - 1)
        self.begins = [0] * n
        self._iterations, self._evaluations = np.zeros(n, np.int64), np.zeros(n, np.int64)
        y, z = _begun(plan, x.contiguous(), draw)
        if z is not None:
            self._noises[0] = z
        shape = (self._ring, *x.shape)
        self._states = torch.empty(shape, dtype=x.dtype, device=x.device)
        self._states[:size] = y
        keeps = any(step.keeps for step in self._steps)
        self._kept = torch.empty(shape if keeps else (0,), dtype=x.dtype, device=x.device)

    @property
    def active(self) -> list[int]:
        """The images that are not at the end."""
        return [i for i, begin in enumerate(self.begins) if begin < len(self._steps)]

    def result(self) -> ParallelRun:
        """Return what the call returns: the last settled state of each image."""
        rows = [begin % self._ring for begin in self.begins]
        at = self._index(rows), self._index(range(len(rows)))
        x = self._states[at].to(self._asked)
        return ParallelRun(x, self._iterations.copy(), self._evaluations.copy())

    def iterate(self) -> None:
        """Ask about all windows at once, improve them, and slide those that have settled."""
        torch, total = self._torch, len(self._steps)
        ends = [min(begin + self._width, total) for begin in self.begins]
        groups: dict[int, list[int]] = {}
        for i in self.active:
            for k in range(self.begins[i], ends[i]):
                groups.setdefault(k, []).append(i)
        asked = [_Group(k, groups[k]) for k in sorted(groups)]
        states = [self._taken(self._states, group.k, group.images) for group in asked]
        predictions = self._predict(asked, states)
        # What each step would change, added up along each window.
        running = torch.empty_like(self._states[0])
        still = [
            self._improve(group, y, d, running)
            for group, y, d in zip(asked, states, predictions, strict=True)
        ]
        settled = self._settled(asked, still, ends)
        for i in self.active:
            begin, end = self.begins[i], ends[i]
            self._iterations[i] += 1
            self._evaluations[i] += end - begin
            self.begins[i] = begin + settled[i]
            # What enters the window is guessed to be like the last that was in it.
            for k in range(end + 1, min(self.begins[i] + self._width, total) + 1):
                self._states[k % self._ring, i] = self._states[end % self._ring, i]
        least = min(self.begins, default=total)
        if least < total:
            oldest = self._newest[least] - (self._plan._arrays["noises"] - 1)
            for number in [number for number in self._noises if number < oldest]:
                del self._noises[number]

    def _predict(self, asked: list[_Group], states: list[Any]) -> list[Any]:
        """Return what the denoiser says of all states, in one call."""
        torch = self._torch
        x = states[0] if len(states) == 1 else torch.cat(states)
        if self._width == 1:  # all images are at one level, as in the loop
            level: Any = self._steps[asked[0].k].level
        else:
            level = Levels([self._steps[group.k].level for group in asked for _ in group.images], x)
        d = _answer(self._denoiser(x.to(self._asked), level), x, torch)
        return list(d.split([len(group.images) for group in asked]))

    def _improve(self, group: _Group, y: Any, d: Any, running: Any) -> Any:
        """Make the states after an evaluation, and say which have hardly moved."""
        k, images = group
        step, view = self._steps[k], self._sums.view
        y_seen, d_seen = view(y), view(d)
        older = [view(self._taken(self._kept, k - lag, images)) for lag in step.row.lags]
        noises = [
            view(self._of(self._noise(self._newest[k] - back), images)) for back in step.row.backs
        ]
        kept = None
        if step.keeps:
            slot = self._torch.empty_like(y)
            kept = (*step.keeps, view(slot))
        made = self._sums.add(step.row, y_seen, d_seen, older, noises, kept)
        if kept is not None:
            self._put(self._kept, k, images, slot)
        # The first state of a window is settled, so that the one after it is exact.
        first = [self.begins[i] == k for i in images]
        if not all(first):
            change = made - y + self._of(running, images)
            made = self._torch.where(self._mask(first, y), made, change) if any(first) else change
        before = self._taken(self._states, k + 1, images)
        still = self._sums.within(made, before, self._limits[k + 1])
        self._put(self._states, k + 1, images, made)
        if len(images) == len(running):
            running.copy_(made)
        else:
            running[self._index(images)] = made
        return still

    def _settled(self, asked: list[_Group], still: list[Any], ends: list[int]) -> list[int]:
        """Return how many steps of each window hold: this waits for the device."""
        answers = iter(self._sums.answers(still))
        steps = [0] * len(ends)
        moves = [True] * len(ends)  # whether the last state that was looked at has moved
        for k, images in asked:
            for i in images:
                # The first step holds, and each that begins where the one before has ended.
                if k == self.begins[i] or not moves[i]:
                    steps[i] += 1
                    moves[i] = not next(answers)
                else:
                    next(answers)
        return steps

    def _noise(self, number: int) -> Any:
        """Return the noise of a number, drawn once."""
        if number not in self._noises:
            self._noises[number] = self._draw(number)  # type: ignore[misc]
        return self._noises[number]

    def _taken(self, ring: Any, k: int, images: list[int]) -> Any:
        return self._of(ring[k % self._ring], images)

    def _of(self, row: Any, images: list[int]) -> Any:
        return row.clone() if len(images) == len(row) else row.index_select(0, self._index(images))

    def _put(self, ring: Any, k: int, images: list[int], values: Any) -> None:
        row = ring[k % self._ring]
        if len(images) == len(row):
            row.copy_(values)
        else:
            row[self._index(images)] = values

    def _mask(self, values: list[bool], x: Any) -> Any:
        mask = to_device(np.array(values), x.device)
        return mask.reshape(-1, *(1,) * (x.ndim - 1))

    def _index(self, numbers: Sequence[int] | range) -> Any:
        return to_device(np.array(numbers, np.int64), self._states.device)


def _newest(plan: Plan, steps: list[Step]) -> list[int]:
    """Return the number of the newest noise in the row after each evaluation."""
    drawn = int(plan.row(0).draws)
    numbers = []
    for step in steps:
        drawn += step.fresh >= 0
        numbers.append(drawn - 1)
    return numbers


def _variances(plan: Plan) -> list[float]:
    """Return the variance of ancestral noise into each argument, or where it has none, before."""
    levels: list[Level] = [*plan.levels, plan.path[-1]]
    found = [levels[0].sigma ** 2]
    for before, after in pairwise(levels):
        ratio = 0.0
        if before.sigma and after.alpha:
            ratio = after.sigma * before.alpha / (after.alpha * before.sigma)
        variance = after.sigma**2 * (1 - ratio * ratio)
        found.append(variance if variance > 1e-12 * found[0] else found[-1])
    return found
