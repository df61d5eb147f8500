"""`triad_on_downbeat`: bars begin on a note of the tonic triad more often than not."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.melody.key import Key
from rltuner.rules.grid import steps
from rltuner.rules.rule import rule


@rule("triad_on_downbeat")
@dataclass(frozen=True)
class TriadOnDownbeat:
    """`reward` for an onset at the first step of a bar that is the first, third or fifth degree of the scale.

    A scale of fewer than five degrees has the first and third only.

    Source: Krumhansl, Cognitive Foundations of Musical Pitch (1990): the triad heads the tonal hierarchy.
    """

    key: str = "C major"
    """Tonic and mode."""
    reward: float = 1.0
    """Reward of the onset."""

    def __call__(self, melodies: Melodies) -> Tensor:
        key = Key.parse(self.key)
        triad = torch.zeros(12, dtype=torch.bool, device=melodies.events.device)
        triad[[(key.tonic + degree) % 12 for degree in key.degrees[:5:2]]] = True
        downbeat = steps(melodies) % melodies.meter.steps_per_bar == 0
        return torch.where(downbeat & melodies.is_onset & triad[melodies.pitch % 12], self.reward, 0.0)
