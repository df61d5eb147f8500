"""Configurations of finetune in files: what a run stores, what it may change when it goes on, what flags default to."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from rltuner.config import Algorithm, FinetuneConfig, PretrainConfig
from rltuner.errors import InputError
from rltuner.presets import PRESETS, preset


def finetune_defaults(words: Sequence[str]) -> FinetuneConfig:
    """What finetune's flags default to, given the whole command line: --resume, --config and --preset decide."""
    found = _given(words, "--resume", "--config", "--preset", "--algo", "--rules")
    if "--config" in found and "--preset" in found:
        raise InputError("--config and --preset both set the defaults; give one of them")
    if "--resume" in found:
        folder = Path(found["--resume"])
        return dataclasses.replace(_config_of_run(folder, found.get("--rules")), out=folder)
    if "--config" in found:
        return read_config(Path(found["--config"]), found.get("--rules"))
    name, algo = found.get("--preset", "quick"), found.get("--algo", "psi")
    if name not in PRESETS or algo not in get_args(Algorithm):
        return FinetuneConfig()  # the parser names the wrong one
    return preset(name, algo=algo)  # type: ignore[arg-type]


def pretrain_defaults(words: Sequence[str]) -> PretrainConfig:
    """What pretrain's flags default to, given the whole command line: --resume decides."""
    found = _given(words, "--resume")
    if "--resume" not in found:
        return PretrainConfig()
    from rltuner.pretrain import stored_settings

    return stored_settings(Path(found["--resume"]))


def _given(words: Sequence[str], *flags: str) -> dict[str, str]:
    """The values of those of the flags that are among the words."""
    found = {}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        for flag in flags:
            if word == flag:
                found[flag] = following
            elif word.startswith(f"{flag}="):
                found[flag] = word.partition("=")[2]
    return found


LARGEST_FILE = 1_000_000  # bytes
CONFIG, STATE, MANIFEST = "config.toml", "checkpoint", "manifest.json"  # of a run's folder, and of its state
_NOT_STORED = ("config", "resume", "out")
RESUMABLE = ("events", "least_distinct", "samples", "evaluate", "checkpoint_every", "threads", "device")
"""What may be changed when a run is resumed; the rest is the run's own."""


def resumed_config(config: FinetuneConfig) -> FinetuneConfig:
    """The stored configuration of the run in `config.resume`, with the changes that a resumed run allows.

    A `config` with nothing but `resume` set asks for no change. Raises InputError for a change of anything else.
    """
    folder = config.resume
    assert folder is not None
    refuse_another_folder(folder, config.out)
    asked = FinetuneConfig(resume=folder, out=config.out)
    rules = config.rules if config.rules != asked.rules else None
    stored = dataclasses.replace(_config_of_run(folder, rules), out=folder, resume=folder)
    if config == dataclasses.replace(asked, rules=config.rules) and config.rules in (
        asked.rules,
        stored.rules,
    ):
        return stored
    for field in dataclasses.fields(config):
        wanted, own = getattr(config, field.name), getattr(stored, field.name)
        if field.name not in (*_NOT_STORED, *RESUMABLE) and wanted != own:
            raise InputError(
                f"{folder}: the run has {field.name} = {own!r}, not {wanted!r}; only {', '.join(RESUMABLE)} can be "
                "changed in a run that goes on"
            )
    _refuse_fewer_events(stored, config.events)
    return dataclasses.replace(stored, **{name: getattr(config, name) for name in RESUMABLE})


