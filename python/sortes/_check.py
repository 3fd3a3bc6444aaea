"""Checks of single arguments, in one wording.

Names, types, options and scalars are checked here; the values of arrays in the kernels that read
them. Each function takes the argument's name as the user wrote it, and its message begins with it.

The domain of a scalar is declared in the signature, and the same object checks it:

    def f(k: Annotated[int, AT_LEAST_1]) -> ...:
        k = AT_LEAST_1.check(k, "k")
"""

from __future__ import annotations

import math
import operator
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Option = TypeVar("Option", bound=str)

#: The largest count: what an index of an array can hold.
LARGEST: Final = 2**63 - 1

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60
_BOUND: Final = re.compile(r"(-?)(?:2\*\*(\d+)( - 1)?|(inf|[\d.]+(?:e-?\d+)?))\Z")
_INTERVAL: Final = re.compile(r"([\[(])([^,]+), ([^,]+)([\])])\Z")


def integer(value: Any, name: str) -> int:
    """Return an integer as an int.

    Parameters
    ----------
    value
        An int, a NumPy integer, an array or a tensor of integers without axes, or anything with
        ``__index__``; not a bool.
    name
        What error messages call it.

    Returns
    -------
    int
        The value.

    Raises
    ------
    TypeError
        If it is no integer.

    Examples
    --------
    >>> integer(np.int64(3), "k")
    3
    >>> integer(1.5, "k")
    Traceback (most recent call last):
    TypeError: k: must be an integer, got 1.5
    """
    if type(value) is int:
        return value
    if _kind(value) in "iu?":
        try:
            return operator.index(value)
        except Exception:  # whatever a foreign `__index__` raises
            pass
    raise TypeError(f"{name}: must be an integer, got {shown(value)}")


def count(value: Any, name: str, least: int = 0, most: int = LARGEST) -> int:
    """Return an integer of a range as an int.

    Parameters
    ----------
    value, name
        As in `integer`.
    least, most
        The ends of the range, both inside.

    Returns
    -------
    int
        The value.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is out of the range.

    Examples
    --------
    >>> count(3, "k")
    3
    >>> count(0, "k", 1)
    Traceback (most recent call last):
    ValueError: k: must be at least 1, got 0
    """
    number = integer(value, name)
    if number < least:
        raise ValueError(f"{name}: must be at least {least}, got {shown(number)}")
    if number > most:
        power = (most + 1).bit_length() - 1
        limit = f"below 2**{power}" if power > 30 and most + 1 == 2**power else f"at most {most}"
        raise ValueError(f"{name}: must be {limit}, got {shown(number)}")
    return number


def real(value: Any, name: str, domain: Domain | None = None) -> float:
    """Return a real number as a float.

    Parameters
    ----------
    value
        A float, an int, a NumPy number, an array or a tensor of numbers without axes, or anything
        with ``__float__``; not a bool, a string, a complex number or a date.
    name
        What error messages call it.
    domain
        Where it must lie; without one, NaN and the infinities are accepted as well.

    Returns
    -------
    float
        The value.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is outside the domain, or beyond the range of float64.

    Examples
    --------
    >>> real(np.float32(0.5), "beta")
    0.5
    >>> real(1.5, "beta", Domain("[0, 1)"))
    Traceback (most recent call last):
    ValueError: beta: must be in [0, 1), got 1.5
    """
    number = value if type(value) is float else _float(value, name)
    if domain is not None and number not in domain:
        raise ValueError(f"{name}: must be in {domain}, got {shown(value)}")
    return number


