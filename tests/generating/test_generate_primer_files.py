"""A primer's file: what is not heard as it is written is said; and a policy says where it composes beyond its tuning."""

from pathlib import Path

import pytest
from generated import refused, run

from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load
from rltuner.networks.primers import read_primer

ABC = "X:1\nT:t\nM:{}\nL:1/4\nK:C\n{}\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    NoteRNN(hidden_sizes=(4,), seed=1).save(tmp_path / "tiny")
    return tmp_path / "tiny"


def said(capsys: pytest.CaptureFixture[str], file: Path, policy: Path) -> str:
    capsys.readouterr()
    read_primer(str(file), load(policy))
    return capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("meter", "tune", "says"),
    [
        ("4/4", "CDEF|GABc|", []),
        ("4/4", "(3CDEF2|" + "GABc|" * 5, ["2 of its 24 notes lie beside the grid"]),
        ("3/4", "CDE|FGA|", ["it is in 3/4", "in bars of 4/4"]),
        ("4/4", "CDEF|" * 20, ["all of its 20 bars are heard"]),
    ],
)
def test_what_is_changed_in_a_score_is_said(
    meter: str, tune: str, says: list[str], tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.abc").write_text(ABC.format(meter, tune))
    line = said(capsys, tmp_path / "a.abc", tiny)
    assert bool(line) == bool(says)
    assert all(part in line for part in says)


def test_what_is_changed_in_midi_is_said(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    midi.instruments.append(pretty_midi.Instrument(0))
    third = 1 / 6  # of a quarter of half a second
    midi.instruments[0].notes = [
        pretty_midi.Note(90, 60 + step, step * third, (step + 1) * third) for step in range(3)
    ]
    midi.write(str(tmp_path / "a.mid"))
    assert "2 of its 3 notes lie beside the grid" in said(capsys, tmp_path / "a.mid", tiny)
    Melodies([[14, 1, 16, 1]], meter=Meter(12, 4)).to_midi(tmp_path / "b.mid")
    line = said(capsys, tmp_path / "b.mid", tiny)
    assert "it is in 3/4" in line
    assert "grid" not in line


def test_a_primer_outside_the_moved_range_is_told_how_it_was_moved(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Melodies([[84 + 2]], vocabulary=Vocabulary(0, 128)).to_midi(tmp_path / "high.mid")
    words = ("generate", tiny, "--primer", tmp_path / "high.mid", "--out", tmp_path / "out")
    assert "(43 to 78, which is 48 to 83 moved by -5 for G major)" in refused(
        capsys, *words, "--key", "G major"
    )
    assert "(48 to 83);" in refused(capsys, *words)


def test_generate_says_where_a_policy_composes_beyond_what_it_was_tuned_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = NoteRNN(hidden_sizes=(4,), seed=1)
    Policy.tuned_from("psi", network).save(tmp_path / "psi", finetune={"length": 32})
    network.save(tmp_path / "note_rnn")
    for source, bars, warned in (("psi", 2, False), ("psi", 3, True), ("note_rnn", 3, False)):
        out = tmp_path / f"{source}-{bars}"
        assert run("generate", tmp_path / source, "--count", 1, "--bars", bars, "--out", out) == 0
        assert ("tuned on melodies of 32 events" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("tune", "context"),
    [
        ("E2|C4|D4|", [18, *[1] * 7, 14, *[1] * 15, 16, *[1] * 15]),  # a pickup of two beats
        ("C4|D2z2|", [14, *[1] * 15, 16, *[1] * 7, 0, *[1] * 7]),
        ("C4|D4|", [14, *[1] * 15, 16, *[1] * 15]),
    ],
)
def test_a_primer_keeps_its_bar_lines_and_the_melody_begins_on_one(
    tune: str, context: list[int], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.abc").write_text(ABC.format("4/4", tune))
    assert read_primer(str(tmp_path / "a.abc"), load(tiny))[0].tolist() == context


@pytest.mark.parametrize("length", range(1, 18))
def test_a_primer_that_ends_in_mid_bar_is_silent_to_the_bar_line(
    length: int, tiny: Path, tmp_path: Path
) -> None:
    Melodies([[14] + [1] * (length - 1)]).to_midi(tmp_path / "a.mid")
    context = read_primer(str(tmp_path / "a.mid"), load(tiny))[0].tolist()
    after = [0] + [1] * (-length % 16 - 1) if length % 16 else []
    assert context == [14] + [1] * (length - 1) + after


def test_silence_is_silence_however_the_primer_is_filled_up(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(ABC.format("3/4", "CDE|F3|G z2|"))  # 36 events, in bars of 16
    context = read_primer(str(tmp_path / "a.abc"), load(tiny))[0].tolist()
    assert len(context) == 48
    assert context[24:] == [21, 1, 1, 1, 0, *[1] * 19]
