"""Odd values at every public argument: nothing ends, hangs, panics or changes an object.

Each module is tried in a process of its own, by `odd_values`. ``SORTES_ODD_CALLS=50000`` makes
that many calls at the families, and as many at the integrations; without it, there are 3000.
"""

import json
import os
import subprocess
import sys

import odd_values
import pytest
import signatures
import sortes

CALLS = int(os.environ.get("SORTES_ODD_CALLS", "3000"))
SEED = os.environ.get("SORTES_ODD_SEED", "0")
#: What share of the calls each module gets, by how much it offers.
SHARES = {"": 0.1, "decode": 0.45, "select": 0.45}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs timers that interrupt")


def test_families_have_shares():
    assert SHARES.keys() == {"", *sortes.FAMILIES}
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("module", SHARES)
def test_families(module, tmp_path, record_property):
    _try(module, int(CALLS * SHARES[module]), tmp_path, record_property)


@pytest.mark.parametrize("module", signatures.integration_modules())
def test_integrations(module, tmp_path, record_property):
    pytest.importorskip(f"sortes.{module}", exc_type=ImportError)
    modules = len(signatures.integration_modules())
    _try(module, CALLS // modules, tmp_path, record_property)


def _try(module, calls, tmp_path, record_property):
    """Make calls, in a new process after one that died; every death is a fault."""
    log, first, faults, counts = tmp_path / "log", 0, {}, {}
    while first < calls:
        log.write_text("")
        command = [
            sys.executable,
            odd_values.__file__,
            module,
            SEED,
            str(first),
            str(calls),
            str(log),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found = json.loads(done.stdout.splitlines()[-1])
            faults |= found["faults"]
            counts = {kind: counts.get(kind, 0) + n for kind, n in found["counts"].items()}
            break
        last = log.read_text(encoding="utf-8").splitlines()
        assert last, done.stderr
        faults[last[-1]] = f"ends the process with {done.returncode}: {done.stderr[-2000:]}"
        first = int(last[-1].split(" ", 1)[0].rpartition("-")[2]) + 1
    record_property("outcomes", json.dumps(counts))
    assert not faults, "\n".join(f"{call} -> {fault}" for call, fault in faults.items())
    assert sum(counts.values()) == calls
