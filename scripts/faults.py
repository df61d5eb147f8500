"""Faults on purpose: processes that end at a chosen operation on files, full disks, processes that start at once."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rltuner.commands import main as cli

KILLED = 137
WRITING = ("open", "write", "fsync", "replace", "rename", "mkdir", "close", "unlink", "ftruncate", "pwrite")
FAILING = ("open", "write", "fsync", "replace", "rename", "mkdir", "pwrite")  # what a full disk refuses


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar without a thread of its own, since processes are forked under it."""
    done, started, drawn = 0, time.monotonic(), -1

    def advance(count: int) -> None:
        nonlocal done, drawn
        done = min(done + count, total)
        tenths = 10 * done // total
        if sys.stderr.isatty() or tenths > drawn:
            drawn, end = tenths, "" if sys.stderr.isatty() else "\n"
            bar = "━" * tenths + " " * (10 - tenths)
            line = f"\r{title:28} {bar} {done}/{total} {time.monotonic() - started:.0f} s"
            print(line, end=end, file=sys.__stderr__, flush=True)

    yield advance
    print(file=sys.__stderr__)


def command(words: list[str]) -> tuple[int, str]:
    """Runs rltuner in this process: exit code, and what it wrote to standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main(words)
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
    return 0, said.getvalue()


def in_child(action: Callable[[], int]) -> int:
    """The exit code of the action in a forked process."""
    child = os.fork()
    if child == 0:
        code = 70
        with contextlib.suppress(BaseException):
            code = action()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def on_operation(number: int, act: Callable[[str, Any], None], names: tuple[str, ...] = WRITING) -> list[int]:
    """From now on counts the operations on files in this process; at the given one, and later, calls `act`.

    Returns the counter, a list of one number. For forked processes: nothing is put back.
    """
    count = [0]

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **options: Any) -> Any:
            if name == "open" and original is builtins_open and not set("wax+") & set(str(arguments[1:2])):
                return original(*arguments, **options)
            if name == "open" and original is os_open and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return original(*arguments, **options)
            count[0] += 1
            if count[0] >= number > 0:
                act(name, arguments)
            return original(*arguments, **options)

        return operation

    builtins_open, os_open = builtins.open, os.open
    for name in names:
        setattr(os, name, wrapped(name, getattr(os, name)))
    builtins.open = wrapped("open", builtins_open)  # type: ignore[assignment]
    return count


def kill(name: str, arguments: Any, write: Callable[..., int] = os.write) -> None:
    """The process is gone; a write has got half-way."""
    if name == "write":
        write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
    os._exit(KILLED)


def refuse(name: str, refusals: list[str]) -> None:
    """The disk is full; what it refuses is noted."""
    if name in FAILING:
        refusals.append(name)
        raise OSError(errno.ENOSPC, "No space left on device")


def at_once(actions: list[Callable[[], int]]) -> list[int]:
    """Exit codes of the actions, in forked processes that start together."""
    start = multiprocessing.get_context("fork").Barrier(len(actions))
    children = []
    for action in actions:
        child = os.fork()
        if child == 0:
            code = 70
            with contextlib.suppress(BaseException):
                start.wait(60)
                code = action()
            os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
