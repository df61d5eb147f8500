"""Files that must not be half-written. A module of its own, apart from `checkpoints`, so that the study server imports no
torch.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PART = ".rltuner-part"  # ends the names of temporary files: nobody else's end so


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that readers, and a crash, see the old content or the new, never a mixture.

    A temporary file beside it is written, forced to the disk and renamed; then the folder is forced to the disk. Only
    functions of `os` touch files, so that a test can stop at each of them. Raises OSError, which names the file also
    where the system does not (a full disk); the old file is then kept.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}{PART}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Lets an OSError inside name the file that is written; that of a full disk names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Writes everything; the system may take it in parts."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Forces the folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes the folder and those above it that are missing, each forced to the disk in the one above. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another process has made it meanwhile
        os.mkdir(folder)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file, not a folder", os.fspath(folder))
    sync_folder(folder.parent)


def sweep(folder: Path) -> None:
    """Removes the temporary files that a killed process left. Only for who holds the folder's lock."""
    for file in folder.glob(f".*{PART}"):
        file.unlink(missing_ok=True)
