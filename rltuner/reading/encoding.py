"""From sounds in time to events: rounded to the grid of sixteenths, transposed for a corpus, at its own pitch for a song.

Events are those of `melody.tunes`: from a bar line on, in whole bars, in the canonical form. A step before the first bar
line is negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary, events_of_notes
from rltuner.reading.bars import REST, Sound, UnusableError

MAX_OFF_GRID = 0.1  # of a tune's onsets; more than this drops it
MAX_STEPS = 100_000  # no tune is that long
FIFTH = 7  # semitones; a signature of s sharps has its major tonic s fifths above C
ANY_PITCH = Vocabulary(0, 128)

Note = tuple[Fraction, Fraction, int]
"""(onset in steps, end, MIDI pitch)"""


@dataclass(frozen=True)
class SongEvents:
    """A song on the grid; classes of `ANY_PITCH`."""

    pickup: tuple[int, ...]
    """From its first note on; () where it has none."""
    events: tuple[int, ...]
    """From the first bar line on. A note of the pickup that goes on there is a hold at its beginning."""
    rounded: int
    """Onsets beside the grid."""
    lost: int
    """Notes left out since another begins on their sixteenth."""


def encode(
    pickup: Sequence[Sound], sounds: Sequence[Sound], sharps: int, meter: Meter, vocabulary: Vocabulary
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The events of a pickup, and of a tune from its first bar line on: on the grid, without key signature, in the
    vocabulary.

    Onsets are rounded to the nearest step; of two that meet there, the one nearer to the grid is kept. The
    transposition is the smallest (in semitones, up or down) that removes the key signature and brings every
    note of the tune into the vocabulary. Silent bars at either end are left out. A pickup is () where it leaves the
    vocabulary, or the tune's first bar is silent. A note that a pickup ties into the first bar is struck there again,
    so that the tune is whole without its pickup.

    Raises UnusableError: no notes, off the grid, out of range, too long.
    """
    notes, end = notes_of(sounds)
    if not notes:
        raise UnusableError("no notes")
    if end > MAX_STEPS:
        raise UnusableError("too long")
    check_grid([onset for onset, _, _ in notes])
    kept = _on_grid(notes, end)
    shift = _transposition([pitch for _, pitch, _ in kept.values()], sharps, vocabulary)
    bar = meter.steps_per_bar
    first = min(kept) // bar * bar
    gridded = [(pitch + shift, step - first, last - first) for step, (_, pitch, last) in sorted(kept.items())]
    events = _filled(events_of_notes(gridded, vocabulary).tolist(), bar)
    return () if first else _of_pickup(pickup, shift, meter, vocabulary), tuple(events)


def encode_song(
    lead: Fraction, sounds: Sequence[Sound], meter: Meter, *, is_open: bool = False
) -> SongEvents:
    """The events of a song, at the pitch it is written in: those before the first bar line, and those from there on.

    Args:
      lead: steps before the first bar line.
      sounds: from the song's beginning on.
      meter: of its bars; what follows the last note's bar is left out.
      is_open: it ends with its last note, in mid-bar too.

    Raises UnusableError: no notes, too long.
    """
    notes, end = notes_of(sounds)
    if not notes:
        raise UnusableError("no notes")
    if end > MAX_STEPS:
        raise UnusableError("too long")
    placed = [(onset - lead, last - lead, pitch) for onset, last, pitch in notes]
    kept = _on_grid(placed, end - lead)
    before = max(0, -min(kept))  # steps from the pickup's first note to the bar line
    gridded = [(pitch, step + before, last + before) for step, (_, pitch, last) in sorted(kept.items())]
    events = events_of_notes(gridded, ANY_PITCH).tolist()
    if len(events) <= before:  # all of it stands before the bar line: silence follows
        events += [NOTE_OFF] + [NO_EVENT] * (before - len(events))
    tail = events[before:] if is_open else _filled(events[before:], meter.steps_per_bar)
    rounded = sum(onset.denominator > 1 for onset, _, _ in placed)
    return SongEvents(tuple(events[:before]), tuple(tail), rounded, len(notes) - len(kept))


