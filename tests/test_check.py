"""Checks of single arguments: what passes, what is refused, and in which words."""

import decimal
import enum
import fractions
import math
import re
from datetime import date
from typing import Annotated, get_type_hints

import numpy as np
import pytest
from sortes import _check
from sortes._check import Domain, count, flag, integer, items, one_of, real, shown


class Eleven(enum.IntEnum):
    ELEVEN = 11


class Index:
    def __index__(self):
        return 11


class Broken:
    def __index__(self):
        raise RuntimeError("broken")

    __float__ = __index__

    def __repr__(self):
        raise RuntimeError("broken")


INTEGERS = [11, np.int8(11), np.uint64(11), np.array(11), Eleven.ELEVEN, Index()]
NO_INTEGERS = [1.5, 2.0, True, np.True_, np.array(True), "11", None, 1j, [11], np.array([11])]
NO_INTEGERS += [np.float64(2), np.array(2.0), date(2020, 1, 1), Broken(), np.datetime64(11, "s")]
REALS = [0.5, np.float32(0.5), np.float16(0.5), np.array(0.5), fractions.Fraction(1, 2)]
REALS += [decimal.Decimal("0.5"), np.longdouble(0.5)]
NO_REALS = ["0.5", b"0.5", bytearray(b"1"), np.str_("1"), np.array("1"), np.array("1", object)]
NO_REALS += [None, True, np.False_, 1j, np.complex64(1), date(2020, 1, 1), Broken(), [0.5]]
NO_REALS += [np.datetime64(1, "s"), np.timedelta64(1, "s"), np.array([0.5]), object()]


@pytest.mark.parametrize("value", INTEGERS, ids=lambda value: type(value).__name__)
def test_integers(value):
    for number in (integer(value, "k"), count(value, "k"), _check.COUNT.check(value, "k")):
        assert number == 11
        assert type(number) is int
    assert real(value, "x") == 11.0
    assert type(real(value, "x")) is float


@pytest.mark.parametrize("value", NO_INTEGERS, ids=lambda value: type(value).__name__)
def test_what_is_no_integer(value):
    for check in (integer, count, _check.COUNT.check):
        with pytest.raises(TypeError, match=r"^k: must be an integer, got .+"):
            check(value, "k")


@pytest.mark.parametrize("value", REALS, ids=repr)
def test_reals(value):
    for number in (real(value, "x"), _check.UNIT.check(value, "x")):
        assert number == 0.5
        assert type(number) is float


@pytest.mark.parametrize("value", NO_REALS, ids=lambda value: type(value).__name__)
def test_what_is_no_real(value):
    for check in (real, _check.FINITE.check):
        with pytest.raises(TypeError, match=r"^x: must be a number, got .+"):
            check(value, "x")


def test_tensors(torch):
    for value in (torch.tensor(11), torch.tensor(11, dtype=torch.uint8)):
        assert type(integer(value, "k")) is int
    for value in (torch.tensor(0.5), torch.tensor(0.5, dtype=torch.bfloat16)):
        assert real(value, "x") == 0.5
    for value in (torch.tensor(True), torch.tensor([3]), torch.tensor(0.5), torch.tensor(1 + 0j)):
        with pytest.raises(TypeError, match=r"^k: must be an integer"):
            integer(value, "k")
    for value in (torch.tensor(True), torch.tensor([0.5]), torch.tensor(1 + 0j)):
        with pytest.raises(TypeError, match=r"^x: must be a number"):
            real(value, "x")
    assert one_of("a", "x", ("a",)) == "a"


