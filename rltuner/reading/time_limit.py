"""A limit on the time that reading a file may take, in the process that reads it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")
PATIENCE = 5  # the clock may show this many times the CPU time that a limit allows: other programs want the cores too


class OutOfTimeError(BaseException):
    """The time is up. No `Exception`, so that no parser's handler of errors swallows it."""


def within(seconds: float, function: Callable[[], Result]) -> Result:
    """Calls a function under a time limit, and returns what it returns.

    Raises OutOfTimeError after `seconds` of the process's CPU time, or five times as many by the clock. CPU time counts,
    so that a machine with too much to do breaks no file. The limit is kept by signals, which only the main thread gets:
    in other threads there is none. A limit inside another one ends no later than that, which goes on afterwards.
    """
    # A function that calls, no context manager: between the end of a block and its __exit__ a signal can strike, and
    # would leave the timer to strike again anywhere.
    if threading.current_thread() is not threading.main_thread():
        return function()
    is_armed = False

    def stop(number: int, frame: FrameType | None) -> None:
        if is_armed:
            raise OutOfTimeError

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds, time.process_time),
        (signal.ITIMER_REAL, signal.SIGALRM, PATIENCE * seconds, time.monotonic),
    )
    handlers = [signal.signal(number, stop) for _, number, _, _ in timers]
    started = [clock() for _, _, _, clock in timers]
    outer = [signal.setitimer(which, 0) for which, _, _, _ in timers]  # (seconds left or 0, interval)
    try:
        for (which, _, limit, _), (left, _) in zip(timers, outer, strict=True):
            # Again and again, since a callback from C may lose the first exception.
            signal.setitimer(which, min(limit, left or limit), 0.25)
        try:
            is_armed = True
            return function()
        finally:
            is_armed = False
    finally:
        for number, (which, name, _, clock) in enumerate(timers):
            signal.setitimer(which, 0)
            signal.signal(name, handlers[number])
            left, interval = outer[number]
            if left:
                signal.setitimer(which, max(left - (clock() - started[number]), 1e-6), interval)
