"""Melodies: their views, their batches, their grid and what they refuse."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generators import HIGHEST_CLASS, HOLD, REST, random_tunes, tunes
from hypothesis import given
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies, Meter, Vocabulary, events_of_notes

C4, D4, E4 = 14, 16, 18


def test_a_rest_is_note_off_and_a_hold_is_no_event() -> None:
    assert (NOTE_OFF, NO_EVENT) == (REST, HOLD) == (0, 1)


def test_the_papers_vocabulary_has_38_classes_from_c3_to_b5() -> None:
    vocabulary = Vocabulary()
    assert vocabulary.size == 38
    assert [vocabulary.class_of(pitch) for pitch in (48, 60, 83)] == [2, C4, HIGHEST_CLASS]


def test_class_14_is_middle_c() -> None:
    assert Melodies([2, C4, 37]).pitch.tolist() == [[48, 60, 83]]


def test_another_vocabulary_shifts_the_pitches() -> None:
    melodies = Melodies([0, 1, 2, 89], vocabulary=Vocabulary(21, 109))
    assert melodies.pitch.tolist() == [[-1, -1, 21, 108]]


# Views, against plain Python


@given(tune=tunes())
def test_views_of_a_tune_equal_their_definitions(tune: list[int]) -> None:
    melodies = Melodies(torch.tensor(tune, dtype=torch.int64))
    previous_pitch, previous_step = -1, -1
    for t, event in enumerate(tune):
        sounds = event >= 2
        pitch = event + 46 if sounds else -1
        assert bool(melodies.is_onset[0, t]) == sounds
        assert int(melodies.pitch[0, t]) == pitch
        assert int(melodies.previous_pitch[0, t]) == previous_pitch
        assert int(melodies.previous_onset[0, t]) == previous_step
        expected = pitch - previous_pitch if sounds and previous_pitch >= 0 else 0
        assert int(melodies.interval[0, t]) == expected
        if sounds:
            previous_pitch, previous_step = pitch, t


@given(several=st.lists(tunes(max_size=20), min_size=1, max_size=6))
def test_views_of_a_padded_batch_are_those_of_each_tune(several: list[list[int]]) -> None:
    batch = Melodies.from_lists(several)
    assert batch.lengths.tolist() == [len(tune) for tune in several]
    for row, tune in enumerate(several):
        alone = Melodies(torch.tensor(tune, dtype=torch.int64))
        for view in ("is_onset", "pitch", "previous_pitch", "interval", "events"):
            assert torch.equal(getattr(batch, view)[row, : len(tune)], getattr(alone, view)[0]), view
        assert not batch.is_onset[row, len(tune) :].any()
        assert not batch.valid[row, len(tune) :].any()
        assert batch.notes(row) == alone.notes(0)


@given(tune=tunes())
def test_notes_are_found_by_walking_through_the_events(tune: list[int]) -> None:
    found: list[tuple[int, int, int]] = []
    sounding: tuple[int, int] | None = None
    for t, event in enumerate([*tune, REST]):
        if event == HOLD:
            continue
        if sounding is not None:
            found.append((*sounding, t))
        sounding = (event + 46, t) if event >= 2 else None
    assert Melodies(torch.tensor(tune, dtype=torch.int64)).notes(0) == found


def test_a_rest_within_silence_changes_no_note() -> None:
    assert Melodies([REST, C4, REST, REST, HOLD, REST, D4]).notes(0) == [(60, 1, 2), (62, 6, 7)]


def test_a_note_that_runs_into_the_next_ends_there() -> None:
    assert events_of_notes([(60, 0, 5), (62, 2, 3)], Vocabulary()).tolist() == [C4, HOLD, D4]


# Batches


def test_one_tune_is_a_batch_of_one() -> None:
    assert Melodies([C4, D4]).events.shape == (1, 2)


def test_events_past_the_end_are_stored_as_holds_and_not_checked() -> None:
    assert Melodies([[C4, 99, -7]], [1]).events.tolist() == [[C4, HOLD, HOLD]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (3, 0)])
def test_empty_melodies_have_no_onset(shape: tuple[int, int]) -> None:
    melodies = Melodies(torch.empty(shape, dtype=torch.int64))
    for view in (melodies.is_onset, melodies.pitch, melodies.previous_pitch, melodies.interval):
        assert view.shape == shape
    assert all(melodies.notes(b) == [] for b in range(len(melodies)))
    assert Melodies.from_lists([]).events.shape == (0, 0)


def test_numpy_and_small_integers_are_taken() -> None:
    for dtype in (np.int8, np.uint8, np.int32, np.int64):
        assert Melodies(np.array([[C4, HOLD]], dtype=dtype)).events.dtype == torch.int64


def test_a_chosen_melody_keeps_its_length_and_its_primer() -> None:
    batch = Melodies([[C4, D4], [E4, E4]], [1, 2], [[5], [6]], meter=Meter(12, 6))
    last = batch[-1]
    assert (last.events.tolist(), last.lengths.tolist(), last.context.tolist()) == ([[E4, E4]], [2], [[6]])
    assert last.meter == Meter(12, 6)
    assert batch[torch.tensor([True, False])].lengths.tolist() == [1]
    assert len(batch[[1, 0, 1]]) == 3
    assert [melody.context.item() for melody in batch] == [5, 6]


def test_any_integer_chooses_one_melody() -> None:
    batch = Melodies([[C4], [D4], [E4]])
    for index in (2, -1, np.int64(2), np.uint8(2), torch.tensor(2)):
        assert batch[index].events.tolist() == [[E4]]
    assert batch[torch.tensor([2])].events.tolist() == [[E4]]
    assert batch[torch.tensor([False, True, False])].events.tolist() == [[D4]]
    assert Melodies([C4])[torch.tensor([False])].events.shape == (0, 1)
    with pytest.raises(IndexError):  # what ends a loop over a batch
        batch[np.int64(3)]


@pytest.mark.parametrize("index", [99, -3, np.int64(2)])
def test_a_melody_that_the_batch_lacks_is_refused_by_its_index(index: int, tmp_path: Path) -> None:
    batch = Melodies([[C4], [D4]])
    parts = [f"index={index}", "batch of 2"]
    assert_one_line_error(lambda: batch.notes(index), parts)
    assert_one_line_error(lambda: batch.to_midi(tmp_path / "none.mid", index=index), parts)
    assert list(tmp_path.iterdir()) == []
    assert batch.notes(-1) == [(62, 0, 1)]


def test_parts_of_several_lengths_are_put_together_unchanged() -> None:
    several = random_tunes(9, seed=12)
    whole = Melodies.concatenate([Melodies(tune) for tune in several])
    together = Melodies.from_lists(several)
    assert torch.equal(whole.events, together.events)
    assert torch.equal(whole.lengths, together.lengths)


def test_melodies_on_different_grids_are_not_put_together() -> None:
    four_four, six_eight = Melodies([C4]), Melodies([C4], meter=Meter(12, 6))
    with pytest.raises(InputError, match=r"different grids: .*4/4.*6/8"):
        Melodies.concatenate([four_four, six_eight])
    with pytest.raises(InputError, match="contexts of 0 and 2 events"):
        Melodies.concatenate([four_four, Melodies([C4], None, [[0, 0]])])
    with pytest.raises(InputError, match="no melodies"):
        Melodies.concatenate([])


# Metres

SIGNATURES = [(n, d) for d in (1, 2, 4, 8, 16) for n in range(1, 25)]


@pytest.mark.parametrize(
    ("signature", "meter"),
    [
        ((4, 4), Meter(16, 4)),
        ((3, 4), Meter(12, 4)),
        ((6, 8), Meter(12, 6)),
        ((9, 8), Meter(18, 6)),
        ((2, 2), Meter(16, 8)),
        ((3, 8), Meter(6, 2)),
        ((5, 8), Meter(10, 2)),
        ((12, 16), Meter(12, 3)),
    ],
)
def test_a_time_signature_sets_bar_and_beat(signature: tuple[int, int], meter: Meter) -> None:
    assert Meter.from_time_signature(*signature) == meter
    assert str(meter) == "{}/{}".format(*signature)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_time_signature_survives_the_grid(signature: tuple[int, int]) -> None:
    meter = Meter.from_time_signature(*signature)
    assert meter.time_signature == signature
    assert meter.steps_per_bar * signature[1] == 16 * signature[0]


@given(beats=st.integers(1, 40), beat=st.integers(1, 24))
def test_any_bar_is_written_at_its_own_length(beats: int, beat: int) -> None:
    numerator, denominator = Meter(beats * beat, beat).time_signature
    assert 16 * numerator == beats * beat * denominator


# Errors


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (([[38]],), ["events", "class 38", "38 classes", "48 to 83"]),
        (([[C4, -1]],), ["events", "class -1"]),
        (([[[C4]]],), ["events", "(1, 1, 1)", "[B, T]"]),
        ((C4,), ["events", "()"]),
        (([[1.0]],), ["events", "float32", "integers"]),
        (([[True]],), ["events", "bool", "integers"]),
        (("C4",), ["events", "integers"]),
        ((None,), ["events", "integers"]),
        (([[1, 2], [3]],), ["events", "rectangular"]),
        (([2**70],), ["events"]),
        (([[C4, D4]], [3]), ["lengths", "3", "[0, 2]"]),
        (([[C4, D4]], [-1]), ["lengths", "-1", "[0, 2]"]),
        (([[C4, D4]], [1, 1]), ["lengths", "(2,)", "[1]"]),
        (([[C4, D4]], [1.5]), ["lengths", "float32"]),
        (([[C4]], None, [[-2]]), ["context", "class -2"]),
        (([[C4]], None, [[38]]), ["context", "class 38"]),
        (([[C4]], None, [C4]), ["context", "(1,)", "[1, P]"]),
        (([[C4]], None, [[C4], [C4]]), ["context", "(2, 1)"]),
    ],
)
def test_unusable_arguments_are_named(arguments: tuple[Any, ...], parts: list[str]) -> None:
    assert_one_line_error(lambda: Melodies(*arguments), parts)


def test_unusable_grids_and_rows_are_named() -> None:
    assert_one_line_error(lambda: Melodies.from_lists([[C4], [1.5]]), ["events", "float32"])
    assert_one_line_error(lambda: Melodies.from_lists([["C4"]]), ["events", "integers"])
    assert_one_line_error(lambda: Vocabulary(60, 60), ["min_pitch=60", "max_pitch=60"])
    assert_one_line_error(lambda: Vocabulary(0, 129), ["max_pitch=129"])
    assert_one_line_error(lambda: Vocabulary(-1, 12), ["min_pitch=-1"])
    assert_one_line_error(lambda: Vocabulary().class_of(47), ["pitch 47", "48 to 83"])
    assert_one_line_error(lambda: Vocabulary().class_of(84), ["pitch 84", "48 to 83"])
    assert_one_line_error(lambda: Meter(10, 4), ["steps_per_bar=10", "steps_per_beat=4"])
    assert_one_line_error(lambda: Meter(0, 1), ["steps_per_bar=0"])
    for numerator, denominator in ((5, 32), (0, 4), (3, 6)):
        assert_one_line_error(
            lambda n=numerator, d=denominator: Meter.from_time_signature(n, d), [f"{numerator}/{denominator}"]
        )


def assert_one_line_error(action: Any, parts: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        action()
    message = str(raised.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_zero_input_vector_may_stand_in_the_primer_only() -> None:
    assert Melodies([C4], None, [[-1]]).context.tolist() == [[-1]]


# Imports


def test_melodies_are_imported_without_the_slow_libraries() -> None:
    script = (
        "import sys, rltuner.melody\n"
        "slow = {'note_seq', 'music21', 'matplotlib', 'pretty_midi'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
