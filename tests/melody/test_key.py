"""Keys: their scales, their tonics and their spelling."""

import music21
import pytest

from rltuner.errors import InputError
from rltuner.melody.key import MODES, Key

TONICS = ["C", "C#", "Db", "D", "E-", "E", "F", "F#", "G", "Ab", "A", "Bb", "B", "Cb", "B#"]


@pytest.mark.parametrize(
    ("name", "pitch_classes"),
    [
        ("C major", {0, 2, 4, 5, 7, 9, 11}),
        ("A minor", {0, 2, 4, 5, 7, 9, 11}),
        ("D dorian", {0, 2, 4, 5, 7, 9, 11}),
        ("E phrygian", {0, 2, 4, 5, 7, 9, 11}),
        ("F lydian", {0, 2, 4, 5, 7, 9, 11}),
        ("G mixolydian", {0, 2, 4, 5, 7, 9, 11}),
        ("B locrian", {0, 2, 4, 5, 7, 9, 11}),
        ("G major", {0, 2, 4, 6, 7, 9, 11}),
        ("E minor", {0, 2, 4, 6, 7, 9, 11}),
        ("E- major", {0, 2, 3, 5, 7, 8, 10}),
    ],
)
def test_a_key_has_its_seven_pitch_classes(name: str, pitch_classes: set[int]) -> None:
    assert Key.parse(name).pitch_classes == pitch_classes


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", TONICS)
def test_every_key_has_seven_notes_its_tonic_and_a_tonic_pitch_near_middle_c(tonic: str, mode: str) -> None:
    key = Key.parse(f"{tonic} {mode}")
    assert len(key.pitch_classes) == (9 if mode == "melodic minor" else 7)
    assert key.tonic in key.pitch_classes
    assert 55 <= key.tonic_pitch <= 66
    assert key.tonic_pitch % 12 == key.tonic


@pytest.mark.parametrize(
    ("name", "pitch"), [("C major", 60), ("G major", 55), ("F# major", 66), ("A minor", 57), ("B- major", 58)]
)
def test_the_tonic_pitch(name: str, pitch: int) -> None:
    assert Key.parse(name).tonic_pitch == pitch


def test_spellings_of_one_key_agree() -> None:
    for one, other in (("Bb major", "B- major"), ("c MAJOR", "C major"), ("C# minor", "Db minor")):
        assert Key.parse(one).pitch_classes == Key.parse(other).pitch_classes
    assert str(Key.parse("  f#   Minor ")) == "F# minor"


@pytest.mark.parametrize(
    "text", ["", "C", "major", "H major", "C### major", "C#b major", "C major scale", "C-major"]
)
def test_what_is_no_key_is_quoted_with_an_example(text: str) -> None:
    with pytest.raises(InputError) as raised:
        Key.parse(text)
    assert repr(text) in str(raised.value)
    assert "C major" in str(raised.value)


def test_a_misspelt_mode_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown mode 'doriann'; did you mean 'dorian'"):
        Key.parse("D doriann")
    with pytest.raises(InputError, match="unknown mode 'xyz'; use one of major, minor"):
        Key.parse("D xyz")


@pytest.mark.parametrize("tonic", ["C", "C#", "D-", "F#", "B-", "G##", "E--"])
@pytest.mark.parametrize("mode", sorted(music21.key.modeSharpsAlter))
def test_every_mode_that_music21_names_has_its_notes(tonic: str, mode: str) -> None:
    theirs = {pitch.pitchClass for pitch in music21.key.Key(tonic, mode).pitches}
    assert Key.parse(f"{tonic} {mode}").pitch_classes == theirs


@pytest.mark.parametrize(
    ("mode", "scale"),
    [
        ("harmonic minor", music21.scale.HarmonicMinorScale),
        ("hypodorian", music21.scale.HypodorianScale),
        ("hypophrygian", music21.scale.HypophrygianScale),
        ("hypolydian", music21.scale.HypolydianScale),
        ("hypomixolydian", music21.scale.HypomixolydianScale),
        ("hypoaeolian", music21.scale.HypoaeolianScale),
        ("hypolocrian", music21.scale.HypolocrianScale),
    ],
)
def test_other_scales_have_music21s_notes(mode: str, scale: type) -> None:
    for tonic in ("C", "A", "F#"):
        assert Key.parse(f"{tonic} {mode}").pitch_classes == {p.pitchClass for p in scale(tonic).getPitches()}


def test_melodic_minor_has_both_forms_of_its_sixth_and_seventh_degrees() -> None:
    rising, falling = {9, 11, 0, 2, 4, 6, 8}, {9, 11, 0, 2, 4, 5, 7}
    assert Key.parse("A melodic minor").pitch_classes == rising | falling


def test_any_set_of_pitch_classes_can_be_a_key() -> None:
    blues = Key.parse("A 0 3 5 6 7 10")
    assert blues.pitch_classes == {9, 0, 2, 3, 4, 7}
    assert blues.tonic_pitch == 57
    assert Key.parse("A 0, 3, 5, 6, 7, 10").degrees == blues.degrees


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("C 0 12", "from 0 to 11"),
        ("C 0 x", "from 0 to 11"),
        ("C 2 4", "start with 0 and rise"),
        ("C 0 7 4", "rise"),
    ],
)
def test_a_set_that_is_no_scale_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        Key.parse(text)
