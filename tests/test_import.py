"""What `import sortes` costs and drags in, and what it offers."""

import doctest
import os
import pickle
import subprocess
import sys

import pytest
import sortes
from sortes._optional import require


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the entries of /proc/self/task")
def test_no_thread_starts_at_import_or_for_one_thread():
    code = """
import os, numpy
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
import sortes
from sortes._core import _testing
assert count() == before
_testing.parallel_sum(1000, 1)
assert count() == before
_testing.parallel_sum(1000, 2)
assert count() == before + 2
"""
    run(code)


def test_everything_works_without_torch():
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, sortes
from sortes._arrays import rows_of
from sortes._rng import as_stream
rows = rows_of(np.ones((2, 3), np.float32))
assert rows.wrap(rows.array) is rows.array
assert as_stream(0) == as_stream(0)
assert sortes.get_num_threads() >= 1
"""
    run(code)


def test_names():
    assert sortes.__version__ == sortes._core.__version__
    assert set(sortes.__all__) <= set(dir(sortes))
    for name in sortes.__all__:
        assert getattr(sortes, name) is not None
    with pytest.raises(AttributeError, match="module 'sortes' has no attribute 'no_such_name'"):
        _ = sortes.no_such_name
    with pytest.raises(AttributeError, match=r"no attribute 'truncat'; did you mean 'truncate'\?"):
        _ = sortes.truncat


def test_an_interruption_is_a_ctrl_c_that_keeps_what_was_done():
    with pytest.raises(KeyboardInterrupt) as caught:
        raise sortes.Interrupted([1, 2])
    assert caught.value.partial == [1, 2]
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.partial == [1, 2]


@pytest.mark.parametrize("name", ["sample", "truncate", "penalize", "Rules"])
def test_the_most_used_names_of_decode_are_found_at_the_top(name):
    assert getattr(sortes, name) is getattr(sortes.decode, name)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    message = r"this function needs dask; install it with: pip install 'sortes\[dask\]'"
    with pytest.raises(ImportError, match=message):
        require("dask", "dask")
    assert require("math", "all").pi > 3


@pytest.mark.parametrize(
    "native",
    [
        sortes.Stream,
        sortes.Stream.advance,
        sortes.Stream.split,
        sortes.Stream.uniforms,
        sortes.get_num_threads,
        sortes.set_num_threads,
    ],
)
def test_examples_of_native_docstrings(native):
    examples = doctest.DocTestParser().get_doctest(native.__doc__, {}, native.__name__, None, None)
    assert doctest.DocTestRunner().run(examples) == (0, len(examples.examples)) > (0, 1)
