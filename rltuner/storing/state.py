"""The state of a run on disk: the tensors and counters that it needs to go on exactly where it was.

A folder of state holds manifest.json and the safetensors file that it names, with the file's size and SHA-256. A new
state is written beside the old one and read back before the manifest, replaced in one step, names it; only then the
old one goes. Whatever stops a save, and wherever, the manifest names a state that is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from rltuner.errors import InputError
from rltuner.storing.atomic import make_folder, sweep, write_atomically
from rltuner.storing.checkpoints import LARGEST_MODEL, check_format, parse_tensors, prove, read_json

STATE_FORMAT = 1
MOST_UPDATES = 2**53  # far more than a run can do, and every number up to it is a float too
MANIFEST = "manifest.json"
SLOTS = ("state-a.safetensors", "state-b.safetensors")


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
