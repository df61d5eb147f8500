"""`registral_return`: from the edge of its range a melody turns back."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.rule import rule


@rule("registral_return")
@dataclass(frozen=True)
class RegistralReturn:
    """`penalty` for a note that moves further away from the melody's mean, after one that lay `distance` semitones or
    more from the mean of the notes before it.

    Source: von Hippel and Huron, "Why do skips precede reversals?" (2000): regression to the middle of the tessitura.
    """

    penalty: float = -1.0
    """Reward of the note that moves away."""
    distance: float = 5.0
    """From the mean pitch, in semitones; 5 is a fourth."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        onset = melodies.is_onset
        count = onset.long().cumsum(dim=1)
        total = torch.where(onset, melodies.pitch, 0).cumsum(dim=1)
        own = onset.long()
        previous = melodies.previous_pitch
        # Mean of the notes before the previous one, kept as sums of whole numbers: (total - now - previous) / count.
        before_count = count - own - (previous >= 0).long()
        before_total = total - torch.where(onset, melodies.pitch, 0) - torch.where(previous >= 0, previous, 0)
        away = previous * before_count - before_total  # (previous - mean) x count
        is_far = (before_count > 0) & (away.abs() >= self.distance * before_count)
        return torch.where(onset & is_far & (melodies.interval * away > 0), self.penalty, 0.0)
