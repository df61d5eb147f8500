"""`single_climax`: the highest note is reached once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.rule import rule


@rule("single_climax")
@dataclass(frozen=True)
class SingleClimax:
    """`reward` for a melody whose highest note is reached once; repetitions in place count as one arrival.

    It is paid as it happens: the first note and every new highest note that follows a spoilt one earn `reward`, a return
    to the highest note takes it back. So the sum over a melody is `reward` or 0, and each event's share is what the event
    changed.

    Source: Gauldin 1995, on the high point of a line; RL Tuner's reward_high_low_unique pays at the end.
    """

    reward: float = 1.0
    """Sum over the melody."""

    def __call__(self, melodies: Melodies) -> Tensor:
        if not melodies.events.numel():
            return torch.zeros(melodies.events.shape)
        highest = melodies.pitch.cummax(dim=1).values  # -1 before the first note
        before = torch.nn.functional.pad(highest[:, :-1], (1, 0), value=-1)
        arrives = melodies.is_onset & (melodies.pitch != melodies.previous_pitch)
        rises = melodies.is_onset & (melodies.pitch > before)
        # Arrivals at the highest note since it was first reached: counted along the melody, restarted at every rise.
        total = (arrives & (melodies.pitch == highest)).long().cumsum(dim=1)
        base = torch.where(rises, total - 1, 0).cummax(dim=1).values
        is_single = ((total - base == 1) & (highest >= 0)).float()
        change = is_single - torch.nn.functional.pad(is_single[:, :-1], (1, 0))
        return torch.where(melodies.valid, change, 0.0) * self.reward
