"""Transitions of Markov chains, as users describe them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of
from sortes._check import (
    FINITE,
    POSITIVE,
    UNIT,
    AtLeastOne,
    Count,
    Domain,
    Positive,
    count,
    flag,
    one_of,
    real,
    several,
    shown,
)
from sortes.mcmc._matrices import cholesky, factor_of, tril_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Method: TypeAlias = Literal["stepping_out", "doubling"]
Order: TypeAlias = Literal["systematic", "permuted", "random"]
Adapt: TypeAlias = Literal["center", "diag", "full"]

#: An end of the support.
_END: Final = Domain("[-inf, inf]")
_MOST_STEPS: Final = 2**53
_MOST_DOUBLINGS: Final = 1000
_MOST_SWEEPS: Final = 2**32 - 1
#: From so many coordinates on, they are also updated one by one.
_MANY: Final = 10


class Slice:
    """Slice sampling, coordinate by coordinate.

    Parameters
    ----------
    width : float or array_like, shape (d,), default 1.0
        The width of the first interval, of all coordinates or of each: about that of the law.
    max_steps : int, optional
        With stepping out, the most widths that an interval may have: no limit if None.
    method : {"stepping_out", "doubling"}
        How an interval grows: by its width at both ends, or to twice its size at one. Doubling is
        for widths that may be far too small.
    max_doublings : int, optional
        With doubling, how often at most: 10 if None.
    lower, upper : float or array_like, shape (d,)
        The ends of the support, if they are known. Nothing outside is evaluated.
    order : {"systematic", "permuted", "random"}
        Whether a transition updates all coordinates in order, all in an order that is drawn, or one
        that is drawn.
    tune : bool, default True
        Whether warm-up changes the widths of each chain, until intervals grow as often as they
        shrink.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or not used by the method.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The level is `logp(x) - e` with an exponential `e`, and a point is in the slice if its log
    density is strictly above: NaN never is, and plateaus need no care. 3 to 8 evaluations for a
    coordinate, with a fit width. Statistics: ``n_expand`` and ``n_shrink``, how often intervals
    grew and shrank.

    References
    ----------
    Neal, "Slice sampling", Annals of Statistics 31(3), 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Slice, sample
    >>> trace = sample(lambda x: -abs(x).sum(1), Slice(2.0), np.zeros(3), rng=0)
    >>> trace.draws.shape
    (4, 1000, 3)
    """

    def __init__(
        self,
        width: ArrayLike = 1.0,
        *,
        max_steps: AtLeastOne | None = None,
        method: Method = "stepping_out",
        max_doublings: AtLeastOne | None = None,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        order: Order = "systematic",
        tune: bool = True,
    ) -> None:
        self._width = numbers_of(width, "width", POSITIVE)
        self._method = one_of(method, "method", get_args(Method))
        if max_steps is not None:
            max_steps = count(max_steps, "max_steps", 1, _MOST_STEPS)
            if method == "doubling":
                raise ValueError("max_steps: must not be given with doubling")
        if max_doublings is not None:
            max_doublings = count(max_doublings, "max_doublings", 1, _MOST_DOUBLINGS)
            if method == "stepping_out":
                raise ValueError("max_doublings: must not be given with stepping out")
        self._max_steps = max_steps
        self._doublings = (max_doublings or 10) if method == "doubling" else None
        self._lower = numbers_of(lower, "lower", _END)
        self._upper = numbers_of(upper, "upper", _END)
        lows, highs = _paired(self._lower, self._upper)
        if not (lows < highs).all():
            at = int(np.argmin(lows < highs))
            raise ValueError(f"upper: must be above `lower`, which is {lows[at]}, got {highs[at]}")
        self._order = one_of(order, "order", get_args(Order))
        self._tune = flag(tune, "tune")

    def __repr__(self) -> str:
        return f"Slice({_text(self._width)}, method={self._method!r}, order={self._order!r})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        return _core.mcmc.engine.Kernel.coordinate(
            _spread(self._width, dim, "width"),
            _spread(self._lower, dim, "lower"),
            _spread(self._upper, dim, "upper"),
            self._max_steps,
            self._doublings,
            self._order,
            self._tune,
            limit,
        )

    def _fit(self, points: NDArray[np.float64]) -> Slice:
        """Return the kernel with widths for a law that points are of, if they may be changed."""
        rigid = self._max_steps == 1
        spread = _WIDE * points.std(axis=0)
        return self if rigid or not self._tune else _with(self, _width=_kept(spread, self._width))

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Refuse states out of bounds."""
        dim = init.shape[1]
        low, high = _spread(self._lower, dim, "lower"), _spread(self._upper, dim, "upper")
        fine = (init >= low) & (init <= high)
        if not fine.all():
            chain, i = (int(k) for k in np.argwhere(~fine)[0])
            within = f"[{low[i]}, {high[i]}]"
            raise ValueError(
                f"init: row {chain}: item {i} must be in {within}, got {init[chain, i]}"
            )


