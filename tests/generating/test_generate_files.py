"""The files of `rltuner generate`: the same for the same seed, whole or none, refused in one line."""

import errno
import shlex
import signal
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from generated import manifest, melodies_in, refused, run
from matplotlib.image import imread

from rltuner.errors import InputError
from rltuner.generating.config import GenerateConfig
from rltuner.generating.generate import generate
from rltuner.interrupts import EndedError
from rltuner.melody import Melodies
from rltuner.melody.midi import read_midi
from rltuner.melody.plots import plot_piano_roll
from rltuner.reading.encoding import ANY_PITCH
from rltuner.reading.songs import read_song
from rltuner.storing.output_folder import filled_folder


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

    monkeypatch.setattr("rltuner.generating.generate.manifest", full)
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
        ({"bars": 4, "length": 32}, "bars = 4 and length = 32"),  # that this is what it would be without
        ({"bars": 0}, "bars = 0"),
        ({"length": 0}, "length = 0"),
        ({"length": 1.5}, "length = 1.5 must be a whole number"),
        ({"qpm": 1.0}, "qpm"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        GenerateConfig("psi", **fields)  # type: ignore[arg-type]


def test_audio_without_its_packages_says_how_to_get_them(
    psi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rltuner.generating.audio.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'rltuner\[audio\]'"):
        generate(GenerateConfig(str(psi), tmp_path / "out", audio=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [-1, 10**23])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match="seed = "):
        GenerateConfig("psi", seed=seed)


def test_without_a_length_or_bars_a_melody_is_as_long_as_those_tuned_on(psi: Path, tmp_path: Path) -> None:
    """Eight bars where the card does not say."""
    for name, words, length in (("a", (), 128), ("b", ("--bars", 1), 16), ("c", ("--length", 5), 5)):
        assert run("generate", psi, "--count", 2, *words, "--out", tmp_path / name) == 0
        assert {len(entry["events"]) for entry in melodies_in(tmp_path / name)} == {length}  # type: ignore[arg-type]
        assert manifest(tmp_path / name)["length"] == length


@pytest.mark.parametrize("kept", [False, True])
def test_audio_that_would_be_too_long_is_refused_before_anything_is_composed(
    kept: bool,
    psi: Path,
    theme: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """600 s at 100 quarters a minute are 4,000 sixteenths with the last release; a kept primer counts."""
    monkeypatch.setattr("rltuner.generating.generate.composed", lambda *arguments: pytest.fail("composed"))
    length = 3_999 - 16 * kept
    words = ("generate", psi, "--audio", "--primer", theme, *(["--keep-primer"] if kept else []))
    line = refused(capsys, *words, "--length", length + 1, "--out", tmp_path / "out")
    assert "audio: clips of 600.1 s; they last at most 600 s" in line
    assert not (tmp_path / "out").exists()
    with pytest.raises(pytest.fail.Exception, match="composed"):
        run(*words, "--length", length, "--out", tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_leaves_nothing_and_then_has_its_effect(
    number: signal.Signals, tmp_path: Path
) -> None:
    came: list[int] = []

    def ended() -> None:
        with filled_folder(tmp_path / "out") as folder:
            (folder / "a.txt").write_text("a")
            assert came == []
            signal.raise_signal(number)
            pytest.fail("went on")

    before = signal.signal(number, lambda got, frame: came.append(got))
    try:
        with pytest.raises(EndedError):
            ended()
        assert came == [number]
        assert list(tmp_path.iterdir()) == []
        signal.raise_signal(number)
        assert came == [number, number]  # what was there before is there again
        signal.signal(number, signal.SIG_IGN)
        with filled_folder(tmp_path / "out") as folder:
            signal.raise_signal(number)  # nohup
            (folder / "a.txt").write_text("a")
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.txt"]
    finally:
        signal.signal(number, before)
