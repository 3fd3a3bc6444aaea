"""Polya-Gamma variables, which make logistic models Gaussian."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import FINITE, Count, Domain, count
from sortes._device import to_host
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.mcmc._tensors import first_tensor, like

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Shape: TypeAlias = Count | tuple[Count, ...]
#: Each unit of a shape is a draw of its own.
SHAPES: Final = Domain("(0, 2**30]")


def random_polyagamma(
    b: ArrayLike = 1.0,
    c: ArrayLike = 0.0,
    *,
    size: Shape | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> float | NDArray[np.float64] | torch.Tensor:
    r"""Draw Polya-Gamma variables, exactly for every shape and every tilt.

    Parameters
    ----------
    b : array_like, default 1.0
        The shapes, in (0, 2**30].
    c : array_like, default 0.0
        The tilts, finite; the sign does not matter. `b` and `c` are broadcast as in NumPy.
    size : int or tuple of int, optional
        The shape of the result, to which `b` and `c` are broadcast; without it, their own.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64, or tensor
        Independent draws; one float for two numbers without `size`. A tensor if `b` or `c` is one,
        of the dtype and on the device of the first.

    Raises
    ------
    ValueError
        If a shape or a tilt is out of its domain, or they do not broadcast to `size`.
    TypeError
        If `b` or `c` holds no numbers.
    MemoryError
        If there is no memory for the draws.

    Notes
    -----
    The law $PG(b, c)$ is that of $\frac{1}{2 \pi^2} \sum_{k \ge 1} g_k / ((k - 1/2)^2 + c^2 / (4
    \pi^2))$ with independent $g_k$ of the law $\mathrm{Gamma}(b, 1)$. Its mean is $b \tanh(c / 2) /
    (2 c)$ and its Laplace transform

    $$
    E\, e^{-t \omega} = \left( \frac{\cosh(c / 2)}{\cosh \sqrt{(c^2 / 2 + t) / 2}} \right)^b .
    $$

    A shape is the sum of ones and a rest below two, so that the time grows with `b`. For the
    pieces, proposals come from an inverse Gaussian on the left and from gammas on the right, and
    partial sums of the alternating series of the density decide, as Devroye does for `b = 1`. The
    same series serves every other shape: its terms fall from some term on, below which nothing is
    decided. The law is exact but for roundings in double precision, about 1e-15 in total variation;
    no tilt overflows.

    An element depends on `rng`, `step`, its index in the result and its own `b` and `c` alone.

    References
    ----------
    Polson, Scott and Windle, "Bayesian inference for logistic models using Pólya-Gamma latent
    variables", Journal of the American Statistical Association 108, 2013, arXiv:1205.0310.

    Devroye, "On exact simulation algorithms for some distributions related to Jacobi theta
    functions", Statistics and Probability Letters 79, 2009.

    Windle, Polson and Scott, "Sampling Pólya-Gamma random variates: alternate and approximate
    techniques", 2014, arXiv:1405.0506.

    Examples
    --------
    >>> from sortes.mcmc import random_polyagamma
    >>> draws = random_polyagamma(2.7, 200.0, size=10_000, rng=0)
    >>> round(float(draws.mean()), 3)  # 2.7 / 400
    0.007
    >>> random_polyagamma([1, 2.5], [[0.0], [1e6]], rng=0).shape
    (2, 2)
    """
    given = first_tensor(b, c)
    shapes = _numbers(b, "b", SHAPES)
    tilts = _numbers(c, "c", FINITE)
    shape = _shape_of(size, shapes, tilts)
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "draws") as job:
        n = math.prod(shape)
        flat = _core.mcmc.polya_gamma.polya_gamma(
            _flat(shapes, shape), _flat(tilts, shape), n, stream, job
        )
    if given is None and size is None and not shape:
        return float(flat[0])
    return like(flat.reshape(shape), given)  # type: ignore[no-any-return]


def _numbers(x: Any, name: str, domain: Domain) -> NDArray[np.float64]:
    array = host(to_host(x), name, "iuf").astype(np.float64, copy=False)
    domain.check_items(array, name)
    return array


def _shape_of(
    size: Any, shapes: NDArray[np.float64], tilts: NDArray[np.float64]
) -> tuple[int, ...]:
    """Check `size`, and that everything is broadcast to it."""
    try:
        own = np.broadcast_shapes(shapes.shape, tilts.shape)
    except ValueError:
        pair = [("c", tilts.shape), ("b", shapes.shape)]
        (name, shape), (other, fixed) = pair if tilts.ndim >= shapes.ndim else pair[::-1]
        raise ValueError(f"{name}: must broadcast with {other} {fixed}, got {shape}") from None
    if size is None:
        return own
    wanted = size if isinstance(size, tuple) else (size,)
    shape = tuple(count(length, "size") for length in wanted)
    count(math.prod(shape), "size")
    for name, x in (("b", shapes), ("c", tilts)):
        try:
            fits = np.broadcast_shapes(x.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name}: must broadcast to size {shape}, got shape {x.shape}")
    return shape


def _flat(x: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return one number, or one for each element."""
    flat = x.reshape(1) if x.size == 1 else np.broadcast_to(x, shape)
    return np.require(flat, np.float64, ("C", "A")).reshape(-1)
