"""The times of a training: its variances, and at which of them a sampler stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes._arrays import vector_of
from sortes._check import POSITIVE, Domain, Positive, flag, one_of
from sortes.diffusion._beta import beta_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: More would not fit into any memory.
STEPS: Final = Domain("[1, 2**40)", integer=True)
SHARE: Final = Domain("(0, 1)")
_COUNT: Final = Domain("[0, 2**63)", integer=True)
Steps: TypeAlias = Annotated[int, STEPS]
Share: TypeAlias = Annotated[float, SHARE]
Count: TypeAlias = Annotated[int, _COUNT]

Betas: TypeAlias = Literal["linear", "scaled_linear", "cosine"]
Spacing: TypeAlias = Literal["linspace", "leading", "trailing"]
Convention: TypeAlias = Literal["euler", "dpm"]


def betas(
    num_timesteps: Steps = 1000,
    *,
    kind: Betas = "linear",
    beta_start: Share | None = None,
    beta_end: Share | None = None,
) -> NDArray[np.float64]:
    r"""Return the variances that a network's training adds at its times.

    Parameters
    ----------
    num_timesteps : int, default 1000
        The number of times, T.
    kind : {"linear", "scaled_linear", "cosine"}
        Linear; linear in the root, as Stable Diffusion; or such that the signal falls as a squared
        cosine.
    beta_start, beta_end : float, optional
        The first and the last: 1e-4 and 0.02 for ``"linear"``, 8.5e-4 and 0.012 for
        ``"scaled_linear"``. Not for ``"cosine"``.

    Returns
    -------
    ndarray of float64, shape (T,)
        The variances; ``np.cumprod(1 - betas)`` are the squares of alpha.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or not used by the kind.
    TypeError
        If an argument has a wrong type.

    References
    ----------
    Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
    arXiv:2006.11239.

    Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021,
    arXiv:2102.09672.

    Examples
    --------
    >>> from sortes.diffusion import betas
    >>> betas(3, kind="scaled_linear").round(5)
    array([0.00085, 0.00481, 0.012  ])
    """
    n = STEPS.check(num_timesteps, "num_timesteps")
    one_of(kind, "kind", get_args(Betas))
    given = {"beta_start": beta_start, "beta_end": beta_end}
    if kind == "cosine":
        for name, value in given.items():
            if value is not None:
                SHARE.check(value, name)
                raise ValueError(f'{name}: must not be given with kind="cosine"')
        t = np.arange(n + 1) / n
        f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
        found: NDArray[np.float64] = np.minimum(1 - f[1:] / f[:-1], 0.999)
        return found
    defaults = {"linear": (1e-4, 0.02), "scaled_linear": (8.5e-4, 0.012)}[kind]
    first, last = (
        default if value is None else SHARE.check(value, name)
        for (name, value), default in zip(given.items(), defaults, strict=True)
    )
    if kind == "linear":
        return np.linspace(first, last, n)
    return np.linspace(first**0.5, last**0.5, n) ** 2


def zero_terminal_snr(betas: ArrayLike) -> NDArray[np.float64]:
    r"""Change the variances of a training so that its last time is pure noise.

    Parameters
    ----------
    betas : array_like, shape (T,)
        Variances in (0, 1), at least two of them.

    Returns
    -------
    ndarray of float64, shape (T,)
        Variances of which the last is 1: the signal is shifted and scaled from $\alpha_1$ down to
        exactly 0. A network that predicts noise cannot be asked there.

    Raises
    ------
    ValueError
        If a variance is out of its domain, or there are fewer than two.
    TypeError
        If something is no number.

    References
    ----------
    Lin, Liu, Li and Yang, "Common diffusion noise schedules and sample steps are flawed", WACV
    2024, arXiv:2305.08891.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import betas, zero_terminal_snr
    >>> np.cumprod(1 - zero_terminal_snr(betas(3, kind="scaled_linear")))[-1]
    np.float64(0.0)
    """
    given = vector_of(betas, "betas", double=True)
    SHARE.check_items(given, "betas")
    if len(given) < 2:
        raise ValueError(f"betas: must hold at least two variances, got {len(given)}")
    root = np.sqrt(np.cumprod(1 - given))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    squares = root**2
    return 1 - np.concatenate([squares[:1], squares[1:] / squares[:-1]])


def timesteps_spacing(
    n: Steps,
    *,
    kind: Spacing = "leading",
    num_timesteps: Steps = 1000,
    offset: Count = 0,
    convention: Convention = "euler",
) -> NDArray[np.int64]:
    """Return some of the times of a network's training, evenly spaced, the noisiest first.

    Parameters
    ----------
    n : int
        How many.
    kind : {"leading", "linspace", "trailing"}
        Multiples of T // n; from the last to the first; or T, T - T/n, ..., less one.
    num_timesteps : int, default 1000
        The number of times of the training, T.
    offset : int, default 0
        What ``"leading"`` adds to each.
    convention : {"euler", "dpm"}
        diffusers counts differently in its DPM-Solver, UniPC and DEIS classes: n + 1 times without
        the smallest. ``"trailing"`` is the same in both.

    Returns
    -------
    ndarray of int64, shape (n,)
        The times, decreasing, for `Path.at_timesteps`.

    Raises
    ------
    ValueError
        If there are fewer times than asked for, the offset leaves them, or is not used by the kind.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    A single time is the last one, T - 1, for ``"linspace"`` as well. ``"trailing"`` returns n times
    for every n: diffusers 0.42 appends the time -1 for some, of which 61 is the first.

    Examples
    --------
    >>> from sortes.diffusion import timesteps_spacing
    >>> timesteps_spacing(4, kind="trailing")
    array([999, 749, 499, 249])
    """
    n = STEPS.check(n, "n")
    total = STEPS.check(num_timesteps, "num_timesteps")
    one_of(kind, "kind", get_args(Spacing))
    shift = _COUNT.check(offset, "offset")
    one_of(convention, "convention", get_args(Convention))
    if shift and kind != "leading":
        raise ValueError(f'offset: must not be given with kind="{kind}"')
    if kind == "trailing" and convention == "dpm":
        convention = "euler"
    points = n + (convention == "dpm")
    if points > total:
        raise ValueError(f"n: must be at most {total - points + n}, got {n}")
    if kind == "trailing":
        found: NDArray[np.int64] = np.round(total * (n - np.arange(n)) / n).astype(np.int64) - 1
        return found
    if kind == "linspace":
        times = np.round(np.linspace(0, total - 1, points)) if points > 1 else np.array([total - 1])
    else:
        times = np.arange(points) * (total // points) + shift
        if times[-1] >= total:
            most = total - 1 - times[-1] + shift
            raise ValueError(f"offset: must be at most {most} for {n} of {total}, got {shift}")
    return times[::-1][:n].astype(np.int64)


def timesteps_beta(
    n: Steps,
    alpha: Positive = 0.6,
    beta: Positive = 0.6,
    *,
    num_timesteps: Steps = 1000,
    endpoint: bool = True,
) -> NDArray[np.float64]:
    """Return times at the quantiles of a Beta law, dense at both ends, the noisiest first.

    Parameters
    ----------
    n : int
        How many.
    alpha, beta : float, default 0.6
        The exponents of the law. ``beta57`` of other programs is 0.5 and 0.7.
    num_timesteps : int, default 1000
        The number of times of the training, T.
    endpoint : bool, default True
        Whether the last is time 0; else the n-th but last quantile, as ComfyUI has it, which then
        rounds to integers.

    Returns
    -------
    ndarray of float64, shape (n,)
        The times, decreasing from T - 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain or of a wrong type.

    References
    ----------
    Lee, Lee, Choi and others, "Beta sampling is all you need: efficient image generation strategy
    for diffusion models using stepwise spectral analysis", 2024, arXiv:2407.12173.

    Examples
    --------
    >>> from sortes.diffusion import timesteps_beta
    >>> timesteps_beta(5).round()
    array([999., 823., 500., 176.,   0.])
    """
    n = STEPS.check(n, "n")
    total = STEPS.check(num_timesteps, "num_timesteps")
    a, b = POSITIVE.check(alpha, "alpha"), POSITIVE.check(beta, "beta")
    found: NDArray[np.float64] = beta_masses(n, a, b, flag(endpoint, "endpoint")) * (total - 1)
    return found


def beta_masses(n: int, a: float, b: float, endpoint: bool) -> NDArray[np.float64]:
    """Return the quantiles of a beta law at even masses, in [0, 1] and decreasing."""
    if endpoint:
        return beta_quantile(np.linspace(1, 0, n), a, b)
    return beta_quantile(1 - np.arange(n) / n, a, b)
