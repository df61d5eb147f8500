"""The command as people use it: exit codes, one-line errors, files that open."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pretty_midi
import pytest
import torch

from rltuner.commands.main import _commands, main
from rltuner.melody import Melodies
from rltuner.networks.note_rnn import NoteRNN
from rltuner.rules.held_out import HELD_OUT


def run(*arguments: object) -> int:
    """Runs the command in this process; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0


@pytest.fixture(scope="module")
def note_rnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    NoteRNN(hidden_sizes=(8,), seed=1).save(folder)
    return folder


def test_help_and_import_load_nothing_heavy() -> None:
    code = (
        "import sys, rltuner\n"
        "from rltuner.commands.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'note_seq', 'music21', 'matplotlib', 'pretty_midi', 'scipy'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", _commands([]))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert "usage: rltuner" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["finetune", "--note-rnn", "note_rrn"], "note_rrn"),
        (["finetune", "--rules", "magneta"], "did you mean 'magenta'"),
        (["finetune", "--c", "0"], "c = 0.0"),
        (["finetune", "--resume", "nowhere"], "nowhere: no such run folder"),
        (["finetune", "--config", "nowhere.toml"], "nowhere.toml"),
        (["generate", "nowhere"], "nowhere"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "note_rnn", "--key", "H major"], "H major"),
        (["evaluate", "note_rnn", "--key", "C majro"], "did you mean 'major'"),
        (["info", "nowhere"], "nowhere"),
        (["rules", "show", "nowhere.toml"], "nowhere.toml"),
        (["pretrain", "--corpus", "tunebook", "--out", "new"], "did you mean 'tunebooks'"),
        (["pretrain", "--corpus", "./nowhere", "--out", "new"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.startswith("rltuner: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["finetune", "--algo", "sarsa"], "'sarsa'"),
        (["finetune", "--gama", "1"], "did you mean --gamma?"),
        (["finetune", "--events", "many"], "many"),
        (["finetune", "--device", "abacus"], "abacus"),
        (["finetune", "--config", "x.toml", "--preset", "paper"], "--config and --preset"),
        (["compose"], "compose"),
        ([], "finetune"),
    ],
)
def test_an_option_that_cannot_be_parsed_is_one_line_too(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.startswith("rltuner: ")
    assert error.count("\n") == 1


def test_generated_files_are_the_melodies_of_the_manifest(note_rnn: Path, tmp_path: Path) -> None:
    assert run("generate", note_rnn, "--count", 3, "--bars", 2, "--qpm", 90, "--out", tmp_path / "out") == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["file"] for entry in manifest["melodies"]] == [f"melody-000{n}.mid" for n in (1, 2, 3)]
    for entry in manifest["melodies"]:
        midi = pretty_midi.PrettyMIDI(str(tmp_path / "out" / entry["file"]))
        assert len(midi.instruments) == 1
        assert midi.get_tempo_changes()[1] == pytest.approx([90], abs=1e-3)
        notes = midi.instruments[0].notes
        assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(notes))
        assert [note.pitch for note in notes] == [event + 46 for event in entry["events"] if event >= 2]
        assert len(entry["events"]) == 32
        assert len(entry["primer_events"]) == 1