def flag(value: Any, name: str) -> bool:
    """Return a bool.

    Parameters
    ----------
    value
        A bool, of Python or of NumPy.
    name
        What error messages call it.

    Returns
    -------
    bool
        The value.

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> flag(np.True_, "replace")
    True
    >>> flag("yes", "replace")
    Traceback (most recent call last):
    TypeError: replace: must be True or False, got 'yes'
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name}: must be True or False, got {shown(value)}")


def one_of(value: Option, name: str, known: Sequence[str]) -> Option:
    """Return an option that is known.

    Parameters
    ----------
    value
        The option, a string.
    name
        What error messages call it.
    known
        All options, as ``typing.get_args`` gives those of a ``Literal``.

    Returns
    -------
    str
        The value.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is unknown.

    Examples
    --------
    >>> one_of("raw", "wrap", ("raw", "drop"))
    'raw'
    >>> one_of("d", "method", ("a", "b", "c"))
    Traceback (most recent call last):
    ValueError: method: must be 'a', 'b' or 'c', got 'd'
    """
    if isinstance(value, str) and value in known:
        return value
    *others, last = map(repr, known)
    options = f"{', '.join(others)} or {last}" if others else last
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{name}: must be {options}, got {shown(value)}")


def several(value: Any, name: str, what: str) -> list[Any]:
    """Return the items of an iterable.

    Parameters
    ----------
    value
        Any iterable but a string, bytes, a mapping or a masked array.
    name
        What error messages call it.
    what
        What they say that it must hold.

    Returns
    -------
    list
        The items.

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> several(range(3), "ids", "integers")
    [0, 1, 2]
    >>> several("012", "ids", "integers")
    Traceback (most recent call last):
    TypeError: ids: must hold integers, got '012'
    """
    if not isinstance(value, str | bytes | bytearray | Mapping | np.ma.MaskedArray):
        try:
            return list(value)
        except MemoryError:
            raise
        except Exception:  # whatever a foreign `__iter__` raises
            pass
    raise TypeError(f"{name}: must hold {what}, got {shown(value)}")


def items(fine: NDArray[np.bool_], x: NDArray[Any], name: str, fault: str) -> None:
    """Name the first item of an array that is not fine.

    Parameters
    ----------
    fine
        Whether each item is.
    x
        The items.
    name
        What error messages call the array.
    fault
        What is said of the item.

    Raises
    ------
    ValueError
        If an item is not fine.

    Examples
    --------
    >>> x = np.array([1.0, np.inf])
    >>> items(np.isfinite(x), x, "values", "is not finite")
    Traceback (most recent call last):
    ValueError: values: item 1 is not finite: inf
    """
    if not fine.all():
        at, item = _first_bad(fine)
        raise ValueError(f"{name}: {item}{fault}: {x[at]}")


@final
@dataclass(frozen=True)
class Domain:
    """An interval of numbers or of integers, as it is written.

    Parameters
    ----------
    text : str
        ``"[0, 1)"``, ``"(0, inf)"``, ``"[0, 2**32)"``: ends are numbers, powers of two (less one,
        ``"2**32 - 1"``) or infinite. NaN is in no domain.
    integer : bool
        Whether it holds integers alone.

    Examples
    --------
    >>> Domain("(0, 1]").check(np.float32(0.5), "p")
    0.5
    >>> 0 in Domain("(0, 1]"), 1 in Domain("(0, 1]")
    (False, True)
    >>> Domain("[0, 2**32)", integer=True).check(-1, "step")
    Traceback (most recent call last):
    ValueError: step: must be in [0, 2**32), got -1
    """

    text: str
    integer: bool = False
    _low: float = field(init=False, repr=False, compare=False)
    _high: float = field(init=False, repr=False, compare=False)
    _open: tuple[bool, bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = _INTERVAL.match(self.text)
        if parts is None:
            raise ValueError(f"text: must be an interval such as '[0, 1)', got {self.text!r}")
        left, low, high, right = parts.groups()
        object.__setattr__(self, "_low", _bound(low))
        object.__setattr__(self, "_high", _bound(high))
        object.__setattr__(self, "_open", (left == "(", right == ")"))

    def __str__(self) -> str:
        return self.text

    def __contains__(self, number: float) -> bool:
        """Whether a Python number is inside."""
        return bool(self.holds(number))

    def holds(self, x: Any) -> Any:
        """Whether each of some numbers is inside.

        Parameters
        ----------
        x : number, ndarray or tensor
            The numbers.

        Returns
        -------
        bool, or ndarray or tensor of bool
            In the form of `x`.

        Examples
        --------
        >>> Domain("[0, 1)").holds(np.array([0.0, 1.0, np.nan]))
        array([ True, False, False])
        """
        above = x > self._low if self._open[0] else x >= self._low
        below = x < self._high if self._open[1] else x <= self._high
        return above & below

    def check(self, value: Any, name: str) -> Any:
        """Return a scalar of the domain.

        Parameters
        ----------
        value
            As in `integer` or `real`.
        name
            What error messages call it.

        Returns
        -------
        int or float
            The value, an int if the domain is one of integers.

        Raises
        ------
        TypeError
            If it is no integer, or no real number.
        ValueError
            If it is outside.

        Examples
        --------
        >>> AT_LEAST_1.check(0, "k")
        Traceback (most recent call last):
        ValueError: k: must be at least 1, got 0
        """
        if not self.integer:
            return real(value, name, self)
        if self._is_of_counts:
            return count(value, name, int(self._low))
        number = integer(value, name)
        if not self.holds(number):
            raise ValueError(f"{name}: must be in {self}, got {shown(number)}")
        return number

    def check_items(self, x: NDArray[Any], name: str) -> None:
        """Name the first item of an array that is outside.

        Parameters
        ----------
        x : ndarray
            The numbers.
        name
            What error messages call the array.

        Raises
        ------
        ValueError
            If an item is outside.

        Examples
        --------
        >>> Domain("[0, 1]").check_items(np.array([0.5, 2.0]), "pi")
        Traceback (most recent call last):
        ValueError: pi: item 1 must be in [0, 1], got 2.0
        """
        fine = np.asarray(self.holds(x))
        if not fine.all():
            at, item = _first_bad(fine)
            raise ValueError(f"{name}: {item}must be in {self}, got {x[at]}")

    def bad_values(self) -> list[float]:
        """Return numbers of the right kind that are just outside or far out, for tests.

        Returns
        -------
        list of int, or of float
            Each makes `check` raise a ``ValueError``.

        Examples
        --------
        >>> Domain("[0, 1)").bad_values()
        [-5e-324, -inf, 1.0, inf, nan]
        >>> Domain("[1, 9]", integer=True).bad_values()
        [0, -1267650600228229401496703205376, 10, 1267650600228229401496703205376]
        """
        far = 2**100 if self.integer else math.inf
        bad: list[float] = []
        for end, is_open, sign in zip((self._low, self._high), self._open, (-1, 1), strict=True):
            if is_open:
                outside = end
            elif self.integer and math.isfinite(end):
                outside = end + sign
            else:
                outside = math.nextafter(end, sign * math.inf)
            bad += [outside, sign * far]
        bad = list(dict.fromkeys(b for b in bad if not self.holds(b)))
        if self.integer:
            return [b for b in bad if isinstance(b, int)]
        return [*map(float, bad), math.nan]

    @property
    def _is_of_counts(self) -> bool:
        """Whether nothing but the range of an index bounds it above."""
        return self._high == LARGEST + 1 and self._open == (False, True)


def shown(value: Any) -> str:
    """Return how a message shows a value: in one line of at most 60 characters.

    Examples
    --------
    >>> shown(np.float32(1.5)), shown("a" * 1000)
    ('1.5', "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'")
    >>> shown(10**9999)
    'an int of 33216 bits'
    """
    if isinstance(value, int) and value.bit_length() > 1024:
        return f"an int of {value.bit_length()} bits"  # Python refuses to write the longest
    if isinstance(value, np.bool_ | np.number) or (
        isinstance(value, np.ndarray) and not value.ndim and value.dtype.kind in "biufc"
    ):
        return str(value)
    try:
        text = " ".join(_SHORT.repr(value).split())
    except Exception:  # of a foreign `__repr__`
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:28]}...{text[-29:]}"


def _first_bad(fine: NDArray[np.bool_]) -> tuple[tuple[int, ...], str]:
    """Where the first item is that is not fine, and how a message calls it."""
    at = tuple(map(int, np.unravel_index(np.argmin(fine), fine.shape)))
    return at, f"item {at[0] if len(at) == 1 else at} " if at else ""


def _kind(value: Any) -> str:
    """Return the letter of NumPy's kind of a scalar, or ``?`` where it is not known.

    Arrays and tensors with axes, which may hold one number, count as objects: ``O``.
    """
    if isinstance(value, bool):
        return "b"
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return "?"
    if getattr(value, "ndim", 0) != 0:
        return "O"
    if hasattr(dtype, "is_floating_point"):  # of Torch
        name = "complex" if dtype.is_complex else str(dtype).removeprefix("torch.")
        return "f" if dtype.is_floating_point else {"bool": "b", "complex": "c"}.get(name, "i")
    return "f" if getattr(dtype, "name", "") == "bfloat16" else getattr(dtype, "kind", "?")


def _float(value: Any, name: str) -> float:
    kind = type(value)
    if _kind(value) in "fiu?" and (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(
                f"{name}: must be in the range of float64, got {shown(value)}"
            ) from None
        except Exception:  # whatever a foreign `__float__` raises
            pass
    raise TypeError(f"{name}: must be a number, got {shown(value)}")


def _bound(text: str) -> float:
    parts = _BOUND.match(text)
    if parts is None:
        raise ValueError(f"text: must have ends such as 1, 0.5, inf or 2**32, got {text!r}")
    minus, power, less, number = parts.groups()
    size: float
    if power:
        size = 2 ** int(power) - bool(less)
    else:
        size = int(number) if number.isdigit() else float(number)
    return -size if minus else size


COUNT: Final = Domain("[0, 2**63)", integer=True)
AT_LEAST_1: Final = Domain("[1, 2**63)", integer=True)
WORD: Final = Domain("[0, 2**32)", integer=True)
KEY: Final = Domain("[0, 2**64)", integer=True)
ENTITY: Final = Domain("[0, 2**48)", integer=True)
FINITE: Final = Domain("(-inf, inf)")
NON_NEGATIVE: Final = Domain("[0, inf)")
POSITIVE: Final = Domain("(0, inf)")
PROBABILITY: Final = Domain("[0, 1]")
UNIT: Final = Domain("[0, 1)")

#: How many, and how many at least one.
Count: TypeAlias = Annotated[int, COUNT]
AtLeastOne: TypeAlias = Annotated[int, AT_LEAST_1]
#: A step of a run, and the key of a stream.
Step: TypeAlias = Annotated[int, WORD]
Key: TypeAlias = Annotated[int, KEY]
#: What a stream numbers: a row, a unit, a shard.
Entity: TypeAlias = Annotated[int, ENTITY]
#: Real numbers.
Finite: TypeAlias = Annotated[float, FINITE]
NonNegative: TypeAlias = Annotated[float, NON_NEGATIVE]
Positive: TypeAlias = Annotated[float, POSITIVE]
Probability: TypeAlias = Annotated[float, PROBABILITY]
Unit: TypeAlias = Annotated[float, UNIT]
