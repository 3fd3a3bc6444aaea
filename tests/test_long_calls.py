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
SIZES = {  # scale and shape; every family is here
    "select": (1_500_000 if WHOLE else 200_000, "wide"),
    "pool": (1_000_000 if WHOLE else 100_000, "wide"),
    "pool, many problems": (1_000_000 if WHOLE else 100_000, "tall"),
    "decode": (250_000 if WHOLE else 30_000, "wide"),
    "decode, many rows": (300_000 if WHOLE else 30_000, "tall"),
}
MOMENTS = "0.3,0.8" if WHOLE else "0.4"


@pytest.mark.skipif(sys.platform == "win32", reason="needs timers that interrupt")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SIZES)
def test_every_call(name, tmp_path):
    arguments = [name.partition(",")[0], *SIZES[name], MOMENTS]
    workers.run(interrupted.__file__, arguments, tmp_path).check()
