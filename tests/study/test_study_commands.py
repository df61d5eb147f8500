"""The commands as people use them: what the folder holds, freezing, previews."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyloudnorm
import pytest
import soundfile
from commands import contents, error_of, run
from fastapi import FastAPI
from small_study import make_study, small_plan
from starlette.testclient import TestClient

from rltuner.melody import Melodies, Vocabulary
from rltuner.study.folder import ANSWERS, FROZEN, KEY, PLAN, STIMULI, Study, read_study
from rltuner.study.plan import Design, Plan
from rltuner.study.plan_file import read_plan
from rltuner.study.stimuli import _clips, _melodies

pytestmark = pytest.mark.usefixtures("served")  # serve returns at once, wrongly too


def test_the_first_start_freezes_the_study_and_prints_where_it_is(
    pilot: Path, served: list[FastAPI], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not (pilot / FROZEN).exists()
    assert run("serve", pilot, "--port", 0) == 0
    assert "http://127.0.0.1:" in capsys.readouterr().out
    frozen = json.loads((pilot / FROZEN).read_text())
    assert set(frozen["files"]) == {
        PLAN,
        KEY,
        *(f"{STIMULI}/{file.name}" for file in (pilot / STIMULI).iterdir()),
    }
    for name, digest in frozen["files"].items():
        assert hashlib.sha256((pilot / name).read_bytes()).hexdigest() == digest
    before = contents(pilot)
    assert run("serve", pilot, "--port", 0) == 0
    assert frozen["sha256"] in capsys.readouterr().err
    assert contents(pilot)[FROZEN] == before[FROZEN]
    assert TestClient(served[1]).get("/").status_code == 200


def test_a_study_is_frozen_for_its_registration_without_being_served(
    pilot: Path, served: list[FastAPI], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", pilot, "--freeze") == 0
    assert read_study(pilot).digest in capsys.readouterr().err
    assert (pilot / FROZEN).is_file()
    assert not (pilot / ANSWERS).exists()
    assert served == []


def test_a_preview_freezes_nothing_and_keeps_no_answers(pilot: Path, served: list[FastAPI]) -> None:
    before = contents(pilot)
    assert run("serve", pilot, "--port", 0, "--preview") == 0
    assert "Preview" in TestClient(served[0]).get("/").text
    assert contents(pilot) == before
    assert run("serve", pilot, "--preview", "--freeze") == 2


@pytest.mark.parametrize("change", ["text", "clip", "another clip", "no clip", "key", "hash"])
def test_a_study_that_changed_after_it_started_is_refused(
    change: str, pilot: Path, served: list[FastAPI], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", pilot, "--port", 0) == 0
    capsys.readouterr()
    clip = sorted((pilot / STIMULI).iterdir())[0]
    file = {"text": pilot / PLAN, "key": pilot / KEY, "hash": pilot / FROZEN}.get(change, clip)
    if change == "another clip":
        file = pilot / STIMULI / "more.flac"
    if change == "no clip":
        file.unlink()
    elif change == "hash":
        file.write_text(file.read_text().replace('"sha256": "', '"sha256": "0'))
    else:
        file.write_bytes(file.read_bytes() + b"\n" if file.exists() else b"")
    before = contents(pilot)
    assert run("serve", pilot, "--port", 0) == 2
    error = error_of(capsys)
    assert str(file) in error
    assert "since the study started" in error
    assert run("analyze", pilot) == 2
    assert contents(pilot) == before
    assert len(served) == 1


def test_texts_can_be_changed_before_the_start_and_the_clips_design_cannot(
    pilot: Path, served: list[FastAPI], capsys: pytest.CaptureFixture[str]
) -> None:
    text = (pilot / PLAN).read_text()
    (pilot / PLAN).write_text(
        text.replace("Listening to melodies", "Our study").replace("pairs = 4", "pairs = 2")
    )
    assert run("serve", pilot, "--port", 0) == 0
    assert "Our study" in TestClient(served[0]).get("/").text
    (pilot / FROZEN).unlink()
    capsys.readouterr()
    (pilot / PLAN).write_text(text.replace("seconds = 0.1", "seconds = 0.2"))
    assert run("serve", pilot, "--port", 0) == 2
    assert "design.seconds = 0.2, but the clips were made for 0.1" in error_of(capsys)


def test_clips_are_alike_in_all_but_the_melody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the synthesiser: one duration, rate and loudness, no metadata, names that say nothing, a private key."""
    words = ("--sources", "psi", "human", "--pairs", 3, "--items", 3, "--catch", 1, "--bars", 1)
    assert run("new", tmp_path / "a", *words, "--seed", 5) == 0
    study = read_study(tmp_path / "a")
    files = sorted((tmp_path / "a" / STIMULI).iterdir())
    assert len(files) == 2 * 3 + 3 == len(study.source_of)
    loudness = []
    for file in files:
        assert len(bytes.fromhex(file.stem)) == 16
        sound, rate = soundfile.read(file)
        assert len(sound) / rate == pytest.approx(study.plan.design.seconds)
        loudness.append(pyloudnorm.Meter(rate).integrated_loudness(sound))
        with soundfile.SoundFile(file) as opened:
            assert opened.copy_metadata() == {}
        assert not any(
            word in file.read_bytes().lower() for word in (b"human", b"rltuner", b"title=", b"symusic")
        )
    assert max(loudness) - min(loudness) < 1.0
    assert (tmp_path / "a" / KEY).stat().st_mode & 0o077 == 0
    assert (
        sorted(files, key=lambda file: file.stat().st_mtime_ns) == files
    )  # written in the order of random names
    key = json.loads((tmp_path / "a" / KEY).read_text())
    assert run("new", tmp_path / "b", *words, "--seed", 5) == 0
    again = json.loads((tmp_path / "b" / KEY).read_text())
    melodies = [
        sorted(zip(k["clips"].values(), map(tuple, k["events"].values()), strict=True)) for k in (key, again)
    ]
    assert melodies[0] == melodies[1]  # the same music
    assert not set(key["clips"]) & set(again["clips"])  # under other names
    events = [tuple(row) for row in key["events"].values()]
    assert len(set(events)) == len(events)


