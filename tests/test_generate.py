"""Generating: files that are the melodies asked for, in the key asked for, the same for the same seed, whole or none."""

import errno
import json
import shlex
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch
from generators import random_tunes
from matplotlib.image import imread

from rltuner.cli import main
from rltuner.compose import sample
from rltuner.config import GenerateConfig
from rltuner.errors import InputError
from rltuner.eval import evaluate
from rltuner.eval.plots import plot_piano_roll
from rltuner.generate import best_of, generate, key_of, shift_to
from rltuner.instruments import program_of
from rltuner.key import Key, pitch_name
from rltuner.melody import Melodies, Meter
from rltuner.midi import read_midi
from rltuner.musicxml import heads, musicxml
from rltuner.note_rnn import NoteRNN
from rltuner.output_folder import filled_folder
from rltuner.policy import Policy, load
from rltuner.rules import load_rulebook
from rltuner.songs import ANY_PITCH, read_song

THEME = [14, 1, 16, 1, 18, 1, 1, 1, 21, 1, 19, 1, 18, 1, 16, 1]  # C D E G F E D, one bar


@pytest.fixture(scope="module")
def psi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuned policy, as far as its configuration goes: untrained, tuned for C major."""
    folder = tmp_path_factory.mktemp("checkpoints") / "psi"
    Policy.tuned_from("psi", NoteRNN(hidden_sizes=(8,), seed=1)).save(folder, rules={"key": "C major"})
    return folder


@pytest.fixture
def theme(tmp_path: Path) -> Path:
    Melodies([THEME]).to_midi(tmp_path / "theme.mid")
    return tmp_path / "theme.mid"


def run(*arguments: object) -> int:
    """Runs the command in this process; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the command ends with, exit code 2."""
    capsys.readouterr()
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    line = printed.splitlines()[-1]
    assert line.startswith("rltuner: ")
    assert "Traceback" not in printed
    return line


def notes_in(folder: Path) -> list[list[tuple[int, int, int]]]:
    """The notes of every MIDI file, in order; [] for a silent one."""
    found = []
    for file in sorted(folder.glob("*.mid")):
        try:
            found.append(read_midi(file)[0])
        except InputError:
            found.append([])
    return found


def manifest(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return content


def melodies_in(folder: Path) -> list[dict[str, object]]:
    entries = manifest(folder)["melodies"]
    assert isinstance(entries, list)
    return entries


# Sampling


def test_top_p_plays_nothing_outside_the_nucleus_and_everything_in_it() -> None:
    probabilities = torch.tensor([[0.1, 0.4, 0.05, 0.3, 0.15]])
    rows = probabilities.log().expand(5_000, -1)
    generator = torch.Generator().manual_seed(0)
    for top_p, nucleus in ((0.3, {1}), (0.4, {1}), (0.45, {1, 3}), (0.8, {1, 3, 4}), (0.96, {0, 1, 2, 3, 4})):
        played = sample(rows, 1.0, generator, top_p)
        assert {*played.tolist()} == nucleus, top_p
    played = sample(rows, 1.0, generator, 0.7)  # 0.4 and 0.3: their shares are 4/7 and 3/7
    assert (played == 1).double().mean().item() == pytest.approx(4 / 7, abs=0.03)


def test_top_p_counts_probabilities_after_the_temperature() -> None:
    rows = torch.tensor([[0.6, 0.4]]).log().expand(2_000, -1)
    generator = torch.Generator().manual_seed(0)
    assert {*sample(rows, 1.0, generator, 0.62).tolist()} == {0, 1}
    assert {*sample(rows, 0.5, generator, 0.62).tolist()} == {0}  # 0.36 / (0.36 + 0.16) = 0.69


def test_a_top_p_of_1_is_a_race_of_all_classes() -> None:
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(500, 38, generator=generator).log_softmax(dim=1)
    generators = [torch.Generator().manual_seed(3) for _ in range(3)]
    race = torch.empty_like(rows).exponential_(generator=generators[0])
    assert torch.equal(sample(rows, 1.0, generators[1], 1.0), (rows.exp() / race).argmax(dim=1))
    assert not torch.equal(sample(rows, 1.0, generators[2], 0.9), (rows.exp() / race).argmax(dim=1))


def test_a_top_p_out_of_range_is_named(psi: Path) -> None:
    for top_p in (0, -1, 1.01, float("nan")):
        with pytest.raises(InputError, match="top_p"):
            load(psi).compose(1, 4, top_p=top_p)


def test_greedy_takes_the_likeliest_as_temperature_0_does(psi: Path, tmp_path: Path) -> None:
    assert run("generate", psi, "--count", 2, "--primer", "none", "--greedy", "--out", tmp_path / "a") == 0
    assert (
        run("generate", psi, "--count", 2, "--primer", "none", "--temperature", 0, "--out", tmp_path / "b")
        == 0
    )
    one, two = (entry["events"] for entry in melodies_in(tmp_path / "a"))
    assert one == two == melodies_in(tmp_path / "b")[0]["events"]


# Keys


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
    assert str(key_of(load("psi_gauldin"))) == load_rulebook("gauldin").key


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


# Primers


def test_a_primer_that_is_kept_comes_first_and_is_never_counted(
    psi: Path, theme: Path, tmp_path: Path
) -> None:
    for name, *flags in (("dropped",), ("kept", "--keep-primer")):
        words = ("--count", 5, "--primer", theme, *flags, "--out", tmp_path / name)
        assert run("generate", psi, *words) == 0
    dropped, kept = notes_in(tmp_path / "dropped"), notes_in(tmp_path / "kept")
    own = Melodies([THEME]).notes(0)
    for without, with_primer in zip(dropped, kept, strict=True):
        assert with_primer[: len(own) - 1] == own[:-1]
        # The primer's last note may ring on into the melody.
        assert with_primer[len(own) - 1][:2] == own[-1][:2]
        assert with_primer[len(own) :] == [(pitch, start + 16, end + 16) for pitch, start, end in without]
    for one, other in zip(melodies_in(tmp_path / "dropped"), melodies_in(tmp_path / "kept"), strict=True):
        assert one == other
        assert one["primer_events"] == THEME
        single = evaluate(Melodies([one["events"]]))
        assert one["metrics"] == pytest.approx(
            {name: None if np.isnan(value) else value for name, value in single.items()}, abs=1e-5
        )


def test_a_melody_after_a_kept_primer_begins_on_a_bar_line(psi: Path, tmp_path: Path) -> None:
    words = ("--count", 40, "--keep-primer", "--out", tmp_path / "out")
    assert run("generate", psi, *words) == 0
    for entry, notes in zip(melodies_in(tmp_path / "out"), notes_in(tmp_path / "out"), strict=True):
        (heard,), events = entry["primer_events"], entry["events"]  # type: ignore[misc,has-type]
        expected = Melodies([[1] * 15 + [heard, *events]]).notes(0)
        assert notes == expected


def test_a_primer_from_a_file_sounds_as_written_whatever_the_key(
    psi: Path, theme: Path, tmp_path: Path
) -> None:
    words = ("--count", 2, "--primer", theme, "--key", "G major", "--keep-primer", "--out", tmp_path / "out")
    assert run("generate", psi, *words) == 0
    own = Melodies([THEME]).notes(0)
    for notes in notes_in(tmp_path / "out"):
        assert notes[: len(own) - 1] == own[:-1]
    heard = [event + 5 if event > 1 else event for event in THEME]  # in C, where the policy is at home
    assert [entry["primer_events"] for entry in melodies_in(tmp_path / "out")] == [heard, heard]


def test_midi_abc_and_musicxml_prime_alike(psi: Path, theme: Path, tmp_path: Path) -> None:
    (tmp_path / "theme.abc").write_text("X:1\nT:theme\nM:4/4\nL:1/8\nK:C\nC D E2 G F E D|\n")
    (tmp_path / "theme.musicxml").write_bytes(musicxml(Melodies([THEME]), 0, qpm=100))
    for file in (theme, tmp_path / "theme.abc", tmp_path / "theme.musicxml"):
        melodies = load(psi).compose(2, 8, primer=file, seed=0)
        assert melodies.context.tolist() == [THEME, THEME], file


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("high.abc", "X:1\nM:4/4\nL:1/4\nK:C\nc''' d''' c''' d'''|\n", "MIDI pitch 108"),
        ("chord.abc", "X:1\nM:4/4\nL:1/4\nK:C\n[CE] D C D|\n", "one at a time"),
        ("silent.abc", "X:1\nM:4/4\nL:1/4\nK:C\nz z z z|\n", "silent.abc"),
        ("broken.musicxml", "<score-partwise", "broken.musicxml"),
        ("words.txt", "C D E", "words.txt"),
    ],
)
def test_a_primer_that_cannot_be_used_is_one_line(
    name: str, content: str, says: str, psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    line = refused(capsys, "generate", psi, "--primer", tmp_path / name, "--out", tmp_path / "deep" / "out")
    assert name in line
    assert says in line
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_primer_that_leaves_the_range_where_its_key_is_the_policys_is_named(
    psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Melodies([[37, 1, 1, 1]]).to_midi(tmp_path / "b5.mid")
    words = ("generate", psi, "--primer", tmp_path / "b5.mid", "--out", tmp_path / "out")
    assert "b5.mid: MIDI pitch 83" in refused(capsys, *words, "--key", "G major")  # heard in C: five higher
    assert run(*words) == 0


# Best of K


def test_best_of_keeps_the_candidate_with_the_most_reward(oracle: dict[str, np.ndarray]) -> None:
    book = load_rulebook("magenta")
    candidates = Melodies(oracle["compositions"][:60])
    totals = book.score(candidates)["total"].sum(dim=1).view(12, 5)
    kept = best_of(candidates, book, 5)
    assert book.score(kept)["total"].sum(dim=1).tolist() == totals.max(dim=1).values.tolist()
    assert (totals.max(dim=1).values >= totals[:, 0]).all()
    assert (totals.max(dim=1).values > totals[:, 0]).any()


def test_the_manifest_has_the_rewards_and_best_of_raises_them(psi: Path, tmp_path: Path) -> None:
    words = ("generate", psi, "--count", 30, "--rules", "magenta")
    assert run(*words, "--out", tmp_path / "one") == 0
    assert run(*words, "--best-of", 8, "--out", tmp_path / "best") == 0
    totals = {}
    for name in ("one", "best"):
        entries = melodies_in(tmp_path / name)
        scores = load_rulebook("magenta").score(Melodies([entry["events"] for entry in entries]))
        for rule, rewards in scores.items():
            told = [entry["rewards"][rule] for entry in entries]  # type: ignore[index]
            assert told == pytest.approx(rewards.sum(dim=1).tolist(), rel=1e-4, abs=1e-4)
        totals[name] = scores["total"].sum(dim=1)
    assert totals["best"].mean() > totals["one"].mean() + totals["one"].std()


def test_a_steered_melody_is_generated_as_before(psi: Path, tmp_path: Path, note_rnn_near: Path) -> None:
    words = ("generate", note_rnn_near, "--count", 3, "--smc", 16, "--length", 8)
    assert run(*words, "--out", tmp_path / "a") == 0
    assert run(*words, "--rules", "magenta", "--key", "D major", "--out", tmp_path / "b") == 0
    assert manifest(tmp_path / "a")["smc"] == {"particles": 16, "rules": "magenta", "c": 0.8}
    assert [entry["events"] for entry in melodies_in(tmp_path / "a")] == [
        entry["events"] for entry in melodies_in(tmp_path / "b")
    ]


@pytest.fixture
def note_rnn_near(tmp_path: Path) -> Path:
    NoteRNN(hidden_sizes=(8,), seed=1).save(tmp_path / "near")
    return tmp_path / "near"


# Files


def test_the_same_seed_gives_the_same_bytes_of_every_file(psi: Path, theme: Path, tmp_path: Path) -> None:
    words = [
        "--count",
        "2",
        "--bars",
        "1",
        "--primer",
        str(theme),
        "--keep-primer",
        "--key",
        "A major",
        "--png",
    ]
    words += [
        "--musicxml",
        "--audio",
        "--audio-format",
        "flac",
        "--instrument",
        "flute",
        "--rules",
        "gauldin",
    ]
    words += ["--best-of", "3", "--top-p", "0.9", "--qpm", "140", "--seed", "5"]
    assert run("generate", psi, *words, "--out", tmp_path / "a") == 0
    command = shlex.split(str(manifest(tmp_path / "a")["command"]))
    assert command[:2] == ["rltuner", "generate"]
    assert run(*command[1:], "--out", tmp_path / "elsewhere" / "b") == 0
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    stems = ["melody-0001", "melody-0002"]
    suffixes = ("flac", "mid", "musicxml", "png")
    assert files == ["manifest.json", *(f"{stem}.{suffix}" for stem in stems for suffix in suffixes)]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "elsewhere" / "b" / name).read_bytes(), (
            name
        )
    for entry, stem in zip(melodies_in(tmp_path / "a"), stems, strict=True):
        named = [entry[kind] for kind in ("audio", "file", "musicxml", "png")]
        assert named == [f"{stem}.{suffix}" for suffix in suffixes]
        (program,) = {
            m.program for m in mido.MidiFile(tmp_path / "a" / f"{stem}.mid") if m.type == "program_change"
        }
        assert program == 73
        sound, rate = soundfile.read(tmp_path / "a" / f"{stem}.flac")
        assert len(sound) / rate == pytest.approx(
            2 * 4 * 60 / 140 + 0.1, abs=1e-3
        )  # two bars and the last release
        written = read_song(tmp_path / "a" / f"{stem}.musicxml", ANY_PITCH)
        assert written.melody.notes(0) == read_midi(tmp_path / "a" / f"{stem}.mid")[0]
    assert str(tmp_path / "a") not in (tmp_path / "a" / "manifest.json").read_text()


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


def test_a_piano_roll_is_black_where_a_note_sounds_and_grey_in_the_primer(tmp_path: Path) -> None:
    (tmp_path / "roll.png").write_bytes(
        plot_piano_roll(Melodies([[14, *[1] * 15, 18, *[1] * 15]]), 0, "", 0, 16)
    )
    picture = imread(tmp_path / "roll.png")[:, :, :3]
    assert picture.shape[1] > picture.shape[0] > 100
    grey = np.isclose(picture, 0.55, atol=0.01).all(axis=2)
    black = (picture < 0.01).all(axis=2)
    wide = picture.shape[1] // 3
    (grey_rows,), (black_rows,) = (np.nonzero(one.sum(axis=1) > wide) for one in (grey, black))
    frame = {0, 1, *range(picture.shape[0])} - {*range(grey_rows.min() - 200, grey_rows.max() + 40)}
    notes = [row for row in black_rows.tolist() if row not in frame and black[row].sum() < 2 * wide]
    assert notes
    assert max(notes) < grey_rows.min()  # E4 lies above C4
    assert np.nonzero(black[notes[0]])[0].max() > np.nonzero(grey[grey_rows[0]])[0].max()


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(
    psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, says in (("notes.txt", "notes.txt"), ("mine.mid", "MIDI files"), (".unfinished", "killed")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine")
        assert says in refused(capsys, "generate", psi, "--out", folder)
        assert [(file.name, file.read_text()) for file in folder.iterdir()] == [(name, "mine")]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("generate", psi, "--count", 1, "--out", empty) == 0


def test_a_folder_that_cannot_be_made_is_one_line(
    psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "deep"):
        assert "file" in refused(capsys, "generate", psi, "--out", out)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("made", [True, False])
def test_a_disk_that_gets_full_leaves_nothing(
    made: bool, psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "out"
    if made:
        out.mkdir(parents=True)

    def full(*arguments: object, **more: object) -> bytes:
        assert list(out.rglob("*.mid"))  # the MIDI files are there by then
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rltuner.generate.manifest", full)
    assert "No space left on device" in refused(capsys, "generate", psi, "--count", 3, "--out", out)
    assert [path.name for path in tmp_path.rglob("*")] == (["new", "out"] if made else [])


def test_an_interrupt_leaves_nothing_and_another_run_is_not_disturbed(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fill(number: int) -> None:
        with filled_folder(out) as folder:
            (folder / "a.txt").write_text("a")
            if number:
                with pytest.raises(InputError, match="a run that writes there"):
                    fill(number - 1)
                assert (folder / "a.txt").read_text() == "a"
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(1)
    assert list(tmp_path.iterdir()) == []
    fill(0)
    assert [file.name for file in out.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"best_of": 3}, "name the book"),
        ({"best_of": 3, "rules": "magenta", "smc": 8}, "smc"),
        ({"best_of": 3, "rules": "magenta", "greedy": True}, "likeliest"),
        ({"best_of": 0}, "best_of = 0"),
        ({"top_p": 0.0}, "top_p = 0"),
        ({"top_p": 1.5}, "top_p = 1.5"),
        ({"top_p": 0.5, "greedy": True}, "top_p = 0.5"),
        ({"top_p": 0.5, "temperature": 0.0}, "top_p = 0.5"),
        ({"greedy": True, "temperature": 0.5}, "temperature = 0.5"),
        ({"smc": 8, "top_p": 0.5}, "smc"),
        ({"smc": 8, "greedy": True}, "smc"),
        ({"audio_format": "flac"}, "--audio"),
        ({"keep_primer": True, "primer": "none"}, "nothing to keep"),
        ({"bars": 2, "length": 64}, "bars = 2 and length = 64"),
        ({"qpm": 1.0}, "qpm"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        GenerateConfig("psi", **fields)  # type: ignore[arg-type]


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


def test_audio_without_its_packages_says_how_to_get_them(
    psi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rltuner.audio.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'rltuner\[audio\]'"):
        generate(GenerateConfig(str(psi), tmp_path / "out", audio=True))
    assert not (tmp_path / "out").exists()


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


@pytest.mark.parametrize("seed", [-1, 10**23])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match="seed = "):
        GenerateConfig("psi", seed=seed)
