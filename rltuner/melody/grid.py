"""The grid of sixteenth notes: event classes, vocabulary and metre.

Conventions
-----------
* One *event* a step; a step is a sixteenth note, four to the quarter.
* Event classes: 0 is NOTE_OFF (the note ends, silence follows), 1 is NO_EVENT (whatever sounds, or the silence,
  goes on), class c >= 2 is the onset of MIDI pitch ``c - 2 + min_pitch``; with the default vocabulary class 2
  is MIDI 48 and class 14 is middle C (MIDI 60).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.errors import InputError

NOTE_OFF, NO_EVENT = 0, 1


NUM_SPECIAL_EVENTS = 2


STEPS_PER_QUARTER = 4


MAX_TICK = 1e7  # pretty_midi's own: more is a broken file


@dataclass(frozen=True)
class Vocabulary:
    """The event classes: NOTE_OFF, NO_EVENT and one onset for each MIDI pitch in [min_pitch, max_pitch).

    The default, C3 to B5, is the one of the RL Tuner paper: 38 classes.
    """

    min_pitch: int = 48
    """Lowest MIDI pitch (inclusive)."""
    max_pitch: int = 84
    """Highest MIDI pitch (exclusive)."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_pitch < self.max_pitch <= 128:
            raise InputError(
                f"vocabulary: min_pitch={self.min_pitch}, max_pitch={self.max_pitch}: "
                "MIDI pitches must satisfy 0 <= min_pitch < max_pitch <= 128"
            )

    @property
    def size(self) -> int:
        """Number of event classes."""
        return self.max_pitch - self.min_pitch + NUM_SPECIAL_EVENTS

    def class_of(self, pitch: int) -> int:
        """Class of the onset of a MIDI pitch; InputError when the pitch is outside the vocabulary."""
        if not self.min_pitch <= pitch < self.max_pitch:
            raise InputError(
                f"MIDI pitch {pitch} is outside the vocabulary ({self.min_pitch} to {self.max_pitch - 1}); "
                "transpose the melody by octaves"
            )
        return pitch - self.min_pitch + NUM_SPECIAL_EVENTS

    def __str__(self) -> str:
        return f"{self.size} classes (MIDI {self.min_pitch} to {self.max_pitch - 1})"


@dataclass(frozen=True)
class Meter:
    """Bar and beat in steps of a sixteenth: 4/4 is (16, 4), 3/4 is (12, 4), 6/8 is (12, 6)."""

    steps_per_bar: int = 16
    steps_per_beat: int = 4

    def __post_init__(self) -> None:
        if self.steps_per_beat < 1 or self.steps_per_bar < 1 or self.steps_per_bar % self.steps_per_beat:
            raise InputError(
                f"meter: steps_per_bar={self.steps_per_bar}, steps_per_beat={self.steps_per_beat}: "
                "a bar must be a whole number of beats of at least one sixteenth"
            )

    @classmethod
    def from_time_signature(cls, numerator: int, denominator: int) -> Meter:
        """The metre of a time signature. 6/8, 9/8, 12/8 and the like have dotted beats.

        Raises InputError where the sixteenth grid cannot hold it (a 5/32 bar, say).
        """
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16):
            raise InputError(f"time signature {numerator}/{denominator}: the sixteenth grid cannot hold it")
        unit = 16 // denominator
        compound = denominator >= 8 and numerator % 3 == 0 and numerator > 3
        return cls(numerator * unit, 3 * unit if compound else unit)

    @classmethod
    def parse(cls, text: str) -> Meter:
        """The metre of a time signature as written, "3/4"; InputError where it is none, or off the grid."""
        numerator, _, denominator = text.partition("/")
        if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in (numerator, denominator)):
            raise InputError(f"meter {text!r}: write a time signature, such as '3/4' or '6/8'")
        if int(numerator) > 255:
            raise InputError(f"meter {text!r}: MIDI holds at most 255 beats a bar")
        return cls.from_time_signature(int(numerator), int(denominator))

    @property
    def time_signature(self) -> tuple[int, int]:
        """(numerator, denominator) as written in a MIDI file; the inverse of `from_time_signature`."""
        unit = self.steps_per_beat
        if unit % 3 == 0:
            unit //= 3
        if 16 % unit:  # a beat of 5 sixteenths, say: write the bar in sixteenths
            unit = 1
        return self.steps_per_bar // unit, 16 // unit

    def __str__(self) -> str:
        return "{}/{}".format(*self.time_signature)


def events_of_notes(notes: Sequence[tuple[int, int, int]], vocabulary: Vocabulary) -> Tensor:
    """Canonical events [T] of notes (MIDI pitch, first step, step after the last), sorted by first step.

    A note that still sounds at the next onset ends there. T is the end of the last note (0 without notes).
    """
    total = notes[-1][2] if notes else 0
    events = torch.full((total,), NO_EVENT, dtype=torch.int64)
    following = [start for _, start, _ in notes[1:]] + [total]
    for (pitch, start, end), next_start in zip(notes, following, strict=True):
        events[start] = vocabulary.class_of(pitch)
        if end < next_start:
            events[end] = NOTE_OFF
    return events
