"""Odd values at every public argument: nothing ends, hangs, panics or changes an object.

Each module is tried in a process of its own, by `odd_values`. ``SORTES_ODD_CALLS=50000`` makes
that many calls at the families, and as many at the integrations; without it, there are 3000.
"""

import math
import os
import sys

import odd_values
import pytest
import signatures
import sortes
import test_bad_values as bad
import workers

CALLS = int(os.environ.get("SORTES_ODD_CALLS", "3000"))
SEED = os.environ.get("SORTES_ODD_SEED", "0")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs timers that interrupt"),
    pytest.mark.timeout(300 + CALLS // 20),
]


@pytest.mark.parametrize("module", ["", *sortes.FAMILIES])
def test_families(module, tmp_path):
    # As large a share of the calls as that of what there is to call.
    share = len(bad.callables(module)) / len(bad.FAMILIES)
    _try(module, math.ceil(CALLS * share), tmp_path)


@pytest.mark.parametrize("module", signatures.integration_modules())
def test_integrations(module, tmp_path):
    pytest.importorskip(f"sortes.{module}", exc_type=ImportError)
    _try(module, CALLS // len(signatures.integration_modules()), tmp_path)


def _try(module, calls, tmp_path):
    found = workers.run(odd_values.__file__, [module, SEED, calls], tmp_path)
    found.check()
    assert found.counts.total() == calls
