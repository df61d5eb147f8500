"""The command `rltuner evaluate`."""

from __future__ import annotations

from rltuner.commands.options import Command
from rltuner.eval.config import EvaluateConfig
from rltuner.interrupts import importing


def evaluate(config: EvaluateConfig) -> Command:
    """Judge checkpoints, MIDI files and human tunes side by side.

    Example: rltuner evaluate note_rnn psi human --rules magenta --report out
    """

    def run() -> object:
        with importing():
            from rltuner.eval.command import run
        return run(config)

    return run
