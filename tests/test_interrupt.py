"""Long calls: Ctrl-C, progress, partial results, panics."""

import sys
import threading
import time

import pytest
import sortes
from sigint import interrupt, needs_sigint
from sortes._core import _testing
from sortes._progress import reporter

MINUTE = 60_000

SCRIPT = """
from sortes._core import _testing
def progress(done, total):
    if progress.first:
        progress.first = False
        print("working", flush=True)
progress.first = True
try:
    print(_testing.spin(60_000, progress, keep={keep}), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@needs_sigint
def test_ctrl_c_stops_the_work():
    assert interrupt(SCRIPT.format(keep=False)) == ["interrupted"]


@needs_sigint
def test_ctrl_c_keeps_what_is_done():
    (done,) = interrupt(SCRIPT.format(keep=True))
    assert 0 < int(done) < MINUTE


SAMPLING = """
import numpy as np, sortes
row = np.random.default_rng(0).normal(0, 2, (1, 131_072)).astype(np.float32)
batch = np.broadcast_to(row, (300_000, 131_072))  # minutes of work, half a megabyte
print("working", flush=True)
try:
    sortes.sample(batch, top_p=0.9, rng=0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@needs_sigint
def test_ctrl_c_stops_a_large_batch():
    assert interrupt(SAMPLING, wait=0.3) == ["interrupted"]


def test_progress_is_reported_from_the_calling_thread():

    calls = []
    assert _testing.spin(180, lambda *units: calls.append((*units, threading.get_ident()))) == 180
    done, totals, threads = zip(*calls, strict=True)
    assert len(calls) >= 2
    assert list(done) == sorted(done)
    assert done[-1] == 180
    assert set(totals) == {180}
    assert set(threads) == {threading.get_ident()}


def test_a_callback_that_raises_stops_the_work():
    def refuse(done, total):
        raise LookupError("enough")

    start = time.monotonic()
    with pytest.raises(LookupError, match=r"^enough$"):
        _testing.spin(MINUTE, refuse)
    assert time.monotonic() - start < 0.5


def test_a_callback_that_raises_at_the_end_is_heard():
    def refuse(done, total):
        raise LookupError("enough")

    with pytest.raises(LookupError, match=r"^enough$"):
        _testing.spin(1, refuse)


@pytest.mark.parametrize("long", [False, True])
def test_a_panic_is_an_exception(long, capfd):
    with pytest.raises(sortes.SortesError, match=r"internal error, please report: a .* panicked"):
        _testing.panic(long=long)
    assert issubclass(sortes.SortesError, RuntimeError)
    assert "panicked" in capfd.readouterr().err
    assert _testing.parallel_sum(10, 2) == 45


def test_reporter_passes_callables_and_silence_through():
    def own(done, total): ...

    with reporter(own) as callback:
        assert callback is own
    for silence in (None, False):
        with reporter(silence) as callback:
            assert callback is None
    with (
        pytest.raises(TypeError, match=r"^progress: must be a bool or a callable, got int"),
        reporter(3),
    ):
        pass


def test_reporter_shows_a_bar(capsys):
    pytest.importorskip("tqdm")
    with reporter(True, "walks") as callback:
        callback(1, 4)
        callback(4, 4)
    assert "walks: 100%" in capsys.readouterr().err


def test_reporter_writes_text_without_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with reporter(True, "walks") as callback:
        callback(1, 0)
        callback(4, 4)
    assert capsys.readouterr().err == "\rwalks: 1/?\rwalks: 4/4\n"
