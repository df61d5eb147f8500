"""MusicXML: read back, it is the same melody, in the key, metre, tempo and instrument that it was written with."""

from pathlib import Path

import pytest
from generators import random_tunes

from rltuner.errors import InputError
from rltuner.generating.instruments import program_of
from rltuner.melody import Melodies, Meter
from rltuner.melody.musicxml import heads, musicxml
from rltuner.reading.songs import read_song


@pytest.mark.parametrize("meter", [Meter(16, 4), Meter(12, 4), Meter(12, 6), Meter(8, 4), Meter(18, 6)])
def test_musicxml_is_read_back_as_the_same_melody(meter: Meter, tmp_path: Path) -> None:
    for number, tune in enumerate(random_tunes(27, seed=9)):
        melody = Melodies(
            [[14, *tune]], meter=meter
        )  # a bar that begins with silence would be read as a pickup
        (tmp_path / "tune.musicxml").write_bytes(musicxml(melody, 0, qpm=97.3, sharps=number % 15 - 7))
        song = read_song(tmp_path / "tune.musicxml")
        assert song.melody.notes(0) == melody.notes(0)
        assert song.melody.meter == meter


def test_musicxml_says_key_metre_tempo_ties_and_title_but_no_day(tmp_path: Path) -> None:
    from music21 import converter

    melody = Melodies([[14, *[1] * 20, 24, 1, 0]], meter=Meter(12, 6))
    (tmp_path / "a.musicxml").write_bytes(musicxml(melody, 0, qpm=72, sharps=-3, program=73, title="A title"))
    assert b"encoding-date" not in (tmp_path / "a.musicxml").read_bytes()
    score = converter.parse(tmp_path / "a.musicxml")
    part = score.parts[0].flatten()
    assert score.metadata.movementName == "A title"
    assert part.keySignature.sharps == -3
    assert part.timeSignature.ratioString == "6/8"
    assert [mark.number for mark in part.getElementsByClass("MetronomeMark")] == [72]
    assert part.getElementsByClass("Instrument")[0].midiProgram == 73
    heads_in = [(n.nameWithOctave, n.quarterLength, n.tie and n.tie.type) for n in part.notes]
    # Class 24 is MIDI 70, a B flat in three flats; 21 sixteenths are a bar and a dotted eighth, then a quarter less.
    assert heads_in == [
        ("C4", 3.0, "start"),
        ("C4", 1.5, "continue"),
        ("C4", 0.75, "stop"),
        ("B-4", 0.5, None),
    ]


def test_note_heads_never_cross_a_bar_line_and_add_up() -> None:
    for meter in (Meter(16, 4), Meter(12, 4), Meter(12, 6), Meter(14, 2), Meter(5, 1), Meter(10, 10)):
        for start in range(18):
            for end in range(start + 1, start + 40):
                pieces = list(heads(start, end, meter))
                assert sum(steps for _, steps in pieces) == end - start
                for first, steps in pieces:
                    assert first // meter.steps_per_bar == (first + steps - 1) // meter.steps_per_bar
                    assert steps in (1, 2, 3, 4, 6, 8, 12, 16)


def test_instruments_have_numbers_and_names() -> None:
    assert [program_of(name) for name in ("0", "127", "Flute", "violin", " acoustic grand piano ")] == [
        0,
        127,
        73,
        40,
        0,
    ]
    for name, says in (
        ("128", "0 to 127"),
        ("-1", "0 to 127"),
        ("flue", "Flute"),
        ("organ", "Organ"),
        ("", "Flute"),
    ):
        with pytest.raises(InputError, match=says):
            program_of(name)


@pytest.mark.parametrize("program", range(128))
def test_musicxml_sounds_as_it_is_written_whatever_plays_it(program: int, tmp_path: Path) -> None:
    from music21 import converter

    melody = Melodies([[14, 1, 16, 1, 18, 1, 14, 1] * 2])
    written = musicxml(melody, 0, qpm=120.35, sharps=0, program=program)
    assert b"<midi-channel>10</midi-channel>" not in written
    assert b"120.35" in written
    file = tmp_path / "tune.musicxml"
    file.write_bytes(written)
    score = converter.parse(file).toSoundingPitch()
    assert [note.pitch.midi for note in score.flatten().notes] == [60, 62, 64, 60] * 2
