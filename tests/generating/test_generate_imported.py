"""An imported network hears a primer in C major and in its own octave, as in Magenta; its files sound as the primer."""

from pathlib import Path

import pytest
from generated import manifest, melodies_in, notes_in, run

from rltuner.generating.keys import major_key_of, squashed
from rltuner.melody import Melodies, Vocabulary
from rltuner.melody.key import Key
from rltuner.networks.note_rnn import NoteRNN

HIGH_G = [81, 83, 84, 86, 88, 90, 91, 86, 83, 79]  # G major, an octave and more above the middle


@pytest.fixture
def in_g(tmp_path: Path) -> Path:
    events = [event for pitch in HIGH_G for event in (pitch + 2, 1)] + [0] + [1] * 11
    Melodies([events], vocabulary=Vocabulary(0, 128)).to_midi(tmp_path / "g.mid")
    return tmp_path / "g.mid"


def imported(folder: Path, in_c_major: bool, vocabulary: Vocabulary | None = None) -> Path:
    NoteRNN(vocabulary, hidden_sizes=(8,), seed=1).save(folder, imported={"in_c_major": in_c_major})
    return folder


def test_the_key_and_the_octave_are_note_seqs() -> None:
    from rltuner.melody.note_sequences import import_note_seq

    note_seq = import_note_seq()
    for pitches in (
        HIGH_G,
        [48, 50, 52],
        [60],
        [100, 101, 102],
        [57, 59, 60, 64, 68],
        [66, 70, 73, 41],
        [45, 83],
    ):
        melody = note_seq.Melody(pitches)
        key = major_key_of(pitches)
        assert key.tonic == melody.get_major_key()
        moved = melody.squash(48, 84, 0)
        assert squashed(pitches, Key.parse("C major"), key, Vocabulary()) == -moved


def test_what_is_moved_stays_in_midis_range() -> None:
    assert squashed([126, 127], Key.parse("C major"), Key.parse("C major"), Vocabulary()) == 36
    assert squashed([0, 1], Key.parse("C major"), Key.parse("C major"), Vocabulary()) == -48


def test_a_primer_is_heard_in_c_major_and_kept_where_it_was(
    in_g: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = imported(tmp_path / "n", True), tmp_path / "out"
    assert (
        run("generate", source, "--primer", in_g, "--keep-primer", "--bars", 1, "--count", 2, "--out", out)
        == 0
    )
    assert "taken for G major" in capsys.readouterr().err
    told = manifest(out)
    assert (told["key"], told["composed_in"], told["moved_by"]) == ("G major", "C major", 19)
    for notes, melody in zip(notes_in(out), melodies_in(out), strict=True):
        assert [pitch for pitch, *_ in notes[: len(HIGH_G)]] == HIGH_G
        heard = [event + 46 for event in melody["primer_events"] if event > 1]
        assert heard == [pitch - 19 for pitch in HIGH_G]
        assert {pitch % 12 for pitch in heard} <= Key.parse("C major").pitch_classes


def test_a_key_that_is_given_counts_and_without_a_file_moves_as_ever(in_g: Path, tmp_path: Path) -> None:
    source = imported(tmp_path / "n", True)
    assert (
        run("generate", source, "--primer", in_g, "--key", "D major", "--count", 1, "--out", tmp_path / "d")
        == 0
    )
    assert manifest(tmp_path / "d")["moved_by"] == 14
    assert run("generate", source, "--key", "D major", "--count", 1, "--out", tmp_path / "e") == 0
    assert manifest(tmp_path / "e")["moved_by"] == 2


def test_a_network_of_all_keys_hears_a_primer_as_it_is(in_g: Path, tmp_path: Path) -> None:
    source, out = imported(tmp_path / "n", False, Vocabulary(0, 128)), tmp_path / "out"
    words = ("--primer", in_g, "--key", "G major", "--count", 1, "--out", out)
    assert run("generate", source, *words) == 0
    told = manifest(out)
    assert (told["key"], told["moved_by"]) == ("G major", 0)
    assert [event - 2 for event in melodies_in(out)[0]["primer_events"] if event > 1] == HIGH_G


def test_a_network_of_all_pitches_hears_a_human_bar_at_its_pitch(tmp_path: Path) -> None:
    wide, usual = imported(tmp_path / "w", False, Vocabulary(0, 128)), imported(tmp_path / "u", False)
    for source in (wide, usual):
        out = tmp_path / f"out_{source.name}"
        assert run("generate", source, "--primer", "human", "--count", 3, "--out", out) == 0
    high, low = (
        [
            [e + lowest if e > 1 else e for e in melody["primer_events"]]
            for melody in melodies_in(tmp_path / name)
        ]
        for name, lowest in (("out_w", -2), ("out_u", 46))
    )
    assert high == low
