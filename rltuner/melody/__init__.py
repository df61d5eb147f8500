"""Melodies: the grid they lie on, and the files they are read from and written to.

`Melodies` is a batch of melodies on a grid of sixteenths; `Vocabulary` and `Meter` describe the grid. Here are also keys,
whole tunes and files of tunes, reading and writing of MIDI and note_seq, and output as MusicXML and piano rolls. Scores
(ABC, MusicXML) are read in the room `reading`. Uses `storing`.
"""

from rltuner.melody.grid import (
    MAX_TICK,
    NO_EVENT,
    NOTE_OFF,
    NUM_SPECIAL_EVENTS,
    STEPS_PER_QUARTER,
    Meter,
    Vocabulary,
    events_of_notes,
)
from rltuner.melody.melodies import Melodies

__all__ = [
    "MAX_TICK",
    "NOTE_OFF",
    "NO_EVENT",
    "NUM_SPECIAL_EVENTS",
    "STEPS_PER_QUARTER",
    "Melodies",
    "Meter",
    "Vocabulary",
    "events_of_notes",
]
