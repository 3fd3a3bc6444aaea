"""Calls in a process that has little memory left."""

import subprocess
import sys

import pytest

MIB = 1 << 20
linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS"
)

SCRIPT = """
import resource
{setup}
calls = [{calls}]
refused = 0
for spare in {spares}:
    for call in calls:
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + spare
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        try:
            call()
        except MemoryError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
print(refused)
"""


def refused(setup, calls, spares):
    """How often calls raise a `MemoryError` in a process that must outlive all of them.

    Parameters
    ----------
    setup
        The code that makes what the calls need; it makes each kind of call once, in plenty.
    calls
        The code of several functions without arguments.
    spares
        The bytes that the process may have beyond what it holds, each in turn.
    """
    script = SCRIPT.format(setup=setup, calls=calls, spares=tuple(spares))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
