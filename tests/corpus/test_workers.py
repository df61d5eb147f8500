"""Guarded workers: a task that takes too long, too much memory or its process down costs nobody else anything."""

import contextlib
import os
import signal
import time

import pytest

from rltuner.corpus.workers import Failed, map_guarded
from rltuner.reading.time_limit import OutOfTimeError, within


def act(task: str) -> str:
    """In a worker."""
    if task == "hang":
        while True:
            time.sleep(1)
    if task == "die":
        os.kill(os.getpid(), 11)
    if task == "work":
        while True:
            pass
    if task == "eat":
        return str(len(bytearray(1 << 31)))
    return f"{task} done"


@pytest.mark.long
def test_what_goes_wrong_is_said_and_the_others_come_in_order() -> None:
    tasks = ["a", "hang", "b", "die", "c", "eat", "d", "e", "work"]
    results = list(map_guarded(act, tasks, 2, 1.0, 1 << 30))
    assert [one for one in results if not isinstance(one, Failed)] == [f"{name} done" for name in "abcde"]
    assert results[1] == Failed("takes longer than 1 s to read")
    assert results[3] == Failed("ended the process that read it (signal 11)")
    assert results[5] == Failed("needs more than 1024 MB of memory")
    assert results[8] == Failed("takes longer than 1 s to read")


def work_for_long() -> None:
    """Three seconds, far longer than the limits that it must not reach the end of."""
    until = time.process_time() + 3
    while time.process_time() < until:
        pass


def test_time_runs_out_in_the_middle_of_anything() -> None:
    def parser_that_handles_every_error() -> None:
        with contextlib.suppress(Exception):
            work_for_long()

    with pytest.raises(OutOfTimeError):
        within(0.05, parser_that_handles_every_error)
    assert within(60, lambda: "done") == "done"
    time.sleep(0.3)  # nothing is left behind that would strike later


def test_time_is_what_the_process_works_and_not_what_it_waits() -> None:
    """On a machine with too much to do a process waits for a core."""
    within(0.1, lambda: time.sleep(0.2))
    with pytest.raises(OutOfTimeError):
        within(0.05, lambda: time.sleep(3))  # but what only waits ends too


def test_a_limit_inside_another_ends_no_later_and_leaves_it_running() -> None:
    def one_inside() -> None:
        within(60, lambda: None)
        work_for_long()

    ended = []
    for inside in (one_inside, lambda: within(60, lambda: ended.append(work_for_long()))):
        with pytest.raises(OutOfTimeError):
            within(0.1, inside)
    with pytest.raises(OutOfTimeError):
        within(60, lambda: within(0.05, work_for_long))
    assert not ended
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_a_limit_can_end_at_any_moment_and_strikes_nobody_else() -> None:
    """Also at its beginning, and at its end, which the work reaches at about the same time."""
    for round_ in range(300):
        seconds = 1e-6 * (1 + round_)
        until = time.process_time() + seconds

        def work(until: float = until) -> None:
            while time.process_time() < until:
                pass

        with contextlib.suppress(OutOfTimeError):
            within(seconds, work)
    time.sleep(0.3)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
