"""The command `rltuner generate`."""

from __future__ import annotations

from rltuner.commands.options import Command
from rltuner.generating.config import GenerateConfig
from rltuner.interrupts import importing


def generate(config: GenerateConfig) -> Command:
    """Write melodies of a checkpoint as MIDI, audio, piano rolls and MusicXML.

    Example: rltuner generate --count 24 --key "G major" --png --out samples
    """

    def run() -> object:
        with importing():
            from rltuner.generating.generate import generate
        return generate(config)

    return run
