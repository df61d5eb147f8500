"""Guarded workers: a task that takes too long, too much memory or its process down costs nobody else anything."""

import contextlib
import os
import time

import pytest

from rltuner.time_limit import OutOfTimeError, time_limit
from rltuner.workers import Failed, map_guarded


def act(task: str) -> str:
    """In a worker."""
    if task == "hang":
        while True:
            time.sleep(1)
    if task == "die":
        os.kill(os.getpid(), 11)
    if task == "eat":
        return str(len(bytearray(1 << 31)))
    return f"{task} done"


def test_what_goes_wrong_is_said_and_the_others_come_in_order() -> None:
    tasks = ["a", "hang", "b", "die", "c", "eat", "d", "e"]
    results = list(map_guarded(act, tasks, 2, 1.0, 1 << 30))
    assert [one for one in results if not isinstance(one, Failed)] == [f"{name} done" for name in "abcde"]
    assert results[1] == Failed("takes longer than 1 s to read")
    assert results[3] == Failed("ended the process that read it (signal 11)")
    assert results[5] == Failed("needs more than 1024 MB of memory")


def test_time_runs_out_in_the_middle_of_anything() -> None:
    def parser_that_handles_every_error() -> None:
        with contextlib.suppress(Exception):
            while True:
                pass

    with pytest.raises(OutOfTimeError), time_limit(0.05):
        parser_that_handles_every_error()
    with time_limit(60):
        pass
    time.sleep(0.3)  # nothing is left behind that would strike later
