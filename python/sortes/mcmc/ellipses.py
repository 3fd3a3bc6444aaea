"""Slices along ellipses: of a Gaussian prior, or of a Student distribution that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of
from sortes._check import (
    FINITE,
    POSITIVE,
    UNIT,
    Count,
    Positive,
    count,
    flag,
    real,
)
from sortes.mcmc._matrices import cholesky, factor_of, tril_of
from sortes.mcmc._settings import fits, spread, text, with_

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MOST_SWEEPS: Final = 2**32 - 1
#: From so many coordinates on, they are also updated one by one.
_MANY: Final = 10


class EllipticalSlice:
    r"""Elliptical slice sampling: for a Gaussian prior, given the log likelihood.

    Parameters
    ----------
    prior_mean : float or array_like, shape (d,), default 0.0
        The mean of the prior.
    prior_var : float or array_like, shape (d,), optional
        Its variances, where coordinates are independent. One of these three must be given.
    prior_cov : array_like, shape (d, d), optional
        Its covariance.
    prior_scale_tril : array_like, shape (d, d), optional
        The lower triangular Cholesky factor of its covariance.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a covariance not positive definite, or not one of the
        three given.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    `sample` takes the log *likelihood*, not the posterior; the law of the draws is proportional to
    $N(x; m, S) e^{\ell(x)}$, and ``trace.logp`` holds $\ell(x) + \log N(x; m, S)$. Each transition
    goes to a point of an ellipse through the state and a draw of the prior. There is no width.
    Statistics: ``n_shrink``, the proposals that were not taken.

    References
    ----------
    Murray, Adams and MacKay, "Elliptical slice sampling", AISTATS 2010, arXiv:1001.0175.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import EllipticalSlice, sample
    >>> kernel = EllipticalSlice(prior_var=4.0)
    >>> trace = sample(lambda x: -((x - 1) ** 2).sum(1), kernel, np.zeros(2), rng=0)
    >>> bool(abs(trace.draws.mean() - 8 / 9) < 0.1)
    True
    """

    def __init__(
        self,
        prior_mean: ArrayLike = 0.0,
        *,
        prior_var: ArrayLike | None = None,
        prior_cov: ArrayLike | None = None,
        prior_scale_tril: ArrayLike | None = None,
    ) -> None:
        self._mean = numbers_of(prior_mean, "prior_mean", FINITE)
        self._sd: NDArray[np.float64] | None = None
        self._tril: NDArray[np.float64] | None = None
        self._given = ""
        for name, x in (
            ("prior_var", prior_var),
            ("prior_cov", prior_cov),
            ("prior_scale_tril", prior_scale_tril),
        ):
            if x is None:
                continue
            if name == "prior_var":
                self._sd = np.sqrt(numbers_of(x, name, POSITIVE))
            else:
                self._tril = (cholesky if name == "prior_cov" else tril_of)(x, name)
            if self._given:
                raise ValueError(f"{name}: must not be given with `{self._given}`")
            self._given = name
        if not self._given:
            raise ValueError(
                "prior_var: one of `prior_var`, `prior_cov` and `prior_scale_tril` must be given"
            )

    def __repr__(self) -> str:
        return f"EllipticalSlice({text(self._mean)})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        fits(self._tril, dim, self._given)
        mean = spread(self._mean, dim, "prior_mean")
        sd = None if self._sd is None else spread(self._sd, dim, "prior_var")
        return _core.mcmc.engine.Kernel.elliptical(mean, sd, self._tril, None, False, limit)

    def _fit(self, points: NDArray[np.float64]) -> EllipticalSlice:
        """Return itself: there is no width."""
        return self

    def _dim(self) -> int | None:
        """Return how many coordinates the prior says that there are, if it does."""
        shapes = [x.shape for x in (self._mean, self._sd, self._tril) if x is not None]
        return next((shape[0] for shape in shapes if shape), None)

    def _prior(self, dim: int) -> _core.mcmc.targets.Target:
        """Return the prior as a density."""
        fits(self._tril, dim, self._given)
        mean = spread(self._mean, dim, "prior_mean")[np.newaxis]
        if self._tril is not None:
            return _core.mcmc.targets.Target.mixture(np.ones(1), mean, self._tril, True)
        assert self._sd is not None
        sd = spread(self._sd, dim, "prior_var")[np.newaxis]
        return _core.mcmc.targets.Target.mixture(np.ones(1), mean, sd, False)

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""


class GeneralizedEllipticalSlice:
    r"""Elliptical slice sampling of any density, by way of a Student distribution.

    Parameters
    ----------
    df : float, default 5.0
        The degrees of freedom of that: its tails should be no lighter than those of the density.
    mean : float or array_like, shape (d,), default 0.0
        Its location.
    scale : float or array_like, shape (d,), optional
        Its scales, where coordinates are independent: 1 unless a covariance is given.
    cov : array_like, shape (d, d), optional
        The covariance of the normal that it is a mixture of.
    tune : bool, default True
        Whether warm-up replaces location and spread by those of the states of each chain: at the
        ends of blocks of 25, 50, 100... transitions, of which the last that ends counts. With
        `smc`, they are those of the particles at each step.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a covariance not positive definite, or both spreads are
        given.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The density $f$ is Student's $t_\nu(x; m, S)$ times a rest, $f / t_\nu$. Student's distribution
    is a normal whose variance is drawn: given the state, $s$ has the law of an inverse gamma
    variable with shape $(d + \nu)/2$ and rate $(\nu + (x - m)^T S^{-1} (x - m))/2$, and an update
    of `EllipticalSlice` with the prior $N(m, s S)$ follows, for which the rest is the likelihood.
    `sample` takes the whole log density. For laws of about one mode; a spread that fits makes the
    cost all but independent of the dimension. Warm-up must be long enough to find it;
    `AdaptiveEllipticalSlice` goes on learning. Statistics: ``n_shrink``.

    References
    ----------
    Nishihara, Murray and Adams, "Parallel MCMC with generalized elliptical slice sampling", Journal
    of Machine Learning Research 15, 2014, arXiv:1210.7477.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import GeneralizedEllipticalSlice, sample
    >>> def logp(x):
    ...     return -np.abs(x - 3).sum(axis=1)
    >>> trace = sample(logp, GeneralizedEllipticalSlice(), np.zeros(4), rng=0)
    >>> bool(abs(trace.draws.mean() - 3) < 0.2)
    True
    """

    def __init__(
        self,
        df: Positive = 5.0,
        *,
        mean: ArrayLike = 0.0,
        scale: ArrayLike | None = None,
        cov: ArrayLike | None = None,
        tune: bool = True,
    ) -> None:
        self._df = real(df, "df", POSITIVE)
        self._mean, self._sd, self._tril = _student(mean, scale, cov)
        self._tune = flag(tune, "tune")

    def __repr__(self) -> str:
        return f"GeneralizedEllipticalSlice({self._df})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        fits(self._tril, dim, "cov")
        mean = spread(self._mean, dim, "mean")
        sd = spread(self._sd, dim, "scale")
        return _core.mcmc.engine.Kernel.elliptical(
            mean, sd, self._tril, self._df, self._tune, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> GeneralizedEllipticalSlice:
        """Return the kernel with location and spread of points."""
        if not self._tune:
            return self
        return with_(self, _mean=points.mean(axis=0), _tril=factor_of(points), _tune=False)

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""


class AdaptiveEllipticalSlice:
    r"""Generalised elliptical slice sampling that learns as long as it runs (AGESS).

    Parameters
    ----------
    df : float, default 6.0
        The degrees of freedom of the Student distribution that ellipses are of.
    mean : float or array_like, shape (d,), default 0.0
        Its location at first.
    scale : float or array_like, shape (d,), optional
        Its scales at first, where coordinates are independent: 1 unless a covariance is given.
    cov : array_like, shape (d, d), optional
        The covariance at first of the normal that it is a mixture of.
    fixed_share : float, default 0.05
        The share of transitions that keep to the first distribution, in [0, 1): they lead from mode
        to mode where that one is wide.
    sweep_share : float, optional
        The share of transitions that update all coordinates one by one, in [0, 1): 0.05 with 10
        coordinates or more, and otherwise 0, unless given. It must leave a share to the others.
    first_sweeps : int, default 0
        How many of these come before anything else. The authors' package makes them for a part of
        its burn-in; they cost `d` updates each.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a covariance not positive definite, or both spreads are
        given.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    A transition is that of `GeneralizedEllipticalSlice`, with the location $m$ and the covariance
    $S$ that the chain has learnt. State $n$ moves both by the weight
    $w_n = n^{-\max(2/3,\; 1 - d^{-1/3})}$:

    $$
    S \leftarrow (1 - w_n) S + w_n (x - m)(x - m)^T, \qquad m \leftarrow (1 - w_n) m + w_n x,
    $$

    and what is learnt is put in use after 1, 2, 4, 6, 8, 10, 12, 15, ... transitions, at
    intervals $\lfloor \sqrt k \rfloor$. A sweep takes the coordinates in an order that is drawn,
    each with a Student distribution of its own.

    Learning does not end with warm-up. No transition but the first leaves the law exactly as it is;
    the law of the states tends to that of the density as steps become smaller. Where that is not
    wanted, `GeneralizedEllipticalSlice` learns in warm-up alone. In return it needs no setting, and
    its cost in evaluations hardly grows with the dimension once it has learnt.
    Statistics: ``n_shrink``, the proposals that were not taken.

    References
    ----------
    Marco and Tokdar, "Adaptive generalized elliptical slice sampling", 2026, arXiv:2605.21659.

    Chimisov, Łatuszyński and Roberts, "Air Markov chain Monte Carlo", 2018, arXiv:1801.09309.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import AdaptiveEllipticalSlice, sample
    >>> def logp(x):  # a ridge of unit length around a sphere
    ...     radius = np.linalg.norm(x - 1, axis=1)
    ...     return radius - 0.5 * radius**2
    >>> kernel = AdaptiveEllipticalSlice()
    >>> trace = sample(logp, kernel, np.zeros(20), warmup=2000, rng=0)
    >>> bool(abs(trace.draws.mean() - 1) < 0.1)
    True
    """

    def __init__(
        self,
        df: Positive = 6.0,
        *,
        mean: ArrayLike = 0.0,
        scale: ArrayLike | None = None,
        cov: ArrayLike | None = None,
        fixed_share: Annotated[float, UNIT] = 0.05,
        sweep_share: Annotated[float, UNIT] | None = None,
        first_sweeps: Count = 0,
    ) -> None:
        self._df = real(df, "df", POSITIVE)
        self._mean, self._sd, self._tril = _student(mean, scale, cov)
        self._fixed = real(fixed_share, "fixed_share", UNIT)
        self._sweeps = None if sweep_share is None else real(sweep_share, "sweep_share", UNIT)
        if self._fixed + (self._sweeps or 0.0) >= 1:
            raise ValueError(
                f"sweep_share: must be below 1 with `fixed_share`, which is {self._fixed}, got "
                f"{self._sweeps}"
            )
        self._first = count(first_sweeps, "first_sweeps", 0, _MOST_SWEEPS)

    def __repr__(self) -> str:
        return f"AdaptiveEllipticalSlice({self._df})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        fits(self._tril, dim, "cov")
        mean = spread(self._mean, dim, "mean")
        sd = spread(self._sd, dim, "scale")
        sweeps = 0.05 * (dim >= _MANY) if self._sweeps is None else self._sweeps
        return _core.mcmc.engine.Kernel.adaptive(
            mean, sd, self._tril, self._df, self._fixed, sweeps, self._first, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> AdaptiveEllipticalSlice:
        """Refuse particles."""
        raise ValueError("kernel: must not be AdaptiveEllipticalSlice, which learns from a chain")

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""


def _student(
    mean: ArrayLike, scale: ArrayLike | None, cov: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return location, scales and factor of a Student distribution."""
    center = numbers_of(mean, "mean", FINITE)
    sd = numbers_of(1.0 if scale is None else scale, "scale", POSITIVE)
    tril = None if cov is None else cholesky(cov, "cov")
    if scale is not None and cov is not None:
        raise ValueError("cov: must not be given with `scale`")
    return center, sd, tril
