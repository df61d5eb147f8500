"""What tests of import and export share: TensorFlow's own numbers for its checkpoints."""

from pathlib import Path

import numpy as np
import torch

from rltuner.melody import Melodies, Vocabulary

FOLDER = Path(__file__).parents[1] / "fixtures" / "melody_rnn"
NAMES = ("default", "basic_rnn", "mono_rnn", "lookback_rnn", "attention_rnn")
REPEATING = ("lookback_rnn", "attention_rnn")


def melodies_of(name: str) -> Melodies:
    """The melodies of a fixture; the first event of each is context, Magenta's t = 0."""
    vocabulary = Vocabulary(0, 128) if name == "mono_rnn" else Vocabulary()
    with np.load(FOLDER / "logits.npz") as stored:
        events = torch.from_numpy(stored[f"{name}_events"].astype(np.int64))
    special = torch.where(events == -2, 1, 0)  # NO_EVENT, NOTE_OFF
    classes = torch.where(events < 0, special, events - vocabulary.min_pitch + 2)
    return Melodies(classes[:, 1:], None, classes[:, :1], vocabulary)


def probabilities_of(name: str) -> torch.Tensor:
    """p of every class of ours at each event of `melodies_of`, by TensorFlow: float64 [B, T, V]."""
    with np.load(FOLDER / "logits.npz") as stored:
        p = torch.from_numpy(stored[f"{name}_logits"]).double().softmax(dim=-1)
    melodies = melodies_of(name)
    events = torch.cat([melodies.context, melodies.events], dim=1)
    size = melodies.vocabulary.size
    order = [37, 36, *range(36)] if name == "attention_rnn" else [1, 0, *range(2, size)]
    found = p[..., order].clone()
    for repeat, steps in ((38, 16), (39, 32)) if name in REPEATING else ():
        for t in range(events.shape[1]):
            event = events[:, t + 1 - steps] if t + 1 >= steps else torch.ones(len(events), dtype=torch.int64)
            found[:, t].scatter_add_(1, event[:, None], p[:, t, repeat, None])
    return found[:, :-1]