def test_a_tune_is_heard_in_one_role_only() -> None:
    """Of the 449 windows of 64 events most are one source's; catch trials and sound check get others."""
    clips = _clips("human", "human", 430, 64, 0)
    heard = {tuple(clip.melody.events[0].tolist()) for clip in clips}
    spare = _clips("catch", "human", 5, 64, 1, heard)
    assert not heard & {tuple(clip.melody.events[0].tolist()) for clip in spare}


def test_a_folder_may_hold_any_pitch_and_melodies_that_end_with_a_rest(tmp_path: Path) -> None:
    low = Vocabulary(0, 128)
    rows = [[2 + 40 + k, *[1] * 31] for k in range(3)]  # E2 and above, below what the networks know
    rows += [
        [62, *[1] * 19, 0, *[1] * 11]
    ]  # a file ends with its last note: this one's 12 sixteenths too early
    rows += [[62, *[1] * 11, 0, *[1] * 19]]  # this one's more than a bar too early
    for number, row in enumerate(rows):
        Melodies([row], vocabulary=low).to_midi(tmp_path / f"{number}.mid")
    melodies = _melodies(str(tmp_path), 5, 32, 0)
    assert melodies.events[:4].tolist() == rows[:4]
    assert melodies.lengths.tolist() == [32, 32, 32, 32, 12]


