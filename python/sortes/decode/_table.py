"""The table of rules of the native module: what everything that lists rules is derived from."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from sortes import _core
from sortes._check import Domain

if TYPE_CHECKING:
    from collections.abc import Mapping

Flag: TypeAlias = Literal["keeps_best", "reshapes", "critical", "random"]


class Parameter(NamedTuple):
    """A number that a rule takes.

    Attributes
    ----------
    name
        What users call it.
    neutral
        The value at which it changes nothing.
    domain
        Where it must lie, unless it is neutral.
    is_switch
        Whether another value switches its rule on.
    is_off_below
        Whether values below the neutral one do not.
    """

    name: str
    neutral: float
    domain: Domain
    is_switch: bool
    is_off_below: bool

    def is_off(self, value: float) -> bool:
        """Whether a value is as good as the neutral one."""
        return value == self.neutral or (self.is_off_below and value < self.neutral)


class Rule(NamedTuple):
    """A truncation rule.

    Attributes
    ----------
    name
        What ``order=`` calls it.
    parameters
        Its own.
    shared
        Those of other rules that it reads, and that switch it on.
    flags
        Of a rule under which the most likely token always stays, ``keeps_best``; that changes
        the probabilities of the tokens that it keeps, ``reshapes``; under which each token has a
        parameter at which it leaves, ``critical``; that acts on a row at random, ``random``.
    """

    name: str
    parameters: tuple[Parameter, ...]
    shared: tuple[str, ...]
    flags: frozenset[str]

    @property
    def switches(self) -> tuple[str, ...]:
        """The parameters that switch it on."""
        return (*(own.name for own in self.parameters if own.is_switch), *self.shared)

    def reads(self, name: str) -> bool:
        """Whether it reads a parameter."""
        return name in self.shared or any(name == own.name for own in self.parameters)


def _parameters(entries: list[tuple[str, float, str, bool, bool, bool]]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(name, neutral, Domain(domain, integer=integer), *flags)
        for name, neutral, domain, integer, *flags in entries
    )


#: Every rule under its name.
TABLE: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        name: Rule(name, _parameters(parameters), tuple(shared), frozenset(flags))
        for name, parameters, shared, flags in _core.decode.sampling.RULES
    }
)

#: Every parameter under its name; last, what all rules read.
PARAMETERS: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            *(parameter for rule in TABLE.values() for parameter in rule.parameters),
            *_parameters(_core.decode.sampling.COMMON),
        )
    }
)

#: The rules that read each parameter; none for what all rules read.
READERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: tuple(rule.name for rule in TABLE.values() if rule.reads(name)) for name in PARAMETERS}
)

#: The temperature below which the most likely token is the only one.
GREEDY: Final = _core.decode.sampling.GREEDY


def rules_with(flag: Flag) -> tuple[str, ...]:
    """Return the names of the rules that have a flag."""
    return tuple(rule.name for rule in TABLE.values() if flag in rule.flags)
