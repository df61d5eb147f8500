"""--key: the tonic moves, every interval stays, and names fit the key."""

from pathlib import Path

import pytest
from generated import manifest, melodies_in, notes_in, refused, run

from rltuner.generating.keys import key_of, shift_to
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key, pitch_name
from rltuner.melody.midi import read_midi
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load
from rltuner.rules import load_rulebook


@pytest.mark.parametrize("tonic", ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"])
@pytest.mark.parametrize("own", ["C major", "A 0 2 4 5 7 9 11", "F# ionian"])
def test_the_shift_is_the_smallest_that_brings_the_tonic_there(tonic: str, own: str) -> None:
    wanted, policys = Key.parse(f"{tonic} major"), Key.parse(own)
    shift = shift_to(wanted, policys, "psi")
    assert (policys.tonic + shift) % 12 == wanted.tonic
    assert abs(shift) <= 6


def test_a_melody_that_is_moved_keeps_its_intervals_and_has_its_tonic_there(
    psi: Path, tmp_path: Path
) -> None:
    assert run("generate", psi, "--count", 6, "--out", tmp_path / "c") == 0
    composed = notes_in(tmp_path / "c")
    for key, shift, tonic in (("G major", -5, 7), ("Eb ionian", 3, 3), ("F# major", 6, 6)):
        folder = tmp_path / key
        assert run("generate", psi, "--count", 6, "--key", key, "--out", folder) == 0
        moved = notes_in(folder)
        assert moved == [[(pitch + shift, *steps) for pitch, *steps in tune] for tune in composed]
        told = manifest(folder)
        assert (told["key"], told["composed_in"], told["moved_by"]) == (key, "C major", shift)
        assert (60 + shift) % 12 == tonic
        assert [entry["metrics"] for entry in melodies_in(folder)] == [
            entry["metrics"] for entry in melodies_in(tmp_path / "c")
        ]


def test_another_mode_is_refused_and_says_what_to_do(
    psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("G minor", "D dorian", "A 0 3 5 7 10"):
        line = refused(capsys, "generate", psi, "--key", key, "--out", tmp_path / "out")
        assert "C major" in line
        assert "tune a policy for it" in line
        assert not (tmp_path / "out").exists()
    assert "'H major'" in refused(capsys, "generate", psi, "--key", "H major", "--out", tmp_path / "out")


def test_the_key_is_that_of_the_rule_book_and_c_major_without_one(tmp_path: Path) -> None:
    network = NoteRNN(hidden_sizes=(4,), seed=1)
    Policy.tuned_from("g", network).save(tmp_path / "g", rules={"key": "D dorian"})
    network.save(tmp_path / "note_rnn")
    assert str(key_of(load(tmp_path / "g"))) == "D dorian"
    assert str(key_of(load(tmp_path / "note_rnn"))) == "C major"
    assert str(key_of(load("tune"))) == load_rulebook("gauldin").key


@pytest.mark.parametrize(
    ("key", "sharps"),
    [
        ("C major", 0),
        ("G major", 1),
        ("F major", -1),
        ("A minor", 0),
        ("D dorian", 0),
        ("E harmonic minor", 1),
        ("Bb mixolydian", -3),
        ("F# major", 6),
        ("Gb major", -6),
        ("G# major", -4),
        ("C# phrygian", 3),
    ],
)
def test_key_signatures(key: str, sharps: int) -> None:
    assert Key.parse(key).sharps == sharps


def test_pitches_are_spelled_by_the_key_signature() -> None:
    assert [pitch_name(pitch) for pitch in (48, 60, 61, 63, 66, 70, 83)] == [
        "C3",
        "C4",
        "C#4",
        "Eb4",
        "F#4",
        "Bb4",
        "B5",
    ]
    assert [pitch_name(pitch, -4) for pitch in (59, 60, 61, 68)] == ["Cb4", "C4", "Db4", "Ab4"]
    assert [pitch_name(pitch, 7) for pitch in (60, 72, 71)] == ["B#3", "B#4", "B4"]
    for key in ("D major", "Ab major", "B major", "Gb major"):
        named = {
            pitch_name(60 + pitch_class, Key.parse(key).sharps)[0]
            for pitch_class in Key.parse(key).pitch_classes
        }
        assert named == set("ABCDEFG"), key


@pytest.mark.parametrize("guide", [("--smc", "8"), ("--best-of", "3")])
def test_the_metre_and_the_key_of_a_book_reach_what_it_guides(guide: tuple[str, str], tmp_path: Path) -> None:
    """An untuned Note RNN has none of its own; a tuned policy keeps those that it was tuned in."""
    NoteRNN(hidden_sizes=(4,), seed=1).save(tmp_path / "note_rnn")
    book = tmp_path / "book.toml"
    book.write_text('extends = "gauldin"\nmeter = "3/4"\nkey = "A melodic minor"\n')
    words = [*guide, "--rules", book, "--bars", 2, "--count", 2, "--primer", "human"]
    assert run("generate", tmp_path / "note_rnn", *words, "--out", tmp_path / "out") == 0
    told = manifest(tmp_path / "out")
    assert (told["meter"], told["key"], told["length"]) == ("3/4", "A melodic minor", 24)
    assert {len(entry["primer_events"]) for entry in melodies_in(tmp_path / "out")} == {12}  # type: ignore[arg-type]
    assert read_midi(tmp_path / "out" / "melody-0001.mid")[1] == Meter(12, 4)
    # Nothing of that where the book only judges, or where the policy was tuned.
    assert run("generate", tmp_path / "note_rnn", *words[2:], "--out", tmp_path / "judged") == 0
    tuned = Policy.tuned_from("psi", NoteRNN(hidden_sizes=(4,), seed=1))
    of_c = {"rules": {"key": "C major"}, "finetune": {"note_rnn": str(tmp_path / "note_rnn")}}
    tuned.save(tmp_path / "psi", **of_c)
    assert run("generate", tmp_path / "psi", *words, "--out", tmp_path / "tuned") == 0
    for name in ("judged", "tuned"):
        assert (manifest(tmp_path / name)["meter"], manifest(tmp_path / name)["key"]) == ("4/4", "C major")


@pytest.mark.parametrize(("meter", "length"), [("3/4", 24), ("7/8", 28), ("5/4", 40)])
def test_a_note_rnn_composes_in_the_metre_that_is_asked_for(meter: str, length: int, tmp_path: Path) -> None:
    NoteRNN(hidden_sizes=(4,), inputs=INPUTS).save(tmp_path / "mine")
    words = ("generate", tmp_path / "mine", "--bars", 2, "--meter", meter, "--count", 2, "--primer", "none")
    assert run(*words, "--out", tmp_path / "out") == 0
    told = manifest(tmp_path / "out")
    assert (told["meter"], told["length"]) == (meter, length)
    assert str(Melodies.from_midi(tmp_path / "out" / "melody-0001.mid").meter) == meter


def test_a_metre_that_cannot_be_had_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NoteRNN(hidden_sizes=(4,), inputs=INPUTS).save(tmp_path / "mine")
    Policy.tuned_from("psi", NoteRNN(hidden_sizes=(4,))).save(tmp_path / "tuned")
    out = ("--out", tmp_path / "out")
    assert "was tuned in 4/4" in refused(capsys, "generate", tmp_path / "tuned", "--meter", "3/4", *out)
    assert "'waltz'" in refused(capsys, "generate", tmp_path / "mine", "--meter", "waltz", *out)
    (tmp_path / "waltz.toml").write_text('extends = "gauldin"\nmeter = "3/4"\n')
    of_book = ("--meter", "4/4", "--smc", 8, "--rules", tmp_path / "waltz.toml")
    assert "are for 3/4" in refused(capsys, "generate", tmp_path / "mine", *of_book, *out)
    assert not (tmp_path / "out").exists()
