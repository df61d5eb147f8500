"""Tuning runs: what they leave behind, how they continue, and what they refuse."""

import dataclasses
import hashlib
import json
import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from rltuner.checks import DEFAULT_C
from rltuner.commands.finetune import defaults as finetune_defaults
from rltuner.errors import InputError
from rltuner.melody import Meter, Vocabulary
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.rules.contract import RuleError
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.finetune import finetune
from rltuner.tuning.learner import Learner
from rltuner.tuning.presets import preset
from rltuner.tuning.round import rounds_of
from rltuner.tuning.run_folder import RunFolder
from rltuner.tuning.stored_config import read_config


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


@pytest.mark.drawn
@pytest.mark.parametrize("algo", ["q", "psi", "g"])
def test_a_run_folder_holds_everything(algo: str, note_rnn: Path, tmp_path: Path) -> None:
    out = finetune(tiny(note_rnn, tmp_path / "run", algo=algo))
    for name in ("config.toml", "metrics.jsonl", "report.md", "rules.json", "checkpoint/manifest.json"):
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
        assert record["objective"] == pytest.approx(record["rule_reward"] / DEFAULT_C - record["kl"])
        parts = [
            value for name, value in record.items() if name.startswith("rule_") and name != "rule_reward"
        ]
        assert record["rule_reward"] == pytest.approx(sum(parts), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    "algo", ["psi", pytest.param("q", marks=pytest.mark.long), pytest.param("g", marks=pytest.mark.long)]
)
def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    algo: str, note_rnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a round's gradient steps, far from any record or checkpoint."""
    particles = {"smc": 4, "smc_systems": 8} if algo == "psi" else {}
    whole = finetune(tiny(note_rnn, tmp_path / "whole", algo=algo, epsilon=0.3, **particles))
    learn, steps = Learner.learn, 0

    def interrupted_once(learner: Learner, *batch: torch.Tensor) -> float:
        nonlocal steps
        steps += 1
        if steps == 22:
            os.kill(os.getpid(), signal.SIGINT)
        return learn(learner, *batch)

    monkeypatch.setattr(Learner, "learn", interrupted_once)
    part = tmp_path / "part"
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny(note_rnn, part, algo=algo, epsilon=0.3, **particles))
    assert not (part / "policy").exists()
    (part / "metrics.jsonl").open("a").write('{"updates": 12, "ev')  # a line that a crash cut short
    finetune(FinetuneConfig(resume=part))
    model = "policy/model.safetensors"
    assert (part / model).read_bytes() == (whole / model).read_bytes()

    def figures(folder: Path) -> list[dict[str, float]]:
        return [{**record, "events_per_second": 0} for record in RunFolder(folder).records()]

    assert figures(part) == figures(whole)


