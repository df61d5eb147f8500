"""The task of a parsing worker. `workers` preloads this module, so that the readers and their libraries are imported
once, before workers are forked.
"""

from __future__ import annotations

import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported; a worker is one of as many as there are cores

from rltuner.melody import Vocabulary
from rltuner.reading.parse import Item, Parsed, parse_item, warm_up

warm_up("midi")


def parse_task(task: tuple[Item, Vocabulary]) -> list[Parsed]:
    """`parse_item` of (item, vocabulary); `workers.map_guarded` takes functions of one argument."""
    return parse_item(*task)
