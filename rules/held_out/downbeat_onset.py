"""`downbeat_onset`: bars begin with a note."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import steps
from rltuner.rules.rule import rule


@rule("downbeat_onset")
@dataclass(frozen=True)
class DownbeatOnset:
    """At the first step of each bar, `reward` for an onset and `penalty` for anything else.

    Source: Lerdahl and Jackendoff, A Generative Theory of Tonal Music (1983), metrical preference rule 3 (events).
    """

    reward: float = 1.0
    """Reward of an onset."""
    penalty: float = -1.0
    """Reward of a hold or rest."""

    def __call__(self, melodies: Melodies) -> Tensor:
        downbeat = (steps(melodies) % melodies.meter.steps_per_bar == 0) & melodies.valid
        return torch.where(downbeat, torch.where(melodies.is_onset, self.reward, self.penalty), 0.0)
