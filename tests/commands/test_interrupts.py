"""Ctrl-C and a full disk at the moments between others: exit code 130 or one line, and how to go on."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rltuner.commands.main import main
from rltuner.networks.note_rnn import NoteRNN
from rltuner.tuning import finetune as tuner
from rltuner.tuning import results
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.finetune import finetune

TINY: dict[str, object] = {
    "note_rnn": "tiny",
    "out": Path("run"),
    "events": 64,
    "length": 8,
    "batch_size": 4,
    "minibatch_size": 4,
    "replay": 8,
    "samples": 1,
    "evaluate": 0,
    "threads": 1,
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    NoteRNN(hidden_sizes=(4,), seed=1).save("tiny")


def run(*words: str) -> int:
    try:
        main(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.usefixtures("blank_pictures")
def test_ctrl_c_in_the_last_round_stops_before_the_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = tuner.tune_round

    def interrupted(*arguments: object, **options: object) -> object:
        if arguments[4] == 1:  # updates before it, of two
            ctrl_c()
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(tuner, "tune_round", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(FinetuneConfig(**TINY))
    assert (
        "stopped after 2 of 2 rounds\ngo on with: rltuner finetune --resume run\n" in capsys.readouterr().err
    )
    assert not Path("run/report.md").exists()
    assert run("finetune", "--resume", "run") == 0
    assert Path("run/report.md").exists()


def test_ctrl_c_while_the_results_are_written_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(results, "write_samples", lambda *_: ctrl_c())
        with pytest.raises(KeyboardInterrupt):
            finetune(FinetuneConfig(**TINY))
    assert "go on with: rltuner finetune --resume run\n" in capsys.readouterr().err
    assert run("finetune", "--resume", "run") == 0
    assert Path("run/report.md").exists()


SWALLOWED = "try:\n    ctrl_c()\nexcept BaseException:\n    pass\n"
TURNED = "try:\n    ctrl_c()\nexcept KeyboardInterrupt:\n    raise ImportError from None\n"


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("tyro", TURNED),
        ("torch", SWALLOWED),
        ("numba", SWALLOWED),
        pytest.param("numba", TURNED, marks=pytest.mark.long),
    ],
)
def test_ctrl_c_while_modules_are_imported_is_exit_code_130_whatever_a_library_makes_of_it(
    name: str, library: str
) -> None:
    """Ctrl-C comes in the first import of that library, which then is as it always was."""
    code = f"""
import importlib, os, signal, sys
def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            exec({library!r}, globals())
sys.meta_path.insert(0, Finder())
sys.argv = ["rltuner", "finetune", "--note-rnn", "tiny", "--out", "run", "--events", "8", "--threads", "1"]
from rltuner.__main__ import main
main()
"""
    found = python(code)
    said = [line for line in found.stderr.splitlines() if not line.startswith("compiling for this machine")]
    assert (found.returncode, said) == (130, ["rltuner: stopped"])
    assert not Path("run").exists()


@pytest.mark.long
def test_ctrl_c_after_the_end_changes_no_exit_code() -> None:
    for words, code in ((["info", "tiny"], 0), (["info", "nowhere"], 2)):
        found = python(f"""
import atexit, os, signal, sys
def late():
    os.kill(os.getpid(), signal.SIGINT)
    print("left")
atexit.register(late)
sys.argv = {["rltuner", *words]}
from rltuner.__main__ import main
main()
""")
        assert found.stdout.endswith("left\n")
        assert found.returncode == code
        assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", ["samples/melody-01.mid", "plots/piano_rolls.png", "report.md"])
def test_a_disk_that_is_full_while_results_are_written_names_the_file(
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not name.startswith("plots"):
        request.getfixturevalue("blank_pictures")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # of a write: it names no file

    original = results.report_text

    def then_full(*arguments: object) -> str:
        monkeypatch.setattr(os, "write", full)
        return original(*arguments)

    def then_full_rolls(*arguments: object) -> None:
        monkeypatch.setattr(os, "write", full)
        plot(*arguments)

    plot = results.plot_piano_rolls
    with monkeypatch.context():
        if name.startswith("samples"):
            monkeypatch.setattr("rltuner.melody.melodies.write_midi", full)
        elif name.startswith("plots"):
            monkeypatch.setattr(results, "plot_piano_rolls", then_full_rolls)
        else:
            monkeypatch.setattr(results, "report_text", then_full)
        words = [f"--{key.replace('_', '-')}={value}" for key, value in TINY.items()]
        assert run("finetune", *words) == 2
        monkeypatch.undo()
    assert f"rltuner: run/{name}: No space left on device; what was saved before is kept" in (
        capsys.readouterr().err
    )


@pytest.mark.long
@pytest.mark.usefixtures("blank_pictures")
def test_a_resumed_run_goes_on_in_its_own_folder_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = finetune(FinetuneConfig(**TINY))
    before = (run_folder / "report.md").read_bytes()
    assert run("finetune", "--resume", "run", "--out", "elsewhere") == 2
    assert "run: what is resumed goes on in its own folder, not in elsewhere" in capsys.readouterr().err
    assert (run_folder / "report.md").read_bytes() == before
    assert not Path("elsewhere").exists()
    assert run("finetune", "--resume", "run", "--out", "./run") == 0
    finetune(dataclasses.replace(FinetuneConfig(**TINY), resume=Path("run")))
