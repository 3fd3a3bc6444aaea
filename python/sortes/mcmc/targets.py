"""Densities that chains evaluate without a call to Python: built in, or C functions."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Positive, one_of, real, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Signature: TypeAlias = Literal["scalar", "status", "grad", "batch"]

#: More coordinates than this are no point, and the last address.
_MOST: Final = 2**31 - 1
_ADDRESSES: Final = 2 ** (8 * ctypes.sizeof(ctypes.c_void_p))


class Target:
    """A density that is built in."""

    _target: _core.mcmc.targets.Target
    _dim: int

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density of points.

        Parameters
        ----------
        x : array_like, shape (n, d)
            The points.

        Returns
        -------
        ndarray of float64, shape (n,)
            Their log densities.

        Raises
        ------
        ValueError
            If they have the wrong shape.
        TypeError
            If they are no numbers.
        """
        points = host(x, "x")
        if points.ndim != 2 or points.shape[1] != self._dim:
            raise ValueError(f"x: must have shape (n, {self._dim}), got {points.shape}")
        return self._target.logp(np.require(points, np.float64, ("C", "A")), None)


class StandardNormal(Target):
    """Independent standard normals.

    Parameters
    ----------
    dim : int
        How many.

    Raises
    ------
    ValueError, TypeError
        If `dim` is no positive integer.

    Examples
    --------
    >>> from sortes.mcmc import StandardNormal
    >>> StandardNormal(2)([[0.0, 0.0]]).round(3)
    array([-1.838])
    """

    def __init__(self, dim: AtLeastOne) -> None:
        self._dim = _dim_of(dim)
        self._target = _core.mcmc.targets.Target.standard_normal(self._dim)


class Funnel(Target):
    r"""Neal's funnel: $x_0 \sim N(0, s^2)$, and given it $x_i \sim N(0, e^{x_0})$.

    Parameters
    ----------
    dim : int
        How many coordinates, at least 2.
    scale : float, default 3.0
        The standard deviation $s$ of the first.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain.

    References
    ----------
    Neal, "Slice sampling", Annals of Statistics 31(3), 2003.

    Examples
    --------
    >>> from sortes.mcmc import Funnel
    >>> Funnel(2)([[0.0, 0.0]]).round(3)
    array([-2.936])
    """

    def __init__(self, dim: AtLeastOne, *, scale: Positive = 3.0) -> None:
        self._dim = _dim_of(dim)
        if self._dim < 2:
            raise ValueError(f"dim: must be at least 2, got {self._dim}")
        scale = real(scale, "scale", POSITIVE)
        self._target = _core.mcmc.targets.Target.funnel(self._dim, scale)


class StudentT(Target):
    r"""Student's distribution in `d` dimensions, standard: heavy tails.

    Parameters
    ----------
    dim : int
        How many coordinates.
    df : float, default 1.0
        Degrees of freedom: Cauchy's distribution with one.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its domain.

    Notes
    -----
    The density is proportional to $(1 + |x|^2 / \nu)^{-(\nu + d) / 2}$, and normalised.

    Examples
    --------
    >>> from sortes.mcmc import StudentT
    >>> StudentT(1)([[0.0]]).round(3)  # -log(pi)
    array([-1.145])
    """

    def __init__(self, dim: AtLeastOne, *, df: Positive = 1.0) -> None:
        self._dim = _dim_of(dim)
        df = real(df, "df", POSITIVE)
        half = 0.5 * self._dim
        try:
            constant = math.lgamma(0.5 * df + half) - math.lgamma(0.5 * df)
        except (OverflowError, ValueError):
            constant = math.nan
        constant -= half * (math.log(df) + math.log(math.pi))
        if not math.isfinite(constant):
            raise ValueError(f"df: must be in the range of the gamma function, got {shown(df)}")
        self._target = _core.mcmc.targets.Target.student_t(self._dim, df, constant)


