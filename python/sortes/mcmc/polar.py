"""Slices in polar coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import numbers_of
from sortes._check import (
    FINITE,
    POSITIVE,
    Positive,
    flag,
    one_of,
    real,
)
from sortes.mcmc._matrices import tril_of
from sortes.mcmc._settings import WIDE, fits, kept, spread, text, with_

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Adapt: TypeAlias = Literal["center", "diag", "full"]


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
        return f"GibbsianPolarSlice({self._width}, center={text(self._center)}{adapt})"

    def _native(self, dim: int, limit: int) -> _core.mcmc.engine.Kernel:
        fits(self._tril, dim, "scale_tril")
        center = spread(self._center, dim, "center")
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
        width = kept(WIDE * np.linalg.norm(moved, axis=1).std(), self._width)
        return with_(self, _width=width)

    def _check_init(self, init: NDArray[np.float64]) -> None:
        """Leave it to the native side, which knows the radius."""
