"""The noise levels of a sampling run, from the noisiest to the cleanest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    final,
    get_args,
)

import numpy as np

from sortes._arrays import host, integers_of, vector_of
from sortes._check import Domain, integer, items, one_of, real, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: How signal and noise are scaled: their squares add up to 1, the signal stays as it is, or they
#: add up to 1.
Kind: TypeAlias = Literal["vp", "ve", "flow"]
#: A factor of times, which must be positive.
TimeScale: TypeAlias = Annotated[float, Domain("(0, inf)")]
#: A logarithm of signal to noise; NaN is none.
Lambda: TypeAlias = Annotated[float, Domain("[-inf, inf]")]

#: How far a level may be from what its kind says: what float32 loses.
_SLACK: Final = 1e-5
_POSITIVE: Final = Domain("(0, inf)")
_ANY_LAMBDA: Final = Domain("[-inf, inf]")


class Level(NamedTuple):
    """A noise level: a state there is ``alpha * data + sigma * noise``.

    What a denoiser is asked about. Its numbers live on the host, so that no device is waited for.

    Attributes
    ----------
    alpha : float
        The factor of the data, at least 0.
    sigma : float
        The factor of the standard normal noise, at least 0.
    t : float
        The time that the network is fed.
    """

    alpha: float
    sigma: float
    t: float

    @property
    def lam(self) -> float:
        """The logarithm of alpha / sigma; infinite where one of them is zero."""
        return float(_lam(np.float64(self.alpha), np.float64(self.sigma)))

    @property
    def ratio(self) -> float:
        """What k-diffusion calls sigma: sigma / alpha; infinite for pure noise."""
        return self.sigma / self.alpha if self.alpha else float("inf")


def level_of(level: Any, name: str = "level") -> Level:
    """Return a level that is one.

    Examples
    --------
    >>> level_of((1.0, 2.0, 3.0))
    Traceback (most recent call last):
    TypeError: level: must be a Level, got (1.0, 2.0, 3.0)
    """
    if not isinstance(level, Level):
        raise TypeError(f"{name}: must be a Level, got {shown(level)}")
    alpha, sigma = (_number(part, name) for part in level[:2])
    if not (0 <= alpha < np.inf and 0 <= sigma < np.inf and alpha + sigma > 0):
        raise ValueError(
            f"{name}: alpha and sigma must be in [0, inf), one of them positive, got {level}"
        )
    return level


def _number(part: Any, name: str) -> float:
    return part if type(part) is float else real(part, name)


#: A denoiser, what samplers call: any function of a state and its level that predicts the data, in
#: the shape of the state.
Denoise: TypeAlias = Callable[[Any, Level], Any]


@final
class Path:
    r"""Noise levels from the noisiest to the cleanest; a sampler steps from each to the next.

    At level $i$ a state is $\alpha_i x_0 + \sigma_i \varepsilon$. ``path[i]`` is a `Level`.

    Parameters
    ----------
    alpha : array_like, shape (N + 1,)
        The factors of the data. The first may be 0: pure noise.
    sigma : array_like, shape (N + 1,)
        The factors of the noise. The last may be 0: clean data.
    t : array_like, shape (N + 1,), optional
        The times that the network is fed; `sigma` without them.
    kind : {"vp", "ve", "flow"}
        What alpha and sigma have in common: $\alpha^2 + \sigma^2 = 1$, $\alpha = 1$, or
        $\alpha + \sigma = 1$.
    clock : tuple of two array_like, shape (M,), optional
        Which time belongs to a level between those of the path: nodes ``(lam, t)``, `lam`
        increasing, between which times are linear in `lam`, that is, in the logarithm of sigma /
        alpha. Without it, the levels of the path are the nodes; and without `t`, the time is sigma
        everywhere.

    Raises
    ------
    ValueError
        If there are fewer than two levels, if a level is noisier than the one before or equal to
        it, or if one does not fit the kind.
    TypeError
        If something is no number.

    Notes
    -----
    The arrays are float64 and cannot be written.

    Examples
    --------
    >>> from sortes.diffusion import Path
    >>> path = Path.ve([10.0, 1.0, 0.0])
    >>> path.n_steps, path[0]
    (2, Level(alpha=1.0, sigma=10.0, t=10.0))
    """

    __slots__ = ("_alpha", "_clock", "_kind", "_lam", "_ratio", "_sigma", "_t")

    def __init__(
        self,
        alpha: ArrayLike,
        sigma: ArrayLike,
        t: ArrayLike | None = None,
        *,
        kind: Kind,
        clock: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        self._kind = one_of(kind, "kind", get_args(Kind))
        a, s = _levels(alpha, "alpha"), _levels(sigma, "sigma")
        _same_length(s, "sigma", a)
        _check_kind(a, s, kind)
        self._alpha, self._sigma = a, s
        self._lam = _increasing(a, s)
        with np.errstate(divide="ignore"):
            self._ratio = s / a
        self._t = s if t is None else _times(t, "t", a)
        self._clock = self._clock_of(clock, timed=t is not None)
        for array in (a, s, self._lam, self._ratio, self._t):
            array.setflags(write=False)

    @classmethod
    def ve(cls, sigmas: ArrayLike, t: ArrayLike | None = None) -> Path:
        """Make a path on which noise is added to data that keep their scale: EDM, k-diffusion.

        Parameters
        ----------
        sigmas : array_like, shape (N + 1,)
            The standard deviations of the noise, decreasing; the last may be 0.
        t : array_like, shape (N + 1,), optional
            The times that the network is fed; `sigmas` without them.

        Returns
        -------
        Path
            The path, of kind ``"ve"``.

        Raises
        ------
        ValueError
            If the sigmas do not decrease, or as `Path`.
        TypeError
            As `Path`.

        Examples
        --------
        >>> from sortes.diffusion import Path
        >>> Path.ve([80.0, 2.0, 0.0]).alpha
        array([1., 1., 1.])
        """
        s = _descending(sigmas, "sigmas")
        return cls(np.ones(len(s)), s, t, kind="ve")

    @classmethod
    def vp(
        cls,
        sigmas: ArrayLike,
        t: ArrayLike | None = None,
        *,
        alphas_cumprod: ArrayLike | None = None,
    ) -> Path:
        r"""Make a path of constant variance through given ratios of noise to signal.

        Parameters
        ----------
        sigmas : array_like, shape (N + 1,)
            The ratios $\sigma / \alpha$, decreasing: what k-diffusion and ComfyUI call sigmas. The
            first may be infinite, the last 0.
        t : array_like, shape (N + 1,), optional
            The times that the network is fed.
        alphas_cumprod : array_like, shape (T,), optional
            The squares of alpha at the T times with which a network was trained, decreasing. They
            give the times: $t$ is linear in $\log(\sigma / \alpha)$ between two of them, and stays
            within 0 and T - 1. Without them and `t`, the time is sigma.

        Returns
        -------
        Path
            The path, of kind ``"vp"``.

        Raises
        ------
        ValueError
            If the sigmas do not decrease, if times and `alphas_cumprod` are both given, or as
            `Path`.
        TypeError
            As `Path`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import Path
        >>> trained = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
        >>> path = Path.vp([10.0, 1.0, 0.0], alphas_cumprod=trained)
        >>> path.t.round(1)
        array([673.7, 258.1,   0. ])
        """
        ratio = _descending(sigmas, "sigmas", infinite=True)
        a = 1 / np.hypot(1, ratio)
        s = 1 / np.hypot(1, _inverse(ratio))
        if alphas_cumprod is None:
            return cls(a, s, t, kind="vp")
        clock = _training_clock(alphas_cumprod)
        if t is not None:
            raise ValueError("t: must not be given with alphas_cumprod, which gives the times")
        return cls(a, s, _on_clock(clock, _lam(a, s)), kind="vp", clock=clock)

    @classmethod
    def at_timesteps(
        cls,
        alphas_cumprod: ArrayLike,
        timesteps: ArrayLike,
        *,
        final: Literal["clean", "first", "none"] = "clean",
    ) -> Path:
        r"""Make a path of constant variance through some of the times of a network's training.

        Parameters
        ----------
        alphas_cumprod : array_like, shape (T,)
            The squares of alpha at times 0 to T - 1, decreasing. The last may be 0.
        timesteps : array_like of int, shape (N,)
            The times at which the network is asked, decreasing, as `timesteps_spacing` gives them.
        final : {"clean", "first", "none"}
            What follows the last of them: clean data; the noise of time 0, if the last is not 0
            (``set_alpha_to_one=False`` of diffusers); or nothing.

        Returns
        -------
        Path
            The path, of kind ``"vp"``, with N steps, or N - 1 if nothing follows.

        Raises
        ------
        ValueError
            If the times do not decrease or are out of range, or as `Path`.
        TypeError
            If a time is no integer, or as `Path`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import Path
        >>> trained = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
        >>> path = Path.at_timesteps(trained, [999, 499])
        >>> path.t, path.sigma.round(4)
        (array([999., 499.,   0.]), array([1.    , 0.9599, 0.    ]))
        """
        one_of(final, "final", ("clean", "first", "none"))
        table = _training_table(alphas_cumprod)
        times = integers_of(timesteps, "timesteps", Domain(f"[0, {len(table)})", integer=True))
        if not len(times):
            raise ValueError("timesteps: must hold at least one time, got 0")
        if (rises := np.flatnonzero(np.diff(times) >= 0)).size:
            at = int(rises[0]) + 1
            raise ValueError(
                f"timesteps: item {at} must be below the one before, {times[at - 1]}, "
                f"got {times[at]}"
            )
        if final == "first" and times[-1] == 0:
            raise ValueError('final: must not be "first" after time 0')
        if final == "first":
            times = np.append(times, 0)
        squares, t = table[times], times.astype(np.float64)
        if final == "clean":
            squares, t = np.append(squares, 1.0), np.append(t, 0.0)
        clock = _training_clock(table)
        return cls(np.sqrt(squares), np.sqrt(1 - squares), t, kind="vp", clock=clock)

    @classmethod
    def flow(cls, sigmas: ArrayLike, *, t_scale: TimeScale = 1.0) -> Path:
        """Make a straight path from noise to data: rectified flow, flow matching.

        Parameters
        ----------
        sigmas : array_like, shape (N + 1,)
            The factors of the noise, decreasing, in [0, 1]; those of the data are one minus them.
        t_scale : float, default 1.0
            The network is fed this times sigma: 1000 for models in the form of diffusers.

        Returns
        -------
        Path
            The path, of kind ``"flow"``.

        Raises
        ------
        ValueError
            If the sigmas do not decrease or one is above 1, or as `Path`.
        TypeError
            As `Path`.

        Examples
        --------
        >>> from sortes.diffusion import Path
        >>> Path.flow([1.0, 0.5, 0.0], t_scale=1000).t
        array([1000.,  500.,    0.])
        """
        scale = real(t_scale, "t_scale", _POSITIVE)
        s = _descending(sigmas, "sigmas")
        Domain("[0, 1]").check_items(s, "sigmas")
        path = cls(1 - s, s, scale * s, kind="flow")
        path._clock = scale
        return path

    @property
    def alpha(self) -> NDArray[np.float64]:
        """The factors of the data, of shape (N + 1,)."""
        return self._alpha

    @property
    def sigma(self) -> NDArray[np.float64]:
        """The factors of the noise, of shape (N + 1,)."""
        return self._sigma

    @property
    def t(self) -> NDArray[np.float64]:
        """The times that the network is fed, of shape (N + 1,)."""
        return self._t

    @property
    def kind(self) -> Kind:
        """What alpha and sigma have in common: ``"vp"``, ``"ve"`` or ``"flow"``."""
        return self._kind

    @property
    def lam(self) -> NDArray[np.float64]:
        """The logarithms of alpha / sigma, strictly increasing; infinite where one is zero."""
        return self._lam

    @property
    def ratio(self) -> NDArray[np.float64]:
        """What k-diffusion calls sigmas: sigma / alpha; infinite for pure noise."""
        return self._ratio

    @property
    def n_steps(self) -> int:
        """The number of steps, one less than that of levels."""
        return len(self._lam) - 1

    def at_lambda(self, lam: Lambda) -> Level:
        """Return the level of any ratio of signal to noise, on the path or between its levels.

        Parameters
        ----------
        lam : float
            The logarithm of alpha / sigma; infinite for pure noise or clean data.

        Returns
        -------
        Level
            The level, with the time that the clock of the path says.

        Raises
        ------
        ValueError
            If it is NaN, or minus infinity on a path of kind ``"ve"``.
        TypeError
            If it is no number.

        Examples
        --------
        >>> from sortes.diffusion import Path
        >>> Path.flow([1.0, 0.5, 0.0]).at_lambda(0.0)
        Level(alpha=0.5, sigma=0.5, t=0.5)
        """
        value = real(lam, "lam", _ANY_LAMBDA)
        if self._kind == "ve" and value == -np.inf:
            raise ValueError('lam: must be above -inf on a path of kind "ve", got -inf')
        with np.errstate(over="ignore"):
            noise, signal = np.exp(np.float64(-value)), np.exp(np.float64(value))
            if self._kind == "vp":
                a, s = 1 / np.hypot(1, noise), 1 / np.hypot(1, signal)
            elif self._kind == "ve":
                a, s = np.float64(1), noise
            else:
                a, s = 1 / (1 + noise), 1 / (1 + signal)
        return Level(float(a), float(s), self._time(value, float(s)))

    def take(self, indices: ArrayLike) -> Path:
        """Return the path through some of the levels.

        Parameters
        ----------
        indices : array_like of int, shape (K + 1,)
            Which levels, increasing.

        Returns
        -------
        Path
            The path, of the same kind and with the same times.

        Raises
        ------
        ValueError
            If there are fewer than two, they do not increase, or one is out of range.
        TypeError
            If one is no integer.

        Examples
        --------
        >>> from sortes.diffusion import Path
        >>> Path.ve([80.0, 9.0, 2.0, 0.0]).take([0, 2, 3]).sigma
        array([80.,  2.,  0.])
        """
        at = integers_of(indices, "indices", Domain(f"[0, {len(self)})", integer=True))
        if len(at) < 2:
            raise ValueError(f"indices: must hold at least two levels, got {len(at)}")
        if (falls := np.flatnonzero(np.diff(at) <= 0)).size:
            first = int(falls[0]) + 1
            raise ValueError(
                f"indices: item {first} must be above the one before, {at[first - 1]}, "
                f"got {at[first]}"
            )
        return _restored(self._alpha[at], self._sigma[at], self._t[at], self._kind, self._clock)

    def __len__(self) -> int:
        """Return the number of levels, N + 1."""
        return len(self._lam)

    def __getitem__(self, i: int) -> Level:
        """Return a level; negative numbers count from the cleanest."""
        at, n = integer(i, "i"), len(self)
        if not -n <= at < n:
            raise IndexError(f"i: must be in [{-n}, {n}), got {shown(at)}")
        return Level(float(self._alpha[at]), float(self._sigma[at]), float(self._t[at]))

    def __iter__(self) -> Iterator[Level]:
        """Go through the levels, the noisiest first."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        first, last = self._ratio[0], self._ratio[-1]
        return f"Path(kind={self._kind!r}, n_steps={self.n_steps}, ratio={first:.4g}..{last:.4g})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._alpha, self._sigma, self._t, self._kind, self._clock)

    def _time(self, lam: float, sigma: float) -> float:
        if isinstance(self._clock, float):
            return self._clock * sigma
        return float(_on_clock(self._clock, np.float64(lam)))

    def _clock_of(self, clock: tuple[ArrayLike, ArrayLike] | None, *, timed: bool) -> _Clock:
        """Return what tells the times of levels between those of the path."""
        if clock is None:
            return (self._lam, self._t) if timed else 1.0
        if not isinstance(clock, tuple) or len(clock) != 2:
            raise TypeError(f"clock: must be a tuple of lam and t, got {shown(clock)}")
        nodes = vector_of(clock[0], "clock", double=True)
        if not len(nodes):
            raise ValueError("clock: must hold at least one node, got 0")
        items(~np.isnan(nodes), nodes, "clock", "is no number")
        if not (np.diff(nodes) > 0).all():
            at = int((np.diff(nodes) > 0).argmin()) + 1
            raise ValueError(
                f"clock: item {at} must be above the one before, {nodes[at - 1]}, got {nodes[at]}"
            )
        return nodes, _times(clock[1], "clock", nodes)


