"""PyMC 5 and 6, each in an environment of its own, where the checks of pymc_checks.py run."""

import os
import subprocess
from pathlib import Path

import pytest
import sortes

CHECKS = Path(__file__).with_name("pymc_checks.py")


@pytest.mark.parametrize("version", [5, 6])
def test_checks(pymc, version, tmp_path):
    # The package alone: what else lies beside it may be compiled for another Python.
    (tmp_path / "sortes").symlink_to(Path(sortes.__file__).parent)
    plain = ["--quiet", "--noconftest", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    command = [pymc(version), "-m", "pytest", *plain, "-c", os.devnull, CHECKS]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path}",
    }
    done = subprocess.run(
        list(map(str, command)), env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
