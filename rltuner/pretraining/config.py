"""The configuration of `rltuner pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rltuner.checks import (
    MOST_AT_ONCE,
    MOST_EVENTS,
    MOST_LAYERS,
    MOST_ROUNDS,
    MOST_THREADS,
    MOST_UNITS,
    check,
    check_seed,
    tidy,
)
from rltuner.errors import InputError


@dataclass(frozen=True)
class PretrainConfig:
    """Train a Note RNN on real tunes."""

    corpus: str = "tunebooks"
    """tunebooks (O'Neill's and Ryan's), airds, essen, or a folder of MIDI, ABC or MusicXML files."""
    out: Path = Path("runs/note_rnn")
    """Folder to write the checkpoint to; it must not exist."""
    updates: int = 4_000
    """Gradient steps."""
    batch_size: int = 64
    """Windows a step."""
    window: int = 256
    """Events a window; a whole tune is longer, and is learned window by window."""
    from_start: float = 0.25
    """Share of the windows that begin at a tune's start, from the zero input; the others begin anywhere in a tune."""
    hidden_sizes: tuple[int, ...] = (100,)
    """Units of each LSTM layer. 100 is the RL Tuner paper's."""
    learning_rate: float = 4e-3
    """Adam's, at its highest: warmed up over 2 % of the updates, then lowered to 0 along a cosine."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    validate_every: int = 500
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
        check(where, "batch_size", self.batch_size, 1, MOST_AT_ONCE)
        check(where, "window", self.window, 1, MOST_EVENTS)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "from_start", self.from_start, 0, 1)
        check(where, "learning_rate", self.learning_rate, 0, 1)
        check(where, "clip", self.clip, 0)
        check(where, "jobs", self.jobs, 0, MOST_THREADS)
        sizes = self.hidden_sizes
        if not 0 < len(sizes) <= MOST_LAYERS or not 0 < min(sizes) <= max(sizes) <= MOST_UNITS:
            shown = str(sizes) if len(sizes) <= MOST_LAYERS else f"{len(sizes)} layers"
            raise InputError(
                f"pretrain: hidden_sizes = {shown}: give 1 to {MOST_LAYERS} layers of 1 to {MOST_UNITS:,} units"
            )
