"""The same seed gives the same: every command that composes or learns, twice; and what a stopped training ends as."""

import dataclasses
import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch

from rltuner.commands.main import main
from rltuner.corpus.corpora import Corpus
from rltuner.errors import InputError
from rltuner.melody import Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.pretraining import pretrain as pretrain_module
from rltuner.pretraining.config import PretrainConfig
from rltuner.pretraining.pretrain import pretrain
from rltuner.pretraining.stored import stored_settings
from rltuner.pretraining.training import Training
from rltuner.storing.records import read_records
from rltuner.storing.state import load_state


def corpus(name: str = "tunebooks", **_: object) -> Corpus:
    """Thirty short tunes instead of the tunebooks; one differs where the corpus is called otherwise."""
    rows = torch.randint(0, 38, (30, 16), generator=torch.Generator().manual_seed(2)).tolist()
    rows[0][0] = 5 if name == "tunebooks" else 6
    return Corpus(name, [Tune(f"{i}", f"{i}", "", Meter(), tuple(row)) for i, row in enumerate(rows)], {}, [])


@pytest.fixture(autouse=True)
def _small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain_module, "load_corpus", corpus)


def config(out: Path, **changes: object) -> PretrainConfig:
    usual = PretrainConfig(
        out=out,
        updates=12,
        batch_events=40,
        validate_every=4,
        checkpoint_every=5,
        hidden_sizes=(4,),
        threads=1,
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]


