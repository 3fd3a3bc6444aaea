"""A test that kills its process is one failure, which names the signal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, signal
import pytest

@pytest.fixture
def deadly():
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.isolated
def test_dies(deadly): ...

@pytest.mark.isolated
@pytest.mark.parametrize("word", ["two words"])
def test_fails(word):
    assert word == "one"

@pytest.mark.isolated
def test_skips():
    pytest.skip("no reason at all")

@pytest.mark.isolated
def test_has_a_process_of_its_own():
    assert os.getpid() != {pid}
    assert "PYTEST_XDIST_WORKER" not in os.environ

def test_shares_the_process():
    assert os.getppid() == {pid}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_each_ends_as_it_does_on_its_own(tmp_path):
    (tmp_path / "test_them.py").write_text(TESTS.replace("{pid}", str(os.getpid())))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "isolated", "test_them.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 failed, 2 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "its process ended with SIGKILL" in done.stdout
    assert "assert 'two words' == 'one'" in done.stdout
    assert "no reason at all" in done.stdout
