"""Densities that are compiled: C functions, which chains call without the interpreter."""

from __future__ import annotations

import ctypes
from typing import Any, Final, Literal, TypeAlias, get_args

from sortes import _core
from sortes._check import AtLeastOne, one_of, shown
from sortes.mcmc.targets import dim_of

Signature: TypeAlias = Literal["scalar", "status", "grad", "batch", "stan"]

#: One more than the last address.
_ADDRESSES: Final = 2 ** (8 * ctypes.sizeof(ctypes.c_void_p))


class CLogp:
    """A log density that is compiled: a C function, called without the interpreter.

    Parameters
    ----------
    obj : object
        A numba ``@cfunc``, a function of ctypes, a ``scipy.LowLevelCallable``, a ``PyCapsule`` (its
        context is passed on as `user`), the address of a function, a model that
        ``nutpie.compile_pymc_model`` compiled, with ``signature="grad"``, or a
        ``bridgestan.StanModel``, with ``signature="stan"``.
    ndim : int
        How many coordinates a point has.
    signature : {"status", "scalar", "grad", "batch", "stan"}
        How the function is called; see below.
    conditional : object, optional
        Another function, in any of these forms, which `Slice` then calls for its updates:
        ``int f(int i, int n, const double *x, double *logp, void *user)``, the log density up to
        what does not change with coordinate `i`. For models of which a coordinate changes little.

    Raises
    ------
    ValueError
        If an address is zero, or an argument out of its domain.
    TypeError
        If `obj` or `conditional` is none of these.

    Notes
    -----
    ============ ======================================================================
    signature    C function
    ============ ======================================================================
    ``status``   ``int f(int n, const double *x, double *logp, void *user)``
    ``scalar``   ``double f(int n, const double *x, void *user)``
    ``grad``     ``int f(size_t n, const double *x, double *grad, double *logp, void *user)``
    ``batch``    ``int f(size_t m, size_t n, const double *x, double *logp, void *user)``
    ``stan``     ``int f(const void *user, bool propto, bool jacobian, const double *x, double
                 *logp, char **error)``
    ============ ======================================================================

    A result of 0 is success, a positive one means that the density is zero there, and a negative
    one ends the run; with ``stan``, which is ``bs_log_density`` of BridgeStan 2, any but 0 is an
    exception in the program, and counts as NaN. `logp` holds NaN before each call: a function that
    fails without a word is seen, and its point never accepted. A numba function that raises returns
    0.0, which is a log density under ``scalar``: prefer ``status``. The gradient is not used.

    With `conditional`, an update of coordinate `i` compares its values alone: that of the state,
    then those of points that differ in this coordinate. ``trace.logp`` sums up their changes, and
    is evaluated as a whole after every 64 transitions. All count as evaluations. Other kernels
    call the whole density.

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

    def __init__(
        self,
        obj: object,
        ndim: AtLeastOne,
        *,
        signature: Signature = "status",
        conditional: object = None,
    ) -> None:
        address, user = _address_of(obj, "obj")
        self._dim = dim_of(ndim, "ndim")
        one_of(signature, "signature", get_args(Signature))
        for attribute, wanted, whose in (
            ("compiled_logp_func", "grad", "nutpie's"),
            ("stanlib", "stan", "BridgeStan's"),
        ):
            if hasattr(obj, attribute) and signature != wanted:
                raise ValueError(
                    f"signature: must be {wanted!r} for {whose} models, got {signature!r}"
                )
        part = None if conditional is None else _address_of(conditional, "conditional")
        self._keep_alive, self._signature, self._conditional = obj, signature, conditional
        self._target = _core.mcmc.targets.Target.at_address(
            address, user, self._dim, signature, part
        )

    def __repr__(self) -> str:
        return f"CLogp({shown(self._keep_alive)}, {self._dim}, signature={self._signature!r})"


def _address_of(obj: Any, name: str) -> tuple[int, int]:
    """Return the address of a function, and that of what it is to be passed."""
    if isinstance(obj, tuple) and type(obj).__name__ == "LowLevelCallable":
        obj = tuple.__getitem__(obj, 0)  # a capsule, which indexing would not give
    user = 0
    if hasattr(obj, "compiled_logp_func") and hasattr(obj, "user_data"):
        obj, user = obj.compiled_logp_func, obj.user_data.ctypes.data
    elif hasattr(obj, "stanlib") and hasattr(obj, "model"):
        obj, user = obj.stanlib.bs_log_density, obj.model
    if type(obj).__name__ == "PyCapsule":
        address, user = _capsule(obj)
    elif isinstance(obj, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        address = ctypes.cast(obj, ctypes.c_void_p).value or 0
    elif isinstance(obj, int) and not isinstance(obj, bool):
        address = obj
    elif type(getattr(obj, "address", None)) is int:
        address = obj.address
    else:
        what = (
            "a numba cfunc, a ctypes function, a LowLevelCallable, a PyCapsule, an address or a "
            "model of nutpie's or BridgeStan's"
        )
        raise TypeError(f"{name}: must be {what}, got {shown(obj)}")
    if not 0 < address < _ADDRESSES:
        raise ValueError(f"{name}: must have an address above 0, got {shown(address)}")
    return address, user


def _capsule(capsule: object) -> tuple[int, int]:
    api = ctypes.pythonapi
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    context = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyCapsule_GetContext", api))
    return pointer(capsule, name(capsule)) or 0, context(capsule) or 0
