"""Philox4x32-10 in integer operations that NumPy arrays and Torch tensors share.

The same key, row, step and purpose give the same bits as the streams of the native module.
"""

from __future__ import annotations

from typing import Any, Final

#: What a number is drawn for: the high half of the last counter word.
TOKEN: Final = 1
COIN: Final = 2

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


def draws(key: tuple[Any, Any], rows: Any, step: int, purpose: int) -> Any:
    """Return the first 53-bit integer of each row's stream; times `ULP`, a uniform on [0, 1).

    Parameters
    ----------
    key
        Low and high half of the key: ints, or int64 of shape (B,).
    rows : array or tensor of int64, shape (B,)
        The stream ids of the rows.
    step
        The step of generation.
    purpose
        `TOKEN` or `COIN`.

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
