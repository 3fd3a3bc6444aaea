"""Kernels of graphs as power series, and what a visit counts so that features have them as mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from sortes._arrays import vector_of
from sortes._check import FINITE, POSITIVE, Domain, items, one_of, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The kernels that have a name.
Kernel: TypeAlias = Literal["diffusion", "d_regularised_laplacian", "p_step", "cosine"]
#: The power of "p_step".
POWER: Final = Domain("[1, 2**31)", integer=True)

#: What is taken where neither `c` nor `sigma` is given: both kernels with a `sigma` then have 1.
_C: Final = 0.5
#: The most terms of a kernel whose roots are looked for.
_TERMS: Final = 256
#: A scale that changes nothing.
_ONE: Final = (0.0, 0.0, 1.0)
#: The least first term: the root of a smaller one is lost.
_LEAST: Final = 1e-300


class SeriesOptions(NamedTuple):
    """What a user says of a kernel."""

    kernel: Any
    d: Any
    p: Any
    c: Any
    sigma: Any
    modulation: Any


class Series(NamedTuple):
    """The modulation of a kernel.

    Attributes
    ----------
    form, a, b, terms
        What the native module makes the terms of.
    c : float
        What the matrix is multiplied by.
    scale : tuple of float
        What all terms are multiplied by: ``exp(scale[0]) * scale[2] ** scale[1]``.
    growth : float
        What the ratio of a term to the one before tends to, without `c`; zero if the series ends,
        or falls faster than any power.
    """

    form: str
    a: float
    b: float
    terms: NDArray[np.float64] | None
    c: float
    scale: tuple[float, float, float]
    growth: float

    def terms_up_to(self, most: int) -> tuple[Any, ...]:
        """Return what the native module is told."""
        return self.form, self.a, self.b, self.terms, self.c, self.scale, most


def series_of(given: SeriesOptions, sets: int = 2) -> Series:
    """Check what is said of a kernel; its root is for products of so many sets of features."""
    # 1. Each argument for itself.
    kernel, d, p, c, sigma, modulation = given
    terms = None
    if isinstance(kernel, str):
        one_of(kernel, "kernel", get_args(Kernel))
    elif kernel is not None:
        terms = _terms(kernel, "kernel")
    steps = None if p is None else POWER.check(p, "p")
    d, c, sigma = (
        None if value is None else POSITIVE.check(value, name)
        for name, value in (("d", d), ("c", c), ("sigma", sigma))
    )
    given_terms = None if modulation is None else _terms(modulation, "modulation")

    # 2. What goes together.
    if c is not None and sigma is not None:
        raise ValueError(f"sigma: must not be given with c, got {sigma}")
    if given_terms is not None and kernel is not None:
        raise ValueError(f"modulation: must not be given with kernel, got kernel {shown(kernel)}")
    named = kernel if isinstance(kernel, str) else "diffusion" if terms is None else ""
    if given_terms is not None:
        named = ""
    name = repr(named) if named else "terms"
    for argument, value, owner in (("d", d, "d_regularised_laplacian"), ("p", p, "p_step")):
        if value is not None and named != owner:
            raise ValueError(f"{argument}: is for kernel {owner!r} alone, got {name}")
    if sigma is not None and named not in ("diffusion", "d_regularised_laplacian"):
        raise ValueError(f"sigma: is for 'diffusion' and 'd_regularised_laplacian', got {name}")
    if given_terms is not None:
        if sets != 2:
            raise ValueError("modulation: must not be given where walks are stitched")
        own = 1.0 if c is None else c
        return Series("given", 0.0, 0.0, given_terms, own, _ONE, 0.0)

    # 3. The series, if it converges.
    own, power = _C if c is None else c, 1.0 / sets
    if terms is not None:
        return _of_terms(terms, own, sets)
    if named == "diffusion":
        if sigma is None:
            return Series("ratio", power, 0.0, None, own, _ONE, 0.0)
        half = 0.5 * sigma**2
        return Series("ratio", power, 0.0, None, half, (-half * power, 0.0, 1.0), 0.0)
    if named == "d_regularised_laplacian":
        exponent, scale = (2.0 if d is None else d) * power, _ONE
        if sigma is not None:
            scale = (0.0, -exponent, 1.0 + sigma**2)
            own = sigma**2 / (1.0 + sigma**2)
            if own == 1.0 or scale[2] == math.inf:
                raise ValueError(f"sigma: must be smaller, got {sigma}")
        return Series("ratio", exponent, 1.0, None, _below(own, 1.0, name), scale, 1.0)
    if named == "p_step":
        steps = 2 if steps is None else steps
        if steps % sets == 0:
            return Series("ratio", float(steps // sets), -1.0, None, own, _ONE, 0.0)
        _below(own, 1.0, f"{name} unless p is a multiple of {sets}")
        return Series("ratio", steps * power, -1.0, None, own, _ONE, 1.0)
    # cos x + sin x is zero at -pi / 4: the series of its root converges up to there.
    taylor = np.ones(171)
    np.cumprod(1.0 / np.arange(1.0, 171.0), out=taylor[1:])
    taylor *= np.resize([1.0, 1.0, -1.0, -1.0], 171)
    return Series("power", power, 0.0, taylor, _below(own, math.pi / 4, name), _ONE, 4 / math.pi)


def _terms(values: Any, name: str) -> NDArray[np.float64]:
    """Check terms of a series."""
    terms = np.require(vector_of(values, name, double=True), np.float64)
    if not terms.size:
        raise ValueError(f"{name}: must have at least one item, got none")
    FINITE.check_items(terms, name)
    return terms


def _of_terms(terms: NDArray[np.float64], c: float, sets: int) -> Series:
    """Return the series of a kernel that is given by its terms."""
    if len(terms) > _TERMS:
        raise ValueError(f"kernel: must have at most {_TERMS} terms, got {len(terms)}")
    if not terms[0] >= _LEAST:
        raise ValueError(f"kernel: item 0 must be positive, got {terms[0]}")
    least = _least_root(terms)
    if least < math.inf:
        _below(c, least, "these terms, whose series has a root of that modulus")
    growth = 0.0 if least == math.inf else 1.0 / least
    return Series("power", 1.0 / sets, 0.0, terms, c, _ONE, growth)


def _least_root(terms: NDArray[np.float64]) -> float:
    """Return the least modulus of the roots of a series; infinity if there is none."""
    last = np.flatnonzero(terms)[-1]
    if last == 0:
        return math.inf
    # With the last term like the first, the roots are around one.
    logs = (math.log(abs(terms[0])) - math.log(abs(terms[last]))) / last
    with np.errstate(over="ignore", under="ignore"):
        scaled = terms[: last + 1] / terms[0] * np.exp(logs * np.arange(last + 1))
    items(np.isfinite(scaled), scaled, "kernel", "must be closer to the others")
    return float(np.abs(np.roots(scaled[::-1])).min() * math.exp(logs))


def _below(c: float, limit: float, what: str) -> float:
    """Refuse a `c` at which a series diverges."""
    if c >= limit:
        raise ValueError(f"c: must be below {limit:.6g} for {what}, got {c!r}")
    return c