def test_generating_twice_gives_the_same_bytes_and_never_mixes(
    note_rnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert run("generate", note_rnn, "--count", 2, "--out", tmp_path / name) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert run("generate", note_rnn, "--count", 2, "--out", tmp_path / "a") == 2
    assert "holds MIDI files already" in capsys.readouterr().err


def test_evaluate_puts_every_kind_of_source_side_by_side(
    note_rnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    Melodies([[14, 16, 18, 1]]).to_midi(songs / "good.mid")
    (songs / "broken.mid").write_bytes(b"MThd nonsense")
    report = tmp_path / "figures.json"
    sources = (note_rnn, songs, songs / "good.mid", "human")
    assert run("evaluate", *sources, "--count", 100, "--paper", "--json", report) == 0
    captured = capsys.readouterr()
    assert "Leaps resolved" in captured.out
    assert "90.00%" in captured.out  # the paper's, for its Psi
    assert "broken.mid" in captured.err
    results = json.loads(report.read_text())["sources"]
    assert [results[str(source)]["melodies"] for source in sources[:3]] == [100, 1, 1]
    assert results["human"]["melodies"] > 500
    assert results[str(songs)]["rows"]["compositions_starting_with_tonic"] == 1.0
    assert results[str(songs)]["rows"]["leaps_resolved"] is None  # no leap in it: nothing to count


@pytest.mark.parametrize("primer", ["empty.mid", "high.mid", "missing.mid"])
def test_a_primer_that_cannot_be_used_is_named(
    primer: str, note_rnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"empty.mid": [], "high.mid": [(120, 0, 1)]}
    if primer in files:
        midi = pretty_midi.PrettyMIDI()
        piano = pretty_midi.Instrument(0)
        piano.notes = [pretty_midi.Note(90, pitch, start, end) for pitch, start, end in files[primer]]
        midi.instruments.append(piano)
        midi.write(str(tmp_path / primer))
    assert run("generate", note_rnn, "--primer", tmp_path / primer, "--out", tmp_path / "out") == 2
    assert primer in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_shipped_note_rnn_is_told_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "note_rnn") == 0
    printed = capsys.readouterr().out
    assert "nats an event" in printed
    assert "layers.0.weight_hh_l0" in printed


def test_the_magenta_book_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", "show", "magenta") == 0
    assert "preferred_intervals" in capsys.readouterr().out


def test_a_small_corpus_makes_a_note_rnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(30):
        steps = torch.randint(0, 8, (64,), generator=torch.Generator().manual_seed(number))
        scale = torch.tensor([14, 16, 18, 19, 21, 23, 25, 26])
        Melodies(scale[steps][None]).to_midi(songs / f"{number:02}.mid")
    (songs / "broken.mid").write_bytes(b"nothing")
    arguments = ("--updates", 6, "--batch-events", 128, "--hidden-sizes", 6, 5, "--jobs", 1)
    assert run("pretrain", "--corpus", songs, *arguments, "--out", tmp_path / "a") == 0
    assert run("pretrain", "--corpus", songs, *arguments, "--out", tmp_path / "b") == 0
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert NoteRNN.load(tmp_path / "a").hidden_sizes == (6, 5)
    card = (tmp_path / "a" / "README.md").read_text()
    assert "broken 1" in card
    assert run("pretrain", "--corpus", songs, *arguments, "--out", tmp_path / "a") == 2


def test_a_rule_is_shown_with_its_parameters_units_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", "show", "leap_recovery") == 0
    printed = capsys.readouterr().out
    for part in ("from rltuner", "Smallest leap in semitones", "-1.0", "Gauldin"):
        assert part in printed


def test_rules_are_listed_with_package_book_and_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", "list") == 0
    printed = capsys.readouterr().out
    assert "held out" in printed
    assert "book gauldin" in printed


def test_a_rule_file_that_breaks_the_contract_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from rltuner.rules import rule\n@rule('ends_high')\ndef f(melodies):\n"
        "    return ((melodies.events[:, -1:] > 20) & melodies.valid).float() if melodies.events.numel() "
        "else melodies.events.float()\n"
    )
    assert run("rules", "check", str(tmp_path / "mine.py")) == 2
    printed = capsys.readouterr()
    assert "reads the future: a change of event" in printed.err
    assert "1 of 1 rules break the contract: ends_high" in printed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rules"], "Expected one of {list, show, check, explain}; see: rltuner rules --help"),
        (["rules", "show"], "see: rltuner rules show --help"),
        (
            ["rules", "show", "leap_recovry"],
            "no rule or book is called 'leap_recovry'; did you mean 'leap_recovery'?",
        ),
        (["rules", "check", "nope"], "no rule or book is called 'nope'"),
    ],
)
def test_rules_says_what_it_wants(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1


def test_evaluate_gives_the_rewards_of_a_book_and_of_held_out_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "e.json"
    words = ["human", "--length", "24", "--meter", "3/4", "--rules", "gauldin", "--key", "A minor"]
    assert run("evaluate", *words, "--json", str(file)) == 0
    printed = capsys.readouterr().out
    for part in ("by the gauldin book", "held-out rules", "syncopation", "motif_return"):
        assert part in printed
    report = json.loads(file.read_text())
    human = report["sources"]["human"]
    assert (human["meter"], human["melodies"]) == ("3/4", 287)
    assert {f"held_out_{name}" for name in HELD_OUT} < set(human["metrics"])
    assert "objective" not in human["metrics"]  # people are no policy
    assert report["book"]["rules"]["cadence"]["weight"] == 0.3
    assert run("evaluate", "human", "--meter", "5/8") == 2
    assert "no test tune in 5/8" in capsys.readouterr().err
