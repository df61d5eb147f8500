"""What a worker that parses has imported from its start (`workers`): the readers and the libraries they need."""

from __future__ import annotations

import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported; a worker is one of as many as there are cores

from rltuner.melody import Vocabulary
from rltuner.reading.parse import Item, Parsed, parse_item, warm_up

warm_up("midi")


def parse_task(task: tuple[Item, Vocabulary]) -> list[Parsed]:
    """`parse_item` of a pair, by which alone a task travels."""
    return parse_item(*task)
