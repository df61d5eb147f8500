"""A run's state on disk: whatever stops a save, and wherever, the last state is whole; what is read was checked first."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.storing.atomic import PART, sweep
from rltuner.storing.records import append_record, keep_records, read_records
from rltuner.storing.run_folders import create_folder, locked, refuse_links
from rltuner.storing.state import load_state, save_state


def state(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((3,), value), "generator": torch.arange(4, dtype=torch.uint8)}


def test_a_state_comes_back_with_its_facts_and_leaves_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    for updates in (0, 5, 9):
        save_state(folder, updates, state(updates), best=0.5)
    manifest, tensors = load_state(folder)
    assert (manifest["updates"], manifest["best"]) == (9, 0.5)
    assert torch.equal(tensors["weights"], torch.full((3,), 9.0))
    assert {file.name for file in folder.iterdir()} == {"manifest.json", manifest["file"]}


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "replace"])
def test_a_save_that_fails_anywhere_keeps_the_last_state_and_says_so(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first operation of that kind, then at the second, until the save gets through."""
    folder = tmp_path / "checkpoint"
    save_state(folder, 1, state(1))
    original = getattr(os, failing)
    says: list[str] = []
    for which in range(20):
        calls = 0

        def refused(*arguments: object, which: int = which, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == which + 1:
                raise OSError(28, "No space left on device")
            return original(*arguments, **options)

        monkeypatch.setattr(os, failing, refused)
        try:
            save_state(folder, 2, state(2))
        except InputError as error:
            monkeypatch.undo()
            says.append(str(error))
            found, tensors = load_state(folder)
            # Once the manifest has its name, the new state counts, even if the folder could not be synced.
            assert found["updates"] in (1, 2)
            assert float(tensors["weights"][0]) == found["updates"]
            save_state(folder, 1, state(1))
        else:
            monkeypatch.undo()
            break
    assert says
    assert all("No space left on device); the state after update 1 is kept" in one for one in says)
    assert load_state(folder)[0]["updates"] == 2


def test_a_state_that_cannot_be_read_back_never_replaces_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses what it was given: the write succeeds, the bytes are others."""
    folder = tmp_path / "checkpoint"
    save_state(folder, 1, state(1))
    replace = os.replace

    def losing(source: Path, target: Path) -> None:
        if target.suffix == ".safetensors":
            source.write_bytes(source.read_bytes()[:-1] + b"x")
        replace(source, target)

    monkeypatch.setattr(os, "replace", losing)
    with pytest.raises(InputError, match="SHA-256"):
        save_state(folder, 2, state(2))
    assert load_state(folder)[0]["updates"] == 1


def test_numbers_that_are_not_finite_never_replace_the_last_state(tmp_path: Path) -> None:
    save_state(tmp_path / "checkpoint", 1, state(1))
    with pytest.raises(InputError, match="NaN"):
        save_state(tmp_path / "checkpoint", 2, state(float("nan")))
    assert load_state(tmp_path / "checkpoint")[0]["updates"] == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 2; this version reads format 1; it was written by a later rltuner"),
        ({"format": None}, "format None"),
        ({"file": "../../etc/passwd"}, "not the manifest"),
        ({"file": "/etc/passwd"}, "not the manifest"),
        ({"bytes": 10**9}, "bytes instead of"),
        ({"bytes": 10**15}, "not the manifest"),
        ({"updates": 10**400}, "not the manifest"),
        ({"bytes": "1"}, "not the manifest"),
        ({"sha256": "0"}, "SHA-256"),
        ({"updates": -1}, "not the manifest"),
    ],
)
def test_a_manifest_that_lies_is_refused(changes: dict[str, object], says: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    save_state(folder, 1, state(1))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    with pytest.raises(InputError, match="checkpoint") as caught:
        load_state(folder)
    assert says in str(caught.value)


def test_records_of_later_updates_are_dropped_and_a_cut_line_is_no_record(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    for updates in (1, 2, 3):
        append_record(file, {"updates": updates})
    with file.open("a") as cut:
        cut.write('{"updates": 4, "lo')
    keep_records(file, 2)
    append_record(file, {"updates": 3})
    assert [record["updates"] for record in read_records(file)] == [1, 2, 3]
    file.write_text('{"updates": 1}\nnonsense\n{"updates": 2}\n')
    with pytest.raises(InputError, match="line 2"):
        read_records(file)


def test_a_folder_in_use_names_the_process_and_is_free_again_when_that_dies(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom rltuner.storing.run_folders import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"in use by process {holder.pid}; wait"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with locked(tmp_path):
        pass


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="run: cannot be made"):
        create_folder(tmp_path / "run", fails)
    assert list(tmp_path.iterdir()) == []

    def overtaken(folder: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "theirs").write_text("theirs")

    with pytest.raises(InputError, match="run: exists already"):
        create_folder(tmp_path / "run", overtaken)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    with (
        create_folder(tmp_path / "other", lambda folder: None),
        pytest.raises(InputError, match="in use by process"),
        locked(tmp_path / "other"),
    ):
        pass


def test_a_run_folder_from_a_stranger_cannot_write_through_links(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").symlink_to(precious)
    with pytest.raises(InputError, match=r"\.lock: a link"):
        refuse_links(run, [".lock", "policy"])
    with pytest.raises(InputError, match="cannot be written"), locked(run):
        pass
    assert precious.read_text() == "mine"


def test_only_files_of_ours_are_swept(tmp_path: Path) -> None:
    for name in (".env.template", ".note.original", ".x.12345678"):
        (tmp_path / name).write_text("mine")
    (tmp_path / f".state.0a1b2c3d{PART}").write_text("left by a killed process")
    sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".env.template",
        ".note.original",
        ".x.12345678",
    ]


def test_every_folder_that_is_made_is_forced_to_the_disk_in_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    opened: dict[int, Path] = {}
    os_open, fsync = os.open, os.fsync

    def noted_open(path: Path, *arguments: object, **options: object) -> int:
        descriptor = os_open(path, *arguments, **options)
        opened[descriptor] = Path(path)
        return descriptor

    def noted_fsync(descriptor: int) -> None:
        synced.append(opened[descriptor])
        fsync(descriptor)

    monkeypatch.setattr(os, "open", noted_open)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    run = tmp_path / "a" / "b" / "run"
    create_folder(run, lambda folder: save_state(folder / "checkpoint", 0, state(0))).close()
    assert {tmp_path, tmp_path / "a", run.parent} <= set(synced)
    assert any(one.parent == run.parent and one.name.startswith(".run.") for one in synced)
    synced.clear()
    create_folder(run.parent / "empty", lambda folder: None).close()
    assert any(one.name.startswith(".empty.") for one in synced)


def test_a_ring_that_claims_more_melodies_than_can_be_counted_is_refused() -> None:
    from rltuner.tuning.replay import Replay

    replay = Replay(2)
    tensors = {
        "events": torch.zeros((2, 3), dtype=torch.int64),
        "context": torch.zeros((2, 1), dtype=torch.int64),
        "rewards": torch.zeros((2, 3)),
    }
    replay.restore({**tensors, "composed": torch.tensor(7)}, 3, 38, "state")
    for composed in (2**63 - 1, 2**53 + 1):
        with pytest.raises(InputError, match=rf"state: replay: composed = {composed}"):
            replay.restore({**tensors, "composed": torch.tensor(composed)}, 3, 38, "state")


GOOD = dict.fromkeys(
    ("updates", "events", "events_per_second", "rule_reward", "log_prior", "kl", "objective"), 1
)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"updates": 1}, "line 2: events = None is not a record's"),
        ({**GOOD, "rule_key": 1.0, "kl": "1"}, "line 2: kl = 1"),
        ({**GOOD, "rule_key": 1.0, "kl": math.nan}, "line 2: kl = nan"),
        ({**GOOD, "rule_key": 1.0, "events": 10**400}, "line 2: events = 1000"),
        (GOOD, "line 2: rule_key = None"),
    ],
)
def test_records_that_cannot_be_drawn_are_refused_by_line_and_field(
    record: dict[str, object], says: str, tmp_path: Path
) -> None:
    from rltuner.tuning.run_folder import RunFolder

    folder = RunFolder(tmp_path)
    folder.log({**GOOD, "rule_key": 1.0})
    assert len(folder.records()) == 1
    folder.log(record)
    with pytest.raises(InputError, match=r"metrics\.jsonl") as caught:
        folder.records()
    assert says in str(caught.value)
