"""Melodies: a batch of monophonic melodies on a grid of sixteenth notes.

Shapes: B melodies, T events, P events of context. What an event means is in `rltuner.melody.grid`.

Two event sequences can sound alike (a NOTE_OFF in a silence changes nothing). What is read from MIDI is in the
*canonical* form: silence is one NOTE_OFF followed by NO_EVENTs, and a silence at the start is NO_EVENTs only.
"""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody.grid import NO_EVENT, NOTE_OFF, NUM_SPECIAL_EVENTS, Meter, Vocabulary, events_of_notes
from rltuner.melody.midi import read_midi, write_midi
from rltuner.melody.note_sequences import events_in, to_note_sequence


class Melodies:
    """A batch of B monophonic melodies of at most T events.

    Args:
      events: integers [B, T] (anything `torch.as_tensor` takes); one melody [T] becomes a batch of one.
      lengths: int [B]; events at and past a melody's length are padding, ignored by every rule and metric
        (and stored as NO_EVENT). Default: T for all.
      context: int [B, P]; what the network heard before ``events[:, 0]`` (the primer), from the zero state.
        -1 stands for the zero input vector, the start of a tune. Not part of the melody.
      vocabulary, meter: shared by the whole batch.

    Raises:
      InputError: wrong shapes, an event outside the vocabulary, a length outside [0, T].

    T = 0 and B = 0 are allowed: an empty melody has no onset.
    """

    def __init__(
        self,
        events: Any,
        lengths: Any = None,
        context: Any = None,
        vocabulary: Vocabulary | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.vocabulary = vocabulary if vocabulary is not None else Vocabulary()
        self.meter = meter if meter is not None else Meter()
        events = _as_int64(events, "events")
        if events.ndim == 1:
            events = events[None]
        if events.ndim != 2:
            raise InputError(f"events: shape {tuple(events.shape)}; expected [B, T]")
        batch, time = events.shape
        device = events.device
        if lengths is None:
            self.lengths = torch.full((batch,), time, dtype=torch.int64, device=device)
        else:
            self.lengths = _as_int64(lengths, "lengths").to(device)
            if self.lengths.shape != (batch,):
                raise InputError(f"lengths: shape {tuple(self.lengths.shape)}; expected [{batch}]")
            wrong = self.lengths[(self.lengths < 0) | (self.lengths > time)]
            if len(wrong):
                raise InputError(f"lengths: {int(wrong[0])}; every length must lie in [0, {time}]")
        self.valid: Tensor = torch.arange(time, device=device) < self.lengths[:, None]
        """bool [B, T]: True where the event belongs to the melody, False on padding."""
        self.events: Tensor = torch.where(self.valid, events, NO_EVENT)
        _check_classes(self.events, 0, self.vocabulary, "events")
        self._views: dict[Hashable, Tensor] = {}
        if context is None:
            self.context = torch.empty((batch, 0), dtype=torch.int64, device=device)
        else:
            self.context = _as_int64(context, "context").to(device)
            if self.context.ndim != 2 or self.context.shape[0] != batch:
                raise InputError(f"context: shape {tuple(self.context.shape)}; expected [{batch}, P]")
            _check_classes(self.context, -1, self.vocabulary, "context")

    # Views: each is computed once and kept.

    @cached_property
    def is_onset(self) -> Tensor:
        """bool [B, T]: a note starts here. Always False on padding."""
        return self.events >= NUM_SPECIAL_EVENTS

    @cached_property
    def pitch(self) -> Tensor:
        """int64 [B, T]: MIDI pitch of the onset at t, -1 where there is none."""
        return torch.where(self.is_onset, self.events - NUM_SPECIAL_EVENTS + self.vocabulary.min_pitch, -1)

    @cached_property
    def previous_onset(self) -> Tensor:
        """int64 [B, T]: step of the last onset strictly before t, -1 if none."""
        steps = torch.arange(self.events.shape[1], device=self.events.device)
        own = torch.where(self.is_onset, steps, -1)
        if not own.numel():
            return own
        latest = own.cummax(dim=1).values
        return torch.nn.functional.pad(latest[:, :-1], (1, 0), value=-1)

    @cached_property
    def previous_pitch(self) -> Tensor:
        """int64 [B, T]: MIDI pitch of the last onset strictly before t, -1 if none.

        Where both are missing it equals `pitch`: combine what compares them with `is_onset`.
        """
        previous = self.previous_onset
        return torch.where(previous >= 0, self.pitch.gather(1, previous.clamp(min=0)), -1)

    @cached_property
    def interval(self) -> Tensor:
        """int64 [B, T]: semitones from the previous onset to the onset at t; 0 where either is missing."""
        both = self.is_onset & (self.previous_pitch >= 0)
        return torch.where(both, self.pitch - self.previous_pitch, 0)

    def once(self, what: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """A cached tensor: calls `compute` the first time, and returns what it gave ever after.

        For expensive intermediate results that several rules share, such as `rules.motif.distinct_pitches`.

        Args:
          what: the key in this batch's cache; it must name the quantity with all its parameters.
          compute: gives the tensor, from this batch alone. Nobody may alter it in place.
        """
        if what not in self._views:
            self._views[what] = compute()
        return self._views[what]

    # A batch behaves like a sequence of melodies.

    def __len__(self) -> int:
        return self.events.shape[0]

    def __getitem__(self, index: SupportsIndex | slice | Sequence[int] | Tensor) -> Melodies:
        """The chosen melodies as a batch: an integer, also numpy's, gives a batch of one; a slice shares memory."""
        if isinstance(index, SupportsIndex) and not getattr(index, "shape", ()):  # arrays have __index__ too
            index = [range(len(self))[operator.index(index)]]
        # Not by `__init__`: what it checks holds for every part of a batch, and training takes parts all the time.
        chosen = object.__new__(Melodies)
        chosen.vocabulary, chosen.meter, chosen._views = self.vocabulary, self.meter, {}
        chosen.events, chosen.lengths = self.events[index], self.lengths[index]
        chosen.valid, chosen.context = self.valid[index], self.context[index]
        if chosen.events.ndim != 2:
            raise InputError(f"events: shape {tuple(chosen.events.shape)}; expected [B, T]")
        return chosen

    def to(self, device: torch.device | str) -> Melodies:
        """The same melodies on another device."""
        return Melodies(
            self.events.to(device), self.lengths, self.context.to(device), self.vocabulary, self.meter
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Melodies]) -> Melodies:
        """One batch of all the parts, padded to the longest. Contexts must have one width P.

        Raises InputError where vocabularies, metres or context widths differ, or where there is no part.
        """
        if not parts:
            raise InputError("concatenate: no melodies given")
        first = parts[0]
        for part in parts:
            if part.vocabulary != first.vocabulary or part.meter != first.meter:
                raise InputError(
                    f"melodies on different grids: {first.vocabulary} in {first.meter} and "
                    f"{part.vocabulary} in {part.meter}; compare like with like"
                )
            if part.context.shape[1] != first.context.shape[1]:
                raise InputError(
                    f"contexts of {first.context.shape[1]} and {part.context.shape[1]} events in one batch"
                )
        time = max(part.events.shape[1] for part in parts)
        pad = torch.nn.functional.pad
        return cls(
            torch.cat([pad(p.events, (0, time - p.events.shape[1]), value=NO_EVENT) for p in parts]),
            torch.cat([p.lengths for p in parts]),
            torch.cat([p.context for p in parts]),
            first.vocabulary,
            first.meter,
        )

    @classmethod
    def from_lists(
        cls, events: Iterable[Sequence[int]], vocabulary: Vocabulary | None = None, meter: Meter | None = None
    ) -> Melodies:
        """A batch of melodies of different lengths, padded."""
        rows = [_as_int64(list(row), "events") for row in events]
        if not rows:
            return cls(torch.empty((0, 0), dtype=torch.int64), vocabulary=vocabulary, meter=meter)
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NO_EVENT)
        return cls(padded, [len(row) for row in rows], None, vocabulary, meter)

    def __repr__(self) -> str:
        batch, time = self.events.shape
        return (
            f"Melodies(B={batch}, T={time}, context={self.context.shape[1]}, {self.vocabulary}, {self.meter})"
        )

    # Notes, MIDI and note_seq.

    def notes(self, index: int) -> list[tuple[int, int, int]]:
        """The notes of one melody: (MIDI pitch, first step, step after the last), in order, never overlapping.

        A note lasts until the next onset, the next NOTE_OFF or the melody's end, whichever comes first. A negative
        index counts from the end. Raises InputError where the batch has no such melody.
        """
        if not -len(self) <= index < len(self):
            raise InputError(f"index={index}: no such melody in a batch of {len(self)}")
        length = int(self.lengths[index])
        row = self.events[index, :length].tolist()
        starts = [t for t, event in enumerate(row) if event != NO_EVENT] + [length]
        return [
            (row[start] - NUM_SPECIAL_EVENTS + self.vocabulary.min_pitch, start, end)
            for start, end in itertools.pairwise(starts)
            if row[start] != NOTE_OFF
        ]

    def to_midi(self, path: str | os.PathLike[str], index: int = 0, qpm: float = 120.0) -> None:
        """Writes one melody as a MIDI file with one instrument track, its tempo and its time signature.

        Raises InputError where there is no such melody, and as `midi.write_midi` does.
        """
        write_midi(self.notes(index), path, qpm, self.meter)

    @classmethod
    def from_midi(cls, path: str | os.PathLike[str], vocabulary: Vocabulary | None = None) -> Melodies:
        """Reads a monophonic MIDI file as a batch of one melody, in the canonical form.

        Onsets and ends are rounded to the grid by MIDI ticks, so tempo changes do not matter. Raises InputError
        (naming the file and the place) for a file that is broken, empty, polyphonic or out of range.
        """
        notes, meter = read_midi(path)
        try:
            events = events_of_notes(notes, vocabulary if vocabulary is not None else Vocabulary())
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return cls(events[None], vocabulary=vocabulary, meter=meter)

    def to_note_sequences(self, qpm: float = 120.0) -> list[Any]:
        """One note_seq `NoteSequence` a melody (unquantised, in seconds)."""
        rows = zip(self.events.tolist(), self.lengths.tolist(), strict=True)
        return [to_note_sequence(row[:length], self.vocabulary, self.meter, qpm) for row, length in rows]

    @classmethod
    def from_note_sequences(
        cls, sequences: Iterable[Any], vocabulary: Vocabulary | None = None, *, polyphonic: bool = False
    ) -> Melodies:
        """Melodies of note_seq `NoteSequence`s: note_seq's own extraction, one melody an instrument.

        Args:
          sequences: unquantised NoteSequences, all in one metre. note_seq starts each melody
            at the bar of its first note, and finds none in silence: such a sequence gives no row.
          polyphonic: where True, of notes that start together the highest is taken; else they are an InputError.

        Raises InputError where a sequence cannot be put on the grid, or a pitch is outside the vocabulary.
        """
        vocabulary = vocabulary if vocabulary is not None else Vocabulary()
        found = [one for sequence in sequences for one in events_in(sequence, vocabulary, polyphonic)]
        meters = {meter for _, meter in found}
        if len(meters) > 1:
            raise InputError(
                f"melodies in several metres ({', '.join(sorted(map(str, meters)))}) in one batch"
            )
        return cls.from_lists([events for events, _ in found], vocabulary, meters.pop() if meters else None)


def _as_int64(values: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: not a rectangular array of integers ({error})") from None
    if (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool) and tensor.numel():
        raise InputError(f"{name}: dtype {tensor.dtype}; expected integers")
    return tensor.to(torch.int64)


def _check_classes(classes: Tensor, lowest: int, vocabulary: Vocabulary, name: str) -> None:
    if not classes.numel():
        return
    low, high = int(classes.min()), int(classes.max())
    if low < lowest or high >= vocabulary.size:
        wrong = low if low < lowest else high
        raise InputError(f"{name}: class {wrong} is outside the vocabulary of {vocabulary}")
