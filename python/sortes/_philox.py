"""Philox4x32-10 in integer operations that NumPy arrays and Torch tensors share.

The same key, row, step and purpose give the same bits as the streams of the native module.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final, TypeAlias

import numpy as np

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

#: The spacing of 53-bit uniforms.
ULP: Final = 2.0**-53


def block(key: tuple[Any, Any], counter: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Return the four random words that a key assigns to a counter.

    Parameters
    ----------
    key, counter
        Words in [0, 2**32): ints, or int64 arrays or tensors that broadcast; the third counter word
        is an array or a tensor.

    Returns
    -------
    tuple of four int64 arrays or tensors
        The words, in [0, 2**32).
    """
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(_ROUNDS):
        high_a, low_a = _product(_MULTIPLIERS[0], c0)
        high_b, low_b = _product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high_b ^ c1 ^ k0, low_b, high_a ^ c3 ^ k1, low_a
        k0, k1 = (k0 + _INCREMENTS[0]) & _MASK, (k1 + _INCREMENTS[1]) & _MASK
    return c0, c1, c2, c3


def draws(key: tuple[Any, Any], rows: Any, step: Any, purpose: int) -> Any:
    """Return the first 53-bit integer of each row's stream; times `ULP`, a uniform on [0, 1).

    Parameters
    ----------
    key
        Low and high half of the key: ints, or int64 of shape (B,).
    rows : array or tensor of int64, shape (B,)
        The stream ids of the rows.
    step
        The step of generation: an int, or int64 of shape (B,).
    purpose
        What they are drawn for, a value of `_core.PURPOSES`.

    Returns
    -------
    array or tensor of int64, shape (B,)
        Integers in [0, 2**53).
    """
    w0, w1, _, _ = block(key, (0, step, rows, purpose << 16))
    return w1 << 21 | w0 >> 11


def _product(m: int, x: Any) -> tuple[Any, Any]:
    """Return the high and low word of a 64-bit product, without leaving the range of int64."""
    low, high = m * (x & 0xFFFF), m * (x >> 16)
    total = high + (low >> 16)
    return total >> 16, (total & 0xFFFF) << 16 | low & 0xFFFF


def normals(key: tuple[Any, Any], entities: Any, step: int, purpose: int, count: int) -> Any:
    """Return standard normals, the bits of the native module: `count` in a row of each entity.

    Nothing waits for a device.

    Parameters
    ----------
    key
        Low and high half of the key: ints, or int64 of shape (n,).
    entities : array or tensor of int64, shape (n,)
        What the numbers belong to, in [0, 2**48).
    step
        The step.
    purpose
        What they are drawn for, a value of `_core.PURPOSES`.
    count
        How many of each.

    Returns
    -------
    array or tensor of float64, shape (n, count)
        The first `count` normals of each entity's stream.

    Examples
    --------
    >>> from sortes import _core
    >>> plain = _core.PURPOSES["uniform"]
    >>> normals((7, 0), np.arange(2), 0, plain, count=3).round(3)
    array([[-0.005, -0.151,  1.696],
           [-0.107,  0.332, -1.321]])
    """
    xp, draws = _sequences(key, entities, step, purpose, count)
    bits = xp.stack([high << 20 | low >> 12 for low, high in draws], -1)  # 52 of each
    bits = bits.reshape(len(entities), 2 * bits.shape[1])[:, :count]
    return _normal_quantile(xp, (xp.asarray(bits, dtype=xp.float64) + 0.5) * (2 * ULP))


def sequences(key: tuple[Any, Any], entities: Any, step: int, purpose: int, count: int) -> Any:
    """Return the first `count` 53-bit integers of each entity's stream: `draws` has the first.

    The arguments are those of `normals`.

    Returns
    -------
    array or tensor of int64, shape (n, count)
        Integers in [0, 2**53).
    """
    xp, draws = _sequences(key, entities, step, purpose, count)
    bits = xp.stack([high << 21 | low >> 11 for low, high in draws], -1)
    return bits.reshape(len(entities), 2 * bits.shape[1])[:, :count]


def _sequences(
    key: tuple[Any, Any], entities: Any, step: int, purpose: int, count: int
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Return a namespace, and the halves of both draws of each block of each entity, low first."""
    names = entities[:, None]
    k0, k1 = (half if isinstance(half, int) else half[:, None] for half in key)
    if isinstance(entities, np.ndarray):
        xp, blocks = np, np.arange(-(-count // 2))[None]
    else:
        xp = sys.modules["torch"]
        blocks = xp.arange(-(-count // 2), device=entities.device)[None]
    words = block((k0, k1), (blocks, step, names & _MASK, purpose << 16 | names >> 32))
    return xp, [(words[0], words[1]), (words[2], words[3])]


# What follows repeats the native module operation by operation: additions, multiplications,
# divisions and square roots of float64 have one result each on every device.

_SQRT_HALF: Final = math.sqrt(0.5)
#: The logarithm of 2 in two parts: the product of the first with an exponent is exact.
_LN_2: Final = (float.fromhex("0x1.62e42p-1"), 4.749325039031673e-07)


def _normal_quantile(xp: Any, p: Any) -> Any:
    """Wichura's AS 241, in operations of NumPy or Torch."""
    q = p - 0.5
    centre = q * _ratio(0.180625 - q * q, _CENTRE)
    r = _sqrt(xp, -_ln(xp, xp.where(q < 0, p, 1 - p)))
    z = xp.where(r <= 5, _ratio(r - 1.6, _SHOULDER), _ratio(r - 5, _TAIL))
    return xp.where(xp.abs(q) <= 0.425, centre, xp.where(q < 0, -z, z))


def _sqrt(xp: Any, x: Any) -> Any:
    if xp is np or not x.is_cpu:
        return xp.sqrt(x)
    return xp.from_numpy(np.sqrt(x.numpy()))  # Torch's own may err in the last place there


def _ln(xp: Any, x: Any) -> Any:
    """Return the logarithm of positive normal numbers."""
    # x = 2^e m with m in [sqrt(1/2), sqrt(2)).
    m, e = xp.frexp(x)
    small = m < _SQRT_HALF
    m, e = xp.where(small, 2 * m, m), xp.asarray(xp.where(small, e - 1, e), dtype=m.dtype)
    s = (m - 1) / (m + 1)
    square = s * s
    series = 0 * s
    for k in range(23, 1, -2):
        series = (series + 1 / k) * square
    return e * _LN_2[0] + ((2 * s + 2 * s * series) + e * _LN_2[1])


_Rational: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


def _ratio(r: Any, polynomials: _Rational) -> Any:
    numerator, denominator = (0 * r, 0 * r)
    for a, b in zip(*polynomials, strict=True):
        numerator, denominator = numerator * r + a, denominator * r + b
    return numerator / denominator


# Numerators and denominators, highest power first.
_CENTRE: Final = (
    (
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ),
    (
        5226.495278852855,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ),
)
_SHOULDER: Final = (
    (
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ),
    (
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ),
)
_TAIL: Final = (
    (
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ),
    (
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ),
)
