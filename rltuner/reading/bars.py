"""How the bars of a score become the events of a tune: the rules that every format shares.

Conventions
-----------
* A reader (`abc_notation`, `scores`) gives drafts: bars with what else is known of the tune. From
  there every format takes one path:

      bars --expand_repeats--> bars as played --align--> pickup, sounds in whole bars --encode--> events

* A sound is (length in steps, MIDI pitch or REST, tied to the next). Lengths are exact up to `encode`, which rounds
  onsets and ends to the grid of sixteenths.
* Events are those of `melody.tunes`: from a bar line on, in whole bars, in the canonical form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from rltuner.melody import NO_EVENT, NOTE_OFF, Meter, Vocabulary, events_of_notes

REST = -1
MAX_OFF_GRID = 0.1  # of a tune's onsets; more than this drops it
MAX_STEPS = 100_000  # no tune is that long
FIFTH = 7  # semitones; a signature of s sharps has its major tonic s fifths above C

Sound = tuple[Fraction, int, bool]


class UnusableError(Exception):
    """The tune is read, but a rule of the corpus drops it; the message is the reason that is counted."""


@dataclass
class Bar:
    """What stands between two bar lines."""

    sounds: list[Sound] = field(default_factory=list)
    begins_repeat: bool = False
    """A repeat start before it."""
    ending: int = 0
    """The ending (1 or 2) that starts with it; 0 for none, 3 for any other."""
    ends_repeat: bool = False
    """A repeat end after it."""
    ends_section: bool = False
    """A double bar line or a repeat sign after it."""

    @property
    def length(self) -> Fraction:
        """Sum of the lengths of its sounds, in steps, exact."""
        return sum((sound[0] for sound in self.sounds), Fraction(0))


@dataclass
class Draft:
    """A tune as a reader gives it: its bars as written, before repeats, metre, grid and transposition."""

    source: str
    title: str
    bars: list[Bar] = field(default_factory=list)
    signature: tuple[int, int] | None = None
    """Time signature, None where there is none."""
    sharps: int = 0
    """Of the key signature; negative for flats."""
    key: str = ""
    credit: str = ""
    polyphonic: bool = False
    """Several notes begin together, of which the highest was taken; known of scores only."""
    unusable: str = ""
    """Why a rule drops it, where the reader knows."""
    rhythm: str = ""
    """The kind of tune that it says it is."""


def expand_repeats(bars: Sequence[Bar]) -> list[Bar] | None:
    """The bars as played; None where the signs do not fit together (then the tune is taken as written).

    A repeat end goes back to the last repeat start, double bar line or repeat end, whichever came last, or to
    the beginning. First and second endings are played in turn; a second ending is as long as the first.
    """
    played: list[Bar] = []
    back_to, first_ending, explicit = 0, None, False
    for index, bar in enumerate(bars):
        if bar.begins_repeat:
            if first_ending is not None:
                return None
            back_to, explicit = index, True
        if bar.ending == 1:
            if first_ending is not None:
                return None
            first_ending = index
        elif bar.ending == 2:
            if first_ending is None:
                return None
            if not bars[index - 1].ends_repeat:  # "[1 … [2" with the repeat sign left out
                played += bars[back_to:first_ending]
            back_to, explicit = index + (index - first_ending), False
            first_ending = None
        elif bar.ending:
            return None
        played.append(bar)
        if bar.ends_repeat and index >= back_to:
            if first_ending is not None:
                if index + 1 == len(bars) or bars[index + 1].ending != 2:
                    return None
                played += bars[back_to:first_ending]
            else:
                played += bars[back_to : index + 1]
                back_to, explicit = index + 1, False
        elif bar.ends_section and not explicit and first_ending is None:
            back_to = index + 1
    return played if first_ending is None else None


def align(bars: Sequence[Bar], steps_per_bar: int) -> tuple[list[Sound], list[Sound]]:
    """The sounds before the first full bar, and those of the bars from there on, every one full.

    * A short bar and the next one or two that complete it are one bar (a repeat sign in the middle of a bar).
    * A short bar where a section starts is a pickup: the first one is kept apart, a later one is dropped.
    * A short bar where a section ends: its last sound goes on until the bar is full.
    * A long bar of a whole number of bars lacks a bar line: kept.

    Raises UnusableError ("bars do not add up") for any other.
    """
    pickup: list[Sound] = []
    sounds: list[Sound] = []
    starts_section, index = True, 0
    while index < len(bars):
        bar = bars[index]
        length, used = bar.length, 1
        if length < steps_per_bar and sounds:
            total = length
            for ahead in (1, 2):
                total += bars[index + ahead].length if index + ahead < len(bars) else 0
                if total == steps_per_bar:
                    length, used = total, ahead + 1
                    break
        taken = bars[index : index + used]
        index += used
        if length and length % steps_per_bar == 0:
            sounds += (sound for part in taken for sound in part.sounds)
        elif length > steps_per_bar:
            raise UnusableError("bars do not add up")
        elif not starts_section:
            if not (bar.ends_section or index == len(bars)):
                raise UnusableError("bars do not add up")
            *before, (last, pitch, tied) = bar.sounds
            sounds += [*before, (last + steps_per_bar - length, pitch, tied)]
        elif not sounds:
            pickup = bar.sounds
        starts_section = taken[-1].ends_section
    return pickup, sounds


def encode(
    pickup: Sequence[Sound], sounds: Sequence[Sound], sharps: int, meter: Meter, vocabulary: Vocabulary
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The events of a pickup, and of a tune from its first bar line on: on the grid, without key signature, in the
    vocabulary.

    Onsets are rounded to the nearest step; of two that meet there, the one nearer to the grid is kept. The
    transposition is the smallest (in semitones, up or down) that removes the key signature and brings every
    note of the tune into the vocabulary. Silent bars at either end are left out. A pickup is () where it leaves the
    vocabulary, or the tune's first bar is silent.

    Raises UnusableError: no notes, off the grid, out of range, too long.
    """
    notes, end = _notes(sounds)
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
    events = events_of_notes(gridded, vocabulary).tolist()
    whole = -(-len(events) // bar) * bar
    if len(events) < whole:
        events += [NOTE_OFF] + [NO_EVENT] * (whole - len(events) - 1)
    return () if first else _of_pickup(pickup, shift, meter, vocabulary), tuple(events)


def _of_pickup(pickup: Sequence[Sound], shift: int, meter: Meter, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The events of a pickup, moved by `shift`; () where it has no notes, or they leave the vocabulary."""
    notes, end = _notes(pickup)
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


def _notes(sounds: Sequence[Sound]) -> tuple[list[tuple[Fraction, Fraction, int]], Fraction]:
    """(onset, end, MIDI pitch) of each note, tied ones put together, and where the last sound ends."""
    notes: list[tuple[Fraction, Fraction, int]] = []
    now, tied_pitch = Fraction(0), REST
    for length, pitch, tied in sounds:
        if pitch != REST and pitch == tied_pitch:
            notes[-1] = (notes[-1][0], now + length, pitch)
        elif pitch != REST:
            notes.append((now, now + length, pitch))
        now += length
        tied_pitch = pitch if tied else REST
    return notes, now


def _on_grid(
    notes: Sequence[tuple[Fraction, Fraction, int]], end: Fraction
) -> dict[int, tuple[Fraction, int, int]]:
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