def test_huge_integers_are_values_out_of_range():
    for huge in (2**100, -(2**100), 10**5000):
        for check in (count, _check.COUNT.check, _check.WORD.check, _check.UNIT.check):
            with pytest.raises(ValueError, match=r"^k: must be "):
                check(huge, "k")
    with pytest.raises(ValueError, match=r"^x: must be in the range of float64, got an int of "):
        real(10**400, "x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count(0, "k", 1), "k: must be at least 1, got 0"),
        (lambda: count(2**63, "k"), "k: must be below 2**63, got 9223372036854775808"),
        (lambda: count(2**32, "k", 0, 2**32 - 1), "k: must be below 2**32, got 4294967296"),
        (lambda: count(8, "k", 0, 7), "k: must be at most 7, got 8"),
        (lambda: count(2**32 - 1, "k", 0, 2**32 - 2), "k: must be at most 4294967294, got "),
        (lambda: real(math.nan, "x", Domain("(0, inf)")), "x: must be in (0, inf), got nan"),
        (lambda: real(np.float32(1.5), "x", Domain("[0, 1)")), "x: must be in [0, 1), got 1.5"),
        (lambda: _check.AT_LEAST_1.check(0, "k"), "k: must be at least 1, got 0"),
        (lambda: _check.WORD.check(-1, "step"), "step: must be in [0, 2**32), got -1"),
        (lambda: one_of("c", "m", ("a", "b")), "m: must be 'a' or 'b', got 'c'"),
        (lambda: one_of("c", "m", ("a",)), "m: must be 'a', got 'c'"),
    ],
)
def test_values_out_of_range(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def test_flags_and_options():
    assert flag(np.False_, "replace") is False
    for value in (1, 0, "yes", None, np.array(True)):
        with pytest.raises(TypeError, match=r"^replace: must be True or False, got "):
            flag(value, "replace")
    for value in (None, 3, ["a"], b"a"):
        with pytest.raises(TypeError, match=r"^method: must be 'a', 'b' or 'c', got "):
            one_of(value, "method", ("a", "b", "c"))


def test_items_are_named():
    x = np.array([[0.0, 1.0], [np.nan, 2.0]])
    items(np.ones(2, bool), x[0], "x", "is bad")
    items(np.ones(0, bool), x[0, :0], "x", "is bad")
    with pytest.raises(ValueError, match=r"^x: item \(1, 0\) is not finite: nan$"):
        items(np.isfinite(x), x, "x", "is not finite")
    with pytest.raises(ValueError, match=r"^x: item \(1, 0\) must be in \[0, 2\], got nan$"):
        Domain("[0, 2]").check_items(x, "x")
    with pytest.raises(ValueError, match=r"^x: must be in \[0, 2\], got 3.0$"):
        Domain("[0, 2]").check_items(np.array(3.0), "x")
    Domain("[0, 2]").check_items(np.zeros(0), "x")


TEXTS = ["[0, 1)", "(0, inf)", "(-inf, inf)", "(-inf, 1]", "[0, 0.99]", "(0, 1)", "[1e-7, inf)"]
INTEGER_TEXTS = ["[0, 2**32)", "[1, 2**63)", "[-1, 2**63)", "[0, 1]", "[-2**63, 2**63)"]
INTEGER_TEXTS += ["[0, 2**32 - 1)", "(0, 5)"]


@pytest.mark.parametrize(
    "domain",
    [*map(Domain, TEXTS), *(Domain(text, integer=True) for text in INTEGER_TEXTS)],
    ids=str,
)
def test_bad_values_are_bad(domain):
    bad = domain.bad_values()
    assert len(bad) >= 2
    for value in bad:
        assert value not in domain
        with pytest.raises(ValueError, match=r"^x: must be .*, got "):
            domain.check(value, "x")
    if domain.integer:
        assert all(type(value) is int for value in bad)
    else:
        assert any(math.isnan(value) for value in bad)


def test_ends():
    domain = Domain("[-2**63, 2**63)", integer=True)
    assert all(x in domain for x in (-(2**63), 2**63 - 1))
    assert not any(x in domain for x in (-(2**63) - 1, 2**63))
    assert 2**32 - 2 in Domain("[0, 2**32 - 1)", integer=True)
    assert 2**32 - 1 not in Domain("[0, 2**32 - 1)", integer=True)
    assert math.inf not in Domain("(0, inf)")
    assert math.inf in Domain("(0, inf]")
    assert 5e-324 in Domain("(0, inf)")


@pytest.mark.parametrize("text", ["", "0, 1", "[0 1]", "[a, b]", "[0, 2**x)", "[0,1]", "[0, 1)x"])
def test_texts_that_are_no_interval(text):
    with pytest.raises(ValueError, match=r"^text: must "):
        Domain(text)


def test_domains_are_values():
    assert Domain("[0, 1)") == _check.UNIT
    assert hash(Domain("[0, 1)")) == hash(_check.UNIT)
    assert Domain("[0, 1)") != Domain("[0, 1)", integer=True)
    assert eval(repr(_check.WORD), {"Domain": Domain}) == _check.WORD
    with pytest.raises(AttributeError):
        _check.UNIT.text = "[0, 2)"


def test_domains_are_found_in_signatures():
    def f(k: _check.Count, p: Annotated[float, Domain("(0, 1]")]) -> None: ...

    hints = get_type_hints(f, include_extras=True)
    assert hints["k"].__metadata__ == (_check.COUNT,)
    assert hints["p"].__metadata__[0].check(1, "p") == 1.0


def test_values_are_shown_short():
    for value in ("a" * 1000, list(range(1000)), np.zeros((50, 50)), {i: i for i in range(99)}):
        text = shown(value)
        assert len(text) <= 60
        assert "\n" not in text
    assert shown(np.float32(0.1)) == "0.1"
    assert shown(Broken()).startswith("<Broken")
