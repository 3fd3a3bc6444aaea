"""Ctrl-C in long calls of everything: answered within half a second, the object as documented.

``SORTES_INTERRUPTED=1`` tries calls of seconds, at two moments of each; without it, shorter ones at
one moment.
"""

import os
import sys

import interrupted
import public as tables
import pytest
import workers

WHOLE = "SORTES_INTERRUPTED" in os.environ
TRIALS = [
    (family, scale, shape)
    for family, shape, scales in tables.sizes("LONG")
    for scale in (scales[1:] if WHOLE else scales[:1])
]
MOMENTS = "0.3,0.8" if WHOLE else "0.4"


@pytest.mark.skipif(sys.platform == "win32", reason="needs timers that interrupt")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("family", "scale", "shape"), TRIALS)
def test_every_call(family, scale, shape, tmp_path):
    arguments = [family, scale, shape, MOMENTS]
    workers.run(interrupted.__file__, arguments, tmp_path).check()
