"""Audio: equally loud, faded, as long as asked, the same every time; what breaks the synthesiser is one line."""

import itertools
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from numpy.typing import NDArray

from rltuner.errors import InputError
from rltuner.generating import audio
from rltuner.generating.audio import RELEASE, SAMPLE_RATE, render
from rltuner.generating.synthesis import faded
from rltuner.melody import Meter
from rltuner.melody.midi import write_midi

SECONDS = 3.0
LUFS = -23.0
# (notes, General MIDI program): pianos, strings, a flute; high and low, long and short.
CLIPS = {
    "scale": ([(60 + i, 2 * i, 2 * i + 2) for i in range(8)], 0),
    "low": ([(40, 0, 16)], 48),
    "high": ([(96, 0, 3), (90, 8, 9)], 73),
    "brief": ([(72, 0, 1)], 0),
    "long": ([(55 + i % 5, 8 * i, 8 * i + 8) for i in range(20)], 40),
    "silent": ([], 0),
}
# A track that breaks off inside an event: symusic 0.5.8 reads on, past the end of its memory.
HOSTILE = bytes.fromhex(
    "4d546864000000060000000101e04d54726b0000002800903c5a8170803c40009fd5389755903d5a8170803d400090"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every clip as CLIP.mid, and rendered: CLIP.wav and CLIP.flac of 3 seconds, CLIP.own.wav as long as it is."""
    folder = tmp_path_factory.mktemp("audio")
    for name, (notes, program) in CLIPS.items():
        write_midi(notes, folder / f"{name}.mid", 120, Meter(), program)
    render([(folder / f"{name}.mid", folder / f"{name}.wav") for name in CLIPS], seconds=SECONDS)
    render([(folder / f"{name}.mid", folder / f"{name}.own.wav") for name in reversed(CLIPS)])
    render([(folder / f"{name}.mid", folder / f"{name}.flac") for name in reversed(CLIPS)], seconds=SECONDS)
    return folder


def samples(file: Path) -> NDArray[np.float64]:
    """All samples in [-1, 1]; fails unless they are one channel of 44,100 a second."""
    sound, rate = soundfile.read(file)
    assert (rate, sound.ndim) == (SAMPLE_RATE, 1)
    return np.asarray(sound)


def loudness(sound: NDArray[np.float64]) -> float:
    block = round(0.4 * SAMPLE_RATE)
    sound = np.pad(sound, (0, max(0, block - len(sound))))
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(sound))


@pytest.mark.parametrize("name", [name for name in CLIPS if name != "silent"])
@pytest.mark.parametrize("kind", [".wav", ".own.wav", ".flac"])
def test_all_clips_are_equally_loud(name: str, kind: str, folder: Path) -> None:
    assert loudness(samples(folder / f"{name}{kind}")) == pytest.approx(LUFS, abs=0.1)


@pytest.mark.parametrize("name", CLIPS)
def test_clips_last_exactly_as_long_as_asked(name: str, folder: Path) -> None:
    assert len(samples(folder / f"{name}.wav")) == SECONDS * SAMPLE_RATE
    notes = CLIPS[name][0]
    own = (notes[-1][2] / 8 if notes else 0) + RELEASE  # a sixteenth at 120 is an eighth of a second
    assert len(samples(folder / f"{name}.own.wav")) == round(own * SAMPLE_RATE)


def test_silence_stays_silence(folder: Path) -> None:
    assert not samples(folder / "silent.wav").any()
    assert not samples(folder / "silent.own.wav").any()


def test_flac_holds_the_samples_of_wav_whatever_was_rendered_before(folder: Path) -> None:
    for name in CLIPS:
        assert (samples(folder / f"{name}.flac") == samples(folder / f"{name}.wav")).all()


def test_the_same_midi_file_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = [(folder / f"{name}.mid", tmp_path / f"{name}.wav") for name in ("low", "scale")]
    render(again, seconds=SECONDS)
    for _, file in again:
        assert file.read_bytes() == (folder / file.name).read_bytes()


def test_a_clip_begins_and_ends_in_silence_and_has_no_click(folder: Path) -> None:
    for name, kind in itertools.product(CLIPS, (".wav", ".own.wav")):
        sound = samples(folder / f"{name}{kind}")
        peak = max(abs(sound).max(), 1e-9)
        assert max(abs(sound[:20]).max(), abs(sound[-20:]).max()) < 0.01 * peak or name == "silent"
    cut = samples(folder / "long.wav")  # a violin that still plays at 3 seconds
    assert abs(cut[-4410:-2205]).max() > 0.1 * abs(cut).max()


def test_a_fade_is_half_way_at_its_middle_and_never_longer_than_half_of_the_clip() -> None:
    ones = np.ones(SAMPLE_RATE, np.float32)
    sound = faded(ones, 0.1)
    assert sound[2204] == pytest.approx(0.5, abs=1e-3)
    assert sound[-2205] == pytest.approx(0.5, abs=1e-3)
    assert (sound[4410:-4410] == 1).all()
    assert faded(ones[:100], 1.0)[49:51].min() > 0.99
    assert (faded(ones, 0) == 1).all()


def test_what_would_clip_is_quieter_instead(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "loud.wav"
    render([(folder / "brief.mid", file)], lufs=0)
    sound = samples(file)
    assert abs(sound).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    assert loudness(sound) < -1


def test_the_pitch_is_the_melodys(folder: Path) -> None:
    """The loudest partial of the strings' E2 is a multiple of 82.4 Hz, of the flute's C7 it is 2093 Hz."""
    for name, hertz in (("low", 82.407), ("high", 2093.0)):
        sound = samples(folder / f"{name}.wav")[:16384]
        loudest = (
            float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax()) * SAMPLE_RATE / len(sound)
        )
        assert loudest / hertz == pytest.approx(max(1, round(loudest / hertz)), rel=0.02)


def test_a_file_that_hangs_or_crashes_the_synthesiser_is_named_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "crash.mid"
    crash.write_bytes(HOSTILE)
    with pytest.raises(InputError, match=r"crash\.mid: crashed the synthesiser"):
        render([(folder / "brief.mid", tmp_path / "good.wav"), (crash, tmp_path / "crash.wav")])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["crash.mid", "good.wav"]
    monkeypatch.setattr(audio, "FILE_SECONDS", 0.0)
    with pytest.raises(InputError, match=r"long\.mid: not rendered within 0 s"):
        render([(folder / "long.mid", tmp_path / "late.wav")])
    assert not [file for file in tmp_path.iterdir() if "late" in file.name]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "rubbish.mid"), (b"MThd nonsense", "rubbish.mid")],
)
def test_what_is_no_midi_file_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "rubbish.mid").write_bytes(content)
    with pytest.raises(InputError, match=says):
        render([(tmp_path / "rubbish.mid", tmp_path / "rubbish.wav")])
    assert [file.name for file in tmp_path.iterdir()] == ["rubbish.mid"]


def test_audio_that_cannot_be_written_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no/clip\.wav: cannot be written \(No such file or directory\)"):
        render([(folder / "brief.mid", tmp_path / "no" / "clip.wav")])
    with pytest.raises(InputError, match=r"clip\.mp3: audio is written as \.wav or \.flac"):
        render([(folder / "brief.mid", tmp_path / "clip.mp3")])
    with pytest.raises(InputError, match=r"none\.mid: no such file"):
        render([(tmp_path / "none.mid", tmp_path / "clip.wav")])
