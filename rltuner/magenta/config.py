"""The configurations of `rltuner import` and `rltuner export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from rltuner.checks import check, tidy
from rltuner.errors import InputError

Format = Literal["magenta-js", "tf-checkpoint"]
FORMATS = ("magenta-js", "tf-checkpoint")


@dataclass(frozen=True)
class ImportConfig:
    """Make a Note RNN of a trained model of Magenta's."""

    source: tyro.conf.Positional[str]
    """A bundle (NAME.mag), the prefix of a TensorFlow checkpoint (such as model.ckpt-500), a folder that holds one of
    these, or a folder of magenta.js (weights_manifest.json)."""
    out: Path
    """Folder to write the Note RNN to; it must not exist or be empty."""
    attn_length: int | None = None
    """Steps that its attention remembers, where neither a bundle nor a .meta says so; else 40, Magenta's."""
    scope: str | None = None
    """Of several networks in one checkpoint the one whose variables begin so, such as q_network."""

    def __post_init__(self) -> None:
        tidy(self)
        if self.attn_length is not None:
            if type(self.attn_length) is not int:
                raise InputError(f"import: attn_length = {self.attn_length!r} must be a whole number")
            check("import", "attn_length", self.attn_length, 1, 4096)


@dataclass(frozen=True)
class ExportConfig:
    """Write a Note RNN or a policy in a format of Magenta's."""

    source: tyro.conf.Positional[str]
    """A shipped name, a checkpoint folder or a run folder, of a network that hears the event alone."""
    to: Format
    """magenta-js: a folder for MusicRNN; tf-checkpoint: a TensorFlow checkpoint of basic_rnn or mono_rnn."""
    out: Path
    """Folder to write to; it must not exist or be empty."""

    def __post_init__(self) -> None:
        tidy(self)
        if self.to not in FORMATS:
            raise InputError(f"export: to = {str(self.to)[:40]!r} must be one of {', '.join(FORMATS)}")
