"""Unfinished runs: how a folder shows that one can go on, and the command that does."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.interrupts import EndedError

LARGEST_FILE = 1_000_000  # bytes


CONFIG, STATE, MANIFEST = "config.toml", "checkpoint", "manifest.json"  # of a run's folder, and of its state


def go_on_command(folder: Path) -> str:
    """The command that goes on with the run or training in a folder; "" where it holds none.

    A rule file of Python is named in it, as the run stored it: the user must give it again.
    """
    if not os.path.isfile(folder / STATE / MANIFEST):
        return ""
    if not os.path.isfile(folder / CONFIG):  # which trainings of a Note RNN do not have
        return f"rltuner {_trained_by(folder)} --resume {shlex.quote(str(folder))}"
    rules = ""
    with contextlib.suppress(
        OSError, ValueError, RecursionError, AttributeError
    ):  # damaged: the command will say so
        if (folder / CONFIG).stat().st_size <= LARGEST_FILE:
            stored = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
            # In its section, or before any, as in files of former versions.
            rules = str(stored.get("tuning", {}).get("rules", stored.get("rules", "")))
    also = f" --rules {shlex.quote(rules)}" if rules.endswith(".py") and rules.isprintable() else ""
    return f"rltuner finetune --resume {shlex.quote(str(folder))}{also}"


def _trained_by(folder: Path) -> str:
    """The command that a state without a config.toml is of."""
    with contextlib.suppress(OSError, ValueError, RecursionError, AttributeError):
        manifest = folder / STATE / MANIFEST
        if manifest.stat().st_size <= LARGEST_FILE and (
            json.loads(manifest.read_bytes()).get("command") == "launchpad train"
        ):
            return "launchpad train"
    return "pretrain"


def refuse_another_folder(resume: Path, out: Path | None) -> None:
    """InputError where what goes on in one folder is asked to write to another."""
    if out is not None and out.absolute() != resume.absolute():
        raise InputError(
            f"{resume}: what is resumed goes on in its own folder, not in {out}; leave --out away"
        )


@contextmanager
def saying_how_to_go_on(command: str, folder: Path) -> Iterator[None]:
    """Where Ctrl-C or a signal ends what is inside, and the folder of the run is there, a line says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, EndedError):
        if folder.is_dir():
            known = go_on_command(folder)
            say(f"go on with: {known or f'rltuner {command} --resume {shlex.quote(str(folder))}'}")
        raise