def _filled(events: list[int], bar: int) -> list[int]:
    """The events up to the next bar line: silence follows the last note."""
    missing = -len(events) % bar
    sounds = next((event for event in reversed(events) if event != NO_EVENT), NOTE_OFF) != NOTE_OFF
    return events + [NOTE_OFF if sounds and k == 0 else NO_EVENT for k in range(missing)]


def _of_pickup(pickup: Sequence[Sound], shift: int, meter: Meter, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The events of a pickup, moved by `shift`; () where it has no notes, or they leave the vocabulary."""
    notes, end = notes_of(pickup)
    size = min(math.ceil(end), meter.steps_per_bar - 1)
    early = [(onset + size - end, last + size - end, pitch + shift) for onset, last, pitch in notes]
    kept = _on_grid([note for note in early if note[0] >= 0], Fraction(size))
    if not kept or not all(vocabulary.min_pitch <= p < vocabulary.max_pitch for _, p, _ in kept.values()):
        return ()
    gridded = [(pitch, step, min(last, size)) for step, (_, pitch, last) in sorted(kept.items())]
    events = events_of_notes(gridded, vocabulary).tolist()
    if len(events) < size:
        events += [NOTE_OFF] + [NO_EVENT] * (size - len(events) - 1)
    return tuple(events[min(kept) :])


def notes_of(sounds: Sequence[Sound]) -> tuple[list[Note], Fraction]:
    """(onset, end, MIDI pitch) of each note, tied ones put together, and where the last sound ends."""
    notes: list[Note] = []
    now, tied_pitch = Fraction(0), REST
    for length, pitch, tied in sounds:
        if pitch != REST and pitch == tied_pitch:
            notes[-1] = (notes[-1][0], now + length, pitch)
        elif pitch != REST:
            notes.append((now, now + length, pitch))
        now += length
        tied_pitch = pitch if tied else REST
    return notes, now


def _on_grid(notes: Sequence[Note], end: Fraction) -> dict[int, tuple[Fraction, int, int]]:
    """By step: (distance from the onset, MIDI pitch, step of the note's end). The last sound ends at `end`."""
    kept: dict[int, tuple[Fraction, int, int]] = {}
    for onset, last_of_note, pitch in notes:
        step = min(nearest(onset), nearest(end) - 1)  # not onto the bar line after the end
        distance, last = abs(onset - step), max(nearest(last_of_note), step + 1)
        if step in kept:
            last = max(last, kept[step][2])
            distance, pitch = min(kept[step][:2], (distance, pitch), key=lambda one: one[0])
        kept[step] = (distance, pitch, last)
    return kept


def _transposition(pitches: Sequence[int], sharps: int, vocabulary: Vocabulary) -> int:
    """The smallest shift, in semitones, that removes the key signature and fits the vocabulary, as `encode` says."""
    lowest, highest = vocabulary.min_pitch - min(pitches), vocabulary.max_pitch - 1 - max(pitches)
    fitting = [shift for shift in range(lowest, highest + 1) if (shift + FIFTH * sharps) % 12 == 0]
    if not fitting:
        raise UnusableError("out of range")
    return min(fitting, key=lambda shift: (abs(shift), shift))


def check_grid(onsets: Sequence[Fraction]) -> None:
    """UnusableError ("off the grid") where more than 10 % of the onsets are over a 64th note away from it."""
    if sum(abs(onset - nearest(onset)) > Fraction(1, 4) for onset in onsets) > MAX_OFF_GRID * len(onsets):
        raise UnusableError("off the grid")


def nearest(value: Fraction) -> int:
    """The nearest step; halves go up."""
    return math.floor(value + Fraction(1, 2))
