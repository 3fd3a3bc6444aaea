"""Which levels of a fine path to visit, by dynamic programmes."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import AT_LEAST_1, AtLeastOne, Domain, count, flag, shown
from sortes._device import memory_errors
from sortes._optional import require
from sortes._progress import Progress, job_of, reporter
from sortes._rng import Rng, as_stream
from sortes.diffusion._states import doubled, products
from sortes.diffusion.loop import _answer, check_state
from sortes.diffusion.noise import ImageNoise
from sortes.diffusion.path import Denoise, Path

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import ArrayLike, NDArray

_POINTS: Final = Domain("[1, 8]", integer=True)
#: How many numbers of a batch are multiplied at once.
_CHUNK: Final = 1 << 14


class ChosenLevels(NamedTuple):
    """Which levels of a fine path to visit.

    Attributes
    ----------
    indices : ndarray of int64, shape (k + 1,)
        The levels, increasing, the first and the last among them: ``path.take(indices)``.
    cost : float
        What they cost.
    """

    indices: NDArray[np.int64]
    cost: float


def shortest_k_path(
    cost: ArrayLike,
    k: AtLeastOne,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> ChosenLevels | None:
    r"""Find the cheapest way from the first level to the last in exactly `k` steps.

    Parameters
    ----------
    cost : array_like, shape (M, M)
        Item (i, j) is the cost of a step from level i to a later level j; infinite if it is
        forbidden. Items on the diagonal and below say nothing.
    k : int
        How many steps, at least 1.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ChosenLevels or None
        The levels and the sum of their costs; None if there is no way in `k` steps.

    Raises
    ------
    ValueError
        If the table is not square, is empty, or holds NaN or minus infinity, or `k` is below 1.
    TypeError
        If something is no number.

    Notes
    -----
    Globally optimal, since costs add up: $O(k M^2)$. Of ways that cost the same, that with the
    smallest predecessors.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import shortest_k_path
    >>> i = np.arange(5.0)
    >>> found = shortest_k_path((i - i[:, None]) ** 2, 2)
    >>> found.indices, found.cost
    (array([0, 2, 4]), 8.0)
    """
    table = np.ascontiguousarray(host(cost, "cost"), np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise ValueError(f"cost: must have shape (M, M), got {table.shape}")
    steps = AT_LEAST_1.check(k, "k")
    with job_of(num_threads, progress, "steps") as job:
        # More steps than levels have no way, whatever they cost.
        found = _core.diffusion.fitting.shortest(table, min(steps, len(table)), job)
    return None if found is None else ChosenLevels(*found)


def ays_cost(
    denoiser: Denoise,
    x0: torch.Tensor,
    path: Path,
    *,
    points: Annotated[int, _POINTS] = 2,
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Estimate what each step of a path costs by the objective of Align Your Steps.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x0 : Tensor of floats, shape (B, ...)
        Data.
    path : Path
        The levels to choose from; the last must have some noise, the first some signal.
    points : int, default 2
        At how many levels between two neighbours the integrand is known, 1 to 8.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations.

    Returns
    -------
    ndarray of float64, shape (N + 1, N + 1)
        Item (i, j) for i < j; infinite elsewhere, where no step leads. For `shortest_k_path`.

    Raises
    ------
    ValueError
        If there are no data, an end of the path has no noise or no signal, or a prediction is not
        finite.
    TypeError
        If something has a wrong type.

    See Also
    --------
    shortest_k_path : Finds the best levels for these costs.

    Notes
    -----
    With $\rho$ the ratio of noise to signal, a step from level i to j costs
    $\int_{\rho_j}^{\rho_i} \rho^{-3} E |D(x_\rho) - D(x_{\rho_i})|^2 d\rho$: the divergence of what
    a solver of first order with noise makes from the data, as far as it is this step's. The
    states are those of one Wiener process for each datum; integrals are by Gauss and Legendre in
    $\log \rho$ between neighbours. Each datum is evaluated ``N * (points + 1) + 1`` times, and the
    predictions at all levels of the path are held.

    References
    ----------
    Sabour, Fidler and Kreis, "Align your steps: optimizing sampling schedules in diffusion
    models", ICML 2024, arXiv:2404.14507.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path
    >>> from sortes.diffusion import ays_cost, shortest_k_path
    >>> law = GaussianMixture([1.0], [0.0], 0.5)
    >>> path = Path.ve(np.geomspace(20, 0.05, 25))
    >>> x0 = torch.tensor(law.sample(500, rng=0))
    >>> cost = ays_cost(law.denoise, x0, path, rng=0)
    >>> levels = path.take(shortest_k_path(cost, 4).indices)
    >>> levels.n_steps
    4
    """
    torch = require("torch", "torch")
    if not callable(denoiser):
        raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
    check_state(x0, torch, "x0")
    _check_path(path)
    inner = _POINTS.check(points, "points")
    if not x0.shape[0] or not x0.numel():
        raise ValueError(f"x0: must hold at least one datum, got shape {tuple(x0.shape)}")
    if not np.isfinite(path.lam).all():
        raise ValueError("path: must have signal and noise at both ends")
    clean = x0.detach().to(torch.float32) if x0.dtype.itemsize < 4 else x0.detach()
    # A child: with the same seed, `sample` adds other noise.
    draw: Callable[[int], Any] = ImageNoise(clean, rng=as_stream(rng, step).split(1)[0]).draw
    # Nodes between neighbours, the cleanest first, and their weights in log rho.
    nodes, weights = np.polynomial.legendre.leggauss(inner)
    lam = path.lam
    n = path.n_steps
    table = np.full((n + 1, n + 1), np.inf)
    parts = np.zeros((n + 1, n))
    memory = memory_errors("x0: there is no memory for the predictions of its levels")
    with memory, torch.no_grad(), reporter(progress, "evaluations") as report:
        total, done = n * (inner + 1) + 1, 0
        # The noise of all, by its variance in units of the signal: from clean to noisy it grows, so
        # that what the noisiest level saw must be known first: the process runs backwards.
        times = [float(np.exp(-2 * lam[0]))]
        for i in range(n):
            middle, half = (lam[i] + lam[i + 1]) / 2, (lam[i + 1] - lam[i]) / 2
            times += [float(np.exp(-2 * (middle + half * node))) for node in nodes]
            times.append(float(np.exp(-2 * lam[i + 1])))
        wiener = draw(0) * math.sqrt(times[0])
        now = times[0]

        def predicted(value: float) -> Any:
            nonlocal done
            level = path.at_lambda(value)
            x = (clean + wiener) * level.alpha
            d = _answer(denoiser(x.to(x0.dtype), level), clean, torch)
            done += 1
            if report is not None:
                report(done, total)
            return doubled(d.reshape(-1))

        first = predicted(float(lam[0]))
        held = torch.empty((n + 1, len(first)), dtype=first.dtype, device=first.device)
        held[0] = first
        number = 1
        for i in range(n):
            middle, half = (lam[i] + lam[i + 1]) / 2, (lam[i + 1] - lam[i]) / 2
            for at, (node, weight) in enumerate([*zip(nodes, weights, strict=True), (1.0, 0.0)]):
                value = middle + half * node if at < inner else float(lam[i + 1])
                then = times[number]
                # The bridge from the present to 0 at time 0.
                wiener = wiener * (then / now) + draw(number) * math.sqrt(then * (now - then) / now)
                now = then
                number += 1
                d = predicted(float(value))
                if at == inner:
                    held[i + 1] = d
                    continue
                # rho^-3 drho = exp(2 lam) dlam
                far = (held[: i + 1] - d).square().sum(1) / len(clean)
                parts[: i + 1, i] += far.cpu().numpy() * (weight * half * math.exp(2 * value))
    if not np.isfinite(parts).all():
        raise ValueError("denoiser: returned numbers that are not finite")
    for i in range(n):
        table[i, i + 1 :] = np.cumsum(parts[i, i:])
    return table


