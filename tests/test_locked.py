"""Objects that calls change: any thread, signal handler, callback or forked child may use them."""

import os
import signal
import threading
import time

import pytest
from sortes._core import _testing
from test_fork import exit_status_of_a_fork

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_a_thread(work, *args):
    thread = threading.Thread(target=work, args=args)
    thread.start()
    time.sleep(0.05)
    return thread


def test_writers_take_turns():
    busy = _testing.Busy()
    threads = [threading.Thread(target=busy.write, args=(20,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert busy.count == 160


@posix
@pytest.mark.parametrize("call", ["read", "write"])
def test_a_signal_handler_may_look_during_a_long_call(call):
    busy, seen = _testing.Busy(), []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(busy.count))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        getattr(busy, call)(300)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen == [busy.count]


def test_a_progress_callback_may_look_at_the_object():
    busy, seen = _testing.Busy(), []
    busy.write(200, lambda done, total: seen.append((done, total, busy.count)))
    assert seen[-1] == (200, 200, 200)


@posix
def test_ctrl_c_ends_the_wait_for_another_thread():
    busy = _testing.Busy()
    other = in_a_thread(busy.write, 1500)
    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            busy.read(100)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 0.6
    other.join()
    assert busy.count == 1500


@posix
def test_ctrl_c_ends_the_wait_of_a_short_look():
    busy = _testing.Busy()
    other = in_a_thread(busy.write, 1500)
    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            _ = busy.count
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 0.6
    other.join()
    assert busy.count == 1500


@posix
def test_what_is_interrupted_leaves_the_object_usable():
    busy = _testing.Busy()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            busy.write(10_000)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert busy.count == 0
    assert busy.write(3) == 3


@forks
def test_a_child_reads_what_another_thread_was_reading():
    busy = _testing.Busy()
    busy.write(2)
    other = in_a_thread(busy.read, 500)
    assert exit_status_of_a_fork(lambda: busy.count == 2 and busy.write(1) == 3) == 0
    other.join()
    assert busy.count == 2


@forks
def test_a_child_refuses_what_another_thread_was_changing():
    busy = _testing.Busy()
    other = in_a_thread(busy.write, 500)

    def refuses():
        try:
            return bool(busy.count) and False
        except RuntimeError as error:
            return "was being changed by another thread when the process forked" in str(error)

    assert exit_status_of_a_fork(refuses) == 0
    other.join()
    assert busy.count == 500
