"""Mixtures of normals, whose denoiser is known in closed form: what solvers are checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host, numbers_of
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, items, one_of
from sortes._device import memory_errors
from sortes._progress import job_of
from sortes._rng import Rng, as_stream
from sortes.diffusion._states import (
    State,
    back,
    check_shape,
    host_doubles,
    like,
    namespace,
    round_keys,
    state_of,
    working,
)
from sortes.diffusion.path import Level, level_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: What networks predict.
Prediction: TypeAlias = Literal["epsilon", "sample", "v_prediction", "flow_prediction", "score"]

#: Data without noise.
CLEAN: Final = Level(1.0, 0.0, 0.0)

_MEMORY: Final = memory_errors("x: there is no memory for what is computed from it")


@final
class GaussianMixture:
    r"""A law of data for which everything about diffusion is known exactly.

    $\sum_k w_k N(\mu_k, c_k^2 I)$. At a noise level it is a mixture again, of
    $N(\alpha \mu_k, v_k I)$ with $v_k = \alpha^2 c_k^2 + \sigma^2$.

    Parameters
    ----------
    w : array_like, shape (K,)
        The weights, positive, which need not add up to one.
    mu : array_like, shape (K, ...)
        The means. What follows the first axis is the shape of a datum: nothing for numbers.
    sd : float or array_like, shape (K,)
        The standard deviation of all normals, or of each, in every direction.

    Raises
    ------
    ValueError
        If a shape is wrong, or a number out of its domain.
    TypeError
        If something is no number.

    Notes
    -----
    States are arrays or tensors of shape (..., *shape of a datum); results are of the same kind,
    dtype and device, and nothing waits for a device. Half precision is computed in float32.

    Examples
    --------
    A solver sees `denoise`; its result should have the law of the mixture.

    >>> import numpy as np
    >>> from sortes.diffusion import GaussianMixture, Level
    >>> mixture = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
    >>> mixture.denoise(np.array([[0.2]]), Level(0.8, 0.6, 0.0)).round(4)
    array([[0.5106]])
    """

    __slots__ = ("_held", "_log_w", "_mu", "_sd", "_shape", "_w")

    def __init__(self, w: ArrayLike, mu: ArrayLike, sd: ArrayLike) -> None:
        self._w = np.require(_positive(host(w, "w"), "w"), np.float64, ("C", "A"))
        if self._w.ndim != 1 or not len(self._w):
            raise ValueError(f"w: must have shape (K,), got {self._w.shape}")
        k = len(self._w)
        means = np.array(host(mu, "mu"), np.float64, order="C")
        if means.ndim < 1 or len(means) != k:
            raise ValueError(f"mu: must have shape ({k}, ...), got {means.shape}")
        items(np.isfinite(means), means, "mu", "is not finite")
        self._shape = means.shape[1:]
        self._mu = means.reshape(k, -1)
        if not self._mu.shape[1]:
            raise ValueError(f"mu: must hold at least one number of each, got {means.shape}")
        self._sd = np.broadcast_to(numbers_of(sd, "sd", POSITIVE, rows=k), (k,)).copy()
        shares = self._w / self._w.max()
        self._w = shares / shares.sum()
        self._log_w = np.log(self._w)
        #: The parameters on other devices, or of other types.
        self._held: dict[Any, tuple[Any, ...]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a datum."""
        return self._shape

    @property
    def w(self) -> NDArray[np.float64]:
        """The weights, of shape (K,); they add up to one."""
        return self._w.copy()

    @property
    def mu(self) -> NDArray[np.float64]:
        """The means, of shape (K, ...)."""
        return self._mu.reshape(len(self._w), *self._shape).copy()

    @property
    def sd(self) -> NDArray[np.float64]:
        """The standard deviations, of shape (K,)."""
        return self._sd.copy()

    def denoise(self, x: State, level: Level) -> State:
        """Predict the data of noisy states: their mean given the state. What samplers call.

        Parameters
        ----------
        x : array_like or tensor, shape (..., *shape)
            States at the level.
        level : Level
            Their noise level. Pure noise has the mean of the mixture.

        Returns
        -------
        ndarray or tensor
            The predictions, of the shape of `x`.

        Raises
        ------
        ValueError
            If the last axes are not the shape of a datum.
        TypeError
            If `x` holds no floating point numbers, or `level` is no `Level`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture, Level
        >>> one = GaussianMixture([1], [[2.0, 0.0]], 1.0)
        >>> one.denoise(np.array([[5.0, 1.0]]), Level(1.0, 1.0, 1.0))
        array([[3.5, 0.5]])
        """
        return self.predict(x, level, prediction="sample")

    @_MEMORY
    def predict(self, x: State, level: Level, *, prediction: Prediction) -> State:
        r"""Return what a perfect network would: any parameterisation of the same knowledge.

        Parameters
        ----------
        x : array_like or tensor, shape (..., *shape)
            States at the level.
        level : Level
            Their noise level.
        prediction : {"epsilon", "sample", "v_prediction", "flow_prediction", "score"}
            The expectation, given the state, of the noise $\varepsilon$, the data $x_0$, of
            $\alpha \varepsilon - \sigma x_0$, of $\varepsilon - x_0$; or the gradient of the log
            density, $-\varepsilon / \sigma$.

        Returns
        -------
        ndarray or tensor
            The predictions, of the shape of `x`.

        Raises
        ------
        ValueError, TypeError
            As `denoise`; or if the prediction is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture, Level
        >>> one = GaussianMixture([1], [[2.0, 0.0]], 1.0)
        >>> at = Level(1.0, 1.0, 1.0)
        >>> one.predict(np.array([[5.0, 1.0]]), at, prediction="score")
        array([[-1.5, -0.5]])
        """
        one_of(prediction, "prediction", get_args(Prediction))
        state, x, level = self._flat(x, level)
        shares, _, mu, sd = self._shares(x, level)
        a, s = level.alpha, level.sigma
        v = a * a * sd * sd + s * s
        # Each is a part of the state and a part of the mean, for each normal.
        data, noise = (a * sd * sd / v, s * s / v), (s / v, -s * a / v)
        if prediction == "score":
            of_state, of_mean = -1 / v, a / v
        else:
            eps, x0 = {
                "epsilon": (1.0, 0.0),
                "sample": (0.0, 1.0),
                "v_prediction": (a, -s),
                "flow_prediction": (1.0, -1.0),
            }[prediction]
            of_state, of_mean = (eps * e + x0 * d for e, d in zip(noise, data, strict=True))
        found: State = _shaped(
            shares @ of_state[:, None] * x + shares @ (of_mean[:, None] * mu), state
        )
        return found

    def score(self, x: State, level: Level = CLEAN) -> State:
        """Return the gradient of the log density.

        Parameters
        ----------
        x : array_like or tensor, shape (..., *shape)
            States at the level.
        level : Level, optional
            Their noise level; clean data without it.

        Returns
        -------
        ndarray or tensor
            The gradients, of the shape of `x`.

        Raises
        ------
        ValueError, TypeError
            As `denoise`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture
        >>> GaussianMixture([1], [[2.0]], 0.5).score(np.array([[3.0]]))
        array([[-4.]])
        """
        return self.predict(x, level, prediction="score")

    @_MEMORY
    def log_prob(self, x: State, level: Level = CLEAN) -> State:
        """Return the log density.

        Parameters
        ----------
        x : array_like or tensor, shape (..., *shape)
            States at the level.
        level : Level, optional
            Their noise level; clean data without it.

        Returns
        -------
        ndarray or tensor, shape (...)
            The log densities.

        Raises
        ------
        ValueError, TypeError
            As `denoise`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture
        >>> GaussianMixture([1], [2.0], 1.0).log_prob(np.array([2.0])).round(3)
        array([-0.919])
        """
        state, x, level = self._flat(x, level)
        _, logs, _, _ = self._shares(x, level)
        found: State = _shaped(logs, state, tuple(state.shape)[: state.ndim - len(self._shape)])
        return found

    def sample(
        self,
        n: AtLeastOne,
        level: Level = CLEAN,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Draw states.

        Parameters
        ----------
        n : int
            How many.
        level : Level, optional
            Their noise level; clean data without it.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.

        Returns
        -------
        ndarray of float64, shape (n, *shape)
            The states.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its domain or of a wrong type.

        Examples
        --------
        >>> from sortes.diffusion import GaussianMixture
        >>> GaussianMixture([1, 1], [[-9.0], [9.0]], 0.1).sample(3, rng=0).round()
        array([[-9.],
               [-9.],
               [ 9.]])
        """
        n, level = AT_LEAST_1.check(n, "n"), level_of(level)
        keys = round_keys(as_stream(rng, step), n)
        width = 1 + self._mu.shape[1]
        with job_of(num_threads, None) as job:
            drawn = _core.diffusion.noise.normals(
                "mixture", keys, np.arange(n, dtype=np.uint64), 0, width, job
            ).reshape(n, width)
            # A normal decides, by the quantiles of the normal law, which of them it is.
            one = np.ones(1), np.zeros(1), np.ones(1)
            ends = _core.diffusion.mixture.quantile(np.cumsum(self._w)[:-1], *one, None)
        k = np.searchsorted(ends, drawn[:, 0])
        spread = np.sqrt((level.alpha * self._sd) ** 2 + level.sigma**2)
        found = level.alpha * self._mu[k] + spread[k, None] * drawn[:, 1:]
        return found.reshape(n, *self._shape)

    @_MEMORY
    def cdf(self, x: State, level: Level = CLEAN) -> State:
        """Return the mass below points, of a law of numbers.

        Parameters
        ----------
        x : array_like or tensor
            Points at the level.
        level : Level, optional
            Their noise level; clean data without it.

        Returns
        -------
        ndarray or tensor
            The masses, of the shape of `x`. Computed in float64 on the CPU.

        Raises
        ------
        ValueError
            If data are not single numbers, or as `denoise`.
        TypeError
            As `denoise`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture
        >>> GaussianMixture([1, 1], [-1.0, 1.0], 0.5).cdf(np.array([0.0]))
        array([0.5])
        """
        state, x, level = self._flat(x, level, of_numbers=True)
        with job_of(None, None) as job:
            found: State = back(
                _core.diffusion.mixture.cdf(_line(x), self._w, *self._line(level), job), state
            )
            return found

    @memory_errors("p: there is no memory for the points")
    def quantile(self, p: State, level: Level = CLEAN) -> State:
        """Return the points below which there are some masses, of a law of numbers.

        Parameters
        ----------
        p : array_like or tensor
            Masses in [0, 1].
        level : Level, optional
            The noise level; clean data without it.

        Returns
        -------
        ndarray or tensor
            The points, of the shape of `p`. Computed in float64 on the CPU.

        Raises
        ------
        ValueError
            If a mass is out of its domain, or data are not single numbers.
        TypeError
            If a mass is no floating point number, or `level` is no `Level`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture
        >>> law = GaussianMixture([1, 1], [-1.0, 1.0], 0.5)
        >>> law.quantile(np.array([0.75])).round(3)
        array([1.])
        """
        self._check_numbers("p")
        state, level = state_of(p, "p"), level_of(level)
        masses = host_doubles(state, "p").ravel()
        items((masses >= 0) & (masses <= 1), masses, "p", "must be in [0, 1], got")
        with job_of(None, None) as job:
            points = _core.diffusion.mixture.quantile(masses, self._w, *self._line(level), job)
        found: State = back(points, state)
        return found

    @_MEMORY
    def ode_map(self, x: State, start: Level, end: Level) -> State:
        r"""Follow the probability flow exactly, from one noise level to another.

        What a solver of ordinary differential equations should return in the limit of many steps.
        Of numbers, the flow is the monotone map $F_{end}^{-1}(F_{start}(x))$ between the
        distribution functions; of a single normal, it is linear.

        Parameters
        ----------
        x : array_like or tensor, shape (..., *shape)
            States at the start.
        start, end : Level
            From where, and to where.

        Returns
        -------
        ndarray or tensor
            The states at the end, of the shape of `x`. For numbers, computed in float64 on the CPU.

        Raises
        ------
        ValueError
            If data are no single numbers and there are several normals, or as `denoise`.
        TypeError
            As `denoise`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import GaussianMixture, Level
        >>> mixture = GaussianMixture([0.3, 0.7], [-1.2, 0.9], [0.35, 0.5])
        >>> noise, data = Level(0.0, 1.0, 1.0), Level(1.0, 0.0, 0.0)
        >>> mixture.ode_map(np.array([-1.0, 0.0, 1.0]), noise, data).round(3)
        array([-1.175,  0.617,  1.275])
        """
        start, end = level_of(start, "start"), level_of(end, "end")
        if len(self._w) == 1:
            state, x, _ = self._flat(x, start)
            spread = [np.hypot(at.alpha * self._sd[0], at.sigma) for at in (start, end)]
            (mu,) = like(self._mu, x)
            moved = (x - start.alpha * mu) * float(spread[1] / spread[0]) + end.alpha * mu
            found: State = _shaped(moved, state)
            return found
        state, x, start = self._flat(x, start, of_numbers=True)
        with job_of(None, None) as job:
            points = _core.diffusion.mixture.transport(
                _line(x), self._w, *self._line(start), *self._line(end), job
            )
        found = back(points, state)
        return found

    def project(self, direction: ArrayLike) -> GaussianMixture:
        """Return the law of the coordinate along a direction: a mixture of numbers.

        Parameters
        ----------
        direction : array_like, of the shape of a datum
            The direction; its length scales the coordinate.

        Returns
        -------
        GaussianMixture
            The law, of data of shape ().

        Raises
        ------
        ValueError
            If the shape is another, or the direction zero or not finite.
        TypeError
            If it holds no numbers.

        Examples
        --------
        >>> from sortes.diffusion import GaussianMixture
        >>> GaussianMixture([1], [[3.0, 4.0]], 0.5).project([0.6, 0.8]).mu
        array([5.])
        """
        towards = np.asarray(host(direction, "direction"), np.float64)
        if towards.shape != self._shape:
            raise ValueError(f"direction: must have shape {self._shape}, got {towards.shape}")
        items(np.isfinite(towards), towards, "direction", "is not finite")
        length = float(np.linalg.norm(towards.ravel()))
        if not 0 < length < np.inf:
            raise ValueError(f"direction: must have a positive length, got {length}")
        return GaussianMixture(self._w, self._mu @ towards.ravel(), self._sd * length)

    def __repr__(self) -> str:
        return f"GaussianMixture({len(self._w)} normals, data of shape {self._shape})"

    def __reduce__(self) -> tuple[Any, ...]:
        return GaussianMixture, (self._w, self.mu, self._sd)

    def _flat(self, x: Any, level: Level, *, of_numbers: bool = False) -> tuple[Any, Any, Level]:
        """Return states as they were given, and in rows of enough precision."""
        if of_numbers:
            self._check_numbers("x")
        state = state_of(x)
        check_shape(state, self._shape)
        return state, working(state).reshape(-1, self._mu.shape[1]), level_of(level)

    def _check_numbers(self, name: str) -> None:
        if self._mu.shape[1] != 1:
            raise ValueError(f"{name}: data must be single numbers, but have shape {self._shape}")

    def _line(self, level: Level) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means and spreads of numbers at a level."""
        spread = np.hypot(level.alpha * self._sd, level.sigma)
        return level.alpha * self._mu[:, 0], spread

    def _parameters(self, x: Any) -> tuple[Any, ...]:
        """Return means, spreads and logarithms of weights of the kind of some states."""
        if namespace(x) is np:
            return self._mu, self._sd, self._log_w
        key = (x.device, x.dtype)
        if key not in self._held:
            self._held[key] = tuple(like(p, x) for p in (self._mu, self._sd, self._log_w))
        return self._held[key]

    def _shares(self, x: Any, level: Level) -> tuple[Any, Any, Any, Any]:
        """Return how much of each state each normal answers for, log densities, means, spreads."""
        xp = namespace(x)
        mu, sd, log_w = self._parameters(x)
        a, s = level.alpha, level.sigma
        v = a * a * sd * sd + s * s
        # One after the other: a difference of squares would lose what small spreads need.
        squares = xp.stack([((x - a * m) ** 2).sum(-1) for m in mu], -1)
        logs = log_w - 0.5 * mu.shape[1] * xp.log(2 * np.pi * v) - squares / (2 * v)
        most = xp.amax(logs, -1)
        weights = xp.exp(logs - most[:, None])
        total = weights.sum(-1)
        return weights / total[:, None], most + xp.log(total), mu, sd


def _positive(x: NDArray[Any], name: str) -> NDArray[Any]:
    POSITIVE.check_items(x, name)
    return x


def _line(x: Any) -> NDArray[np.float64]:
    return host_doubles(x, "x").ravel()


def _shaped(found: Any, state: Any, shape: tuple[int, ...] | None = None) -> Any:
    """Return a result in the shape and the precision of the states."""
    found = found.reshape(tuple(state.shape) if shape is None else shape)
    if found.dtype == state.dtype:
        return found
    return found.astype(state.dtype) if namespace(found) is np else found.to(state.dtype)
