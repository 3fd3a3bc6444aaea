"""With little memory left, every call gives its result or a `MemoryError`, and the process lives.

``SORTES_STARVED=1`` makes all calls with 10, 40 and 150 MiB left, on data that need more; without
it, the data and what is left are smaller.
"""

import os

import little_memory
import public as tables
import pytest
import starved
import workers

WHOLE = "SORTES_STARVED" in os.environ
SPARES = "10,40,150" if WHOLE else "1,6"


@starved.linux_only
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("family", "shape", "scales"), tables.sizes("STARVED"))
def test_every_call(family, shape, scales, tmp_path):
    arguments = [family, scales[WHOLE], shape, SPARES]
    # One arena: the C library sets memory aside for others, which counts as held.
    found = workers.run(little_memory.__file__, arguments, tmp_path, MALLOC_ARENA_MAX="1")
    found.check()
    assert found.counts["refused"] >= min(11, found.counts.total())
