"""The points of a catalogue that sessions are played on."""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.listeners.music.catalogue import catalogue
from rltuner.listeners.music.features import features
from rltuner.listeners.music.space import space
from rltuner.networks.note_rnn import NoteRNN


def catalogue_points(sources: tuple[str, ...], dimensions: int) -> Tensor:
    """The tunes of a catalogue in the principal components of their measured features, each of unit variance: float32
    [N, dimensions]."""
    tunes = catalogue(sources).tunes
    points = space(features(tunes, "measured", NoteRNN.load("note_rnn")), dimensions).points
    return torch.from_numpy(points / points.std(axis=0)).float()
