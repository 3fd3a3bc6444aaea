"""Where real data lies: the folder that SORTES_BENCH_DATA names."""

import os
from pathlib import Path

import pytest


def file(name: str) -> Path:
    """Return a file of the folder; skip where the folder or the file is missing, and say so."""
    folder = os.environ.get("SORTES_BENCH_DATA")
    if not folder:
        pytest.skip("SORTES_BENCH_DATA is not set")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"SORTES_BENCH_DATA has no {name}")
    return path
