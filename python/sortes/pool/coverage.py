"""How many problems are solved with more samples: fits of coverage, and what they predict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, vector_of
from sortes._check import PROBABILITY, Domain, one_of
from sortes._progress import Progress, job_of
from sortes.pool._shapes import SAMPLES, estimates_of, ks_of, shaped

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._estimate import Estimate, Estimates
    from sortes.pool._shapes import Values

Space = Literal["coverage", "loglog"]
Boundary = Literal["failed", "solved", "all or nothing", "equal"]

#: Steps of a fit, more than any should need, and when one ends.
_STEPS: Final = 200
_STILL: Final = 1e-12
_POSITIVE_COUNT: Final = Domain("[1, 2**53]", integer=True)


@dataclass(frozen=True, eq=False)
class CoverageFit:
    """A power law of the logarithm of coverage, from `coverage_fit`.

    Attributes
    ----------
    a : float
        The logarithm of the coverage of one sample: below 0.
    b : float
        The exponent: below 0 where coverage grows.
    residual : float
        The root mean square of what the fit misses, in coverage.
    """

    a: float
    b: float
    residual: float

    def predict(self, k: ArrayLike) -> Values:
        """Predict the coverage of other numbers of samples.

        Parameters
        ----------
        k : int or array_like of int, shape (K,)
            How many samples of each problem, in [1, 2**53].

        Returns
        -------
        float or ndarray of float64, shape () or (K,)
            ``exp(a * k**b)``.

        Raises
        ------
        ValueError
            If `k` is out of range.
        TypeError
            If `k` does not hold integers.

        Examples
        --------
        >>> from sortes.pool import coverage_fit
        >>> round(coverage_fit([1, 10, 100], [0.2, 0.4, 0.6]).predict(10_000), 3)
        0.85
        """
        ks, shape = ks_of(k, _POSITIVE_COUNT)
        return shaped(np.exp(self.a * ks.astype(np.float64) ** self.b), shape)


def coverage_fit(k: ArrayLike, coverage: ArrayLike, *, space: Space = "coverage") -> CoverageFit:
    r"""Fit a power law to the share of problems that some of `k` samples solve.

    Parameters
    ----------
    k : array_like of int, shape (K,)
        Numbers of samples, in [1, 2**53].
    coverage : array_like, shape (K,)
        The share of problems solved with so many samples, such as the mean of `pass_at_k`.
    space : {"coverage", "loglog"}, default "coverage"
        Where squares of what the fit misses are summed: in coverage, or in
        $\ln(-\ln \text{coverage})$, where the fit is a line.

    Returns
    -------
    CoverageFit
        The fit, which predicts coverage for other `k`.

    Raises
    ------
    ValueError
        If a `k` or a coverage is out of range, the lengths differ, or fewer than two different `k`
        have a coverage strictly between 0 and 1.
    TypeError
        If `k` does not hold integers, or `coverage` numbers.

    See Also
    --------
    beta_binomial_fit : From counts, with standard errors; better far beyond the samples.

    Notes
    -----
    $\text{coverage}(k) \approx e^{a k^b}$ with negative $a$ and $b$ (Brown and others 2024). The
    line through the points with a coverage strictly between 0 and 1 is the start; Gauss-Newton
    steps then fit all points.

    The points of one set of samples are far from independent, so no standard error is given. Beyond
    the largest `k` a power law is a guess: check it by fitting the smaller half of your `k`.

    References
    ----------
    Brown, Juravsky, Ehrlich, Clark, Le, Ré and Mirhoseini, "Large language monkeys: scaling
    inference compute with repeated sampling", 2024, arXiv:2407.21787.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.pool import coverage_fit
    >>> k = np.array([1, 2, 4, 8, 16])
    >>> fit = coverage_fit(k, np.exp(-1.2 * k**-0.4))
    >>> round(fit.a, 6), round(fit.b, 6)
    (-1.2, -0.4)
    """
    one_of(space, "space", get_args(Space))
    x = integers_of(k, "k", _POSITIVE_COUNT).astype(np.float64)
    y = vector_of(coverage, "coverage", double=True)
    if y.shape != x.shape:
        raise ValueError(f"coverage: must have shape {x.shape}, as k, got {y.shape}")
    PROBABILITY.check_items(y, "coverage")
    inside = (y > 0) & (y < 1)
    if np.unique(x[inside]).size < 2:
        raise ValueError("coverage: must lie strictly between 0 and 1 at two different k")
    log_k = np.log(x)
    slope, level = np.polyfit(log_k[inside], np.log(-np.log(y[inside])), 1)
    theta = np.array([level, slope])  # of ln(-a) and b
    if space == "coverage":
        theta = _gauss_newton(theta, log_k, y)
    missed = np.sqrt(np.mean((_curve(theta, log_k) - y) ** 2))
    return CoverageFit(-math.exp(theta[0]), float(theta[1]), float(missed))


def _curve(theta: NDArray[np.float64], log_k: NDArray[np.float64]) -> NDArray[np.float64]:
    curve: NDArray[np.float64] = np.exp(-np.exp(np.minimum(theta[0] + theta[1] * log_k, 700.0)))
    return curve


def _gauss_newton(
    theta: NDArray[np.float64], log_k: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Minimise the squares of what a fit misses, in steps that are damped until they help."""
    missed = y - _curve(theta, log_k)
    damping = 1e-3
    for _ in range(_STEPS):
        curve = _curve(theta, log_k)
        # Where coverage is nearly 0 its logarithm is large, and the product still small.
        slope = curve * np.log(np.maximum(curve, 1e-300))
        jacobian = np.stack([slope, slope * log_k], 1)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ missed
        step = np.linalg.lstsq(
            normal + damping * np.diag(normal.diagonal() + 1e-300), gradient, rcond=None
        )[0]
        fresh = y - _curve(theta + step, log_k)
        if fresh @ fresh <= missed @ missed:
            theta, missed, damping = theta + step, fresh, damping / 10
            if np.abs(step).max() < _STILL:
                break
        elif damping > 1e9:
            break
        else:
            damping *= 10
    return theta