#: Nodes between which times are linear in lam, or the factor of sigma that is the time.
_Clock: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]] | float"


def _restored(
    alpha: NDArray[np.float64],
    sigma: NDArray[np.float64],
    t: NDArray[np.float64],
    kind: Kind,
    clock: _Clock,
) -> Path:
    """Return the path of a pickle."""
    path = Path(alpha, sigma, t, kind=kind)
    path._clock = clock
    return path


def _lam(alpha: Any, sigma: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.log(alpha) - np.log(sigma)


def _inverse(x: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return 1 / x


def _on_clock(clock: tuple[NDArray[np.float64], NDArray[np.float64]], lam: Any) -> Any:
    """Return times at some levels: linear in lam, constant beyond the nodes.

    The neighbour of a node without a finite lam is worth its own time everywhere.
    """
    nodes, times = clock
    finite = np.isfinite(nodes)
    inner = np.interp(lam, nodes[finite], times[finite]) if finite.any() else times[0] + 0 * lam
    if nodes[0] == -np.inf:
        inner = np.where(lam == -np.inf, times[0], inner)
    return np.where(lam == np.inf, times[-1], inner) if nodes[-1] == np.inf else inner


def _training_table(alphas_cumprod: ArrayLike) -> NDArray[np.float64]:
    table = vector_of(alphas_cumprod, "alphas_cumprod", double=True)
    if not len(table):
        raise ValueError("alphas_cumprod: must hold at least one number, got 0")
    items((table >= 0) & (table < 1), table, "alphas_cumprod", "must be in [0, 1)")
    if (rises := np.flatnonzero(~(np.diff(table) < 0))).size:
        at = int(rises[0]) + 1
        raise ValueError(
            f"alphas_cumprod: item {at} must be below the one before, {table[at - 1]}, "
            f"got {table[at]}"
        )
    return table


def _training_clock(alphas_cumprod: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the nodes (lam, t) of a network that was trained at times 0 to T - 1."""
    table = _training_table(alphas_cumprod)
    lam = _lam(np.sqrt(table), np.sqrt(1 - table))
    return lam[::-1].copy(), np.arange(len(table), dtype=np.float64)[::-1].copy()


def _levels(x: ArrayLike, name: str) -> NDArray[np.float64]:
    levels = vector_of(x, name, double=True).copy()
    if len(levels) < 2:
        raise ValueError(f"{name}: must hold at least two levels, got {len(levels)}")
    items((levels >= 0) & (levels < np.inf), levels, name, "must be in [0, inf), got")
    return levels


def _descending(x: ArrayLike, name: str, *, infinite: bool = False) -> NDArray[np.float64]:
    """Return levels of which each is less noisy than the one before."""
    levels = vector_of(x, name, double=True).copy()
    if len(levels) < 2:
        raise ValueError(f"{name}: must hold at least two levels, got {len(levels)}")
    domain = Domain("[0, inf]" if infinite else "[0, inf)")
    domain.check_items(levels, name)
    with np.errstate(invalid="ignore"):
        rises = np.flatnonzero(~(levels[1:] < levels[:-1]))
    if rises.size:
        at = int(rises[0]) + 1
        raise ValueError(
            f"{name}: item {at} must be below the one before, {levels[at - 1]}, got {levels[at]}"
        )
    return levels


def _same_length(x: NDArray[np.float64], name: str, like: NDArray[np.float64]) -> None:
    if len(x) != len(like):
        raise ValueError(f"{name}: must have shape ({len(like)},), got ({len(x)},)")


def _times(t: ArrayLike, name: str, like: NDArray[np.float64]) -> NDArray[np.float64]:
    times = vector_of(host(t, name), name, double=True).copy()
    _same_length(times, name, like)
    items(np.isfinite(times), times, name, "is not finite")
    return times


def _check_kind(a: NDArray[np.float64], s: NDArray[np.float64], kind: Kind) -> None:
    sums = {"vp": a * a + s * s, "ve": a, "flow": a + s}[kind]
    law = {"vp": "alpha**2 + sigma**2", "ve": "alpha", "flow": "alpha + sigma"}[kind]
    off = np.abs(sums - 1) > _SLACK
    if off.any():
        at = int(off.argmax())
        raise ValueError(
            f'alpha: item {at} does not fit the kind "{kind}": {law} must be 1, got {sums[at]}'
        )


def _increasing(a: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return lam, which must increase."""
    lam: NDArray[np.float64] = _lam(a, s)
    if (falls := np.flatnonzero(~(lam[1:] > lam[:-1]))).size:
        at = int(falls[0]) + 1
        raise ValueError(
            f"sigma: item {at} must be less noisy than the one before: sigma / alpha is "
            f"{s[at]} / {a[at]} after {s[at - 1]} / {a[at - 1]}"
        )
    return lam
