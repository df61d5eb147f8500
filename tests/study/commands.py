"""The commands as tests run them, and what they leave."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rltuner.commands.main import main


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


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    error = capsys.readouterr().err
    assert error.startswith("rltuner: ")
    assert error.count("\n") == 1
    return error