class HitAndRunSlice:
    r"""Slice sampling along a line in a direction that is drawn.

    Parameters
    ----------
    width : float, default 1.0
        The width of the first interval.
    max_steps : int, optional
        The most widths that an interval may have: no limit if None.
    scale_tril : array_like, shape (d, d), optional
        A lower triangular matrix that directions are multiplied by, with a positive diagonal:
        the Cholesky factor of a covariance.
    tune : bool, default True
        Whether warm-up changes the width of each chain.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The direction is uniform on the sphere; the rest is stepping out as in `Slice`. Statistics:
    ``n_expand`` and ``n_shrink``.

    References
    ----------
    MacKay, "Information theory, inference, and learning algorithms", Cambridge University Press
    2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import HitAndRunSlice, StandardNormal, sample
    >>> trace = sample(StandardNormal(5), HitAndRunSlice(), np.zeros(5), rng=0)
    >>> bool(abs(trace.draws.mean()) < 0.1)
    True
    """

    def __init__(
        self,
        width: Positive = 1.0,
        *,
        max_steps: AtLeastOne | None = None,
        scale_tril: ArrayLike | None = None,
        tune: bool = True,
    ) -> None:
        self._width = real(width, "width", POSITIVE)
        if max_steps is not None:
            max_steps = count(max_steps, "max_steps", 1, _MOST_STEPS)
        self._max_steps = max_steps
        self._tril = None if scale_tril is None else tril_of(scale_tril, "scale_tril")
        self._tune = flag(tune, "tune")

    def __repr__(self) -> str:
        return f"HitAndRunSlice({self._width})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        _fits(self._tril, dim, "scale_tril")
        return _core.mcmc.engine.Kernel.ray(
            self._width, self._tril, self._max_steps, self._tune, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> HitAndRunSlice:
        """Return the kernel with the factor and the width for a law that points are of."""
        if self._max_steps == 1 or not self._tune:
            return self
        if self._tril is None:
            return _with(self, _width=_WIDE, _tril=factor_of(points))
        whitened = np.linalg.solve(self._tril, (points - points.mean(axis=0)).T)
        return _with(self, _width=_kept(_WIDE * whitened.std(axis=1).mean(), self._width))

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""


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
        return f"EllipticalSlice({_text(self._mean)})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        _fits(self._tril, dim, self._given)
        mean = _spread(self._mean, dim, "prior_mean")
        sd = None if self._sd is None else _spread(self._sd, dim, "prior_var")
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
        _fits(self._tril, dim, self._given)
        mean = _spread(self._mean, dim, "prior_mean")[np.newaxis]
        if self._tril is not None:
            return _core.mcmc.targets.Target.mixture(np.ones(1), mean, self._tril, True)
        assert self._sd is not None
        sd = _spread(self._sd, dim, "prior_var")[np.newaxis]
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
        _fits(self._tril, dim, "cov")
        mean = _spread(self._mean, dim, "mean")
        sd = _spread(self._sd, dim, "scale")
        return _core.mcmc.engine.Kernel.elliptical(
            mean, sd, self._tril, self._df, self._tune, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> GeneralizedEllipticalSlice:
        """Return the kernel with location and spread of points."""
        if not self._tune:
            return self
        return _with(self, _mean=points.mean(axis=0), _tril=factor_of(points), _tune=False)

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
        _fits(self._tril, dim, "cov")
        mean = _spread(self._mean, dim, "mean")
        sd = _spread(self._sd, dim, "scale")
        sweeps = 0.05 * (dim >= _MANY) if self._sweeps is None else self._sweeps
        return _core.mcmc.engine.Kernel.adaptive(
            mean, sd, self._tril, self._df, self._fixed, sweeps, self._first, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> AdaptiveEllipticalSlice:
        """Refuse particles."""
        raise ValueError("kernel: must not be AdaptiveEllipticalSlice, which learns from a chain")

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""


class GibbsianPolarSlice:
    r"""Slice sampling in polar coordinates: the direction, then the radius.

    Parameters
    ----------
    width : float
        The width of the first interval of radii: about the spread of the radius.
    center : float or array_like, shape (d,), default 0.0
        Where the radius is zero: best in the middle of the law.
    scale_tril : array_like, shape (d, d), optional
        A lower triangular matrix `W` with a positive diagonal; the radius and the direction are
        those of `z` in `x = center + W z`.
    adapt : {"center", "diag", "full"}, optional
        What warm-up learns from the states of all chains, in place of `center` and `scale_tril`:
        their mean; also their standard deviations; or also a factor of their covariance. For laws
        with moments, far from the origin or of unequal scales.
    refresh_threshold : bool, default False
        Whether the radius gets a level of its own instead of that of the direction.
    fresh_direction : bool, default False
        Whether the first direction that is proposed is any of the sphere; the great circle follows
        where it is not taken. For laws that depend on the radius alone, of which it is always
        taken, this is polar slice sampling.
    tune : bool, default True
        Whether warm-up changes the width of each chain.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    For at least two coordinates. The slice is one of $r^{d-1} f$; the direction moves on a great
    circle that is drawn, the radius by stepping out. Heavy tails and funnels, whose scale changes
    with the place, are what it is for.

    With `adapt`, all chains wait for each other after 25, 50, 100, 200, ... transitions of the
    warm-up, and learn from the states since the last time; what they learn does not depend on
    threads. Covariances are shrunk to their diagonal, by n / (n + 5) for n states. The width is
    converted to the new scale, and tuned anew.

    Polar slice sampling draws radius and direction together from the slice. For laws without
    symmetry nobody knows how to do that exactly; any kernel here leaves them as they are, with
    `fresh_direction` or without.

    Statistics: ``n_direction``, ``n_stepout`` and ``n_radius``, the evaluations of each phase.

    References
    ----------
    Roberts and Rosenthal, "The polar slice sampler", Stochastic Models 18(2), 2002.

    Schär, Habeck and Rudolf, "Gibbsian polar slice sampling", ICML 2023, arXiv:2302.03945.

    Schär, Habeck and Rudolf, "Parallel affine transformation tuning of Markov chain Monte Carlo",
    ICML 2024, arXiv:2401.16567.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import GibbsianPolarSlice, StudentT, sample
    >>> kernel = GibbsianPolarSlice(100.0)
    >>> trace = sample(StudentT(100, df=1), kernel, np.ones(100), rng=0)
    >>> radius = np.linalg.norm(trace.draws, axis=2)
    >>> bool(11 < np.median(radius) < 19)  # 14.77
    True
    """

    def __init__(
        self,
        width: Positive,
        *,
        center: ArrayLike = 0.0,
        scale_tril: ArrayLike | None = None,
        adapt: Adapt | None = None,
        refresh_threshold: bool = False,
        fresh_direction: bool = False,
        tune: bool = True,
    ) -> None:
        self._width = real(width, "width", POSITIVE)
        self._adapt = None if adapt is None else one_of(adapt, "adapt", get_args(Adapt))
        if adapt in ("diag", "full") and scale_tril is not None:
            raise ValueError(f"scale_tril: must not be given with adapt={adapt!r}, which learns it")
        self._center = numbers_of(center, "center", FINITE)
        self._tril = None if scale_tril is None else tril_of(scale_tril, "scale_tril")
        self._refresh = flag(refresh_threshold, "refresh_threshold")
        self._fresh = flag(fresh_direction, "fresh_direction")
        self._tune = flag(tune, "tune")

    def __repr__(self) -> str:
        adapt = "" if self._adapt is None else f", adapt={self._adapt!r}"
        return f"GibbsianPolarSlice({self._width}, center={_text(self._center)}{adapt})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        _fits(self._tril, dim, "scale_tril")
        center = _spread(self._center, dim, "center")
        return _core.mcmc.engine.Kernel.polar(
            self._width,
            center,
            self._tril,
            self._adapt,
            self._refresh,
            self._fresh,
            self._tune,
            limit,
        )

    def _fit(self, points: NDArray[np.float64]) -> GibbsianPolarSlice:
        """Return the kernel with a width for the radii of points."""
        if not self._tune:
            return self
        moved: NDArray[Any] = points - self._center
        if self._tril is not None:
            moved = np.linalg.solve(self._tril, moved.T).T
        width = _kept(_WIDE * np.linalg.norm(moved, axis=1).std(), self._width)
        return _with(self, _width=width)

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Leave it to the native side, which knows the radius."""


class Mixture:
    r"""A kernel that is drawn for each transition.

    Parameters
    ----------
    kernels : sequence of (kernel, weight)
        The kernels and how often each is taken: weights are positive and need not sum to one. A
        kernel is any but the elliptical ones, a list of kernels, which take turns, or another
        `Mixture`.

    Raises
    ------
    ValueError
        If there are none, or a weight is not positive and finite.
    TypeError
        If an item is no pair of a kernel and a number.

    Notes
    -----
    A mixture of kernels that leave a law as it is leaves it as it is, and so does a list of them.
    Warm-up tunes those that are taken. Statistics: none but ``n_evals`` and ``stuck``.

    References
    ----------
    Tierney, "Markov chains for exploring posterior distributions", Annals of Statistics 22(4),
    1994.

    Examples
    --------
    >>> from sortes.mcmc import HitAndRunSlice, Mixture, Slice, sample
    >>> kernel = Mixture([(Slice(2.0), 1), (HitAndRunSlice(2.0), 3)])
    >>> def logp(x):
    ...     return -0.5 * (x**2).sum(axis=1)
    >>> trace = sample(logp, kernel, [0.0, 0.0, 0.0], rng=0)
    >>> bool(abs(trace.draws.std() - 1) < 0.05)
    True
    """

    def __init__(self, kernels: Sequence[tuple[AnyKernel, float]]) -> None:
        pairs = several(kernels, "kernels", "pairs of a kernel and a weight")
        self._parts: list[Single] = []
        weights = []
        for i, pair in enumerate(pairs):
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"kernels: item {i} must be a pair, got {shown(pair)}")
            self._parts.append(part_of(pair[0], f"kernels: item {i}"))
            weights.append(_weight(pair[1], i))
        if not pairs:
            raise ValueError("kernels: must hold a kernel, got none")
        shares = np.array(weights) / max(weights)
        self._chances: NDArray[np.float64] | None = shares / shares.sum()

    def __repr__(self) -> str:
        assert self._chances is not None
        pairs = zip(self._parts, self._chances, strict=True)
        return f"Mixture([{', '.join(f'({part!r}, {share:.3g})' for part, share in pairs)}])"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        parts = [part._native(dim, limit) for part in self._parts]
        return _core.mcmc.engine.Kernel.composite(parts, self._chances)

    def _fit(self, points: NDArray[np.float64]) -> Mixture:
        """Return the same of kernels that are fitted."""
        return _with(self, _parts=[part._fit(points) for part in self._parts])

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Refuse states that a part refuses."""
        for part in self._parts:
            part._check_init(init)


class InTurn(Mixture):
    """Kernels that take turns: what a list of them stands for."""

    def __init__(self, kernels: Sequence[AnyKernel], name: str) -> None:
        self._parts = [part_of(part, f"{name}: item {i}") for i, part in enumerate(kernels)]
        self._chances = None
        if not self._parts:
            raise ValueError(f"{name}: must hold a kernel, got none")

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self._parts))}]"


