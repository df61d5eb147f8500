"""Configurations of finetune in files: what a run stores, and what it may change when it goes on."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

from rltuner.errors import InputError
from rltuner.storing.unfinished import CONFIG, LARGEST_FILE, STATE, go_on_command, refuse_another_folder
from rltuner.tuning.config import FinetuneConfig, names_of
from rltuner.tuning.presets import preset

_NOT_STORED = ("config", "resume", "out", "quiet")
RESUMABLE = (
    "events",
    "least_distinct",
    "samples",
    "evaluate",
    "log_every",
    "checkpoint_every",
    "threads",
    "device",
)
"""What may be changed when a run is resumed; the rest is the run's own."""


def resumed_config(config: FinetuneConfig) -> FinetuneConfig:
    """The stored configuration of the run in `config.resume`, with the changes that a resumed run allows.

    A `config` with nothing but `resume` set asks for no change. Raises InputError for a change of anything else.
    """
    folder = config.resume
    assert folder is not None
    refuse_another_folder(folder, config.out)
    asked = FinetuneConfig(resume=folder, out=config.out, quiet=config.quiet)
    rules = config.rules if config.rules != asked.rules else None
    stored = dataclasses.replace(config_of_run(folder, rules), out=folder, resume=folder, quiet=config.quiet)
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
    """InputError where the run has composed more events already: none can be taken back."""
    # Not before it is needed: --help must not wait for torch.
    from rltuner.storing.state import read_manifest

    assert stored.resume is not None
    a_round = stored.batch_size * stored.length
    done = read_manifest(stored.resume / STATE)["updates"] * a_round
    if -(-events // a_round) * a_round < done:
        raise InputError(
            f"{stored.resume}: the run has composed {done:,} events, and events = {events:,} would undo none; give "
            "more, or leave --events away"
        )


def config_of_run(folder: Path, rules: str | None) -> FinetuneConfig:
    """The stored configuration of a run; where the folder holds none, InputError says what it is instead."""
    if not os.path.isdir(folder):
        raise InputError(
            f"{folder}: no such run folder; give the one that finetune wrote, such as runs/psi-1"
        )
    if not os.path.isfile(folder / CONFIG) and (command := go_on_command(folder)):
        raise InputError(f"{folder}: a training of a Note RNN; go on with: {command}")
    if not os.path.isfile(folder / CONFIG):
        raise InputError(f"{folder}: not a run folder ({CONFIG} is missing)")
    return read_config(folder / CONFIG, rules)


def write_config(config: FinetuneConfig) -> str:
    """The configuration as TOML, a section a group, every field but those that say where it came from and goes to."""
    lines = ["# The configuration of this run; `rltuner finetune --config THIS` repeats it."]
    for section, group in config.GROUPS.items():
        stored = {name: getattr(config, name) for name in names_of(group) if name not in _NOT_STORED}
        lines.append(f"\n[{section}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in stored.items()]
    return "\n".join(lines) + "\n"


def read_config(file: Path, rules: str | None = None) -> FinetuneConfig:
    """A configuration that `write_config` wrote, or one by hand; fields that are missing have the preset's values.

    Fields stand in the sections of their groups, or before any section, as all did once.

    Args:
      file: where it is stored.
      rules: the rule book that the user gives besides. It takes the place of a Python rule file that the configuration
        names: such a file is code, and no file that a person might have been sent may choose the code that runs.

    Raises InputError, naming the file and the field, for broken TOML, an unknown field or section, a field in another
    section than its own, a wrong type, or a Python rule file where `rules` gives none.
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
    values = _flat(file, table)
    for name, value in values.items():
        kind = types[name]
        choices = get_args(kind)
        if choices:
            if value not in choices:
                raise InputError(f"{file}: {name} = {value!r} must be one of {', '.join(map(str, choices))}")
        elif type(value) is not kind and not (kind is float and type(value) is int):
            raise InputError(f"{file}: {name} = {value!r} must be of type {kind.__name__}")
        elif kind is float and abs(value) > sys.float_info.max:
            raise InputError(f"{file}: {name} = {str(value)[:40]} must be a finite number")
    values = {name: float(value) if types[name] is float else value for name, value in values.items()}
    if str(values.get("rules", "")).endswith(".py"):
        if rules is None:
            raise InputError(
                f"{file}: its rules are in {values['rules']}, a Python file, which is code: to run it, "
                f"give it yourself with --rules {values['rules']}"
            )
        values["rules"] = rules
    try:
        return preset(values.pop("preset", "quick"), **values)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _flat(file: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The fields of all sections, and those before any. InputError for one that is unknown, misplaced or given twice."""
    sections = {
        section: [name for name in names_of(group) if name not in _NOT_STORED]
        for section, group in FinetuneConfig.GROUPS.items()
    }
    home = {name: section for section, names in sections.items() for name in names}
    given: list[tuple[str, str, Any]] = []
    for name, value in table.items():
        if name in sections and isinstance(value, dict):
            given.extend((name, own, found) for own, found in value.items())
        else:
            given.append(("", name, value))
    values: dict[str, Any] = {}
    for section, name, value in given:
        if name not in home:
            if name in sections:
                raise InputError(f"{file}: {name} is a section; write its fields below a line [{name}]")
            what, known = ("section", list(sections)) if isinstance(value, dict) else ("field", list(home))
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"{file}: unknown {what} {name!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
            )
        if section not in ("", home[name]):
            raise InputError(f"{file}: {name} stands in [{section}]; move it to [{home[name]}]")
        if name in values:
            raise InputError(f"{file}: {name} is given twice; remove the one before any section")
        values[name] = value
    return values
