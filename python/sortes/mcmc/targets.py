"""Densities that are built in, which chains evaluate without a call to Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import (
    AT_LEAST_1,
    FINITE,
    POSITIVE,
    AtLeastOne,
    Domain,
    Positive,
    items,
    real,
    shown,
)
from sortes._progress import Progress, job_of
from sortes._rng import Rng, as_stream
from sortes.mcmc._matrices import cholesky

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: More coordinates than this are no point.
_MOST: Final = 2**31 - 1


class Target:
    """A density that is built in."""

    _target: _core.mcmc.targets.Target
    _dim: int
    #: The logarithm of the integral of the density; None where nobody knows it.
    log_z: float | None = 0.0

    def _options(self) -> dict[str, float]:
        """Return what it is made of, but for the number of coordinates."""
        return {}

    def __repr__(self) -> str:
        given = [str(self._dim), *(f"{name}={value}" for name, value in self._options().items())]
        return f"{type(self).__name__}({', '.join(given)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._dim, self._options())

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density of points.

        Parameters
        ----------
        x : array_like, shape (n, d)
            The points.

        Returns
        -------
        ndarray of float64, shape (n,)
            Their log densities.

        Raises
        ------
        ValueError
            If they have the wrong shape, or one is NaN.
        TypeError
            If they are no numbers.
        """
        points = host(x, "x")
        if points.ndim != 2 or points.shape[1] != self._dim:
            raise ValueError(f"x: must have shape (n, {self._dim}), got {points.shape}")
        items(~np.isnan(points), points, "x", "is not a number")
        return self._target.logp(np.require(points, np.float64, ("C", "A")), None)

    def sample(
        self,
        n: AtLeastOne,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> NDArray[np.float64]:
        """Draw from the law exactly, where that can be done.

        Parameters
        ----------
        n : int
            How many draws.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of float64, shape (n, d)
            Independent draws.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        TypeError
            If an argument has the wrong type, or the law has no exact sampler.

        Examples
        --------
        >>> from sortes.mcmc import StandardNormal
        >>> StandardNormal(2).sample(3, rng=0).shape
        (3, 2)
        """
        n = int(AT_LEAST_1.check(n, "n"))
        if not self._target.is_drawable():
            raise TypeError(f"n: {type(self).__name__} has no exact sampler")
        stream = as_stream(rng, step)
        with job_of(num_threads, progress, "draws") as job:
            return self._target.sample(n, stream, job).reshape(n, self._dim)


class StandardNormal(Target):
    """Independent standard normals.

    Parameters
    ----------
    dim : int
        How many.

    Raises
    ------
    ValueError, TypeError
        If `dim` is no positive integer.

    Examples
    --------
    >>> from sortes.mcmc import StandardNormal
    >>> StandardNormal(2)([[0.0, 0.0]]).round(3)
    array([-1.838])
    """

    def __init__(self, dim: AtLeastOne) -> None:
        self._dim = dim_of(dim)
        self._target = _core.mcmc.targets.Target.standard_normal(self._dim)


class Funnel(Target):
    r"""Neal's funnel: $x_0 \sim N(0, s^2)$, and given it $x_i \sim N(0, e^{x_0})$.

    Parameters
    ----------
    dim : int
        How many coordinates, at least 2.
    scale : float, default 3.0
        The standard deviation $s$ of the first.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain.

    References
    ----------
    Neal, "Slice sampling", Annals of Statistics 31(3), 2003.

    Examples
    --------
    >>> from sortes.mcmc import Funnel
    >>> Funnel(2)([[0.0, 0.0]]).round(3)
    array([-2.936])
    """

    def __init__(self, dim: AtLeastOne, *, scale: Positive = 3.0) -> None:
        self._dim = dim_of(dim)
        if self._dim < 2:
            raise ValueError(f"dim: must be at least 2, got {self._dim}")
        self._scale = real(scale, "scale", POSITIVE)
        self._target = _core.mcmc.targets.Target.funnel(self._dim, self._scale)

    def _options(self) -> dict[str, float]:
        return {"scale": self._scale}


class StudentT(Target):
    r"""Student's distribution in `d` dimensions, standard: heavy tails.

    Parameters
    ----------
    dim : int
        How many coordinates.
    df : float, default 1.0
        Degrees of freedom: Cauchy's distribution with one.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain.

    Notes
    -----
    The density is proportional to $(1 + |x|^2 / \nu)^{-(\nu + d) / 2}$, and normalised.

    Examples
    --------
    >>> from sortes.mcmc import StudentT
    >>> StudentT(1)([[0.0]]).round(3)  # -log(pi)
    array([-1.145])
    """

    def __init__(self, dim: AtLeastOne, *, df: Positive = 1.0) -> None:
        self._dim = dim_of(dim)
        self._df = df = real(df, "df", POSITIVE)
        half = 0.5 * self._dim
        try:
            constant = math.lgamma(0.5 * df + half) - math.lgamma(0.5 * df)
        except (OverflowError, ValueError):
            constant = math.nan
        constant -= half * (math.log(df) + math.log(math.pi))
        if not math.isfinite(constant):
            raise ValueError(f"df: must be in the range of the gamma function, got {shown(df)}")
        self._target = _core.mcmc.targets.Target.student_t(self._dim, df, constant)

    def _options(self) -> dict[str, float]:
        return {"df": self._df}


class Normal(Target):
    r"""A normal distribution in `d` dimensions.

    Parameters
    ----------
    mean : array_like, shape (d,)
        Its mean.
    scale : float or array_like, shape (d,), optional
        The standard deviations of independent coordinates: 1 unless a covariance is given.
    cov : array_like, shape (d, d), optional
        Its covariance.

    Raises
    ------
    ValueError
        If a number is out of its domain, a shape wrong, a covariance not positive definite, or
        both spreads are given.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Normal
    >>> Normal(np.zeros(2), scale=3.0)([[0.0, 0.0]]).round(3)
    array([-4.035])
    """

    def __init__(
        self, mean: ArrayLike, *, scale: ArrayLike | None = None, cov: ArrayLike | None = None
    ) -> None:
        center = _matrix(mean, "mean", "(d,)", 1, FINITE)[np.newaxis]
        spread, lower = _scales(scale, cov, center.shape)
        self._given = {"scale": spread[0]} if not lower else {"cov": cov}
        self._mean = center[0]
        self._dim = center.shape[1]
        self._target = _core.mcmc.targets.Target.mixture(np.ones(1), center, spread, lower)

    def __repr__(self) -> str:
        return f"Normal({shown(self._mean.tolist())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._mean, self._given)


class GaussianMixture(Target):
    r"""A mixture of normals: $\sum_k w_k N(x; m_k, S_k)$.

    Parameters
    ----------
    means : array_like, shape (k, d)
        The means.
    weights : array_like, shape (k,), optional
        The weights, which need not sum to one: equal unless given.
    scale : float or array_like, shape (k,) or (k, d), optional
        Standard deviations of independent coordinates, for all normals, each of them, or each of
        their coordinates: 1 unless covariances are given.
    cov : array_like, shape (d, d) or (k, d, d), optional
        The covariance of all normals, or of each.

    Raises
    ------
    ValueError
        If a number is out of its domain, a shape wrong, a covariance not positive definite, or
        both spreads are given.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    Two modes that are ten standard deviations apart:

    >>> from sortes.mcmc import GaussianMixture
    >>> target = GaussianMixture([[-5.0, 0.0], [5.0, 0.0]], weights=[1, 3])
    >>> target([[5.0, 0.0]]).round(3)
    array([-2.126])
    >>> bool(abs((target.sample(10_000, rng=0)[:, 0] > 0).mean() - 0.75) < 0.02)
    True
    """

    def __init__(
        self,
        means: ArrayLike,
        *,
        weights: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        cov: ArrayLike | None = None,
    ) -> None:
        centers = _matrix(means, "means", "(k, d)", 2, FINITE)
        k, self._dim = centers.shape
        shares = np.ones(k)
        if weights is not None:
            shares = _matrix(weights, "weights", "(k,)", 1, POSITIVE)
            if shares.shape != (k,):
                raise ValueError(f"weights: must have shape ({k},), got {shares.shape}")
        shares = shares / shares.max()
        shares /= shares.sum()
        spreads, lower = _scales(scale, cov, centers.shape)
        self._means = centers
        self._given = {"weights": shares, **({"cov": cov} if lower else {"scale": spreads})}
        self._target = _core.mcmc.targets.Target.mixture(shares, centers, spreads, lower)

    def __repr__(self) -> str:
        return f"GaussianMixture({len(self._means)} normals, {self._dim} coordinates)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._means, self._given)


class ManyWell(Target):
    r"""Pairs of coordinates with two wells each: $2^{d/2}$ modes.

    Parameters
    ----------
    dim : int, default 32
        How many coordinates: an even number.

    Raises
    ------
    ValueError, TypeError
        If `dim` is no positive even integer.

    Notes
    -----
    The log density is $\sum_i -x_{2i}^4 + 6 x_{2i}^2 + x_{2i}/2 - x_{2i+1}^2/2$. It is not
    normalised: ``log_z`` is 164.69567 for 32 coordinates.

    References
    ----------
    Sendera et al., "Improved off-policy training of diffusion samplers", NeurIPS 2024,
    arXiv:2402.05098.

    Examples
    --------
    >>> from sortes.mcmc import ManyWell
    >>> target = ManyWell(32)
    >>> round(target.log_z, 5)
    164.69568
    >>> target.sample(2, rng=0).shape
    (2, 32)
    """

    #: The logarithm of the integral of a pair, `11784.50927 sqrt(2 pi)`, by quadrature.
    _PAIR = 20.586959414147735 / 2

    def __init__(self, dim: AtLeastOne = 32) -> None:
        self._dim = dim_of(dim)
        if self._dim % 2:
            raise ValueError(f"dim: must be even, got {self._dim}")
        self.log_z = self._dim // 2 * self._PAIR
        self._target = _core.mcmc.targets.Target.many_well(self._dim)


class HyperplaneDisk(Target):
    r"""A normal that is thin across one hyperplane: proportional to $e^{-|x|^2 - (\sum_i x_i)^2}$.

    Parameters
    ----------
    dim : int
        How many coordinates.

    Raises
    ------
    ValueError, TypeError
        If `dim` is no positive integer.

    Notes
    -----
    Its mean is zero, and its covariance $(I - 1 1^T / (1 + d)) / 2$.

    References
    ----------
    Schär, Habeck and Rudolf, "Gibbsian polar slice sampling", ICML 2023, arXiv:2302.03945.

    Examples
    --------
    >>> from sortes.mcmc import HyperplaneDisk
    >>> HyperplaneDisk(2)([[0.0, 0.0]]).round(3)  # log(3) / 2 - log(pi)
    array([-0.595])
    """

    def __init__(self, dim: AtLeastOne) -> None:
        self._dim = dim_of(dim)
        self._target = _core.mcmc.targets.Target.hyperplane_disk(self._dim)


class AxialModes(Target):
    r"""Two modes on each axis: proportional to $\max_i |x_i|^4 \, e^{-\sum_i |x_i|}$.

    Parameters
    ----------
    dim : int
        How many coordinates.

    Raises
    ------
    ValueError, TypeError
        If `dim` is no positive integer.

    Notes
    -----
    The largest modulus has a density proportional to $t^4 e^{-t} (1 - e^{-t})^{d-1}$, on an axis
    and a side that are uniform.

    References
    ----------
    Schär, Habeck and Rudolf, "Gibbsian polar slice sampling", ICML 2023, arXiv:2302.03945.

    Examples
    --------
    >>> from sortes.mcmc import AxialModes
    >>> AxialModes(1)([[1.0]]).round(3)  # -1 - log(48)
    array([-4.871])
    """

    def __init__(self, dim: AtLeastOne) -> None:
        self._dim = dim_of(dim)
        self._target = _core.mcmc.targets.Target.axial_modes(self._dim)


class LogisticRegression(Target):
    r"""The posterior of logistic regression: likelihood times a normal prior.

    Parameters
    ----------
    X : array_like, shape (n, d)
        The design; a constant is a column of ones.
    y : array_like, shape (n,)
        The responses, zero or one.
    prior_scale : float, default 1.0
        The standard deviation of the independent normal prior of each coefficient.

    Raises
    ------
    ValueError
        If a number is out of its domain, or a shape wrong.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The log density at coefficients $b$ is
    $\sum_i y_i x_i b - \ln(1 + e^{x_i b}) + \log N(b; 0, s^2 I)$. Its integral, the evidence, is
    unknown: ``log_z`` is None, and there are no exact draws.

    Examples
    --------
    >>> from sortes.mcmc import LogisticRegression
    >>> target = LogisticRegression([[1.0], [2.0]], [1, 0])
    >>> target([[0.0]]).round(3)  # 2 log(1/2) - log(2 pi) / 2
    array([-2.305])
    """

    log_z = None

    def __init__(self, X: ArrayLike, y: ArrayLike, *, prior_scale: Positive = 1.0) -> None:
        design = _matrix(X, "X", "(n, d)", 2, FINITE)
        responses = host(y, "y")
        if responses.shape != (len(design),):
            raise ValueError(f"y: must have shape ({len(design)},), got {responses.shape}")
        items((responses == 0) | (responses == 1), responses, "y", "must be 0 or 1")
        self._dim = design.shape[1]
        self._X, self._y = design, responses.astype(bool)
        self._scale = real(prior_scale, "prior_scale", POSITIVE)
        columns = np.ascontiguousarray(design.T * np.where(self._y, 1.0, -1.0))
        self._target = _core.mcmc.targets.Target.logistic(columns, self._scale)

    def __repr__(self) -> str:
        n, dim = self._X.shape
        return f"LogisticRegression({n} rows, {dim} columns, prior_scale={self._scale})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _regression, (self._X, self._y, self._scale)


def _made(cls: Any, dim: int, options: dict[str, float]) -> Any:
    return cls(dim, **options)


def _regression(X: Any, y: Any, prior_scale: float) -> LogisticRegression:
    return LogisticRegression(X, y, prior_scale=prior_scale)


def _matrix(x: Any, name: str, shape: str, ndim: int, domain: Domain) -> NDArray[np.float64]:
    """Return numbers of a domain, in so many dimensions."""
    array = host(x, name)
    if array.ndim != ndim or not array.size:
        raise ValueError(f"{name}: must have shape {shape}, got {array.shape}")
    array = np.array(array, np.float64, order="C")
    domain.check_items(array, name)
    return array


def _scales(scale: Any, cov: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], bool]:
    """Return standard deviations, a row for each normal, or Cholesky factors one after another."""
    k, dim = shape
    sd = None if scale is None else _deviations(scale, shape)
    factors = None
    if cov is not None:
        covs = host(cov, "cov")
        if covs.shape not in ((dim, dim), (k, dim, dim)):
            wanted = f"({dim}, {dim})" + (f" or ({k}, {dim}, {dim})" if k > 1 else "")
            raise ValueError(f"cov: must have shape {wanted}, got {covs.shape}")
        each = np.broadcast_to(covs, (k, dim, dim))
        factors = np.concatenate([cholesky(one, "cov") for one in each])
    if factors is None:
        return (np.ones(shape) if sd is None else sd), False
    if sd is not None:
        raise ValueError("cov: must not be given with `scale`")
    return factors, True


def _deviations(scale: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return standard deviations, a row for each normal."""
    k, dim = shape
    sd = np.asarray(host(scale, "scale"), np.float64)
    POSITIVE.check_items(sd, "scale")
    if sd.ndim == 1 and k > 1:
        sd = sd[:, np.newaxis]
    try:
        return np.array(np.broadcast_to(sd, shape), order="C")
    except ValueError:
        wanted = f"({k},) or {shape}" if k > 1 else f"({dim},)"
        raise ValueError(
            f"scale: must be a number or have shape {wanted}, got {np.shape(scale)}"
        ) from None


def dim_of(dim: Any, name: str = "dim") -> int:
    """Return how many coordinates there are to be."""
    number = int(AT_LEAST_1.check(dim, name))
    if number > _MOST:
        raise ValueError(f"{name}: must be below 2**31, got {number}")
    return number
