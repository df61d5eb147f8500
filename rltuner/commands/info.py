"""The command `rltuner info`: what a checkpoint says of itself."""

from __future__ import annotations

import json
from typing import Annotated

import tyro

from rltuner.commands.options import Command
from rltuner.interrupts import importing


def info(source: Annotated[str, tyro.conf.Positional]) -> Command:
    """Print a checkpoint's card, shapes and hashes.

    Example: rltuner info psi

    Args:
        source: A shipped name, a checkpoint folder or a run folder.
    """
    return lambda: show(source)


def show(source: str) -> None:
    """Prints a checkpoint's card, configuration, shapes and hash. Raises InputError where it is none."""
    with importing():
        from rich.table import Table

        from rltuner.console import output_console
        from rltuner.networks.note_rnn import NoteRNN
        from rltuner.storing.checkpoints import find_checkpoint, read_checkpoint

    folder = find_checkpoint(source)
    config, tensors = read_checkpoint(source)
    card = folder / "README.md"
    if card.is_file():
        output_console.print(card.read_text(encoding="utf-8").strip(), markup=False)
    facts = Table(
        title=f"{source}: {config['kind']}, format {config['format']}",
        title_justify="left",
        show_header=False,
    )
    for name, value in config.items():
        if name not in ("kind", "format"):
            facts.add_row(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    network = NoteRNN.from_config(config, folder, tensors, "" if config["kind"] == "note_rnn" else "network.")
    facts.add_row("computed by", "the compiled kernels on the CPU" if network.has_kernels else "torch")
    output_console.print(facts)
    shapes = Table(
        "tensor",
        "shape",
        "type",
        title=f"{sum(t.numel() for t in tensors.values()):,} numbers",
        title_justify="left",
    )
    for name, tensor in sorted(tensors.items()):
        shapes.add_row(name, " x ".join(map(str, tensor.shape)), str(tensor.dtype).removeprefix("torch."))
    output_console.print(shapes)
