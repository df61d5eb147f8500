"""What tests of `rltuner generate` share: running it, and reading what it wrote."""

import json
from pathlib import Path

import pytest

from rltuner.commands.main import main
from rltuner.errors import InputError
from rltuner.melody.midi import read_midi

THEME = [14, 1, 16, 1, 18, 1, 1, 1, 21, 1, 19, 1, 18, 1, 16, 1]  # C D E G F E D, one bar


def run(*arguments: object) -> int:
    """Runs the command in this process; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the command ends with, exit code 2."""
    capsys.readouterr()
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    line = printed.splitlines()[-1]
    assert line.startswith("rltuner: ")
    assert "Traceback" not in printed
    return line


def notes_in(folder: Path) -> list[list[tuple[int, int, int]]]:
    """The notes of every MIDI file, in order; [] for a silent one."""
    found = []
    for file in sorted(folder.glob("*.mid")):
        try:
            found.append(read_midi(file)[0])
        except InputError:
            found.append([])
    return found


def manifest(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return content


def melodies_in(folder: Path) -> list[dict[str, object]]:
    entries = manifest(folder)["melodies"]
    assert isinstance(entries, list)
    return entries
