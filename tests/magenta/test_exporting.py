"""What is exported plays what the policy plays, and an imported model goes back bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from generated import refused, run
from reference import FOLDER

import rltuner
from rltuner.melody import Vocabulary
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy

Imported = Callable[[str], Path]
both = pytest.mark.parametrize("to", ["magenta-js", "tf-checkpoint"])


def moved(policy: Policy, by: float = 0.3) -> Policy:
    """With every weight changed, both biases of a layer too."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += by * torch.randn(parameter.shape, generator=generator)
    return policy


@both
@pytest.mark.parametrize("name", ["default", "basic_rnn", "mono_rnn"])
def test_export_and_import_again_is_the_same_bit_for_bit(
    name: str, to: str, imported: Imported, tmp_path: Path
) -> None:
    assert run("export", imported(name), "--to", to, "--out", tmp_path / "e") == 0
    assert run("import", tmp_path / "e", "--out", tmp_path / "n") == 0
    one, other = (folder / "model.safetensors" for folder in (tmp_path / "n", imported(name)))
    assert one.read_bytes() == other.read_bytes()


def test_a_checkpoint_of_tensorflows_goes_back_to_the_same_numbers(
    imported: Imported, tmp_path: Path
) -> None:
    assert run("export", imported("basic_rnn"), "--to", "tf-checkpoint", "--out", tmp_path / "e") == 0
    (written,) = (tmp_path / "e").glob("*.data-*")
    (original,) = (FOLDER / "tiny_basic_rnn").glob("*.data-*")
    assert written.read_bytes() == original.read_bytes()
    assert 'model_checkpoint_path: "model.ckpt"' in (tmp_path / "e" / "checkpoint").read_text()


@both
@pytest.mark.parametrize("kind", ["q", "psi", "g"])
@pytest.mark.parametrize("sizes", [(7,), (6, 5)])
def test_an_exported_policy_has_the_policys_probabilities(
    kind: str, sizes: tuple[int, ...], to: str, tmp_path: Path
) -> None:
    policy = moved(Policy.tuned_from(kind, NoteRNN(hidden_sizes=sizes, seed=1), 0.5))
    policy.save(tmp_path / "p")
    assert run("export", tmp_path / "p", "--to", to, "--out", tmp_path / "e") == 0
    assert run("import", tmp_path / "e", "--out", tmp_path / "n") == 0
    melodies = policy.compose(20, 30, seed=1)
    found = rltuner.load(tmp_path / "n").log_prob(melodies)
    torch.testing.assert_close(found, policy.log_prob(melodies), atol=1e-4, rtol=0)


def test_magenta_js_is_told_the_pitches(tmp_path: Path) -> None:
    NoteRNN(Vocabulary(60, 72), (5,), seed=1).save(tmp_path / "p")
    assert run("export", tmp_path / "p", "--to", "magenta-js", "--out", tmp_path / "e") == 0
    spec = json.loads((tmp_path / "e" / "config.json").read_text())
    assert spec["dataConverter"] == {"type": "MelodyConverter", "args": {"minPitch": 60, "maxPitch": 71}}
    assert run("import", tmp_path / "e", "--out", tmp_path / "n") == 0
    assert NoteRNN.load(tmp_path / "n").vocabulary == Vocabulary(60, 72)


def test_what_magenta_has_no_configuration_for_is_refused_with_the_reason(
    imported: Imported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    NoteRNN(Vocabulary(60, 72), (5,), seed=1).save(tmp_path / "p")
    for source, to, reason in (
        (imported("lookback_rnn"), "magenta-js", "hears magenta_lookback"),
        ("note_rnn", "tf-checkpoint", "hears event, clock, phrase, to_go, lookback"),
        (tmp_path / "p", "tf-checkpoint", "no configuration of Magenta's has; use --to magenta-js"),
    ):
        assert reason in refused(capsys, "export", source, "--to", to, "--out", tmp_path / "e")
        assert not (tmp_path / "e").exists()
