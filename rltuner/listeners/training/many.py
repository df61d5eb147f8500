"""Many runs, side by side in processes of one thread each; each goes on where it was."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from rltuner.console import progress_bar


class Described(Protocol):
    """A run that knows how it is made."""

    def result(self, folder: Path) -> dict[str, Any]:
        """Learns, or goes on, in a folder; how it did."""
        ...


def results(jobs: Sequence[tuple[Described, Path]], title: str, processes: int = 0) -> list[dict[str, Any]]:
    """The results of all runs, in their order.

    Args:
      jobs: runs and their folders.
      title: of the progress bar.
      processes: side by side; 0 takes every core.

    Raises InputError as the runs do; those that are done stay.
    """
    count = min(processes or os.cpu_count() or 1, max(1, len(jobs)))
    found = []
    with progress_bar(title, len(jobs)) as advance:
        for result in _all(jobs, count):
            found.append(result)
            advance(1, None)
    return found


def _all(jobs: Sequence[tuple[Described, Path]], count: int) -> Iterator[dict[str, Any]]:
    if count == 1:
        yield from map(_one, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from pool.imap(_one, jobs)


def _one(job: tuple[Described, Path]) -> dict[str, Any]:
    described, folder = job
    torch.set_num_threads(1)  # networks are so small that threads only wait for each other
    return described.result(folder)
