"""How many threads a call uses, and that calls from many threads do not disturb each other."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sortes
from sortes._core import _testing

N = 10_000
SUM = N * (N - 1) // 2
VARIABLES = ("SORTES_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS")


def run(code, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SORTES_NUM_THREADS": "3", "RAYON_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}, 3),
        ({"RAYON_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}, 5),
        ({"RAYON_NUM_THREADS": "0", "OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "4,2", "RAYON_NUM_THREADS": "many"}, None),
        ({}, None),
    ],
)
def test_environment(variables, expected):
    done = run("import sortes; print(sortes.get_num_threads())", **variables)
    count = int(done.stdout)
    if expected is None:
        assert 1 <= count <= 16
    else:
        assert count == expected


@pytest.mark.parametrize("text", ["0", "-2", "many", "1.5", ""])
def test_an_environment_that_makes_no_sense(text):
    done = run("import sortes; sortes.get_num_threads()", SORTES_NUM_THREADS=text)
    assert "ValueError: SORTES_NUM_THREADS: must be" in done.stderr


def test_set_num_threads():
    before = sortes.get_num_threads()
    try:
        sortes.set_num_threads(3)
        assert sortes.get_num_threads() == 3
        assert _testing.parallel_sum(N) == SUM
    finally:
        sortes.set_num_threads(None)
    assert sortes.get_num_threads() == before


@pytest.mark.parametrize("count", [0, -1, 1025])
@pytest.mark.parametrize("call", [sortes.set_num_threads, lambda n: _testing.parallel_sum(4, n)])
def test_bad_counts(call, count):
    with pytest.raises(ValueError, match=rf"^num_threads: must be in \[1, 1024\], got {count}$"):
        call(count)


def test_counts_may_change_from_call_to_call():
    for count in (1, 2, 7, 3, 1, 9, 2):
        assert _testing.parallel_sum(N, count) == SUM
    assert _testing.parallel_sum(0, 3) == 0
    assert _testing.parallel_sum(1, 3) == 0


def test_calls_from_many_threads():
    stream = sortes.Stream(3)
    expected = stream.uniforms(1000)

    def work(seed):
        for i in range(100):
            assert _testing.parallel_sum(1000, 1 + (seed + i) % 6) == 499_500
            sortes.set_num_threads(1 + i % 3)
            assert _testing.parallel_sum(10) == 45
            np.testing.assert_array_equal(stream.uniforms(1000), expected)
            assert stream.split(3) == sortes.Stream(3).split(3)
        return True

    try:
        with ThreadPoolExecutor(8) as executor:
            assert all(executor.map(work, range(8)))
    finally:
        sortes.set_num_threads(None)


def test_first_calls_of_many_threads_race_for_the_pool():
    code = """
import threading
from sortes._core import _testing
start, wrong = threading.Barrier(16), []
def work(count):
    start.wait()
    if _testing.parallel_sum(1000, count) != 499_500:
        wrong.append(count)
threads = [threading.Thread(target=work, args=(2 + i % 5,)) for i in range(16)]
for t in threads: t.start()
for t in threads: t.join()
assert not wrong
"""
    for _ in range(3):
        done = run(code)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs the threads' names")
def test_kernels_of_one_thread_start_no_others():
    code = """
from pathlib import Path
import numpy as np, sortes
from sortes import select
def pool(): return [p for p in Path("/proc/self/task").glob("*/comm") if "sortes-" in p.read_text()]
n = 10**6
weights = np.ones(n)
sortes.Stream(0).uniforms(n)
select.RS2Sampler(n, n // 2, rng=0).indices(0)
select.allocate(weights[: n // 10], n)
tree = select.DynamicWeights(weights, num_threads=1)
tree.copy().pop(n // 10, rng=0)
tree.to_bytes()
assert not pool()
select.weighted_keys(weights, rng=0)
assert pool()
"""
    done = run(code, SORTES_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


def test_workers_of_a_torch_data_loader_use_one_thread():
    pytest.importorskip("torch")
    code = """
import sortes, torch
class Counts(torch.utils.data.Dataset):
    def __len__(self): return 2
    def __getitem__(self, i): return sortes.get_num_threads()
sortes.get_num_threads()
loader = torch.utils.data.DataLoader(Counts(), num_workers=1, multiprocessing_context="fork")
assert [int(count) for count in loader] == [1, 1]
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
