"""Checkpoint folders: config.json beside model.safetensors, written whole or not at all, checked before use.

config.json holds `format`, `kind`, what the kind needs to rebuild its networks, and the SHA-256 of
model.safetensors. Nothing is ever unpickled.
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

from rltuner.atomic import write_atomically as write_atomically
from rltuner.errors import InputError

FORMAT = 1
CONFIG, MODEL = "config.json", "model.safetensors"


def write_checkpoint(
    folder: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> str:
    """Writes a checkpoint folder and returns the SHA-256 of its model file.

    The model is written first: a crash in between leaves a hash that does not match, which loading reports.
    """
    from safetensors.torch import save

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    model = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(model).hexdigest()
    content = {"format": FORMAT, **config, "model_sha256": digest}
    write_atomically(target / MODEL, model)
    write_atomically(target / CONFIG, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return digest


def read_checkpoint(name_or_folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a shipped checkpoint by name, or of a folder.

    Raises InputError, naming the file, where something is missing, foreign, of another format, torn (the hash
    does not match) or not finite.
    """
    folder = find_checkpoint(name_or_folder)
    config_file, model_file = folder / CONFIG, folder / MODEL
    for file in (config_file, model_file):
        if not file.is_file():
            raise InputError(
                f"{folder}: not a checkpoint ({file.name} is missing); give a folder that holds both "
                f"{CONFIG} and {MODEL}"
            )
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        found = config["format"], config["kind"], config["model_sha256"]
    except (ValueError, KeyError, TypeError, OSError):
        raise InputError(f"{config_file}: not the configuration of an rltuner checkpoint") from None
    if found[0] != FORMAT:
        raise InputError(f"{config_file}: format {found[0]!r}; this version reads format {FORMAT}")
    content = model_file.read_bytes()
    if hashlib.sha256(content).hexdigest() != found[2]:
        raise InputError(f"{model_file}: its SHA-256 is not the one in {CONFIG}; the checkpoint is damaged")
    return config, parse_tensors(model_file, content)


def parse_tensors(file: Path, content: bytes) -> dict[str, Tensor]:
    """The tensors in a safetensors file's content; InputError where it is not one or holds NaN or infinity."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{file}: not a safetensors file ({error})") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{file}: tensor {name} holds NaN or infinite values")
    return tensors


def load_weights(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Copies tensors into a module; InputError where names or shapes differ."""
    expected = module.state_dict()
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        raise InputError(
            f"{where}: tensors do not fit its configuration (missing {missing}, unexpected {extra})"
        )
    for name, tensor in sorted(tensors.items()):
        if tensor.shape != expected[name].shape or tensor.dtype != expected[name].dtype:
            raise InputError(
                f"{where}: {name} is {tensor.dtype} {tuple(tensor.shape)}, its configuration says "
                f"{expected[name].dtype} {tuple(expected[name].shape)}"
            )
    module.load_state_dict(dict(tensors))


def shipped_checkpoints() -> list[str]:
    """Names of the checkpoints that come with the package."""
    folder = Path(str(resources.files("rltuner.checkpoints")))
    return sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file())


def find_checkpoint(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a checkpoint: a shipped name first, else a path. InputError where there is neither."""
    from rltuner.rules.rule import suggest

    text = os.fspath(name_or_folder)
    names = shipped_checkpoints()
    if text in names:
        return Path(str(resources.files("rltuner.checkpoints"))) / text
    folder = Path(text)
    if os.path.isfile(folder / "policy" / CONFIG) and not os.path.isfile(folder / CONFIG):
        return folder / "policy"  # a run folder: its policy is what people mean
    if not os.path.isdir(folder):  # unlike Path's, also False for a name that no file can have
        raise InputError(f"{text}: no such checkpoint; {suggest(text, names)}, or give a folder")
    return folder
