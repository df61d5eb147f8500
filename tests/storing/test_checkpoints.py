"""Checkpoints on disk: what is missing, foreign, torn or not finite is refused with its name."""

import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.storing import checkpoints as storage
from rltuner.storing.atomic import write_atomically
from rltuner.storing.checkpoints import read_checkpoint


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

    monkeypatch.setattr("rltuner.storing.atomic.os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left.*kept\.json"):
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


# Of the version that first wrote format 1. Never made again: later versions must load it.
KEPT = Path(__file__).parents[1] / "fixtures" / "checkpoint_format_1"


@pytest.mark.parametrize("name", ["note_rnn", "q", "g"])
def test_a_checkpoint_of_the_first_format_loads_and_says_what_it_always_said(name: str) -> None:
    known = json.loads((KEPT / "log_prob.json").read_text())
    melodies = Melodies([known["events"]], None, torch.tensor([known["context"]]))
    policy = load(KEPT / name)
    assert policy.kind == name
    assert policy.log_prob(melodies)[0].tolist() == pytest.approx(known["log_prob"][name], abs=1e-5)


def test_a_later_format_says_what_to_do(folder: Path) -> None:
    edit_config(folder, format=2)
    with pytest.raises(
        InputError, match="format 2; this version reads format 1; it was written by a later rltuner"
    ):
        load(folder)


@pytest.mark.parametrize(
    "sizes", [[2**31], [16_384] * 16, [10**30], [3] * 10_000, [-1], [], ["3"], [3.5], None]
)
def test_a_configuration_that_asks_for_a_huge_network_gets_no_memory_for_it(
    folder: Path, sizes: object
) -> None:
    edit_config(folder, hidden_sizes=sizes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="ckpt"):
        load(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_model_file_that_declares_a_huge_shape_gets_no_memory_for_it(folder: Path) -> None:
    import hashlib

    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    declared = len(header).to_bytes(8, "little") + header + b"1234"
    for content in (declared, (2**60).to_bytes(8, "little") + header):
        (folder / "model.safetensors").write_bytes(content)
        edit_config(folder, model_sha256=hashlib.sha256(content).hexdigest())
        with pytest.raises(InputError, match="not a safetensors file"):
            load(folder)


def test_weights_of_another_type_are_refused(folder: Path) -> None:
    import hashlib

    from safetensors.torch import save

    _, tensors = read_checkpoint(folder)
    content = save({name: tensor.double() for name, tensor in tensors.items()})
    (folder / "model.safetensors").write_bytes(content)
    edit_config(folder, model_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match="float64"):
        load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1e999}', '{"format": ' + "9" * 5_000 + "}"])
def test_json_that_would_break_the_parser_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load(folder)


@pytest.mark.parametrize("stopped", range(1, 40))
def test_a_checkpoint_that_is_replaced_is_the_old_one_or_the_new_one_at_every_moment(
    stopped: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at the n-th operation on files; then another one reads, and replaces the checkpoint again."""
    old, new = (NoteRNN(hidden_sizes=(3,), seed=seed) for seed in (0, 5))

    def child() -> None:
        count = 0

        def dying(original):
            def operation(*arguments, **options):
                nonlocal count
                count += 1
                if count == stopped:
                    os._exit(9)
                return original(*arguments, **options)

            return operation

        for name in ("open", "write", "fsync", "replace", "unlink", "close"):
            setattr(os, name, dying(getattr(os, name)))
        new.save(folder)

    if (pid := os.fork()) == 0:
        try:
            child()
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = load(folder).network.output.weight
    assert torch.equal(found, new.output.weight if code == 0 else found)
    assert any(torch.equal(found, one.output.weight) for one in (old, new))
    NoteRNN(hidden_sizes=(3,), seed=9).save(folder)
    assert torch.equal(load(folder).network.output.weight, NoteRNN(hidden_sizes=(3,), seed=9).output.weight)
    assert not (folder / "model.previous.safetensors").exists()


def test_a_copy_of_a_run_folder_needs_nothing_but_itself(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    assert load(tmp_path / "elsewhere").kind == "note_rnn"


@pytest.mark.parametrize("moment", ["config", "model", "previous"])
def test_a_reader_beside_a_writer_finds_the_old_checkpoint_or_the_new_one(
    moment: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command replaces the checkpoint right after the reader has looked at one of the files, again and again."""
    seeds = iter(range(1, 4))
    read_json, read_model = storage.read_json, storage._read_model

    def replaced() -> None:
        if (seed := next(seeds, None)) is not None:
            NoteRNN(hidden_sizes=(3,), seed=seed).save(folder)

    def config_then_replaced(file: Path, what: str) -> dict[str, object]:
        found = read_json(file, what)
        if moment == "config":
            replaced()
        return found

    def model_then_replaced(file: Path) -> bytes | None:
        if moment == "previous" and "previous" in file.name:
            replaced()
        found = read_model(file)
        if moment == "model":
            replaced()
        return found

    monkeypatch.setattr(storage, "read_json", config_then_replaced)
    monkeypatch.setattr(storage, "_read_model", model_then_replaced)
    found = load(folder).network.output.weight
    known = [NoteRNN(hidden_sizes=(3,), seed=seed).output.weight for seed in range(4)]
    assert any(torch.equal(found, one) for one in known)


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "C64", "F4", "U64", "nonsense"])
def test_a_type_that_no_checkpoint_has_is_refused_by_name(folder: Path, kind: str) -> None:
    import hashlib

    size = {"C64": 8, "U64": 8}.get(kind, 1)
    entry = {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * size]}
    header = json.dumps({"output.bias": entry}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(2 * size)
    (folder / "model.safetensors").write_bytes(content)
    edit_config(folder, model_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match=rf"model\.safetensors: tensor 'output\.bias' is of type '{kind}'"):
        load(folder)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(InputError, match=r"it has 1,099,511,627,776 bytes; at most"):
        storage.prove(file, 1 << 40, "0")
