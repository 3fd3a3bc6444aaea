"""Benchmarks of `sortes` beside its peers.

    pytest benches --benchmark-only --benchmark-group-by=group --benchmark-disable-gc \
        --benchmark-columns=min,median,iqr,rounds --benchmark-json=.benchmarks/all.json
    python benches/report.py .benchmarks/all.json     # writes docs/performance*.md

`test_bench_decode.py` times contenders one after the other and prints the tables; in
`test_bench_alternating.py` they take turns, so that a ratio means something on a machine with other
work to do; the report is made of these. One thread, unless a name says otherwise. To hold both
sides to AVX2, set ``ATEN_CPU_CAPABILITY=avx2 SORTES_SIMD=avx2``.
"""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "examples")]

PEERS = (
    "sortes", "torch", "transformers", "llama_cpp_python", "numpy", "scikit-learn", "datasketches",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


def pytest_benchmark_update_machine_info(config, machine_info):
    """Record what the report states beside its figures."""
    from sortes import _core

    versions = {}
    for name in PEERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    machine_info["sortes"] = {
        "versions": {"python": platform.python_version(), **versions},
        "simd": {"sortes": _core.simd_level(), "torch": torch.backends.cpu.get_cpu_capability()},
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
