"""The configuration of a training as it is stored, and what of it may change when the training goes on."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.pretraining.config import PretrainConfig
from rltuner.storing.state import MANIFEST, read_manifest
from rltuner.storing.unfinished import refuse_another_folder

STATE, METRICS = (
    "checkpoint",
    "metrics.jsonl",
)  # in the folder of the Note RNN: what a resumed training goes on from


def settings_of(config: PretrainConfig) -> dict[str, Any]:
    """The configuration as JSON values, without `out` and `resume`: where it lies says the folder itself."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}
    return {name: value for name, value in values.items() if name not in ("out", "resume")}


RESUMABLE = ("threads", "jobs", "device", "checkpoint_every")
"""What may be changed when a training is resumed; the rest is its own."""


def resumed(config: PretrainConfig) -> PretrainConfig:
    """The configuration stored in `config.resume`, with the changes that a resumed training allows.

    A `config` with nothing but `resume` set asks for no change; for one, replace fields of `stored_settings`. Raises
    InputError for a change of anything else.
    """
    folder = config.resume
    assert folder is not None
    stored = stored_settings(folder)
    if config == PretrainConfig(resume=folder):
        return stored
    refuse_another_folder(folder, config.out)
    own = settings_of(stored)
    for name, value in settings_of(config).items():
        if name not in RESUMABLE and value != own[name]:
            raise InputError(
                f"{folder}: the training has {name} = {own[name]!r}, not {value!r}; only {', '.join(RESUMABLE)} can "
                "be changed when it goes on"
            )
    return replace(stored, **{name: getattr(config, name) for name in RESUMABLE})


def stored_settings(folder: Path) -> PretrainConfig:
    """The configuration of the training in the folder, to be resumed there. InputError where there is none."""
    where, stored = folder / STATE / MANIFEST, read_manifest(folder / STATE).get("config")
    usual = settings_of(PretrainConfig())
    if not isinstance(stored, dict) or stored.keys() != usual.keys():
        raise InputError(f"{where}: not that of a training that can be resumed")
    for name, value in stored.items():
        if type(value) is not type(usual[name]) and not (
            isinstance(usual[name], float) and type(value) is int
        ):
            raise InputError(
                f"{where}: {name} = {str(value)[:40]} must be of type {type(usual[name]).__name__}"
            )
    sizes, inputs = stored["hidden_sizes"], stored["inputs"]
    if any(type(size) is not int for size in sizes):
        raise InputError(f"{where}: hidden_sizes = {str(sizes)[:40]} must be whole numbers")
    if any(type(name) is not str for name in inputs):
        raise InputError(f"{where}: inputs = {str(inputs)[:40]} must be names")
    tuples = {"hidden_sizes": tuple(sizes), "inputs": tuple(inputs)}
    try:
        return PretrainConfig(**{**stored, **tuples}, out=folder, resume=folder)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
