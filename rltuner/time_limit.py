"""A limit on the time that reading a file may take, in the process that reads it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

PATIENCE = 5  # the clock may show this many times the CPU time that a limit allows: other programs want the cores too


class OutOfTimeError(BaseException):
    """The time is up. No `Exception`, so that no parser's handler of errors swallows it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises OutOfTimeError inside once the process has worked for the seconds, or five times as many have passed.

    Work is CPU time, so that a machine with too much to do breaks no file. By signals, which only the main thread gets:
    elsewhere there is no limit. A limit inside another one ends no later than that, which goes on afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as timers:
        timers.enter_context(_timer(signal.ITIMER_PROF, signal.SIGPROF, seconds, time.process_time))
        timers.enter_context(_timer(signal.ITIMER_REAL, signal.SIGALRM, PATIENCE * seconds, time.monotonic))
        yield


@contextmanager
def _timer(which: int, number: signal.Signals, seconds: float, clock: Callable[[], float]) -> Iterator[None]:
    """Raises OutOfTimeError after the seconds, by one of the system's timers; a timer that ran before goes on then."""
    is_over = False

    def stop(number: int, frame: FrameType | None) -> None:
        if not is_over:
            raise OutOfTimeError

    before = signal.signal(number, stop)
    # Again and again, since a callback from C may lose the first exception.
    left, interval = signal.setitimer(which, seconds, 0.25)
    started = clock()
    try:
        if left:
            signal.setitimer(which, min(seconds, left), 0.25)
        try:
            yield
        finally:
            is_over = True
    finally:
        signal.setitimer(which, 0)
        signal.signal(number, before)
        if left:
            signal.setitimer(which, max(left - (clock() - started), 1e-6), interval)