def test_a_run_goes_on_with_its_own_configuration_and_book(note_rnn: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.toml"
    book.write_text("[rules.key]\n")
    out = finetune(tiny(note_rnn, tmp_path / "run", rules=str(book), events=512, evaluate=0, samples=0))
    with pytest.raises(InputError, match=r"c = 0\.8, not 0\.5"):
        finetune(dataclasses.replace(read_config(out / "config.toml"), resume=out, c=0.5))
    finetune(dataclasses.replace(read_config(out / "config.toml"), resume=out, events=1024))
    assert RunFolder(out).records()[-1]["events"] == 1024
    book.write_text("[rules.tonic]\n")
    with pytest.raises(InputError, match="no longer the one that the run began with"):
        finetune(FinetuneConfig(resume=out))


def test_a_loss_that_is_not_finite_stops_the_run(
    note_rnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "learn", lambda *_: float("nan"))
    with pytest.raises(InputError, match="loss became nan in round 1"):
        finetune(tiny(note_rnn, tmp_path / "run"))


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


def write_rule(path: Path, body: str) -> str:
    """A rule file whose one rule sees `events`, a float [B, T], and runs the body."""
    path.write_text(
        "import torch\nfrom rltuner.rules import rule\n\ncalls = []\n\n"
        f"@rule('{path.stem}')\ndef judge(melodies):\n    events = melodies.events.float()\n    {body}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return events / 0", "'broken' gave nan|'broken' gave inf"),
        ("return events.double()", "'broken' returned torch.float64; expected torch.float32"),
        ("return events.sum(dim=1)", r"'broken' returned shape \[2\]; expected \[B, T\] = \[2, 12\]"),
        ("raise KeyError('x')", r"line \d+: rule 'broken' raised KeyError"),
        ("return events.flip(1) * melodies.valid", "'broken' reads the future"),
        ("return events - events.mean()", "reads the future|depends on|rewards padding"),
        ("return torch.rand(events.shape)", "two different rewards|reads the future|depends on"),
    ],
)
def test_a_rule_that_breaks_its_contract_stops_a_run_before_it_begins(
    body: str, says: str, note_rnn: Path, tmp_path: Path
) -> None:
    rules = write_rule(tmp_path / "broken.py", body)
    with pytest.raises(InputError, match=says):
        finetune(tiny(note_rnn, tmp_path / "run", rules=rules))
    assert not (tmp_path / "run").exists()


def test_a_rule_that_fails_in_the_middle_leaves_a_run_that_goes_on(note_rnn: Path, tmp_path: Path) -> None:
    """The state saved is the one before the round: resumed without the failure, it ends as if there had been none."""
    flag = tmp_path / "fail"
    body = f"""import os
    calls.append(1)
    if os.path.exists({str(flag)!r}) and len(melodies) == 8:
        raise RuntimeError("the disk is full")
    return -events * melodies.valid"""
    rules = write_rule(tmp_path / "fragile.py", body)
    config = tiny(note_rnn, tmp_path / "run", rules=rules, checkpoint_every=1)
    whole = finetune(tiny(note_rnn, tmp_path / "whole", rules=rules))
    flag.touch()
    with pytest.raises(
        RuleError, match=r"round 1: .*fragile.py, line \d+: rule 'fragile' raised RuntimeError"
    ):
        finetune(config)
    flag.unlink()
    finetune(FinetuneConfig(resume=tmp_path / "run", rules=rules))
    model = Path("policy") / "model.safetensors"
    assert (whole / model).read_bytes() == (tmp_path / "run" / model).read_bytes()


