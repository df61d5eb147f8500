"""The task of a worker process that reads pieces. A module of its own, since workers are given functions by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import BarOptions
from rltuner.launchpad.music.bars import bars_of
from rltuner.launchpad.music.pieces import read_piece


@dataclass(frozen=True)
class Read:
    """What became of a file."""

    words: Array | None
    """Its bars, uint64 [M, N]; None where it could not be read."""
    left_out: Counter[str]
    """Bars that were left out, by reason."""
    broken: str = ""
    """Why it could not be read."""
    qpm: float = 0.0
    """The tempo that was estimated, 0 where none was."""


def read_bars(task: tuple[str, Board, BarOptions]) -> Read:
    """The bars of the file at a path. Never raises but for MemoryError."""
    path, board, options = task
    try:
        piece = read_piece(path)
        words, left_out = bars_of(piece, board, options)
    except InputError as error:
        return Read(None, Counter(), str(error).removeprefix(f"{path}: "))
    except MemoryError:
        raise
    except Exception as error:  # a reader of broken files raises anything; one file must not end the corpus
        return Read(None, Counter(), " ".join(str(error).split())[:120] or type(error).__name__)
    return Read(words, left_out, qpm=piece.qpm)
