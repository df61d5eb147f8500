"""Checkpoint folders: config.json beside model.safetensors, written whole or not at all, checked before use.

config.json holds `format`, `kind`, what the kind needs to rebuild its networks, and the size and SHA-256 of
model.safetensors. Nothing is ever unpickled.

While a checkpoint is replaced by another, the old model stays beside the new one until config.json names the new one:
at every moment the folder holds one checkpoint that is whole, and `read_checkpoint` finds it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.storing.atomic import make_folder, write_atomically
from rltuner.storing.unfinished import go_on_command

FORMAT = 1
CONFIG, MODEL = "config.json", "model.safetensors"
PREVIOUS = "model.previous.safetensors"  # while a checkpoint is being replaced
LARGEST_JSON = 10_000_000  # bytes; ours have some thousand
LARGEST_MODEL = 4 << 30  # bytes; ours have half a million
TYPES = ("BOOL", "U8", "I8", "I16", "I32", "I64", "F16", "BF16", "F32", "F64")  # of tensors that are read
REPLACED = {"psi_gauldin": "tune"}  # shipped names that are gone, and what to use instead
ATTEMPTS = 20  # at reading a checkpoint that another command replaces meanwhile


def write_checkpoint(
    folder: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> str:
    """Writes a checkpoint folder and returns the SHA-256 of its model file.

    The new model is read back before config.json names it. Until then a model that was there before stays, as
    model.previous.safetensors, so that a crash at any moment leaves the old checkpoint or the new one.

    Raises InputError, and keeps what was there, where something cannot be written (a full disk) or read back.
    """
    from safetensors.torch import save

    target = Path(folder)
    model = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(model).hexdigest()
    content = {"format": FORMAT, **config, "model_sha256": digest, "model_bytes": len(model)}
    try:
        make_folder(target)
        _keep_previous(target)
        write_atomically(target / MODEL, model)
        prove(target / MODEL, len(model), digest)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_atomically(target / CONFIG, text.encode())
        (target / PREVIOUS).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{target}: the checkpoint cannot be written ({error.strerror or error}); what was there is kept"
        ) from None
    return digest


def _keep_previous(folder: Path) -> None:
    """Copies the model that config.json names, if there is one, to model.previous.safetensors."""
    try:
        named = json.loads((folder / CONFIG).read_bytes())["model_sha256"]
        model = (folder / MODEL).read_bytes()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # no checkpoint yet, or none that could be lost
    if hashlib.sha256(model).hexdigest() == named:  # else a crash left the named one as the previous one
        write_atomically(folder / PREVIOUS, model)


def prove(file: Path, size: int, digest: str) -> bytes:
    """The content of a file that must have this size in bytes and this SHA-256, hexadecimal.

    Raises InputError where it has another, or more than 4 GiB, which are not read; OSError where it cannot be read.
    """
    found = os.path.getsize(file)
    if found > LARGEST_MODEL:
        raise InputError(f"{file}: it has {found:,} bytes; at most {LARGEST_MODEL:,} are read")
    if found != size:
        raise InputError(f"{file}: it has {found} bytes instead of {size}; it is damaged")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{file}: its SHA-256 is not the recorded one; it is damaged")
    return content


def read_json(file: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file of at most 10 MB; InputError, naming the file and `what` it should be, for any other."""
    try:
        if os.path.getsize(file) > LARGEST_JSON:
            raise ValueError
        content = json.loads(file.read_bytes())
        if not isinstance(content, dict):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{file}: not {what}") from None
    return content


def check_format(file: Path, found: object, known: int) -> None:
    """InputError unless the format is the one that this version reads and writes; it names what to do about it."""
    if found != known:
        newer = isinstance(found, int) and not isinstance(found, bool) and found > known
        raise InputError(
            f"{file}: format {found!r}; this version reads format {known}"
            + ("; it was written by a later rltuner: install that one" if newer else "")
        )


