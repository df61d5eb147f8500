"""The command `rltuner finetune`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from rltuner.commands.options import Command, given
from rltuner.errors import InputError
from rltuner.interrupts import importing
from rltuner.tuning.config import (
    Algorithm,
    Exploration,
    FinetuneConfig,
    Guards,
    Learning,
    Run,
    Tuning,
    names_of,
)
from rltuner.tuning.presets import PRESETS, preset
from rltuner.tuning.stored_config import config_of_run, read_config

Group = TypeVar("Group")


def finetune_command(words: Sequence[str]) -> Callable[..., Command]:
    """The command, its defaults chosen by the words that follow it: --resume, --config and --preset."""
    default = defaults(words)

    def part(group: type[Group]) -> Group:
        return group(**{name: getattr(default, name) for name in names_of(group)})

    def finetune(
        tuning: Tuning = part(Tuning),  # noqa: B008
        learning: Learning = part(Learning),  # noqa: B008
        exploration: Exploration = part(Exploration),  # noqa: B008
        guards: Guards = part(Guards),  # noqa: B008
        run: Run = part(Run),  # noqa: B008
    ) -> Command:
        """Tune a Note RNN by Q, Psi or G learning, so that it obeys rules and still sounds like its data.

        Example: rltuner finetune --algo psi --rules my_rules.py --out runs/mine

        Most runs need no more than the first group of options; the preset sets the others.
        """
        fields: dict[str, Any] = {}
        for group in (tuning, learning, exploration, guards, run):
            fields |= dataclasses.asdict(group)
        config = FinetuneConfig(**fields)

        def tune() -> object:
            with importing():
                from rltuner.tuning.finetune import finetune
            return finetune(config)

        return tune

    return finetune


def defaults(words: Sequence[str]) -> FinetuneConfig:
    """What the options default to."""
    found = given(
        words, "--resume", "--config", "--preset", "--algo", "--rules", "--length", "--bars", "--meter"
    )
    if "--length" in found and "--bars" in found:
        raise InputError(
            f"finetune: --bars {found['--bars']} and --length {found['--length']}; give one of them"
        )
    if "--config" in found and "--preset" in found:
        raise InputError("--config and --preset both set the defaults; give one of them")
    if "--resume" in found:
        folder = Path(found["--resume"])
        return dataclasses.replace(config_of_run(folder, found.get("--rules")), out=folder)
    if "--config" in found:
        read = read_config(Path(found["--config"]), found.get("--rules"))
        return dataclasses.replace(read, bars=0) if "--length" in found else read
    name, algo = found.get("--preset", "quick"), found.get("--algo", "psi")
    if name not in PRESETS or algo not in get_args(Algorithm):
        return FinetuneConfig()  # the parser names the wrong one
    sizes: dict[str, object] = {}
    for option, kind in (("--length", int), ("--bars", int), ("--meter", str)):
        with contextlib.suppress(ValueError, KeyError):  # the parser names what is no number
            sizes[option[2:]] = kind(found[option])
    return preset(name, algo=algo, **sizes)  # type: ignore[arg-type]
