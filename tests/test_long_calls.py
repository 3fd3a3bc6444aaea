"""Ctrl-C in long calls of everything: answered within half a second, the object as documented.

``SORTES_INTERRUPTED=1`` tries calls of seconds, at two moments of each; without it, shorter ones at
one moment.
"""

import os
import sys

import interrupted
import pytest
import workers

WHOLE = "SORTES_INTERRUPTED" in os.environ
SIZES = {  # a scale and others for the whole, and the shape; every family is here
    "select": (200_000, (500_000, 1_500_000, 4_000_000), "wide"),
    "pool": (100_000, (1_000_000, 4_000_000), "wide"),
    "pool, many problems": (100_000, (1_000_000, 4_000_000), "tall"),
    "mcmc": (100_000, (1_000_000, 4_000_000), "wide"),
    "graph": (30_000, (200_000, 600_000), "wide"),
    "decode": (30_000, (250_000, 700_000), "wide"),
    "decode, many rows": (30_000, (300_000, 900_000), "tall"),
    "sequences": (30_000, (250_000, 700_000), "wide"),
    "sequences, many rows": (30_000, (300_000, 900_000), "tall"),
}
TRIALS = [
    (name, scale, shape)
    for name, (small, large, shape) in SIZES.items()
    for scale in (large if WHOLE else [small])
]
MOMENTS = "0.3,0.8" if WHOLE else "0.4"


@pytest.mark.skipif(sys.platform == "win32", reason="needs timers that interrupt")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "scale", "shape"), TRIALS)
def test_every_call(name, scale, shape, tmp_path):
    arguments = [name.partition(",")[0], scale, shape, MOMENTS]
    workers.run(interrupted.__file__, arguments, tmp_path).check()
