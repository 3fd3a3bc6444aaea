"""A Ctrl-C in the midst of a long call: to another process, or to this one."""

import _thread
import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

needs_sigint = pytest.mark.skipif(sys.platform == "win32", reason="sends a SIGINT")

#: Seconds within which a Ctrl-C is answered.
ANSWER = 0.5


def interrupt(script, wait=0.0):
    """Send a SIGINT to a process; what it prints from then on, whose first line must come at once.

    Parameters
    ----------
    script
        The code that the process runs. It prints ``working`` when the call begins, or from within,
        and something as soon as it has got the interrupt.
    wait
        Seconds from that line to the interrupt.

    Returns
    -------
    list of str
        The lines.
    """
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "working\n"
            time.sleep(wait)
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            first = child.stdout.readline()
            assert time.monotonic() - start < ANSWER
            return [line.rstrip("\n") for line in (first, *child.stdout)]
        finally:
            child.kill()


@contextlib.contextmanager
def ctrl_c_after(seconds):
    """A Ctrl-C to this process after some time; gives a list, which then holds when it was sent.

    No garbage is collected meanwhile: Hypothesis times collections by a function of Python, and an
    interrupt in that is lost.
    """
    sent = []
    timer = threading.Timer(
        seconds, lambda: (sent.append(time.monotonic()), _thread.interrupt_main())
    )
    gc.disable()
    timer.start()
    try:
        yield sent
    finally:
        timer.cancel()
        timer.join()
        gc.enable()
