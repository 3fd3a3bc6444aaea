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

for name, module in inspect.getmembers(_core, inspect.ismodule):
    sys.modules[f"sortes._core.{name}"] = module
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
