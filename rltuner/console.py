"""What a person sees while a command works: lines and progress bars on standard error, results on standard output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

SECONDS_A_LINE = 30.0  # of progress, where there is no terminal
error_console = Console(stderr=True, highlight=False, emoji=False)  # a file may be called :x:
output_console = Console(highlight=False, emoji=False)
if not output_console.is_terminal:
    output_console.width = 120  # into a pipe or a file tables need not fit a screen


def say(line: str) -> None:
    """A line about what is going on, above any progress bar."""
    error_console.print(line, markup=False, soft_wrap=True)


@contextmanager
def progress_bar(
    title: str, total: int, *, completed: int = 0, quiet: bool = False
) -> Iterator[Callable[[int, str | None], None]]:
    """A progress bar; the value is `advance(done, note)`, where a note of None keeps the last one.

    Without a terminal a plain line every half minute says how far it is, and one when it is done.

    Args:
      title: stands before it.
      total: when it is done.
      completed: what an earlier part of a run that goes on has done; it took no time here.
      quiet: shows nothing.
    """
    if quiet:
        yield _nothing
        return
    if not error_console.is_terminal:
        yield _Lines(title, total, completed).advance
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=error_console) as progress:
        task = progress.add_task(title, total=total, completed=completed, note="")

        def advance(done: int, note: str | None = None) -> None:
            progress.advance(task, done)
            if note is not None:
                progress.update(task, note=note)

        yield advance


def _nothing(done: int, note: str | None = None) -> None:
    """Shows no progress."""


class _Lines:
    """Progress as lines, for logs."""

    def __init__(self, title: str, total: int, completed: int) -> None:
        self._title, self._total, self._before, self._done, self._note = (
            title,
            total,
            completed,
            completed,
            "",
        )
        self._started = self._said = time.monotonic()

    def advance(self, done: int, note: str | None = None) -> None:
        if self._done >= self._total > self._before:
            return
        self._done = min(self._done + done, self._total)
        self._note = self._note if note is None else note
        now = time.monotonic()
        is_finished = done > 0 and self._done >= self._total
        if not is_finished and now - self._said < SECONDS_A_LINE:
            return
        self._said, took, here = now, now - self._started, self._done - self._before
        left = (
            f", {_clock(took * (self._total - self._done) / here)} left" if here and not is_finished else ""
        )
        note = f": {self._note}" if self._note else ""
        percent = 100 * self._done // max(1, self._total)
        say(f"{self._title} {percent}% after {_clock(took)}{left}{note}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
