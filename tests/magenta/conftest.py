"""Imported networks, each read once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from generated import run
from reference import FOLDER

Imported = Callable[[str], Path]


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The Note RNN of a fixture, by its name; made once."""
    folder = tmp_path_factory.mktemp("imported")

    def of(name: str) -> Path:
        if not (folder / name).exists():
            length = ("--attn-length", 8) if name == "attention_rnn" else ()
            assert run("import", FOLDER / f"tiny_{name}", "--out", folder / name, *length) == 0
        return folder / name

    return of
