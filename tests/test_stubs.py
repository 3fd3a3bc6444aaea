"""The stubs of the native module say what is there."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

# The modules inside `_core` are attributes; the checker wants to import them by path.
CHECK = """
import inspect, sys
from mypy import stubtest
from sortes import _core

def register(path, module):
    sys.modules[path] = module
    for name, inner in inspect.getmembers(module, inspect.ismodule):
        register(f"{path}.{name}", inner)

register("sortes._core", _core)
options = ["sortes._core", "--mypy-config-file", "pyproject.toml"]
sys.exit(stubtest.test_stubs(stubtest.parse_options(options)))
"""


@pytest.mark.slow
def test_stubs_agree_with_the_native_module():
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