@dataclass(frozen=True, eq=False)
class BetaBinomialFit:
    r"""A beta law of the difficulty of problems, from `beta_binomial_fit`.

    Attributes
    ----------
    alpha, beta : float
        The parameters: a problem is solved by a sample with probability $p$, whose density over
        problems is in proportion to $p^{\alpha-1} (1-p)^{\beta-1}$. At a boundary 0 or infinite.
    mean : float
        The mean of the law: pass@1.
    log_likelihood : float
        The logarithm of the likelihood, without the binomial coefficients.
    covariance : ndarray of float64, shape (2, 2)
        The covariance of the estimates of $\ln \alpha$ and $\ln \beta$, from the curvature of the
        likelihood. NaN at a boundary.
    boundary : {"failed", "solved", "all or nothing", "equal"}, optional
        None if the likelihood has a largest value at finite parameters. Otherwise where it grows
        to: no sample is right; every one is; each problem has only right or only wrong ones; the
        problems differ no more than one probability for all explains.
    """

    alpha: float
    beta: float
    mean: float
    log_likelihood: float
    covariance: NDArray[np.float64]
    boundary: Boundary | None

    def predict(self, k: ArrayLike) -> Estimate | Estimates:
        r"""Predict pass@k of problems of the same population.

        Parameters
        ----------
        k : int or array_like of int, shape (K,)
            How many samples of each problem, in [0, 2**53].

        Returns
        -------
        Estimate or Estimates, shape () or (K,)
            $1 - B(\alpha, \beta + k) / B(\alpha, \beta)$, and its standard error by the delta
            method (NaN at a boundary).

        Raises
        ------
        ValueError
            If `k` is out of range.
        TypeError
            If `k` does not hold integers.

        Notes
        -----
        Failure decays as $\Gamma(\alpha + \beta) / \Gamma(\beta) \, k^{-\alpha}$. The standard
        error says how well the data fix the law, not whether difficulty has a beta law.

        Examples
        --------
        >>> from sortes.pool import beta_binomial_fit
        >>> fit = beta_binomial_fit(10, [0, 0, 1, 2, 7])
        >>> value, stderr = fit.predict(100)
        >>> round(value, 3), round(stderr, 3)
        (0.835, 0.204)
        """
        ks, shape = ks_of(k, SAMPLES)
        counts = ks.astype(np.float64)
        if self.boundary is None:
            ((va, vab), (_, vb)) = self.covariance.tolist()
            with job_of(None, None) as job:
                value, stderr = _core.pool.coverage.predict(
                    self.alpha, self.beta, [va, vab, vb], counts, job
                )
        else:
            tried = np.minimum(counts, 1.0) if self.boundary == "all or nothing" else counts
            failed = 0.0 if self.mean == 1 else math.log1p(-self.mean)
            value = -np.expm1(tried * failed) if self.mean < 1 else np.minimum(counts, 1.0)
            stderr = np.full(value.shape, np.nan)
        return estimates_of(value, stderr, shape)


def beta_binomial_fit(n: ArrayLike, c: ArrayLike, *, progress: Progress = None) -> BetaBinomialFit:
    r"""Fit a beta law to the difficulty of problems, from counts of right samples.

    Parameters
    ----------
    n : int or array_like of int, shape (P,)
        How many samples of each problem there are, at most 2**53; at least one problem has two.
    c : array_like of int, shape (P,)
        How many of them are right.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    BetaBinomialFit
        The fit, which predicts pass@k.

    Raises
    ------
    ValueError
        If `c` exceeds `n`, a count is negative, no problem has two samples, or the lengths differ.
    TypeError
        If `n` or `c` does not hold integers.

    Notes
    -----
    The largest value of $\sum_i \ln B(c_i + \alpha, n_i - c_i + \beta) - \ln B(\alpha, \beta)$, by
    Newton steps in $\ln \alpha$ and $\ln \beta$ (Schaeffer and others 2025). The count of a problem
    enters once, whatever the number of problems with the same.

    References
    ----------
    Schaeffer, Kazdan, Hughes, Juravsky, Price, Lynch, Jones, Kirk, Mirhoseini and Koyejo, "How do
    large language monkeys get their power (laws)?", ICML 2025, arXiv:2502.17578.

    Examples
    --------
    >>> from sortes.pool import beta_binomial_fit
    >>> fit = beta_binomial_fit(10, [0, 0, 1, 2, 7])
    >>> round(fit.alpha, 3), round(fit.beta, 3), fit.boundary
    (0.422, 1.697, None)
    """
    right = integers_of(c, "c")
    samples = integers_of(n, "n", n=right.size)
    with job_of(None, progress, "problems") as job:
        alpha, beta, mean, log_likelihood, (va, vab, vb), optimum = _core.pool.coverage.fit(
            samples, right, job
        )
    boundary = None if optimum == "inside" else optimum
    covariance = np.array([[va, vab], [vab, vb]])
    return BetaBinomialFit(alpha, beta, mean, log_likelihood, covariance, boundary)
