"""The command `rltuner export`."""

from __future__ import annotations

from rltuner.commands.options import Command
from rltuner.interrupts import importing
from rltuner.magenta.config import ExportConfig


def export(config: ExportConfig) -> Command:
    """Write a Note RNN or a policy that hears the event alone for Magenta or magenta.js.

    Example: rltuner export psi --to magenta-js --out psi_js
    """

    def run() -> object:
        with importing():
            from rltuner.magenta.exporting import export_model
        return export_model(config)

    return run
