"""A Ctrl-C to a process in the midst of a long call."""

import signal
import subprocess
import sys
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
