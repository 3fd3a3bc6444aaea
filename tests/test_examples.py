"""The examples run, each in less than a minute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
# These need a model of 93 MB and, the first time, a minute to read it: `make demo`.
WITH_MODEL = sorted(p for p in FOLDER.glob("*.py") if "smollm" in p.read_text(encoding="utf-8"))
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - set(WITH_MODEL))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example, tmp_path):
    source = example.read_text(encoding="utf-8")
    for package in ("torch", "transformers"):
        if f"import {package}" in source or f"from {package}" in source:
            pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("example", WITH_MODEL, ids=lambda path: path.stem)
def test_what_needs_the_model_compiles(example):
    compile(example.read_text(encoding="utf-8"), str(example), "exec")
