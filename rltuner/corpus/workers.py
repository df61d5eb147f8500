"""Processes that work on files from strangers: each task has a limit of time and memory, and a worker that dies is
replaced. The workers are reused, and a new one is a fork of a small process that has imported everything.

Time is CPU time, which the system counts (RLIMIT_CPU), so that a busy machine makes no task fail; what hangs without
working is ended by the clock.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import Any, Generic, TypeVar

from rltuner.reading.time_limit import PATIENCE

Task = TypeVar("Task")
Result = TypeVar("Result")

MEMORY = 1 << 30  # bytes that a worker may take
START_SECONDS = 120.0  # for the first worker, which imports; on a busy machine
PRELOADED = ["rltuner.corpus.parse_worker"]


@dataclass(frozen=True)
class Failed:
    """Stands in the place of the result of a task that failed."""

    reason: str
    """Completes a sentence that begins with "it", such as "takes longer than 8 s to read"."""


class WorkersCannotStartError(Exception):
    """No worker came to life: the script that called has no `if __name__ == "__main__"`, or there is no memory."""


class _Worker(Generic[Task, Result]):
    """A process with the pipe to it. Past `deadline`, by the monotonic clock, it is taken to hang."""

    def __init__(self, function: Callable[[Task], Result], memory: int) -> None:
        context = get_context(
            "forkserver"
        )  # a fork of this process, which has used torch's threads, can hang
        context.set_forkserver_preload(PRELOADED)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, function, memory), daemon=True)
        self.process.start()
        theirs.close()
        self.is_ready = False
        self.deadline = time.monotonic() + START_SECONDS
        self.number: int | None = None
        """Index of the task it works on; None where it has none."""

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Any, function: Callable[[Task], Result], memory: int) -> None:
    """The loop of a worker: receives (task, its CPU seconds) and sends the result, until the pipe is closed.

    Sends "ready" first. Ends after a task that ran out of memory; past the CPU time the system kills it (SIGXCPU).
    """
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    if sys.platform == "linux":  # elsewhere the system does not count what is allocated
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send("ready")
    with contextlib.suppress(EOFError, OSError):
        while True:
            task, seconds = connection.recv()
            most = resource.getrlimit(resource.RLIMIT_CPU)[1]
            limit = math.ceil(time.process_time() + seconds)
            resource.setrlimit(
                resource.RLIMIT_CPU, (limit if most == resource.RLIM_INFINITY else min(limit, most), most)
            )
            try:
                connection.send(function(task))
            except MemoryError:
                connection.send(Failed(f"needs more than {memory >> 20} MB of memory"))
                return


def map_guarded(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    seconds: float,
    memory: int = MEMORY,
) -> Iterator[Result | Failed]:
    """function(task) of every task, in their order, by `jobs` processes; Failed where one took too much.

    Args:
      function: of a module that can be imported; it must not raise anything but MemoryError.
      tasks: values that can be pickled.
      jobs: processes, at least 1.
      seconds: CPU time that a task may take; by the clock it may take five times as many. Then its process is killed. The
        system counts whole seconds of a process's CPU time, so a task may get up to one more.
      memory: bytes that a process may take.

    Raises WorkersCannotStartError where the first processes die before they are ready.
    """
    waiting, results, following, started = deque(range(len(tasks))), {}, 0, False
    workers = [_Worker(function, memory) for _ in range(min(jobs, len(tasks)))]
    try:
        while following < len(tasks):
            for worker in workers:
                if worker.is_ready and worker.number is None and waiting:
                    worker.number = waiting.popleft()
                    worker.deadline = time.monotonic() + PATIENCE * seconds
                    with contextlib.suppress(OSError):  # it has died: its end is read below
                        worker.connection.send((tasks[worker.number], seconds))
            busy = [worker for worker in workers if not worker.is_ready or worker.number is not None]
            until = min(worker.deadline for worker in busy) - time.monotonic()
            ready = connection.wait([worker.connection for worker in busy], max(0.0, until))
            for worker in busy:
                outcome: Any = None
                if worker.connection in ready:
                    try:
                        outcome = worker.connection.recv()
                        if not worker.is_ready:
                            worker.is_ready, started = True, True
                            continue
                    except (EOFError, OSError):
                        worker.process.join(5)
                        outcome = Failed(_end(worker.process.exitcode, seconds))
                elif time.monotonic() > worker.deadline:
                    outcome = Failed(_too_long(seconds))
                if outcome is None:
                    continue
                if not started:
                    raise WorkersCannotStartError
                number = worker.number
                if isinstance(outcome, Failed):
                    worker.stop()
                    workers[workers.index(worker)] = _Worker(function, memory)
                worker.number = None
                if number is not None:
                    results[number] = outcome
            while following in results:
                yield results.pop(following)
                following += 1
    finally:
        for worker in workers:
            worker.stop()


def _too_long(seconds: float) -> str:
    return f"takes longer than {seconds:g} s to read"


def _end(code: int | None, seconds: float) -> str:
    """Why a worker ended, by its exit code (None: it goes on), as a `Failed.reason`."""
    if code == -signal.SIGXCPU:
        return _too_long(seconds)
    end = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"ended the process that read it ({end})"