def test_a_rule_file_is_never_run_because_a_folder_names_it(note_rnn: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    rules = write_rule(tmp_path / "mine.py", "return -events * melodies.valid")
    run = finetune(tiny(note_rnn, tmp_path / "run", rules=rules))
    code = Path(rules).read_text()
    Path(rules).write_text(f"open({str(ran)!r}, 'w')\n" + code)
    with pytest.raises(InputError, match=r"mine.py, a Python file, which is code: .* --rules"):
        finetune(FinetuneConfig(resume=run))
    with pytest.raises(InputError, match="which is code"):
        read_config(run / "config.toml")
    with pytest.raises(InputError, match=r"not the rule file that the run .* began with"):
        finetune(FinetuneConfig(resume=run, rules=rules))
    assert not ran.exists()
    renamed = tmp_path / "renamed.py"
    renamed.write_text(code)
    finetune(FinetuneConfig(resume=run, rules=str(renamed)))
    assert load(run).card["rules"]["code"] == [hashlib.sha256(code.encode()).hexdigest()]


def test_a_book_in_another_metre_makes_a_policy_in_that_metre(note_rnn: Path, tmp_path: Path) -> None:
    (tmp_path / "waltz.toml").write_text('extends = "gauldin"\nmeter = "3/4"\nkey = "A minor"\n')
    policy = load(finetune(tiny(note_rnn, tmp_path / "run", rules=str(tmp_path / "waltz.toml"), length=12)))
    assert policy.meter == Meter(12, 4)
    assert policy.compose(2, 12, seed=0).meter == Meter(12, 4)
    assert policy.card["rules"]["meter"] == "3/4"


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_sizes": (512, 512), "algo": "g"},
        {"length": 64},
        {"length": 128},
        {"rules": "gauldin"},
        {"rules": "docs/examples/waltz.toml", "length": 36},
        {"rules": "docs/examples/a_minor.toml"},
        {"smc": 4, "smc_systems": 8},
        {"device": "cuda"},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
def test_tuning_works_with(changes: dict[str, Any], tmp_path: Path) -> None:
    """Two rounds: finite losses, and a policy that composes in the book's metre."""
    if changes.get("device") == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no GPU that torch can use")
    changes = dict(changes)
    NoteRNN(hidden_sizes=changes.pop("hidden_sizes", (16,)), seed=1).save(tmp_path / "note_rnn")
    if str(changes.get("rules", "")).endswith(".toml"):
        changes["rules"] = str(Path(__file__).parents[2] / changes["rules"])
    length = changes.get("length", 16)
    config = tiny(tmp_path / "note_rnn", tmp_path / "run", events=16 * length, evaluate=8)
    out = finetune(dataclasses.replace(config, **changes))
    record = RunFolder(out).records()[-1]
    assert record["updates"] == 2
    assert all(math.isfinite(value) for value in record.values())
    policy = load(out)
    assert policy.compose(2, length, seed=0).meter == policy.meter
    assert (policy.meter == Meter(12, 4)) == ("waltz" in str(changes.get("rules")))


def test_resuming_needs_something_to_resume(note_rnn: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.toml"):
        finetune_defaults(["--resume", str(tmp_path)])
    out = finetune(tiny(note_rnn, tmp_path / "run", events=512, evaluate=0, samples=0))
    (out / "checkpoint" / "manifest.json").unlink()
    with pytest.raises(InputError, match="nothing to resume"):
        finetune(tiny(note_rnn, out, resume=out))


def test_metrics_are_one_json_object_a_line(note_rnn: Path, tmp_path: Path) -> None:
    out = finetune(tiny(note_rnn, tmp_path / "run", events=512))
    for line in (out / "metrics.jsonl").read_text().splitlines():
        assert {"updates", "events", "events_per_second", "rule_reward", "log_prior", "kl"} <= json.loads(
            line
        ).keys()


def test_a_note_rnn_that_cannot_play_the_tonic_is_refused_with_both_sizes(tmp_path: Path) -> None:
    low = NoteRNN(Vocabulary(36, 60), (8,))
    low.save(tmp_path / "low")
    with pytest.raises(
        InputError, match=r"low has 26 classes \(MIDI 36 to 59\); the magenta book, .*38 classes"
    ):
        finetune(preset("quick", note_rnn=str(tmp_path / "low"), out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"the test tunes have 38 classes .* the policy has 26 classes"):
        load(tmp_path / "low").compose(1, 4, primer="human")


def test_a_run_goes_on_only_with_its_own_note_rnn_and_keeps_what_was_changed(tmp_path: Path) -> None:
    NoteRNN(hidden_sizes=(8,), seed=1).save(tmp_path / "note")
    fields: dict[str, Any] = {"batch_size": 4, "length": 4, "samples": 1, "evaluate": 5, "threads": 1}
    run = finetune(
        preset("quick", note_rnn=str(tmp_path / "note"), out=tmp_path / "run", events=80, **fields)
    )
    longer = dataclasses.replace(read_config(run / "config.toml"), resume=run, events=160)
    finetune(longer)
    assert read_config(run / "config.toml").events == 160  # so that a plain --resume goes to the same end
    shutil.rmtree(tmp_path / "note")
    NoteRNN(hidden_sizes=(8,), seed=2).save(tmp_path / "note")
    with pytest.raises(InputError, match="is no longer the one that the run began with"):
        finetune(FinetuneConfig(resume=run))