#: A kernel by itself.
Single: TypeAlias = (
    Slice
    | HitAndRunSlice
    | EllipticalSlice
    | GeneralizedEllipticalSlice
    | AdaptiveEllipticalSlice
    | GibbsianPolarSlice
    | Mixture
)
#: What `sample` takes: a kernel, or several that take turns.
AnyKernel: TypeAlias = Single | list["AnyKernel"]

#: The width of an interval for a law of standard deviation one.
_WIDE: Final = 2.5


def kernel_of(kernel: Any) -> Single:
    """Return a kernel as the engine takes it."""
    alone = isinstance(
        kernel,
        EllipticalSlice | GeneralizedEllipticalSlice | AdaptiveEllipticalSlice | GibbsianPolarSlice,
    )
    return kernel if alone else part_of(kernel, "kernel")


def part_of(kernel: Any, name: str) -> Single:
    """Return a kernel that others may stand beside."""
    if isinstance(kernel, list | tuple):
        return InTurn(kernel, name)
    if isinstance(kernel, EllipticalSlice):
        raise TypeError(f"{name}: must not be EllipticalSlice, which takes another density")
    if isinstance(kernel, GeneralizedEllipticalSlice | AdaptiveEllipticalSlice):
        raise TypeError(f"{name}: must not be {type(kernel).__name__}, which stands alone")
    if isinstance(kernel, GibbsianPolarSlice) and kernel._adapt is not None:
        raise ValueError(f"{name}: `adapt` must be None beside others, got {kernel._adapt!r}")
    if not isinstance(kernel, Slice | HitAndRunSlice | GibbsianPolarSlice | Mixture):
        raise TypeError(f"{name}: must be a kernel of sortes.mcmc, got {shown(kernel)}")
    return kernel


