"""A run that has not ended yet: every command says what it is and how it goes on."""

from pathlib import Path

import pytest
from generated import refused, run

from rltuner.networks.note_rnn import NoteRNN
from rltuner.tuning import finetune as tuner
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.finetune import finetune

RULE = "from rltuner.rules import rule\n@rule('quiet')\ndef quiet(melodies):\n    return -melodies.is_onset.float()\n"
FIELDS: dict[str, object] = {
    "note_rnn": "tiny",
    "events": 64,
    "length": 8,
    "batch_size": 4,
    "minibatch_size": 4,
    "replay": 8,
    "samples": 0,
    "evaluate": 0,
    "threads": 1,
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    NoteRNN(hidden_sizes=(4,), seed=1).save("tiny")


def stopped(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    def stop(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuner, "tune_round", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune(FinetuneConfig(out=Path("my run"), **{**FIELDS, **fields}))  # type: ignore[arg-type]


def test_the_line_after_ctrl_c_goes_on_as_it_stands_with_a_rule_file_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my rule.py").write_text(RULE)
    stopped(monkeypatch, rules="my rule.py")
    line = "go on with: rltuner finetune --resume 'my run' --rules 'my rule.py'"
    assert line in capsys.readouterr().err.splitlines()
    assert run("finetune", "--resume", "my run", "--rules", "my rule.py") == 0


@pytest.mark.parametrize("command", ["generate", "info", "evaluate"])
def test_an_unfinished_run_is_recognised(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(monkeypatch)
    line = refused(capsys, command, "my run")
    assert line == "rltuner: my run: an unfinished run; go on with: rltuner finetune --resume 'my run'"
    (Path("my run") / "samples").mkdir()
    (Path("my run") / "samples" / "a.mid").write_bytes(b"")
    assert "an unfinished run" in refused(capsys, command, "my run")
    assert run("finetune", "--resume", "my run") == 0
    assert run("info", "my run") == 0


def test_what_is_no_run_is_called_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nope: no such run folder" in refused(capsys, "finetune", "--resume", "nope")
    assert "tiny: not a run folder" in refused(capsys, "finetune", "--resume", "tiny")
    stopped(monkeypatch)
    (Path("my run") / "config.toml").unlink()  # as the folder of pretrain has none
    assert "go on with: rltuner pretrain --resume" in refused(capsys, "finetune", "--resume", "my run")


@pytest.mark.long
def test_a_run_is_never_asked_for_fewer_events_than_it_has_composed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune(FinetuneConfig(out=Path("whole"), **FIELDS))  # type: ignore[arg-type]
    line = refused(capsys, "finetune", "--resume", "whole", "--events", "32")
    assert "has composed 64 events" in line
    assert run("finetune", "--resume", "whole", "--events", "128") == 0
    stopped(monkeypatch)
    assert run("finetune", "--resume", "my run", "--events", "32") == 0  # none is composed yet
