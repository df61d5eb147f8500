"""What `generate --key` wrote is judged as it was composed, and files that octaves move keep their tonic."""

import json
import shutil
from pathlib import Path

import pretty_midi
import pytest
from generated import melodies_in, run

from rltuner.eval.copying import TrainingTunes
from rltuner.eval.judge import Standards, judge
from rltuner.eval.paper import ROW_TITLES
from rltuner.eval.sources import read_source
from rltuner.melody import Melodies, Vocabulary
from rltuner.melody.key import Key
from rltuner.melody.midi import write_midi
from rltuner.melody.tunes import Tune

COUNT = 24


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same melodies of the shipped policy in several keys."""
    parent = tmp_path_factory.mktemp("keys")
    keys = ("C major", "G major", "A major", "F# major")
    for key in keys:
        assert run("generate", "psi", "--count", COUNT, "--bars", 8, "--key", key, "--out", parent / key) == 0
    return {key: parent / key for key in keys}


def figures(folder: Path, key: str, out: Path) -> dict[str, object]:
    assert run("evaluate", folder, "--key", key, "--rules", "magenta", "--json", out) == 0
    (found,) = json.loads(out.read_text())["sources"].values()
    return {name: found[name] for name in ("melodies", "rows", "metrics", "left_out_files")}


@pytest.mark.parametrize("key", ["G major", "A major", "F# major"])
def test_every_figure_of_generated_files_is_the_same_in_every_key(
    key: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    composed = figures(folders["C major"], "C major", tmp_path / "c.json")
    assert composed["melodies"] == COUNT
    assert figures(folders[key], key, tmp_path / "moved.json") == composed


def test_without_the_manifest_octaves_move_files_and_the_tonic_with_them(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    melody = Melodies([[14, 16, 18, 1], [16, 14, 18, 1]])  # the first one begins with the tonic
    low, high = Vocabulary(43, 79), Vocabulary(54, 90)
    for vocabulary, key in ((low, "G major"), (high, "F# major")):
        folder = tmp_path / key
        folder.mkdir()
        for index, events in enumerate(melody.events):
            row = [*events.tolist(), vocabulary.size - 1 if vocabulary is high else 2]
            Melodies([row], vocabulary=vocabulary).to_midi(folder / f"{index}.mid")
        source = read_source(str(folder), 0, 0)
        assert source.octaves is not None
        judged = judge(source, Standards(key, None, 1.0, None, _no_tunes()))
        assert judged.estimates["compositions_starting_with_tonic"].value == 0.5
    assert set(ROW_TITLES) <= judged.estimates.keys()


def test_a_manifest_of_another_program_moves_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["C major"], tmp_path / "c")
    for text in (
        '{"moved_by": 6}',
        '{"rltuner": 1, "moved_by": 99}',
        '{"rltuner": 1, "moved_by": true}',
        "[",
        "[1]",
    ):
        (tmp_path / "c" / "manifest.json").write_text(text)
        assert read_source(str(tmp_path / "c"), 0, 0).transposed == 0


@pytest.mark.parametrize(
    ("pitches", "says"),
    [((43, 74), "by no move of whole octaves"), ((43, 79), "wider than the vocabulary (48 to 83)")],
)
def test_a_range_that_does_not_fit_says_why(
    pitches: tuple[int, int], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Melodies([[pitches[0] + 2, pitches[1] + 2]], vocabulary=Vocabulary(0, 128)).to_midi(tmp_path / "a.mid")
    assert run("evaluate", tmp_path / "a.mid") == 2
    error = capsys.readouterr().err
    assert f"MIDI pitches {pitches[0]} to {pitches[1]}" in error
    assert says in error


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ("C major", "C Major"),
        ("G major", "G Major"),
        ("Eb major", "Eb Major"),
        ("F# minor", "F# minor"),
        ("A harmonic minor", "A minor"),
        ("D dorian", "C Major"),
        ("Bb mixolydian", "Eb Major"),
    ],
)
def test_the_key_signature_stands_in_the_midi_file(key: str, signature: str, tmp_path: Path) -> None:
    file = tmp_path / "a.mid"
    write_midi([(60, 0, 4)], file, 100, Melodies([[14]]).meter, key=Key.parse(key))
    (change,) = pretty_midi.PrettyMIDI(str(file)).key_signature_changes
    assert pretty_midi.key_number_to_key_name(change.key_number) == signature


def test_files_say_their_key_and_evaluate_hints_at_it(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, sharps in (("G major", 1), ("F# major", 6)):
        assert len(melodies_in(folders[key])) == COUNT
        for file in folders[key].glob("*.mid"):
            (change,) = pretty_midi.PrettyMIDI(str(file)).key_signature_changes
            assert change.key_number == 7 * sharps % 12
    capsys.readouterr()
    one = next(folders["G major"].glob("*.mid"))
    hint = 'is that of G major, and they are judged in C major; in their own: --key "G major"'
    assert run("evaluate", one) == 0
    assert hint in capsys.readouterr().err
    assert run("evaluate", one, "--key", "E minor") == 0  # the same signature
    assert "signature" not in capsys.readouterr().err


def _no_tunes() -> TrainingTunes:
    return TrainingTunes([Tune("", "", "", Melodies([[14]]).meter, (14,) * 16)])