class CLogp:
    """A log density that is compiled: a C function, called without the interpreter.

    Parameters
    ----------
    obj : object
        A numba ``@cfunc``, a function of ctypes, a ``scipy.LowLevelCallable``, a ``PyCapsule`` (its
        context is passed on as `user`), or the address of a function.
    ndim : int
        How many coordinates a point has.
    signature : {"status", "scalar", "grad", "batch"}
        How the function is called; see below.

    Raises
    ------
    ValueError
        If an address is zero, or an argument out of its domain.
    TypeError
        If `obj` is none of these.

    Notes
    -----
    ============ ======================================================================
    signature    C function
    ============ ======================================================================
    ``status``   ``int f(int n, const double *x, double *logp, void *user)``
    ``scalar``   ``double f(int n, const double *x, void *user)``
    ``grad``     ``int f(size_t n, const double *x, double *grad, double *logp, void *user)``
    ``batch``    ``int f(size_t m, size_t n, const double *x, double *logp, void *user)``
    ============ ======================================================================

    A result of 0 is success, a positive one means that the density is zero there, and a negative
    one ends the run. `logp` holds NaN before each call: a function that fails without a word is
    seen, and its point never accepted. A numba function that raises returns 0.0, which is a log
    density under ``scalar``: prefer ``status``. The gradient is not used.

    Chains call the function from several threads at once: it must allow that, or ``num_threads=1``
    must be given to `sample`. Nobody can check an address: a wrong one ends the process.

    Examples
    --------
    >>> import ctypes
    >>> import numpy as np
    >>> from sortes.mcmc import CLogp, Slice, sample
    >>> pointer = ctypes.POINTER(ctypes.c_double)
    >>> kind = ctypes.CFUNCTYPE(
    ...     ctypes.c_int, ctypes.c_int, pointer, pointer, ctypes.c_void_p
    ... )
    >>> @kind  # in earnest, compiled
    ... def normal(n, x, logp, user):
    ...     logp[0] = -0.5 * sum(x[i] ** 2 for i in range(n))
    ...     return 0
    >>> trace = sample(CLogp(normal, 2), Slice(2.0), np.zeros(2), draws=50, rng=0)
    >>> trace.draws.shape
    (4, 50, 2)
    """

    def __init__(self, obj: object, ndim: AtLeastOne, *, signature: Signature = "status") -> None:
        address, user = _address_of(obj)
        self._dim = _dim_of(ndim, "ndim")
        one_of(signature, "signature", get_args(Signature))
        self._keep_alive = obj
        self._target = _core.mcmc.targets.Target.at_address(address, user, self._dim, signature)


def _dim_of(dim: Any, name: str = "dim") -> int:
    number = int(AT_LEAST_1.check(dim, name))
    if number > _MOST:
        raise ValueError(f"{name}: must be below 2**31, got {number}")
    return number


def _address_of(obj: Any) -> tuple[int, int]:
    """Return the address of a function, and that of what it is to be passed."""
    if isinstance(obj, tuple) and type(obj).__name__ == "LowLevelCallable":
        obj = tuple.__getitem__(obj, 0)  # a capsule, which indexing would not give
    user = 0
    if type(obj).__name__ == "PyCapsule":
        address, user = _capsule(obj)
    elif isinstance(obj, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        address = ctypes.cast(obj, ctypes.c_void_p).value or 0
    elif isinstance(obj, int) and not isinstance(obj, bool):
        address = obj
    elif type(getattr(obj, "address", None)) is int:
        address = obj.address
    else:
        what = "a numba cfunc, a ctypes function, a LowLevelCallable, a PyCapsule or an address"
        raise TypeError(f"obj: must be {what}, got {shown(obj)}")
    if not 0 < address < _ADDRESSES:
        raise ValueError(f"obj: must have an address above 0, got {shown(address)}")
    return address, user


def _capsule(capsule: object) -> tuple[int, int]:
    api = ctypes.pythonapi
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    context = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyCapsule_GetContext", api))
    return pointer(capsule, name(capsule)) or 0, context(capsule) or 0
