"""What a run needs to go on exactly where it was: its state on disk, its records, and the lock on its folder.

A folder of state holds manifest.json and the safetensors file that it names, with the file's size and SHA-256. A new
state is written beside the old one and read back before the manifest, replaced in one step, names it; only then the
old one goes. Whatever stops a save, and wherever, the manifest names a state that is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from rltuner.atomic import make_folder, sweep, sync_folder, write_all, write_atomically
from rltuner.console import say
from rltuner.errors import InputError
from rltuner.storage import LARGEST_MODEL, check_format, parse_tensors, prove, read_json

STATE_FORMAT = 1
MOST_UPDATES = 2**53  # far more than a run can do, and every number up to it is a float too
MANIFEST = "manifest.json"
SLOTS = ("state-a.safetensors", "state-b.safetensors")
LOCK = ".lock"


def save_state(folder: Path, updates: int, tensors: Mapping[str, Tensor], **facts: Any) -> None:
    """Makes `tensors` the state of the run in `folder`, after `updates` updates; `facts` are kept in the manifest.

    Raises InputError, and keeps the last state, where it cannot be written, or cannot be read back.
    """
    from safetensors.torch import save

    content = save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()})
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    kept = "nothing of the run is saved yet"
    try:
        make_folder(folder)
        sweep(folder)
        current = None
        if (folder / MANIFEST).exists():
            current = read_manifest(folder)
            kept = f"the state after update {current['updates']} is kept, and the run can be resumed from it"
        name = SLOTS[0] if current is None or current["file"] != SLOTS[0] else SLOTS[1]
        write_atomically(folder / name, content)
        parse_tensors(folder / name, prove(folder / name, len(content), str(entry["sha256"])))
        manifest = {"format": STATE_FORMAT, "updates": updates, "file": name, **entry, **facts}
        write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    except OSError as error:
        raise InputError(
            f"{folder}: update {updates} cannot be saved ({error.strerror or error}); {kept}"
        ) from None
    for slot in SLOTS:
        if slot != name:
            with contextlib.suppress(OSError):  # the state is saved; the old one only takes room
                (folder / slot).unlink(missing_ok=True)


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The manifest (with "updates" and what `save_state` was given besides) and the tensors.

    Raises InputError, naming the file, where there is none, or it is foreign, of another format, damaged or not finite.
    """
    manifest = read_manifest(folder)
    file = folder / manifest["file"]
    try:
        content = prove(file, manifest["bytes"], manifest["sha256"])
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None
    return manifest, parse_tensors(file, content)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest alone. InputError, naming the file, where there is none, or it is foreign or of another format."""
    file = folder / MANIFEST
    if not file.is_file():
        raise InputError(f"{folder.parent}: nothing to resume ({file} is missing)")
    what = "the manifest of a run's state"
    manifest = read_json(file, what)
    check_format(file, manifest.get("format"), STATE_FORMAT)
    numbers = {"updates": MOST_UPDATES, "bytes": LARGEST_MODEL}
    if (
        manifest.get("file") not in SLOTS
        or not isinstance(manifest.get("sha256"), str)
        or any(
            type(manifest.get(name)) is not int or not 0 <= manifest[name] <= most
            for name, most in numbers.items()
        )
    ):
        raise InputError(f"{file}: not {what}")
    return manifest


# Records: one JSON object a line, with "updates"


def append_record(file: Path, record: Mapping[str, Any]) -> None:
    """Appends a record and forces it to the disk; a state saved after it never outlives it. Raises InputError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            write_all(descriptor, (json.dumps(record) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be written ({error.strerror or error}); the last state saved is kept, and the run can be "
            "resumed from it"
        ) from None


def read_records(file: Path) -> list[dict[str, Any]]:
    """All records; a last line that a crash cut short is left out. InputError for any other line that is none."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or type(record.get("updates")) is not int:
                raise ValueError
            records.append(record)
        except (ValueError, RecursionError):
            if number < len(lines):
                raise InputError(f"{file}: line {number} is not a record") from None
    return records


def keep_records(file: Path, updates: int) -> None:
    """Drops the records of later updates than those of the state that a run goes on from."""
    kept = [record for record in read_records(file) if record["updates"] <= updates]
    write_atomically(file, "".join(json.dumps(record) + "\n" for record in kept).encode())


# Folders


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
      wait: what the others do meanwhile; where it is given, this process says so and waits for its turn.
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
