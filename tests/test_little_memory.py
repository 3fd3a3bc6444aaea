"""With little memory left, every call gives its result or a `MemoryError`, and the process lives.

``SORTES_STARVED=1`` makes all calls with 10, 40 and 150 MiB left, on data that need more; without
it, the data and what is left are smaller.
"""

import os

import little_memory
import pytest
import sortes
import starved
import test_long_calls
import workers

WHOLE = "SORTES_STARVED" in os.environ
SIZES = {  # scale and shape; every family is here
    "select": (1_500_000 if WHOLE else 150_000, "wide"),
    "pool": (1_000_000 if WHOLE else 100_000, "wide"),
    "pool, many problems": (1_000_000 if WHOLE else 100_000, "tall"),
    "mcmc": (1_000_000 if WHOLE else 100_000, "wide"),
    "graph": (200_000 if WHOLE else 20_000, "wide"),
    "decode": (250_000 if WHOLE else 40_000, "wide"),
    "decode, many rows": (300_000 if WHOLE else 50_000, "tall"),
    "sequences": (250_000 if WHOLE else 40_000, "wide"),
    "sequences, many rows": (300_000 if WHOLE else 50_000, "tall"),
}
SPARES = "10,40,150" if WHOLE else "1,6"


@starved.linux_only
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SIZES)
def test_every_call(name, tmp_path):
    arguments = [name.partition(",")[0], *SIZES[name], SPARES]
    # One arena: the C library sets memory aside for others, which counts as held.
    found = workers.run(little_memory.__file__, arguments, tmp_path, MALLOC_ARENA_MAX="1")
    found.check()
    assert found.counts["refused"] > 10


def test_every_family_has_sizes():
    for sizes in (SIZES, test_long_calls.SIZES):
        assert {name.partition(",")[0] for name in sizes} == set(sortes.FAMILIES)
