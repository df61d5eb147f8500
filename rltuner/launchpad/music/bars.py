"""From notes to bars of a board: transposed, folded, quantised, and kept where they are music enough."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import BarOptions
from rltuner.launchpad.music.pieces import STEPS, Piece, nearest

FIFTH, OCTAVE = 7, 12


def bars_of(piece: Piece, board: Board, options: BarOptions) -> tuple[Array, Counter[str]]:
    """The bars of a piece that are kept, uint64 [M, N], and how many were left out, by reason.

    A note sounds from the step nearest to its start to the one nearest to its end, at least one step; two notes of one
    pitch that follow each other directly are told apart by nothing, as in any piano roll. The board must have bars of
    64 steps.
    """
    shift = -(FIFTH * piece.sharps) % OCTAVE if options.transpose else 0
    shift -= OCTAVE if shift > OCTAVE // 2 else 0
    left_out = Counter({"not 4/4": piece.others} if piece.others else {})
    rolls = np.zeros((2, len(piece.bars), board.notes, STEPS), dtype=bool)  # sounding, onsets
    for start, end, pitch in piece.notes:
        row = _row(pitch + shift, board, options.fold)
        if row is None:
            continue
        for number in _touched(piece.bars, start, end):
            first = nearest(start - piece.bars[number])
            last = max(nearest(end - piece.bars[number]), first + 1)
            rolls[0, number, row, max(first, 0) : max(last, 0)] = True
            if 0 <= first < STEPS:
                rolls[1, number, row, first] = True
    cells, keys = rolls[0].sum(axis=(1, 2)), rolls[0].any(axis=2).sum(axis=1)
    few, one = cells < options.least_cells, keys < options.least_keys
    silent = ~rolls[1].any(axis=(1, 2)) if options.cells == "onsets" else np.zeros_like(few)
    for reason, which in (
        (f"fewer than {options.least_cells} cells", few),
        (f"fewer than {options.least_keys} keys", one & ~few),
        ("no onset", silent & ~one & ~few),
    ):
        if which.any():
            left_out[reason] = int(which.sum())
    kept = rolls[int(options.cells == "onsets")][~few & ~one & ~silent]
    weights = np.uint64(1) << np.arange(STEPS, dtype=np.uint64)
    return (kept * weights).sum(axis=2, dtype=np.uint64), left_out


def _row(pitch: int, board: Board, fold: bool) -> int | None:
    """The board's row of a pitch; None where it has none. Folding moves by as few octaves as possible."""
    row = pitch - board.lowest
    if fold and row < 0:
        row %= OCTAVE
    if fold and row >= board.notes:
        row -= -(-(row - board.notes + 1) // OCTAVE) * OCTAVE
    return row if 0 <= row < board.notes else None


def _touched(bars: list[float], start: float, end: float) -> range:
    """The bars that a note may sound in."""
    first = max(0, int(np.searchsorted(bars, start + 0.5, side="right")) - 1)
    last = int(np.searchsorted(bars, max(end, start + 1), side="left"))
    return range(first, last)
