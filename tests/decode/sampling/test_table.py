"""The table of rules: everything that lists rules agrees with it."""

import re
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from decode.rules import ALONE, OTHERS, PAIRS, SWITCHES
from signatures import record_fields
from sortes.decode import Rules
from sortes.decode._table import PARAMETERS, READERS, TABLE, rules_with
from sortes.decode.rules import _OPTIONS, DEFAULTS, ORDERS, RuleArgs
from sortes.decode.stats import Critical

DOCS = Path(__file__).parents[3] / "docs" / "decode" / "index.md"


def domain_of(hint):
    """The domain that an annotation declares."""
    if get_origin(hint) is Annotated:
        return hint.__metadata__[0]
    return next((found for part in get_args(hint) if (found := domain_of(part))), None)


def test_the_arguments_are_those_of_the_table():
    hints = record_fields(RuleArgs)
    assert hints.keys() == PARAMETERS.keys() | _OPTIONS.keys()
    assert {name: domain_of(hints[name]) for name in PARAMETERS} == {
        name: parameter.domain for name, parameter in PARAMETERS.items()
    }


def test_the_docstring_describes_every_argument_and_names_every_rule():
    parameters, _, _ = Rules.__doc__.partition("Attributes\n")
    described = re.findall(r"^    (\w[\w, ]*) : ", parameters, re.MULTILINE)
    assert {name for entry in described for name in entry.split(", ")} == (
        PARAMETERS.keys() | _OPTIONS.keys()
    )
    order = parameters[parameters.index("order : ") : parameters.index("ties : ")]
    assert all(re.search(rf"\b{rule}\b", order) for rule in TABLE if rule != "smoothing")


def test_the_page_describes_every_argument_and_its_neutral_value():
    page = DOCS.read_text(encoding="utf-8")
    for name in PARAMETERS.keys() | _OPTIONS.keys():
        assert re.search(rf"\b{name}\b", page), name
    table = re.findall(r"^\| \[`(\w+)`\]\(#[\w-]+\) \| ([^|]+) \|", page, re.MULTILINE)
    shown = {name: value.strip("` ") for name, value in table}
    assert shown.keys() == {
        parameter.name
        for rule in TABLE.values()
        if "reshapes" not in rule.flags
        for parameter in rule.parameters
        if parameter.is_switch
    }
    for name, value in shown.items():
        neutral = {"None": float("inf"), "False": 0.0}.get(value)
        assert (float(value) if neutral is None else neutral) == DEFAULTS[name], name


def test_the_orders_hold_every_rule():
    joint = set(TABLE["top_k_top_p"].shared)
    for name, order in ORDERS.items():
        assert len(set(order)) == len(order)
        left_out = joint if name == "joint" else {"top_k_top_p"}
        assert set(order) == TABLE.keys() - left_out


def test_tensors_have_every_rule(torch):
    from sortes.decode._torch_rules import CRITICAL, RULES

    assert RULES.keys() == TABLE.keys()
    assert sorted(CRITICAL) == sorted(rules_with("critical"))


def test_the_critical_rules_are_listed():
    assert sorted(get_args(Critical)) == sorted(rules_with("critical"))


def test_a_rule_acts_exactly_if_a_switch_does():
    for name, parameter in PARAMETERS.items():
        switched = Rules(**{name: parameter.neutral}).params
        assert switched == {}
        assert READERS[name] or name == "min_tokens_to_keep"
        if parameter.is_off_below:
            assert Rules(**{name: parameter.neutral - 1}).params == {}


def test_every_parameter_has_values():
    assert SWITCHES.keys() == {name for name, p in PARAMETERS.items() if p.is_switch}
    assert OTHERS.keys() == {name for name, p in PARAMETERS.items() if not p.is_switch}
    assert ALONE.keys() == {rule.name for rule in TABLE.values() if rule.parameters}
    assert {name for args in PAIRS for name in args} >= {
        rule.parameters[0].name for rule in TABLE.values() if rule.parameters
    }


@pytest.mark.parametrize("name", SWITCHES)
def test_the_values_are_what_they_say(name):
    parameter, values = PARAMETERS[name], SWITCHES[name]
    for value in [*values.rows, *values.grid, values.acts]:
        assert value in parameter.domain or value == parameter.neutral
    assert not parameter.is_off(values.acts)
    assert any(map(parameter.is_off, values.rows))
    critical = [rule for rule in READERS[name] if "critical" in TABLE[rule].flags]
    assert bool(critical) == (values.critical is not None)