def test_sources_of_one_name_are_told_apart_by_naming_them(tmp_path: Path) -> None:
    for folder in ("one", "other", "a=b"):
        for number in range(4):
            file = tmp_path / folder / "songs" / f"{number}.mid"
            file.parent.mkdir(parents=True, exist_ok=True)
            Melodies([[14 + number, *[1] * 15]]).to_midi(file)
    sources = (
        tmp_path / "one/songs",
        f"before={tmp_path}/other/songs",
        f"{tmp_path}/a=b",
    )  # the last is a path
    words = ("--pairs", 1, "--items", 1, "--catch", 0, "--bars", 1, "--qpm", 900)
    assert run("new", tmp_path / "a", "--sources", *sources, *words) == 0
    assert read_plan(tmp_path / "a" / PLAN).design.sources == ("songs", "before", "a=b")
    made_from = json.loads((tmp_path / "a" / KEY).read_text())["design"]["made_from"]
    assert made_from == [f"{tmp_path}/one/songs", f"{tmp_path}/other/songs", f"{tmp_path}/a=b"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_preview_that_is_ended_leaves_nothing_behind(number: int, study: Study, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rltuner", "study", "serve", str(study.folder)]
    server = subprocess.Popen(
        [*command, "--preview", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert server.stdout is not None
    assert b"http://" in server.stdout.readline()
    assert [folder.name[:7] for folder in tmp_path.iterdir()] == ["rltuner"]
    server.send_signal(number)
    assert server.wait(20) == -number  # as if nobody had cleaned up
    assert list(tmp_path.iterdir()) == []


def test_listeners_are_simulated_anew_after_a_text_was_changed(pilot: Path) -> None:
    assert run("simulate", pilot, "--listeners", 3) == 0
    (pilot / PLAN).write_text((pilot / PLAN).read_text().replace("Listening to melodies", "Other"))
    assert run("analyze", pilot, "--simulated") == 2
    assert run("simulate", pilot, "--listeners", 2) == 0
    assert run("analyze", pilot, "--simulated") == 0


def test_a_study_takes_over_the_texts_and_rules_of_another(tmp_path: Path) -> None:
    make_study(tmp_path / "a", small_plan())
    file = tmp_path / "mine.toml"
    text = (tmp_path / "a" / PLAN).read_text()
    file.write_text(
        text.replace("Listening to melodies", "Mine").replace("allowed_misses = 1", "allowed_misses = 0")
    )
    words = (
        "--sources",
        "psi",
        "human",
        "--pairs",
        1,
        "--items",
        1,
        "--catch",
        0,
        "--seconds",
        0.3,
        "--qpm",
        300,
    )
    assert run("new", tmp_path / "b", *words, "--config", file) == 0
    plan = read_plan(tmp_path / "b" / PLAN)
    assert plan.texts.title == "Mine"
    assert plan.exclusions.allowed_misses == 0
    assert plan.design.sources == ("psi", "human")
    assert plan.design.seconds == pytest.approx(0.3)
    assert plan.questions == Plan().questions


MINE = """
[design]
sources = ["psi", "human"]
pairs = 10
items = 12
catch = 0
seconds = 4.0
qpm = 120.0
seed = 5
shared_device = true
"""


@pytest.mark.parametrize(
    ("words", "design", "events"),
    [
        ((), Design(("psi", "human"), 10, 12, 0, 4.0, 120.0, 5, True), 32),
        (
            ("--sources", "q", "psi", "human", "--pairs", 39, "--seed", 0),
            Design(("q", "psi", "human"), 39, 13, 0, 4.0, 120.0, 0, True),
            32,
        ),
        (("--qpm", 60, "--catch", 1), Design(("psi", "human"), 10, 12, 1, 8.0, 60.0, 5, True), 32),
        (("--bars", 1, "--items", 0), Design(("psi", "human"), 10, 10, 0, 2.0, 120.0, 5, True), 16),
        (("--seconds", 1, "--pairs", 3), Design(("psi", "human"), 3, 12, 0, 1.0, 120.0, 5, True), 8),
    ],
)
def test_what_the_command_line_does_not_say_of_the_design_comes_from_the_config(
    words: tuple[object, ...], design: Design, events: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr("rltuner.study.stimuli.new_study", lambda *given: made.append(given))
    (tmp_path / "mine.toml").write_text(MINE)
    assert run("new", tmp_path / "x", "--config", tmp_path / "mine.toml", *words) == 0
    assert made == [(tmp_path / "x", list(design.sources), Plan(design=design), events)]


def test_without_a_config_the_design_is_the_documented_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Plan, int]] = []
    monkeypatch.setattr("rltuner.study.stimuli.new_study", lambda *given: made.append(given[2:]))
    for words in ((), ("--qpm", 50), ("--pairs", 95), ("--sources", "before=q", "after=psi", "--items", 50)):
        assert run("new", tmp_path / "x", *words) == 0
    assert made == [
        (Plan(), 128),
        (Plan(design=Design(seconds=38.4, qpm=50.0)), 128),
        (Plan(design=Design(pairs=95, items=32)), 128),
        (Plan(design=Design(("before", "after"), items=50)), 128),
    ]


def test_a_source_that_the_config_only_names_must_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE.replace('"psi"', '"before"'))
    assert run("new", tmp_path / "x", "--config", file) == 2
    error = error_of(capsys)
    assert f"{file}: does not say what 'before' is made from" in error
    assert "--sources before=FOLDER human" in error


@pytest.mark.parametrize("command", ["analyze", "export"])
def test_the_help_names_the_folders_that_are_written_to(
    command: str, pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--help") == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "NAME The study's folder." in said
    assert "NAME/analysis; NAME/analysis-simulated with --simulated" in said
    assert run("simulate", pilot, "--listeners", 2) == 0
    assert run(command, pilot, "--simulated", *(["--report"] if command == "analyze" else [])) == 0
    assert (pilot / "analysis-simulated" / "answers.csv").is_file()
    assert not (pilot / "analysis").exists()


def test_the_server_needs_no_torch_and_help_needs_no_server() -> None:
    code = (
        "import sys\n"
        "import rltuner.commands.study\n"
        "assert not {'fastapi', 'sqlalchemy', 'uvicorn', 'jinja2', 'torch'} & sys.modules.keys()\n"
        "import rltuner.study.serve\n"
        "heavy = {'torch', 'scipy', 'numpy', 'matplotlib', 'note_seq', 'pretty_midi'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
