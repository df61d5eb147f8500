"""`late_climax`: the second half reaches the highest note."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import is_last, steps
from rltuner.rules.rule import rule


@rule("late_climax")
@dataclass(frozen=True)
class LateClimax:
    """`reward` at the last event where the highest note of the melody begins in its second half, then or again.

    Source: Gauldin 1995, on the placing of the high point.
    """

    reward: float = 1.0
    """Reward of the last event."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        highest = melodies.pitch.amax(dim=1, keepdim=True)
        late = 2 * steps(melodies) >= melodies.lengths[:, None]
        reaches = (melodies.is_onset & late & (melodies.pitch == highest)).any(dim=1, keepdim=True)
        return (is_last(melodies) & reaches).float() * self.reward
