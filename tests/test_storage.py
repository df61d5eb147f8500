"""Checkpoints on disk: what is missing, foreign, torn or not finite is refused with its name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rltuner.errors import InputError
from rltuner.note_rnn import NoteRNN
from rltuner.policy import load
from rltuner.storage import read_checkpoint, write_atomically


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    NoteRNN(hidden_sizes=(3,)).save(tmp_path / "ckpt")
    return tmp_path / "ckpt"


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"note_rrn.*did you mean 'note_rnn'"):
        load("note_rrn")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_without_either_file_is_no_checkpoint(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError, match=missing):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"format": 1}'])
def test_a_foreign_configuration_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load(folder)


def test_a_later_format_is_refused(folder: Path) -> None:
    edit_config(folder, format=99)
    with pytest.raises(InputError, match="format 99"):
        load(folder)


def test_one_changed_byte_is_noticed(folder: Path) -> None:
    model = folder / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        load(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = NoteRNN(hidden_sizes=(3,))
    with torch.no_grad():
        model.output.bias[2] = float("nan")
    model.save(tmp_path / "bad")
    with pytest.raises(InputError, match=r"output\.bias.*NaN"):
        load(tmp_path / "bad")


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    edit_config(folder, hidden_sizes=[4])
    with pytest.raises(InputError, match="bias_hh_l0"):
        load(folder)


def test_an_unknown_kind_is_refused(folder: Path) -> None:
    edit_config(folder, kind="ppo")
    with pytest.raises(InputError, match="'ppo'"):
        load(folder)


def test_a_file_that_is_no_safetensors_file_is_refused(folder: Path) -> None:
    import hashlib

    (folder / "model.safetensors").write_bytes(b"garbage")
    edit_config(folder, model_sha256=hashlib.sha256(b"garbage").hexdigest())
    with pytest.raises(InputError, match="not a safetensors file"):
        load(folder)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept.json"
    write_atomically(file, b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rltuner.storage.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_tensors_come_back_as_they_were(folder: Path) -> None:
    config, tensors = read_checkpoint(folder)
    assert config["kind"] == "note_rnn"
    expected = NoteRNN(hidden_sizes=(3,)).state_dict()
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    save_file(tensors, folder / "copy.safetensors")  # a plain safetensors file: other tools read it
