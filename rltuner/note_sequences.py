"""The border to note_seq, and the only place that imports it.

note_seq numbers the two special events the other way round: -2 is no event, -1 note off. They are converted here, by
name, and nowhere else.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError
from rltuner.melody import (
    MAX_TICK,
    NO_EVENT,
    NOTE_OFF,
    NUM_SPECIAL_EVENTS,
    STEPS_PER_QUARTER,
    Melodies,
    Meter,
    Vocabulary,
)


def to_note_sequences(melodies: Melodies, qpm: float) -> list[Any]:
    """See `Melodies.to_note_sequences`."""
    note_seq = import_note_seq()
    offset = melodies.vocabulary.min_pitch - NUM_SPECIAL_EVENTS
    special = {NOTE_OFF: note_seq.MELODY_NOTE_OFF, NO_EVENT: note_seq.MELODY_NO_EVENT}
    sequences = []
    for row, length in zip(melodies.events.tolist(), melodies.lengths.tolist(), strict=True):
        events = [special.get(event, event + offset) for event in row[:length]]
        melody = note_seq.Melody(events, steps_per_bar=melodies.meter.steps_per_bar)
        sequence = melody.to_sequence(qpm=qpm)
        sequence.ticks_per_quarter = note_seq.STANDARD_PPQ
        signature = sequence.time_signatures.add()
        signature.numerator, signature.denominator = melodies.meter.time_signature
        sequences.append(sequence)
    return sequences


def melodies_in(sequences: Iterable[Any], vocabulary: Vocabulary, polyphonic: bool) -> Melodies:
    """See `Melodies.from_note_sequences`."""
    rows: list[Tensor] = []
    meters: set[Meter] = set()
    for sequence in sequences:
        for melody, meter in _extract(sequence, polyphonic):
            rows.append(events_of_note_seq(melody, vocabulary))
            meters.add(meter)
    if len(meters) > 1:
        raise InputError(f"melodies in several metres ({', '.join(sorted(map(str, meters)))}) in one batch")
    return Melodies.from_lists([row.tolist() for row in rows], vocabulary, meters.pop() if meters else None)


def events_of_note_seq(melody: Sequence[int], vocabulary: Vocabulary) -> Tensor:
    """Events [T] of a note_seq Melody (-2 no event, -1 note off, otherwise a MIDI pitch)."""
    note_seq = import_note_seq()
    special = {note_seq.MELODY_NOTE_OFF: NOTE_OFF, note_seq.MELODY_NO_EVENT: NO_EVENT}
    return torch.tensor(
        [special[e] if e in special else vocabulary.class_of(e) for e in melody], dtype=torch.int64
    )


def _extract(sequence: Any, polyphonic: bool) -> list[tuple[Sequence[int], Meter]]:
    """Every instrument's melody in a NoteSequence, with its metre; drums are left out."""
    note_seq = import_note_seq()
    sequences_lib = note_seq.sequences_lib
    try:
        quantized = note_seq.quantize_note_sequence(sequence, steps_per_quarter=STEPS_PER_QUARTER)
        signature = quantized.time_signatures[0]
        meter = Meter.from_time_signature(signature.numerator, signature.denominator)
        melodies: list[tuple[Sequence[int], Meter]] = []
        for instrument in sorted({note.instrument for note in quantized.notes if not note.is_drum}):
            melody = note_seq.Melody()
            melody.from_quantized_sequence(
                quantized,
                instrument=instrument,
                gap_bars=math.inf,  # a long rest does not end the melody
                ignore_polyphonic_notes=polyphonic,
            )
            if len(melody):
                melodies.append((list(melody), meter))
    except (
        sequences_lib.BadTimeSignatureError,
        sequences_lib.MultipleTempoError,
        sequences_lib.MultipleTimeSignatureError,
        sequences_lib.NegativeTimeError,
        note_seq.PolyphonicMelodyError,
        note_seq.NonIntegerStepsPerBarError,
        InputError,
    ) as error:
        name = sequence.filename or sequence.id or "NoteSequence"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: cannot be read as a melody: {reason}") from None
    return melodies


def import_note_seq() -> Any:
    """note_seq, imported late (over a second) and without its two side effects.

    It warns about a missing ffmpeg, which nothing here uses, and lifts the limit on ticks by which pretty_midi
    refuses files that would take all memory.
    """
    import pretty_midi.pretty_midi as guarded

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ffmpeg.*")
        import note_seq
    guarded.MAX_TICK = min(guarded.MAX_TICK, MAX_TICK)
    return note_seq
