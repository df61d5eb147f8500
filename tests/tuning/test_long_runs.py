"""Runs that take long: what is saved meanwhile, what a signal leaves, and what is said on the way."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rltuner import console
from rltuner.errors import InputError
from rltuner.interrupts import EndedError
from rltuner.networks.note_rnn import NoteRNN
from rltuner.storing.state import read_manifest
from rltuner.tuning import finetune as loop
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.finetune import finetune
from rltuner.tuning.run_folder import RunFolder
from rltuner.tuning.stored_config import read_config, resumed_config

ROUNDS = 12
TINY = FinetuneConfig(
    note_rnn="tiny",
    out=Path("run"),
    events=ROUNDS * 4 * 8,
    length=8,
    batch_size=4,
    minibatch_size=4,
    replay=8,
    samples=1,
    evaluate=16,
    threads=1,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    NoteRNN(hidden_sizes=(4,), seed=1).save("tiny")


def saved_after_each_round(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The updates of the state on disk before each round."""
    found: list[int] = []
    original = loop.tune_round

    def round_(*arguments: object, **options: object) -> object:
        found.append(read_manifest(Path("run/checkpoint"))["updates"])
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "tune_round", round_)
    return found


@pytest.mark.parametrize(
    ("seconds", "states"), [(0.0, list(range(ROUNDS))), (1e9, [0] * 5 + [5] * 5 + [10] * 2)]
)
def test_a_state_is_saved_by_time_as_well_as_by_rounds(
    seconds: float, states: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_UNSAVED", seconds)
    found = saved_after_each_round(monkeypatch)
    finetune(dataclasses.replace(TINY, checkpoint_every=5))
    assert found == states


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["finetune", "pretrain"])
def test_a_signal_from_outside_saves_says_how_to_go_on_and_ends_the_process(
    command: str, number: int
) -> None:
    """Killed in round or update 3, long before a state is due: nothing but that round's rest is waited for."""
    if command == "finetune":
        patched, words = (
            "rltuner.tuning.finetune.tune_round",
            [
                *(
                    "--note-rnn",
                    "tiny",
                    "--out",
                    "run",
                    "--events",
                    str(TINY.events),
                    "--length",
                    "8",
                    "--batch-size",
                    "4",
                ),
                *("--threads", "1", "--evaluate", "0", "--samples", "1"),
            ],
        )
    else:
        bars = ["|".join("CDEF"[n % 4] + "GAB"[n % 3] + "CE" for _ in range(8)) for n in range(40)]
        tunes = "".join(f"X:{n}\nT:{n}\nM:4/4\nL:1/4\nK:C\n{bar}|\n\n" for n, bar in enumerate(bars))
        Path("tunes").mkdir()
        Path("tunes/a.abc").write_text(tunes)
        patched, words = (
            "rltuner.pretraining.training.Training.update",
            [
                *(
                    "--corpus",
                    "tunes",
                    "--out",
                    "run",
                    "--updates",
                    "12",
                    "--batch-events",
                    "32",
                ),
                *("--hidden-sizes", "4", "--jobs", "1", "--threads", "1"),
            ],
        )
    code = f"""
import os, sys
from pkgutil import resolve_name
holder, _, name = {patched!r}.rpartition(".")
holder = resolve_name(holder)
original, calls = getattr(holder, name), []
def killed_in_the_third(*arguments, **options):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), {int(number)})
    return original(*arguments, **options)
setattr(holder, name, killed_in_the_third)
sys.argv = {["rltuner", command, *words]!r}
from rltuner.__main__ import main
main()
"""
    environment = {**os.environ, "XDG_CACHE_HOME": "cache"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert found.returncode == -number, found.stderr
    kind = "rounds" if command == "finetune" else "updates"
    assert f"stopped after 3 of 12 {kind}\ngo on with: rltuner {command} --resume run\n" in found.stderr
    assert "Traceback" not in found.stderr
    assert read_manifest(Path("run/checkpoint"))["updates"] == 3


def test_what_a_run_records_is_told_as_it_is_written() -> None:
    told: list[dict[str, object]] = []
    path = finetune(dataclasses.replace(TINY, log_every=5), on_record=told.append)
    assert [record["updates"] for record in told] == [5, 10, 12]  # the last round too
    assert told == [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_without_a_terminal_progress_is_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not console.error_console.is_terminal
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
    with console.progress_bar("digging", 60, completed=10) as advance:
        for done in range(5):
            advance(10, f"{done} m")
    assert capsys.readouterr().err.splitlines() == [
        "digging 50% after 0:40, 1:00 left: 1 m",
        "digging 83% after 1:20, 0:20 left: 3 m",
        "digging 100% after 1:40: 4 m",
    ]


def test_a_quiet_run_says_nothing_and_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    loud = finetune(TINY)
    said = capsys.readouterr()
    assert "J = E[Σ r/c] − KL = " in said.out
    assert "KL" in said.err  # of the progress
    assert "tuning 100%" in said.err
    quiet = finetune(dataclasses.replace(TINY, out=Path("quiet"), quiet=True))
    assert capsys.readouterr() == ("", "")
    for name in ("config.toml", "policy/model.safetensors", "policy/config.json"):
        assert (loud / name).read_bytes() == (quiet / name).read_bytes()


def test_a_run_goes_on_quietly_or_not_as_it_is_asked() -> None:
    finetune(dataclasses.replace(TINY, quiet=True))
    assert not read_config(Path("run/config.toml")).quiet
    assert resumed_config(FinetuneConfig(resume=Path("run"), quiet=True)).quiet
    assert not resumed_config(FinetuneConfig(resume=Path("run"))).quiet
    assert RunFolder(Path("run")).records()[-1]["updates"] == ROUNDS


def test_no_record_in_no_rounds() -> None:
    with pytest.raises(InputError, match="log_every = 0"):
        dataclasses.replace(TINY, log_every=0)


def test_the_guard_against_collapse_ends_a_run_in_the_same_round_whatever_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY", 2)
    ended = {}
    for every in (1, 5, 100):
        path = finetune(
            dataclasses.replace(TINY, out=Path(f"run{every}"), log_every=every, least_distinct=1.0)
        )
        ended[every] = RunFolder(path).records()[-1]["updates"]
    assert ended == {1: 6, 5: 6, 100: 6}  # after three looks


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_finished_run_is_read_ends_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    finetune(TINY)
    Path("run/report.md").unlink()
    restore = RunFolder.restore

    def signalled(*arguments: object) -> int:
        os.kill(os.getpid(), number)
        return restore(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "restore", signalled)
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda given, frame: came.append(given))
    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else EndedError):
            finetune(FinetuneConfig(resume=Path("run")))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == (
        [signal.SIGTERM] if number == signal.SIGTERM else []
    )  # the caller's own handler has had it
    assert not Path("run/report.md").exists()


def test_lines_of_progress_end_with_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "SECONDS_A_LINE", 0.0)
    with console.progress_bar("digging", 1000) as advance:
        for done in (999, 1, 5):
            advance(done, None)
    with console.progress_bar("nothing", 0) as advance:
        advance(0, None)
    lines = [line.partition(" after")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["digging 99%", "digging 100%", "nothing 0%"]


def test_a_name_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("run:fire:x [b]")
    assert capsys.readouterr().err == "run:fire:x [b]\n"
