"""The command `rltuner pretrain`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rltuner.commands.options import Command, given
from rltuner.interrupts import importing
from rltuner.pretraining.config import PretrainConfig


def pretrain_command(words: Sequence[str]) -> Callable[..., Command]:
    """The command, its defaults chosen by the words that follow it: --resume."""
    default = defaults(words)

    def pretrain(config: PretrainConfig = default) -> Command:
        """Train a Note RNN on real tunes.

        Example: rltuner pretrain --corpus my_tunes --out my_note_rnn
        """

        def run() -> object:
            with importing():
                from rltuner.pretraining.pretrain import pretrain
            return pretrain(config)

        return run

    return pretrain


def defaults(words: Sequence[str]) -> PretrainConfig:
    """What the options default to."""
    found = given(words, "--resume")
    if "--resume" not in found:
        return PretrainConfig()
    # Not before it is needed: --help must not wait for torch.
    with importing():
        from rltuner.pretraining.stored import stored_settings

    return stored_settings(Path(found["--resume"]))
