"""Ctrl-C that waits for a good moment, and ends that leave nothing lying about."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def delayed_interrupt() -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C is only noted: the value tells whether it came. A second one interrupts at once.

    Nothing changes outside the main thread, where Python handles no signals, and where Ctrl-C is ignored.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


class _EndedError(BaseException):
    """A signal that ends the process came; like KeyboardInterrupt nothing that mends errors must catch it."""


@contextmanager
def cleanly_ended() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP (a terminal that is closed) unwind the stack as Ctrl-C does, so that temporary
    files are removed; then the signal does what it would have done.

    Outside the main thread, where Python handles no signals, nothing changes, and an ignored signal stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = 0

    def unwind(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:  # a second one must not disturb the cleaning up
            came = number
            raise _EndedError

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, unwind) for number in numbers}
    try:
        yield
    except _EndedError:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came)


@contextmanager
def importing() -> Iterator[None]:
    """Lets imports end before Ctrl-C does anything: libraries swallow it, or make errors of their own out of it."""
    with delayed_interrupt() as interrupted:
        yield
    if interrupted():
        raise KeyboardInterrupt
