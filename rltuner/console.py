"""What a person sees while a command works: lines and progress bars on standard error, results on standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

error_console = Console(stderr=True, highlight=False)
output_console = Console(highlight=False)
if not output_console.is_terminal:
    output_console.width = 120  # into a pipe or a file tables need not fit a screen


def say(line: str) -> None:
    """A line about what is going on, above any progress bar."""
    error_console.print(line, markup=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int, str | None], None]]:
    """A progress bar; the value is `advance(done, note)`, where a note of None keeps the last one.

    Without a terminal nothing moves: the bar is drawn once, when it is done.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=error_console) as progress:
        task = progress.add_task(title, total=total, note="")

        def advance(done: int, note: str | None = None) -> None:
            progress.advance(task, done)
            if note is not None:
                progress.update(task, note=note)

        yield advance