def optimal_stepsize(
    denoiser: Denoise,
    x: torch.Tensor,
    path: Path,
    k: AtLeastOne,
    *,
    beam: AtLeastOne = 1,
    at_most: bool = False,
    polish: bool = False,
    progress: Progress = None,
) -> ChosenLevels:
    r"""Find levels whose steps of first order end near those of all levels, by dynamic programming.

    Parameters
    ----------
    denoiser : callable
        The prediction of the data, as `sample` calls it.
    x : Tensor of floats, shape (B, ...)
        States at the first level.
    path : Path
        The fine path of N steps, to choose from.
    k : int
        How many steps, in [1, N].
    beam : int, default 1
        How many states are kept at each level.
    at_most : bool, default False
        Whether fewer steps may be taken where they end nearer.
    polish : bool, default False
        Whether single levels are moved afterwards, as long as that helps.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts evaluations.

    Returns
    -------
    ChosenLevels
        The levels; their cost is the mean square of the distance from where all levels lead.

    Raises
    ------
    ValueError
        If `k` is out of its range, there are no states, or a prediction is not finite.
    TypeError
        If something has a wrong type.

    Notes
    -----
    Round after round, every level keeps the states that are nearest to the fine solver's there, and
    the next round steps from them. It is greedy at each level, since a state goes on and not its
    cost alone: more `beam` comes nearer to the best levels, at as many times the evaluations, of
    which there are about $N + N (k - 1)$ of the whole batch for one. Distances follow from products
    of states and predictions, which are summed in float64. The states of two rounds are held.

    References
    ----------
    Pei, Hu and Gu, "Optimal stepsize for diffusion sampling", 2025, arXiv:2503.21774.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import GaussianMixture, Path
    >>> from sortes.diffusion import optimal_stepsize
    >>> law = GaussianMixture([0.3, 0.7], [-1.2, 0.9], 0.4)
    >>> path = Path.flow(np.linspace(1, 0, 13))
    >>> x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    >>> found = optimal_stepsize(law.denoise, x, path, 3)
    >>> len(found.indices), found.cost < 0.1
    (4, True)
    """
    torch = require("torch", "torch")
    if not callable(denoiser):
        raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
    check_state(x, torch)
    _check_path(path)
    steps = count(k, "k", 1, path.n_steps)
    width = AT_LEAST_1.check(beam, "beam")
    fewer, moves = flag(at_most, "at_most"), flag(polish, "polish")
    if not x.numel():
        raise ValueError(f"x: must hold at least one state, got shape {tuple(x.shape)}")
    memory = memory_errors("x: there is no memory for its states at all levels")
    with memory, torch.no_grad(), reporter(progress, "evaluations") as report:
        search = _Stepsizes(denoiser, x, path, report, torch)
        levels = search.levels(steps, width, fewer=fewer)
        cost = search.cost(levels)
        if moves:
            levels, cost = search.moved(levels, cost)
    return ChosenLevels(np.array(levels, np.int64), cost)


