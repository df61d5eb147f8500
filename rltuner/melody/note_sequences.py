"""The border to note_seq, and the only place that imports it.

note_seq numbers the two special events the other way round: -2 is no event, -1 note off. They are converted here, by
name, and nowhere else.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from rltuner.errors import InputError
from rltuner.melody.grid import (
    MAX_TICK,
    NO_EVENT,
    NOTE_OFF,
    NUM_SPECIAL_EVENTS,
    STEPS_PER_QUARTER,
    Meter,
    Vocabulary,
)


def to_note_sequence(events: Sequence[int], vocabulary: Vocabulary, meter: Meter, qpm: float) -> Any:
    """Events of one melody as a note_seq `NoteSequence`; see `Melodies.to_note_sequences`."""
    note_seq = import_note_seq()
    offset = vocabulary.min_pitch - NUM_SPECIAL_EVENTS
    special = {NOTE_OFF: note_seq.MELODY_NOTE_OFF, NO_EVENT: note_seq.MELODY_NO_EVENT}
    melody = note_seq.Melody(
        [special.get(event, event + offset) for event in events], steps_per_bar=meter.steps_per_bar
    )
    sequence = melody.to_sequence(qpm=qpm)
    sequence.ticks_per_quarter = note_seq.STANDARD_PPQ
    signature = sequence.time_signatures.add()
    signature.numerator, signature.denominator = meter.time_signature
    return sequence


def events_in(sequence: Any, vocabulary: Vocabulary, polyphonic: bool) -> list[tuple[list[int], Meter]]:
    """Events and metre of every melody in a `NoteSequence`; see `Melodies.from_note_sequences`."""
    return [
        (events_of_note_seq(melody, vocabulary), meter) for melody, meter in _extract(sequence, polyphonic)
    ]


def events_of_note_seq(melody: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Events of a note_seq Melody (-2 no event, -1 note off, otherwise a MIDI pitch)."""
    note_seq = import_note_seq()
    special = {note_seq.MELODY_NOTE_OFF: NOTE_OFF, note_seq.MELODY_NO_EVENT: NO_EVENT}
    return [special[e] if e in special else vocabulary.class_of(e) for e in melody]


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