def _weight(value: Any, i: int) -> float:
    try:
        return real(value, "weight", POSITIVE)
    except (TypeError, ValueError) as error:
        text = str(error).removeprefix("weight: ")
        raise type(error)(f"kernels: item {i}: its weight {text}") from None


Some = TypeVar("Some", bound=Single)


def _with(kernel: Some, **changed: Any) -> Some:
    """Return a copy of a kernel of which some is changed."""
    other = copy.copy(kernel)
    vars(other).update(changed)
    return other


def _kept(wanted: Any, before: Any) -> Any:
    """Return positive finite numbers, those from before where others are none."""
    fine = (wanted > 0) & np.isfinite(wanted)
    return np.where(fine, wanted, before)[()]


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


def _spread(x: NDArray[np.float64], dim: int, name: str) -> NDArray[np.float64]:
    """Return a number for each coordinate."""
    if x.shape not in ((), (dim,)):
        raise ValueError(f"{name}: must be a number or have shape ({dim},), got {x.shape}")
    return np.array(np.broadcast_to(x, (dim,)))


def _paired(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both ends of all intervals."""
    size = max(low.size, high.size)
    if {low.size, high.size} - {1, size} or (low.ndim and high.ndim and low.size != high.size):
        raise ValueError(f"upper: must have the shape of `lower`, {low.shape}, got {high.shape}")
    return np.broadcast_to(low, (size,)), np.broadcast_to(high, (size,))


def _fits(tril: NDArray[np.float64] | None, dim: int, name: str) -> None:
    if tril is not None and tril.shape != (dim, dim):
        raise ValueError(f"{name}: must have shape ({dim}, {dim}), got {tril.shape}")


def _text(x: NDArray[np.float64]) -> str:
    return str(float(x)) if x.ndim == 0 else shown(x.tolist())
