"""Tuning runs: what they leave behind, how they continue, and what they refuse."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from rltuner.config import FinetuneConfig, finetune_defaults, preset, read_config, write_config
from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import load
from rltuner.rules.rule import rule
from rltuner.run_folder import RunFolder
from rltuner.tuner import finetune, rounds_of


@pytest.fixture(scope="module")
def note_rnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("note_rnn") / "tiny"
    NoteRNN(hidden_sizes=(8,), seed=1).save(folder)
    return folder


def tiny(tiny_note_rnn: Path, out: Path, **changes: object) -> FinetuneConfig:
    config = FinetuneConfig(
        note_rnn=str(tiny_note_rnn),
        out=out,
        events=3_000,
        length=16,
        batch_size=8,
        minibatch_size=8,
        replay=32,
        samples=2,
        evaluate=50,
        checkpoint_every=5,
        threads=1,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("algo", ["q", "psi", "g"])
def test_a_run_folder_holds_everything(algo: str, note_rnn: Path, tmp_path: Path) -> None:
    out = finetune(tiny(note_rnn, tmp_path / "run", algo=algo))
    for name in ("config.toml", "metrics.jsonl", "report.md", "rules.json", "checkpoint/state.safetensors"):
        assert (out / name).is_file(), name
    assert {p.name for p in (out / "plots").iterdir()} == {"tuning.png", "piano_rolls.png"}
    assert {p.name for p in (out / "samples").iterdir()} == {"melody-01.mid", "melody-02.mid"}
    policy = load(out)  # a run folder is a source like any other
    assert policy.kind == algo
    assert policy.compose(3, 8, seed=0).events.shape == (3, 8)
    assert "Notes not in key" in (out / "policy" / "README.md").read_text(encoding="utf-8")
    records = RunFolder(out).records()
    assert records[-1]["updates"] == rounds_of(tiny(note_rnn, out)) == 24
    for record in records:
        assert record["objective"] == pytest.approx(record["rule_reward"] / 2.0 - record["kl"])
        parts = [
            value for name, value in record.items() if name.startswith("rule_") and name != "rule_reward"
        ]
        assert record["rule_reward"] == pytest.approx(sum(parts), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("algo", ["q", "psi", "g"])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    algo: str, note_rnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(tiny(note_rnn, tmp_path / "whole", algo=algo, epsilon=0.3))
    log = RunFolder.log

    def stop_at_the_first_record(folder: RunFolder, record: dict[str, float]) -> None:
        log(folder, record)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "log", stop_at_the_first_record)
    part = tmp_path / "part"
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny(note_rnn, part, algo=algo, epsilon=0.3))
    monkeypatch.undo()
    finetune(dataclasses.replace(finetune_defaults(["--resume", str(part)]), resume=part))
    model = "policy/model.safetensors"
    assert (part / model).read_bytes() == (whole / model).read_bytes()

    def figures(folder: Path) -> list[dict[str, float]]:
        return [{**record, "events_per_second": 0} for record in RunFolder(folder).records()]

    assert figures(part) == figures(whole)


def test_the_same_seed_gives_the_same_policy(note_rnn: Path, tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        out = finetune(tiny(note_rnn, tmp_path / name, seed=seed, events=512, evaluate=0, samples=0))
        models.append((out / "policy" / "model.safetensors").read_bytes())
    assert models[0] == models[1] != models[2]


def test_tuning_raises_what_the_rules_pay(note_rnn: Path, tmp_path: Path) -> None:
    config = tiny(
        note_rnn, tmp_path / "run", events=60_000, batch_size=64, minibatch_size=16, c=0.5, evaluate=0
    )
    records = RunFolder(finetune(config)).records()
    assert records[-1]["rule_reward"] > records[0]["rule_reward"] + 5
    assert records[-1]["objective"] > records[0]["objective"] + 10


def test_the_note_rnn_is_left_as_it_was(note_rnn: Path, tmp_path: Path) -> None:
    before = (note_rnn / "model.safetensors").read_bytes()
    finetune(tiny(note_rnn, tmp_path / "run", events=512))
    assert (note_rnn / "model.safetensors").read_bytes() == before


def test_a_run_folder_is_never_overwritten(note_rnn: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("mine")
    with pytest.raises(InputError, match="run: exists already"):
        finetune(tiny(note_rnn, tmp_path / "run"))
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["precious"]


def test_nothing_is_written_where_the_input_is_wrong(note_rnn: Path, tmp_path: Path) -> None:
    for changes in ({"note_rnn": "nope"}, {"rules": "nope"}):
        with pytest.raises(InputError, match="nope"):
            finetune(tiny(note_rnn, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


@rule("test_infinite")
def infinite(melodies: Melodies) -> torch.Tensor:
    rewards = torch.zeros(melodies.events.shape)
    rewards[2, 5] = float("inf")
    return rewards


def test_a_reward_that_is_not_finite_stops_the_run_with_its_name(note_rnn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[rules.test_infinite]\n")
    with pytest.raises(InputError, match=r"'test_infinite' gave inf for event 5 in update 1"):
        finetune(tiny(note_rnn, tmp_path / "run", rules=str(tmp_path / "bad.toml")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("c", 0.0),
        ("gamma", 1.5),
        ("trace", -0.1),
        ("events", 0),
        ("length", 0),
        ("temperature", 0.0),
        ("c", float("nan")),
        ("clip", float("inf")),
    ],
)
def test_a_value_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"finetune: {field} = "):
        FinetuneConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["quick", "best", "paper"])
def test_a_stored_configuration_is_read_back(name: str, tmp_path: Path) -> None:
    config = preset(name, algo="g", seed=11, note_rnn='odd "name" ♪')  # type: ignore[arg-type]
    (tmp_path / "config.toml").write_text(write_config(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gama = 0.5", "unknown field 'gama'; did you mean 'gamma'"),
        ("gamma = 'high'", "gamma = 'high' must be of type float"),
        ("events = 1.5", "events = 1.5 must be of type int"),
        ("algo = 'sarsa'", "algo = 'sarsa' must be one of q, psi, g"),
        ("gamma = ", "not a TOML file"),
        ("c = -1", "c = -1.0 must be a finite number, at least"),
    ],
)
def test_a_wrong_configuration_file_is_named(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(InputError, match=r"run\.toml") as caught:
        read_config(tmp_path / "run.toml")
    assert named in str(caught.value)


def test_the_paper_preset_has_the_papers_values() -> None:
    config = finetune_defaults(["--algo", "q", "--preset", "paper"])
    assert (config.c, config.gamma, config.target_rate, config.events) == (0.5, 0.5, 0.01, 1_000_000)
    assert (config.trace, config.epsilon, config.epsilon_end, config.greedy) == (0.0, 1.0, 0.1, True)


def test_q_looks_less_far_ahead_unless_told_otherwise() -> None:
    assert finetune_defaults(["--algo", "q"]).gamma == preset("quick", algo="q").gamma == 0.9
    assert finetune_defaults(["--algo", "g"]).gamma == preset("quick").gamma == 1.0
    assert preset("best", algo="q", gamma=1.0).gamma == 1.0


def test_resuming_needs_something_to_resume(note_rnn: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.toml"):
        finetune_defaults(["--resume", str(tmp_path)])
    out = finetune(tiny(note_rnn, tmp_path / "run", events=512, evaluate=0, samples=0))
    (out / "checkpoint" / "state.safetensors").unlink()
    with pytest.raises(InputError, match="nothing to resume"):
        finetune(tiny(note_rnn, out, resume=out))


def test_metrics_are_one_json_object_a_line(note_rnn: Path, tmp_path: Path) -> None:
    out = finetune(tiny(note_rnn, tmp_path / "run", events=512))
    for line in (out / "metrics.jsonl").read_text().splitlines():
        assert {"updates", "events", "events_per_second", "rule_reward", "log_prior", "kl"} <= json.loads(
            line
        ).keys()
