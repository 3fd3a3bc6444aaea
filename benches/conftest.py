"""Benchmarks of `sortes` beside its peers; `make bench` runs them all.

    pytest benches --benchmark-only --benchmark-disable-gc --benchmark-json=.benchmarks/all.json
    python -m benches.report .benchmarks/all.json     # writes docs/<family>/performance.md

A family is a folder here: its tests call `turns`, and its `page.py`, if it has one, adds to its
page what the tables cannot say. One thread, unless a name says otherwise. To hold both sides to
AVX2, set ``ATEN_CPU_CAPABILITY=avx2 SORTES_SIMD=avx2``. SORTES_BENCH_ROUNDS=1 makes every
contender take one turn, to see that all of it runs.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from benches.report import page_of  # noqa: E402

_SKIPPED = []


@pytest.fixture(autouse=True)
def _one_thread():
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("threadpoolctl"):
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(1))
        if importlib.util.find_spec("torch"):
            import torch

            torch.set_num_threads(1)
            stack.enter_context(torch.inference_mode())
        yield


def pytest_runtest_logreport(report):
    """Keep what was skipped, and why, for the report."""
    if not report.skipped:
        return
    path, _, test = report.nodeid.partition("::")
    reason = str(report.longrepr[2]).removeprefix("Skipped: ")
    family, name = Path(path).parent.name, Path(path).name
    _SKIPPED.append({"family": family, "test": test or name, "reason": reason})


pytest_collectreport = pytest_runtest_logreport  # a whole file


def pytest_benchmark_update_machine_info(config, machine_info):
    """Record what the report states beside its figures."""
    from sortes import _core

    torch = sys.modules.get("torch")
    folders = [folder.name for folder in Path(__file__).parent.iterdir() if folder.is_dir()]
    peers = {name for folder in folders for name in getattr(page_of(folder), "PEERS", ())}
    command = ["pytest", *map(str, config.invocation_params.args)]
    machine_info["sortes"] = {
        "command": shlex.join(command).replace(f"{ROOT}/", ""),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("sortes", "numpy", *sorted(peers))},
        },
        "simd": {
            "sortes": _core.simd_level(),
            "torch": torch.backends.cpu.get_cpu_capability() if torch else None,
        },
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
    }


def _version(name):
    # Those of environments of their own come after those of this one.
    apart = [*ROOT.glob(".peers/*/lib/python3*/site-packages"), *ROOT.glob(".peers/*")]
    found = importlib.metadata.distributions(name=name, path=[*sys.path, *map(str, apart)])
    return next((distribution.version for distribution in found), None)


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Record what was not measured."""
    output_json["skipped"] = _SKIPPED
