"""A user's mistakes: one line each, exit code 2, and nothing lost."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest
from commands import contents, error_of, inside, run

from rltuner.melody import Melodies
from rltuner.study.database import sqlite_address
from rltuner.study.folder import ANSWERS, FROZEN, only_server, read_study
from rltuner.study.store import open_store

pytestmark = pytest.mark.usefixtures("served")  # serve returns at once, wrongly too


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
        (("new", "x", "--sources", "psi", "psi"), "such as another_psi=psi"),
        (("new", "x", "--sources", "a/few", "b/few/"), "a/few and b/few/ would both be called 'few'"),
        (("new", "x", "--sources", "few=psi", "b/few"), "such as another_few=b/few"),
        (("new", "x", "--sources", "=psi", "human"), "'=psi' must be SOURCE or NAME=SOURCE"),
        (("new", "x", "--bars", "4", "--seconds", "9"), "bars = 4 and seconds = 9; give one of them"),
        (("new", "x", "--sources", "psi", "nowhere"), "nowhere"),
        (
            ("new", "x", "--sources", "psi", "few", "--pairs", "4", "--bars", "4"),
            "few: 3 melodies of 64 events or more",
        ),
        (("new", "x", "--sources", "psi", "human", "--bars", "31", "--pairs", "40"), "human"),
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
