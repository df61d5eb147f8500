"""Bars that look like music: four notes of C major or A minor on the four quarters."""

from __future__ import annotations

import numpy as np

from rltuner.launchpad.board.beats import Board
from rltuner.launchpad.rewards.rewards import Bars

QUARTERS = sum(1 << step for step in (0, 16, 32, 48))


def few_bars(board: Board | None = None, count: int = 40) -> Bars:
    board = board if board is not None else Board()
    generator = np.random.default_rng(7)
    words = np.zeros((count, board.notes), dtype=np.uint64)
    for bar in words:
        chord = generator.choice([0, 1, 3, 5, 6, 8, 10, 12, 13, 15], size=4, replace=False)
        bar[chord] = np.uint64(QUARTERS) & generator.integers(1, 2**63, size=4, dtype=np.uint64) | np.uint64(
            1
        )
    return Bars(board, words)
