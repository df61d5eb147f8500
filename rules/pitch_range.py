"""`pitch_range`: the melody stays within a singable range."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.rule import rule

ABOVE_ALL = 128


@rule("pitch_range")
@dataclass(frozen=True)
class PitchRange:
    """`penalty` for every note that lies more than `semitones` from the highest or the lowest note so far.

    Source: Gauldin 1995, on range; an octave and a fifth holds 99 of 100 human windows of two bars (docs/rules.md).
    """

    penalty: float = -1.0
    """Reward of a note outside the range."""
    semitones: int = 19
    """Widest range, from the lowest to the highest note."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        highest = melodies.pitch.cummax(dim=1).values
        lowest = torch.where(melodies.is_onset, melodies.pitch, ABOVE_ALL).cummin(dim=1).values
        wide = (highest - melodies.pitch > self.semitones) | (melodies.pitch - lowest > self.semitones)
        return torch.where(melodies.is_onset & wide, self.penalty, 0.0)
