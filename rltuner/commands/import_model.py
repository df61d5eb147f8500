"""The command `rltuner import`."""

from __future__ import annotations

from rltuner.commands.options import Command
from rltuner.interrupts import importing
from rltuner.magenta.config import ImportConfig


def import_command(config: ImportConfig) -> Command:
    """Make a Note RNN of a trained model of Magenta's, without TensorFlow.

    Example: rltuner import attention_rnn.mag --out attention
    """

    def run() -> object:
        with importing():
            from rltuner.magenta.importing import import_model
        return import_model(config)

    return run
