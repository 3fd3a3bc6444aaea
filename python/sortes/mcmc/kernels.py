"""Kernels, and several of them in one: what `sample` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sortes import _core
from sortes._check import POSITIVE, real, several, shown
from sortes.mcmc._settings import with_
from sortes.mcmc.ellipses import (
    AdaptiveEllipticalSlice,
    EllipticalSlice,
    GeneralizedEllipticalSlice,
)
from sortes.mcmc.lines import HitAndRunSlice, Slice
from sortes.mcmc.polar import GibbsianPolarSlice

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        return with_(self, _parts=[part._fit(points) for part in self._parts])

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
