"""The configuration of `rltuner pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rltuner.checks import (
    MOST_LAYERS,
    MOST_ROUNDS,
    MOST_THREADS,
    MOST_UNITS,
    check,
    check_seed,
    tidy,
)
from rltuner.errors import InputError
from rltuner.networks.inputs.names import INPUTS, checked_inputs

MOST_BATCH = 10_000_000  # events
MOST_DROPOUT = 0.9


@dataclass(frozen=True)
class PretrainConfig:
    """Train a Note RNN on real tunes."""

    corpus: str = "tunebooks"
    """tunebooks (O'Neill's and Ryan's), airds, essen, or a folder of MIDI, ABC or MusicXML files."""
    out: Path = Path("runs/note_rnn")
    """Folder to write the checkpoint to; it must not exist."""
    updates: int = 4_500
    """Gradient steps."""
    batch_events: int = 16_384
    """Events a step, about: as many windows of tunes as hold them."""
    inputs: tuple[str, ...] = INPUTS
    """What it hears: the last event, and any of clock, phrase, to_go, lookback. event alone is the RL Tuner paper's."""
    hidden_sizes: tuple[int, ...] = (100,)
    """Units of each LSTM layer. 100 is the RL Tuner paper's."""
    learning_rate: float = 4e-3
    """Adam's, at its highest: warmed up over 2 % of the updates, then lowered to 0 along a cosine."""
    dropout: float = 0.3
    """Share of the last layer's outputs that are left out while it learns."""
    averaging: float = 0.999
    """Of the average of the weights that is kept: how much of it an update leaves."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    validate_every: int = 250
    """Updates between two looks at the validation tunes."""
    checkpoint_every: int = 500
    """Updates between two savings of the state that --resume goes on from."""
    seed: int = 0
    """Of the split, the initial weights and the windows."""
    threads: int = 2
    """CPU threads for torch."""
    jobs: int = 0
    """Processes that parse the corpus; 0 takes every core."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""
    resume: Path | None = None
    """Continue the training in this folder, with the configuration stored there; only --threads, --jobs, --device and
    --checkpoint-every can be changed."""

    def __post_init__(self) -> None:
        where = "pretrain"
        tidy(self)
        check_seed(where, self.seed)
        for name in ("updates", "validate_every", "checkpoint_every"):
            check(where, name, getattr(self, name), 1, MOST_ROUNDS)
        check(where, "batch_events", self.batch_events, 1, MOST_BATCH)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "dropout", self.dropout, 0, MOST_DROPOUT)
        check(where, "averaging", self.averaging, 0, 1)
        try:
            checked_inputs(self.inputs)
        except InputError as error:
            raise InputError(f"pretrain: {error}") from None
        check(where, "learning_rate", self.learning_rate, 0, 1)
        check(where, "clip", self.clip, 0)
        check(where, "jobs", self.jobs, 0, MOST_THREADS)
        sizes = self.hidden_sizes
        if not 0 < len(sizes) <= MOST_LAYERS or not 0 < min(sizes) <= max(sizes) <= MOST_UNITS:
            shown = str(sizes) if len(sizes) <= MOST_LAYERS else f"{len(sizes)} layers"
            raise InputError(
                f"pretrain: hidden_sizes = {shown}: give 1 to {MOST_LAYERS} layers of 1 to {MOST_UNITS:,} units"
            )
