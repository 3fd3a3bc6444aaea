"""The first draws of seed 0, frozen: they change only with the major version."""

import pytest
from sortes._core import _testing
from sortes._rng import as_stream
from vectors import load

FROZEN = load("stability.json")


def test_keys():
    assert as_stream(0).key == int(FROZEN["key"], 16)
    assert as_stream([1, 2, 3]).key == int(FROZEN["key_of_1_2_3"], 16)


@pytest.mark.parametrize("distribution", FROZEN["draws"])
def test_draws(distribution):
    expected = FROZEN["draws"][distribution]
    draws = _testing.draws(distribution, as_stream(0).key, len(expected))
    assert draws.tolist() == expected


def test_streams():
    stream = as_stream(0)
    assert [child.key for child in stream.split(4)] == [int(key, 16) for key in FROZEN["children"]]
    assert stream.advance(3).uniforms(4, row=2**40).tolist() == FROZEN["row_2**40_step_3"]
