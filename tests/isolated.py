"""A plugin for tests that may take the process down: ``@pytest.mark.isolated`` runs one in its own.

Native code of others may die of a signal, above all when it was compiled for another processor.
Then one test fails and says so, and the others run.
"""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the fixtures of these tests to the other process."""
    for item in items:
        if item.get_closest_marker("isolated"):
            item.fixturenames = []


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the test in another pytest, which lacks this plugin, and end as it ends there."""
    if not pyfuncitem.get_closest_marker("isolated"):
        return None
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:isolated", "-p", "no:cacheprovider"),
                *(f"--rootdir={pyfuncitem.config.rootpath}", f"--junitxml={report}"),
                pyfuncitem.nodeid,
            ],
            cwd=pyfuncitem.config.rootpath,
            # What pytest and its plugins have set is meant for this process.
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
            capture_output=True,
            text=True,
            check=False,
        )
        output = f"\n{done.stdout}{done.stderr}"
        if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            pytest.fail(f"its process ended with {_name(done.returncode)}{output}", pytrace=False)
        if done.returncode == pytest.ExitCode.TESTS_FAILED:
            pytest.fail(f"failed in a process of its own{output}", pytrace=False)
        for skipped in ET.parse(report).iter("skipped"):
            pytest.skip(skipped.get("message", ""))
    return True


def _name(code: int) -> str:
    """Return the name of the signal that ended a process, or its exit code."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code:#x}"
