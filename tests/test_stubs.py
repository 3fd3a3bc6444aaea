"""The stubs of the native module say what is there."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import signatures

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


def stub_docstrings():
    """The docstrings of the stub of `_core`, by name."""
    found = {}
    for node in ast.parse(signatures.STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = ast.get_docstring(node)
            methods = [m for m in getattr(node, "body", []) if isinstance(m, ast.FunctionDef)]
            found |= {f"{node.name}.{m.name}": ast.get_docstring(m) for m in methods}
    return found


NATIVE = [public for public in signatures.of_module("") if public.defined_in == "_core"]


@pytest.mark.parametrize("public", NATIVE, ids=str)
def test_docstrings_are_those_of_the_native_module(public):
    native = inspect.getdoc(public.object)
    assert native
    assert stub_docstrings()[public.name] == native


@pytest.mark.slow
def test_stubs_agree_with_the_native_module():
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
