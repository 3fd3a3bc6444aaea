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
    kernel, d, p, c, sigma, modulation = given
    if c is not None and sigma is not None:
        raise ValueError("sigma: must not be given with c")
    c = None if c is None else POSITIVE.check(c, "c")
    sigma = None if sigma is None else POSITIVE.check(sigma, "sigma")
    named = "diffusion" if kernel is None else kernel
    is_named = modulation is None and isinstance(named, str)
    if is_named:
        one_of(named, "kernel", get_args(Kernel))
    name = repr(named) if is_named else "a modulation" if modulation is not None else "these terms"
    for argument, value, owner in (
        ("d", d, "d_regularised_laplacian"),
        ("p", p, "p_step"),
    ):
        if value is not None and not (is_named and named == owner):
            raise ValueError(f"{argument}: is for kernel {owner!r} alone, got {name}")
    if sigma is not None and not (is_named and named in ("diffusion", "d_regularised_laplacian")):
        raise ValueError(f"sigma: is for 'diffusion' and 'd_regularised_laplacian', got {name}")
    if modulation is not None:
        return _given(kernel, modulation, c, sets)
    if not is_named:
        return _of_terms(named, _C if c is None else c, sets)
    power = 1.0 / sets
    if named == "diffusion":
        scale = (0.0, 0.0, 1.0) if sigma is None else (-0.5 * sigma**2 * power, 0.0, 1.0)
        own = _C if c is None else c
        return Series("ratio", power, 0.0, None, own if sigma is None else sigma**2 / 2, scale, 0.0)
    if named == "d_regularised_laplacian":
        exponent = (2.0 if d is None else POSITIVE.check(d, "d")) * power
        scale = (0.0, 0.0, 1.0) if sigma is None else (0.0, -exponent, 1.0 + sigma**2)
        own = _C if c is None else c
        if sigma is not None:
            own = sigma**2 / (1.0 + sigma**2)
        return Series("ratio", exponent, 1.0, None, _below(own, 1.0, name), scale, 1.0)
    c = _C if c is None else c
    if named == "p_step":
        steps = 2 if p is None else POWER.check(p, "p")
        if steps % sets == 0:
            return Series("ratio", steps // sets, -1.0, None, c, (0.0, 0.0, 1.0), 0.0)
        _below(c, 1.0, f"{name} unless p is a multiple of {sets}")
        return Series("ratio", steps * power, -1.0, None, c, (0.0, 0.0, 1.0), 1.0)
    # cos x + sin x is zero at -pi / 4: the series of its root converges up to there.
    terms, signs = np.ones(171), np.array([1.0, 1.0, -1.0, -1.0])
    np.cumprod(1.0 / np.arange(1.0, 171.0), out=terms[1:])
    terms *= np.resize(signs, 171)
    _below(c, math.pi / 4, name)
    return Series("power", power, 0.0, terms, c, (0.0, 0.0, 1.0), 4 / math.pi)


def _given(kernel: Any, modulation: Any, c: float | None, sets: int) -> Series:
    """Check a modulation."""
    if kernel is not None:
        raise ValueError(f"modulation: must not be given with kernel, got {shown(kernel)}")
    if sets != 2:
        raise ValueError("modulation: must not be given where walks are stitched")
    terms = vector_of(modulation, "modulation", double=True)
    if not terms.size:
        raise ValueError("modulation: must have at least one item, got none")
    FINITE.check_items(terms, "modulation")
    terms = np.require(terms, np.float64)
    return Series("given", 0.0, 0.0, terms, 1.0 if c is None else c, (0.0, 0.0, 1.0), 0.0)


def _of_terms(kernel: Any, c: float, sets: int) -> Series:
    """Check the terms of a kernel."""
    if kernel is None or isinstance(kernel, bool | int | float):
        raise TypeError(f"kernel: must be a name or an array of terms, got {shown(kernel)}")
    terms = np.require(vector_of(kernel, "kernel", double=True), np.float64)
    FINITE.check_items(terms, "kernel")
    if not 1 <= len(terms) <= _TERMS:
        raise ValueError(f"kernel: must have between 1 and {_TERMS} terms, got {len(terms)}")
    if not terms[0] >= _LEAST:
        raise ValueError(f"kernel: item 0 must be positive, got {terms[0]}")
    least = _least_root(terms)
    if least < math.inf:
        _below(c, least, "these terms, of whose series that is a root")
    # A square of a polynomial has a polynomial as its root: that is seen when its terms are made.
    growth = 0.0 if least == math.inf else 1.0 / least
    return Series("power", 1.0 / sets, 0.0, terms, c, (0.0, 0.0, 1.0), growth)


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
