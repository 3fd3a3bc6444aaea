"""How far samples are from a law, or from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import numpy as np

from sortes import _core
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Domain, Positive, shown
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of, reporter
from sortes._rng import Rng, as_stream
from sortes.diffusion._states import (
    host_doubles,
    is_tensor,
    like,
    namespace,
    round_keys,
    state_of,
    working,
)
from sortes.diffusion.mixtures import GaussianMixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import ArrayLike, NDArray

_ORDER: Final = Domain("[1, inf)")
#: The order of a distance.
Order: TypeAlias = Annotated[float, _ORDER]
#: How many numbers are held at once.
_HELD: Final = 1 << 22


def mmd2_to_gmm(
    x: ArrayLike | torch.Tensor,
    gmm: GaussianMixture,
    *,
    bandwidth: Positive = 1.0,
    progress: Progress = None,
) -> float:
    r"""Estimate the squared maximum mean discrepancy of samples from a mixture, without bias.

    Parameters
    ----------
    x : array_like or tensor, shape (n, *shape of a datum)
        At least two independent samples.
    gmm : GaussianMixture
        The law that they should have.
    bandwidth : float, default 1.0
        The scale $\ell$ of the kernel $k(x, y) = \exp(-\|x - y\|^2 / (2 \ell^2))$.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float
        The estimate: 0 on average if the law is right, so half of the time negative.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or a shape is wrong.
    TypeError
        If something has a wrong type.

    Notes
    -----
    $\frac{1}{n (n - 1)} \sum_{i \ne j} k(x_i, x_j) - \frac{2}{n} \sum_i E k(x_i, Y)
    + E k(Y, Y')$, of which the expectations over the mixture are in closed form. $O(n^2)$, on the
    device of a tensor, which is waited for.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", JMLR 13, 2012.

    Examples
    --------
    >>> from sortes.diffusion import GaussianMixture, mmd2_to_gmm
    >>> mixture = GaussianMixture([1, 2], [[0.0, 0.0], [3.0, 1.0]], 0.5)
    >>> x = mixture.sample(1000, rng=0)
    >>> bool(abs(mmd2_to_gmm(x, mixture)) < 0.003)
    True
    >>> mmd2_to_gmm(x + 0.5, mixture) > 0.03
    True
    """
    _check_mixture(gmm)
    scale = POSITIVE.check(bandwidth, "bandwidth")
    rows = _rows(x, gmm.shape, least=2)
    n, d = rows.shape
    xp = namespace(rows)
    total = 0.0
    with reporter(progress, "mmd2") as report:
        for some in _blocks(n, n * d):
            # Differences, not products: a small distance keeps its digits.
            squares = ((rows[some, None] - rows) ** 2).sum(-1)
            total += float(xp.exp(squares / (-2 * scale * scale)).sum())
            if report is not None:
                report(some.stop, n)
    within = (total - n) / (n * (n - 1))
    variance = scale * scale + gmm.sd**2
    heights = like(gmm.w * (scale * scale / variance) ** (d / 2), rows)
    mu = like(gmm.mu.reshape(-1, d), rows)
    squares = xp.stack([((rows - m) ** 2).sum(-1) for m in mu], -1)
    across = float((xp.exp(squares / (-2 * like(variance, rows))) @ heights).mean())
    pairs = scale * scale + gmm.sd[:, None] ** 2 + gmm.sd**2
    means = gmm.mu.reshape(-1, d)
    apart = ((means[:, None] - means) ** 2).sum(-1)
    own = gmm.w @ ((scale * scale / pairs) ** (d / 2) * np.exp(apart / (-2 * pairs))) @ gmm.w
    found: float = within - 2 * across + float(own)
    return found


def w1_to_gmm_1d(
    x: ArrayLike | torch.Tensor,
    gmm: GaussianMixture,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> float:
    r"""Return the Wasserstein distance of order 1 between numbers and a mixture, exactly.

    Parameters
    ----------
    x : array_like or tensor, shape (n,) or (n, 1)
        The numbers.
    gmm : GaussianMixture
        A law of numbers.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float
        $\int |F_n - F|$, of the empirical distribution function and that of the mixture.

    Raises
    ------
    ValueError
        If there are no numbers, one is not finite, or the mixture is not one of numbers.
    TypeError
        If something has a wrong type.

    Notes
    -----
    Sorts, then integrates between neighbours in closed form, with a root where the functions cross.
    On the CPU: a device is waited for.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import GaussianMixture, w1_to_gmm_1d
    >>> normal = GaussianMixture([1.0], [0.0], 1.0)
    >>> round(w1_to_gmm_1d(np.zeros(1), normal), 6)  # the mean absolute value
    0.797885
    """
    _check_mixture(gmm)
    if int(np.prod(gmm.shape, dtype=np.int64)) != 1:
        raise ValueError(f"gmm: must be a mixture of numbers, got data of shape {gmm.shape}")
    rows = state_of(x, lists=True)
    points = host_doubles(_rows(rows, () if rows.ndim == 1 else gmm.shape), "x").ravel()
    _check_finite(points, "x")
    with job_of(num_threads, progress, "numbers") as job:
        return _to_line(points, gmm, job)


def sliced_wasserstein(
    x: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor | GaussianMixture,
    *,
    num_projections: AtLeastOne = 128,
    p: Order = 1.0,
    rng: Rng = None,
    step: int = 0,
    progress: Progress = None,
) -> Estimate:
    r"""Estimate the sliced Wasserstein distance between samples, or of samples from a mixture.

    Parameters
    ----------
    x : array_like or tensor, shape (n, ...)
        Samples.
    y : array_like or tensor, shape (m, ...), or GaussianMixture
        Other samples, or the law that `x` should have.
    num_projections : int, default 128
        How many directions are drawn.
    p : float, default 1.0
        The order of the distance; 1 for a mixture.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see
        `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    Estimate
        $(E W_p^p)^{1/p}$ over directions, and its standard error with respect to these.

    Raises
    ------
    ValueError
        If there are no samples, one of the CPU is not finite, shapes differ, or `p` is not 1 for a
        mixture.
    TypeError
        If something has a wrong type, or one is an array and the other a tensor.

    Notes
    -----
    Each distance on a line is exact, for any two sizes: samples by sorting, on the device of a
    tensor; a mixture, whose projection is one as well, by `w1_to_gmm_1d`. The result waits for the
    device.

    References
    ----------
    Bonneel, Rabin, Peyré and Pfister, "Sliced and Radon Wasserstein barycenters of measures",
    Journal of Mathematical Imaging and Vision 51, 2015.

    Examples
    --------
    >>> from sortes.diffusion import GaussianMixture, sliced_wasserstein
    >>> mixture = GaussianMixture([1, 2], [[0.0, 0.0], [3.0, 1.0]], 0.5)
    >>> x = mixture.sample(5000, rng=0)
    >>> sliced_wasserstein(x, mixture, rng=1).value < 0.05
    True
    >>> found = sliced_wasserstein(x, x + [2.0, 0.0], p=2.0, rng=1)
    >>> bool(abs(found.value - 2**0.5) < 5 * found.stderr)
    True
    """
    k, order = AT_LEAST_1.check(num_projections, "num_projections"), _ORDER.check(p, "p")
    rows = _rows(x, y.shape if isinstance(y, GaussianMixture) else None)
    d = rows.shape[1]
    other: Any
    if isinstance(y, GaussianMixture):
        if order != 1:
            raise ValueError(f"p: must be 1 for a mixture, got {p}")
        other = None
    else:
        if is_tensor(x) != is_tensor(y):
            kind = "a tensor, as x is" if is_tensor(x) else "an array, as x is"
            raise TypeError(f"y: must be {kind}, got {type(y).__name__}")
        other = _rows(y, name="y")
        if is_tensor(other):
            other = other.to(rows)
        if other.shape[1] != d:
            if _ndim(x) > _ndim(y):
                raise ValueError(f"x: must hold {other.shape[1]} numbers a row, as y, got {d}")
            raise ValueError(f"y: must hold {d} numbers a row, as x, got {other.shape[1]}")
    keys = round_keys(as_stream(rng, step), k)
    directions = _core.diffusion.noise.normals(
        "direction", keys, np.arange(k, dtype=np.uint64), 0, d, None
    ).reshape(k, d)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    powers = np.empty(k)
    with reporter(progress, "directions") as report:
        if other is None:
            assert isinstance(y, GaussianMixture)
            points = host_doubles(rows, "x")
            for i, towards in enumerate(directions):
                law = y.project(towards.reshape(y.shape))
                powers[i] = _to_line(points @ towards, law, None)
                if report is not None:
                    report(i + 1, k)
        else:
            pairing = _Pairing(len(rows), len(other), rows)
            for some in _blocks(k, len(rows) + len(other)):
                towards = like(directions[some].T, rows)
                found = pairing.distances(rows @ towards, other @ towards, order)
                powers[some] = host_doubles(found, "x")
                if report is not None:
                    report(some.stop, k)
    mean = float(powers.mean())
    spread = float(powers.std(ddof=1)) / k**0.5 if k > 1 else float("nan")
    value = mean ** (1 / order)
    # The error of a root, to first order.
    return Estimate(value, spread * value / (order * mean) if mean > 0 else spread)


class _Pairing:
    """Which of two sorted samples meet, and how much mass each of these pairs carries."""

    def __init__(self, n: int, m: int, x: Any) -> None:
        self.same = n == m
        if self.same:
            return
        # The cells between i / n and j / m, counted in n m parts.
        ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
        starts = np.concatenate([[0], ends[:-1]])
        self.left, self.right = starts // m, starts // n
        self.mass = like((ends - starts) / (n * m), x)

    def distances(self, x: Any, y: Any, p: float) -> Any:
        """Return the p-th powers of the distances between columns."""
        xp = namespace(x)
        x, y = _sorted(x), _sorted(y)
        if self.same:
            return (xp.abs(x - y) ** p).mean(0)
        return self.mass @ xp.abs(x[self.left] - y[self.right]) ** p


def _ndim(x: Any) -> int:
    return int(x.ndim) if is_tensor(x) else np.ndim(x)


def _sorted(x: Any) -> Any:
    return x.sort(0).values if is_tensor(x) else np.sort(x, axis=0)


def _to_line(points: NDArray[np.float64], law: GaussianMixture, job: Any) -> float:
    return _core.diffusion.mixture.wasserstein_1(
        np.sort(points), law.w, np.ravel(law.mu), law.sd, job
    )


def _rows(x: Any, event: tuple[int, ...] | None = None, *, name: str = "x", least: int = 1) -> Any:
    """Return samples, a row each; those on the CPU must be finite."""
    state = state_of(x, name, lists=True)
    if event is None:
        event = tuple(state.shape[1:])
    if state.ndim != 1 + len(event) or tuple(state.shape[1:]) != event:
        wanted = ", ".join(["n", *map(str, event)])
        raise ValueError(f"{name}: must have shape ({wanted}), got {shown(tuple(state.shape))}")
    if len(state) < least:
        raise ValueError(f"{name}: must hold at least {least} samples, got {len(state)}")
    if not is_tensor(state):
        _check_finite(state, name)
    return working(state).reshape(len(state), -1)


def _check_finite(x: NDArray[Any], name: str) -> None:
    fine = np.isfinite(x)
    if not fine.all():
        at = int(fine.reshape(len(x), -1).all(1).argmin())
        raise ValueError(f"{name}: row {at} is not finite")


def _check_mixture(gmm: object) -> None:
    if not isinstance(gmm, GaussianMixture):
        raise TypeError(f"gmm: must be a GaussianMixture, got {shown(gmm)}")


def _blocks(n: int, each: int) -> Iterator[slice]:
    """Cut `n` rows into parts of which each is small enough to be held."""
    size = max(1, _HELD // max(1, each))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
