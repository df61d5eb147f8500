"""The command `rltuner rules`: list, show, check, explain. Thin, as all commands are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rltuner.commands.options import Command


@dataclass(frozen=True)
class ExplainConfig:
    """What a rule book makes of a melody, event by event."""

    file: tyro.conf.Positional[Path]
    """A melody: MIDI (.mid, .midi, .smf, .kar, .rmi), ABC (.abc) or MusicXML (.xml, .musicxml, .mxl)."""
    rules: str = "gauldin"
    """Rule book: magenta, gauldin, a .toml file, or a Python rule file. A Python file is code, and is run."""
    key: str | None = None
    """Judge it in this key, such as "G major" or "A harmonic minor", instead of the book's."""
    track: str = ""
    """The track, part or voice to read, by name or number (from 1); without it the one that is named as a melody."""
    png: Path | None = None
    """Also draw a piano roll coloured by reward into this file."""
    json: Path | None = None
    """Also write every event's rewards to this file."""


def list_() -> Command:
    """List every rule with the package it comes from, and the shipped books."""

    def run() -> None:
        from rltuner.rules.show import list_rules

        list_rules()

    return run


def show(name: Annotated[str, tyro.conf.Positional]) -> Command:
    """Show a rule's definition, parameters and source, or the rules of a book.

    Args:
        name: A rule's name, a shipped book's, a .toml file, or a Python rule file (which is run).
    """

    def run() -> None:
        from rltuner.rules.show import show

        show(name)

    return run


def check(name: Annotated[str, tyro.conf.Positional]) -> Command:
    """Check that rules keep their contract: finite float32 [B, T], causal, blind to batch, padding and primer.

    Args:
        name: A Python rule file (which is run), a book, or one rule's name.
    """

    def run() -> None:
        import torch

        from rltuner.rules.show import check

        torch.set_num_threads(1)
        check(name)

    return run


def explain(config: ExplainConfig) -> Command:
    """Show what a rule book makes of a melody of yours, event by event."""

    def run() -> None:
        from rltuner.rules.explain import run_explain

        run_explain(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config)})

    return run


COMMANDS: dict[str, Callable[..., Command]] = {
    "list": list_,
    "show": show,
    "check": check,
    "explain": explain,
}
