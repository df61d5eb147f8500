"""The border to note_seq, whose -1 and -2 are our 0 and 1."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from generators import HOLD, REST, canonical_tunes, tunes
from hypothesis import given, settings
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.melody.note_sequences import events_of_note_seq

C4, D4, E4 = 14, 16, 18
TEMPOS = [33.1, 60, 97.3, 120, 133.33, 211.7]


def test_the_two_special_events_change_places() -> None:
    import note_seq

    assert (note_seq.MELODY_NOTE_OFF, note_seq.MELODY_NO_EVENT) == (-1, -2)
    melody = note_seq.Melody([60, -2, -1, -2, 48, 83])
    assert events_of_note_seq(list(melody), Vocabulary()) == [C4, HOLD, REST, HOLD, 2, 37]


def test_a_rest_is_silent_and_a_hold_sounds_on_in_note_seq() -> None:
    (sequence,) = Melodies([C4, HOLD, REST, HOLD, D4]).to_note_sequences(qpm=60)
    notes = [(note.pitch, note.start_time, note.end_time) for note in sequence.notes]
    assert notes == [(60, 0, 0.5), (62, 1, 1.25)]


@settings(max_examples=60)
@given(tune=canonical_tunes(), qpm=st.sampled_from(TEMPOS))
def test_a_canonical_tune_that_starts_in_its_first_bar_comes_back_event_for_event(
    tune: list[int], qpm: float
) -> None:
    back = Melodies.from_note_sequences(Melodies(tune).to_note_sequences(qpm))
    assert back.events.tolist() == [tune]


@settings(max_examples=60)
@given(tune=tunes(max_size=16), qpm=st.sampled_from(TEMPOS))
def test_a_tune_sounds_the_same_when_it_comes_back(tune: list[int], qpm: float) -> None:
    melodies = Melodies(torch.tensor(tune, dtype=torch.int64))
    back = Melodies.from_note_sequences(melodies.to_note_sequences(qpm))
    assert [back.notes(b) for b in range(len(back))] == ([melodies.notes(0)] if melodies.notes(0) else [])


def test_bars_of_rest_do_not_end_a_tune() -> None:
    tune = [C4, REST, *[HOLD] * 70, D4]
    assert Melodies.from_note_sequences(Melodies(tune).to_note_sequences()).events.tolist() == [tune]


def test_a_tune_of_two_thousand_steps_comes_back_event_for_event() -> None:
    tune = [C4, HOLD, REST, D4, E4, HOLD, HOLD, C4] * 250
    assert Melodies.from_note_sequences(Melodies(tune).to_note_sequences(97.3)).events.tolist() == [tune]


@pytest.mark.parametrize("meter", [Meter(16, 4), Meter(12, 4), Meter(12, 6), Meter(10, 2)])
def test_the_metre_comes_back(meter: Meter) -> None:
    batch = Melodies.from_lists([[C4, HOLD, D4], [E4]], meter=meter)
    back = Melodies.from_note_sequences(batch.to_note_sequences())
    assert back.meter == meter
    assert torch.equal(back.events, batch.events)
    assert back.lengths.tolist() == [3, 1]


def test_padding_does_not_sound() -> None:
    sequences = Melodies([[C4, D4, D4], [D4, HOLD, HOLD]], [1, 3]).to_note_sequences()
    assert [len(sequence.notes) for sequence in sequences] == [1, 1]


def test_melodies_in_two_metres_are_no_batch() -> None:
    sequences = [Melodies([C4], meter=meter).to_note_sequences()[0] for meter in (Meter(16, 4), Meter(12, 6))]
    with pytest.raises(InputError, match=r"several metres .*4/4, 6/8"):
        Melodies.from_note_sequences(sequences)


def chord() -> Any:
    (sequence,) = Melodies([C4, HOLD]).to_note_sequences()
    sequence.notes.add(pitch=64, velocity=90, start_time=0, end_time=0.25)
    sequence.filename = "chord.mid"
    return sequence


def test_a_chord_is_refused_by_name_or_its_highest_note_taken() -> None:
    with pytest.raises(InputError, match=r"chord\.mid"):
        Melodies.from_note_sequences([chord()])
    assert Melodies.from_note_sequences([chord()], polyphonic=True).notes(0) == [(64, 0, 2)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sequence: sequence.tempos.add(qpm=60, time=0.25),
        lambda sequence: sequence.time_signatures.add(numerator=3, denominator=4, time=0.25),
        lambda sequence: setattr(sequence.time_signatures[0], "denominator", 3),
        lambda sequence: setattr(sequence.time_signatures[0], "denominator", 32),
        lambda sequence: setattr(sequence.notes[0], "start_time", -1),
    ],
    ids=["tempo change", "metre change", "no such note value", "32nds", "before the start"],
)
def test_a_sequence_off_the_grid_is_refused_by_name(spoil: Callable[[Any], object]) -> None:
    (sequence,) = Melodies([C4, HOLD, HOLD, D4]).to_note_sequences()
    sequence.filename = "off.mid"
    sequence.time_signatures[0].numerator = 5
    spoil(sequence)
    with pytest.raises(InputError, match=r"off\.mid"):
        Melodies.from_note_sequences([sequence])


def test_a_pitch_outside_the_vocabulary_is_refused() -> None:
    sequences = Melodies([2], vocabulary=Vocabulary(47, 84)).to_note_sequences()
    with pytest.raises(InputError, match="pitch 47"):
        Melodies.from_note_sequences(sequences)


def test_the_guard_against_endless_files_stands_after_note_seq_is_imported() -> None:
    script = (
        "import note_seq\n"
        "from pretty_midi import pretty_midi\n"
        "from rltuner.melody import Melodies\n"
        "Melodies([14]).to_note_sequences()\n"
        "assert pretty_midi.MAX_TICK <= 1e7, pretty_midi.MAX_TICK"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
