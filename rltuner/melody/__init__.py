"""Melodies, and what they are made of, written to and drawn as.

`Melodies` (a batch on a grid of sixteenths), `Vocabulary` and `Meter`, keys, whole tunes and files of them; MIDI and
note_seq there and back, MusicXML and piano rolls out. Scores (ABC, MusicXML) are read in the room `reading`.
Uses `storing`.
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
