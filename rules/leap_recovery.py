"""`leap_recovery`: a leap is answered by motion in the other direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.rules.grid import previous_interval
from rltuner.rules.rule import rule


@rule("leap_recovery")
@dataclass(frozen=True)
class LeapRecovery:
    """`penalty` for the first note after a leap that moves on in the leap's direction, instead of turning back.

    A leap is an interval of `leap` semitones or more. Repetitions of the note that it reaches count for nothing. A turn
    is not rewarded: that would pay for leaping, which people do less than networks.

    Source: Gauldin 1995, on leaps; RL Tuner's reward_leap_up_back lets the answer come at any later time.
    """

    penalty: float = -1.0
    """Reward of the note that goes on in the leap's direction."""
    leap: int = 7
    """Smallest leap in semitones; 7 is a fifth."""

    def __call__(self, melodies: Melodies) -> Tensor:
        before, now = previous_interval(melodies), melodies.interval
        return torch.where((before.abs() >= self.leap) & (now * before > 0), self.penalty, 0.0)
