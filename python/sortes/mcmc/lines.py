"""Slices along lines: those of the axes, and of directions that are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of
from sortes._check import (
    POSITIVE,
    AtLeastOne,
    Domain,
    Positive,
    count,
    flag,
    one_of,
    real,
)
from sortes.mcmc._matrices import factor_of, tril_of
from sortes.mcmc._settings import WIDE, fits, kept, paired, spread, text, with_

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Method: TypeAlias = Literal["stepping_out", "doubling"]
Order: TypeAlias = Literal["systematic", "permuted", "random"]

#: An end of the support.
_END: Final = Domain("[-inf, inf]")
_MOST_STEPS: Final = 2**53
_MOST_DOUBLINGS: Final = 1000


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
        lows, highs = paired(self._lower, self._upper)
        if not (lows < highs).all():
            at = int(np.argmin(lows < highs))
            raise ValueError(f"upper: must be above `lower`, which is {lows[at]}, got {highs[at]}")
        self._order = one_of(order, "order", get_args(Order))
        self._tune = flag(tune, "tune")

    def __repr__(self) -> str:
        return f"Slice({text(self._width)}, method={self._method!r}, order={self._order!r})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        return _core.mcmc.engine.Kernel.coordinate(
            spread(self._width, dim, "width"),
            spread(self._lower, dim, "lower"),
            spread(self._upper, dim, "upper"),
            self._max_steps,
            self._doublings,
            self._order,
            self._tune,
            limit,
        )

    def _fit(self, points: NDArray[np.float64]) -> Slice:
        """Return the kernel with widths for a law that points are of, if they may be changed."""
        rigid = self._max_steps == 1
        spread = WIDE * points.std(axis=0)
        return self if rigid or not self._tune else with_(self, _width=kept(spread, self._width))

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Refuse states out of bounds."""
        dim = init.shape[1]
        low, high = spread(self._lower, dim, "lower"), spread(self._upper, dim, "upper")
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
        fits(self._tril, dim, "scale_tril")
        return _core.mcmc.engine.Kernel.ray(
            self._width, self._tril, self._max_steps, self._tune, limit
        )

    def _fit(self, points: NDArray[np.float64]) -> HitAndRunSlice:
        """Return the kernel with the factor and the width for a law that points are of."""
        if self._max_steps == 1 or not self._tune:
            return self
        if self._tril is None:
            return with_(self, _width=WIDE, _tril=factor_of(points))
        whitened = np.linalg.solve(self._tril, (points - points.mean(axis=0)).T)
        return with_(self, _width=kept(WIDE * whitened.std(axis=1).mean(), self._width))

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Accept any state."""
