"""Ctrl-C that waits for a good moment, and ends that leave nothing lying about."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class EndedError(BaseException):
    """A signal that ends the process came; like KeyboardInterrupt nothing that mends errors must catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What ends a process from outside: `kill`, a shutdown, a terminal that is closed."""


def end_by(number: int) -> NoReturn:
    """Raises what a signal means: KeyboardInterrupt for Ctrl-C, else EndedError, which `cleanly_ended` waits for."""
    raise KeyboardInterrupt if number == signal.SIGINT else EndedError(number)


@contextmanager
def delayed_interrupt(*also: signal.Signals) -> Iterator[Callable[[], int]]:
    """While inside, Ctrl-C is only noted: the value gives the number of the signal that came, or 0. A second one
    interrupts at once.

    Args:
      also: signals that are noted too, such as `ENDING`; `end_by` does later what they mean, inside `cleanly_ended`.

    Nothing changes outside the main thread, where Python handles no signals, and for a signal that is ignored.
    """
    came = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            end_by(number)
        came = number

    with _handled(note, (signal.SIGINT, *also)):
        yield lambda: came


@contextmanager
def cleanly_ended() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP (a terminal that is closed) unwind the stack as Ctrl-C does, so that temporary
    files are removed; then the signal does what it would have done. Where that lets the process live, by a handler of the
    caller's own, EndedError is raised: what was inside is not done.

    Outside the main thread, where Python handles no signals, nothing changes, and an ignored signal stays ignored.
    """
    came = 0

    def unwind(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:  # a second one must not disturb the cleaning up
            came = number
            raise EndedError(number)

    ended: EndedError | None = None
    try:
        with _handled(unwind, ENDING):
            yield
    except EndedError as error:
        ended = error
    if ended is not None or came:
        signal.raise_signal(ended.number if ended is not None else came)
    if ended is not None:
        raise ended


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals]
) -> Iterator[None]:
    """While inside, these signals call the handler, but for those that are ignored; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def importing() -> Iterator[None]:
    """Lets imports end before Ctrl-C does anything: libraries swallow it, or make errors of their own out of it."""
    with delayed_interrupt() as interrupted:
        yield
    if interrupted():
        raise KeyboardInterrupt