def _refuse_fewer_events(stored: FinetuneConfig, events: int) -> None:
    """InputError where the run has composed more than that already: nothing of it would be undone."""
    from rltuner.run_state import read_manifest

    assert stored.resume is not None
    a_round = stored.batch_size * stored.length
    done = read_manifest(stored.resume / STATE)["updates"] * a_round
    if -(-events // a_round) * a_round < done:
        raise InputError(
            f"{stored.resume}: the run has composed {done:,} events, and events = {events:,} would undo none; give "
            "more, or leave --events away"
        )


def _config_of_run(folder: Path, rules: str | None) -> FinetuneConfig:
    """The stored configuration of a run; InputError where the folder is none of a run, in what it is instead."""
    if not os.path.isdir(folder):
        raise InputError(
            f"{folder}: no such run folder; give the one that finetune wrote, such as runs/psi-1"
        )
    if not os.path.isfile(folder / CONFIG) and (command := go_on_command(folder)):
        raise InputError(f"{folder}: a training of a Note RNN; go on with: {command}")
    if not os.path.isfile(folder / CONFIG):
        raise InputError(f"{folder}: not a run folder ({CONFIG} is missing)")
    return read_config(folder / CONFIG, rules)


def go_on_command(folder: Path) -> str:
    """The command that goes on with the run or training in a folder; "" where it holds none.

    A rule file of Python is named in it, as the run stored it: the user must give it again.
    """
    if not os.path.isfile(folder / STATE / MANIFEST):
        return ""
    if not os.path.isfile(folder / CONFIG):  # which trainings of a Note RNN do not have
        return f"rltuner pretrain --resume {shlex.quote(str(folder))}"
    rules = ""
    with contextlib.suppress(OSError, ValueError, RecursionError):  # damaged: the command will say so
        if (folder / CONFIG).stat().st_size <= LARGEST_FILE:
            rules = str(tomllib.loads((folder / CONFIG).read_text(encoding="utf-8")).get("rules", ""))
    also = f" --rules {shlex.quote(rules)}" if rules.endswith(".py") and rules.isprintable() else ""
    return f"rltuner finetune --resume {shlex.quote(str(folder))}{also}"


def refuse_another_folder(resume: Path, out: Path | None) -> None:
    """InputError where what goes on in one folder is asked to write to another."""
    if out is not None and out.absolute() != resume.absolute():
        raise InputError(
            f"{resume}: what is resumed goes on in its own folder, not in {out}; leave --out away"
        )


def write_config(config: FinetuneConfig) -> str:
    """The configuration as TOML, every field but those that say where it came from and goes to."""
    lines = ["# The configuration of this run; `rltuner finetune --config THIS` repeats it."]
    for field in dataclasses.fields(config):
        if field.name not in _NOT_STORED:
            value = getattr(config, field.name)
            lines.append(f"{field.name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def read_config(file: Path, rules: str | None = None) -> FinetuneConfig:
    """A configuration that `write_config` wrote, or one by hand; fields that are missing have the preset's values.

    Args:
      file: where it is stored.
      rules: the rule book that the user gives besides. It takes the place of a Python rule file that the configuration
        names: such a file is code, and no file that a person might have been sent may choose the code that runs.

    Raises InputError, naming the file and the field, for broken TOML, an unknown field, a wrong type, or a Python
    rule file where `rules` gives none.
    """
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise UnicodeError(f"larger than {LARGEST_FILE:,} bytes")
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise InputError(f"{file}: not a TOML file ({' '.join(str(error).split())[:160]})") from None
    types = get_type_hints(FinetuneConfig)
    known = [field.name for field in dataclasses.fields(FinetuneConfig) if field.name not in _NOT_STORED]
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"{file}: unknown field {name!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
            )
        kind = types[name]
        choices = get_args(kind)
        if choices:
            if value not in choices:
                raise InputError(f"{file}: {name} = {value!r} must be one of {', '.join(map(str, choices))}")
        elif type(value) is not kind and not (kind is float and type(value) is int):
            raise InputError(f"{file}: {name} = {value!r} must be of type {kind.__name__}")
        elif kind is float and abs(value) > sys.float_info.max:
            raise InputError(f"{file}: {name} = {str(value)[:40]} must be a finite number")
    table = {name: float(value) if types[name] is float else value for name, value in table.items()}
    if str(table.get("rules", "")).endswith(".py"):
        if rules is None:
            raise InputError(
                f"{file}: its rules are in {table['rules']}, a Python file, which is code: to run it, "
                f"give it yourself with --rules {table['rules']}"
            )
        table["rules"] = rules
    try:
        return preset(table.pop("preset", "quick"), **table)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
