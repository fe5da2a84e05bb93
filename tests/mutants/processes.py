"""Try something in a process of its own, with a limit of time: what it does to its memory is lost with it."""

import os
import signal
import time

TIMED_OUT, RAISED, PASSED = "timed out", "raised", "passed"


def attempt(function, seconds):
    """Whether `function` passed, raised, or was not ready in time; it runs in a copy of this process."""
    child = os.fork()
    if not child:
        os._exit(_run(function))
    return _outcome(child, time.monotonic() + seconds)


def _run(function):
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    try:
        function()
    except BaseException:
        return 1
    return 0


def _outcome(child, end):
    pause = 0.001
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return PASSED if status == 0 else RAISED
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIMED_OUT