def read_checkpoint(name_or_folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a shipped checkpoint by name, or of a folder.

    Beside a command that replaces the checkpoint this finds the old one or the new one.

    Raises InputError, naming the file, where something is missing, foreign, of another format, torn (the hash
    does not match) or not finite.
    """
    folder = find_checkpoint(name_or_folder)
    for _ in range(ATTEMPTS):
        config_file = _identity(folder / CONFIG)
        found = _read_pair(folder)
        if found is not None:
            return found
        if _identity(folder / CONFIG) == config_file:
            break  # nobody replaces it: it is damaged
    raise InputError(f"{folder / MODEL}: its SHA-256 is not the one in {CONFIG}; the checkpoint is damaged")


def _identity(file: Path) -> tuple[int, int] | None:
    """Inode and modification time of a file: they change when it is replaced. None where there is no file."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read_pair(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The configuration and the model that it names; None where no model in the folder is that one."""
    config_file, model_file = folder / CONFIG, folder / MODEL
    for file in (config_file, model_file):
        if not file.is_file():
            raise InputError(
                f"{folder}: not a checkpoint ({file.name} is missing); give a folder that holds both "
                f"{CONFIG} and {MODEL}"
            )
    what = "the configuration of an rltuner checkpoint"
    config = read_json(config_file, what)
    if not {"format", "kind", "model_sha256"} <= config.keys():
        raise InputError(f"{config_file}: not {what}")
    check_format(config_file, config["format"], FORMAT)
    for file in (model_file, folder / PREVIOUS):
        content = _read_model(file)
        if content is not None and hashlib.sha256(content).hexdigest() == config["model_sha256"]:
            return config, parse_tensors(file, content)
    return None


def _read_model(file: Path) -> bytes | None:
    """The bytes of a model file; None where there is none. InputError where it is too large or cannot be read."""
    try:
        if os.path.getsize(file) > LARGEST_MODEL:
            raise InputError(f"{file}: larger than {LARGEST_MODEL:,} bytes; not a checkpoint of ours")
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from None


def parse_tensors(file: Path, content: bytes) -> dict[str, Tensor]:
    """The tensors in a safetensors file's content; InputError where it is not one or holds NaN or infinity.

    safetensors refuses a header whose shapes do not fit the content, before it takes memory for them. Types that no file
    of ours has, some of which torch can hold but not look into, are refused before a tensor is made.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    for name, kind in _types_of(content):
        if kind not in TYPES:
            raise InputError(
                f"{file}: tensor {name[:80]!r} is of type {kind!r}; known are {', '.join(TYPES)}"
            )
    try:
        tensors = load(content)
    except Exception as error:  # SafetensorError, and what torch and Python raise of odd types and shapes
        kind = "" if isinstance(error, SafetensorError) else f"{type(error).__name__}: "
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{file}: not a safetensors file ({kind}{reason})") from None
    for name, tensor in tensors.items():
        if (tensor.is_floating_point() or tensor.is_complex()) and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{file}: tensor {name} holds NaN or infinite values")
    return tensors


def _types_of(content: bytes) -> list[tuple[str, str]]:
    """(name, type) of the tensors that a safetensors header lists; [] where it is none, which safetensors explains."""
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (ValueError, RecursionError):
        return []
    if not isinstance(header, dict):
        return []
    return [
        (name, str(entry.get("dtype"))[:20])
        for name, entry in header.items()
        if name != "__metadata__" and isinstance(entry, dict)
    ]


def check_tensors(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], where: object) -> None:
    """InputError where names, shapes or types differ. `expected` may be on the device "meta", which takes no memory."""
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        raise InputError(
            f"{where}: tensors do not fit its configuration (missing {_some(missing)}, unexpected {_some(extra)})"
        )
    for name, tensor in sorted(tensors.items()):
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise InputError(
                f"{where}: {name} is {tensor.dtype} {tuple(tensor.shape)}, its configuration says "
                f"{expected[name].dtype} {tuple(expected[name].shape)}"
            )


def _some(names: list[str]) -> str:
    return str(names) if len(names) <= 4 else f"{names[:4]} and {len(names) - 4} more"


def load_weights(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Copies tensors into a module; InputError where names, shapes or types differ."""
    check_tensors(module.state_dict(), tensors, where)
    module.load_state_dict(dict(tensors))


def shipped_checkpoints() -> list[str]:
    """Names of the checkpoints that come with the package."""
    folder = Path(str(resources.files("rltuner.checkpoints")))
    return sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file())


def find_checkpoint(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a checkpoint: a shipped name first, else a path. InputError where there is neither."""
    text = os.fspath(name_or_folder)
    names = shipped_checkpoints()
    if text in names:
        return Path(str(resources.files("rltuner.checkpoints"))) / text
    folder = Path(text)
    if text in REPLACED and not os.path.isdir(folder):
        raise InputError(f"{text}: no longer shipped; use {REPLACED[text]}")
    if os.path.isfile(folder / "policy" / CONFIG) and not os.path.isfile(folder / CONFIG):
        return folder / "policy"  # a run folder: its policy is what people mean
    if not os.path.isdir(folder):  # unlike Path's, also False for a name that no file can have
        raise InputError(f"{text}: no such checkpoint; {suggest(text, names)}, or give a folder")
    if not os.path.isfile(folder / CONFIG) and (command := go_on_command(folder)):
        raise InputError(f"{text}: an unfinished run; go on with: {command}")
    return folder
