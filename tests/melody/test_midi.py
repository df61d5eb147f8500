"""MIDI files: what is written is heard as composed and read back exactly; bad files are refused by name."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import mido
import pretty_midi
import pytest
import torch
from generators import HOLD, REST, canonical_tunes, random_tunes, tunes
from hypothesis import given, settings
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary

C4, D4, E4 = 14, 16, 18
TEMPOS = [4, 33.1, 60, 97.3, 120, 133.33, 211.7, 1000]  # quarters a minute
STEP = 120  # ticks


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("midi") / "tune.mid"


def heard(path: Path) -> pretty_midi.PrettyMIDI:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pretty_midi.PrettyMIDI(str(path))


@settings(max_examples=150)
@given(tune=canonical_tunes(), qpm=st.sampled_from(TEMPOS) | st.floats(4, 1000))
def test_a_canonical_tune_is_read_back_event_for_event(tune: list[int], qpm: float, path: Path) -> None:
    Melodies(tune).to_midi(path, qpm=qpm)
    assert Melodies.from_midi(path).events.tolist() == [tune]


@settings(max_examples=100)
@given(tune=tunes(), qpm=st.sampled_from(TEMPOS))
def test_every_tune_with_a_note_is_read_back_sounding_the_same(
    tune: list[int], qpm: float, path: Path
) -> None:
    melodies = Melodies(torch.tensor(tune, dtype=torch.int64))
    melodies.to_midi(path, qpm=qpm)
    if melodies.notes(0):
        assert Melodies.from_midi(path).notes(0) == melodies.notes(0)
    else:
        assert heard(path).instruments == []


@pytest.mark.parametrize("qpm", [33.1, 97.3, 133.33, 1000])
def test_no_note_of_a_long_tune_drifts_off_the_grid(qpm: float, path: Path) -> None:
    rng = random.Random(13)
    tune = [rng.choice([REST, HOLD, HOLD, C4, D4, E4]) for _ in range(1600)]
    melodies = Melodies(tune)
    melodies.to_midi(path, qpm=qpm)
    assert Melodies.from_midi(path).notes(0) == melodies.notes(0)
    assert ticks(path) == [(pitch, start * STEP, end * STEP) for pitch, start, end in melodies.notes(0)]


def ticks(path: Path) -> list[tuple[int, int, int]]:
    """Notes in the file as (pitch, first tick, last tick); fails where two sound together."""
    messages, now = [], 0
    for message in mido.merge_tracks(mido.MidiFile(path).tracks):
        now += message.time
        if message.type in ("note_on", "note_off"):
            begins = message.type == "note_on" and message.velocity > 0
            messages.append((now, begins, message.note))
    messages.sort()  # at one tick, ends come before beginnings
    assert [begins for _, begins, _ in messages] == [True, False] * (len(messages) // 2)
    pairs = list(zip(messages[::2], messages[1::2], strict=True))
    assert all(on[2] == off[2] for on, off in pairs)
    return [(on[2], on[0], off[0]) for on, off in pairs]


@pytest.mark.parametrize(("event", "pitch"), [(2, 48), (C4, 60), (37, 83)])
def test_class_2_sounds_as_c3_and_class_14_as_middle_c(event: int, pitch: int, path: Path) -> None:
    Melodies([event]).to_midi(path)
    assert [note.pitch for note in heard(path).instruments[0].notes] == [pitch]
    assert ticks(path) == [(pitch, 0, STEP)]


@pytest.mark.parametrize("qpm", TEMPOS)
def test_a_file_has_one_instrument_its_tempo_and_its_time_signature(qpm: float, path: Path) -> None:
    Melodies([C4, HOLD, D4], meter=Meter(12, 6)).to_midi(path, qpm=qpm)
    midi = heard(path)
    (instrument,) = midi.instruments
    assert (instrument.program, instrument.is_drum, len(instrument.notes)) == (0, False, 2)
    times, tempos = midi.get_tempo_changes()
    assert times.tolist() == [0]
    assert tempos[0] == pytest.approx(qpm, rel=1e-4)
    (signature,) = midi.time_signature_changes
    assert (signature.numerator, signature.denominator, signature.time) == (6, 8, 0)
    assert Melodies.from_midi(path).meter == Meter(12, 6)


def test_a_sixteenth_lasts_an_eighth_of_a_second_at_120(path: Path) -> None:
    Melodies([HOLD, C4, HOLD, REST, D4]).to_midi(path, qpm=120)
    notes = heard(path).instruments[0].notes
    assert [(n.start, n.end) for n in notes] == [(0.125, 0.375), (0.5, 0.625)]


def test_notes_follow_each_other_without_overlap(path: Path) -> None:
    for tune in random_tunes(45, seed=14):
        melodies = Melodies(tune)
        melodies.to_midi(path, qpm=97.3)
        assert ticks(path) == [(p, s * STEP, e * STEP) for p, s, e in melodies.notes(0)]


def test_the_chosen_melody_of_a_batch_is_written_up_to_its_length(path: Path) -> None:
    Melodies([[C4, C4, C4], [D4, HOLD, E4]], [3, 2]).to_midi(path, 1)
    assert Melodies.from_midi(path).notes(0) == [(62, 0, 2)]


def test_notes_played_a_little_off_the_grid_are_moved_onto_it(path: Path) -> None:
    write(path, [(60, 0.01, 0.26), (62, 0.24, 0.49), (64, 0.51, 0.52)])
    assert Melodies.from_midi(path).events.tolist() == [[C4, HOLD, D4, HOLD, E4]]


def test_an_overlap_of_less_than_a_sixteenth_is_cut(path: Path) -> None:
    write(path, [(60, 0, 0.36), (62, 0.25, 0.5)])
    assert Melodies.from_midi(path).events.tolist() == [[C4, HOLD, D4, HOLD]]


def test_a_change_of_tempo_moves_no_note(path: Path) -> None:
    file, track = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
    for tempo, note in ((500_000, 60), (237_113, 62), (900_001, 64)):
        track.append(mido.MetaMessage("set_tempo", tempo=tempo))
        track.append(mido.Message("note_on", note=note, velocity=90))
        track.append(mido.Message("note_off", note=note, time=2 * STEP))
    file.tracks.append(track)
    file.save(path)
    assert Melodies.from_midi(path).events.tolist() == [[C4, HOLD, D4, HOLD, E4, HOLD]]


# Files and options that are refused


def write(path: Path, *tracks: list[tuple[int, float, float]], drums: bool = False) -> None:
    midi = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=120)
    for notes in tracks:
        instrument = pretty_midi.Instrument(0, is_drum=drums)
        instrument.notes = [pretty_midi.Note(90, *note) for note in notes]
        midi.instruments.append(instrument)
    midi.write(str(path))


def truncated(path: Path) -> None:
    Melodies([C4, D4, E4]).to_midi(path)
    path.write_bytes(path.read_bytes()[:-20])


def odd_time_signature(path: Path) -> None:
    Melodies([C4]).to_midi(path)
    file = mido.MidiFile(path)
    file.tracks[0].insert(0, mido.MetaMessage("time_signature", numerator=5, denominator=32))
    file.save(path)


def ends_after_days(path: Path) -> None:
    Melodies([C4]).to_midi(path)
    file = mido.MidiFile(path)
    file.tracks[-1].append(mido.Message("note_off", note=60, time=200_000_000))
    file.save(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.unlink(missing_ok=True), "no such file"),
        (lambda path: path.write_bytes(b""), "not a readable MIDI file"),
        (lambda path: path.write_text("X:1\nT:A tune\nK:C\nCDEF|\n"), "not a readable MIDI file"),
        (truncated, "not a readable MIDI file"),
        (ends_after_days, "not a readable MIDI file"),
        (lambda path: write(path, [(60, 0, 1), (64, 0, 1)]), "MIDI 60 and 64"),
        (lambda path: write(path, [(60, 0, 1), (64, 0.5, 1)]), "at 0.50 s"),
        (lambda path: write(path, [(60, 0, 0.45), (64, 0.3, 1)]), "sound together at 0.30 s"),
        (lambda path: write(path, [(60, 0, 0.03), (64, 0.03, 0.06)]), "fall on one sixteenth at 0.03 s"),
        (lambda path: write(path, [(60, 0, 1)], [(64, 2, 3)]), "2 tracks"),
        (lambda path: write(path, [(47, 0, 1)]), "pitch 47"),
        (lambda path: write(path, [(60, 0, 1), (84, 1, 2)]), "pitch 84"),
        (lambda path: write(path, []), "no notes"),
        (lambda path: write(path, [(60, 0, 1)], drums=True), "no notes"),
        (odd_time_signature, "5/32"),
    ],
)
def test_a_file_that_is_no_melody_is_refused_by_name(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.mid"
    make(path)
    with pytest.raises(InputError) as raised:
        Melodies.from_midi(path)
    message = str(raised.value)
    assert str(path) in message
    assert reason in message
    assert "\n" not in message


def test_an_endless_file_is_refused_though_note_seq_lifted_the_limit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_after_days(path)
    monkeypatch.setattr(pretty_midi.pretty_midi, "MAX_TICK", 1e10)  # what an import of note_seq does
    with pytest.raises(InputError, match="largest tick"):
        Melodies.from_midi(path)


def test_a_damaged_file_is_read_or_refused_but_never_crashes(tmp_path: Path) -> None:
    rng = random.Random(15)
    path = tmp_path / "damaged.mid"
    Melodies([C4, HOLD, REST, D4, E4, HOLD]).to_midi(path)
    whole = path.read_bytes()
    read, reasons = 0, []
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read += len(Melodies.from_midi(path))
        except InputError as error:
            reasons.append(str(error))
    assert all(str(path) in reason for reason in reasons)
    assert min(read, len(reasons)) > 30


def test_a_wider_vocabulary_reads_what_the_default_refuses(path: Path) -> None:
    write(path, [(21, 0, 0.125), (108, 0.125, 0.25)])
    assert Melodies.from_midi(path, Vocabulary(21, 109)).pitch.tolist() == [[21, 108]]


@pytest.mark.parametrize("qpm", [0, -1, 3.9, 1000.1, float("nan"), float("inf")])
def test_an_impossible_tempo_is_refused(qpm: float, path: Path) -> None:
    with pytest.raises(InputError, match=r"qpm=.*\[4, 1000\]"):
        Melodies([C4]).to_midi(path, qpm=qpm)


def test_a_metre_that_midi_cannot_hold_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="300/16"):
        Melodies([C4], meter=Meter(300, 1)).to_midi(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "folder.mid", tmp_path):
        with pytest.raises(InputError, match="cannot be written") as raised:
            Melodies([C4]).to_midi(path)
        assert str(path) in str(raised.value)
