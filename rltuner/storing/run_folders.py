"""Folders of runs: made whole or not at all, locked by one process, written to only where they are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.storing.atomic import make_folder, sync_folder

LOCK = ".lock"


def create_folder(path: Path, fill: Callable[[Path], None]) -> contextlib.ExitStack:
    """Makes the folder of a new run, filled, in one step: it is there whole or not at all. Returns its lock, held.

    Args:
      path: must not exist.
      fill: writes the content into the folder that it is given.

    Raises InputError where the path exists, also where another process has made it meanwhile, or cannot be made.
    """
    exists = f"{path}: exists already; give another --out, or --resume {path}"
    if path.exists() or path.is_symlink():
        raise InputError(exists)
    stack = contextlib.ExitStack()
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        make_folder(path.parent)
        os.mkdir(temporary)
        try:
            stack.enter_context(locked(temporary))
            fill(temporary)
            sync_folder(temporary)
            try:
                os.rename(temporary, path)
            except OSError:  # another run was as quick
                if path.exists():
                    raise InputError(exists) from None
                raise
            sync_folder(path.parent)
        except BaseException:
            stack.close()
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({error.strerror or error})") from None
    return stack


def refuse_links(folder: Path, names: Sequence[str]) -> None:
    """InputError where one of these, which a run writes to, is a link to elsewhere: a run folder may be a stranger's."""
    for name in names:
        if (folder / name).is_symlink():
            raise InputError(
                f"{folder / name}: a link; a run goes on only in a folder of its own, so copy what it names there"
            )


@contextlib.contextmanager
def locked(folder: Path, wait: str = "", name: str = LOCK) -> Iterator[None]:
    """Holds the lock of a folder, which the system gives back when the process ends, however it ends.

    Args:
      folder: must exist.
      wait: what the holder of the lock does, to complete "process N ..."; where it is given, this process says so and
        waits for its turn.
      name: of the lock file.

    Raises InputError, with the number of the process that holds it, where another one does and `wait` is not given.
    """
    file = folder / name
    try:
        # Not through a link: a folder from a stranger must not name a file of the user's to write to.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if not wait:
                raise InputError(
                    f"{folder}: in use by process {holder}; wait until it has ended, or stop it"
                ) from None
            say(f"process {holder} {wait}; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