def interrupt_at(update: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of that update."""
    original = Training.update

    def interrupted(training: Training) -> float:
        if training.updates + 1 == update:
            os.kill(os.getpid(), signal.SIGINT)
        return original(training)

    monkeypatch.setattr(Training, "update", interrupted)


@pytest.mark.parametrize("stop", [1, 4, 7, 11])
def test_a_training_that_was_stopped_ends_like_one_that_was_not(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = pretrain(config(tmp_path / "whole"))
    part = tmp_path / "part"
    with monkeypatch.context() as patch:
        interrupt_at(stop, patch)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config(part))
    assert (
        f"stopped after {stop} of 12 updates\ngo on with: rltuner pretrain --resume"
        in capsys.readouterr().err
    )
    assert load_state(part / "checkpoint")[0]["updates"] == stop
    assert not (part / "config.json").exists()
    pretrain(PretrainConfig(resume=part))
    assert (part / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert read_records(part / "metrics.jsonl") == read_records(whole / "metrics.jsonl")
    assert [record["updates"] for record in read_records(part / "metrics.jsonl")] == [4, 8, 12]
    assert NoteRNN.load(part).hidden_sizes == (4,)


def test_a_training_goes_on_with_its_own_settings_and_tunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config(tmp_path / "a"))
    with pytest.raises(InputError, match=r"the training has learning_rate = 0\.004, not 0\.1; only threads"):
        pretrain(dataclasses.replace(stored_settings(tmp_path / "a"), learning_rate=0.1))
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "load_corpus", lambda *_, **__: corpus("other"))
        with pytest.raises(InputError, match="no longer those that the training began with"):
            pretrain(PretrainConfig(resume=tmp_path / "a"))
    with pytest.raises(InputError, match="nothing to resume"):
        pretrain(PretrainConfig(resume=tmp_path))


def run(*words: object) -> int:
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_ctrl_c_in_a_training_is_exit_code_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(3, monkeypatch)
    words = ("--updates", 9, "--batch-events", 32, "--hidden-sizes", 4, "--threads", 1)
    assert run("pretrain", *words, "--out", tmp_path / "a") == 130


def test_ctrl_c_in_the_last_update_stops_before_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(12, patch)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config(tmp_path / "a"))
    assert "stopped after 12 of 12 updates\ngo on with: rltuner pretrain --resume" in capsys.readouterr().err
    assert not (tmp_path / "a" / "config.json").exists()
    pretrain(PretrainConfig(resume=tmp_path / "a"))
    assert (tmp_path / "a" / "config.json").exists()


@pytest.mark.parametrize("moment", ["create_folder", "save_tunes"])
def test_ctrl_c_before_the_first_update_or_after_the_last_says_how_to_go_on(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = pretrain(config(tmp_path / "whole"))
    original = getattr(pretrain_module, moment)

    def interrupted(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config(tmp_path / "part"))
    assert "go on with: rltuner pretrain --resume" in capsys.readouterr().err
    pretrain(PretrainConfig(resume=tmp_path / "part"))
    assert (tmp_path / "part/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--updates", 4_000], "the training has updates = 12, not 4000; only threads"),
        (["--out", "elsewhere"], "goes on in its own folder, not in elsewhere; leave --out away"),
        (["--out", "runs/note_rnn"], "not in runs/note_rnn"),
    ],
)
def test_what_a_resumed_training_cannot_do_is_refused_also_where_it_is_the_usual_value(
    words: list[object], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain(config(tmp_path / "a"))
    capsys.readouterr()
    assert run("pretrain", "--resume", tmp_path / "a", *words) == 2
    assert says in capsys.readouterr().err
    assert run("pretrain", "--resume", tmp_path / "a", "--threads", 2, "--out", tmp_path / "a") == 0
    assert load(tmp_path / "a").card["training"]["threads"] == 2


@pytest.mark.parametrize("sizes", [[16_384] * 16, [3] * 100_000, [2**40], [], [5]])
def test_a_manifest_that_asks_for_another_network_gets_no_memory_for_it(
    sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(config(tmp_path / "a"))
    manifest = tmp_path / "a/checkpoint/manifest.json"
    content = json.loads(manifest.read_text())
    content["config"]["hidden_sizes"] = sizes
    manifest.write_text(json.dumps(content))
    monkeypatch.setattr(pretrain_module, "Training", None)  # calling it is a TypeError
    with pytest.raises(InputError, match="checkpoint"):
        pretrain(PretrainConfig(resume=tmp_path / "a"))


@pytest.mark.long
def test_every_command_does_the_same_for_the_same_seed_and_says_the_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("--updates", 5, "--batch-events", 32, "--hidden-sizes", 4, "--threads", 1)
    tiny = (
        "--events",
        256,
        "--length",
        16,
        "--batch-size",
        8,
        "--evaluate",
        20,
        "--samples",
        2,
        "--threads",
        1,
    )

    def files(pattern: str) -> list[bytes]:
        return [file.read_bytes() for file in sorted(tmp_path.glob(pattern))]

    def said(folder: str) -> None:
        printed = capsys.readouterr()
        model = json.loads((tmp_path / folder / "config.json").read_text())["model_sha256"]
        assert re.findall(r"SHA-256 ([0-9a-f]{16})", printed.out + printed.err) == [model[:16]]

    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        assert run("pretrain", *small, "--seed", seed, "--out", f"p/{name}") == 0
        said(f"p/{name}")
        assert run("finetune", "--note-rnn", "p/a", *tiny, "--seed", seed, "--out", f"f/{name}") == 0
        said(f"f/{name}/policy")
        assert run("generate", "p/a", "--count", 2, "--seed", seed, "--threads", 1, "--out", f"g/{name}") == 0
        said("p/a")
        words = ("--count", 30, "--seed", seed, "--threads", 1, "--json", f"e-{name}.json")
        assert run("evaluate", "p/a", *words) == 0
    for pattern in (
        "p/{}/model.safetensors",
        "p/{}/*_tunes.safetensors",
        "f/{}/policy/model.safetensors",
        "f/{}/samples/*",
        "g/{}/*.mid",
        "e-{}.json",
    ):
        one, two, other = (files(pattern.format(name)) for name in "abc")
        assert one == two, pattern
        assert one != other, pattern
    assert "threads = 1\n" in (tmp_path / "f/a/config.toml").read_text()
    assert load("p/a").card["training"]["threads"] == 1
    assert load("f/a").card["finetune"]["threads"] == 1
