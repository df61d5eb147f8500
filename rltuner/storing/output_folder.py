"""A folder of results that is filled whole or not at all, and never over what somebody has there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rltuner.errors import InputError
from rltuner.interrupts import cleanly_ended

UNFINISHED = ".unfinished"  # the folder inside that files are written to first


@contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder to write files to. They move to `folder` when the block ends; where anything fails none is left.

    `folder` must not exist or be empty; it and its parents are made. What is written must be files, no folders.

    Raises InputError, in one line, where it holds something already or cannot be made, and for any OSError while it is
    filled: a full disk, say.
    """
    with cleanly_ended():
        yield from _filled_folder(folder)


def _filled_folder(folder: Path) -> Iterator[Path]:
    check_is_empty(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    unfinished = folder / UNFINISHED
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        _remove_empty(missing)
        raise InputError(f"{folder}: cannot be made ({error.strerror or error})") from None
    moved: list[Path] = []
    try:
        yield unfinished
        for file in sorted(unfinished.iterdir()):
            moved.append(folder / file.name)
            file.rename(moved[-1])
        unfinished.rmdir()
    except BaseException as error:
        for file in moved:
            file.unlink(missing_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        _remove_empty(missing)
        if not isinstance(error, OSError):
            raise
        # A write to a full disk names no file.
        is_ours = error.filename is None or unfinished in Path(os.fsdecode(error.filename)).parents
        where, verb = (folder, "written") if is_ours else (error.filename, "used")
        raise InputError(f"{where}: cannot be {verb} ({error.strerror or error})") from None


def _remove_empty(folders: list[Path]) -> None:
    for path in folders:
        with suppress(OSError):
            path.rmdir()


def check_is_empty(folder: Path) -> None:
    """InputError where something is there already, or the folder cannot be looked into."""
    try:
        if not folder.exists():
            return
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be used ({error.strerror or error})") from None
    if UNFINISHED in found:
        raise InputError(
            f"{folder}: a run that writes there, or was killed, left {UNFINISHED}; give another --out"
        )
    if found:
        what = "MIDI files" if any(name.endswith(".mid") for name in found) else found[0]
        raise InputError(f"{folder}: holds {what} already; give another --out")
