"""Which noise levels a sampler visits."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes._arrays import vector_of
from sortes._check import (
    FINITE,
    POSITIVE,
    Domain,
    Finite,
    Positive,
    flag,
    one_of,
    real,
)
from sortes.diffusion._beta import beta_quantile
from sortes.diffusion.path import _training_clock, _training_table
from sortes.diffusion.timesteps import SHARE, STEPS, Share, Steps, beta_masses

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Sigmas: TypeAlias = NDArray[np.float64]

_NOT_NEGATIVE: Final = Domain("[0, inf)")
NotNegative: TypeAlias = Annotated[float, _NOT_NEGATIVE]

Tabled: TypeAlias = Literal["sd15", "sdxl", "deepfloyd_stage1", "svd"]
Final_: TypeAlias = Literal["table", "zero"]
Name: TypeAlias = Literal[
    "beta",
    "beta57",
    "bong_tangent",
    "ddim_uniform",
    "exponential",
    "karras",
    "kl_optimal",
    "linear_quadratic",
    "normal",
    "sgm_uniform",
    "simple",
]

#: The levels of Align Your Steps, ten steps each.
_AYS: Final = MappingProxyType(
    {
        "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
        "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
        "deepfloyd_stage1": (
            *(160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006),
        ),
        "svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    }
)


def sigmas_karras(
    n: Steps,
    sigma_min: Positive,
    sigma_max: Positive,
    rho: Positive = 7.0,
    *,
    append_zero: bool = True,
) -> NDArray[np.float64]:
    r"""Return levels of which the `rho`-th roots are evenly spaced.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_min, sigma_max : float
        The smallest and the largest level, apart from zero.
    rho : float, default 7.0
        The larger, the denser small levels are.
    append_zero : bool, default True
        Whether the last step goes from `sigma_min` to 0, or to `sigma_min`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing: ratios of noise to signal. With one step, `sigma_max` and 0.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or `sigma_min` not below `sigma_max`.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    Karras, Aittala, Aila and Laine, "Elucidating the design space of diffusion-based generative
    models", NeurIPS 2022, arXiv:2206.00364.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_karras
    >>> sigmas_karras(3, 0.1, 10.0).round(3)
    array([10.   ,  1.451,  0.1  ,  0.   ])
    """
    ramp, low, high, end = _ramp(n, sigma_min, sigma_max, append_zero)
    power = POSITIVE.check(rho, "rho")
    found = (high ** (1 / power) + ramp * (low ** (1 / power) - high ** (1 / power))) ** power
    return np.concatenate([found, end])


def sigmas_exponential(
    n: Steps, sigma_min: Positive, sigma_max: Positive, *, append_zero: bool = True
) -> NDArray[np.float64]:
    """Return levels of which the logarithms are evenly spaced: steps of equal length in `lam`.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_min, sigma_max : float
        The smallest and the largest level, apart from zero.
    append_zero : bool, default True
        Whether the last step goes from `sigma_min` to 0, or to `sigma_min`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing.

    Raises
    ------
    ValueError, TypeError
        As `sigmas_karras`.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_exponential
    >>> sigmas_exponential(3, 0.1, 10.0).round(3)
    array([10. ,  1. ,  0.1,  0. ])
    """
    return sigmas_polyexponential(n, sigma_min, sigma_max, append_zero=append_zero)


def sigmas_polyexponential(
    n: Steps,
    sigma_min: Positive,
    sigma_max: Positive,
    rho: Positive = 1.0,
    *,
    append_zero: bool = True,
) -> NDArray[np.float64]:
    """Return levels of which the logarithms follow a power of the step.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_min, sigma_max : float
        The smallest and the largest level, apart from zero.
    rho : float, default 1.0
        The power.
    append_zero : bool, default True
        Whether the last step goes from `sigma_min` to 0, or to `sigma_min`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing.

    Raises
    ------
    ValueError, TypeError
        As `sigmas_karras`.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_polyexponential
    >>> sigmas_polyexponential(3, 0.1, 10.0, rho=2.0).round(3)
    array([10.   ,  0.316,  0.1  ,  0.   ])
    """
    ramp, low, high, end = _ramp(n, sigma_min, sigma_max, append_zero)
    power = POSITIVE.check(rho, "rho")
    inner = np.exp((1 - ramp) ** power * (np.log(high) - np.log(low)) + np.log(low))
    return np.concatenate([inner, end])


def sigmas_vp(
    n: Steps,
    beta_d: Positive = 19.9,
    beta_min: NotNegative = 0.1,
    eps_s: Share = 1e-3,
    *,
    append_zero: bool = True,
) -> NDArray[np.float64]:
    r"""Return the levels at even times of the continuous process of constant variance.

    Parameters
    ----------
    n : int
        The number of steps.
    beta_d, beta_min : float
        $\sigma(t)^2 = \exp(\beta_d t^2 / 2 + \beta_{min} t) - 1$.
    eps_s : float, default 1e-3
        The last time but 0, in (0, 1); the first is 1.
    append_zero : bool, default True
        Whether the last step goes from the level of `eps_s` to 0, or to that level.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain or of a wrong type.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole, "Score-based generative modeling through
    stochastic differential equations", ICLR 2021, arXiv:2011.13456.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_vp
    >>> print(sigmas_vp(3).round(3))
    [1.52167e+02 3.42200e+00 1.00000e-02 0.00000e+00]
    """
    n = STEPS.check(n, "n")
    growth, base = POSITIVE.check(beta_d, "beta_d"), _NOT_NEGATIVE.check(beta_min, "beta_min")
    last = SHARE.check(eps_s, "eps_s")
    ramp, end = _ends(n, append_zero)
    t = 1 + ramp * (last - 1)
    return np.concatenate([np.sqrt(np.expm1(0.5 * growth * t * t + base * t)), end])


def sigmas_gaussian(
    n: Steps,
    sigma_min: Positive,
    sigma_max: Positive,
    sigma_data: Positive = 1.0,
    *,
    append_zero: bool = False,
) -> NDArray[np.float64]:
    r"""Return the levels at which Euler's method is best for normal data.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_min, sigma_max : float
        The smallest and the largest level, apart from zero.
    sigma_data : float, default 1.0
        The standard deviation $c$ of the data.
    append_zero : bool, default False
        Whether the last step goes from `sigma_min` to 0, or to `sigma_min`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing.

    Raises
    ------
    ValueError, TypeError
        As `sigmas_karras`.

    Notes
    -----
    $\sigma = c \tan u$ with even $u$: of all schedules it has the least Kullback-Leibler divergence
    between the law of the result and $N(0, c^2 I)$. ``kl_optimal`` of ComfyUI is this one with
    $c = 1$ and a final zero.

    References
    ----------
    Sabour, Fidler and Kreis, "Align your steps: optimizing sampling schedules in diffusion models",
    ICML 2024, arXiv:2404.14507.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_gaussian
    >>> sigmas_gaussian(3, 0.1, 10.0, 0.5).round(3)
    array([10.   ,  0.935,  0.371,  0.1  ])
    """
    ramp, low, high, end = _ramp(n, sigma_min, sigma_max, append_zero)
    c = POSITIVE.check(sigma_data, "sigma_data")
    inner = c * np.tan((1 - ramp) * np.arctan(high / c) + ramp * np.arctan(low / c))
    return np.concatenate([inner, end])


def sigmas_ays(n: Steps = 10, *, model: Tabled, final: Final_ = "table") -> NDArray[np.float64]:
    """Return the published levels of Align Your Steps.

    Parameters
    ----------
    n : int, default 10
        The number of steps. The tables have ten; for others, their logarithms are interpolated.
    model : {"sd15", "sdxl", "deepfloyd_stage1", "svd"}
        For which network they were found.
    final : {"table", "zero"}
        Whether the last level is that of the table, or 0 in its place, as diffusers has it.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing: ratios of noise to signal.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain or of a wrong type.

    References
    ----------
    Sabour, Fidler and Kreis, "Align your steps: optimizing sampling schedules in diffusion models",
    ICML 2024, arXiv:2404.14507.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_ays
    >>> sigmas_ays(5, model="sd15").round(3)
    array([14.615,  3.861,  1.886,  0.963,  0.399,  0.029])
    """
    n = STEPS.check(n, "n")
    one_of(model, "model", get_args(Tabled))
    one_of(final, "final", get_args(Final_))
    table = np.log(_AYS[model])
    at = np.linspace(0, 1, n + 1)
    levels = np.exp(np.interp(at, np.linspace(0, 1, len(table)), table))
    if final == "zero":
        levels[-1] = 0.0
    return levels


def sigmas_beta(
    n: Steps,
    sigma_min: Positive,
    sigma_max: Positive,
    alpha: Positive = 0.6,
    beta: Positive = 0.6,
    *,
    append_zero: bool = True,
) -> NDArray[np.float64]:
    """Return levels at the quantiles of a Beta law on the axis of sigma.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_min, sigma_max : float
        The smallest and the largest level, apart from zero.
    alpha, beta : float, default 0.6
        The exponents of the law.
    append_zero : bool, default True
        Whether the last step goes from `sigma_min` to 0, or to `sigma_min`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing.

    Raises
    ------
    ValueError, TypeError
        As `sigmas_karras`.

    Notes
    -----
    What diffusers does with ``use_beta_sigmas``. The paper's law is on the axis of time:
    `timesteps_beta`. For flow models, of which sigma is the time, the two agree.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_beta
    >>> sigmas_beta(3, 0.1, 10.0).round(3)
    array([10.  ,  5.05,  0.1 ,  0.  ])
    """
    ramp, low, high, end = _ramp(n, sigma_min, sigma_max, append_zero)
    a, b = POSITIVE.check(alpha, "alpha"), POSITIVE.check(beta, "beta")
    return np.concatenate([low + beta_quantile(1 - ramp, a, b) * (high - low), end])


def sigmas_flow(
    n: Steps,
    shift: Positive = 1.0,
    *,
    mu: Finite | None = None,
    num_timesteps: Steps = 1000,
) -> NDArray[np.float64]:
    r"""Return evenly spaced levels for flow models, shifted towards noise.

    Parameters
    ----------
    n : int
        The number of steps.
    shift : float, default 1.0
        By what odds of noise are multiplied; see `shift_sigmas`.
    mu : float, optional
        The logarithm of the shift, where it depends on the resolution; not with `shift`.
    num_timesteps : int, default 1000
        The number of times of the training, T: before the shift, levels go from 1 to 1/T.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The factors of the noise, decreasing from 1 to 0, for `Path.flow`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or both shifts are given.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    The levels are shifted once. ``FlowMatchEulerDiscreteScheduler`` of diffusers 0.42 shifts the
    smallest twice, before it spaces them evenly, and its DPM-Solver has other levels again.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_flow
    >>> sigmas_flow(4, 3.0).round(3)
    array([1.   , 0.857, 0.601, 0.003, 0.   ])
    """
    n = STEPS.check(n, "n")
    total = STEPS.check(num_timesteps, "num_timesteps")
    factor = POSITIVE.check(shift, "shift")
    even = np.linspace(1, 1 / total, n) if n > 1 else np.ones(1)
    if mu is not None:
        value = real(mu, "mu", FINITE)
        if factor != 1:
            raise ValueError("mu: must not be given with shift")
        return np.append(shift_sigmas(even, mu=value), 0.0)
    return np.append(shift_sigmas(even, factor), 0.0)


def shift_sigmas(
    sigmas: ArrayLike,
    shift: Positive = 1.0,
    *,
    mu: Finite | None = None,
    power: Positive = 1.0,
) -> NDArray[np.float64]:
    r"""Shift levels of a flow model towards noise or towards data.

    Parameters
    ----------
    sigmas : array_like, shape (n,)
        Factors of the noise in [0, 1].
    shift : float, default 1.0
        $s$: the odds $\sigma / (1 - \sigma)$ are multiplied by it.
    mu : float, optional
        The logarithm of the shift; not with `shift`.
    power : float, default 1.0
        With `mu`, an exponent of the odds.

    Returns
    -------
    ndarray of float64, shape (n,)
        $s \sigma / (1 + (s - 1) \sigma)$, or
        $e^\mu / (e^\mu + (1 / \sigma - 1)^{power})$.

    Raises
    ------
    ValueError
        If a number is out of its domain, or an argument not used.
    TypeError
        If something is no number.

    References
    ----------
    Esser and others, "Scaling rectified flow transformers for high-resolution image synthesis",
    ICML 2024, arXiv:2403.03206.

    Examples
    --------
    >>> from sortes.diffusion import shift_sigmas
    >>> shift_sigmas([1.0, 0.5, 0.0], 3.0)
    array([1.  , 0.75, 0.  ])
    """
    given = vector_of(sigmas, "sigmas", double=True)
    Domain("[0, 1]").check_items(given, "sigmas")
    factor, exponent = POSITIVE.check(shift, "shift"), POSITIVE.check(power, "power")
    if mu is None:
        if exponent != 1:
            raise ValueError("power: must not be given without mu")
        found: Sigmas = factor * given / (1 + (factor - 1) * given)
        return found
    value = real(mu, "mu", FINITE)
    if factor != 1:
        raise ValueError("mu: must not be given with shift")
    with np.errstate(divide="ignore", over="ignore"):
        odds = (1 / given - 1) ** exponent
        found = 1 / (1 + np.exp(-value) * odds)
        return found


def sigmas_linear_quadratic(
    n: Steps,
    sigma_max: Positive = 1.0,
    *,
    threshold: Share = 0.025,
    linear_steps: Steps | None = None,
) -> NDArray[np.float64]:
    r"""Return levels that fall evenly and slowly at first, then as a parabola.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_max : float, default 1.0
        The largest level: 1 for flow models.
    threshold : float, default 0.025
        Which share of `sigma_max` the linear steps take away.
    linear_steps : int, optional
        How many steps are linear, fewer than n: half of them unless given.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing to 0. With one step, `sigma_max` and 0.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or the parabola would not decrease.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    The schedule of Mochi, ``linear_quadratic`` of ComfyUI. The two parts meet with one slope.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_linear_quadratic
    >>> sigmas_linear_quadratic(4).round(4)
    array([1.    , 0.9875, 0.975 , 0.725 , 0.    ])
    """
    n = STEPS.check(n, "n")
    top, share = POSITIVE.check(sigma_max, "sigma_max"), SHARE.check(threshold, "threshold")
    k = n // 2
    if linear_steps is not None:
        k = STEPS.check(linear_steps, "linear_steps")
        if k >= n:
            raise ValueError(f"linear_steps: must be below {n}, the number of steps, got {k}")
    if n == 1:
        return np.array([top, 0.0])
    slope, rest = share / k, n - k
    # A parabola through the end of the line, with its slope, that reaches 1 at the last step.
    bend = (1 - share - slope * rest) / rest**2
    if slope + 2 * bend * rest <= 0:
        raise ValueError(f"threshold: is too large for {k} linear steps of {n}, got {share}")
    i = np.arange(n + 1, dtype=np.float64)
    beyond = np.maximum(i - k, 0)
    fallen = slope * i + bend * beyond**2
    fallen[-1] = 1.0
    found: Sigmas = top * (1 - fallen)
    return found


def sigmas_bong_tangent(
    n: Steps,
    sigma_max: Positive = 1.0,
    *,
    middle: Share = 0.5,
    pivot: Share = 0.6,
    slope: Positive = 0.2,
) -> NDArray[np.float64]:
    r"""Return levels along two arcs of arctangents, dense at both ends and around the middle.

    Parameters
    ----------
    n : int
        The number of steps.
    sigma_max : float, default 1.0
        The largest level: 1 for flow models.
    middle : float, default 0.5
        At which share of `sigma_max` the arcs meet.
    pivot : float, default 0.6
        After which share of the steps.
    slope : float, default 0.2
        How steep the arcs are, for 40 steps; in proportion for others.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        The levels, decreasing to 0. With one step, `sigma_max` and 0.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or one of the arcs would have no step.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    ``bong_tangent`` of RES4LYF, which scales neither to the largest level: its levels begin at 1.

    Examples
    --------
    >>> from sortes.diffusion import sigmas_bong_tangent
    >>> sigmas_bong_tangent(5).round(3)
    array([1.   , 0.932, 0.804, 0.5  , 0.132, 0.   ])
    """
    n = STEPS.check(n, "n")
    top, meet = POSITIVE.check(sigma_max, "sigma_max"), SHARE.check(middle, "middle")
    turn, steep = SHARE.check(pivot, "pivot"), POSITIVE.check(slope, "slope")
    if n == 1:
        return np.array([top, 0.0])
    points = n + 2
    first = int(points * turn)
    if not 2 <= first <= points - 2:
        raise ValueError(f"pivot: must leave a step on each side for {n} steps, got {turn}")
    steep *= 40 / points

    def arc(count: int, centre: int, start: float, end: float) -> NDArray[np.float64]:
        fall = -np.arctan(steep * (np.arange(count) - centre))
        found: Sigmas = end + (start - end) * (fall - fall[-1]) / (fall[0] - fall[-1])
        return found

    upper, lower = arc(first, first, 1.0, meet), arc(points - first, 0, meet, 0.0)
    found: Sigmas = top * np.concatenate([upper[:-1], lower])
    return found


def schedule(
    n: Steps,
    *,
    name: Name,
    alphas_cumprod: ArrayLike | None = None,
    sigma_min: Positive | None = None,
    sigma_max: Positive | None = None,
) -> NDArray[np.float64]:
    r"""Return the levels that ComfyUI's schedulers give a network, by their names.

    Parameters
    ----------
    n : int
        The number of steps. ``"ddim_uniform"`` may return some more or fewer.
    name : str
        ``"normal"``, ``"karras"``, ``"exponential"``, ``"sgm_uniform"``, ``"simple"``,
        ``"ddim_uniform"``, ``"beta"``, ``"linear_quadratic"`` and ``"kl_optimal"``;
        ``"bong_tangent"`` and ``"beta57"`` of RES4LYF, from the network's largest level.
    alphas_cumprod : array_like, shape (T,), optional
        The squares of alpha at the T times of the network's training. Needed unless both levels
        are given and the schedule asks for no more.
    sigma_min, sigma_max : float, optional
        The smallest and the largest level, where they are not those of the training.

    Returns
    -------
    ndarray of float64
        The levels, decreasing to 0: ratios of noise to signal, for `Path.vp` or `Path.ve`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, missing, or not used by the schedule.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    Equal to ComfyUI but for rounding, which it does in float32; equal neighbours, which a Beta law
    can give for many steps, are left out, as there.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import betas, schedule
    >>> trained = np.cumprod(1 - betas(kind="scaled_linear"))
    >>> schedule(4, name="normal", alphas_cumprod=trained).round(3)
    array([14.615,  2.918,  0.932,  0.029,  0.   ])
    """
    n = STEPS.check(n, "n")
    one_of(name, "name", get_args(Name))
    trained = None if alphas_cumprod is None else _training_table(alphas_cumprod)
    ends = {"sigma_min": sigma_min, "sigma_max": sigma_max}
    for key, value in ends.items():
        if value is not None:
            ends[key] = POSITIVE.check(value, key)
    of_ends = name in ("karras", "exponential", "kl_optimal", "linear_quadratic", "bong_tangent")
    if of_ends:
        if trained is not None:
            low, high = (float(np.sqrt((1 - c) / c)) for c in (trained[0], trained[-1]))
            ends = {
                key: own if value is None else value
                for (key, value), own in zip(ends.items(), (low, high), strict=True)
            }
        needed = ("sigma_max",) if name in ("linear_quadratic", "bong_tangent") else tuple(ends)
        for key in ends:
            if key in needed and ends[key] is None:
                raise ValueError(f"{key}: must be given without alphas_cumprod")
            if key not in needed and sigma_min is not None:
                raise ValueError(f'{key}: must not be given with name="{name}"')
        top = ends["sigma_max"]
        assert top is not None
        if name == "linear_quadratic":
            return sigmas_linear_quadratic(n, top)
        if name == "bong_tangent":
            return sigmas_bong_tangent(n, top)
        bottom = ends["sigma_min"]
        assert bottom is not None
        if name == "karras":
            return sigmas_karras(n, bottom, top)
        if name == "exponential":
            return sigmas_exponential(n, bottom, top)
        return sigmas_gaussian(n, bottom, top, append_zero=True)
    for key, value in ends.items():
        if value is not None:
            raise ValueError(f'{key}: must not be given with name="{name}"')
    if trained is None:
        raise ValueError(f'alphas_cumprod: must be given with name="{name}"')
    return np.append(_at_times(n, name, trained), 0.0)


def _at_times(n: int, name: Name, trained: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the levels of a network at times that a schedule chooses."""
    total = len(trained)
    table = np.sqrt((1 - trained) / trained)
    if name in ("normal", "sgm_uniform"):
        points = n + (name == "sgm_uniform")
        times = np.linspace(total - 1, 0, points)[:n]
        nodes, at = _training_clock(trained)
        return np.exp(-np.interp(times, at[::-1], nodes[::-1]))
    if n > total:
        raise ValueError(f"n: must be at most {total}, the number of times, got {n}")
    if name == "simple":
        return table[total - 1 - (np.arange(n) * (total / n)).astype(np.int64)]
    if name == "ddim_uniform":
        return table[1 :: max(total // n, 1)][::-1]
    a, b = (0.5, 0.7) if name == "beta57" else (0.6, 0.6)
    times = np.rint(beta_masses(n, a, b, False) * (total - 1)).astype(np.int64)
    found: Sigmas = table[times[np.append(True, np.diff(times) != 0)]]
    return found


def _ends(n: int, append_zero: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far each level is from the first to the last, and what follows."""
    end = np.zeros(1) if flag(append_zero, "append_zero") else np.empty(0)
    points = n if len(end) else n + 1
    return (np.linspace(0, 1, points) if points > 1 else np.zeros(1)), end


def _ramp(
    n: int, sigma_min: float, sigma_max: float, append_zero: bool
) -> tuple[NDArray[np.float64], float, float, NDArray[np.float64]]:
    n = STEPS.check(n, "n")
    low, high = POSITIVE.check(sigma_min, "sigma_min"), POSITIVE.check(sigma_max, "sigma_max")
    if low >= high:
        raise ValueError(f"sigma_min: must be below sigma_max, {high}, got {low}")
    ramp, end = _ends(n, append_zero)
    return ramp, low, high, end
