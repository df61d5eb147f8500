"""Bars as MIDI and back: a row of cells that sound is a note."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.melody.grid import Meter
from rltuner.melody.midi import parse_midi, write_midi

SIXTEENTHS = 16  # of a bar
QUARTERS = 4  # of a bar


def notes_of(board: Board, bars: Array) -> list[tuple[int, int, int]]:
    """(MIDI pitch, first step, step after the last) of bars uint64 [T, N] in a row, sorted by start.

    Cells that follow each other are one note, also over a bar line.
    """
    if not len(bars):
        return []
    roll = board.roll(bars).transpose(1, 0, 2).reshape(board.notes, -1)
    edges = np.diff(np.pad(roll.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    notes = [
        (board.lowest + row, int(start), int(end))
        for row in range(board.notes)
        for start, end in zip(np.flatnonzero(edges[row] == 1), np.flatnonzero(edges[row] == -1), strict=True)
    ]
    return sorted(notes, key=lambda note: (note[1], note[0]))


def midi_bytes(board: Board, bars: Array, qpm: float) -> bytes:
    """Bars as a MIDI file: a bar is four quarters, a step an exact number of ticks."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rltuner-") as folder:
        file = Path(folder) / "bars.mid"
        write_bars(board, bars, file, qpm)
        return file.read_bytes()


def write_bars(board: Board, bars: Array, file: str | os.PathLike[str], qpm: float) -> None:
    """Writes bars as a MIDI file. InputError where it cannot be written."""
    write_midi(notes_of(board, bars), file, qpm, Meter(), ticks_per_step=QUARTERS * TICKS // board.steps)


TICKS = 480  # of a quarter


def read_bar(board: Board, file: str | os.PathLike[str]) -> Array:
    """The first bar of a MIDI file as the cells in which notes sound: uint64 [N]. Notes of other rows are left out.

    Raises InputError where the file cannot be read, or nothing of it sounds in its first four quarters on this board.
    """
    midi = parse_midi(file)
    per_step = midi.resolution * QUARTERS / board.steps
    cells = np.zeros((board.notes, board.steps), dtype=bool)
    for track in midi.instruments:
        for note in () if track.is_drum else track.notes:
            first = round(midi.time_to_tick(note.start) / per_step)
            last = max(first + 1, round(midi.time_to_tick(note.end) / per_step))
            if 0 <= note.pitch - board.lowest < board.notes and first < board.steps:
                cells[note.pitch - board.lowest, first:last] = True
    if not cells.any():
        raise InputError(
            f"{file}: no note of MIDI {board.lowest} to {board.lowest + board.notes - 1} in its first bar"
        )
    weights = np.uint64(1) << np.arange(board.steps, dtype=np.uint64)
    words: Array = (cells * weights).sum(axis=1, dtype=np.uint64)
    return words


def nearest_state(board: Board, words: Sequence[int] | Array) -> Array:
    """For each note the code whose cells share the most of all that sound with a word's (Jaccard): int32 [N].

    Equal shares go to fewer beats, then to the smaller offset. A bar that a board has played comes back exactly.
    """
    table = board.words
    sizes = np.bitwise_count(table).astype(np.float64)
    beats = np.bitwise_count(np.arange(board.codes) >> board.levels)
    state = np.zeros(board.notes, dtype=np.int32)
    for note, word in enumerate(np.asarray(words, dtype=np.uint64)):
        if not word:
            continue
        shared = np.bitwise_count(table & word)
        share = shared / (sizes + int(np.bitwise_count(word)) - shared)
        state[note] = np.lexsort((beats, -share))[0]
    return state