class _Stepsizes:
    """The programme: a fine solver's states, and those that longer steps make."""

    def __init__(self, denoiser: Any, x: Any, path: Path, report: Any, torch: Any) -> None:
        self._denoiser, self._path, self._report, self._torch = denoiser, path, report, torch
        self._asked = x.dtype
        self._done = 0
        n = path.n_steps
        state = x.detach().to(torch.float32) if x.dtype.itemsize < 4 else x.detach()
        self._fine = [state]
        self._seen: dict[tuple[int, ...], Any] = {}
        for i in range(n):
            d = self._data(self._fine[i], i)
            if not i:
                self._seen[(0,)] = (state, d)
            self._fine.append(self._step(self._fine[i], d, i, i + 1))

    def _data(self, x: Any, i: int) -> Any:
        d = self._denoiser(x.to(self._asked), self._path[i])
        self._done += 1
        if self._report is not None:
            self._report(self._done, 0)
        return _answer(d, x, self._torch)

    def _step(self, x: Any, d: Any, i: int, j: int) -> Any:
        a, s = self._path.alpha, self._path.sigma
        c = float(s[j] / s[i])
        return (x * c).add_(d, alpha=float(a[j] - a[i] * c))

    def levels(self, k: int, beam: int, *, fewer: bool) -> list[int]:
        """Return the levels of the best state at the end."""
        n = self._path.n_steps
        x = self._fine[0]
        # A state is known by the levels that led to it.
        states: list[tuple[tuple[int, ...], Any]] = [((0,), x)]
        best: tuple[float, tuple[int, ...]] = (math.inf, ())
        for round_ in range(1, k + 1):
            # The last round ends at the last level; before it there are levels for the rest.
            states = [s for s in states if s[0][-1] <= (n - 1 if fewer else n - 1 - (k - round_))]
            predictions = [
                self._seen[ways][1] if ways in self._seen else self._data(x, ways[-1])
                for ways, x in states
            ]
            chosen = self._round(states, predictions, beam)
            after = []
            for start, to, cost in zip(*chosen, strict=True):
                ways, x = states[start]
                if to == n:
                    if (fewer or round_ == k) and cost < best[0]:
                        best = (cost, (*ways, n))
                    continue
                if round_ == k:
                    continue
                after.append(((*ways, to), self._step(x, predictions[start], ways[-1], to)))
            states = after
        return list(best[1])

    def _round(self, states: list[Any], predictions: list[Any], beam: int) -> Any:
        """Return the best steps to each level from all states: from which, to which."""
        torch, path = self._torch, self._path
        # The products: own, of the fine solver's states, and with these of states and predictions.
        own: Any = 0.0
        squares: Any = 0.0
        x_fine: Any = 0.0
        d_fine: Any = 0.0
        xs = [x.reshape(-1) for _, x in states]
        ds = [d.reshape(-1) for d in predictions]
        fine = [t.reshape(-1) for t in self._fine]
        for start in range(0, fine[0].numel(), _CHUNK):
            part = slice(start, start + _CHUNK)
            x = doubled(torch.stack([x[part] for x in xs]))
            d = doubled(torch.stack([d[part] for d in ds]))
            ends = doubled(torch.stack([t[part] for t in fine]))
            own = own + torch.stack([(x * x).sum(1), (x * d).sum(1), (d * d).sum(1)], 1)
            squares = squares + ends.square().sum(1)
            x_fine = x_fine + products(x, ends)
            d_fine = d_fine + products(d, ends)
        tables = [t.cpu().numpy().ravel() for t in (own, x_fine, d_fine, squares)]
        found = _core.diffusion.fitting.stepsize_round(
            (path.kind, path.alpha, path.sigma),
            [ways[-1] for ways, _ in states],
            tables[0],
            (tables[1], tables[2], tables[3]),
            beam,
            None,
        )
        return [part.tolist() for part in found]

    def cost(self, levels: list[int]) -> float:
        """Return the mean square of the distance from the fine solver's end."""
        x, d = self._seen[(0,)]
        for i, j in itertools.pairwise(levels):
            x = self._step(x, d if i == 0 else self._data(x, i), i, j)
        return float((doubled(x) - doubled(self._fine[-1])).square().mean())

    def moved(self, levels: list[int], cost: float) -> tuple[list[int], float]:
        """Move single levels to neighbours as long as that helps."""
        helps = True
        while helps:
            helps = False
            for at in range(1, len(levels) - 1):
                for by in (-1, 1):
                    place = levels[at] + by
                    if not levels[at - 1] < place < levels[at + 1]:
                        continue
                    other = [*levels[:at], place, *levels[at + 1 :]]
                    if (now := self.cost(other)) < cost:
                        levels, cost, helps = other, now, True
        return levels, cost


def _check_path(path: Any) -> None:
    if not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
