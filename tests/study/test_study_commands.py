"""The commands as people use them: what the folder holds, freezing, and mistakes in one line with nothing lost."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyloudnorm
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from small_study import make_study, small_plan
from starlette.testclient import TestClient

from rltuner.cli import main
from rltuner.melody import Melodies, Vocabulary
from rltuner.study.folder import ANSWERS, FROZEN, KEY, PLAN, STIMULI, Study, only_server, read_study
from rltuner.study.plan import Plan, read_plan
from rltuner.study.stimuli import _clips, _melodies
from rltuner.study.store import open_store, sqlite_address


def run(*arguments: object) -> int:
    """Runs the command in this process; its exit code."""
    try:
        main(["study", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for the lock and SQLite's passing ones."""
    passing = (".lock", "-wal", "-shm")
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.endswith(passing)
    }


def inside(file: Path) -> object:
    """The tables and notes of a database, or the bytes of what is none."""
    try:
        with sqlite3.connect(file) as database:
            tables = database.execute("SELECT sql FROM sqlite_master").fetchall()
            return tables, [
                database.execute(f"SELECT * FROM {name}").fetchall() for name in ("meta",) if tables[1:]
            ]
    except sqlite3.DatabaseError:
        return file.read_bytes()


@pytest.fixture
def pilot(study: Study, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(study.folder, tmp_path / "pilot")
    return tmp_path / "pilot"


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[FastAPI]:
    """The applications that `serve` would have served; it returns at once, wrongly too."""
    apps: list[FastAPI] = []

    def run(server: uvicorn.Server, sockets: object = None) -> None:
        apps.append(server.config.app)  # type: ignore[arg-type]

    monkeypatch.setattr(uvicorn.Server, "run", run)
    return apps


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    error = capsys.readouterr().err
    assert error.startswith("rltuner: ")
    assert error.count("\n") == 1
    return error


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


def test_a_port_in_use_is_named(pilot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert run("serve", pilot, "--port", port) == 2
    error = error_of(capsys)
    assert f"127.0.0.1:{port}: cannot listen there" in error
    assert not (pilot / FROZEN).exists()  # it has not started
    assert not (pilot / ANSWERS).exists()


def test_a_second_server_is_refused(pilot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_server(pilot):
        assert run("serve", pilot, "--port", 0) == 2
    assert "another server serves this study already" in error_of(capsys)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("version", "written by another version (its format is 99"),
        ("study", "belong to another study"),
        ("simulated", "holds simulated listeners, not real ones"),
        ("garbage", "not a database of a study"),
        ("foreign", "not a database of a study (it has the tables songs)"),
    ],
)
def test_a_database_that_does_not_fit_is_refused_and_kept(
    what: str, says: str, pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pilot / ANSWERS
    if what == "garbage":
        file.write_bytes(b"nothing that SQLite knows" * 100)
    elif what == "foreign":
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE songs (title TEXT)")
    else:
        digest = "0" * 64 if what == "study" else read_study(pilot).digest
        open_store(sqlite_address(file), digest, simulated=what == "simulated").close()
        if what == "version":
            with sqlite3.connect(file) as database:
                database.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
    before = inside(file)
    assert run("serve", pilot, "--port", 0) == 2
    error = error_of(capsys)
    assert says in error
    assert str(file) in error
    assert inside(file) == before
    assert not (pilot / FROZEN).exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("new", "full", "--sources", "psi"), "name at least two"),
        (("new", "x", "--sources", "psi", "psi"), "each once"),
        (("new", "x", "--sources", "psi", "nowhere"), "nowhere"),
        (("new", "x", "--sources", "psi", "few", "--pairs", "4"), "few: 3 melodies of 64 events or more"),
        (("new", "x", "--sources", "psi", "human", "--bars", "31"), "human"),
        (("new", "full", "--sources", "psi", "human"), "full: exists already"),
        (
            ("new", "few/0.mid/x", "--sources", "psi", "human", "--pairs", "1", "--catch", "0"),
            "cannot be made",
        ),
        (("new", "x", "--config", "nowhere.toml"), "nowhere.toml"),
        (("new", "x", "--pairs", "0"), "pairs = 0"),
        (("new", "x", "--paris", "3"), "did you mean --pairs?"),
        (("serve", "nowhere"), "nowhere: not a study"),
        (("serve", "few"), "few: not a study"),
        (("serve", "few", "--port", "70000"), "port = 70000"),
        (("analyze", "nowhere"), "nowhere: not a study"),
        (("simulate", "nowhere"), "nowhere: not a study"),
        (("export", "nowhere"), "nowhere: not a study"),
        (("show",), "see: rltuner study --help"),
        ((), "see: rltuner study --help"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("few").mkdir()
    for number in range(3):
        Melodies([[14 + number, *[1] * 63]]).to_midi(f"few/{number}.mid")
    before = contents(tmp_path)
    assert run(*arguments) == 2
    assert says in error_of(capsys)
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "full"]


def test_mistakes_about_an_existing_study(pilot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (("analyze", pilot), "nobody has answered yet"),
        (("analyze", pilot, "--simulated"), "nobody has answered yet"),
        (("simulate", pilot, "--strengths", "nobody=1"), "'nobody=1' must be SOURCE=NUMBER"),
        (("simulate", pilot, "--strengths", "psi=high"), "'psi=high' must be SOURCE=NUMBER"),
        (("serve", pilot, "--database", "nothing://x"), "not a usable address"),
        (("serve", pilot, "--database", f"sqlite:///{pilot}/study.toml/x.sqlite"), "unable to open database"),
    ):
        assert run(*arguments) == 2
        assert says in error_of(capsys)
    assert not (pilot / ANSWERS).exists()


def test_a_password_in_a_databases_address_is_not_printed(
    pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", pilot, "--database", "postgresql+psycopg://me:hunter2@nowhere.invalid/x") == 2
    assert "hunter2" not in error_of(capsys)


def test_a_folder_that_cannot_be_written_to_is_named(
    pilot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (pilot / ".lock").mkdir()  # root may write anywhere, but nobody opens a folder for writing
    assert run("serve", pilot, "--port", 0) == 2
    assert f"{pilot}: cannot be written to" in error_of(capsys)


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


def test_the_server_needs_no_torch_and_help_needs_no_server() -> None:
    code = (
        "import sys\n"
        "import rltuner.cli_study\n"
        "assert not {'fastapi', 'sqlalchemy', 'uvicorn', 'jinja2', 'torch'} & sys.modules.keys()\n"
        "import rltuner.study.serve\n"
        "heavy = {'torch', 'scipy', 'numpy', 'matplotlib', 'note_seq', 'pretty_midi'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
